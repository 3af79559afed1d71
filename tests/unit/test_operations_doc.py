"""docs/operations.md keeps up with what it tells of: alerts, variables, secrets, files, its own links."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import yaml

REPOSITORY = Path(__file__).parents[2]
TEXT = (REPOSITORY / "docs/operations.md").read_text(encoding="utf-8")
COMPOSE = (REPOSITORY / "docker/compose.yaml").read_text(encoding="utf-8")
ALERTS = REPOSITORY / "config/prometheus/alerts.yml"


def test_every_alert_has_its_section_and_no_section_is_of_an_alert_that_is_gone() -> None:
    sections = re.findall(r'^<a id="alert-(\w+)"></a>\n\n### (\w+)\n\n(.+)\n\n(.+)$', TEXT, re.M)
    names = [anchor for anchor, _, _, _ in sections]
    assert names == [title for _, title, _, _ in sections] and len(set(names)) == len(names) > 20
    for name, _, chinese, english in sections:
        assert "**处置**：" in chinese and "**Do**: " in english, name
    if not ALERTS.parent.exists():
        return
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    rules = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    assert {rule["alert"] for rule in rules} == set(names)
    for rule in rules:
        assert rule["annotations"]["runbook"] == f"docs/operations.md#alert-{rule['alert']}"


def test_every_variable_of_the_compose_file_is_told_and_none_that_is_not_there() -> None:
    assert set(re.findall(r"\$\{(HOTLINE_\w+)", COMPOSE)) == set(re.findall(r"HOTLINE_[A-Z_]+", TEXT))


def test_every_secret_is_told() -> None:
    rows = set(re.findall(r"^\| `([\w.]+)` \|", TEXT.partition("## 口令与轮换")[2].partition("\n## ")[0], re.M))
    assert rows == {*yaml.safe_load(COMPOSE)["secrets"], "instance.key"}


def test_what_it_links_to_and_installs_is_there() -> None:
    heads = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.+)$", TEXT, re.M)}
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        path, _, anchor = target.partition("#")
        if path:
            assert (REPOSITORY / "docs" / path).exists(), target
        else:
            assert unquote(anchor) in heads, target
    for name in set(re.findall(r"(?:docker|tests)/[\w./-]+\.\w+|docker/bin/[\w-]+", TEXT)) - {"docker/.env"}:
        assert (REPOSITORY / name).exists(), name
