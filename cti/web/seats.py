"""`/api/v1/seats`: who sits where, in which status; logging in and out; pausing and being ready.

Knows: JSON and tokens. Must not know: which status may follow which (`cti.core.seat_desk`, `cti.core.seats`), how a PIN
is kept. A change is on record before it is answered; Asterisk follows within milliseconds, or when its link is back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, Protocol

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from cti.core import seat_desk
from cti.core.asking import No
from cti.core.model import Site
from cti.web.auth import Tokens, Who, acting_seat
from cti.web.problems import Refused
from cti.web.transfers import Desk, answer, checked, read_json

Short = Annotated[str, Field(strict=True, max_length=16)]


class LoginBody(BaseModel):
    """Who logs in. A supervisor may leave the PIN out: he vouches."""

    model_config = ConfigDict(extra="forbid")

    agent: Annotated[str, Field(strict=True, pattern=r"^[0-9]{3,8}$")]
    pin: Annotated[str, Field(strict=True, pattern=r"^[0-9]{4,8}$")] | None = Field(default=None, repr=False)


class StatusBody(BaseModel):
    """``reason``: of a pause, a code of the site's list; of lending, the borrower."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["ready", "paused", "training"]
    reason: Short = ""


class Seating(Protocol):
    """What the service knows of its seats."""

    @property
    def directory(self) -> Any:
        """The linkage directory."""

    async def log_in(self, seat: str, agent: str, pin: str | None, by: str, at: int) -> str:
        """``ok`` or a code."""

    def reason_words(self, code: str) -> tuple[str, str]:
        """Chinese, English."""


class SeatsApi:
    """Routes of `/api/v1/seats`. Register on an application with `add_to`. ``rows``: one seat as JSON, or all."""

    def __init__(self, desk: Desk, tokens: Tokens, seating: Seating,
                 rows: Callable[[str], Sequence[Mapping[str, Any]]], now_us: Callable[[], int]) -> None:  # fmt: skip
        self._desk, self._tokens, self._seating, self._rows, self._now = desk, tokens, seating, rows, now_us

    def add_to(self, app: web.Application) -> None:
        """The routes; `TransfersApi.add_to` brings the problems."""
        app.router.add_get("/api/v1/seats", self._list)
        app.router.add_get("/api/v1/seats/{seat}", self._get)
        app.router.add_post("/api/v1/seats/{seat}/login", self._login)
        app.router.add_post("/api/v1/seats/{seat}/logout", self._logout)
        app.router.add_post("/api/v1/seats/{seat}/status", self._status)

    def _who(self, request: web.Request) -> Who:
        return self._tokens.read(request.headers.get("Authorization", ""))

    async def _list(self, request: web.Request) -> web.Response:
        self._who(request)
        reasons = [{"code": r.code, "zh": r.zh, "en": r.en} for r in self._seating.directory.seat_rules.reasons]
        return answer({"seats": [self._shown(row) for row in self._rows("")], "reasons": reasons}, 200)

    async def _get(self, request: web.Request) -> web.Response:
        self._who(request)
        return answer(self._one(request.match_info["seat"]), 200)

    async def _login(self, request: web.Request) -> web.Response:
        seat, by = self._act_on(request)
        body = checked(LoginBody, await read_json(request))
        if body.pin is None and by != "supervisor":
            raise Refused("invalid-field", "pin: 必填 / required")
        said = await self._seating.log_in(seat, body.agent, body.pin, by, self._now())
        if said != "ok":
            raise Refused(said)
        return answer(self._one(seat), 200)

    async def _logout(self, request: web.Request) -> web.Response:
        seat, by = self._act_on(request)
        return await self._decide(seat, lambda site: seat_desk.logout(site, seat, by, self._now()))

    async def _status(self, request: web.Request) -> web.Response:
        seat, by = self._act_on(request)
        body = checked(StatusBody, await read_json(request))
        reasons = self._seating.directory.seat_rules.codes
        return await self._decide(seat, lambda site: seat_desk.status(
            site, seat, body.status, body.reason, by, self._now(), reasons))  # fmt: skip

    async def _decide(self, seat: str, decide: Callable[[Site], object]) -> web.Response:
        said = await self._desk.ask(decide)
        if isinstance(said, No):
            raise Refused(said.code)
        return answer(self._one(seat), 200)

    def _act_on(self, request: web.Request) -> tuple[str, str]:
        """The seat, and by whom: the seat itself, or a supervisor."""
        own, seat = acting_seat(self._who(request)), request.match_info["seat"]
        if own and own != seat:
            raise Refused("not-your-seat")
        if self._seating.directory.seat(seat) is None:
            raise Refused("unknown-seat")
        return seat, own or "supervisor"

    def _one(self, seat: str) -> Mapping[str, Any]:
        found = self._rows(seat)
        if not found:
            raise Refused("unknown-seat")
        return self._shown(found[0])

    def _shown(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        zh, en = self._seating.reason_words(row["reason"]) if row["reason"] else ("", "")
        return {**row, "reason_zh": zh, "reason_en": en}
