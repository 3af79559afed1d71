"""The rules and alerts of config/prometheus, on promtool: each alert fires once and stays quiet once, near its edge."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from cti.share import folder
from cti.stack.prometheus import RULES as RULE_FILES
from cti.stack.prometheus import write_configuration
from cti.stack.root import RuntimeRoot
from tests.real.promtool import Case, Promtool, Series, Value

pytestmark = pytest.mark.real

HERE = folder("config") / "prometheus"
RULES, ALERTS = HERE / "rules.yml", HERE / "alerts.yml"
SITE = {"site": "530100"}


def calls(answered: str, abandoned: str, hotline: str = "12345") -> Series:
    """Counters of one hotline."""
    name = f'cti_calls_total{{site="530100",hotline="{hotline}",outcome="%s"}}'
    return {name % "answered": answered, name % "abandoned": abandoned, name % "unasked": "0+50x3000"}


def line(severity: str, **more: str) -> dict[str, str]:
    return {"severity": severity, **SITE, **more}


def one(name: str, values: str, **labels: str) -> Series:
    inner = ",".join(f'{key}="{value}"' for key, value in {**SITE, **labels}.items())
    return {f"{name}{{{inner}}}": values}


WAY = {"first_platform": "12345", "to": "110"}
TRANSFERS = "cti_transfers_total"
HOTLINE = {"hotline": "12345"}
LEDGER = "cti_ledger_events_total"

CASES = [
    # 14.4 x: 2 of 10 answered a minute is 80 % missed, over 72 %. 40 % missed is over 30 %, 25 % is not.
    Case("AnswerRateBurnFast", calls("0+2x40", "0+8x40"), "20m", [line("critical", **HOTLINE)]),
    Case("AnswerRateBurnFast", calls("0+75x40", "0+25x40"), "40m"),
    Case("AnswerRateBurnFast", calls("0+6x90", "0+4x90"), "80m", [line("critical", **HOTLINE)]),
    # An hour as bad, over since ten minutes: the short window is quiet.
    Case("AnswerRateBurnFast", calls("0+6x70 430+10x10", "0+4x70 280x10"), "80m"),
    # All missed, but three calls are no trend.
    Case("AnswerRateBurnFast", calls("0x40", "0x20 1 2 3x18"), "25m"),
    Case("CallerWaitingLong", one("cti_waiting_longest_seconds", "0 30 61 91 121", platform="12345", hotline="12345"),
         "4m", [line("warning", platform="12345", hotline="12345")]),
    Case("CallerWaitingLong", one("cti_waiting_longest_seconds", "0 30 60 60 60", platform="12345", hotline="12345"),
         "4m"),
    Case("UrgentCallbackDue", one("cti_callbacks_open", "0 1x20", priority="high"), "18m", [line("warning")]),
    Case("UrgentCallbackDue", {**one("cti_callbacks_open", "0 1x10 0x9", priority="high"),
                               **one("cti_callbacks_open", "9x20", priority="normal")}, "18m"),
    Case("TransferFailing", {**one(TRANSFERS, "0+2x40", **WAY, outcome="answered", why=""),
                             **one(TRANSFERS, "0+1x40", **WAY, outcome="returned", why="no-answer")},
         "35m", [line("warning", **WAY)]),
    # Refused keys and the agent's own cancel are no failures; one returned of five is 20 %, not more.
    Case("TransferFailing", {**one(TRANSFERS, "0+4x40", **WAY, outcome="answered", why=""),
                             **one(TRANSFERS, "0+1x40", **WAY, outcome="returned", why="no-answer"),
                             **one(TRANSFERS, "0+5x40", **WAY, outcome="refused", why="bounce"),
                             **one(TRANSFERS, "0+5x40", **WAY, outcome="cancelled", why="")}, "35m"),
    Case("TransferUnknown", one(TRANSFERS, "0x3 1x10", **WAY, outcome="unknown", why="no-news"), "8m",
         [line("critical", **WAY)]),
    Case("TransferUnknown", one(TRANSFERS, "1x40", **WAY, outcome="unknown", why="no-news"), "30m"),
    Case("StepsUnexpected", one("cti_anomalies_total", "0x3 1x10", code="late"), "8m", [line("warning")]),
    Case("StepsUnexpected", {**one("cti_anomalies_total", "3x40", code="late"), **one("cti_bad_steps_total", "1x40")},
         "30m"),
    Case("DeadAirFound", one("cti_dialtest_dead_air_calls", "0 0 1", scenario="queue"), "2m",
         [line("critical", scenario="queue")]),
    Case("DeadAirFound", one("cti_dialtest_dead_air_calls", "1 1 0", scenario="queue"), "2m"),
    Case("DialTestFailed", one("cti_dialtest_failed_calls", "0 2 2", scenario="queue"), "2m",
         [line("warning", scenario="queue")]),
    Case("DialTestFailed", one("cti_dialtest_failed_calls", "2 0 0", scenario="queue"), "2m"),
    # promtool's clock begins at 0: it ended 26 h before that, less a minute.
    Case("DialTestStale", one("cti_dialtest_ended_timestamp_seconds", "-93540x5", scenario="queue"), "2m",
         [line("warning", scenario="queue")]),
    Case("DialTestStale", one("cti_dialtest_ended_timestamp_seconds", "-93540x5", scenario="queue"), "59s"),
    Case("NoSeatServes", {**one("cti_seats_serving", "2 0x5", platform="110", kind="general"),
                          **one("cti_seats_serving", "3x6", platform="110", kind="dedicated")}, "4m",
         [line("critical", platform="110")]),
    Case("NoSeatServes", {**one("cti_seats_serving", "2 0 1x4", platform="110", kind="general"),
                          **one("cti_seats_serving", "0x6", platform="110", kind="dedicated")}, "4m"),
    Case("SeatsShort", {**one("cti_waiting_callers", "0 2x9", platform="12345", hotline="12345"),
                        **one("cti_waiting_callers", "0x9", platform="12345", hotline="12329"),
                        **one("cti_seats_free", "0x9", platform="12345", kind="general")}, "5m",
         [line("warning", platform="12345")]),
    Case("SeatsShort", {**one("cti_waiting_callers", "0 2x9", platform="12345", hotline="12345"),
                        **one("cti_seats_free", "0 0 0 1x9", platform="12345", kind="general")}, "5m"),
    Case("CtiDown", one("up", "1 0 0 0", job="cti", instance="a"), "3m",
         [line("critical", job="cti", instance="a")]),
    Case("CtiDown", {**one("up", "1 0 1 1", job="cti", instance="a"), **one("up", "0x4", job="node", instance="a")},
         "3m"),
    Case("CtiAbsent", one("up", "1x9", job="node", instance="a"), "8m", [{"severity": "critical", "job": "cti"}]),
    Case("CtiAbsent", one("up", "0x9", job="cti", instance="a"), "8m"),
    Case("AmiLinkLost", one("cti_ami_up", "1 0 0 0"), "3m", [line("critical")]),
    Case("AmiLinkLost", one("cti_ami_up", "1 0 1 1"), "3m"),
    Case("LedgerAway", one("cti_ledger_up", "1 0 0 0"), "3m", [line("critical")]),
    Case("LedgerAway", one("cti_ledger_up", "1 0 1 1"), "3m"),
    Case("SpoolGrowing", one("cti_spool_facts", "0x3 0+10x12"), "12m", [line("warning")]),
    Case("SpoolGrowing", one("cti_spool_facts", "0x3 500-20x12"), "12m"),
    Case("FactsLost", one(LEDGER, "0x3 2x9", what="lost"), "8m", [line("critical")]),
    Case("FactsLost", one(LEDGER, "0+5x12", what="duplicate"), "8m"),
    Case("LedgerDamaged", one(LEDGER, "0x3 2x9", what="corrupt"), "8m", [line("warning", what="corrupt")]),
    Case("LedgerDamaged", one(LEDGER, "0+5x12", what="duplicate"), "8m"),
    Case("TrunkDown", one("cti_trunk_up", "1 0 0 0", trunk="pstn"), "3m", [line("critical", trunk="pstn")]),
    Case("TrunkDown", one("cti_trunk_up", "1 0 1 1", trunk="pstn"), "3m"),
    Case("RecordingsStopped", one("cti_recordings_writable", "1 0 0 0"), "3m", [line("critical")]),
    Case("RecordingsStopped", one("cti_recordings_writable", "1 0 1 1"), "3m"),
    # 20 GB, 16 MB a minute less: 23 GB a day. Then as much, falling half as fast; then much space, falling as fast.
    Case("RecordingsDiskFilling", one("cti_recordings_free_bytes", "20000000000-16000000x100"), "90m",
         [line("warning")]),
    Case("RecordingsDiskFilling", one("cti_recordings_free_bytes", "20000000000-8000000x100"), "90m"),
    Case("RecordingsDiskFilling", one("cti_recordings_free_bytes", "900000000000-700000000x100"), "90m"),
    Case("RecordingsFailing", one("cti_recordings_total", "0x3 1x9", what="empty"), "8m",
         [line("warning", what="empty")]),
    Case("RecordingsFailing", one("cti_recordings_total", "0+1x12", what="indexed"), "8m"),
]
LONG = [  # computed each 4 minutes: a day each minute would take the test half a minute
    Case("AnswerRateBurnSlow", calls("0+17x400", "0+3x400"), "380m", [line("warning", **HOTLINE)]),
    Case("AnswerRateBurnSlow", calls("0+19x400", "0+1x400"), "380m"),
    Case("AnswerRateUnderTargetDay", calls("0+94x400", "0+6x400"), "24h", [line("warning", **HOTLINE)],
         every="4m"),
    Case("AnswerRateUnderTargetDay", calls("0+95x400", "0+5x400"), "24h", every="4m"),
    # What 30 days add up to is read from a real Prometheus with 30 days in it (test_history): here they are given.
    Case("AnswerRateUnderTargetMonth", {**one("site_hotline:cti_calls_asked:increase30d", "10000x30", **HOTLINE),
                                        **one("site_hotline:cti_calls_answered:increase30d", "9499.6x30", **HOTLINE)},
         "2h", [line("warning", **HOTLINE)], every="5m"),
    Case("AnswerRateUnderTargetMonth", {**one("site_hotline:cti_calls_asked:increase30d", "10000x30", **HOTLINE),
                                        **one("site_hotline:cti_calls_answered:increase30d", "9500x30", **HOTLINE)},
         "2h", every="5m"),
]
VALUES = [
    Value("round(site_hotline:cti_calls_answered:ratio1h, 1e-6)", calls("0+9x100", "0+1x100"), "80m",
          {'{hotline="12345",site="530100"}': 0.9}),
    # Nothing offered: no sample, never 100 %. Who never asked for a person is not in it.
    Value("site_hotline:cti_calls_answered:ratio1h", calls("0x100", "0x100"), "80m", {}),
    # A site's rate is that of its calls, not the mean of its hotlines' rates.
    Value("round(site:cti_calls_answered:ratio1h, 1e-6)",
          {**calls("0+9x100", "0+1x100"), **calls("0x100", "0+10x100", "110")}, "80m",
          {'{site="530100"}': 0.45}),
    # The service restarted after 40 min and counts from 0 again.
    Value("round(site_hotline:cti_calls_answered:ratio1h, 1e-6)", calls("0+9x40 0+9x60", "0+1x40 0+1x60"), "80m",
          {'{hotline="12345",site="530100"}': 0.9}),
    Value("round(site_hotline:cti_calls_asked:increase30d)", calls("0+9x100", "0+1x100"), "80m",
          {'{hotline="12345",site="530100"}': 800}),
    Value("round(site_way:cti_transfer_answer_seconds:p95_1h, 1e-6)",
          {**one("cti_transfer_answer_seconds_bucket", "0+10x100", **WAY, le="10"),
           **one("cti_transfer_answer_seconds_bucket", "0+20x100", **WAY, le="15"),
           **one("cti_transfer_answer_seconds_bucket", "0+20x100", **WAY, le="+Inf")}, "80m",
          {'{first_platform="12345",site="530100",to="110"}': 14.5}),
]  # fmt: skip


@pytest.fixture(scope="module")
def promtool(runtime_root: RuntimeRoot) -> Promtool:
    return Promtool(runtime_root)


def alerts() -> dict[str, dict[str, dict[str, str]]]:
    return {rule["alert"]: rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]}


def chinese(text: str) -> bool:
    return any("一" <= character <= "鿿" for character in text)


def test_the_files_check(promtool: Promtool) -> None:
    assert promtool.run("check", "config", HERE / "prometheus.yml"), promtool.said
    # What recommends itself: no duplicates, names by Prometheus' conventions.
    assert promtool.run("check", "rules", "--lint=all", "--lint-fatal", RULES, ALERTS), promtool.said


def test_every_alert_fires_once_and_stays_quiet_once(promtool: Promtool, tmp_path: Path) -> None:
    write_configuration(HERE, tmp_path, {}, 1.0)  # each group as often as promtool is told, which is cheaper
    rules = [tmp_path / name for name in RULE_FILES]
    assert promtool.holds(tmp_path, rules, [*CASES, *VALUES]), promtool.said
    assert promtool.holds(tmp_path, rules, LONG, step="4m"), promtool.said
    for name in alerts():
        mine = [case for case in [*CASES, *LONG] if case.alert == name]
        assert any(case.fires for case in mine) and any(not case.fires for case in mine), name


def test_a_wrong_expectation_is_noticed(promtool: Promtool, tmp_path: Path) -> None:
    lie = Case("AmiLinkLost", one("cti_ami_up", "1x5"), "3m", [line("critical")])
    assert not promtool.holds(tmp_path, [RULES, ALERTS], [lie]) and "AmiLinkLost" in promtool.said


def test_every_alert_says_what_to_do_in_two_languages() -> None:
    for name, rule in alerts().items():
        assert rule["labels"]["severity"] in ("critical", "warning"), name
        for field in ("summary", "description"):
            zh, slash, en = rule["annotations"][field].rpartition(" / ")
            assert slash and chinese(zh) and not chinese(en), (name, field)
        assert rule["annotations"]["runbook"] == f"docs/operations.md#alert-{name}"
