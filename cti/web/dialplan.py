"""`/api/v1/dialplan`: what `cti dialplan deploy` did is put on record. Knows: JSON and tokens. Must not know: files,
Asterisk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from cti.core import events as e
from cti.web.auth import Tokens
from cti.web.problems import Refused
from cti.web.transfers import Desk, answer, checked, read_json

Hash = Annotated[str, Field(strict=True, pattern=r"^[0-9a-f]{64}$")]


class DeployedBody(BaseModel):
    """What was done, with the hashes of both dialplans."""

    model_config = ConfigDict(extra="forbid")

    outcome: Literal["deployed", "rolled-back"]
    before: Hash
    after: Hash
    files: Annotated[str, Field(strict=True, max_length=1000)] = ""
    why: Annotated[str, Field(strict=True, max_length=300)] = ""
    stories: Annotated[int, Field(strict=True, ge=0, le=100_000)] = 0


class DialplanApi:
    """Route `POST /api/v1/dialplan/deployed`, for supervisors. Register on an application with `add_to`."""

    def __init__(self, desk: Desk, tokens: Tokens, now_us: Callable[[], int]) -> None:
        self._desk, self._tokens, self._now = desk, tokens, now_us

    def add_to(self, app: web.Application) -> None:
        """The route; `TransfersApi.add_to` brings the problems."""
        app.router.add_post("/api/v1/dialplan/deployed", self._deployed)

    async def _deployed(self, request: web.Request) -> web.Response:
        who = self._tokens.read(request.headers.get("Authorization", ""))
        if who.role != "supervisor":
            raise Refused("wrong-role")
        body, at, by = checked(DeployedBody, await read_json(request)), self._now(), who.name or who.role
        event: e.DialplanDeployed | e.DialplanRolledBack
        if body.outcome == "deployed":
            event = e.DialplanDeployed("", at, body.before, body.after, body.files, body.stories, by)
        else:
            event = e.DialplanRolledBack("", at, body.before, body.after, body.files, body.why, by)
        await self._desk.ask(lambda site: event)
        return answer({"outcome": body.outcome, "after": body.after}, 201)
