"""Every metric on one page: name, unit, labels, buckets. Labels are low-cardinality; never a number, never an id.

Knows: prometheus_client. Must not know: who counts. Bounds include exactly 5, 10, 15, 20, 30 s (DOMAIN.md).

An *exemplar* beside a count names one call by its correlation id (label ``ref``), so that from a point in a graph one
gets to `cti trace`; it is told to who asks for OpenMetrics. An id is the site's code and Asterisk's own counter, never
a caller's number; what does not look like one is left out.

What can be counted is there from the start, as 0 (`prepare`): a rate over a series that begins at 1 would miss the 1.
"""

from __future__ import annotations

from collections import Counter as Counter_
from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from cti.core.facts import Fact, published
from cti.core.ids import is_ref
from cti.core.model import Outcome

WAIT_BOUNDS = (1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0)
QUICK_BOUNDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0)


DRILLED = frozenset({"CallEnded", "TransferEnded", "ConferenceDecided", "CallbackEnded"})
"""a drill's records that are counted by themselves"""
CALL_OUTCOMES = ("answered", "abandoned", "callback", "timeout", "refused", "unasked", "called-back")
LEDGER_TROUBLES = ("duplicate", "lost", "conflict", "corrupt", "checkpoint_failed")
RECORDING_ENDS = ("indexed", "no-file", "empty", "not-ours", "unanswered", "deleted", "failed")
CONFERENCE = frozenset({"ConferenceOpened", "ConferenceDecided", "DecisionDisputed", "MemberJoined", "MemberFailed"})


class Metrics:
    """One registry per service. Implements the meters the runtime, AMI client, ledger and FastAGI server ask for."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        ProcessCollector(registry=r)  # memory, file descriptors, processor time, start
        self.calls = Counter(
            "cti_calls_total", "ended calls by outcome (answered, abandoned, callback, timeout, refused, unasked, "
            "called-back)",
            ("hotline", "outcome"), registry=r)  # fmt: skip
        self.wait = Histogram(
            "cti_answer_wait_seconds", "from asking for a person to the person's answer",
            ("hotline",), buckets=WAIT_BOUNDS, registry=r)  # fmt: skip
        self.not_served = Counter(
            "cti_not_served_total", "callers told that nobody can take the call (TIMEOUT, FULL, CLOSED, LINES…)",
            ("hotline", "why"), registry=r)  # fmt: skip
        self.overflows = Counter(
            "cti_overflows_total", "callers passed on to another line (TIMEOUT, FULL, CLOSED)",
            ("line", "to", "why"), registry=r)  # fmt: skip
        self.callbacks = Counter(
            "cti_callbacks_total", "ended callback tasks by result (cti.core.callbacks.RESULTS)",
            ("hotline", "result"), registry=r)  # fmt: skip
        self.callbacks_open = Gauge("cti_callbacks_open", "callback tasks not ended", ("priority",), registry=r)
        self.transfers = Counter(
            "cti_transfers_total", "ended transfers (answered, returned, abandoned, cancelled, refused, unknown)",
            ("first_platform", "to", "outcome", "why"), registry=r)  # fmt: skip
        self.transfer_answer = Histogram(
            "cti_transfer_answer_seconds", "from the key to a person's answer at the target",
            ("first_platform", "to"), buckets=WAIT_BOUNDS, registry=r)  # fmt: skip
        self.conferences = Counter(
            "cti_conferences_total", "three-party calls opened", ("first_platform",), registry=r)
        self.conference_join = Histogram(
            "cti_conference_join_seconds", "from the key until all three hear each other",
            ("first_platform",), buckets=WAIT_BOUNDS, registry=r)  # fmt: skip
        self.decisions = Counter(
            "cti_conference_decisions_total", "outcome: chosen, guidance, undecided, disagreement; "
            "basis: chosen, first-receiver, danger",
            ("first_platform", "outcome", "basis"), registry=r)  # fmt: skip
        self.disputes = Counter(
            "cti_conference_disputes_total", "disagreements, and contrary words after a decision",
            ("kind",), registry=r)  # fmt: skip
        self.members = Counter(
            "cti_conference_members_total", "fourth members (joined, failed)", ("outcome",), registry=r)
        self.facts = Counter("cti_ledger_facts_total", "facts appended", ("source",), registry=r)
        self.anomalies = Counter("cti_anomalies_total", "steps the core did not expect", ("code",), registry=r)
        self.bad_steps = Counter("cti_bad_steps_total", "steps of the dialplan that do not read", registry=r)
        self.commands = Counter(
            "cti_commands_total", "commands to Asterisk", ("command", "result"), registry=r)  # fmt: skip
        self.ami_up = Gauge("cti_ami_up", "1 while the AMI link is logged in", registry=r)
        self.ami_events = Counter("cti_ami_events_total", "AMI messages", ("what",), registry=r)
        self.ledger_up = Gauge("cti_ledger_up", "1 while Redis answers", registry=r)
        self.spool = Gauge("cti_spool_facts", "facts waiting on local disk for Redis", registry=r)
        self.ledger_events = Counter(
            "cti_ledger_events_total", "facts: duplicate, lost, conflict, corrupt; checkpoint_failed",
            ("what",), registry=r)  # fmt: skip
        self.agi_sessions = Counter(
            "cti_agi_sessions_total", "FastAGI sessions by end", ("script", "outcome"), registry=r)  # fmt: skip
        self.agi_seconds = Histogram(
            "cti_agi_session_seconds", "FastAGI session, start to end",
            ("script",), buckets=QUICK_BOUNDS, registry=r)  # fmt: skip
        self.agi_faults = Counter("cti_agi_faults_total", "FastAGI peers' faults", ("kind",), registry=r)
        self.ledger_append = Histogram(
            "cti_ledger_append_seconds", "until a batch of facts was durable",
            ("where",), buckets=QUICK_BOUNDS, registry=r)  # fmt: skip
        self.spool_bytes = Gauge("cti_spool_bytes", "size of what waits on local disk", registry=r)
        self.recordings = Counter(
            "cti_recordings_total", "recordings: indexed, no-file, empty, not-ours, unanswered, deleted, failed",
            ("what",), registry=r)  # fmt: skip
        self.recordings_free = Gauge("cti_recordings_free_bytes", "free on the recordings' disk", registry=r)
        self.recordings_fit = Gauge(
            "cti_recordings_writable", "1 while recordings can be written and their disk has recording.min_free_mb",
            registry=r)  # fmt: skip
        self.live_calls = Gauge("cti_live_calls", "callers by where they are", ("phase",), registry=r)
        self.waiting = Gauge(
            "cti_waiting_callers", "callers waiting in line for a person", ("platform", "hotline"), registry=r)
        self.longest = Gauge(
            "cti_waiting_longest_seconds", "how long the one who came first has been waiting; 0: nobody",
            ("platform", "hotline"), registry=r)  # fmt: skip
        self.trunks = Gauge("cti_trunk_up", "1 while Asterisk reaches the trunk, or does not check it", ("trunk",),
                            registry=r)  # fmt: skip
        self.seats_free = Gauge(
            "cti_seats_free", "seats that are ready and idle: the next call can ring there", ("platform", "kind"),
            registry=r)  # fmt: skip
        self.seats_serving = Gauge(
            "cti_seats_serving", "seats that take calls: ready or in wrap-up, and their phone is reachable",
            ("platform", "kind"), registry=r)  # fmt: skip
        self.seats = Gauge("cti_seats", "seats by observed state", ("platform", "kind", "state"), registry=r)
        self.seat_status = Gauge(
            "cti_seat_status", "seats by declared status (out, ready, paused, wrap-up, training, lent)",
            ("platform", "kind", "status"), registry=r)  # fmt: skip
        self.seat_changes = Counter(
            "cti_seat_changes_total", "changes of a seat's status", ("platform", "status", "reason"), registry=r
        )
        self.seat_misses = Counter("cti_seat_misses_total", "rings nobody answered", ("platform", "kind"), registry=r)
        self.seats_resynced = Counter(
            "cti_seats_resynced_total", "seats whose waiting lines had to be put right", registry=r)  # fmt: skip
        self.logins_refused = Counter("cti_logins_refused_total", "log-ins refused", ("code",), registry=r)
        self.dedicated_refused = Counter(
            "cti_dedicated_refused_total", "calls kept from dedicated seats (direct, general-queue)",
            ("code",), registry=r)  # fmt: skip
        self.handled = Counter(
            "cti_handed_over_total",
            "answered transfers from the other platform, by who took them: dedicated, general, outside",
            ("to", "by"), registry=r)  # fmt: skip
        self.kinds: Mapping[str, tuple[str, str]] = {}
        """seat → platform, kind; the directory's"""
        self.calls_from = 0
        """calls that ended sooner (µs) were counted before this start"""
        self.notices = Counter(
            "cti_nuisance_notices_total", "listed callers: told (heard the notice), key (pressed through), stayed",
            ("what",), registry=r)  # fmt: skip
        self.proposals = Counter(
            "cti_nuisance_proposals_total", "proposals for the nuisance list, by whom (person, rule)",
            ("by",), registry=r)  # fmt: skip
        self.nuisance_ended = Counter(
            "cti_nuisance_ended_total", "entries ended: expired, lapsed, rejected, removed, appeal",
            ("how",), registry=r)  # fmt: skip
        self.nuisance_entries = Gauge(
            "cti_nuisance_entries", "entries of the nuisance list (proposed, listed, appealed)",
            ("state",), registry=r)  # fmt: skip
        self.leases = Gauge("cti_leases", "open seat leases by side and state", ("side", "state"), registry=r)
        self.plans = Gauge("cti_plans_running", "emergency plans that run", ("drill",), registry=r)
        self.duties = Counter(
            "cti_plan_duties_total", "duty phones of emergency plans by end (acknowledged, unreached, stopped)",
            ("plan", "drill", "result"), registry=r)  # fmt: skip
        self.drills = Counter(
            "cti_drill_records_total", "records of drills' calls, which no other figure counts, by kind and outcome",
            ("kind", "outcome"), registry=r)  # fmt: skip

    def prepare(self, hotlines: Iterable[str], platforms: Iterable[str]) -> None:
        """Every count of these that can come begins at 0."""
        platforms = tuple(platforms)
        for hotline in hotlines:
            self.wait.labels(hotline)
            for outcome in CALL_OUTCOMES:
                self.calls.labels(hotline, outcome)
            for to in platforms:
                self.transfer_answer.labels(hotline, to)
                for end in Outcome:
                    if end is not Outcome.NONE:
                        self.transfers.labels(hotline, to, str(end), "")
            self.conferences.labels(hotline)
            self.conference_join.labels(hotline)
        for what in LEDGER_TROUBLES:
            self.ledger_events.labels(what)
        for what in RECORDING_ENDS:
            self.recordings.labels(what)

    def calls_counted(self) -> Counter_[tuple[str, str]]:
        """`cti_calls_total` by hotline and outcome."""
        return Counter_({
            (one.labels["hotline"], one.labels["outcome"]): int(one.value)
            for family in self.calls.collect() for one in family.samples if one.name == "cti_calls_total"
        })  # fmt: skip

    def count_calls(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Set it to these: it goes on where it was (`cti.counting`)."""
        prepared = self.calls_counted().keys() | counts.keys()
        self.calls.clear()
        for labels in prepared:
            self.calls.labels(*labels).inc(counts.get(labels, 0))

    def saw(self, fact: Fact) -> None:
        """Count one fact (`cti.ports.Meter`)."""
        self.facts.labels(fact.source).inc()
        data, ref = fact.data, exemplar(fact)
        if fact.kind == "DutyEnded":
            drill = "yes" if data.get("drill") else "no"
            self.duties.labels(str(data["plan"]), drill, str(data["result"])).inc()
        elif not published(fact):
            if fact.kind in DRILLED:
                self.drills.labels(fact.kind, str(data.get("outcome", data.get("result", "")))).inc()
        elif fact.kind == "CallEnded":
            if fact.at < self.calls_from:
                return
            hotline = str(data["hotline"])
            self.calls.labels(hotline, str(data["outcome"])).inc(1, ref)
            if data["outcome"] == "answered":
                self.wait.labels(hotline).observe(int(str(data["wait_ms"])) / 1000, ref)
            elif data["outcome"] in ("timeout", "refused"):
                self.not_served.labels(hotline, str(data.get("why", ""))).inc(1, ref)
        elif fact.kind == "CallerOverflowed":
            self.overflows.labels(str(data["line"]), str(data["to"]), str(data["why"])).inc(1, ref)
        elif fact.kind == "CallbackEnded":
            self.callbacks.labels(str(data["hotline"]), str(data["result"])).inc(1, ref)
        elif fact.kind == "TransferEnded":
            way = (str(data["first_platform"]), str(data["to"]))
            self.transfers.labels(*way, str(data["outcome"]), str(data["why"])).inc(1, ref)
            if int(str(data["answer_ms"])) >= 0:
                self.transfer_answer.labels(*way).observe(int(str(data["answer_ms"])) / 1000, ref)
            if data["outcome"] == "answered" and self.kinds.get(str(data.get("seat", "")), ("", ""))[0] != way[1]:
                self.handled.labels(way[1], self.kinds.get(str(data.get("target", "")), ("", "outside"))[1]).inc()
        elif fact.kind == "SeatStatus":
            platform, _ = self.kinds.get(str(data["seat"]), ("", ""))
            self.seat_changes.labels(platform, str(data["status"]), str(data["reason"])).inc()
        elif fact.kind == "RingMissed":
            self.seat_misses.labels(*self.kinds.get(str(data["seat"]), ("", ""))).inc()
        elif fact.kind == "SeatLoginRefused":
            self.logins_refused.labels(str(data["code"])).inc()
        elif fact.kind == "DedicatedRefused":
            self.dedicated_refused.labels(str(data["code"])).inc()
        elif "Nuisance" in fact.kind:
            self._nuisance(fact)
        elif fact.kind in CONFERENCE:
            self._conference(fact)
        elif fact.kind == "Anomaly":
            self.anomalies.labels(str(data["code"])).inc(1, ref)

    def _nuisance(self, fact: Fact) -> None:
        match fact.kind:
            case "NuisanceTold":
                self.notices.labels("told").inc()
            case "NuisancePassed":
                self.notices.labels("key" if fact.data["how"] == "key" else "stayed").inc()
            case "NuisanceProposed":
                self.proposals.labels("rule" if fact.data["rule"] else "person").inc()
            case "NuisanceEnded":
                self.nuisance_ended.labels(str(fact.data["how"])).inc()

    def _conference(self, fact: Fact) -> None:
        data = fact.data
        match fact.kind:
            case "ConferenceOpened":
                self.conferences.labels(str(data["first_platform"])).inc()
                self.conference_join.labels(str(data["first_platform"])).observe(
                    int(str(data["key_ms"])) / 1000, exemplar(fact))
            case "ConferenceDecided":
                self.decisions.labels(str(data["first_platform"]), str(data["outcome"]), str(data["basis"])).inc()
                if data["disputed"]:
                    self.disputes.labels("disagreement").inc()
            case "DecisionDisputed":
                self.disputes.labels("contrary").inc()
            case "MemberJoined" | "MemberFailed":
                self.members.labels("joined" if fact.kind == "MemberJoined" else "failed").inc()


def exemplar(fact: Fact) -> dict[str, str] | None:
    """What names the fact's call beside a count: its correlation id, or nothing where that is none of ours."""
    return {"ref": fact.ref} if is_ref(fact.ref) else None
