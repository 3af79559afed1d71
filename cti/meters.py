"""What each shell counts, onto the one page of metrics. Knows: the shells' small meter protocols by shape.

Must not know: the shells themselves; every method is quick and raises nothing, as the protocols ask.
"""

from __future__ import annotations

from cti.metrics import Metrics


class AmiMeter:
    """`cti.ami.client.AmiMeter` and `cti.ami.switch.SwitchMeter`."""

    def __init__(self, metrics: Metrics) -> None:
        self._m = metrics

    def ami_events(self, what: str, count: int = 1) -> None:
        """AMI messages and incidents by kind."""
        self._m.ami_events.labels(what).inc(count)

    def command(self, name: str, result: str) -> None:
        """A command to Asterisk, by result."""
        self._m.commands.labels(name, result).inc()


class LedgerMeter:
    """`cti.ledger.meter.LedgerMeter`."""

    def __init__(self, metrics: Metrics) -> None:
        self._m = metrics

    def appended(self, where: str, facts: int, seconds: float) -> None:
        """Durable, in Redis or in the spool."""
        self._m.ledger_append.labels(where).observe(seconds)

    def counted(self, what: str, facts: int) -> None:
        """duplicate | lost | conflict | corrupt."""
        self._m.ledger_events.labels(what).inc(facts)

    def backlog(self, facts: int, size: int) -> None:
        """What waits on the local disk."""
        self._m.spool.set(facts)
        self._m.spool_bytes.set(size)

    def link(self, up: bool) -> None:
        """Redis reached or lost."""
        self._m.ledger_up.set(up)


class AgiMeter:
    """`ivr.server.AgiMeter`."""

    def __init__(self, metrics: Metrics) -> None:
        self._m = metrics

    def session_ended(self, script: str, outcome: str, seconds: float) -> None:
        """A session by script and end."""
        self._m.agi_sessions.labels(script, outcome).inc()
        self._m.agi_seconds.labels(script).observe(seconds)

    def fault(self, kind: str) -> None:
        """A peer's fault, by kind."""
        self._m.agi_faults.labels(str(kind)).inc()


class RecordingMeter:
    """`cti.recordings.keeper.Meter`."""

    def __init__(self, metrics: Metrics) -> None:
        self._m = metrics

    def recording(self, what: str) -> None:
        """A recording, by what became of it."""
        self._m.recordings.labels(what).inc()

    def recording_disk(self, free: int, fit: bool) -> None:
        """The recordings' disk."""
        self._m.recordings_free.set(free)
        self._m.recordings_fit.set(fit)
