"""The benches' own arithmetic: figures that mislead are worse than none."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bench import rig
from bench.transfer_report import Run, summary, text

pytestmark = pytest.mark.unit


def run(variant: str, key: float, gap: float, fault: str = "") -> Run:
    return Run(variant, 1, 200.0, key_to_invite_ms=key, gap_ms=gap, silence_ms=gap, alone_ms=gap, cpu_asterisk_ms=20.0,
               cpu_service_ms=5.0, seconds=1.0, fault=fault)  # fmt: skip


@pytest.mark.parametrize(("key", "gap", "bars"), [(4.0, 60.0, [True, True]), (4.1, 20.0, [True, False]),
                                                  (4.0, 60.1, [False, True])])  # fmt: skip
def test_bars_are_judged_by_p99_and_by_the_ratio_of_the_same_run(key: float, gap: float, bars: list[bool]) -> None:
    found = summary([run("dtmf", key, gap), run("refer", 90.0, 800.0), run("blindxfer", 2.0, 500.0)], ["dtmf"])
    assert list(found["bars"].values()) == bars  # type: ignore[attr-defined]


def test_a_failed_run_gives_no_figure_and_a_variant_without_any_is_shown_as_such() -> None:
    runs = [run("dtmf", 4.0, 20.0), run("dtmf", 900.0, 900.0, "the target was not rung"),
            run("atxfer", 1.0, 1.0, "no seat rang"), run("blindxfer", 2.0, 500.0)]  # fmt: skip
    found = summary(runs, ["dtmf"])
    table, ratios = found["variants"], found["ratios_to_blindxfer"]
    assert isinstance(table, dict) and isinstance(ratios, dict)
    assert table["dtmf"]["key_to_invite_ms"] == {"n": 1, "min": 4.0, "median": 4.0, "p99": 4.0, "max": 4.0}
    assert table["atxfer"] == {} and "atxfer" not in ratios
    assert ratios["dtmf"]["key_to_invite_ms_median"] == 2.0
    assert "-" in text(found).splitlines()[2 + list(table).index("atxfer")]


def test_without_a_blind_transfer_in_the_run_there_are_no_ratios() -> None:
    found = summary([run("dtmf", 4.0, 20.0)], ["dtmf"])
    assert found["ratios_to_blindxfer"] == {}
    assert list(found["bars"]) == ["dtmf swap gap p99 <= 60 ms"]  # type: ignore[call-overload]


def test_cpu_of_another_process_is_what_it_says_of_itself() -> None:
    """Threads that have ended are in it: a switch runs a thread a call."""
    work = ("import sys, threading, time\n"
            "def burn():\n"
            "    end = time.thread_time() + 0.2\n"
            "    while time.thread_time() < end: pass\n"
            "one = threading.Thread(target=burn); one.start(); one.join()\n"
            "print(time.process_time(), flush=True); sys.stdin.readline()\n")  # fmt: skip
    with subprocess.Popen([sys.executable, "-c", work], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as process:  # fmt: skip
        assert process.stdout is not None
        said = float(process.stdout.readline())
        seen = rig.cpu_seconds(process.pid)
        process.communicate("\n")
    assert said > 0.2 and said <= seen < said + 0.1
