"""`cti seats plan`: how many seats each line needs, by hour of a day to come. Knows: options, words, where figures are.
Must not know: any formula (`cti.core`)."""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import click
from rich.console import Console
from rich.table import Table

from cti.cli.look import STATE
from cti.cli.run import CONFIG, load
from cti.cli.seats_csv import CsvError, read_calendar
from cti.cli.seats_past import Past, from_csv, from_ledger
from cti.cli.seats_svg import Panel, draw
from cti.core.forecast import Calendar, Errors, Forecast, TooLittleHistoryError, backtest, day_of, errors, forecast
from cti.core.seatplan import HANDLE_S, LEVEL_S, PATIENCE_S, Line, Row, expected_share, plan
from cti.core.zone import SHANGHAI
from cti.directory import Directory, SeatKind
from cti.routes import line_of

_FILE = click.Path(path_type=Path, dir_okay=False)


@dataclass(frozen=True, slots=True)
class Planned:
    """One line's day."""

    line: Line
    source: str
    """of the handling time: given, measured, or a proposal"""
    forecast: Forecast
    rows: tuple[Row, ...]
    errors: Errors
    came: tuple[int, ...] | None


@click.command(name="plan")
@click.option("--csv", "csv_file", type=_FILE, default=None,
              help="从文件取历史：line,start,calls 三列 / history from a file with these columns")  # fmt: skip
@STATE
@CONFIG
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), default=None,
              help="哪一天，默认历史之后的一天 / which day  [default: the one after the history]")  # fmt: skip
@click.option("--days", type=click.IntRange(1, 31), default=1, show_default=True, help="连续几天 / how many days")
@click.option("--line", "only", multiple=True, metavar="NAME",
              help="只看此队列，可重复 / this line only, may be repeated: 12345, 110-dedicated …")  # fmt: skip
@click.option("--have", multiple=True, metavar="NAME=N",
              help="现有席数，默认按配置 / seats there are  [default: as configured]")  # fmt: skip
@click.option("--target", type=click.FloatRange(1, 99.9), default=95.0, show_default=True,
              help="目标百分比 / share of calls to answer, %")  # fmt: skip
@click.option("--level", type=click.FloatRange(1, 600), default=LEVEL_S, show_default=True,
              help="时限（秒）/ answered within, s (dedicated seats are planned by it)")  # fmt: skip
@click.option("--handle", type=click.FloatRange(1, 7200), default=None,
              help=f"平均处理秒数 / mean handling time, s  [default: measured, else {HANDLE_S:g}]")  # fmt: skip
@click.option("--patience", type=click.FloatRange(1, 7200), default=None,
              help=f"平均耐心秒数 / mean patience, s  [default: measured, else {PATIENCE_S:g}]")  # fmt: skip
@click.option("--weeks", type=click.IntRange(1, 104), default=8, show_default=True,
              help="用最近几周 / weeks of history to use")  # fmt: skip
@click.option("--calendar", "calendar_file", type=_FILE, default=None,
              help="节假日与调休：date,kind 两列，off 或 work / holidays and make-up workdays")  # fmt: skip
@click.option("--quarters", is_flag=True, help="按一刻钟列出 / a row each 15 min, not each hour")
@click.option("--svg", type=_FILE, default=None, help="画图到文件 / draw into this file")
@click.option("--json", "as_json", is_flag=True, help="机器可读 / machine-readable")
def plan_command(
    csv_file: Path | None,
    state: Path,
    config: Path | None,
    day: dt.datetime | None,
    days: int,
    only: tuple[str, ...],
    have: tuple[str, ...],
    target: float,
    level: float,
    handle: float | None,
    patience: float | None,
    weeks: int,
    calendar_file: Path | None,
    quarters: bool,
    svg: Path | None,
    as_json: bool,
) -> None:
    """每条队列每小时需要几席 / how many seats each line needs, by hour.

    \b
    普通席按 95 % 接通，专席按时限内 95 % 接通（转接到时限就转下一目标）。历史取自账本或文件；
    预测与实际并列，偶然误差是任何预测都达不到的下限。
    General seats: 95 % answered; dedicated ones: 95 % within the level, after which a transfer
    goes on. History comes from the ledger or a file; forecasts are shown against what came.

    \b
    cti seats plan                                    明天，按运行中的账本 / tomorrow, from the ledger
    cti seats plan --day 2026-11-30 --svg plan.svg    某一天并画图 / that day, and a picture
    cti seats plan --csv calls.csv --line 12345 --have 12345=40
    cti seats plan --calendar 2026.csv --days 7 --json

    \b
    calls.csv                       2026.csv
      line,start,calls                date,kind
      12345,2026-11-02T08:00,37       2026-10-01,off
      110-dedicated,2026-11-02T08:00,2  2026-10-10,work
    """
    try:
        calendar = read_calendar(calendar_file) if calendar_file else Calendar()
        pasts = from_csv(csv_file) if csv_file else from_ledger(state, weeks, day)
    except CsvError as why:
        raise click.UsageError(str(why)) from None
    at_hand = _at_hand(config, have)
    if unknown := sorted(set(only) - set(pasts)):
        known = ", ".join(sorted(pasts)) or "—"
        raise click.UsageError(f"历史里没有队列 {'、'.join(unknown)} / not in the history; 有/there are: {known}")
    planned = []
    for name in sorted(only or pasts):
        past = pasts[name]
        line = Line(name, handle or past.handle_s or HANDLE_S, patience or past.patience_s or PATIENCE_S,
                    at_hand.get(name))  # fmt: skip
        first = day.date() if day else day_of(past.history.end - 1) + dt.timedelta(days=1)
        for n in range(days):
            on = first + dt.timedelta(days=n)
            try:
                planned.append(_planned(past, line, on, calendar, weeks, target / 100, level, handle is not None))
            except TooLittleHistoryError as why:
                click.echo(f"{name}: {why}", err=True)
    if not planned:
        click.echo("历史不足，无法预测；可用 --csv 给出更早的来电 / nothing to forecast from: "
                   "give earlier calls by --csv, see cti seats plan -h", err=True)  # fmt: skip
        sys.exit(1)
    if svg:
        svg.write_text(draw([_panel(p) for p in planned]), encoding="utf-8")
    if as_json:
        click.echo(json.dumps([_as_dict(p) for p in planned], ensure_ascii=False, indent=1))
    else:
        console = Console()
        for one in planned:
            _show(console, one, 1 if quarters else 4, level, target)
        if svg:
            console.print(f"图 / picture: {svg}")


def _planned(past: Past, line: Line, day: dt.date, calendar: Calendar, weeks: int, target: float, level: float,
             given: bool) -> Planned:  # fmt: skip
    source = "指定/given" if given else "实测/measured" if past.handle_s else "建议值/proposal"
    found = forecast(past.history, day, calendar, weeks)
    came = past.history.day(day) if day in past.history.whole_days() else None
    return Planned(line, source, found, plan(found, line, target, level),
                   errors(backtest(past.history, calendar, weeks=weeks), past.history), came)  # fmt: skip


def _at_hand(config: Path | None, have: tuple[str, ...]) -> dict[str, int]:
    _, _, directory = load(config)
    found = dict(_configured(directory))
    for text in have:
        name, _, count = text.partition("=")
        if not (name and count.isascii() and count.isdecimal()):
            raise click.UsageError(f"--have {text!r}: 应形如 12345=40 / must look like 12345=40")
        found[name] = int(count)
    return found


def _configured(directory: Directory) -> Iterator[tuple[str, int]]:
    for platform in directory.platforms:
        for kind in get_args(SeatKind):
            yield line_of(platform, kind, directory), len(directory.seats_of(platform, kind))


# -- what is shown -----------------------------------------------------------------------------------------------------
def _show(console: Console, one: Planned, each: int, level: float, target: float) -> None:
    kind = "专席/dedicated" if one.line.dedicated else "普通席/general"
    weekday = "一二三四五六日"[one.forecast.day.weekday()]
    within = f"（{level:g} s 内/within）" if one.line.dedicated else ""
    console.print(f"\n[bold]{one.line.name}[/]  {kind}  {one.forecast.day} 周{weekday}  "
                  f"目标/target {target:g} %{within}", soft_wrap=True)  # fmt: skip
    table = Table("时间\ntime", "预计\nexpected", *(["实际\ncame"] if one.came else []), "需席\nseats", "现有\nhave",
                  "接通\nanswered", f"{level:g} s 内\nin time")  # fmt: skip
    for column in table.columns:
        column.justify = "right"
    for n in range(0, len(one.rows), each):
        rows, start = one.rows[n : n + each], n * 15
        worst = min(rows, key=lambda r: r.with_have.answered if r.with_have else 0.0)
        short = one.line.have is not None and one.line.have < max(r.seats for r in rows)
        cells = [f"{start // 60:02d}:{start % 60:02d}", f"{sum(r.calls for r in rows):.1f}"]
        if one.came:
            cells.append(str(sum(one.came[n : n + each])))
        cells += [str(max(r.seats for r in rows)), "—" if one.line.have is None else str(one.line.have)]
        cells += [f"{100 * worst.with_have.answered:.1f} %", f"{100 * worst.with_have.in_level:.1f} %"] \
            if worst.with_have else ["—", "—"]  # fmt: skip
        table.add_row(*cells, style="red" if short else None)
    console.print(table)
    for text in _notes(one):
        console.print(text, highlight=False, soft_wrap=True)


def _notes(one: Planned) -> Iterator[str]:
    total, most = sum(one.forecast.calls), max(r.seats for r in one.rows)
    share = expected_share(one.rows, one.line)
    at_hand = f"，现有席位预计/expected with those at hand {100 * share:.1f} %" if share is not None else ""
    yield f"全天/day: {total:.0f} 通/calls，最多/most {most} 席/seats{at_hand}"
    yield f"处理/handling {one.line.handle_s:.0f} s（{one.source}），耐心/patience {one.line.patience_s:.0f} s"
    basis = one.forecast.basis
    yield f"依据/from {len(basis)} 天/days: {basis[0]} … {basis[-1]}"
    if one.forecast.left_out:
        yield f"未计入的异常日/left out as unusual: {', '.join(map(str, one.forecast.left_out))}"
    if one.errors.wape is not None and one.errors.bias is not None and one.errors.floor is not None:
        yield (f"过去预测的误差/error of past forecasts: {100 * one.errors.wape:.0f} %（偶然误差下限/chance alone "
               f"{100 * one.errors.floor:.0f} %），偏差/bias {100 * one.errors.bias:+.1f} %，"
               f"{one.errors.quarters // 96} 天/days")  # fmt: skip
    else:
        yield "尚无可对照的过去预测 / no past forecast to compare yet"


def _panel(one: Planned) -> Panel:
    kind = "专席 dedicated" if one.line.dedicated else "普通席 general"
    return Panel(f"{one.line.name} {kind} {one.forecast.day}", one.forecast.calls, one.came,
                 tuple(r.seats for r in one.rows), one.line.have)  # fmt: skip


def _as_dict(one: Planned) -> dict[str, Any]:
    start = dt.datetime.combine(one.forecast.day, dt.time(), SHANGHAI)
    rows = []
    for n, row in enumerate(one.rows):
        had = row.with_have
        rows.append({"start": (start + dt.timedelta(minutes=15 * n)).isoformat(), "calls": round(row.calls, 3),
                     "came": one.came[n] if one.came else None, "seats": row.seats,
                     "answered": round(had.answered, 5) if had else None,
                     "in_level": round(had.in_level, 5) if had else None})  # fmt: skip
    share = expected_share(one.rows, one.line)
    return {"line": one.line.name, "day": str(one.forecast.day), "dedicated": one.line.dedicated, "have": one.line.have,
            "handle_s": one.line.handle_s, "patience_s": one.line.patience_s, "source": one.source,
            "expected_share": share if share is None else round(share, 5),
            "basis": [str(d) for d in one.forecast.basis],
            "left_out": [str(d) for d in one.forecast.left_out],
            "errors": {"days": one.errors.quarters // 96, "wape": one.errors.wape, "bias": one.errors.bias,
                       "floor": one.errors.floor}, "rows": rows}  # fmt: skip
