"""A site's calls, transfers and three-party calls as plain frozen values. Knows: shapes. Must not know: rules
(transfer.py, conference/, calls.py). Longer than 300 lines because they are read together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from cti.core.listing import Listing
from cti.core.plan_model import PlanRun

SETTLE_US = 5_000_000
"""A target that leaves within 5 s of the join vanished: the caller is recalled (ASTERISK.md §1; lobby.conf)."""


class TransferState(StrEnum):
    """Where a transfer stands. ENDED is the only terminal state; the outcome says how."""

    REQUESTED = "requested"
    RINGING = "ringing"
    WAITING = "waiting"
    ANSWERED = "answered"
    JOINED = "joined"
    ENDED = "ended"


class Outcome(StrEnum):
    """How a transfer ended (DOMAIN.md, transfer KPIs)."""

    NONE = ""
    ANSWERED = "answered"
    RETURNED = "returned"
    ABANDONED = "abandoned"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class RoomState(StrEnum):
    """Who is in a three-party call. OVER is the only terminal state."""

    TOGETHER = "together"
    """caller and both seats"""
    ASIDE = "aside"
    """the seats confer, the caller is in music"""
    ALONE = "alone"
    """one seat is left with the caller"""
    LAST = "last"
    """the caller hung up, the seats go on talking"""
    OVER = "over"


class CallbackState(StrEnum):
    """Where a callback task stands. ENDED is the only terminal state; the result says how."""

    DUE = "due"
    """in the list, for a seat to take"""
    PLACED = "placed"
    """a stand-in keeps the caller's place in line"""
    TAKEN = "taken"
    RINGING = "ringing"
    TALKING = "talking"
    ENDED = "ended"


class Phase(StrEnum):
    """Where a caller is."""

    ENTERING = "entering"
    QUEUED = "queued"
    TALKING = "talking"
    WAITING = "waiting"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Policy:
    """How a three-party call is decided. ``rule``: ``decider`` (the first word stands) or ``both`` (both platforms must
    say the same). The dialplan reminds the seats ``remind_us`` before ``decide_us`` is over."""

    rule: str = "decider"
    decide_us: int = 180_000_000
    remind_us: int = 30_000_000

    @classmethod
    def told(cls, rule: str, decide_s: int, remind_s: int) -> Policy:
        """As a step tells it; what makes no sense is the default, for a step never raises."""
        return cls(
            "both" if rule == "both" else cls().rule,
            decide_s * 1_000_000 if decide_s > 0 else cls().decide_us,
            remind_s * 1_000_000 if remind_s > 0 else cls().remind_us,
        )


@dataclass(frozen=True, slots=True)
class Transfer:
    """One transfer. Times are µs since the epoch, 0 = not (yet)."""

    id: str
    to: str
    seat: str
    key: str
    mode: str
    state: TransferState
    started_at: int
    outcome: Outcome = Outcome.NONE
    why: str = ""
    hops: int = 0
    target_seat: str = ""
    target_kind: str = ""
    answered_at: int = 0
    joined_at: int = 0
    ended_at: int = 0
    released: bool = False
    danger: bool = False
    summary: str = ""
    policy: Policy = Policy()


@dataclass(frozen=True, slots=True)
class Party:
    """A seat in a three-party call, and its platform."""

    seat: str
    platform: str


@dataclass(frozen=True, slots=True)
class Member:
    """A fourth one in a three-party call: a supervisor, 119, a utility. ``seat``: a seat's number, or a telephone
    outside; ``platform``: for that one the short number asked for. ``left_at`` 0: still there."""

    id: str
    seat: str
    platform: str
    joined_at: int
    left_at: int = 0


@dataclass(frozen=True, slots=True)
class Word:
    """What one platform said on who accepts. ``platform`` and ``seat`` are empty for a supervisor's."""

    platform: str
    seat: str
    choice: str
    reason: str
    text: str
    key: str
    at: int


@dataclass(frozen=True, slots=True)
class Decision:
    """Who accepts the matter, and why. ``word``: the one that settled it, None when time or the room's end did."""

    choice: str
    """12345 | 110 | undecided | guidance"""
    accepts: str
    """a platform; empty: neither's matter, the caller was guided"""
    basis: str
    """chosen | first-receiver | danger"""
    why: str
    """empty when chosen; else undecided | disagreement | deadline | room-over"""
    at: int
    word: Word | None = None
    made_by: tuple[str, ...] = ()
    """platforms whose words made it"""

    @property
    def outcome(self) -> str:
        """chosen | guidance | disagreement | undecided: what a count of decisions is told apart by."""
        if self.basis == "chosen":
            return "guidance" if self.choice == "guidance" else "chosen"
        return "disagreement" if self.why == "disagreement" else "undecided"


@dataclass(frozen=True, slots=True)
class Conference:
    """One three-party call; its id is that of the transfer that brought the guest in. Times µs, 0 = not (yet)."""

    id: str
    first: Party
    guest: Party
    first_platform: str
    """received the call first (首接)"""
    policy: Policy
    state: RoomState
    here: tuple[str, ...]
    """seats in the room"""
    opened_at: int
    since: int
    """since when it is in this state"""
    danger: bool = False
    together_us: int = 0
    aside_us: int = 0
    words: tuple[Word, ...] = ()
    """the latest of each platform, until decided"""
    decision: Decision | None = None
    disputed: Word | None = None
    """the first word that contradicted the decision"""
    first_left: str = ""
    """the seat that left first, or ``caller``"""
    caller_left_at: int = 0
    last_told: bool = False
    """the dialplan said that the seats go on talking"""
    members: tuple[Member, ...] = ()
    """fourth members, one after another"""
    muted: tuple[str, ...] = ()
    """who has muted himself"""
    how: str = ""
    """how the room ended: one of `conference.words.ENDS`"""
    ended_at: int = 0

    @property
    def seats(self) -> tuple[str, str]:
        """Who was in it: the one that brought in, the guest."""
        return self.first.seat, self.guest.seat

    @property
    def fourth(self) -> Member | None:
        """The fourth member who is there now."""
        return next((m for m in self.members if not m.left_at), None)


@dataclass(frozen=True, slots=True)
class Recording:
    """One file of a call's recording. Times µs, 0 = not yet."""

    file: str
    part: str
    transfer: str
    began_at: int
    keep_days: int
    ended_at: int = 0
    settled: bool = False
    """indexed, or known to be missing"""


@dataclass(frozen=True, slots=True)
class Visit:
    """A line the caller waited in. ``how`` is empty while he does, then answered | abandoned | callback | timeout |
    refused; ``kind``: of the seat that answered. Times µs."""

    queue: str
    at: int
    how: str = ""
    ended_at: int = 0
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """One caller's call, from arrival to the end of his channel."""

    ref: str
    hotline: str
    caller: str
    arrived_at: int
    phase: Phase = Phase.ENTERING
    division: str = ""
    priority: int = 0
    nuisance: bool = False
    notice: str = ""
    """he is on the nuisance list and heard so: told | key (pressed through) | stayed"""
    queued_at: int = 0
    answered_at: int = 0
    seat: str = ""
    platform: str = ""
    takers: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    had: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    """takers and platforms before the last join: a target that vanished is none (join.conf, [give-back])"""
    not_served: str = ""
    callback: str = ""
    """he was called back: the task"""
    asked_back: bool = False
    """he chose to be called back"""
    drill: str = ""
    """the run of an emergency plan whose drill this call is part of"""
    of: str = ""
    """the platform of the hotline he called"""
    kind: str = ""
    """of the seat that answered first: general | dedicated | remote"""
    visits: tuple[Visit, ...] = ()
    danger: bool = False
    ended_at: int = 0
    transfers: tuple[Transfer, ...] = ()
    conferences: tuple[Conference, ...] = ()
    recordings: tuple[Recording, ...] = ()

    @property
    def conference(self) -> Conference | None:
        """The three-party call that is not over: at most one."""
        return next((c for c in reversed(self.conferences) if c.state is not RoomState.OVER), None)

    @property
    def open(self) -> tuple[Transfer, ...]:
        """Transfers that have not ended: at most one the door let in, and any number it has not spoken of yet."""
        return tuple(t for t in self.transfers if t.state is not TransferState.ENDED)

    @property
    def transfer(self) -> Transfer | None:
        """The open transfer: the one the door let in, else the latest asked for."""
        begun = next((t for t in self.open if t.state is not TransferState.REQUESTED), None)
        return begun or next(reversed(self.open), None)


class SeatStatus(StrEnum):
    """What the agent declared (STYLE.md's "status"); what is observed (ringing, in call, unreachable) is Asterisk's."""

    OUT = "out"
    """nobody serves here"""
    READY = "ready"
    PAUSED = "paused"
    WRAPUP = "wrap-up"
    TRAINING = "training"
    LENT = "lent"


@dataclass(frozen=True, slots=True)
class SeatNow:
    """A seat as it was last declared. Times are µs, 0 = not (yet)."""

    number: str
    open: bool = True
    """serves without log-in: logged in by configuration"""
    status: SeatStatus = SeatStatus.READY
    reason: str = ""
    """code of a pause; of a wrap-up its turn, which the dialplan's timer compares"""
    agent: str = ""
    by: str = ""
    since: int = 0
    until: int = 0
    """when a wrap-up ends by itself"""
    misses: int = 0
    """rings nobody answered, in a row"""


@dataclass(frozen=True, slots=True)
class Callback:
    """Somebody to be called back; its id is the ref of the call he did not get through with. Times µs, 0 = not yet."""

    id: str
    hotline: str
    caller: str
    why: str
    """asked | abandoned | transfer | QUEUESTATUS, CLOSED, LINES"""
    priority: str
    """high | normal"""
    opened_at: int
    state: CallbackState = CallbackState.DUE
    since: int = 0
    """in this state since"""
    seat: str = ""
    platform: str = ""
    attempts: int = 0
    first_try_at: int = 0
    last: str = ""
    """why the last attempt failed"""
    call: str = ""
    """the talk's ref"""
    result: str = ""
    note: str = ""
    ended_at: int = 0
    drill: str = ""
    """as the call's"""


@dataclass(frozen=True, slots=True)
class Site:
    """All live calls of one installation and its callback tasks, by correlation id, its seats, by number, and its
    emergency plans' runs, by id, and its nuisance list, by entry."""

    calls: Mapping[str, Call] = field(default_factory=dict)
    callbacks: Mapping[str, Callback] = field(default_factory=dict)
    seats: Mapping[str, SeatNow] = field(default_factory=dict)
    plans: Mapping[str, PlanRun] = field(default_factory=dict)
    nuisance: Mapping[str, Listing] = field(default_factory=dict)
