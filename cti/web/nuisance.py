"""`/api/v1/nuisance`: the nuisance list (骚扰名单): proposed, approved by another person, removed, appealed against.

Knows: JSON, tokens, which numbers a role may see. Must not know: the rules (`cti.core.nuisance_desk`), AstDB. Each act
is on record before it is answered, and repeated by the same person it changes nothing.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Protocol

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from cti.core import nuisance_desk
from cti.core.asking import No
from cti.core.listing import Listing, ListingState
from cti.core.model import Site
from cti.recordings.folder import Folder
from cti.web.auth import Tokens, Who, acting_seat
from cti.web.problems import Refused
from cti.web.transfers import Desk, Text, answer, checked, read_json, transfer_suffix

Days = Annotated[int, Field(strict=True, ge=0, le=730)]
Ref = Annotated[str, Field(strict=True, max_length=40)]
Reason = Annotated[str, Field(strict=True, min_length=2, max_length=200)]


class ProposeBody(BaseModel):
    """``call``: whose number it is, and evidence itself; ``number`` where the call is no longer at hand; ``evidence``:
    more calls; ``days`` 0: the site's."""

    model_config = ConfigDict(extra="forbid")

    number: Annotated[str, Field(strict=True, max_length=30)] | None = Field(default=None, repr=False)
    call: Ref | None = None
    reason: Reason
    evidence: Annotated[tuple[Ref, ...], Field(max_length=nuisance_desk.MOST_EVIDENCE)] = ()
    days: Days = 0


class ApproveBody(BaseModel):
    """``days`` from now; 0: as proposed."""

    model_config = ConfigDict(extra="forbid")

    days: Days = 0
    note: Text = ""


class NoteBody(BaseModel):
    """Why."""

    model_config = ConfigDict(extra="forbid")

    note: Text = ""


class AppealBody(BaseModel):
    """What the listed person says."""

    model_config = ConfigDict(extra="forbid")

    text: Reason


class DecideBody(BaseModel):
    """The appeal's outcome."""

    model_config = ConfigDict(extra="forbid")

    outcome: Literal["granted", "refused"]
    note: Text = ""


class Listed(Protocol):
    """The list, as far as requests need it."""

    @property
    def limits(self) -> nuisance_desk.Limits:
        """Of the site."""

    @property
    def file(self) -> Mapping[str, Any]:
        """Entries of nuisance.yaml by number."""


class NuisanceApi:
    """Routes of `/api/v1/nuisance`. Register on an application with `add_to`."""

    def __init__(self, desk: Desk, tokens: Tokens, listed: Listed, folder: Folder, now_us: Callable[[], int]) -> None:
        self._desk, self._tokens, self._listed, self._folder, self._now = desk, tokens, listed, folder, now_us

    def add_to(self, app: web.Application) -> None:
        """The routes; `TransfersApi.add_to` brings the problems."""
        at = "/api/v1/nuisance"
        app.router.add_get(at, self._list)
        app.router.add_post(at, self._propose)
        app.router.add_get(f"{at}/{{id}}", self._get)
        app.router.add_post(f"{at}/{{id}}/approve", self._approve)
        app.router.add_post(f"{at}/{{id}}/reject", self._reject)
        app.router.add_post(f"{at}/{{id}}/remove", self._remove)
        app.router.add_post(f"{at}/{{id}}/appeal", self._appeal)
        app.router.add_post(f"{at}/{{id}}/appeal/decide", self._decide)

    def _who(self, request: web.Request) -> Who:
        return self._tokens.read(request.headers.get("Authorization", ""))

    async def _list(self, request: web.Request) -> web.Response:
        who, state = self._who(request), request.query.get("state", "")
        if state not in ("", *ListingState):
            raise Refused("invalid-field", "state: proposed | listed | ended")
        rows = [show(one, who) for one in sorted(self._desk.site.nuisance.values(), key=lambda o: o.proposed_at)
                if state in ("", one.state)]  # fmt: skip
        if state in ("", "listed"):
            rows += [_of_file(number, entry, who) for number, entry in self._listed.file.items()]
        return answer({"nuisance": rows}, 200)

    async def _get(self, request: web.Request) -> web.Response:
        who, one = self._who(request), self._known(request)
        refs = one.evidence if who.role == "supervisor" else ()  # recordings are a supervisor's matter
        files = await asyncio.to_thread(lambda: {ref: list(self._folder.files(ref=ref)) for ref in refs})
        calls = [{"call": ref, "at": int(ref.partition("-")[2].partition(".")[0]) * 1_000_000,
                  "recordings": files.get(ref, [])}
                 for ref in one.evidence]  # fmt: skip
        return answer({**show(one, who), "calls": calls}, 200)

    async def _propose(self, request: web.Request) -> web.Response:
        who = self._who(request)
        seat = acting_seat(who)
        body = checked(ProposeBody, await read_json(request))
        call = self._desk.site.calls.get(body.call or "")
        if body.call and call is None and body.number is None:
            raise Refused("unknown-call", "call: 已结束的来电请写 number / of a call that is over give number")
        number = body.number if body.number is not None else call.caller if call else ""
        evidence = ((body.call,) if body.call else ()) + body.evidence
        entry, by, at = entry_id(request, who), self._by(who), self._now()
        known = entry in self._desk.site.nuisance
        if seat and call is not None and seat not in (call.seat, *call.takers):
            raise Refused("not-your-call", "call")
        said = await self._desk.ask(
            lambda site: nuisance_desk.propose(site, entry, number, by, body.reason.strip(), evidence, body.days, at,
                                               self._listed.limits), f"nuisance/{entry}/proposed")  # fmt: skip
        if isinstance(said, No):
            raise Refused(said.code)
        headers = {"Location": f"/api/v1/nuisance/{entry}"}
        return answer(show(self._desk.site.nuisance[entry], who), 200 if known else 201, headers)

    async def _approve(self, request: web.Request) -> web.Response:
        body = checked(ApproveBody, await _json(request))
        return await self._act(request, True, lambda site, entry, by, at: nuisance_desk.approve(
            site, entry, by, body.days, body.note.strip(), at, self._listed.limits))  # fmt: skip

    async def _reject(self, request: web.Request) -> web.Response:
        note = checked(NoteBody, await _json(request)).note.strip()
        return await self._act(request, True, lambda site, entry, by, at: nuisance_desk.reject(
            site, entry, by, note, at))  # fmt: skip

    async def _remove(self, request: web.Request) -> web.Response:
        note = checked(NoteBody, await _json(request)).note.strip()
        return await self._act(request, True, lambda site, entry, by, at: nuisance_desk.remove(
            site, entry, by, note, at))  # fmt: skip

    async def _appeal(self, request: web.Request) -> web.Response:
        text = checked(AppealBody, await read_json(request)).text.strip()
        return await self._act(request, False, lambda site, entry, by, at: nuisance_desk.appeal(
            site, entry, by, text, at))  # fmt: skip

    async def _decide(self, request: web.Request) -> web.Response:
        body = checked(DecideBody, await read_json(request))
        return await self._act(request, True, lambda site, entry, by, at: nuisance_desk.decide(
            site, entry, by, body.outcome == "granted", body.note.strip(), at))  # fmt: skip

    async def _act(self, request: web.Request, boss: bool,
                   decide: Callable[[Site, str, str, int], object]) -> web.Response:  # fmt: skip
        """One act on an entry; ``boss``: a supervisor's alone."""
        who = self._who(request)
        if acting_seat(who) and boss:
            raise Refused("wrong-role")
        entry, by, at = request.match_info["id"], self._by(who), self._now()
        self._known(request)
        said = await self._desk.ask(lambda site: decide(site, entry, by, at), f"nuisance/{entry}/{at}")
        if isinstance(said, No):
            raise Refused(said.code)
        return answer(show(self._desk.site.nuisance[entry], who), 200)

    def _known(self, request: web.Request) -> Listing:
        entry = request.match_info["id"]
        one = self._desk.site.nuisance.get(entry)
        if one is None:
            raise Refused("nuisance-in-file" if entry.startswith("file-") else "unknown-nuisance")
        return one

    def _by(self, who: Who) -> str:
        """The person: the agent logged in on the seat, or whom the token names."""
        seat = self._desk.site.seats.get(who.seat)
        return (seat.agent if seat is not None else "") or who.name or (f"seat {who.seat}" if who.seat else "")


def entry_id(request: web.Request, who: Who) -> str:
    """Of the Idempotency-Key and who asks, or random; letters and digits, for it goes into a row of AstDB."""
    return "n" + transfer_suffix(request, f"nuisance\0{who.seat}\0{who.name}")


def file_id(number: str) -> str:
    """Of an entry of nuisance.yaml: tells entries apart without saying the number."""
    return "file-" + hashlib.blake2s(number.encode(), digest_size=4).hexdigest()


def show(one: Listing, who: Who) -> dict[str, Any]:
    """An entry as JSON. Times µs, 0: not yet. The whole number for a supervisor, its last two digits for others."""
    return {"entry": one.id, "number": _number(one.number, who), "state": str(one.state), "how": one.how,
            "reason": one.reason, "rule": one.rule, "days": one.days, "proposed_by": one.proposed_by,
            "proposed_at": one.proposed_at, "approved_by": one.approved_by, "approved_at": one.approved_at,
            "until": one.until, "note": one.note, "evidence": list(one.evidence), "source": "ledger",
            "appeal": {"text": one.appeal, "by": one.appealed_by, "open": bool(one.appealed_at),
                       "said": one.appeal_said} if one.appeal else None,
            "ended_by": one.ended_by, "ended_at": one.ended_at}  # fmt: skip


def _of_file(number: str, entry: Any, who: Who) -> dict[str, Any]:
    end = dt.datetime.combine(entry.until, dt.time(), dt.timezone(dt.timedelta(hours=8))) + dt.timedelta(days=1)
    return {"entry": file_id(number), "number": _number(number, who), "state": "listed", "reason": entry.reason,
            "approved_by": entry.approved_by, "until": int(end.timestamp()) * 1_000_000, "source": "file"}  # fmt: skip


def _number(number: str, who: Who) -> str:
    return number if who.role == "supervisor" else f"…{number[-2:]}"


async def _json(request: web.Request) -> dict[str, Any]:
    return await read_json(request) if request.can_read_body else {}
