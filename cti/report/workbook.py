"""A report as an Excel file: a sheet a section, figures as numbers, a chart where days or parts are counted.

Knows: xlsxwriter. Must not know: what is reported. Text is written as text (`write_string`), never looked at: no cell
can become a formula, a link or a number of its own accord, whatever a caller's summary says.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xlsxwriter

from cti.report.document import ENDS, SCALES, Cell, Column, Document, Section, Table
from cti.report.plots import SERIES

FONT = "Microsoft YaHei"
MOST_WIDE = 46
FORMATS: Mapping[str, str] = {"int": "#,##0", "percent": "0.00%", "seconds": "#,##0.0", "hours": "#,##0.0"}
ROW, HEAD, TITLE = 17, 32, 28
"""heights, points"""


def write(document: Document, path: Path) -> None:
    """Make the file. Raises OSError."""
    path.write_bytes(workbook(document))


def workbook(document: Document) -> bytes:
    """The file's bytes."""
    made = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False,
               "default_format_properties": {"font_name": FONT, "font_size": 10}}  # fmt: skip
    with xlsxwriter.Workbook(made, options) as book:
        styles = _styles(book)
        _lead(book.add_worksheet("概览 summary"), document, styles)
        for section in document.sections:
            _section(book, book.add_worksheet(section.sheet), section, styles)
    return made.getvalue()


def _styles(book: Any) -> dict[str, Any]:
    base = {"font_name": FONT, "font_size": 10, "valign": "vcenter"}
    head = {**base, "bold": True, "bottom": 1, "bg_color": "#EBF1F8", "text_wrap": True, "valign": "bottom"}
    styles = {
        "title": book.add_format({**base, "bold": True, "font_size": 15}),
        "sub": book.add_format({**base, "font_color": "#52606D", "text_wrap": True}),
        "part": book.add_format({**base, "bold": True, "font_size": 11}),
        "text": book.add_format(base), "wrap": book.add_format({**base, "text_wrap": True}),
        "below": book.add_format({**base, "indent": 1, "font_color": "#52606D"}),
        "big": book.add_format({**base, "bold": True, "font_size": 14, "align": "right"}),
        "head": book.add_format({**head, "align": "left"}), "head_n": book.add_format({**head, "align": "right"}),
        "none": book.add_format({**base, "align": "right", "font_color": "#7B8794"}),
    }  # fmt: skip
    for kind, code in FORMATS.items():
        styles[kind] = book.add_format({**base, "num_format": code})
        styles[f"{kind}_bad"] = book.add_format({**base, "num_format": code, "bg_color": "#FDE8E8"})
    styles["text_bad"] = book.add_format({**base, "bg_color": "#FDE8E8"})
    styles["percent_bad"].set_font_color("#C53030")
    styles["percent_bad"].set_bold()
    return styles


def _lead(sheet: Any, document: Document, styles: Mapping[str, Any]) -> None:
    _page(sheet)
    sheet.write_string(0, 0, document.title, styles["title"])
    sheet.merge_range(1, 0, 1, 2, "", styles["sub"])
    sheet.write_string(1, 0, document.subtitle, styles["sub"])
    sheet.set_row(1, HEAD)
    sheet.set_column(0, 0, 30)
    sheet.set_column(1, 1, 20)
    sheet.set_column(2, 2, 44)
    for n, (label, value, below, _) in enumerate(document.lead):
        sheet.set_row(3 + n, 24)
        sheet.write_string(3 + n, 0, label, styles["text"])
        sheet.write_string(3 + n, 1, value, styles["big"])
        sheet.write_string(3 + n, 2, below, styles["below"])
    row = 5 + len(document.lead)
    sheet.write_string(row, 0, "目录 contents", styles["part"])
    for n, section in enumerate(document.sections):
        sheet.write_string(row + 1 + n, 0, section.sheet, styles["text"])
        sheet.write_string(row + 1 + n, 1, f"{section.zh} {section.en}", styles["below"])


def _section(book: Any, sheet: Any, section: Section, styles: Mapping[str, Any]) -> None:
    _page(sheet)
    sheet.write_string(0, 0, f"{section.zh} / {section.en}", styles["title"])
    widths: dict[int, float] = {}
    row = 1
    across = max([len(table.columns) for table in section.tables], default=8) - 1
    for zh, en in section.notes:
        sheet.merge_range(row, 0, row, max(across, 5), "", styles["sub"])
        sheet.write_string(row, 0, f"{zh}\n{en}", styles["sub"])
        sheet.set_row(row, HEAD)
        row += 1
    for n, table in enumerate(section.tables):
        row += 1
        if table.title:
            sheet.write_string(row, 0, table.title, styles["part"])
            row += 1
        first = row
        row = _table(sheet, table, row, styles, widths)
        if len(section.tables) == 1:
            sheet.repeat_rows(first)
            sheet.freeze_panes(first + 1, 0)
        if n == 0 and len(table.rows) > 1:
            _chart(book, sheet, section, table, first)
    if row <= 42:
        sheet.fit_to_pages(1, 1)
    for column, wide in widths.items():
        sheet.set_column(column, column, min(MOST_WIDE, wide + 2))


def _table(sheet: Any, table: Table, row: int, styles: Mapping[str, Any], widths: dict[int, float]) -> int:
    for n, column in enumerate(table.columns):
        sheet.write_string(row, n, f"{column.zh}\n{column.en}", styles["head" if column.kind == "text" else "head_n"])
        widths[n] = max(widths.get(n, 0), _wide(column.zh), _wide(column.en))
    sheet.set_row(row, HEAD)
    for k, cells in enumerate(table.rows):
        row += 1
        for n, (column, cell) in enumerate(zip(table.columns, cells, strict=True)):
            _write(sheet, row, n, column, cell, styles, k in table.bad)
            if isinstance(cell, str):
                widths[n] = max(widths.get(n, 0), min(MOST_WIDE, _wide(cell)))
    return row + 1


def _write(sheet: Any, row: int, n: int, column: Column, cell: Cell, styles: Mapping[str, Any], bad: bool) -> None:
    style = styles[column.kind + ("_bad" if bad else "")]
    if cell is None:
        sheet.write_string(row, n, "—", styles["none"])
    elif isinstance(cell, str):
        sheet.write_string(row, n, cell, styles["wrap"] if _wide(cell) > MOST_WIDE else style)
    else:
        scale = SCALES.get(column.kind, 1)
        sheet.write_number(row, n, cell / scale if scale > 1 else cell, style)


def _chart(book: Any, sheet: Any, section: Section, table: Table, row: int) -> None:
    """The days as a line of the rate, transfers as stacked bars; other tables speak for themselves."""
    last = row + len(table.rows)
    kinds = [column.kind for column in table.columns]
    if section.sheet.startswith("每日"):
        chart = book.add_chart({"type": "line"})
        column = kinds.index("percent")
        chart.add_series({"name": "接通率 rate", "categories": [sheet.name, row + 1, 0, last, 0],
                          "values": [sheet.name, row + 1, column, last, column],
                          "line": {"color": "#2B6CB0", "width": 1.5}})  # fmt: skip
        rates = [cell for cells in table.rows if isinstance(cell := cells[column], int)]
        chart.set_y_axis({"num_format": "0%", "min": min(rates, default=0) // 500 * 500 / 10_000, "max": 1,
                          "major_gridlines": {"visible": True, "line": {"color": "#E4E7EB"}}})  # fmt: skip
        chart.set_x_axis({"num_font": {"rotation": -45, "size": 8}, "interval_unit": 7})
        chart.set_legend({"none": True})
    elif section.sheet.startswith("转接"):
        chart = book.add_chart({"type": "bar", "subtype": "stacked"})
        for n in range(2, 2 + len(ENDS)):
            if not any(cells[n] for cells in table.rows):
                continue
            chart.add_series({"name": table.columns[n].zh, "fill": {"color": SERIES[n - 2]},
                              "categories": [sheet.name, row + 1, 0, last, 0],
                              "values": [sheet.name, row + 1, n, last, n]})  # fmt: skip
        chart.set_legend({"position": "bottom"})
        chart.set_x_axis({"major_gridlines": {"visible": True, "line": {"color": "#E4E7EB"}}})
    else:
        return
    chart.set_title({"name": f"{section.zh} {section.en}", "name_font": {"size": 11}})
    chart.set_size({"width": 720, "height": 330})
    if section.sheet.startswith("每日"):
        sheet.insert_chart(row, len(table.columns) + 1, chart)
    else:
        sheet.insert_chart(row + len(table.rows) + 12, 0, chart)


def _page(sheet: Any) -> None:
    sheet.hide_gridlines(2)
    sheet.set_default_row(ROW)
    sheet.set_row(0, TITLE)
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    sheet.set_margins(left=0.5, right=0.5, top=0.6, bottom=0.6)


def _wide(text: str) -> float:
    """Columns a text takes: a Chinese letter two."""
    return sum(2 if ord(letter) > 0x2E7F else 1 for letter in text) * 1.05
