"""What may be asked of the nuisance list, and the answer: pure rules ahead of the record.

Every act has a person's name: who proposes never approves, who approved never decides the appeal. Asked again, an act
that was done answers with the entry as it stands and writes nothing. Knows: the site's entries. Must not know: HTTP,
tokens, AstDB.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from cti.core import events as e
from cti.core.asking import No
from cti.core.entry import normalise_caller
from cti.core.ids import is_ref
from cti.core.listing import Listing
from cti.core.listing import ListingState as S
from cti.core.model import Site
from cti.core.nuisance import DAY_US, open_for

MOST_EVIDENCE = 20
NUISANCE_CODES: dict[str, tuple[str, str]] = {
    "unknown-nuisance": ("名单里没有这一条", "no such entry"),
    "nuisance-no-number": ("没有显示号码的来电不能列入", "a withheld or empty number cannot be listed"),
    "nuisance-own-number": ("这是本站、紧急或联动单位的号码，不能列入",
                            "a number of this site, of an emergency service or of the linkage directory"),
    "nuisance-no-evidence": ("须附至少一通来电为证", "name at least one call as evidence"),
    "nuisance-open": ("该号码已在名单里，或已有提议待定", "the number is listed or proposed already"),
    "nuisance-not-proposed": ("这一条不是待定的提议", "not a proposal to be decided"),
    "nuisance-not-listed": ("这一条不在名单里", "not on the list now"),
    "nuisance-no-appeal": ("没有待定的申诉", "no appeal to be decided"),
    "nuisance-appeal-open": ("已有申诉待定", "an appeal is to be decided already"),
    "nuisance-same-person": ("须由另一人决定", "another person must decide this"),
    "nuisance-too-long": ("期限过长，见 nuisance.yaml 的 most_days", "too long: see most_days in nuisance.yaml"),
    "nuisance-in-file": ("这一条在 nuisance.yaml 里，请改文件", "the entry stands in nuisance.yaml: change it there"),
    "no-name": ("令牌没有姓名：cti token --name", "the token has no name: cti token --name"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Limits:
    """Of the site: days of an entry unless said otherwise, at most, and numbers never listed."""

    days: int = 30
    most_days: int = 180
    never: Collection[str] = ()


def listable(text: str, never: Collection[str] = ()) -> str | No:
    """The number in the form it is compared in, or why it cannot be listed."""
    number = normalise_caller(text).number
    if not (3 <= len(number) <= 20 and number.isascii() and number.lstrip("+").isdecimal()):
        return No("nuisance-no-number")
    return No("nuisance-own-number") if number.lstrip("+") in never else number


def propose(site: Site, entry: str, number: str, by: str, reason: str, evidence: Collection[str], days: int, at: int,
            limits: Limits, rule: str = "") -> e.NuisanceProposed | Listing | No:  # fmt: skip
    """A proposal. ``days`` 0: the site's. The same id again is the same proposal."""
    known = site.nuisance.get(entry)
    if known is not None:
        return known
    if not by:
        return No("no-name")
    said = listable(number, limits.never)
    if isinstance(said, No):
        return said
    refs = tuple(dict.fromkeys(evidence))[:MOST_EVIDENCE]
    if not refs or not all(is_ref(ref) for ref in refs):
        return No("nuisance-no-evidence")
    if days > limits.most_days:
        return No("nuisance-too-long")
    if open_for(site, said) is not None:
        return No("nuisance-open")
    return e.NuisanceProposed("", at, entry, said, by, reason, ",".join(refs), days or limits.days, rule)


def approve(site: Site, entry: str, by: str, days: int, note: str, at: int,
            limits: Limits) -> e.NuisanceApproved | Listing | No:  # fmt: skip
    """Put it on the list for ``days`` (0: as proposed) from now."""
    one = _asked(site, entry, by)
    if isinstance(one, No):
        return one
    if one.state is S.LISTED and one.approved_by == by:
        return one
    if one.state is not S.PROPOSED:
        return No("nuisance-not-proposed")
    if one.proposed_by == by:
        return No("nuisance-same-person")
    if days > limits.most_days:
        return No("nuisance-too-long")
    until = at + min(days or one.days, limits.most_days) * DAY_US
    return e.NuisanceApproved("", at, entry, by, until, note)


def reject(site: Site, entry: str, by: str, note: str, at: int) -> e.NuisanceRejected | Listing | No:
    """Refuse a proposal; who made it may take it back so."""
    one = _asked(site, entry, by)
    if isinstance(one, No) or (one.how, one.ended_by) == ("rejected", by):
        return one
    return e.NuisanceRejected("", at, entry, by, note) if one.state is S.PROPOSED else No("nuisance-not-proposed")


def remove(site: Site, entry: str, by: str, note: str, at: int) -> e.NuisanceRemoved | Listing | No:
    """Take it off the list before its time: one person is enough, for it frees a caller."""
    one = _asked(site, entry, by)
    if isinstance(one, No) or (one.how, one.ended_by) == ("removed", by):
        return one
    return e.NuisanceRemoved("", at, entry, by, note) if one.state is S.LISTED else No("nuisance-not-listed")


def appeal(site: Site, entry: str, by: str, text: str, at: int) -> e.NuisanceAppealed | Listing | No:
    """The listed person objects; ``by`` takes it down."""
    one = _asked(site, entry, by)
    if isinstance(one, No):
        return one
    if one.state is not S.LISTED:
        return No("nuisance-not-listed")
    if one.appealed_at:
        return one if (one.appealed_by, one.appeal) == (by, text) else No("nuisance-appeal-open")
    return e.NuisanceAppealed("", at, entry, by, text)


def decide(site: Site, entry: str, by: str, granted: bool, note: str,
           at: int) -> e.AppealGranted | e.AppealRefused | Listing | No:  # fmt: skip
    """The appeal's outcome, by another person than who put the number on the list."""
    one = _asked(site, entry, by)
    if isinstance(one, No):
        return one
    if not one.appealed_at or one.state is not S.LISTED:
        did = one.appeal_said.partition(":")[0] == f"{'granted' if granted else 'refused'} {by}"
        return one if did else No("nuisance-no-appeal")
    if one.approved_by == by:
        return No("nuisance-same-person")
    return e.AppealGranted("", at, entry, by, note) if granted else e.AppealRefused("", at, entry, by, note)


def _asked(site: Site, entry: str, by: str) -> Listing | No:
    one = site.nuisance.get(entry)
    if one is None:
        return No("unknown-nuisance")
    return one if by else No("no-name")
