"""Who takes part in a story, on one instance: phones of callers, seats, telephones outside, a neighbouring site.

Knows: parties by their names in the story, their phones and calls. Must not know: steps, what is expected.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from cti.dialplan.stories import words
from cti.dialplan.stories.model import Given
from cti.dialplan.stories.words import Behaviour, behaviour
from cti.dialtest.call import Call
from cti.dialtest.phone import Phone, Reject
from cti.dialtest.stack import Stage, stage
from cti.dialtest.tones import TONES
from cti.dialtest.town import Town, number_of
from cti.dialtest.wire import Address
from cti.stack.instance import TRUNK_HOST, Instance
from cti.stack.sites import FIRST, HOST

TONES_EACH = 15
"""of 60: so many parties an instance has, so many instances beside each other in a process is 4"""
MOST_BESIDE = len(TONES) // TONES_EACH


@dataclass(slots=True)
class Cast:
    """The parties of one story, open while it is played."""

    on: Stage
    given: Given
    town: Town
    neighbours: Mapping[str, Town]
    """by site"""
    behaviours: Mapping[str, Behaviour]
    known: dict[str, int] = field(default_factory=dict)
    """calls of a party that a `rings` of an earlier step has seen"""

    def phone(self, party: str) -> Phone:
        """The phone behind a name."""
        if words.CALLER.match(party):
            return self.on.callers[int(party[6:] or 1) - 1]
        if party in self.on.seats:
            return self.on.seats[party]
        if words.SITE.match(party):
            return self.neighbours[party[5:]]
        if party in self.given.borrowed:
            return self.neighbours[party[:6]]
        return self.town

    def calls(self, party: str) -> list[Call]:
        """Every call of this party so far, in order."""
        phone = self.phone(party)
        if isinstance(phone, Town) and not words.SITE.match(party):
            number = party[6:] if party in self.given.borrowed else party
            return phone.calls_to(number)
        return [call for call in phone.calls if not words.CALLER.match(party) or call.direction == "out"]

    def call(self, party: str) -> Call | None:
        """The call he is in: one that is answered before one that rings, the last before earlier ones."""
        calls = self.calls(party)
        living = [call for call in calls if call.t_ended is None]
        answered = [call for call in living if call.t_answered is not None]
        return next(iter([*reversed(answered), *reversed(living), *reversed(calls)]), None)

    def number(self, party: str) -> str:
        """The number a caller calls from."""
        return self.given.caller if party == "caller" else self.given.callers.get(party, f"1390000{party[6:]:0>4}")

    def sound(self, name: str) -> str:
        """What a hearing calls this party."""
        return name if name in words.SOUNDS else self.phone(name).name

    def endpoint(self, party: str) -> str:
        """The beginning of his channels' names."""
        if party in self.on.seats:
            return f"PJSIP/{party}-"
        if words.SITE.match(party) or party in self.given.borrowed:
            return f"PJSIP/site-{party[-6:] if words.SITE.match(party) else party[:6]}-"
        return "PJSIP/pstn-"

    async def presses(self) -> None:
        """Whoever presses keys after he answered does so, as long as the story lasts."""
        done: set[int] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                for party, does in self.behaviours.items():
                    if not does.presses:
                        continue
                    for call in self.calls(party):
                        if call.t_answered is not None and id(call) not in done:
                            done.add(id(call))
                            group.create_task(_press(call, does))
                await asyncio.sleep(0.05)


async def _press(call: Call, does: Behaviour) -> None:
    await asyncio.sleep(does.pressed)
    for key in does.presses:
        if call.t_ended is None:
            with contextlib.suppress(TimeoutError):
                await call.dtmf(key)


@dataclass(frozen=True, slots=True)
class Sites:
    """Where this site is reached by its neighbours, and each neighbour's port by its code."""

    own: Address
    ports: Mapping[str, int]


@contextlib.asynccontextmanager
async def cast(instance: Instance, given: Given, trunk_port: int, sites: Sites, first_tone: int,
               ) -> AsyncIterator[Cast]:  # fmt: skip
    """The parties of a story are there; afterwards their phones are off. Raises as `stage` does, OSError."""
    does = {number: behaviour(text) for group in (given.seats, given.outside, given.borrowed)
            for number, text in group.items()}  # fmt: skip
    here = [number for number in given.seats if does[number].policy is not None]
    callers = 1 + max((int(name[6:] or 1) - 1 for name in given.callers), default=0)
    async with (
        stage(instance, seats=here, callers=callers, first_tone=first_tone) as on,
        contextlib.AsyncExitStack() as up,
    ):
        free = iter(TONES[first_tone + len(here) + callers : first_tone + TONES_EACH])
        town = Town(f"outside-{first_tone}", next(free), on.server, "outside", None, local_host=TRUNK_HOST,
                    local_port=trunk_port)  # fmt: skip
        town.policies = {number: does[number].policy or Reject(503) for number in given.outside}
        await town.start()
        up.push_async_callback(town.stop)
        neighbours: dict[str, Town] = {}
        for n, (site, port) in enumerate(sites.ports.items()):
            if not any(number.startswith(site) for number in given.borrowed) and site not in given.lent.values():
                continue
            there = Town(f"site-{site}-{first_tone}", next(free), sites.own, site, None,
                         local_host=HOST.format(FIRST + 1 + n), local_port=port)  # fmt: skip
            there.policies = {number[6:]: does[number].policy or Reject(503) for number in given.borrowed
                              if number.startswith(site)}  # fmt: skip
            await there.start()
            up.push_async_callback(there.stop)
            neighbours[site] = there
        for number in here:
            policy = does[number].policy
            assert policy is not None
            on.seats[number].on_invite = policy
        yield Cast(on, given, town, neighbours, does)


__all__ = ["MOST_BESIDE", "TONES_EACH", "Cast", "cast", "number_of"]
