"""The linkage directory of one site: `load_directory(folder, today)` reads, checks and freezes it.

`fields` the kinds of value · `model` the frozen values and lookups · `rules` what must agree with what ·
`load` files to model · `divisions` GB/T 2260.
"""

from cti.directory.fields import PLATFORMS, Platform, SeatKind
from cti.directory.load import Checked, check_directory, load_directory
from cti.directory.model import (
    Agent,
    Directory,
    GroupTarget,
    Hotline,
    Linked,
    Name,
    Nuisance,
    PhoneTarget,
    QueueRules,
    Reason,
    Route,
    Seat,
    SeatRules,
    SeatTarget,
    SiteEntry,
    SiteSip,
    Target,
    Trunk,
)

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
    "PhoneTarget",
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
