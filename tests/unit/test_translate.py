"""Which of Asterisk's own steps say that caller and target are in one bridge."""

from __future__ import annotations

import pytest

from cti.ami.translate import Step, translate
from cti.core import events as e

REF = "530100-1795565841.39"
NEAR, CALLER, SEAT = f"Local/{REF}-42p1@door-00000012;1", "PJSIP/pstn-00000007", "PJSIP/1002-00000008"
KEEPER = f"Local/{REF}@keeper-00000014;1"


def enters(channel: str, *peers: str) -> object:
    return translate(Step("BRIDGE_ENTER", 7_000_000, "530100-1795565843.45", channel, ",".join(peers), "", {}))


@pytest.mark.parametrize(("channel", "peers"), [(NEAR, (CALLER, SEAT)), (CALLER, (NEAR,)), (CALLER, (SEAT, NEAR))])
def test_the_doors_near_leg_and_somebody_are_the_join(channel: str, peers: tuple[str, ...]) -> None:
    assert enters(channel, *peers) == e.CallerJoined(REF, 7_000_000)


@pytest.mark.parametrize(("channel", "peers"), [(NEAR, ()), (CALLER, (SEAT,)), (KEEPER, (CALLER, SEAT, NEAR))])
def test_alone_without_it_or_the_silent_keeper_is_none(channel: str, peers: tuple[str, ...]) -> None:
    assert enters(channel, *peers) is None
