"""Who accepts the matter: the rules of the decision.

The plan (DOMAIN.md, "What the plan asks"): where it is unclear whose the matter is, 12345 and 110 agree on it in a
three-party call; still undecided, the platform that received the call first accepts (首接); with danger to life,
property or public safety 110 dispatches first, whatever is decided later.

    word, rule `decider`                    its choice, at once: the first word stands
    word, rule `both`                       waits for the other platform's; same → the choice, other → disagreement
    a supervisor's, or of the only platform binds alone under either rule
    undecided, disagreement, the deadline,  the first receiver accepts; 110 in danger
    the room's end                          (at the deadline the dialplan lets the other seat go: `DecisionDue`)
    guidance                                nobody accepts: the caller was told where to go
    contrary word after a decision          on record as a dispute, once; the decision stands

One decision a conference: these functions are reached only while there is none (`conference.room`), `dispute` only
after. Knows: words and the decision. Must not know: who is in the room, the call, time of day.
"""

from __future__ import annotations

from dataclasses import replace

from cti.core import events as e
from cti.core.model import Conference, Decision, Word

DANGER_PLATFORM = "110"
"""dispatches first in danger, and accepts where nothing else was chosen"""


def say(conference: Conference, event: e.Event) -> Conference:
    """A platform's word while nothing is decided. The latest of each platform counts."""
    word = _word(conference, event)
    others = tuple(w for w in conference.words if w.platform != word.platform)
    conference = replace(conference, words=(*others, word))
    one_platform = conference.first.platform == conference.guest.platform
    if conference.policy.rule == "decider" or not word.platform or one_platform:
        return _settle(conference, word, (word.platform,))
    if not others:
        return conference
    both = (*(w.platform for w in others), word.platform)
    if any(w.choice != word.choice for w in others):
        return _default(conference, event.at, "disagreement", word, both)
    return _settle(conference, word, both)


def by_itself(conference: Conference, at: int, why: str) -> Conference:
    """The decision that time (``deadline``) or the room's end (``room-over``) makes; none where there is one."""
    return conference if conference.decision is not None else _default(conference, at, why)


def due(conference: Conference, event: e.Event) -> Conference:
    """The deadline, as the dialplan kept it."""
    return by_itself(conference, event.at, "deadline")


def contrary(conference: Conference, seat: str, choice: str) -> bool:
    """Whether this seat's word would contradict a decision its platform has no part in, as the first to do so."""
    decided = conference.decision
    if decided is None or conference.disputed is not None or platform_of(conference, seat) in decided.made_by:
        return False
    return choice not in (decided.choice, decided.accepts)


def dispute(conference: Conference, event: e.Event) -> Conference:
    """A contrary word: kept, and nothing else."""
    return replace(conference, disputed=_word(conference, event))


def platform_of(conference: Conference, seat: str) -> str:
    """The platform a seat of this conference speaks for; empty for anybody else, which is a supervisor."""
    return next((p.platform for p in (conference.first, conference.guest) if seat and p.seat == seat), "")


def _word(conference: Conference, event: e.Event) -> Word:
    assert isinstance(event, e.DecisionSaid)
    platform = platform_of(conference, event.seat)
    return Word(platform, event.seat, event.choice, event.reason, event.text, event.key, event.at)


def _settle(conference: Conference, word: Word, made_by: tuple[str, ...]) -> Conference:
    if word.choice == "undecided":
        return _default(conference, word.at, "undecided", word, made_by)
    accepts = "" if word.choice == "guidance" else word.choice
    return replace(conference, decision=Decision(word.choice, accepts, "chosen", "", word.at, word, made_by))


def _default(conference: Conference, at: int, why: str, word: Word | None = None,
             made_by: tuple[str, ...] = ()) -> Conference:  # fmt: skip
    danger = conference.danger
    accepts, basis = (DANGER_PLATFORM, "danger") if danger else (conference.first_platform, "first-receiver")
    return replace(conference, decision=Decision("undecided", accepts, basis, why, at, word, made_by))
