"""`/api/v1/answer-rate`: the official answer rate, for screens and reports. Knows: JSON and tokens. Must not know: how
it is counted (`cti.core.rate_report`), where calls are kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from cti.core.disputes import BadPeriod
from cti.core.rate_asked import BadAsk, asked
from cti.core.rate_report import Asked
from cti.web.auth import Tokens
from cti.web.problems import Refused
from cti.web.transfers import answer

KNOWN = frozenset({"day", "month", "hours", "by", "buckets", "short_abandon"})


class AnswerRateApi:
    """Route `GET /api/v1/answer-rate?day=2026-11-25` (or ``month=2026-11``, ``hours=24``; none: today, the last 24 h
    and this month), ``&by=hotline|platform|division|seat-kind&buckets=1&short_abandon=5``. For supervisors and readers.

    ``figures``: the report of what is asked; it raises `ConnectionError` while the ledger is away.  ``short_s``: the
    site's own threshold.  ``waiting``: facts not in the ledger's figures yet, for they wait on local disk.
    """

    def __init__(self, tokens: Tokens, figures: Callable[[Asked], Awaitable[dict[str, Any]]], short_s: float,
                 waiting: Callable[[], int], now_us: Callable[[], int]) -> None:  # fmt: skip
        self._tokens, self._figures, self._short_s = tokens, figures, short_s
        self._waiting, self._now = waiting, now_us

    def add_to(self, app: web.Application) -> None:
        """The route; `TransfersApi.add_to` brings the problems."""
        app.router.add_get("/api/v1/answer-rate", self._get)

    async def _get(self, request: web.Request) -> web.Response:
        if self._tokens.read(request.headers.get("Authorization", "")).role == "agent":
            raise Refused("wrong-role")
        query = request.query
        if odd := sorted(set(query) - KNOWN):
            raise Refused("invalid-field", f"{odd[0][:40]!r} 未知 / unknown; {', '.join(sorted(KNOWN))}")
        try:
            wanted = asked(
                self._now(), day=query.get("day", ""), month=query.get("month", ""),
                hours=int(_number(query.get("hours", ""), "hours")), by=query.get("by", ""),
                buckets=query.get("buckets", "") in ("1", "true"),
                short_s=_number(query["short_abandon"], "short_abandon") if "short_abandon" in query else self._short_s)
        except (BadAsk, BadPeriod) as why:
            raise Refused("invalid-field", str(why)) from None
        try:
            reports = [await self._figures(one) for one in wanted]
        except ConnectionError:
            raise Refused("ledger-away") from None
        return answer({"reports": reports, "spool": self._waiting()}, 200)


def _number(text: str, name: str) -> float:
    try:
        value = float(text or 0)
    except ValueError:
        value = float("nan")
    if not abs(value) < 1e6 or (name == "hours" and value != int(value)):
        raise BadAsk(f"{name} 须为数字 / must be a number")
    return value
