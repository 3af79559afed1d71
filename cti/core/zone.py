"""The one time zone of days, hours and figures: Asia/Shanghai, UTC+8 all year. Knows: no clock."""

from __future__ import annotations

import datetime as dt
from typing import Final

SHANGHAI: Final = dt.timezone(dt.timedelta(hours=8), "Asia/Shanghai")
