"""promtool for tests: alert cases as its unit-test files, run for real. Knows: promtool's file format."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cti.stack.root import RuntimeRoot

Series = Mapping[str, str]
"""series → promtool's shorthand of its values: ``1x5`` six times 1, ``0+2x5`` 0 2 4 6 8 10, ``_`` no sample"""


@dataclass(frozen=True)
class Case:
    """What an alert sees until ``at``, a sample every ``every``; ``fires``: by which labels, () for not at all."""

    alert: str
    series: Series
    at: str
    fires: Sequence[Mapping[str, str]] = ()
    every: str = "1m"


@dataclass(frozen=True)
class Value:
    """What an expression must give at a time."""

    expr: str
    series: Series
    at: str
    gives: Mapping[str, float]
    every: str = "1m"


@dataclass
class Promtool:
    """The real one. ``said``: its last words."""

    root: RuntimeRoot
    said: str = field(default="")

    def run(self, *words: str | Path) -> bool:
        """Whether it ends well."""
        command = self.root.argv("promtool", *map(str, words))
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        self.said = done.stdout + done.stderr
        return done.returncode == 0

    def holds(self, folder: Path, rules: Sequence[Path], cases: Sequence[Case | Value], step: str = "1m") -> bool:
        """Whether every case comes out as it says, with ``rules`` computed each ``step``."""
        file = folder / "test.yml"
        told = {"rule_files": [str(path) for path in rules], "evaluation_interval": step,
                "tests": [_test(case) for case in cases]}  # fmt: skip
        file.write_text(yaml.safe_dump(told, allow_unicode=True, sort_keys=False), encoding="utf-8")
        return self.run("test", "rules", file)


def _test(case: Case | Value) -> dict[str, Any]:
    if isinstance(case, Case):
        expr = f'ALERTS{{alertname="{case.alert}",alertstate="firing"}}'
        samples = [{"labels": _labels({"alertname": case.alert, "alertstate": "firing", **labels}), "value": 1}
                   for labels in case.fires]  # fmt: skip
    else:
        expr = case.expr
        samples = [{"labels": labels, "value": value} for labels, value in case.gives.items()]
    return {
        "interval": case.every,
        "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
        "promql_expr_test": [{"expr": expr, "eval_time": case.at, "exp_samples": samples}],
    }


def _labels(labels: Mapping[str, str]) -> str:
    return "ALERTS{" + ",".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "}"
