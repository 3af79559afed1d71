"""`/api/v1/conferences`: a three-party call as screens see it, conferring, mute, a fourth member, and who accepts.

Knows: JSON and tokens. Must not know: the rules (cti.core.asking, conference, the dialplan's room). Each request is one
action, the same as the seat's own key; who accepts is on record once the dialplan has said so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from cti.core import asking, commands
from cti.core import events as e
from cti.core.model import Conference
from cti.directory import Directory
from cti.web.auth import Tokens, acting_seat
from cti.web.problems import Refused
from cti.web.transfers import Desk, Text, answer, checked, read_json, ref_of, transfer_suffix


class DecisionBody(BaseModel):
    """Who accepts: a platform, ``undecided`` (the first receiver does), or ``guidance`` (neither's matter)."""

    model_config = ConfigDict(extra="forbid")

    choice: Literal["12345", "110", "undecided", "guidance"]
    reason: Annotated[str, Field(strict=True, max_length=40)] = ""
    """code of the item list (事项清单)"""
    text: Text = ""


class MuteBody(BaseModel):
    """Muted or heard again."""

    model_config = ConfigDict(extra="forbid")

    on: Annotated[bool, Field(strict=True)]


class MemberBody(BaseModel):
    """The fourth member: a short number of the linkage directory (119), or a seat's (a supervisor)."""

    model_config = ConfigDict(extra="forbid")

    to: Annotated[str, Field(strict=True, pattern=r"^[0-9]{3,8}$")]


class ConferencesApi:
    """Routes of `/api/v1/conferences`. Register on an application with `add_to`."""

    def __init__(self, desk: Desk, tokens: Tokens, directory: Directory, now_us: Callable[[], int]) -> None:
        self._desk, self._tokens, self._directory, self._now = desk, tokens, directory, now_us

    def add_to(self, app: web.Application) -> None:
        """The routes; `TransfersApi.add_to` brings the problems."""
        app.router.add_get("/api/v1/conferences/{id}", self._get)
        app.router.add_post("/api/v1/conferences/{id}/decision", self._decide)
        app.router.add_post("/api/v1/conferences/{id}/confer", self._confer)
        app.router.add_post("/api/v1/conferences/{id}/mute", self._mute)
        app.router.add_post("/api/v1/conferences/{id}/members", self._bring)
        app.router.add_delete("/api/v1/conferences/{id}/members/{member}", self._part)

    async def _get(self, request: web.Request) -> web.Response:
        who = self._tokens.read(request.headers.get("Authorization", ""))
        room = self._room(request.match_info["id"])
        if room is None:
            raise Refused("no-room")
        if who.role == "agent" and who.seat not in (*room.seats, *(m.seat for m in room.members)):
            raise Refused("not-in-room")
        return answer(show(room), 200)

    async def _decide(self, request: web.Request) -> web.Response:
        body = checked(DecisionBody, await read_json(request))
        return await self._act(request, lambda call, room, seat: asking.decide(
            call, room, seat, body.choice, body.reason, body.text, at=self._now()))  # fmt: skip

    async def _confer(self, request: web.Request) -> web.Response:
        return await self._act(request, asking.confer)

    async def _mute(self, request: web.Request) -> web.Response:
        body = checked(MuteBody, await read_json(request))
        return await self._act(request, lambda call, room, seat: asking.mute(call, room, seat, body.on))

    async def _bring(self, request: web.Request) -> web.Response:
        body = checked(MemberBody, await read_json(request))
        if self._directory.seat(body.to) is None and self._directory.linked(body.to) is None:
            raise Refused("no-route", f"to: {body.to}")
        seat = acting_seat(self._tokens.read(request.headers.get("Authorization", "")))
        member = f"{ref_of(request.match_info['id'])}-{transfer_suffix(request, seat)}"
        return await self._act(request, lambda call, room, seat: asking.bring_fourth(
            call, room, seat, member, body.to))  # fmt: skip

    async def _part(self, request: web.Request) -> web.Response:
        member = request.match_info["member"]
        return await self._act(request, lambda call, room, seat: asking.part_fourth(call, room, seat, member))

    async def _act(self, request: web.Request, decide: Callable[..., commands.Command | e.Event | asking.No],
                   ) -> web.Response:  # fmt: skip
        seat = acting_seat(self._tokens.read(request.headers.get("Authorization", "")))
        wanted = request.match_info["id"]
        said = await self._desk.ask(lambda site: decide(site.calls.get(ref_of(wanted)), wanted, seat),
                                    f"late-word/{wanted}/{seat}")  # fmt: skip
        if isinstance(said, asking.No):
            raise Refused(said.code)
        if not isinstance(said, e.Event):
            self._desk.act(said)
        room = self._room(wanted)
        member = {"member": said.member} if isinstance(said, commands.BringFourth) else {}
        return answer({**(show(room) if room else {}), **member, "asked": type(said).__name__}, 202)

    def _room(self, wanted: str) -> Conference | None:
        call = self._desk.site.calls.get(ref_of(wanted))
        return next((c for c in call.conferences if c.id == wanted), None) if call else None


def show(room: Conference) -> dict[str, Any]:
    """A three-party call as JSON. Times in µs since the epoch, 0: not yet."""
    d = room.decision
    return {"conference": room.id, "call": ref_of(room.id), "state": str(room.state), "seats": list(room.seats),
            "here": list(room.here), "first_platform": room.first_platform, "danger": room.danger,
            "members": [{"member": m.id, "seat": m.seat, "platform": m.platform, "joined_at": m.joined_at,
                         "left_at": m.left_at} for m in room.members],
            "muted": list(room.muted), "opened_at": room.opened_at, "ended_at": room.ended_at,
            "decision": {"accepts": d.accepts, "basis": str(d.basis), "why": str(d.why)} if d else None}  # fmt: skip
