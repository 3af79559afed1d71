"""`GET /api/v1/transfers` and `/{id}`: the transfers of now and of the past, to look at.

Knows: JSON, tokens, the query's words, the cursor. Must not know: the rules, where rows are kept. An agent sees those
he asked for or was reached by; supervisor, coordinator and reader see all.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol, TypeVar

from aiohttp import web

from cti.core.facts import Fact
from cti.core.ids import is_ref
from cti.core.model import Site, Transfer
from cti.core.past import OUTCOMES, Page, Past, Wanted, timeline
from cti.core.zone import SHANGHAI
from cti.ladder import words
from cti.web.auth import Tokens, Who
from cti.web.problems import Refused
from cti.web.transfers import answer, ref_of, show

LIMIT, MOST = 50, 500
T = TypeVar("T")
_CALLER = re.compile(r"(\d{3}\*{4}\d{2}|\*{4})(~[0-9a-f]{16})?\Z")


class Rows(Protocol):
    """Past transfers. Every method raises ConnectionError while the ledger is away; `page` ValueError where a mask fits
    too many."""

    async def page(self, wanted: Wanted, limit: int, below: tuple[int, str] | None = None) -> Page:
        """Rows, newest first."""

    async def one(self, name: str) -> Past | None:
        """One row."""

    async def facts(self, row: Past) -> Sequence[Fact]:
        """The facts of its call."""


class PastTransfersApi:
    """The reading side of `/api/v1/transfers`; `TransfersApi` has the acting one."""

    def __init__(self, site: Callable[[], Site], tokens: Tokens, rows: Rows) -> None:
        self._site, self._tokens, self._rows = site, tokens, rows

    def add_to(self, app: web.Application) -> None:
        """The routes; `TransfersApi.add_to` brings the problems."""
        app.router.add_get("/api/v1/transfers", self._list)
        app.router.add_get("/api/v1/transfers/{id}", self._get)

    async def _list(self, request: web.Request) -> web.Response:
        who = self._tokens.read(request.headers.get("Authorization", ""))
        wanted, limit, below, filters = read_query(request.query, who)
        try:
            page = await told(self._rows.page(wanted, limit, below))
        except ValueError:
            raise Refused("invalid-field", "caller: 匹配过多，请用 from、until 缩小时间 / fits too many calls: "
                                           "narrow the time by from and until") from None  # fmt: skip
        cursor = write_cursor(page.next, filters) if page.next is not None else None
        return answer({"transfers": [show_past(row) for row in page.rows], "next": cursor}, 200)

    async def _get(self, request: web.Request) -> web.Response:
        """A transfer of now as it stands, one of the past from the ledger; both with their story."""
        who = self._tokens.read(request.headers.get("Authorization", ""))
        name = request.match_info["id"]
        live = _live(self._site(), name)
        if live is not None:
            call = self._site().calls[ref_of(name)]
            if who.role == "agent" and who.seat not in (live.seat, live.target_seat, call.seat):
                raise Refused("not-your-call")
        try:
            row = await told(self._rows.one(name))
            story = timeline(await told(self._rows.facts(row)), name) if row is not None else []
        except Refused:
            if live is None:
                raise
            row, story = None, []  # a transfer of now is told with the ledger away as well
        if live is None and row is None:
            raise Refused("unknown-transfer")
        if live is None and row is not None and who.role == "agent" and who.seat not in (row.seat, row.target):
            raise Refused("not-your-call")
        shown = {**(show_past(row) if row else {}), **(show(ref_of(name), live) if live else {})}
        shown["timeline"] = [
            {"at": one.fact.at, "time": _iso(one.fact.at), "kind": one.fact.kind, "state": one.state,
             "source": one.fact.source, "text": words(one.fact)}
            for one in story
        ]  # fmt: skip
        return answer(shown, 200)


async def told(asked: Awaitable[T]) -> T:
    """What the ledger says. Raises `Refused` ledger-away."""
    try:
        return await asked
    except ConnectionError:
        raise Refused("ledger-away") from None


def _live(site: Site, name: str) -> Transfer | None:
    call = site.calls.get(ref_of(name))
    return next((t for t in call.transfers if t.id == name), None) if call else None


def show_past(row: Past) -> dict[str, Any]:
    """A row as JSON. Times µs since the epoch, lengths ms; null: not (yet). ``caller`` is masked."""
    shown = asdict(row)
    for name in ("id", "ref", "first_ms", "last_ms"):
        del shown[name]
    answered = row.answered_at
    return {"transfer": row.id, "call": row.ref, "state": "ended" if row.outcome else "open", **shown,
            "direction": row.direction, "started": _iso(row.started_at),
            "answer_ms": (answered - row.started_at) // 1000 if answered else None}  # fmt: skip


def _iso(at: int) -> str:
    return dt.datetime.fromtimestamp(at / 1e6, SHANGHAI).isoformat(timespec="milliseconds")


# -- the query ---------------------------------------------------------------------------------------------------------
def read_query(query: Mapping[str, str], who: Who) -> tuple[Wanted, int, tuple[int, str] | None, str]:
    """What is asked, how many, below which row, and what the cursor is bound to. Raises `Refused` invalid-field: the
    field and its cure."""
    known = ("from", "until", "hotline", "direction", "to", "seat", "outcome", "call", "caller", "limit", "cursor")
    for name in query:
        if name not in known:
            raise Refused("invalid-field", f"{name}: 没有这个条件 / no such filter; {', '.join(known)}")
    way = re.fullmatch(r"(\d{3,8})-(\d{3,8})", query.get("direction", "0000-0000"))
    if way is None:
        raise Refused("invalid-field", "direction: 如 12345-110 / e.g. 12345-110 (hotline called - platform sent to)")
    hotline, to = query.get("hotline", ""), query.get("to", "")
    if "direction" in query:
        for name, given, said in (("hotline", hotline, way[1]), ("to", to, way[2])):
            if given not in ("", said):
                raise Refused("invalid-field", f"{name}: 与 direction 不符 / contradicts direction")
        hotline, to = way[1], way[2]
    for name, value in (("hotline", hotline), ("to", to), ("seat", query.get("seat", ""))):
        if value and not re.fullmatch(r"[0-9A-Za-z+-]{1,20}", value):
            raise Refused("invalid-field", f"{name}: 应为号码 / a number, e.g. 12345")
    if (outcome := query.get("outcome", "")) not in ("", *OUTCOMES):
        raise Refused("invalid-field", f"outcome: 应为其一 / one of {', '.join(OUTCOMES)}")
    if (ref := query.get("call", "")) and not is_ref(ref):
        raise Refused("invalid-field", "call: 应为编号 / a correlation id, e.g. 530100-1732406400.12")
    if (caller := query.get("caller", "")) and not _CALLER.match(caller):
        raise Refused("invalid-field", "caller: 只用遮蔽形式，号码不进地址 / the masked form alone, as rows "
                                       "show it (138****00, 138****00~…): no number in an address")  # fmt: skip
    start, end = instant(query, "from", 0), instant(query, "until", 1 << 62)
    if start >= end:
        raise Refused("invalid-field", "until: 应晚于 from / must be after from")
    wanted = Wanted(start, end, hotline, to, query.get("seat", ""), who.seat if who.role == "agent" else "", outcome,
                    ref, caller)  # fmt: skip
    text = query.get("limit", str(LIMIT))
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and 1 <= int(text) <= MOST):
        raise Refused("invalid-field", f"limit: 1–{MOST}")
    filters = hashlib.blake2s(repr(wanted).encode(), digest_size=6).hexdigest()
    return wanted, int(text), read_cursor(query.get("cursor", ""), filters), filters


def instant(query: Mapping[str, str], name: str, otherwise: int) -> int:
    """µs of an ISO time (Asia/Shanghai where no zone is written), a day, or µs. Raises `Refused` invalid-field."""
    text = query.get(name, "")
    if not text:
        return otherwise
    if text.isascii() and text.isdecimal() and len(text) <= 17:
        return int(text)
    try:
        at = dt.datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)  # an address's + is a blank
    except ValueError:
        raise Refused("invalid-field", f"{name}: 如 2026-11-25 或 2026-11-25T08:00 / e.g. 2026-11-25, "
                                       "2026-11-25T08:00, 2026-11-25T00:00Z, or µs") from None  # fmt: skip
    return int((at if at.tzinfo else at.replace(tzinfo=SHANGHAI)).timestamp() * 1e6)


def write_cursor(place: tuple[int, str], filters: str) -> str:
    """Opaque: a place, bound to what was asked."""
    return base64.urlsafe_b64encode(f"{filters}|{place[0]}|{place[1]}".encode()).decode().rstrip("=")


def read_cursor(text: str, filters: str) -> tuple[int, str] | None:
    """The place. Raises `Refused` invalid-field for one we did not write, or wrote for another question."""
    if not text:
        return None
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode("ascii")
        bound, at, name = raw.split("|")
        place = (int(at), name)
    except ValueError:
        raise Refused("invalid-field", "cursor: 应为上一页的 next / must be the next of the page before") from None
    if bound != filters:
        raise Refused("invalid-field", "cursor: 条件已变，请从头查 / belongs to another query: begin without it")
    return place
