"""Boards: panels in rows, with the choice of data source and site, as the JSON Grafana reads (schema version 42).

Knows: that form, and how panels fill 24 columns. Must not know: what is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cti.dashboards.model import SOURCE, Json, Panel
from cti.dashboards.words import Lang, Text

SCHEMA_VERSION = 42


@dataclass(frozen=True, slots=True)
class Row:
    """A heading."""

    title: Text

    def json(self, lang: Lang, number: int, y: int) -> Json:
        return {"id": number, "type": "row", "title": self.title.say(lang), "collapsed": False, "panels": [],
                "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One dashboard. ``one_site``: it shows one site at a time; ``span``: the time it opens with."""

    key: str
    title: Text
    note: Text
    items: tuple[Row | Panel, ...]
    one_site: bool = False
    span: str = "now-6h"

    @property
    def panels(self) -> tuple[Panel, ...]:
        """Without the headings."""
        return tuple(item for item in self.items if isinstance(item, Panel))

    def uid(self, lang: Lang) -> str:
        """Grafana's name for it."""
        return f"cti-{self.key}-{lang}"

    def json(self, lang: Lang) -> Json:
        """The whole board in one language. ValueError: two panels have one key."""
        if len({panel.key for panel in self.panels}) != len(self.panels):
            raise ValueError(f"board {self.key}: two panels of one key")
        other: Lang = "en" if lang == "zh" else "zh"
        switch = "English" if lang == "zh" else "中文"
        return {
            "uid": self.uid(lang), "title": self.title.say(lang), "description": self.note.say(lang),
            "tags": ["hotline-cti", f"hotline-cti-{lang}"], "schemaVersion": SCHEMA_VERSION, "version": 1,
            "editable": True, "graphTooltip": 1, "timezone": "Asia/Shanghai", "weekStart": "monday",
            "refresh": "15s", "fiscalYearStartMonth": 0, "liveNow": False, "preload": False,
            "time": {"from": self.span, "to": "now"}, "timepicker": {"hidden": False},
            "annotations": {"list": []}, "panels": self._placed(lang),
            "templating": {"list": [_datasource(lang), _site(lang, self.one_site)]},
            "links": [
                _link(Text("看板", "Dashboards").say(lang), tags=[f"hotline-cti-{lang}"]),
                _link(switch, url=f"/d/{self.uid(other)}"),
            ],
        }  # fmt: skip

    def _placed(self, lang: Lang) -> list[Json]:
        made: list[Json] = []
        x = y = tall = 0
        for number, item in enumerate(self.items, 1):
            if isinstance(item, Row):
                x, y, tall = 0, y + tall, 1
                made.append(item.json(lang, number, y))
                y, tall = y + 1, 0
                continue
            if x + item.w > 24:
                x, y, tall = 0, y + tall, 0
            made.append(item.json(lang, number, x, y))
            x, tall = x + item.w, max(tall, item.h)
        return made


def _datasource(lang: Lang) -> Json:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "hide": 0, "refresh": 1,
            "label": Text("数据源", "Data source").say(lang), "multi": False, "includeAll": False, "regex": "",
            "options": []}  # fmt: skip


def _site(lang: Lang, single: bool) -> Json:
    expr = "label_values(cti_ami_up, site)"
    made: Json = {
        "name": "site", "type": "query", "datasource": SOURCE, "hide": 0, "refresh": 2, "sort": 1,
        "label": Text("站点", "Site").say(lang), "multi": not single, "includeAll": not single, "regex": "",
        "query": {"query": expr, "refId": "site"}, "options": [],
    }  # fmt: skip
    if not single:
        made |= {"allValue": ".*", "current": {"selected": True, "text": ["All"], "value": ["$__all"]}}
    return made


def _link(title: str, *, tags: Sequence[str] = (), url: str = "") -> Json:
    return {"title": title, "type": "dashboards" if tags else "link", "tags": list(tags), "url": url, "icon": "",
            "asDropdown": bool(tags), "includeVars": True, "keepTime": True, "targetBlank": False,
            "tooltip": ""}  # fmt: skip
