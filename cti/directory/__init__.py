"""The linkage directory of one site: `load_directory(folder, today)` reads, checks and freezes it.

`fields` the kinds of value · `hotlines` `seats` `targets` `peers` `plans` the frozen values, by file of the
configuration · `model` all of them and lookups · `rules` what must agree with what · `load` files to model ·
`divisions` GB/T 2260.
"""

from cti.directory.base import Name
from cti.directory.fields import PLATFORMS, Platform, SeatKind
from cti.directory.hotlines import Hotline, QueueRules
from cti.directory.load import Checked, check_directory, load_directory
from cti.directory.model import Directory
from cti.directory.nuisance import Nuisance, NuisanceRules
from cti.directory.peers import SiteEntry, SiteSip, Trunk
from cti.directory.plans import Plan
from cti.directory.seats import Agent, Reason, Seat, SeatRules
from cti.directory.targets import GroupTarget, Linked, PhoneTarget, Route, SeatTarget, Target

__all__ = [
    "PLATFORMS",
    "Agent",
    "Checked",
    "Directory",
    "GroupTarget",
    "Hotline",
    "Linked",
    "Name",
    "Nuisance",
    "NuisanceRules",
    "PhoneTarget",
    "Plan",
    "Platform",
    "QueueRules",
    "Reason",
    "Route",
    "Seat",
    "SeatKind",
    "SeatRules",
    "SeatTarget",
    "SiteEntry",
    "SiteSip",
    "Target",
    "Trunk",
    "check_directory",
    "load_directory",
]
