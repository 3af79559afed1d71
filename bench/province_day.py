"""A day of Yunnan's sixteen 12345 lines with an earthquake in one, with and without remote overflow seats.

Simulated callers and talks (simpy), but not simulated rules: the same `cti.core.overflow` decides, the same
`cti.core.leasebook` of each site lends, with messages between sites that take time and are sometimes lost, and clocks
that differ. Both runs see the same callers. The published answer rate is `cti.core.answer_rate`'s.

Assumed, for want of public figures: calls a day by residents (`--per-thousand`), their spread over the day, talks
(lognormal, mean 240 s), patience (exponential, mean 120 s; the line's own limit is 120 s as in config/hotlines.yaml),
seats for a day `--room` times as busy at 97 % answered in its busiest hour. Not modelled: ringing time, shifts, agents
who leave.

    python -m bench.province_day                                    the whole day, and docs/province-day.png
    python -m bench.province_day --times 8 --at 03:20 --no-plot     a heavier one at night
    python -m bench.province_day --from 13 --to 17 --json           some hours of it, figures only
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.province import YUNNAN
from bench.province_sites import Day
from bench.province_world import Province
from cti.core.answer_rate import AnswerRate, answer_rate
from cti.core.overflow import Policy

QUARTER_US = 900_000_000
PROPOSED = Policy()


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run. ``rates``: answered and offered by site code, over its whole span; ``quarters`` of the struck site."""

    overflow: bool
    rates: dict[str, AnswerRate]
    quarters: list[AnswerRate]
    seats: list[dict[str, int]]
    """of the struck site by quarter: serving by owner's code"""
    leases: int
    reversals: int
    decisions: dict[str, int]
    first_seat_s: float | None
    """from the earthquake to the first borrowed seat in the line"""
    twice: int
    """seats found in two lines: must be 0"""

    @property
    def province(self) -> AnswerRate:
        """Counts added, never percentages averaged."""
        some = self.rates.values()
        return AnswerRate(sum(r.answered for r in some), sum(r.abandoned for r in some),
                          sum(r.timed_out for r in some), sum(r.refused for r in some))  # fmt: skip


def run(day: Day, overflow: bool, policy: Policy = PROPOSED) -> Outcome:
    """The same callers every time; ``overflow`` lets the rule act."""
    province = Province(day, policy if overflow else None)
    province.run()
    start, end = round(day.start_s * 1e6), round(day.end_s * 1e6)
    rates = {code: answer_rate(site.ended, start, end) for code, site in province.sites.items()}
    struck = province.sites[day.struck].ended
    quarters = [answer_rate(struck, at, at + QUARTER_US) for at in range(start, end, QUARTER_US)]
    return Outcome(overflow, rates, quarters, province.serving, province.leases, province.reversals(),
                   dict(province.decided), province.first_seat_s, province.twice)  # fmt: skip


def needed(day: Day, share: float) -> list[tuple[int, int]]:
    """By quarter: seats all sites need each for itself to answer ``share``, and seats there are."""
    province = Province(day, None)
    there = sum(site.own for site in province.sites.values())
    return [(sum(site.needed(at + 450.0, share) for site in province.sites.values()), there)
            for at in range(round(day.start_s), round(day.end_s), 900)]  # fmt: skip


def report(day: Day, runs: Sequence[Outcome], seconds: float) -> dict[str, object]:
    """What `--json` prints."""
    enough = needed(day, PROPOSED.spare)
    shown: dict[str, object] = {
        "day": asdict(day), "enough_seats_in_the_province": all(n <= there for n, there in enough),
        "most_needed": max(n for n, _ in enough), "seats": enough[0][1], "seconds": round(seconds, 1),
    }  # fmt: skip
    for one in runs:
        struck = one.rates[day.struck]
        worst = min((r for c, r in one.rates.items() if c != day.struck), key=lambda r: r.answered / max(1, r.offered))
        shown["with_overflow" if one.overflow else "without"] = {
            "struck_site": struck.text, "struck_answered": struck.answered, "struck_offered": struck.offered,
            "worst_other_site": worst.text, "province": one.province.text,
            "sites_below_target": sorted(c for c, r in one.rates.items() if r.meets_target is False),
            "leases": one.leases, "decisions": one.decisions, "reversals": one.reversals,
            "first_borrowed_seat_s": one.first_seat_s, "seats_in_two_lines": one.twice,
        }  # fmt: skip
    return shown


def text(day: Day, runs: Sequence[Outcome], shown: dict[str, object]) -> str:
    """For eyes: one line a site."""
    names = {p.code: p for p in YUNNAN}
    head = f"{names[day.struck].name} {day.struck}: ×{day.times:g} at {day.quake_s / 3600:.2f} h, seed {day.seed}"
    lines = [head, f"{'site':<24}" + "".join(f"{'with' if r.overflow else 'without':>12}" for r in runs) + "   offered"]
    for code, place in names.items():
        mark = " ←" if code == day.struck else ""
        lines.append(f"{code} {place.latin:<17}" + "".join(f"{r.rates[code].text:>12}" for r in runs)
                     + f"{runs[0].rates[code].offered:>10}{mark}")  # fmt: skip
    lines.append(f"{'all':<24}" + "".join(f"{r.province.text:>12}" for r in runs) + f"{runs[0].province.offered:>10}")
    enough = "enough" if shown["enough_seats_in_the_province"] else "NOT enough"
    lines.append(f"{enough} seats in the province: {shown['most_needed']} needed in the worst quarter, "
                 f"{shown['seats']} there")  # fmt: skip
    for one in runs:
        if one.overflow:
            lines.append(f"leases {one.leases}, decisions {one.decisions}, reversals {one.reversals}, "
                         f"first borrowed seat after {one.first_seat_s} s, seats in two lines {one.twice}")  # fmt: skip
    return "\n".join(lines)


def _clock(written: str) -> float:
    hours, _, minutes = written.partition(":")
    if not (hours.isdecimal() and minutes.isdecimal() and int(hours) < 24 and int(minutes) < 60):
        raise argparse.ArgumentTypeError(f"{written!r} is no time of day like 14:28")
    return int(hours) * 3600.0 + int(minutes) * 60.0


def main() -> int:
    """0 when no seat was in two lines, and with enough seats in the province the struck site kept its target."""
    codes = ", ".join(f"{p.code} {p.latin}" for p in YUNNAN)
    parser = argparse.ArgumentParser(prog="python -m bench.province_day", description=__doc__, epilog=f"sites: {codes}",
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--struck", default="532900", metavar="CODE", choices=[p.code for p in YUNNAN],
                        help="where the earthquake is (532900)")  # fmt: skip
    parser.add_argument("--at", type=_clock, default=_clock("14:28"), metavar="HH:MM", help="when (14:28)")
    parser.add_argument("--times", type=float, default=5.0, help="calls at its height, times the usual (5)")
    parser.add_argument("--fades", type=float, default=2.0, metavar="HOURS", help="time in which the rush fades (2)")
    parser.add_argument("--per-thousand", type=float, default=0.8, help="calls a day for 1,000 residents (0.8)")
    parser.add_argument("--room", type=float, default=1.4, help="seats are for a day so many times as busy (1.4)")
    parser.add_argument("--from", dest="start", type=float, default=0.0, metavar="HOUR", help="first hour (0)")
    parser.add_argument("--to", dest="end", type=float, default=24.0, metavar="HOUR", help="last hour (24)")
    parser.add_argument("--seed", type=int, default=1, help="repeats a day exactly (1)")
    parser.add_argument("--json", action="store_true", help="figures only; draws nothing")
    parser.add_argument("--no-plot", action="store_true")
    parser.add_argument("--plot", type=Path, default=Path("docs/province-day.png"), metavar="FILE",
                        help="where (docs/province-day.png)")  # fmt: skip
    chosen = parser.parse_args()
    if not 0 <= chosen.start < chosen.end <= 24:
        parser.error("hours must be 0 ≤ --from < --to ≤ 24")
    if min(chosen.times, chosen.fades, chosen.per_thousand, chosen.room) <= 0:
        parser.error("--times, --fades, --per-thousand and --room must be above 0")
    day = Day(chosen.struck, chosen.at, chosen.times, chosen.fades * 3600, chosen.per_thousand, chosen.room,
              chosen.start * 3600, chosen.end * 3600, chosen.seed)  # fmt: skip
    began = time.monotonic()
    runs = [run(day, overflow=False), run(day, overflow=True)]
    shown = report(day, runs, time.monotonic() - began)
    print(json.dumps(shown, ensure_ascii=False, indent=1) if chosen.json else text(day, runs, shown))
    if not (chosen.json or chosen.no_plot):
        from bench.plot_province import draw

        draw(day, runs, needed(day, PROPOSED.spare), chosen.plot)
        print(chosen.plot)
    kept = runs[1].rates[day.struck].meets_target is not False or not shown["enough_seats_in_the_province"]
    return 0 if kept and not runs[1].twice else 1


if __name__ == "__main__":
    sys.exit(main())
