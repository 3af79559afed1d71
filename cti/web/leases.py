"""`/api/v1/leases`: seats lent between sites, as this site sees them; asked for and recalled by the coordinator.

Knows: JSON and tokens. Must not know: the rules (cti.core.lease). Both are words to the desk: what becomes of them is
in the lease's state a moment later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Protocol

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from cti.core.lease_model import Lease
from cti.directory import Directory
from cti.web.auth import Tokens, coordinating
from cti.web.problems import Refused
from cti.web.transfers import answer, checked, read_json

CODE = 6
"""digits of a site's code"""


class LeaseBody(BaseModel):
    """``seat``: a seat of this site, or any site's as site and seat (``5329001001``); ``to``: the site it is lent
    to."""

    model_config = ConfigDict(extra="forbid")

    seat: Annotated[str, Field(strict=True, pattern=r"^\d{3,14}$")]
    to: Annotated[str, Field(strict=True, pattern=r"^\d{6}$")]
    minutes: Annotated[int, Field(strict=True, ge=1, le=480)] = 15
    why: Annotated[str, Field(strict=True, max_length=100)] = ""


class Desk(Protocol):
    """`cti.lending.desk.LeaseDesk`, as far as it is needed here."""

    @property
    def lent(self) -> frozenset[str]:
        """Own seats on lease."""

    def leases(self) -> list[Lease]:
        """All, newest last."""

    def find(self, lease_id: str) -> Lease | None:
        """By id."""

    async def ask(self, owner: str, seat: str, to: str, minutes: int, why: str) -> str:
        """Its id. Raises OSError when it could not be told."""

    def recall(self, lease: Lease, why: str) -> None:
        """Back with it."""

    def show(self, lease: Lease) -> dict[str, Any]:
        """As JSON."""

    @property
    def site(self) -> str:
        """Our own code."""


class LeasesApi:
    """Routes of `/api/v1/leases`. Register on an application with `add_to`."""

    def __init__(self, desk: Desk, tokens: Tokens, directory: Directory) -> None:
        self._desk, self._tokens, self._directory = desk, tokens, directory

    def add_to(self, app: web.Application) -> None:
        """The routes; `TransfersApi.add_to` brings the problems."""
        app.router.add_get("/api/v1/leases", self._list)
        app.router.add_post("/api/v1/leases", self._ask)
        app.router.add_post("/api/v1/leases/{id}/recall", self._recall)

    async def _list(self, request: web.Request) -> web.Response:
        self._tokens.read(request.headers.get("Authorization", ""))
        rows: Sequence[dict[str, Any]] = [self._desk.show(lease) for lease in self._desk.leases()]
        return answer({"site": self._desk.site, "leases": rows}, 200)

    async def _ask(self, request: web.Request) -> web.Response:
        coordinating(self._tokens.read(request.headers.get("Authorization", "")))
        body = checked(LeaseBody, await read_json(request))
        long = len(body.seat) > 8  # seats have eight digits at most (cti.directory.fields)
        owner, seat = (body.seat[:CODE], body.seat[CODE:]) if long else (self._desk.site, body.seat)
        for code in (owner, body.to):
            if self._directory.site(code) is None:
                raise Refused("no-site", code)
        if owner == body.to:
            raise Refused("no-site", "to: 不能借给自己 / to itself")
        if owner == self._desk.site:
            own = self._directory.seat(seat)
            if own is None or own.kind != "general":
                raise Refused("no-seat", f"seat: {body.seat}")
            if seat in self._desk.lent:
                raise Refused("seat-lent", f"seat: {body.seat}")
        try:
            made = await self._desk.ask(owner, seat, body.to, body.minutes, body.why)
        except OSError:
            raise Refused("mail-away") from None
        return answer({"lease": made, "seat": seat, "owner": owner, "borrower": body.to, "state": "asked"}, 202)

    async def _recall(self, request: web.Request) -> web.Response:
        coordinating(self._tokens.read(request.headers.get("Authorization", "")))
        lease = self._desk.find(request.match_info["id"])
        if lease is None:
            raise Refused("unknown-lease")
        if not lease.open:
            raise Refused("lease-over")
        self._desk.recall(lease, "coordinator")
        return answer(self._desk.show(lease), 202)
