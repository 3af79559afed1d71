"""What is a fault. One small function a rule, a file a subject; `ALL` is what `check` asks.

Each takes a `cti.dialplan.subject.Subject` and yields findings. The codes are what `; check: code reason` names.
"""

from cti.dialplan.rules import (
    agi,
    bounds,
    events,
    expressions,
    flow,
    names,
    patterns,
    prompts,
    site,
    targets,
    variables,
)
from cti.dialplan.subject import Rule

ALL: tuple[Rule, ...] = (
    *targets.RULES,
    *flow.RULES,
    *bounds.RULES,
    *agi.RULES,
    *names.RULES,
    *prompts.RULES,
    *expressions.RULES,
    *variables.RULES,
    *events.RULES,
    *patterns.RULES,
    *site.RULES,
)
