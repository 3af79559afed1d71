"""Panels as values, and the JSON Grafana reads of them (classic form). Boards of them: board.py.

Knows: that form, as Grafana publishes it in `@grafana/schema` (`tests/data/grafana/`). Must not know: what is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from cti.dashboards.words import TINTS, Lang, Text

NO_LEGEND = Text("", "")
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
RED, AMBER, GREEN, BLUE, GREY = "red", "orange", "green", "blue", "text"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Query:
    """One expression. ``legend``: label names in ``{{}}``; ``at``: only its newest value is wanted; ``exemplars``:
    show which calls are behind it."""

    expr: str
    legend: Text = NO_LEGEND
    at: bool = False
    exemplars: bool = False


@dataclass(frozen=True, slots=True)
class Steps:
    """Colours by value: from ``base`` up, each step from its value on."""

    base: str
    steps: tuple[tuple[float, str], ...] = ()

    def json(self) -> Json:
        rows: list[Json] = [{"color": self.base, "value": None}]
        return {"mode": "absolute", "steps": [*rows, *({"color": c, "value": v} for v, c in self.steps)]}


TARGET = Steps(RED, ((0.95, GREEN),))
"""the answer rate's: 95 %"""
NONE_IS_GOOD = Steps(GREEN, ((1, RED),))
ONE_IS_GOOD = Steps(RED, ((1, GREEN),))
PLAIN = Steps(GREEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """What all have. ``key``: its name within the board; ``names``: what values of a legend are called; ``w`` of 24."""

    kind: ClassVar[str] = ""
    key: str
    title: Text
    queries: tuple[Query, ...]
    note: Text
    unit: str = "short"
    decimals: int | None = None
    w: int = 8
    h: int = 8
    steps: Steps = PLAIN
    names: Mapping[str, Text] = field(default_factory=dict)
    least: float | None = None
    most: float | None = None

    def options(self, lang: Lang) -> Json:
        """The kind's own options."""
        raise NotImplementedError

    def custom(self) -> Json:
        """The kind's own field options."""
        return {}

    def overrides(self, lang: Lang) -> list[Json]:
        """Names of series as people read them, in colours that mean the same on every board."""
        return [_rename(value, text.say(lang), TINTS.get(value, "")) for value, text in self.names.items()]

    def transformations(self, lang: Lang) -> list[Json]:
        """What is done to the answers before they are shown."""
        return []

    def json(self, lang: Lang, number: int, x: int, y: int) -> Json:
        """The panel at its place."""
        defaults: Json = {
            "unit": self.unit, "thresholds": self.steps.json(), "color": {"mode": self.colours},
            "custom": self.custom(), "mappings": [], "noValue": "—",
        }  # fmt: skip
        for name, value in (("decimals", self.decimals), ("min", self.least), ("max", self.most)):
            if value is not None:
                defaults[name] = value
        made: Json = {
            "id": number, "type": self.kind, "title": self.title.say(lang), "description": self.note.say(lang),
            "datasource": SOURCE, "gridPos": {"x": x, "y": y, "w": self.w, "h": self.h},
            "targets": [self._target(q, ref, lang) for q, ref in zip(self.queries, refs(self.queries), strict=True)],
            "options": self.options(lang), "fieldConfig": {"defaults": defaults, "overrides": self.overrides(lang)},
        }  # fmt: skip
        if done := self.transformations(lang):
            made["transformations"] = done
        return made

    @property
    def colours(self) -> str:
        """How colours are chosen."""
        return "thresholds"

    def _target(self, query: Query, ref: str, lang: Lang) -> Json:
        return {
            "refId": ref, "datasource": SOURCE, "editorMode": "code", "expr": query.expr,
            "legendFormat": query.legend.say(lang) or "__auto", "range": not query.at, "instant": query.at,
            "exemplar": query.exemplars, "format": "table" if self.kind == "table" else "time_series",
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Stat(Panel):
    """One number, large."""

    kind: ClassVar[str] = "stat"
    w: int = 4
    h: int = 4
    graph: bool = False

    def options(self, lang: Lang) -> Json:
        return {
            "reduceOptions": _last(), "orientation": "auto", "textMode": "auto", "colorMode": "value",
            "graphMode": "area" if self.graph else "none", "justifyMode": "auto", "wideLayout": True,
            "showPercentChange": False, "percentChangeColorMode": "standard",
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines(Panel):
    """Values over time. ``stack``: add them up; ``line``: draw where the steps change."""

    kind: ClassVar[str] = "timeseries"
    stack: bool = False
    bars: bool = False
    line: bool = False

    @property
    def colours(self) -> str:
        return "palette-classic"

    def options(self, lang: Lang) -> Json:
        return {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }

    def custom(self) -> Json:
        return {
            "drawStyle": "bars" if self.bars else "line", "lineWidth": 1 if self.bars or self.stack else 2,
            "fillOpacity": 60 if self.bars or self.stack else 8, "showPoints": "auto", "pointSize": 5,
            "spanNulls": False, "stacking": {"mode": "normal" if self.stack else "none", "group": "A"},
            "thresholdsStyle": {"mode": "line" if self.line else "off"}, "axisPlacement": "auto",
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars(Panel):
    """The newest value of each series, as a bar."""

    kind: ClassVar[str] = "bargauge"

    def options(self, lang: Lang) -> Json:
        return {
            "reduceOptions": _last(), "orientation": "horizontal", "displayMode": "basic", "valueMode": "color",
            "namePlacement": "auto", "showUnfilled": True, "sizing": "auto", "minVizWidth": 8, "minVizHeight": 16,
            "maxVizHeight": 300, "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False,
                                            "calcs": []},
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: a label of the answers, or the value of the query with this letter."""

    field: str
    title: Text
    unit: str = ""
    decimals: int | None = None
    steps: Steps | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(Panel):
    """A row for each set of labels, a column for each query; labels and values in ``columns``' order."""

    kind: ClassVar[str] = "table"
    columns: tuple[Column, ...]

    def options(self, lang: Lang) -> Json:
        return {"showHeader": True, "cellHeight": "sm", "frameIndex": 0}

    def custom(self) -> Json:
        return {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False}

    def overrides(self, lang: Lang) -> list[Json]:
        made = []
        for column in self.columns:
            properties: list[Json] = []
            if column.unit:
                properties.append({"id": "unit", "value": column.unit})
            if column.decimals is not None:
                properties.append({"id": "decimals", "value": column.decimals})
            if column.steps is not None:
                properties += [{"id": "thresholds", "value": column.steps.json()},
                               {"id": "custom.cellOptions", "value": {"type": "color-text"}}]  # fmt: skip
            if not column.field.startswith("Value") and self.names:
                options = {value: {"text": text.say(lang), "index": n}
                           for n, (value, text) in enumerate(self.names.items())}  # fmt: skip
                properties.append({"id": "mappings", "value": [{"type": "value", "options": options}]})
            if properties:
                matcher = {"id": "byName", "options": column.title.say(lang)}
                made.append({"matcher": matcher, "properties": properties})
        return made

    def transformations(self, lang: Lang) -> list[Json]:
        names = {column.field: column.title.say(lang) for column in self.columns}
        if len(self.queries) == 1 and "Value #A" in names:
            names["Value"] = names.pop("Value #A")  # a single query's column has no letter
        order = {name: n for n, name in enumerate(names)}
        return [
            {"id": "merge", "options": {}},
            {"id": "filterFieldsByName", "options": {"include": {"names": list(names)}}},
            {"id": "organize", "options": {"excludeByName": {}, "indexByName": order, "renameByName": names}},
        ]


def refs(queries: Sequence[Query]) -> list[str]:
    """Grafana's letters of a panel's queries."""
    return [chr(ord("A") + n) for n in range(len(queries))]


def _last() -> Json:
    return {"values": False, "calcs": ["lastNotNull"], "fields": ""}


def _rename(value: str, text: str, tint: str) -> Json:
    properties: list[Json] = [{"id": "displayName", "value": text}]
    if tint:
        properties.append({"id": "color", "value": {"mode": "fixed", "fixedColor": tint}})
    return {"matcher": {"id": "byName", "options": value}, "properties": properties}
