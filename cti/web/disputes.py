"""`/api/v1/disputes`: the dispute list for screens and reports. Knows: JSON and tokens. Must not know: what a dispute
is (`cti.core.disputes`), where facts are stored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict

from aiohttp import web

from cti.core.disputes import BadPeriod, disputes, period, quarter_of
from cti.core.facts import Fact
from cti.web.auth import Tokens
from cti.web.problems import Refused
from cti.web.transfers import answer


class DisputesApi:
    """Route `GET /api/v1/disputes?period=2026Q4` (or ``2026-11``; without: this quarter). For supervisors and readers.

    ``decisions``: facts written from a time (ms) on; it raises `ConnectionError` while the ledger is away.
    """

    def __init__(self, tokens: Tokens, decisions: Callable[[int], Awaitable[list[Fact]]],
                 now_us: Callable[[], int]) -> None:  # fmt: skip
        self._tokens, self._decisions, self._now = tokens, decisions, now_us

    def add_to(self, app: web.Application) -> None:
        """The route; `TransfersApi.add_to` brings the problems."""
        app.router.add_get("/api/v1/disputes", self._get)

    async def _get(self, request: web.Request) -> web.Response:
        if self._tokens.read(request.headers.get("Authorization", "")).role == "agent":
            raise Refused("wrong-role")
        wanted = request.query.get("period", "")
        try:
            over = period(wanted) if wanted else quarter_of(self._now())
        except BadPeriod as why:
            raise Refused("invalid-field", f"period: {why}") from None
        try:
            facts = await self._decisions(over.start // 1000)
        except ConnectionError:
            raise Refused("ledger-away") from None
        return answer({"period": over.name, "disputes": [asdict(one) for one in disputes(facts, over)]}, 200)
