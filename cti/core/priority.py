"""Who goes first in any waiting line: danger, recalled, transferred, routine (DOMAIN.md, transfer rule 6).

The one place of these figures. The dialplan gets them as globals ``PRIO_…`` and adds the hotline's own priority, so
that it only orders callers of one band. Must not know: app_queue, whose QUEUE_PRIO they
become: higher is served first.
"""

from __future__ import annotations

from enum import IntEnum

WIDTH = 1000
"""of a band; a hotline's own priority is 0 to 100"""


class Band(IntEnum):
    """Kinds of callers, the last first."""

    ROUTINE = 0
    TRANSFERRED = WIDTH
    RECALL = 2 * WIDTH
    DANGER = 3 * WIDTH
