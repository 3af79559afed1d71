"""One request to the service of an instance on this machine, signed with the instance's own key.

Knows: where an instance is and how it signs. Must not know: what is asked.
"""

from __future__ import annotations

import hmac
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NoReturn

import click

from cti.web.auth import Role, Tokens, Who


class Unanswered(Exception):
    """The service does not answer now; it may be back in a moment."""


def ask(state: Path, method: str, path: str, role: Role, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """The answer. A refusal, or no instance in this folder, is said on stderr and ends the command with exit 1. Raises
    Unanswered."""
    try:
        facts = json.loads((state / "instance.json").read_text(encoding="utf-8"))
        key = (state / "instance.key").read_bytes()
    except FileNotFoundError:
        _end(f"{state} 没有在运行的实例 / no instance runs there; name its folder with --state")
    token = Tokens(hmac.new(key, b"http", "sha256").hexdigest()).make(Who(role=role, hours=1))
    request = urllib.request.Request(
        f"http://127.0.0.1:{facts['ports']['http']}/api/v1{path}", method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"})  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=5) as told:
            values: dict[str, Any] = json.load(told)
            return values
    except urllib.error.HTTPError as refused:
        problem = json.load(refused)
        _end(f"{problem.get('title', refused.code)} {problem.get('detail', '')}".strip())
    except (urllib.error.URLError, TimeoutError, ValueError) as why:
        raise Unanswered(str(why)) from None


def call(state: Path, method: str, path: str, role: Role, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """As `ask`; a service that does not answer ends the command as well."""
    try:
        return ask(state, method, path, role, body)
    except Unanswered as why:
        _end(f"服务没有应答 / the service does not answer: {why}")


def _end(words: str) -> NoReturn:
    click.echo(words, err=True)
    sys.exit(1)
