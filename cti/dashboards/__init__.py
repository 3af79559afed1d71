"""Grafana's dashboards, generated: dataclasses → JSON, two sets (Chinese, English) from one source. Pure.

Knows: our metrics by name, and the form of Grafana's dashboards. Must not know: Grafana's or Prometheus' programs.

    model.py       panels and boards as values, and their JSON
    words.py       the two languages
    operations.py  site.py  province.py  health.py    one board each
    files.py       all files to be provisioned, by path
"""

from cti.dashboards.files import boards, files
from cti.dashboards.model import Board, Panel, Query

__all__ = ["Board", "Panel", "Query", "boards", "files"]
