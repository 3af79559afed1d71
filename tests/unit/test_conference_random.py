"""The three-party call under steps in any order, told twice, late, and with the clock looked at whenever: a hypothesis
machine. Whatever comes, each opened conference is decided once and ended once, and a replay finds the same."""

from __future__ import annotations

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from conference.words import CHOICES, ENDS
from cti.core import calls
from cti.core import events as e
from cti.core.commands import Command, Record
from cti.core.facts import Fact
from cti.core.model import Call, RoomState
from cti.memory import GRACE_US, Memory, fact_of, records
from cti.replay import replay_call

from .playbook import REF, T1, joined, room, said, us

IDS = (T1, f"{REF}-18", f"{REF}-19")
SEATS = ("1001", "8001", "8002", "1002", "")
ANYTHING = tuple(k for k in (*e.CALL_EVENTS, *e.TRANSFER_EVENTS, *e.ROOM_EVENTS) if k is not e.CallArrived)
ENDING = (e.CallerLeft, e.CallerGone)
"""drawn by their own rule, so that calls live long enough"""


class Rooms(RuleBasedStateMachine):
    """Time goes on by steps of what hypothesis draws; an event may be up to 2 s older than it."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = Memory()
        self.now, self.looked = 0, -1
        self.orderly = True
        """nothing was told of a time the clock had been asked about, as the runtime sees to (`GRACE_US`)"""
        self.told: list[e.Event] = []
        self.ticked: list[e.Event] = []
        self.commands: list[Command] = []
        self.facts: list[Fact] = []
        self.seen: dict[str, Call] = {}

    def tell(self, event: e.Event) -> None:
        """As the runtime does, but for keys: here a step told twice is heard twice. Of a call that was over for long
        there is nothing to tell."""
        if self.told and REF not in self.memory.site.calls:
            return
        self.told.append(event)
        self.ticked.append(event)
        self.now = max(self.now, event.at)
        self.orderly = self.orderly and event.at > self.looked
        key = f"cel/{len(self.told)}"
        self.facts.append(Fact(type(event).__name__, event.at, REF, e.values_of(event), "live", key))
        self.keep(self.memory.step(event, self.now))

    def tick(self, at: int) -> None:
        self.looked = max(self.looked, at)
        self.ticked.append(e.ClockTicked("", at))
        self.keep(self.memory.tick(at))

    def keep(self, commands: list[Command]) -> None:
        self.commands += commands
        self.facts += [fact_of(r, "live") for r in records(commands) if self.memory.first_time(r.key)]
        if REF in self.memory.site.calls:
            self.seen[REF] = self.memory.site.calls[REF]

    @property
    def call(self) -> Call:
        return self.seen[REF]

    @initialize(danger=st.integers(0, 1), both=st.booleans(), decide_s=st.sampled_from([0, 5, 180]))
    def opens(self, danger: int, both: bool, decide_s: int) -> None:
        for event in room(danger=danger, rule="both" if both else "decider", decide_s=decide_s):
            self.tell(event)

    @rule(kind=st.sampled_from([k for k in ANYTHING if k not in ENDING]), transfer=st.sampled_from(IDS),
          seat=st.sampled_from(SEATS), choice=st.sampled_from([*CHOICES, "119"]), mode=st.sampled_from(["add", "swap"]),
          danger=st.integers(0, 1), later=st.integers(-20, 80))  # fmt: skip
    def anything(self, kind: type[e.Event], transfer: str, seat: str, choice: str, mode: str, danger: int,
                 later: int) -> None:  # fmt: skip
        values = {"transfer": transfer, "to": "110", "seat": seat, "code": "alone", "hop": 1, "target": "x",
                  "why": "TIMEOUT", "platform": "110", "division": "530100", "queue": "12345", "mode": mode,
                  "danger": danger, "choice": choice, "member": f"{transfer}m", "on": danger}  # fmt: skip
        self.tell(e.make(kind.__name__, REF, max(1, self.now + later * 100_000), values))

    @rule(kind=st.sampled_from(e.ROOM_EVENTS), seat=st.sampled_from(SEATS), choice=st.sampled_from(sorted(CHOICES)),
          later=st.integers(0, 200))  # fmt: skip
    def something_in_the_room(self, kind: type[e.Event], seat: str, choice: str, later: int) -> None:
        latest = self.call.conferences[-1].id
        values = {"transfer": latest, "to": "119", "seat": seat, "platform": "110", "choice": choice, "code": "alone",
                  "member": f"{latest}m", "on": later % 2}  # fmt: skip
        self.tell(e.make(kind.__name__, REF, self.now + later * 100_000, values))

    @rule(one=st.integers(0, 1), choice=st.sampled_from(sorted(CHOICES)), later=st.integers(1, 60))
    def a_word(self, one: int, choice: str, later: int) -> None:
        of = self.call.conferences[-1]
        self.tell(said(self.now / 1e6 + later, of.seats[one], choice, transfer=of.id))

    @rule(later=st.integers(1, 50), transfer=st.sampled_from(IDS[1:]))
    def another_is_brought_in(self, later: int, transfer: str) -> None:
        at = self.now / 1e6 + later
        self.tell(e.TransferStarted(REF, us(at), transfer, "110", self.call.seat, "add"))
        for event in joined(at + 1, transfer, "8002"):
            self.tell(event)

    @rule(back=st.integers(1, 12))
    def told_twice(self, back: int) -> None:
        self.tell(self.told[-min(back, len(self.told))])

    @rule(later=st.integers(0, 400))
    def the_clock_is_looked_at(self, later: int) -> None:
        if REF in self.memory.site.calls:
            self.now += later * 1_000_000
            self.tick(self.now - 2 * GRACE_US)

    @precondition(lambda self: len(self.told) > 12)
    @rule(kind=st.sampled_from(ENDING))
    def the_caller_is_gone(self, kind: type[e.Event]) -> None:
        self.tell(kind(REF, self.now + 100_000))

    @invariant()
    def at_most_one_is_open_and_never_beside_a_running_transfer(self) -> None:
        for call in self.memory.site.calls.values():
            open_ones = [c for c in call.conferences if c.state is not RoomState.OVER]
            assert len(open_ones) <= 1
            ids = [c.id for c in call.conferences]
            assert len(ids) == len(set(ids))
            begun = [t for t in call.open if t.state in ("ringing", "waiting", "answered", "joined")]
            assert not open_ones or all(t.id == open_ones[0].id for t in begun), "one transfer or one conference"

    def teardown(self) -> None:
        if not self.told:
            return
        if REF in self.memory.site.calls:
            if not self.call.ended_at:
                self.tell(e.CallerLeft(REF, self.now + 1))
            self.tick(self.now + us(2000))
        assert not self.memory.site.calls, "nothing keeps a call that is over"
        made = Counter((c.kind, str(c.data.get("transfer"))) for c in self.commands if isinstance(c, Record))
        for conference in self.call.conferences:
            assert made["ConferenceDecided", conference.id] == 1 == made["ConferenceEnded", conference.id]
            assert made["DecisionDisputed", conference.id] <= 1 >= made["DispatchFirst", conference.id]
            assert made["TransferEnded", conference.id] == 1
        opened = {c.id for c in self.call.conferences}
        for (kind, transfer), _ in made.items():
            assert transfer in opened or kind in ("TransferEnded", "CallEnded", "CallbackDue", "Anomaly"), kind
        for record in (c for c in self.commands if isinstance(c, Record)):
            if record.kind == "ConferenceDecided":
                assert (record.data["basis"] == "chosen") == (record.data["why"] == "")
                assert record.data["accepts"] or record.data["choice"] == "guidance"
                assert record.data["basis"] != "first-receiver" or record.data["accepts"] == "12345"
                assert (record.data["basis"] == "danger") <= (made["DispatchFirst", str(record.data["transfer"])] == 1)
            if record.kind == "ConferenceEnded":
                assert record.data["how"] in ENDS
        assert calls.replay(self.ticked)[1] == calls.replay(self.ticked)[1] == self.commands
        if self.orderly:
            assert replay_call(self.facts) == []


Rooms.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestRooms = Rooms.TestCase
