"""The table of who hears whom, held against what was heard: every leak is told, every lack, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from cti.dialtest import rtp
from cti.dialtest.call import Call
from cti.dialtest.hearing import Hearing
from cti.dialtest.media import Media
from cti.dialtest.whohears import Moment, Table

CALLER, SEAT, GUEST = "C1", "1001", "8001"
TOGETHER = {name: frozenset({CALLER, SEAT, GUEST}) - {name} for name in (CALLER, SEAT, GUEST)}
ASIDE = {CALLER: frozenset({"music"}), SEAT: frozenset({GUEST}), GUEST: frozenset({SEAT})}


def hearing(*parts: tuple[float, frozenset[str]], t1: float = 10.0) -> Hearing:
    """From each of these moments on a packet every 20 ms holds these names."""
    ends = [start for start, _ in parts[1:]] + [t1]
    times, which = [], []
    for index, ((start, _), end) in enumerate(zip(parts, ends, strict=True)):
        count = round((end - start) / rtp.PACKET_S)
        times += [start + n * rtp.PACKET_S for n in range(count)]
        which += [index] * count
    return Hearing(parts[0][0], t1, np.array(times), tuple(label for _, label in parts), np.array(which))


def faults(heard: dict[str, Hearing], *moments: Moment, typed: list[tuple[str, float, float]] | None = None,
           end: float = 10.0) -> list[str]:  # fmt: skip
    def hear(party: str, t0: float, t1: float) -> Hearing:
        whole = heard[party]
        inside = (whole.times >= t0) & (whole.times <= t1)
        return Hearing(t0, t1, whole.times[inside], whole.labels, whole.which[inside])

    def missed(party: str, name: str, t0: float, t1: float) -> float:
        return heard[party].longest_without({name}, t0, t1)

    return Table(CALLER, list(moments), typed or []).faults(end, hear, missed, 120.0)


def settled(at: float) -> dict[str, float]:
    return dict.fromkeys((CALLER, SEAT, GUEST), at)


def as_it_should_be() -> dict[str, Hearing]:
    return {name: hearing((0.0, TOGETHER[name]), (5.0, ASIDE[name])) for name in TOGETHER}


MOMENTS = (Moment(0.0, TOGETHER, settled(0.0)), Moment(4.96, ASIDE, settled(5.0)))


def test_what_is_as_the_table_says_is_no_fault() -> None:
    assert faults(as_it_should_be(), *MOMENTS) == []


def test_one_packet_of_a_seat_in_the_callers_music_is_a_leak() -> None:
    heard = as_it_should_be()
    heard[CALLER] = hearing((0.0, TOGETHER[CALLER]), (5.0, ASIDE[CALLER]), (7.0, frozenset({SEAT, "music"})),
                            (7.02, ASIDE[CALLER]))  # fmt: skip

    (fault,) = faults(heard, *MOMENTS)

    assert fault.startswith("C1 heard 1001 for 20 ms 2.000 s into a time of music alone")


def test_the_caller_in_a_seats_ear_while_they_confer_is_a_leak() -> None:
    heard = as_it_should_be()
    heard[GUEST] = hearing((0.0, TOGETHER[GUEST]), (5.0, ASIDE[GUEST]), (6.0, TOGETHER[GUEST]))

    assert [fault[:14] for fault in faults(heard, *MOMENTS)] == ["8001 heard C1 "]


def test_a_sign_in_a_seats_ear_is_none_and_in_the_callers_it_is() -> None:
    heard = as_it_should_be()
    for name in (CALLER, SEAT):
        heard[name] = hearing((0.0, TOGETHER[name]), (2.0, TOGETHER[name] | {"music"}), (2.5, TOGETHER[name]),
                              (5.0, ASIDE[name]))  # fmt: skip

    assert [fault[:14] for fault in faults(heard, *MOMENTS)] == ["C1 heard music"]


def test_between_act_and_settling_the_old_row_is_no_leak_and_a_third_one_is() -> None:
    stranger = frozenset({"9999"})
    heard = as_it_should_be()
    heard[SEAT] = hearing((0.0, TOGETHER[SEAT]), (4.98, stranger), (5.0, ASIDE[SEAT]))

    assert [fault[:14] for fault in faults(heard, *MOMENTS)] == ["1001 heard 999"]


@pytest.mark.parametrize(("lost_s", "told"), [(0.08, 0), (0.2, 1)])
def test_one_voice_missing_for_longer_than_a_change_is_a_lack(lost_s: float, told: int) -> None:
    heard = as_it_should_be()
    heard[CALLER] = hearing((0.0, TOGETHER[CALLER]), (2.0, frozenset({SEAT})), (2.0 + lost_s, TOGETHER[CALLER]),
                            (5.0, ASIDE[CALLER]))  # fmt: skip

    assert ["did not hear 8001" in fault for fault in faults(heard, *MOMENTS)] == [True] * told


def test_typing_mutes_who_types_and_nobody_else() -> None:
    heard = as_it_should_be()
    heard[CALLER] = hearing((0.0, TOGETHER[CALLER]), (2.0, frozenset({SEAT})), (2.5, TOGETHER[CALLER]),
                            (5.0, ASIDE[CALLER]))  # fmt: skip

    assert faults(heard, *MOMENTS, typed=[(GUEST, 2.0, 2.4)]) == []
    assert len(faults(heard, *MOMENTS, typed=[(SEAT, 2.0, 2.4)])) == 1


def test_a_standstill_of_our_own_sender_is_taken_off_the_gap_it_fell_into_alone() -> None:
    media = Media()
    media._late.extend([(1.10, 0.09), (1.101, 0.086), (5.0, 0.05)])

    assert media.stalled(0.0, 2.0) == pytest.approx(91)  # the second wake-up pays for what the first one left
    assert media.stalled(1.05, 2.0) == pytest.approx(51)
    assert media.stalled(2.0, 4.0) == 0
    assert media.stalled(0.0, 10.0) == pytest.approx(141)


class _Ears(Call):
    """A call that heard what it is told."""

    def __init__(self, heard: Hearing, media: Media) -> None:
        self._all = heard
        self.phone = type("P", (), {"media": media})()

    def heard(self, t0: float | None = None, t1: float | None = None) -> Hearing:
        return self._all


def test_the_worst_gap_is_the_switchs_worst_not_the_longest_one() -> None:
    times = [0.0, 0.02, 0.2, 0.22, 0.24, 0.38]  # 180 ms of which we stood still for 150; 140 ms without our doing
    heard = Hearing(0.0, 0.38, np.array(times), (frozenset({SEAT}),), np.zeros(len(times), np.int_))
    media = Media()
    media._late.append((0.19, 0.15))

    gap = _Ears(heard, media).gap({SEAT}, 0.0, 0.38)

    assert (round(gap.ms), round(gap.own_ms), round(gap.net_ms)) == (140, 0, 140)
