"""Refusals as RFC 9457 problem details: a stable code, what is wrong, what to do; Chinese first.

Knows: HTTP statuses. Must not know: why a request was refused (cti.core.asking).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from aiohttp import web

from conference.words import REFUSALS
from cti.core.asking import CODES
from cti.core.nuisance_desk import NUISANCE_CODES
from cti.core.plan_desk import PLAN_CODES
from cti.core.seat_desk import SEAT_CODES

STATUS: Mapping[str, int] = {
    "malformed-json": 400, "not-signed-in": 401, "wrong-role": 403, "unknown-call": 404, "unknown-transfer": 404,
    "not-found": 404, "method-not-allowed": 405, "not-your-call": 409, "transfer-running": 409, "not-ringing": 409,
    "no-route": 409, "bounce": 409, "three-takers": 409, "caller-gone": 409, "room-open": 409,
    "no-room": 404, "no-recording": 404, "not-in-room": 409, "alone": 409, "decided": 409, "room-full": 409,
    "member-rings": 409, "no-voice": 409, "no-member": 404, "unknown-choice": 422,
    "dedicated-only": 409, "unknown-seat": 404, "not-your-seat": 403, "wrong-pin": 403,
    "login-locked": 429, "seat-taken": 409, "agent-elsewhere": 409, "not-logged-in": 409, "seat-lent": 409,
    "unknown-reason": 422,
    "unknown-callback": 404, "unknown-result": 422, "callback-ended": 409, "callback-taken": 409,
    "callback-no-number": 409, "seat-busy": 409,
    "unknown-plan": 404, "no-run": 404, "plan-runs": 409, "plan-not-running": 409, "plan-elsewhere": 409,
    "drill-callers-taken": 409, "not-notified": 409, "not-open": 409,
    "unknown-nuisance": 404, "nuisance-no-number": 422, "nuisance-own-number": 422, "nuisance-no-evidence": 422,
    "nuisance-too-long": 422, "nuisance-open": 409, "nuisance-not-proposed": 409, "nuisance-not-listed": 409,
    "nuisance-no-appeal": 409, "nuisance-appeal-open": 409, "nuisance-same-person": 409, "nuisance-in-file": 409,
    "no-name": 403,
    "unknown-lease": 404, "lease-over": 409, "no-site": 422, "no-seat": 422, "mail-away": 503,
    "too-large": 413, "not-json": 415, "invalid-field": 422, "idempotency-key-reused": 422,
    "too-many-listeners": 429, "export-running": 429, "no-parquet": 501, "failed": 500,
    "switch-away": 503, "ledger-away": 503,
}  # fmt: skip
"""code → HTTP status. Codes are for programs and never change; texts are for people and may."""

WORDS: Mapping[str, tuple[str, str]] = {
    **CODES,
    **REFUSALS,
    **SEAT_CODES,
    **PLAN_CODES,
    **NUISANCE_CODES,
    "malformed-json": ("请求体不是 JSON 对象", "the body is not a JSON object"),
    "not-signed-in": ("缺少令牌，或令牌无效、已过期", "no token, or it is invalid or expired: cti token"),
    "wrong-role": ("该角色不能做这件事", "this role may not do that"),
    "unknown-lease": ("没有这次借用", "no such lease"),
    "lease-over": ("这次借用已结束", "the lease is over"),
    "no-site": ("没有这个站点，见 sites.yaml", "no such site: see sites.yaml"),
    "no-seat": ("没有这个席位，或是不外借的专席", "no such seat, or a dedicated one, which is not lent"),
    "seat-lent": ("该席位已借出", "the seat is lent already"),
    "mail-away": ("站点间的 Redis 没有应答", "Redis between the sites does not answer"),
    "no-recording": ("没有这份录音，或已按期删除", "no such recording, or deleted as its time was over"),
    "not-found": ("没有这个地址", "no such address"),
    "method-not-allowed": ("该地址不接受此方法", "this address does not take that method"),
    "too-large": ("请求体过大", "the body is too large"),
    "not-json": ("须为 Content-Type: application/json", "Content-Type must be application/json"),
    "invalid-field": ("字段有误", "a field is wrong"),
    "too-many-listeners": ("同时收听过多", "too many live connections"),
    "export-running": ("已有一个导出在进行，请稍后再试", "an export is running already: try again later"),
    "no-parquet": ("本站未装 Parquet", "Parquet is not installed here"),
    "ledger-away": ("账本暂不可用", "the ledger does not answer"),
    "failed": ("内部错误，已记录", "an error of ours; it is logged"),
}

OFFERS: Mapping[str, str] = {"bounce": "three-party", "three-takers": "three-party"}
"""what may be done instead (DOMAIN.md, transfer rule 4)"""


class Refused(Exception):
    """Ends a request with a problem. ``detail`` names the place; it never holds a token or a caller's number."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code)
        self.code, self.detail = code, detail


def response(code: str, detail: str = "", instance: str = "") -> web.Response:
    """``application/problem+json`` of a code."""
    zh, en = WORDS[code]
    body = {"type": f"urn:hotline-cti:problem:{code}", "title": f"{zh} / {en}", "status": STATUS[code], "code": code}
    if detail:
        body["detail"] = detail
    if instance:
        body["instance"] = instance
    if code in OFFERS:
        body["offer"] = OFFERS[code]
    headers = {"WWW-Authenticate": "Bearer"} if STATUS[code] == 401 else {}
    return web.Response(text=json.dumps(body, ensure_ascii=False) + "\n", status=STATUS[code], headers=headers,
                        content_type="application/problem+json", charset="utf-8")  # fmt: skip
