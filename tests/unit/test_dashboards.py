"""Grafana's dashboards: the committed files, Grafana's own types, two languages, and no metric that does not exist."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner
from prometheus_client import CollectorRegistry

from cti.cli.dashboards import dashboards
from cti.dashboards import boards, files
from cti.dashboards.words import LANGS
from cti.metrics import Metrics
from cti.probes import Probes
from cti.share import folder

REPOSITORY = Path(__file__).parents[2]
SCHEMA = json.loads((REPOSITORY / "tests/data/grafana/board.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
MADE = [(board.key, lang, board.json(lang)) for board in boards() for lang in LANGS]


def chinese(text: str) -> bool:
    return any("一" <= character <= "鿿" for character in text)


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from leaves(one)
    else:
        yield value


def test_what_is_committed_is_what_the_code_makes() -> None:
    there = REPOSITORY / "docker" / "grafana"
    made = files()
    assert {name: (there / name).read_text(encoding="utf-8") for name in made} == made
    for place in ("dashboards", "provisioning"):
        found = {str(p.relative_to(there)) for p in (there / place).rglob("*") if p.is_file()}
        assert found == {name for name in made if name.startswith(place)}, "nothing else lies there"


@pytest.mark.parametrize(("key", "lang", "board"), MADE)
def test_a_board_is_what_grafana_publishes_as_a_board(key: str, lang: str, board: dict[str, Any]) -> None:
    assert list(VALIDATOR.iter_errors(board)) == []


@pytest.mark.parametrize("spoil", [
    lambda b: b["panels"][1]["options"].update(graphmode="none"),
    lambda b: b["panels"][1]["options"].update(colorMode="loud"),
    lambda b: b["panels"][1]["fieldConfig"]["defaults"]["thresholds"].update(mode="relative"),
    lambda b: b["panels"][1].pop("type"),
    lambda b: b["panels"][1].update(type="timeseries"),
    lambda b: b["panels"][1]["targets"][0].pop("expr"),
    lambda b: b.update(shemaVersion=42),
])  # fmt: skip
def test_the_schema_notices_a_slip(spoil: Any) -> None:
    board = copy.deepcopy(MADE[0][2])
    spoil(board)
    assert not VALIDATOR.is_valid(board)


def test_two_sets_differ_in_words_alone() -> None:
    for board in boards():
        zh, en = board.json("zh"), board.json("en")
        assert board.title.zh == zh["title"] and chinese(zh["title"]) and not chinese(en["title"])
        for one, other in zip(zh["panels"], en["panels"], strict=True):
            assert [t["expr"] for t in one.get("targets", [])] == [t["expr"] for t in other.get("targets", [])]
            assert one["gridPos"] == other["gridPos"] and not chinese(other["title"])
            assert chinese(one["title"]) or one["title"] == other["title"] == "Asterisk"
        text = [leaf for leaf in leaves(en) if isinstance(leaf, str) and chinese(leaf)]
        assert text == ["中文"], "the English set says nothing in Chinese but the way to the other one"
    uids = [board.uid(lang) for board in boards() for lang in LANGS]
    assert len(set(uids)) == len(uids)


def test_panels_fill_the_grid_without_lying_over_one_another() -> None:
    for board in boards():
        taken: set[tuple[int, int]] = set()
        for panel in board.json("zh")["panels"]:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert at["x"] + at["w"] <= 24 and not cells & taken, (board.key, panel["title"])
            taken |= cells


def test_every_metric_asked_for_exists(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    Probes(tmp_path, registry)
    known = {"up", "ALERTS"}
    for metric in (*Metrics().registry.collect(), *registry.collect()):
        ends = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}.get(metric.type, [""])
        known |= {metric.name + end for end in ends}
    rules = yaml.safe_load((folder("config") / "prometheus" / "rules.yml").read_text(encoding="utf-8"))
    recorded = {rule["record"]: rule["expr"] for group in rules["groups"] for rule in group["rules"]}
    alerts = yaml.safe_load((folder("config") / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))
    asked = [q.expr for b in boards() for p in b.panels for q in p.queries]
    asked += [*recorded.values(), *(rule["expr"] for group in alerts["groups"] for rule in group["rules"])]
    for expr in asked:
        bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\b(?:by|without|on)\s*\([^)]*\)", " ", expr)
        for name in re.findall(r"\b(?:up|ALERTS|(?:cti|process)_\w+|\w+:\w+:\w+)\b", bare):
            assert name in known or name in recorded, (name, expr)


def test_the_command_writes_once_and_notices_a_change(tmp_path: Path) -> None:
    out = str(tmp_path)
    first = CliRunner().invoke(dashboards, ["--out", out, "--lang", "zh"])
    assert first.exit_code == 0 and "dashboards/zh/operations.json" in first.output and "/en/" not in first.output
    assert CliRunner().invoke(dashboards, ["--out", out, "--lang", "zh", "--check"]).exit_code == 0
    (tmp_path / "dashboards/zh/site.json").write_text("{}")
    assert CliRunner().invoke(dashboards, ["--out", out, "--lang", "zh", "--check"]).exit_code == 1
    assert (tmp_path / "dashboards/zh/site.json").read_text() == "{}"
    (tmp_path / "file").write_text("")
    assert CliRunner().invoke(dashboards, ["--out", str(tmp_path / "file")]).exit_code == 2
