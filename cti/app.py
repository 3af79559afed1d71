"""One site's service, wired by hand: one task group, ordered start, ordered shutdown.

Knows: every part and how they hang together. Must not know: rules. Start order: state from the ledger, then what
Asterisk wrote meanwhile, then live. The service may be killed at any instant; nothing here runs "on exit" that a
caller needs.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import gc
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import structlog
from panoramisk.message import Message

from cti.ami.actions import AmiError, AmiRefused, AmiTimeout
from cti.ami.client import AmiClient, AmiConfig
from cti.ami.members import Members
from cti.ami.switch import AmiSwitch
from cti.ami.translate import LENT_STEPS, WANTED, BadStep, Step, step_of_message
from cti.catchup import CatchUp, lag_of
from cti.core import events as e
from cti.core.answer_rate import RULE, TARGET_PERCENT, answer_rate
from cti.core.entry import EntryBook, Nuisance
from cti.core.facts import CorruptFact, Fact, FactId
from cti.core.lease_model import Terms
from cti.core.model import CallbackState, Phase
from cti.directory import Directory
from cti.intake import Intake
from cti.ledger.ledger import Ledger
from cti.ledger.stream import StreamAway
from cti.lending.auto import Auto, Now, Past
from cti.lending.desk import Around, LeaseDesk
from cti.lending.letters import Letters
from cti.lending.line import Line
from cti.meters import AgiMeter, AmiMeter, LedgerMeter, RecordingMeter
from cti.metrics import Metrics
from cti.reconcile import Reconcile
from cti.recordings.folder import Folder
from cti.recordings.keeper import Keeper
from cti.routes import line_of, routes, routes_for
from cti.runtime import Runtime
from cti.seating import Seating, initial
from cti.settings import Settings
from cti.web.auth import Tokens
from cti.web.callbacks import CallbacksApi
from cti.web.conferences import ConferencesApi
from cti.web.disputes import DisputesApi
from cti.web.leases import LeasesApi
from cti.web.recordings import RecordingsApi
from cti.web.seats import SeatsApi
from cti.web.server import Api, WebServer
from cti.web.transfers import TransfersApi
from ivr.entry import make_entry
from ivr.login import make_login
from ivr.server import AgiLimits, FastAgiServer

log = structlog.get_logger(__name__)

DAY_US = 86_400_000_000
SHANGHAI = dt.timezone(dt.timedelta(hours=8), "Asia/Shanghai")
POLL_S = 2.0
ADOPT_S = 10.0
"""given to Redis at the start to begin telling the last day, and between two facts of it"""
MERGE_S = 1.0
"""between two looks whether Redis is back, when it was away at the start"""


def now_us() -> int:
    """The service's clock: µs since the epoch, UTC."""
    return time.time_ns() // 1000


def hour() -> dt.time:
    """The site's local time of day: which targets serve now."""
    return dt.datetime.now(SHANGHAI).time()


def entry_book(directory: Directory) -> EntryBook:
    """What the entry of a call needs of the directory."""
    return EntryBook(
        hotlines={h.number: h.division for h in directory.hotlines},
        nuisances=tuple(Nuisance(n.number, n.until, n.reason) for n in directory.nuisance),
        police=frozenset(h.number for h in directory.hotlines if h.platform == "110"),
        priority_110=max((h.priority for h in directory.hotlines if h.platform == "110"), default=10),
        priority_12345=min((h.priority for h in directory.hotlines if h.platform == "12345"), default=0),
    )


def around(site: str, directory: Directory) -> Around:
    """What lending needs of the directory."""
    return Around(
        site=site,
        lendable={s.number: s.platform for s in directory.seats if s.kind == "general"},
        lines={p: line_of(p, "general", directory) for p in directory.platforms},
        penalties={s.code: s.penalty for s in directory.sites if s.code != site},
    )


def terms(settings: Settings) -> Terms:
    """Of a lease, in µs."""
    lending = settings.lending
    return Terms(lending.minutes * 60_000_000, int(lending.skew * 1e6), int(lending.ring * 1e6), int(lending.ask * 1e6))


class Service:
    """Build it, then `await run()` until cancelled."""

    def __init__(self, settings: Settings, directory: Directory) -> None:
        self.settings, self.directory = settings, directory
        self.metrics = Metrics()
        ami_meter = AmiMeter(self.metrics)
        self.ledger = Ledger(
            settings.site.code, settings.redis.url, settings.paths.spool,
            now_ms=lambda: time.time_ns() // 1_000_000, meter=LedgerMeter(self.metrics),
            redis_timeout=settings.timers.redis)  # fmt: skip
        ami = settings.ami
        self.ami = AmiClient(
            AmiConfig(ami.host, ami.port, ami.username, ami.read_secret() or "",
                      ping_interval=settings.timers.ping, action_timeout=settings.timers.action,
                      connect_timeout=settings.timers.connect, backoff_max=settings.timers.reconnect_max),
            wanted=WANTED, on_event=self._on_message, on_up=self._on_up, on_down=self._on_down,
            meter=ami_meter)  # fmt: skip
        self.seating = seating = Seating(directory, self.metrics)
        seating.members = Members(self.ami, seating.wanted, seating.barred, seating.lines, seating.dedicated)
        self.switch = AmiSwitch(
            self.ami, lambda division: routes_for(directory, division, hour(), self.unreachable),
            ami_meter, now_us, seating.members)  # fmt: skip
        self.runtime = Runtime(self.ledger, self.switch, self.metrics, now_us, lambda: self.intake.heard_until,
                               initial(directory))  # fmt: skip
        seating.runtime = self.runtime
        self.metrics.kinds = {s.number: (s.platform, s.kind) for s in directory.seats}
        self.catchup = CatchUp(
            settings.cel.path, self._tell_row, self._bad_row,
            lambda: self.ledger.read_checkpoint("cel"), lambda text: self.ledger.checkpoint("cel", text),
            live=lambda: self.intake.complete and self.ami.connected, backlog=lambda: self.runtime.backlog,
            lag_s=lag_of(settings.timers.ping, settings.timers.action))  # fmt: skip
        self.intake = Intake(self.catchup, self._tell_live, self._bad, now_us)
        self.reconcile = Reconcile(
            self.ami, lambda: self.runtime.site, lambda: self.runtime.backlog, self._tell_own, now_us)  # fmt: skip
        recording = settings.recording
        self.recordings = Folder(recording.path)
        self.keeper = Keeper(
            self.recordings, recording.enabled, recording.min_free_mb << 20, recording.keep_days,
            lambda: self.runtime.site, self._on_record, lambda: self.intake.complete, now_us,
            RecordingMeter(self.metrics))  # fmt: skip
        book = entry_book(directory)
        self.agi = FastAgiServer(
            settings.agi.host, settings.agi.port,
            {"entry": make_entry(lambda: book, lambda: dt.datetime.now(SHANGHAI).date()),
             "login": make_login(lambda seat, agent, pin: seating.log_in(seat, agent, pin, "phone", now_us()))},
            limits=AgiLimits(sessions=settings.agi.max_sessions), meter=AgiMeter(self.metrics))  # fmt: skip
        self.letters = Letters(settings.site.code, settings.redis.url, timeout=settings.timers.redis)
        self.leases = LeaseDesk(
            around(settings.site.code, directory), Line(self.ami, seating.lend), self.letters, self.ledger,
            settings.paths.state / "leases.json", terms(settings), now_us)  # fmt: skip
        self.web = WebServer(settings.http.host, settings.http.port, self.metrics.registry, self.links, self.status,
                             self._apis())
        self.started_at = now_us()
        self.devices: dict[str, str] = {}
        self._published: dict[tuple[str, str, bool], str] = {}

    async def run(self) -> None:
        """Until cancelled. Raises what no part could mend (a port in use, an unreadable state)."""
        self.settings.paths.state.mkdir(parents=True, exist_ok=True)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.ledger.run())
            self.seating.known = adopted = await self._adopt()
            if not adopted:
                self.intake.since = await self._first_us(0)
            # What is there for good (modules, classes, the last day) is never walked again for cycles: that stopped
            # the loop for 40-60 ms, in the middle of a key as well.
            gc.collect()
            gc.freeze()
            for part in (self.runtime, self.agi, self.web, self.ami):
                group.create_task(part.run())
            group.create_task(self.catchup.keep_checkpoint())
            group.create_task(self.intake.run())
            group.create_task(self.reconcile.run(lambda: self.intake.complete))
            group.create_task(self._poll())
            group.create_task(self.leases.run())
            if self.settings.lending.auto:
                group.create_task(self._overflow().run())
            group.create_task(self.keeper.run())
            group.create_task(self.seating.keep(lambda: self.intake.complete, now_us))
            if not adopted:
                group.create_task(self._merge())
            log.info("service_started", site=self.settings.site.code, calls=len(self.runtime.site.calls))

    def _overflow(self) -> Auto:
        """The automatic rule, of the line of 12345."""
        site, settings = self.directory.site(self.settings.site.code), self.settings
        hotline = next((h.number for h in self.directory.hotlines if h.platform == "12345"), "12345")
        seats = [s.number for s in self.directory.seats_of("12345", "general")]
        past = Past(hotline)
        self.runtime.listeners.append(past.saw)

        def looks() -> Now:
            calls = self.runtime.site.calls.values()
            waiting = sum(c.phase is Phase.QUEUED and c.hotline == hotline for c in calls)
            return Now({seat: self.devices.get(seat, "") for seat in seats}, waiting)

        others = [s.code for s in self.directory.sites if s.code != settings.site.code]
        place = (site.place if site else None) or (0.0, 0.0)
        return Auto(self.leases, self.letters, past, others, place, looks, now_us,
                    every_s=settings.lending.every, minutes=settings.lending.minutes)  # fmt: skip

    def _apis(self) -> Sequence[Api]:
        tokens = Tokens(self.settings.http.read_secret())
        return (
            TransfersApi(self.runtime, tokens, self.directory, now_us),
            ConferencesApi(self.runtime, tokens, self.directory),
            RecordingsApi(self.recordings, self.keeper, self._on_record, tokens, now_us),
            LeasesApi(self.leases, tokens, self.directory),
            DisputesApi(tokens, self._decisions, now_us),
            SeatsApi(self.runtime, tokens, self.seating, self._seat_rows, now_us),
            CallbacksApi(self.runtime, tokens, self.directory, now_us),
        )

    async def _decisions(self, since_ms: int) -> list[Fact]:
        try:
            return await self.ledger.decisions(since_ms)
        except StreamAway as why:
            raise ConnectionError(str(why)) from None

    def _seat_rows(self, only: str = "") -> list[dict[str, Any]]:
        talking = {c.seat for c in self.runtime.site.calls.values() if c.phase == "talking"}
        return self.seating.rows(self.devices, talking, only)

    async def close(self) -> None:
        """After `run`: what was begun is finished, files and links are closed."""
        await self.ledger.aclose()
        await self.letters.close()

    async def _adopt(self) -> bool:
        """The last day from the ledger. False, Redis away: start without; the day is read from Asterisk's file."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ADOPT_S) as limit:
                while True:
                    try:
                        await self.runtime.adopt(self._last_day(limit))
                        return True
                    except StreamAway:
                        await asyncio.sleep(0.1)
        log.warning("ledger_away_at_start", cure="is Redis running? facts go to the spool meanwhile")
        return False

    async def _last_day(self, limit: asyncio.Timeout | None = None) -> AsyncIterator[Fact | CorruptFact]:
        """Facts of the day before the ledger's newest one, or of the last 24 h; each puts ``limit`` off."""
        clock = asyncio.get_running_loop().time
        first = FactId(await self._first_us((await self.ledger.top()).ms) // 1000, 0)
        async for _, fact in self.ledger.since(first):
            if limit is not None:
                limit.reschedule(clock() + ADOPT_S)
            yield fact

    async def _first_us(self, newest_ms: int) -> int:
        """A day before we last knew everything: calls in progress then began after that."""
        known = newest_ms or await self.ledger.checkpoint_ms("cel")
        return min(now_us(), known * 1000 if known else now_us()) - DAY_US

    async def _merge(self) -> None:
        """Redis was away at the start: once it is back, what only it knew (ended calls, keys) joins what we know."""
        while True:
            await asyncio.sleep(MERGE_S)
            if self.ledger.link_up:
                with contextlib.suppress(StreamAway):
                    await self.runtime.adopt(self._last_day())
                    self.seating.known = True
                    with contextlib.suppress(AmiError):
                        await self.seating.agree(now_us())
                    log.info("ledger_merged", calls=len(self.runtime.site.calls))
                    return

    # -- from Asterisk -------------------------------------------------------------------------------------------------
    def _on_message(self, message: Message) -> None:
        step = step_of_message(message)
        if isinstance(step, Step) and step.name in LENT_STEPS:
            self.leases.note(step.name, step.at, step.key, step.extra)
        elif step is not None:
            self.intake.step(step)

    def _on_down(self, why: str) -> None:
        self.intake.link_down()

    async def _on_up(self) -> None:
        """The link is up: lay the routes, read what was missed, then go live, in the order it happened."""
        self._published = {}
        await self.switch.forget_routes()  # a division that has left config/ must not keep its old route
        await self._publish()
        self.leases.link_up()
        await self.intake.link_up()
        with contextlib.suppress(AmiTimeout, AmiRefused):  # looked at again within the minute
            await self.seating.agree(now_us())

    async def _publish(self) -> None:
        """The routes of this hour into AstDB, whom Asterisk cannot reach last; keys find them with or without us."""
        wanted = routes(self.directory, hour(), self.unreachable)
        changed = {key: text for key, text in wanted.items() if self._published.get(key) != text}
        await self.switch.publish(changed)
        self._published |= changed

    @property
    def unreachable(self) -> frozenset[str]:
        """Seats and trunks that Asterisk's last answer calls UNAVAILABLE; one it does not know counts as well."""
        return frozenset(name for name, state in self.devices.items() if state == "UNAVAILABLE")

    def _tell_live(self, event: e.Event, key: str) -> None:
        self.runtime.hear(event, "live", key)

    def _tell_row(self, event: e.Event, key: str) -> None:
        self.runtime.hear(event, "cel", key)

    def _tell_own(self, event: e.Event, key: str) -> None:
        self.runtime.hear(event, "service", key)

    async def _on_record(self, event: e.Event, key: str) -> object:
        return await self.runtime.ask(lambda _: event, key)

    def _bad_row(self, what: str) -> None:
        if what == "checkpoint":
            self.metrics.ledger_events.labels("checkpoint_failed").inc()
        else:
            self.metrics.bad_steps.inc()

    def _bad(self, step: BadStep) -> None:
        self.metrics.bad_steps.inc()
        log.warning("step_unreadable", step=step.name, why=step.why)

    # -- to whoever looks ----------------------------------------------------------------------------------------------
    def links(self) -> Mapping[str, bool]:
        """Which outsides answer."""
        return {"asterisk": self.ami.connected, "ledger": self.ledger.link_up, "agi": self.agi.ready.is_set()}

    def status(self) -> Mapping[str, object]:
        """What `cti status` shows; every figure with its rule. Times are ISO, Asia/Shanghai."""
        now = now_us()
        memory, since = self.runtime.memory, now - DAY_US
        ended = memory.ended.since(since)
        rate = answer_rate(ended, since, now + 1)
        return {
            "site": self.settings.site.code,
            "name": self.settings.site.name.zh,
            "now": dt.datetime.now(SHANGHAI).isoformat(timespec="seconds"),
            "links": dict(self.links()),
            "spool": self.ledger.backlog,
            "window": "24h",
            "offered": rate.offered,
            "answered": rate.answered,
            "abandoned": rate.abandoned,
            "timed_out": rate.timed_out,
            "refused": rate.refused,
            "callback": rate.callback,
            "callbacks_open": self._callbacks(),
            "answer_rate": rate.text,
            "target_percent": TARGET_PERCENT,
            "meets_target": rate.meets_target,
            "rule": RULE,
            "hotlines": {
                h.number: {
                    "name": h.name.zh,
                    "answer_rate": (r := answer_rate(ended, since, now + 1, h.number)).text,
                    "offered": r.offered,
                    "answered": r.answered,
                }
                for h in self.directory.hotlines
            },
            "transfers": [
                {"from": a, "to": b, "outcome": outcome, "count": count}
                for (a, b, outcome), count in sorted(memory.transfers_since(since).items())
            ],
            "live": dict(Counter(str(c.phase) for c in self.runtime.site.calls.values() if c.phase != "ended")),
            "calls": [
                {
                    "ref": c.ref, "hotline": c.hotline, "phase": str(c.phase), "seat": c.seat, "seconds":
                    (now - c.arrived_at) // 1_000_000, "transfer": str(c.transfer.state) if c.transfer else "",
                    "to": c.transfer.to if c.transfer else "", "division": c.division,
                }
                for c in self.runtime.site.calls.values() if c.phase != "ended"
            ],
            "seats": self._seat_rows(),
            "dedicated": self.seating.handled(since),
            "anomalies": len(memory.anomalies.since(since)),
        }  # fmt: skip

    def _callbacks(self) -> dict[str, int]:
        """Open callback tasks by priority."""
        open_ones = (t for t in self.runtime.site.callbacks.values() if t.state is not CallbackState.ENDED)
        return dict(Counter(task.priority for task in open_ones))

    async def _poll(self) -> None:
        """Seats and trunks as Asterisk sees them, the routes that follow from it, and the gauges."""
        while True:
            asked = now_us()
            if states := await self.switch.device_states():
                self.devices = states
                self.intake.proven(asked)
            if self._published and self.ami.connected:
                with contextlib.suppress(AmiError):  # the link's own end is told elsewhere; it publishes all anew
                    await self._publish()
            self.metrics.ami_up.set(self.ami.connected)
            phases = Counter(c.phase for c in self.runtime.site.calls.values())
            for phase in Phase:
                if phase is not Phase.ENDED:
                    self.metrics.live_calls.labels(str(phase)).set(phases[phase])
            rows = self._seat_rows()
            for gauge, part in ((self.metrics.seats, "state"), (self.metrics.seat_status, "status")):
                gauge.clear()
                for labels, count in Counter((r["platform"], r["kind"], r[part]) for r in rows).items():
                    gauge.labels(*labels).set(count)
            waiting = self._callbacks()
            for priority in ("high", "normal"):
                self.metrics.callbacks_open.labels(priority).set(waiting.get(priority, 0))
            self.metrics.leases.clear()
            for lease in self.leases.leases():
                if lease.open:
                    self.metrics.leases.labels(str(lease.side), str(lease.state)).inc()
            await asyncio.sleep(POLL_S)
