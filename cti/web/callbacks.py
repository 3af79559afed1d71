"""`/api/v1/callbacks`: who is to be called back, taking a task, saying what became of it.

Knows: JSON and tokens, which numbers a role may see. Must not know: the rules (cti.core.asking, cti.core.callbacks),
the stand-in in the line (dialplan/callback.conf).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from cti.core import asking, commands
from cti.core import events as e
from cti.core.model import Callback, CallbackState
from cti.directory import Directory
from cti.web.auth import Tokens, Who, acting_seat
from cti.web.problems import Refused
from cti.web.transfers import Desk, Text, answer, checked, read_json


class TakeBody(BaseModel):
    """``seat``: whose phone is rung; an agent's own when absent."""

    model_config = ConfigDict(extra="forbid")

    seat: Annotated[str, Field(strict=True, pattern=r"^[0-9]{3,8}$")] | None = None


class ResultBody(BaseModel):
    """What became of it."""

    model_config = ConfigDict(extra="forbid")

    result: Literal["answered", "busy", "no-answer", "wrong-number", "withdrawn"]
    note: Text = ""


class CallbacksApi:
    """Routes of `/api/v1/callbacks`. Register on an application with `add_to`."""

    def __init__(self, desk: Desk, tokens: Tokens, directory: Directory, now_us: Callable[[], int]) -> None:
        self._desk, self._tokens, self._directory, self._now = desk, tokens, directory, now_us

    def add_to(self, app: web.Application) -> None:
        """The routes; `TransfersApi.add_to` brings the problems."""
        app.router.add_get("/api/v1/callbacks", self._list)
        app.router.add_post("/api/v1/callbacks/{id}/take", self._take)
        app.router.add_post("/api/v1/callbacks/{id}/result", self._result)

    def _who(self, request: web.Request) -> Who:
        return self._tokens.read(request.headers.get("Authorization", ""))

    async def _list(self, request: web.Request) -> web.Response:
        who = self._who(request)
        tasks = sorted(self._desk.site.callbacks.values(), key=order)
        if request.query.get("state") == "open":
            tasks = [task for task in tasks if task.state is not CallbackState.ENDED]
        return answer({"callbacks": [show(task, who) for task in tasks]}, 200)

    async def _take(self, request: web.Request) -> web.Response:
        who = self._who(request)
        own, wanted = acting_seat(who), request.match_info["id"]
        body = checked(TakeBody, await read_json(request)) if request.can_read_body else TakeBody()
        if own and body.seat not in (None, own):
            raise Refused("wrong-role", "seat")
        seat = own or body.seat or ""
        if self._directory.seat(seat) is None:
            raise Refused("unknown-seat", "seat")
        said = await self._desk.ask(lambda site: asking.take_callback(site, wanted, seat, self._now()))
        if isinstance(said, asking.No):
            raise Refused(said.code)
        task = self._desk.site.callbacks[wanted]
        self._desk.act(commands.CallBack(wanted, seat, asking.dialable(task), task.hotline))
        return answer(show(task, who), 202)

    async def _result(self, request: web.Request) -> web.Response:
        who = self._who(request)
        seat, wanted = acting_seat(who), request.match_info["id"]
        body = checked(ResultBody, await read_json(request))
        note = body.note.strip()
        said = await self._desk.ask(
            lambda site: asking.say_callback(site, wanted, seat, body.result, note, self._now()))  # fmt: skip
        if isinstance(said, asking.No):
            raise Refused(said.code)
        assert isinstance(said, e.CallbackSaid)
        return answer(show(self._desk.site.callbacks[wanted], who), 200)


def order(task: Callback) -> tuple[bool, bool, int]:
    """Open before ended, high priority first, then the oldest."""
    return task.state is CallbackState.ENDED, task.priority != "high", task.opened_at


def show(task: Callback, who: Who) -> dict[str, Any]:
    """A task as JSON. Times in µs since the epoch, 0: not yet. The whole number for a supervisor and the seat that has
    the task; its last two digits for the others."""
    whole = who.role == "supervisor" or (bool(task.seat) and task.seat == who.seat)
    return {"callback": task.id, "hotline": task.hotline, "why": task.why, "priority": task.priority,
            "state": str(task.state), "seat": task.seat, "attempts": task.attempts, "last": task.last,
            "result": task.result, "note": task.note, "call": task.call,
            "caller": task.caller if whole else f"…{task.caller[-2:]}",
            "opened_at": task.opened_at, "first_try_at": task.first_try_at, "ended_at": task.ended_at}  # fmt: skip
