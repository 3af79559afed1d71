"""Rules of emergency plans: what one names must be there. See `cti.directory.rules`."""

from __future__ import annotations

from cti.directory.checking import Faults, Site
from cti.directory.plans import Plan
from cti.directory.targets import SeatTarget
from cti.problem import Problem, Way, did_you_mean


def plans_find_what_they_need(site: Site) -> Faults:
    """Sites, hotlines, targets, trunks and seats of a plan exist; nothing delays 110; a plan borrows from others."""
    for plan in site.directory.plans:
        found = _Finder(site, plan)
        yield from found.places()
        yield from found.front()
        yield from found.targets()


class _Finder:
    def __init__(self, site: Site, plan: Plan) -> None:
        self._directory, self._plan = site.directory, plan
        self._document = site.documents[f"plans/{plan.id}"]

    def _error(self, way: Way, zh: str, en: str, cure: str) -> Problem:
        return self._document.problem(way, f"{zh} / {en}", cure)

    def places(self) -> Faults:
        plan, sites = self._plan, [s.code for s in self._directory.sites]
        if sites:
            named = [(("sites", i), code) for i, code in enumerate(plan.sites)]
            named += [(("seats", i, "from"), one.site) for i, one in enumerate(plan.seats)]  # type: ignore[misc]
            for way, code in named:
                if code not in sites:
                    yield self._error(way, f"没有站点 {code}", f"no site {code}", "见 sites.yaml / see sites.yaml")
        for i, one in enumerate(plan.seats):
            if not sites:
                yield self._error(("seats", i, "from"), "没有 sites.yaml，无处可借", "without sites.yaml nobody lends",
                                  "写 sites.yaml，或删去 seats / write sites.yaml, or remove seats")  # fmt: skip
            elif plan.sites == (one.site,):
                yield self._error(("seats", i, "from"), f"{one.site} 不能借给自己", f"{one.site} would lend to itself",
                                  "写别的站点 / name another site")  # fmt: skip
        for i, division in enumerate(plan.divisions):
            if not any(division[:4] == code[:4] or code[2:] == "0000" for code in plan.sites):
                yield self._error(("divisions", i), f"区划 {division} 不属于方案的任何站点",
                                  f"division {division} is in none of the plan's sites",
                                  "改 divisions 或 sites / mend divisions or sites")  # fmt: skip

    def front(self) -> Faults:
        front = self._plan.front
        for i, number in enumerate(front.hotlines if front else ()):
            hotline = self._directory.hotline(number)
            if hotline is None:
                yield self._error(("front", "hotlines", i), f"没有热线 {number}", f"no hotline {number}",
                                  "见 hotlines.yaml / see hotlines.yaml")  # fmt: skip
            elif hotline.platform == "110":
                yield self._error(("front", "hotlines", i), "110 来电不得延误", "nothing may delay a call to 110",
                                  f"删去 {number} / remove {number}")  # fmt: skip

    def targets(self) -> Faults:
        directory, plan = self._directory, self._plan
        short = [one.number for one in directory.linkage]
        phones = plan.duty.phones if plan.duty else ()
        linked: list[tuple[Way, str]] = [(("open", i), number) for i, number in enumerate(plan.open)]
        linked += [(("duty", "phones", i, "linkage"), one.linkage) for i, one in enumerate(phones) if one.linkage]
        for way, number in linked:
            if number not in short:
                near = did_you_mean(number, short)
                yield self._error(way, f"联动目录没有 {number}", f"no {number} in the linkage directory",
                                  f"是否 {near}？ / did you mean {near}?" if near else
                                  "见 linkage.yaml / see linkage.yaml")  # fmt: skip
        for i, one in enumerate(phones):
            for j, contact in enumerate(one.contacts):
                where: Way = ("duty", "phones", i, "contacts", j)
                if isinstance(contact, SeatTarget):
                    if directory.seat(contact.number) is None:
                        yield self._error((*where, "number"), f"没有座席 {contact.number}", f"no seat {contact.number}",
                                          "见 seats.yaml / see seats.yaml")  # fmt: skip
                elif directory.trunk(contact.trunk) is None:
                    yield self._error((*where, "trunk"), f"没有中继 {contact.trunk}", f"no trunk '{contact.trunk}'",
                                      "见 trunks.yaml / see trunks.yaml")  # fmt: skip
        for i, platform in enumerate(plan.notify):
            if platform not in directory.platforms:
                yield self._error(("notify", i), f"本站没有平台 {platform}", f"no platform {platform} here",
                                  "见 hotlines.yaml / see hotlines.yaml")  # fmt: skip
