"""The kinds of value a directory holds, each refusing what could do harm further down.

Whatever is written here ends in the dialplan, in pjsip.conf and in AstDB, so a number is digits and nothing
else (a `_` or `X` would make a pattern, `&` a second target, `,` a second argument) and a text holds no
character that Asterisk's expressions, application arguments or configuration files give a meaning to.
Must not know: the models built from them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from cti.directory import divisions
from cti.pins import sound

CANCEL_KEY = "*9"
"""takes a ringing transfer back, on every seat (dialplan/key.conf)"""
ROOM_KEYS: Mapping[str, tuple[str, str]] = {
    "*3": ("confer", ""), "*71": ("decide", "own"), "*72": ("decide", "other"), "*73": ("decide", "undecided"),
    "*74": ("decide", "guidance"), "*6": ("mute", ""),
}  # fmt: skip
"""Keys of a three-party call: code → (what, argument) in [key] of key.conf. Fixed, as the cancel key is."""
_FIXED = (CANCEL_KEY, "*3", "*6", "*7")

Platform = Literal["12345", "110"]
SeatKind = Literal["general", "dedicated"]

PLATFORMS: Final[tuple[Platform, ...]] = ("12345", "110")
EMERGENCY: Final = frozenset({"110", "119", "120", "122"})

_ACTIVE: Final = re.compile(r"""[\x00-\x1f\x7f-\x9f\u2028\u2029$`{}\[\]()"'\\;,|&<>^~]""")
_FULL_WIDTH: Final = str.maketrans("(),;[]<>&|'\"", "（），；［］＜＞＆｜＇＂")


def refuse(kind: str, message: str, cure: str = "") -> PydanticCustomError:
    """An error that carries its own cure; `kind` is a stable word for programs."""
    return PydanticCustomError(kind, "{said}", {"said": message, "cure": cure})  # type: ignore[arg-type,unused-ignore]


def _digits(low: int, high: int) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(r"[0-9]+", value):
            raise refuse(
                "number_digits",
                "号码只许数字 0-9 / a number is digits 0-9 only",
                "去掉空格、横线和字母 / remove blanks, dashes and letters",
            )
        if not low <= len(value) <= high:
            raise refuse(
                "number_length",
                f"号码须为 {low}–{high} 位，现为 {len(value)} 位 / "
                f"a number has {low}–{high} digits, this one {len(value)}",
            )
        return value

    return AfterValidator(check)


def _text(value: str) -> str:
    if found := _ACTIVE.search(value):
        sign = found[0] if found[0].isprintable() else f"U+{ord(found[0]):04X}"
        wide = found[0].translate(_FULL_WIDTH)
        raise refuse(
            "text_active",
            f"不许有字符 {sign} / the character {sign} is not allowed here",
            f"改用全角 {wide} / use the full-width {wide}" if wide != found[0] else "删去它 / remove it",
        )
    if value != value.strip():
        raise refuse("text_blank", "首尾有空格 / blanks at the ends", "删去空格 / remove them")
    return value


def current_division(value: str) -> str:
    """`value` if it is a division in force (GB/T 2260)."""
    if divisions.name(value):
        return value
    if past := divisions.history(value):
        label, year = past[-1]
        raise refuse(
            "division_abolished",
            f"区划 {value} {label}已于 {year} 年撤销 / division {value} was abolished in {year}",
            "改用现行代码 / use the code now in force (GB/T 2260)",
        )
    raise refuse(
        "division_unknown",
        f"{value[:20]!r} 不是现行行政区划代码 / not a division in force",
        "六位数字，见 GB/T 2260 / six digits, see GB/T 2260",
    )


def _route_division(value: str) -> str:
    return value if value == divisions.ANY else current_division(value)


def _key_code(value: str) -> str:
    if value.startswith(CANCEL_KEY):
        text = f"{CANCEL_KEY} 是取消键 / {CANCEL_KEY} is the cancel key"
        raise refuse("key", text, "换一个开头 / begin it otherwise")
    if value.startswith(_FIXED):
        text = f"{value[:2]} 开头的按键用于三方通话 / keys that begin {value[:2]} are those of the three-party call"
        raise refuse("key", text, "换一个开头 / begin it otherwise")
    if re.fullmatch(r"\*1[1-5]|\*13[1-9]", value):
        text = f"{value} 是座席状态的代码 / {value} is a code of the seat's status"
        raise refuse("key", text, "换一个，如 *110 / choose another, e.g. *110")
    if not value.startswith(("*", "#")):
        raise refuse(
            "key_start",
            f"按键代码 {value[:12]} 须以 * 或 # 开头 / a key code begins with * or #",
            f"如 / e.g. *{value[:9]}",
        )
    # 10 is Asterisk's FEATURE_MAX_LEN less its terminator (include/asterisk/features_config.h)
    if not re.fullmatch(r"[*#][0-9*#]{1,9}", value):
        raise refuse("key_shape", f"按键代码 {value[:12]} 须为 2–10 个按键 0-9 * # / a key code is 2–10 of 0-9 * #")
    return value


def _host(value: str) -> str:
    if re.fullmatch(r"[0-9.]+|.*:.*", value):
        try:
            return str(ipaddress.ip_address(value))
        except ValueError:
            raise refuse("host", f"{value[:40]!r} 不是 IP 地址 / not an IP address") from None
    if not re.fullmatch(
        r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
        r"(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*",
        value,
    ):
        raise refuse("host", f"{value[:40]!r} 不是主机名或 IP 地址 / not a host name or an IP address")
    return value


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise refuse(
            "network",
            f"{value[:40]!r} 不是 IP 地址或网段 / not an IP address or network",
            "如 / e.g. 10.1.0.0/16",
        ) from None


def _trunk_name(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,23}", value) or value in ("global", "system"):
        raise refuse(
            "trunk_name",
            f"中继名 {value[:30]!r} 不可用 / not usable as a trunk's name",
            "小写字母开头，只用 a-z 0-9 _ - / begin with a-z, then a-z 0-9 _ - (global, system are taken)",
        )
    return value


def _hours(value: str) -> str:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d", value) or value[:5] == value[6:]:
        raise refuse("hours", f"{value[:20]!r} 不是时段 / not a stretch of hours", '如 / e.g. "18:00-08:30"')
    return value


def _secret(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._~+/=-]{12,64}", value):
        raise refuse("secret", "口令须为 12–64 个字母、数字或 ._~+/=- / a secret is 12–64 of A-Z a-z 0-9 ._~+/=-")
    return value


def _not_bool(value: Any) -> Any:
    if isinstance(value, bool):  # pydantic reads true as 1
        raise refuse("int_type_bool", "须为整数 / must be a whole number")
    return value


def _skill(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,15}", value):
        raise refuse(
            "word", f"{value[:20]!r} 须为小写英文代码 / a code is a-z, then a-z 0-9 -, up to 16", "如 / e.g. water"
        )
    return value


def _pin(value: str) -> str:
    if not sound(value):
        raise refuse(
            "pin_hash",
            "须为 cti seats pin 生成的散列，不写明文 / must be a hash made by `cti seats pin`, never the PIN",
            "运行 / run: cti seats pin")  # fmt: skip
    return value


SeatNumber = Annotated[str, Field(strict=True), _digits(3, 8)]
HotlineNumber = Annotated[str, Field(strict=True), _digits(3, 12)]
PhoneNumber = Annotated[str, Field(strict=True), _digits(3, 18)]
Text = Annotated[str, Field(strict=True, min_length=1, max_length=64), AfterValidator(_text)]
Note = Annotated[str, Field(strict=True, min_length=1, max_length=200), AfterValidator(_text)]
Division = Annotated[str, Field(strict=True), AfterValidator(current_division)]
RouteDivision = Annotated[str, Field(strict=True), AfterValidator(_route_division)]
KeyCode = Annotated[str, Field(strict=True), AfterValidator(_key_code)]
Host = Annotated[str, Field(strict=True), AfterValidator(_host)]
Network = Annotated[str, Field(strict=True), AfterValidator(_network)]
Hours = Annotated[str, Field(strict=True), AfterValidator(_hours)]
"""``HH:MM-HH:MM`` local time, the end not included; past midnight when the end is earlier."""
TrunkName = Annotated[str, Field(strict=True), AfterValidator(_trunk_name)]
Code = Annotated[str, Field(strict=True), AfterValidator(_skill)]
"""a skill, or a reason: it becomes part of Asterisk's words and a metric's label"""
PinHash = Annotated[str, Field(strict=True), AfterValidator(_pin)]
Secret = Annotated[str, Field(strict=True), AfterValidator(_secret)]
Timeout = Annotated[int, Field(strict=True, ge=3, le=120)]
"""Seconds a phone may ring. Below 3 nobody can lift it; above 120 the caller is left to wait for nothing."""
Count = Annotated[int, Field(strict=True, ge=0, le=10_000)]
Port = Annotated[int, BeforeValidator(_not_bool), Field(ge=1, le=65535)]
