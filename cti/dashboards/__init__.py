"""Grafana's dashboards, generated: dataclasses → JSON, two sets (Chinese, English) from one source. Pure.

Knows: our metrics by name, and the form of Grafana's dashboards. Must not know: Grafana's or Prometheus' programs.

    model.py       panels as values, and their JSON
    board.py       boards of them
    words.py       the two languages, one colour a meaning
    operations.py  site.py  province.py  health.py    one board each
    files.py       all files to be provisioned, by path
"""

from cti.dashboards.board import Board
from cti.dashboards.files import boards, files
from cti.dashboards.model import Panel, Query

__all__ = ["Board", "Panel", "Query", "boards", "files"]
