"""A report as one HTML file: no script, no other file, no host; a policy in its head forbids all of them. Knows: HTML.
Must not know: what is reported. Every text is escaped."""

from __future__ import annotations

from html import escape

from cti.report.document import SCALES, Cell, Column, Document, Section, Table, percent_text

STYLE = """
:root { color-scheme: light; }
body { font: 14px/1.6 "Noto Sans CJK SC", "Source Han Sans SC", "Microsoft YaHei", "PingFang SC", sans-serif;
  color: #1f2933; margin: 0 auto; max-width: 1000px; padding: 28px 20px 60px; background: #fff; }
h1 { font-size: 24px; margin: 0; } h2 { font-size: 18px; margin: 40px 0 4px; border-bottom: 2px solid #2b6cb0;
  padding-bottom: 4px; } h2 small, h1 small { color: #7b8794; font-weight: 400; font-size: 14px; }
h3 { font-size: 14px; margin: 20px 0 4px; } .sub { color: #52606d; margin: 4px 0 18px; }
.lead { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 10px; }
.lead div { border: 1px solid #e4e7eb; border-radius: 6px; padding: 10px 14px; } .lead b { display: block;
  font-size: 25px; line-height: 1.3; font-variant-numeric: tabular-nums; }
.lead span { color: #7b8794; font-size: 12px; }
.good b { color: #2f855a; } .bad b { color: #c53030; }
.note { color: #52606d; font-size: 12.5px; margin: 6px 0; } .note i { font-style: normal; color: #7b8794; }
table { border-collapse: collapse; width: 100%; margin: 8px 0 14px; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; border-bottom: 1px solid #9aa5b1; padding: 4px 8px; vertical-align: bottom; }
th small { display: block; color: #7b8794; font-weight: 400; } td { padding: 3px 8px; border-bottom: 1px solid #e4e7eb;
  overflow-wrap: anywhere; } .n { text-align: right; white-space: nowrap; overflow-wrap: normal; }
tr.bad td { background: #fff5f5; } tr.bad td.p { color: #c53030; font-weight: 600; }
details { margin: 8px 0; } summary { cursor: pointer; color: #2b6cb0; }
svg { width: 100%; height: auto; margin: 10px 0; }
@media print { body { padding: 0; font-size: 11px; } h2 { break-after: avoid; } tr, svg { break-inside: avoid; } }
"""
FOLD = 31
"""longer tables are folded away: a click opens them"""


def page(document: Document) -> str:
    """The file's text."""
    lead = "".join(
        f'<div class="{"" if good is None else "good" if good else "bad"}"><span>{escape(label)}</span>'
        f"<b>{escape(value)}</b><span>{escape(below)}</span></div>"
        for label, value, below, good in document.lead
    )
    return f"""<!doctype html>
<html lang="zh-CN">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{escape(document.title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(document.title)}</h1>
<p class="sub">{escape(document.subtitle)}</p>
<div class="lead">{lead}</div>
{"".join(map(_section, document.sections))}
</body>
</html>
"""


def _section(section: Section) -> str:
    notes = "".join(f'<p class="note">{escape(zh)}<br><i>{escape(en)}</i></p>' for zh, en in section.notes)
    return (f"<h2>{escape(section.zh)} <small>{escape(section.en)}</small></h2>\n{notes}\n"
            f"{''.join(section.plots)}\n{''.join(map(_table, section.tables))}\n")  # fmt: skip


def _table(table: Table) -> str:
    head = "".join(
        f'<th class="{_class(c)}">{escape(c.zh)}<small>{escape(c.en)}</small></th>' for c in table.columns
    )
    body = "".join(
        f'<tr class="{"bad" if n in table.bad else ""}">'
        + "".join(f'<td class="{_class(c)}">{_cell(c, cell)}</td>' for c, cell in zip(table.columns, row, strict=True))
        + "</tr>\n"
        for n, row in enumerate(table.rows)
    )
    title = f"<h3>{escape(table.title)}</h3>" if table.title else ""
    made = f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>\n"
    if len(table.rows) > FOLD:
        made = f"<details><summary>展开 {len(table.rows)} 行 / show {len(table.rows)} rows</summary>{made}</details>\n"
    return title + made


def _class(column: Column) -> str:
    return {"text": "", "percent": "n p"}.get(column.kind, "n")


def _cell(column: Column, cell: Cell) -> str:
    if cell is None:
        return "—"
    if isinstance(cell, str):
        return escape(cell)
    if column.kind == "percent":
        return percent_text(cell)
    scale = SCALES.get(column.kind, 1)
    return f"{cell / scale:,.1f}" if scale > 1 else f"{cell:,}"
