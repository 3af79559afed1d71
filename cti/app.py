"""One site's service, wired by hand: one task group, ordered start, ordered shutdown.

Knows: every part and how they hang together. Must not know: rules. Start order: state from the ledger, then what
Asterisk wrote meanwhile, then live. The service may be killed at any instant; nothing here runs "on exit" that a
caller needs.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from panoramisk.message import Message

from cti.ami.actions import AmiError, AmiRefused, AmiTimeout
from cti.ami.client import AmiClient, AmiConfig
from cti.ami.members import Members
from cti.ami.plans import PlanSwitch
from cti.ami.switch import AmiSwitch
from cti.ami.translate import LENT_STEPS, WANTED, BadStep, Step, step_of_message
from cti.borrowing import PlanSeats, around, rule, terms
from cti.catchup import CatchUp, lag_of
from cti.clock import local, now_us
from cti.core import events as e
from cti.core.entry import EntryBook, Nuisance
from cti.core.facts import Fact
from cti.core.rate_report import Asked
from cti.counting import KeptCounts
from cti.directory import Directory
from cti.history import History
from cti.intake import Intake
from cti.ledger.days import Days
from cti.ledger.ledger import Ledger
from cti.ledger.stream import StreamAway
from cti.lending.desk import LeaseDesk
from cti.lending.letters import Letters
from cti.lending.line import Line
from cti.meters import AgiMeter, AmiMeter, LedgerMeter, RecordingMeter
from cti.metrics import Metrics
from cti.notify import keep_told
from cti.nuisance import NuisanceList
from cti.overview import Overview
from cti.planning import Planning
from cti.probes import FOLDER, Probes
from cti.reconcile import Reconcile
from cti.recordings.folder import Folder
from cti.recordings.keeper import Keeper
from cti.routes import routes, routes_for
from cti.runtime import Runtime
from cti.seating import Seating, initial
from cti.settings import Settings
from cti.web.answer_rate import AnswerRateApi
from cti.web.auth import Tokens
from cti.web.callbacks import CallbacksApi
from cti.web.conferences import ConferencesApi
from cti.web.dialplan import DialplanApi
from cti.web.disputes import DisputesApi
from cti.web.exports import ExportsApi
from cti.web.leases import LeasesApi
from cti.web.nuisance import NuisanceApi
from cti.web.plans import PlansApi
from cti.web.recordings import RecordingsApi
from cti.web.seats import SeatsApi
from cti.web.server import Api, WebServer
from cti.web.transfers import TransfersApi
from cti.web.transfers_past import PastTransfersApi
from ivr.entry import make_entry
from ivr.login import make_login
from ivr.server import AgiLimits, FastAgiServer

log = structlog.get_logger(__name__)

POLL_S = 2.0


def entry_book(directory: Directory) -> EntryBook:
    """What the entry of a call needs of the directory."""
    return EntryBook(
        hotlines={h.number: h.division for h in directory.hotlines},
        nuisances=tuple(Nuisance(n.number, n.until, n.reason) for n in directory.nuisance),
        police=frozenset(h.number for h in directory.hotlines if h.platform == "110"),
        priority_110=max((h.priority for h in directory.hotlines if h.platform == "110"), default=10),
        priority_12345=min((h.priority for h in directory.hotlines if h.platform == "12345"), default=0),
    )


class Service:
    """Build it, then `await run()` until cancelled."""

    def __init__(self, settings: Settings, directory: Directory) -> None:
        self.settings, self.directory = settings, directory
        self.metrics = Metrics()
        ami_meter = AmiMeter(self.metrics)
        self.ledger = Ledger(
            settings.site.code, settings.redis.address(), settings.paths.spool,
            now_ms=lambda: time.time_ns() // 1_000_000, meter=LedgerMeter(self.metrics),
            redis_timeout=settings.timers.redis)  # fmt: skip
        self.days = Days(settings.site.code, settings.redis.address(), timeout=settings.timers.redis)
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
            self.ami, lambda division: routes_for(directory, division, local().time(), self.unreachable),
            ami_meter, now_us, seating.members)  # fmt: skip
        self.counts = KeptCounts(self.ledger, self.metrics)
        self.runtime = Runtime(self.counts, self.switch, self.metrics, now_us, lambda: self.intake.heard_until,
                               initial(directory))  # fmt: skip
        seating.runtime = self.runtime
        self.metrics.kinds = {s.number: (s.platform, s.kind) for s in directory.seats}
        Probes(settings.paths.state / FOLDER, self.metrics.registry)
        self.metrics.prepare((h.number for h in directory.hotlines), directory.platforms)
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
        self.nuisance = NuisanceList(directory, self.ami, self.runtime, entry_book(directory), lambda: seating.known,
                                     now_us)
        self.agi = FastAgiServer(
            settings.agi.host, settings.agi.port,
            {"entry": make_entry(self.nuisance.book, lambda: local().date()),
             "login": make_login(lambda seat, agent, pin: seating.log_in(seat, agent, pin, "phone", now_us()))},
            limits=AgiLimits(sessions=settings.agi.max_sessions), meter=AgiMeter(self.metrics))  # fmt: skip
        self.letters = Letters(settings.site.code, settings.redis.address(), timeout=settings.timers.redis)
        self.leases = LeaseDesk(
            around(settings.site.code, directory),
            Line(self.ami, lambda seat, lent: seating.lend(seat, lent, now_us())), self.letters, self.ledger,
            settings.paths.state / "leases.json", terms(settings), now_us)  # fmt: skip
        self.devices: dict[str, str] = {}
        self.rule = rule(settings, directory, self.leases, self.letters, self.runtime, lambda: self.devices, now_us)
        self.planning = Planning(self.runtime, PlanSwitch(self.ami), PlanSeats(self.leases, self.letters), directory,
                                 now_us)  # fmt: skip
        self.history = History(self.ledger, self.runtime, now_us)
        self.overview = Overview(settings.site, directory, self.runtime, self.ledger, seating, self.leases, self.links,
                                 lambda: self.devices, now_us)  # fmt: skip
        self.web = WebServer(settings.http.host, settings.http.port, self.metrics.registry, self.links,
                             self.overview.status, self._apis())  # fmt: skip
        self.started_at = now_us()
        self._published: dict[tuple[str, str, bool], str] = {}

    async def run(self) -> None:
        """Until cancelled. Raises what no part could mend (a port in use, an unreadable state)."""
        self.settings.paths.state.mkdir(parents=True, exist_ok=True)
        async with asyncio.TaskGroup() as group:
            group.create_task(self.ledger.run())
            self.seating.known = self.planning.known = adopted = await self.history.adopt()
            self.nuisance.tell()
            if adopted:
                with contextlib.suppress(StreamAway):  # then it begins at 0, as any counter
                    await self.counts.resume()
            else:
                await self.counts.begin_anew()
                self.intake.since = await self.history.since_us()
            # What is there for good (modules, classes, the last day) is never walked again for cycles: that stopped
            # the loop for 40-60 ms, in the middle of a key as well.
            gc.collect()
            gc.freeze()
            group.create_task(keep_told(self.web.ready))
            for part in (self.runtime, self.agi, self.web, self.ami):
                group.create_task(part.run())
            group.create_task(self.catchup.keep_checkpoint())
            group.create_task(self.counts.keep())
            group.create_task(self.intake.run())
            group.create_task(self.reconcile.run(lambda: self.intake.complete))
            group.create_task(self._poll())
            group.create_task(self.nuisance.keep())
            group.create_task(self.leases.run())
            if len(self.directory.sites) > 1:
                group.create_task(self.rule.run())
            group.create_task(self.planning.keep(lambda: self.intake.complete))
            group.create_task(self.keeper.run())
            group.create_task(self.seating.keep(lambda: self.intake.complete, now_us))
            if not adopted:
                group.create_task(self.history.merge(self._merged))
            log.info("service_started", site=self.settings.site.code, calls=len(self.runtime.site.calls))

    def _apis(self) -> Sequence[Api]:
        tokens = Tokens(self.settings.http.read_secret())
        return (
            TransfersApi(self.runtime, tokens, self.directory, now_us),
            PastTransfersApi(lambda: self.runtime.site, tokens, self.ledger.transfers),
            ExportsApi(tokens, self.ledger.between, self.ledger.append, now_us),
            ConferencesApi(self.runtime, tokens, self.directory, now_us),
            RecordingsApi(self.recordings, self.keeper, self._on_record, tokens, now_us),
            LeasesApi(self.leases, tokens, self.directory),
            DialplanApi(self.runtime, tokens, now_us),
            DisputesApi(tokens, self._decisions, now_us),
            SeatsApi(self.runtime, tokens, self.seating, self.overview.seats, now_us),
            CallbacksApi(self.runtime, tokens, self.directory, now_us),
            PlansApi(self.runtime, tokens, self.directory, self.planning, self.settings.site.code, self._between,
                     now_us),
            NuisanceApi(self.runtime, tokens, self.nuisance, self.recordings, now_us),
            AnswerRateApi(tokens, self._rate, self.settings.answer_rate.short_abandon, lambda: self.ledger.backlog,
                          now_us),
        )

    async def _rate(self, asked: Asked) -> dict[str, Any]:
        try:
            return (await self.days.report(asked)).figures()
        except StreamAway as why:
            raise ConnectionError(str(why)) from None

    async def _decisions(self, since_ms: int) -> list[Fact]:
        try:
            return await self.ledger.decisions(since_ms)
        except StreamAway as why:
            raise ConnectionError(str(why)) from None

    async def _between(self, start_us: int, end_us: int) -> list[Fact]:
        """Facts written from one time to another. Raises ConnectionError while Redis is away."""
        try:
            told = self.ledger.between(start_us // 1000, end_us // 1000 + 1)
            return [fact async for _, fact in told if isinstance(fact, Fact)]
        except StreamAway as why:
            raise ConnectionError(str(why)) from None

    async def close(self) -> None:
        """After `run`: what was begun is finished, files and links are closed."""
        await self.ledger.aclose()
        await self.letters.close()
        await self.days.close()

    async def _merged(self) -> None:
        """The ledger is known after all: the lines are held to it."""
        self.seating.known = self.planning.known = True
        self.nuisance.link_up()
        with contextlib.suppress(AmiError):
            await self.seating.agree(now_us())

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
        self.planning.link_up()
        self.nuisance.link_up()
        self.reconcile.link_up()
        await self.intake.link_up()
        with contextlib.suppress(AmiTimeout, AmiRefused):  # looked at again within the minute
            await self.seating.agree(now_us())

    async def _publish(self) -> None:
        """The routes of this hour into AstDB, whom Asterisk cannot reach last; keys find them with or without us."""
        wanted = routes(self.directory, local().time(), self.unreachable)
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
            self.overview.gauge(self.metrics)
            for state, count in self.nuisance.counts().items():
                self.metrics.nuisance_entries.labels(state).set(count)
            await asyncio.sleep(POLL_S)
