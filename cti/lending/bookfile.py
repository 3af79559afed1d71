"""The book on disk, whole, before its orders are carried out: it must be there when neither Redis nor Asterisk is.

Knows: JSON, fsync. Must not know: rules. One small file, written anew and renamed: a crash leaves the old or the new.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

from cti.core.lease_model import Lease, LeaseState, Side, Terms
from cti.core.leasebook import Book

log = structlog.get_logger(__name__)


def save(path: Path, book: Book) -> None:
    """Durable when it returns. Raises OSError."""
    values = {
        "site": book.site,
        "lent": [asdict(lease) for lease in book.lent.values()],
        "borrowed": [asdict(lease) for lease in book.borrowed.values()],
        "fences": dict(book.fences),
        "heard": [[*who, number] for who, number in book.heard.items()],
    }
    fresh = path.with_suffix(".new")
    with fresh.open("w", encoding="utf-8") as out:
        json.dump(values, out, ensure_ascii=False, separators=(",", ":"))
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(path)


def load(path: Path, site: str, terms: Terms) -> Book:
    """The book as it was saved; an empty one when there is none. A damaged file is moved aside: fencing numbers then
    come from Redis, and the dialplan's rows run out by their own clock."""
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        lent = [_lease(one) for one in values["lent"]]
        borrowed = [_lease(one) for one in values["borrowed"]]
        return Book(site, terms, {x.seat: x for x in lent}, {x.id: x for x in borrowed}, dict(values["fences"]),
                    {(seat, who): number for seat, who, number in values["heard"]})  # fmt: skip
    except FileNotFoundError:
        return Book(site, terms)
    except (ValueError, KeyError, TypeError) as why:
        log.error("lease_book_unreadable", why=str(why), cure="kept as leases.bad; lent seats return by the clock")
        path.replace(path.with_suffix(".bad"))
        return Book(site, terms)


def _lease(values: dict[str, Any]) -> Lease:
    return Lease(**{**values, "side": Side(values["side"]), "state": LeaseState(values["state"]),
                    "terms": Terms(**values["terms"])})  # fmt: skip
