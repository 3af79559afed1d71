"""All that Grafana is provisioned with, as text by path. Pure: the same text each time."""

from __future__ import annotations

import json
from collections.abc import Sequence

import yaml

from cti.dashboards.board import Board
from cti.dashboards.health import HEALTH
from cti.dashboards.operations import OPERATIONS
from cti.dashboards.province import PROVINCE
from cti.dashboards.site import SITE_BOARD
from cti.dashboards.words import LANGS, Lang, Text

FOLDERS = {"zh": "热线联动", "en": "Hotline linkage"}
BOARDS_AT = "/var/lib/grafana/dashboards"
"""where the boards lie for Grafana; the container's, or any other machine's"""
PROMETHEUS = "http://prometheus:9090"
HEAD = Text("由 cti dashboards 生成，勿手改", "made by `cti dashboards`; do not edit")


def boards() -> tuple[Board, ...]:
    """Every board, in the order they are shown."""
    return (OPERATIONS, SITE_BOARD, PROVINCE, HEALTH)


def files(langs: Sequence[Lang] = LANGS, prometheus: str = PROMETHEUS, boards_at: str = BOARDS_AT) -> dict[str, str]:
    """Path → text: `dashboards/<lang>/<board>.json`, and `provisioning/` for Grafana's own start."""
    made = {
        f"dashboards/{lang}/{board.key}.json": json.dumps(board.json(lang), ensure_ascii=False, indent=1) + "\n"
        for lang in langs
        for board in boards()
    }
    source = {
        "name": "Prometheus", "uid": "cti-prometheus", "type": "prometheus", "access": "proxy", "url": prometheus,
        "isDefault": True, "editable": False, "jsonData": {"httpMethod": "POST", "timeInterval": "15s"},
    }  # fmt: skip
    made["provisioning/datasources/cti.yaml"] = _yaml({"apiVersion": 1, "prune": True, "datasources": [source]})
    made["provisioning/dashboards/cti.yaml"] = _yaml({
        "apiVersion": 1,
        "providers": [
            {"name": f"cti-{lang}", "folder": FOLDERS[lang], "folderUid": f"cti-{lang}", "type": "file",
             "disableDeletion": True, "allowUiUpdates": False, "updateIntervalSeconds": 30,
             "options": {"path": f"{boards_at}/{lang}"}}
            for lang in langs
        ],
    })  # fmt: skip
    return made


def _yaml(content: object) -> str:
    head = f"# {HEAD.zh} / {HEAD.en}\n"
    return head + yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
