"""`/api/v1/transfers`: the same one key, over HTTP.

Knows: JSON, tokens, how long to wait for the door's word. Must not know: the rules (cti.core.asking, the door).
A request is on record before Asterisk hears of it; sent twice with one Idempotency-Key it is made once, also when the
service was killed in between, because the transfer's id is made of the key.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Annotated, Any, Literal, Protocol, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cti.core import asking, commands, plans
from cti.core import events as e
from cti.core.facts import Fact
from cti.core.ids import is_ref
from cti.core.model import Site, Transfer, TransferState
from cti.directory import Directory
from cti.web.auth import Tokens, Who, acting_seat
from cti.web.live import Live, frame
from cti.web.problems import Refused, response

DOOR_S = 3.0
"""for the door's first word; it takes some ms"""
ALIVE_S = 15.0
MAX_BODY = 16 * 1024

T = TypeVar("T")
Body = TypeVar("Body", bound=BaseModel)
Text = Annotated[str, Field(strict=True, max_length=200)]


class TransferBody(BaseModel):
    """What is asked: ``call``, or the one at the token's seat; ``to``: a platform (its route) or a colleague's seat."""

    model_config = ConfigDict(extra="forbid")

    to: Annotated[str, Field(strict=True, pattern=r"^[0-9]{3,8}$")]
    call: Annotated[str, Field(strict=True, max_length=40)] | None = None
    danger: Annotated[bool, Field(strict=True)] = False
    summary: Text = ""
    mode: Literal["swap", "add"] = "swap"
    """add: brought in beside the caller and his seat, the three-party call"""


class Desk(Protocol):
    """The runtime, as far as requests need it."""

    @property
    def site(self) -> Site:
        """The calls now."""

    async def ask(self, decide: Callable[[Site], T], key: str = "") -> T:
        """Decide in turn; see `cti.runtime.Runtime.ask`."""

    def act(self, command: commands.Command) -> None:
        """Have a command carried out."""

    @property
    def listeners(self) -> list[Callable[[Fact], None]]:
        """Told every fact on record."""


class TransfersApi:
    """Routes of `/api/v1`. Register on an application with `add_to`."""

    def __init__(self, desk: Desk, tokens: Tokens, directory: Directory, now_us: Callable[[], int]) -> None:
        self._desk, self._tokens, self._directory, self._now = desk, tokens, directory, now_us
        self._live = Live(lambda: desk.site)
        self._waiting: dict[str, list[asyncio.Event]] = {}
        desk.listeners.append(self._saw)

    def add_to(self, app: web.Application) -> None:
        """The routes, and problems instead of aiohttp's plain texts."""
        app.middlewares.append(problems)
        app.router.add_post("/api/v1/transfers", self._post)
        app.router.add_post("/api/v1/transfers/{id}/cancel", self._cancel)
        app.router.add_post("/api/v1/transfers/{id}/release", self._release)
        app.router.add_get("/api/v1/live", self._listen)

    def _saw(self, fact: Fact) -> None:
        self._live.saw(fact)
        if fact.kind in ("TransferStarted", "TransferEnded"):
            for told in self._waiting.get(str(fact.data.get("transfer", "")), ()):
                told.set()

    def _who(self, request: web.Request) -> Who:
        return self._tokens.read(request.headers.get("Authorization", ""))

    async def _post(self, request: web.Request) -> web.Response:
        seat = acting_seat(self._who(request))
        body = checked(TransferBody, await read_json(request))
        ref = body.call or self._call_at(seat)
        if not is_ref(ref):
            raise Refused("unknown-call", "call")
        colleague = self._directory.seat(body.to)
        to = colleague.platform if colleague else body.to
        if to not in self._directory.platforms:
            self._must_be_open(to, ref, body.mode)
        ask = asking.Ask(
            ref=ref, transfer=f"{ref}-{transfer_suffix(request, seat)}", seat=seat, to=to, at=self._now(),
            danger=body.danger, summary=body.summary.strip(), only=colleague.number if colleague else "",
            mode=body.mode)  # fmt: skip
        with self._word_of(ask.transfer) as told:
            said = await self._desk.ask(lambda site: asking.transfer(site, ask))
            if isinstance(said, asking.No):
                raise Refused(said.code)
            if isinstance(said, e.TransferRequested) or said.state is TransferState.REQUESTED:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(DOOR_S):
                        await told.wait()
        made = self._transfer(ask.transfer)
        if made is not None and str(made.outcome) == "refused":
            raise Refused(made.why if made.why in asking.CODES else "failed")
        known = isinstance(said, Transfer)
        status = 202 if made is None or made.state is TransferState.REQUESTED else 200 if known else 201
        shown = show(ref, made) if made else {"transfer": ask.transfer, "call": ref, "state": "requested"}
        return answer(shown, status, {"Location": f"/api/v1/transfers/{ask.transfer}"})

    def _must_be_open(self, to: str, ref: str, mode: str) -> None:
        """A linkage target is for the one key while an emergency plan has opened it. Raises `Refused`."""
        if self._directory.linked(to) is None or mode == "add":
            raise Refused("no-route", f"to: {to}")
        call = self._desk.site.calls.get(ref)
        if not plans.opened(self._desk.site, to, call.drill if call else ""):
            raise Refused("not-open", f"to: {to}")

    async def _cancel(self, request: web.Request) -> web.Response:
        return await self._act(request, commands.TakeBack)

    async def _release(self, request: web.Request) -> web.Response:
        return await self._act(request, commands.Release)

    async def _act(self, request: web.Request, kind: type[commands.TakeBack] | type[commands.Release]) -> web.Response:
        seat = acting_seat(self._who(request))
        wanted = request.match_info["id"]
        ref = ref_of(wanted)
        found = await self._desk.ask(lambda site: asking.ringing(site.calls.get(ref), wanted, seat))
        if isinstance(found, asking.No):
            raise Refused(found.code)
        self._desk.act(kind(ref, found.id))
        return answer({**show(ref, found), "asked": kind.__name__}, 202)

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        who = self._who(request)
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        try:
            with self._live.reader(who.seat if who.role == "agent" else "") as queue:
                await stream.prepare(request)
                await stream.write(b": hotline-cti\n\n")
                while True:
                    try:
                        async with asyncio.timeout(ALIVE_S):
                            event = await queue.get()
                    except TimeoutError:
                        await stream.write(b": alive\n\n")
                        continue
                    if event is None:
                        return stream
                    await stream.write(frame(event))
        except OverflowError:
            raise Refused("too-many-listeners") from None
        except ConnectionResetError:
            return stream

    @contextlib.contextmanager
    def _word_of(self, transfer_id: str) -> Iterator[asyncio.Event]:
        """Set once the door has spoken of this transfer; several may wait for one."""
        told = asyncio.Event()
        waiting = self._waiting.setdefault(transfer_id, [])
        waiting.append(told)
        try:
            yield told
        finally:
            waiting.remove(told)
            if not waiting:
                self._waiting.pop(transfer_id, None)

    def _call_at(self, seat: str) -> str:
        found = [c.ref for c in self._desk.site.calls.values() if seat and c.seat == seat and c.phase == "talking"]
        return found[-1] if found else ""

    def _transfer(self, transfer_id: str) -> Transfer | None:
        call = self._desk.site.calls.get(ref_of(transfer_id))
        return next((t for t in call.transfers if t.id == transfer_id), None) if call else None


def answer(values: Mapping[str, Any], status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    """JSON in its own letters, a line of its own in a terminal."""
    return web.Response(text=json.dumps(values, ensure_ascii=False) + "\n", status=status, headers=headers,
                        content_type="application/json", charset="utf-8")  # fmt: skip


def ref_of(transfer_id: str) -> str:
    """The call's ref of a transfer's id (``530100-1732406400.12-k1f…``)."""
    return transfer_id.rpartition("-")[0]


def transfer_suffix(request: web.Request, seat: str) -> str:
    """Of the Idempotency-Key and who asks, or random. Letters and digits: it becomes an extension of the dialplan."""
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > 200:
        raise Refused("invalid-field", "Idempotency-Key: 至多 200 个字符 / at most 200 characters")
    if not key:
        return f"a{secrets.token_hex(6)}"
    return "k" + hashlib.blake2s(f"{seat}\0{key}".encode(), digest_size=8).hexdigest()


async def read_json(request: web.Request) -> dict[str, Any]:
    """The body, an object. Raises `Refused`: not-json, malformed-json, too-large."""
    if request.content_type != "application/json":
        raise Refused("not-json")
    try:
        raw: Any = json.loads(await request.read())
    except (ValueError, RecursionError):
        raise Refused("malformed-json") from None
    if not isinstance(raw, dict):
        raise Refused("malformed-json")
    return raw


def checked(model: type[Body], raw: dict[str, Any]) -> Body:
    """The body as its model. Raises `Refused` invalid-field, each field named."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        wrong = (f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()[:5])
        raise Refused("invalid-field", "; ".join(wrong)) from None


def show(ref: str, t: Transfer) -> dict[str, Any]:
    """A transfer as JSON. Times in µs since the epoch, 0: not yet."""
    waits = t.state in (TransferState.REQUESTED, TransferState.RINGING)
    return {"transfer": t.id, "call": ref, "state": str(t.state), "outcome": str(t.outcome), "why": t.why, "to": t.to,
            "seat": t.seat, "target": t.target_seat, "mode": t.mode, "key": t.key,
            "danger": t.danger, "summary": t.summary,
            "started_at": t.started_at, "answered_at": t.answered_at, "joined_at": t.joined_at, "ended_at": t.ended_at,
            "actions": ["cancel", "release"] if waits else []}  # fmt: skip


@web.middleware
async def problems(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
                   ) -> web.StreamResponse:  # fmt: skip
    """Every refusal of `/api/` as a problem; anything else is aiohttp's."""
    if not request.path.startswith("/api/"):
        return await handler(request)
    try:
        return await handler(request)
    except Refused as why:
        return response(why.code, why.detail, request.path)
    except web.HTTPRequestEntityTooLarge:
        return response("too-large", "", request.path)
    except web.HTTPNotFound:
        return response("not-found", "", request.path)
    except web.HTTPMethodNotAllowed:
        return response("method-not-allowed", "", request.path)
