"""The detector and the hearing: one packet tells the parties apart, and gaps are measured by the written convention."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from cti.dialtest import hearing, rtp, tones

Samples = NDArray[np.int16]
A, B, P = tones.TONES[:3]
PARTIES = {A: "A1", B: "B1", P: "P1"}
QUIET = np.zeros(160, np.int16)


def through_alaw(*packets: Samples) -> Samples:
    codes = np.frombuffer(b"".join(rtp.alaw(packet) for packet in packets), np.uint8)
    return rtp.ALAW[codes].reshape(-1, 160)


def mixed(*hz: int) -> Samples:
    together: Samples = np.sum([tones.samples(f) for f in hz], axis=0).astype(np.int16)
    return together


def noise(count: int, *, level: float = 3000, seed: int = 1) -> list[Samples]:
    made = np.random.default_rng(seed).normal(0, level, (count, 160))
    return list(np.clip(made, -32000, 32000).astype(np.int16))


def hears(*packets: Samples | bytes | None, t0: float = 0.0, t1: float | None = None) -> hearing.Hearing:
    """A packet every 20 ms from t=0: samples, the payload of an event, or None for one that never came."""
    recording = rtp.Recording(events=101)
    for index, content in enumerate(packets):
        if content is not None:
            payload = content if isinstance(content, bytes) else rtp.alaw(content)
            kind = 101 if isinstance(content, bytes) else 8
            recording.feed(index * 0.02, rtp.packet(payload, kind=kind, seq=index, stamp=index * 160, ssrc=1))
    return hearing.listen(recording, PARTIES, t0, len(packets) * 0.02 if t1 is None else t1)


def voice(hz: int, count: int) -> list[Samples]:
    return [tones.samples(hz)] * count


def test_there_are_sixty_tones_away_from_dtmf_and_from_each_other() -> None:
    dtmf = (697, 770, 852, 941, 1209, 1336, 1477, 1633)

    assert len(set(tones.TONES)) == 60
    assert all(hz % 50 == 0 and 400 <= hz < 4000 for hz in tones.TONES)
    assert all(abs(hz - key) > 15 for hz in tones.TONES for key in dtmf)
    assert all(abs(one - two) >= 300 for one, two in zip(tones.TONES[:53], tones.TONES[1:53], strict=False))


def test_each_of_sixty_parties_is_known_from_one_packet() -> None:
    for index, hz in enumerate(tones.TONES):
        found = tones.detect(through_alaw(tones.samples(hz)), tones.TONES)

        assert np.flatnonzero(found.tones[0]).tolist() == [index]
        assert not found.other[0] and not found.silent[0]


@pytest.mark.parametrize("count", [2, 3, 4, 6])
def test_everybody_in_a_conference_is_heard_in_one_packet(count: int) -> None:
    for start in range(0, 54, 5):
        hz = tones.TONES[start : start + count]
        found = tones.detect(through_alaw(mixed(*hz)), tones.TONES)

        assert {tones.TONES[k] for k in np.flatnonzero(found.tones[0])} == set(hz)


def test_a_tone_that_would_not_repeat_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 50"):
        tones.samples(697)


def test_silence_is_silent_and_noise_is_music() -> None:
    heard = hears(*[QUIET] * 10, *noise(10))

    assert [sorted(part.what) for part in heard.intervals] == [["silence"], ["music"]]
    assert str(heard) == "silence 0.2s | music 0.2s"


def test_music_of_notes_is_nobody() -> None:
    # Notes of the tempered scale with overtones and decay, half a second each, loud and soft.
    t = np.arange(4000) / 8000
    notes = [
        sum(level * np.sin(2 * np.pi * 220 * 2 ** (step / 12) * k * t) / k for k in (1, 2, 3)) * np.exp(-2 * t)
        for step in range(36)
        for level in (500, 2000, 3500, 6000)
    ]
    packets = np.concatenate(notes).astype(np.int16).reshape(-1, 160)

    found = tones.detect(through_alaw(*packets), tones.TONES)

    assert found.tones.any(axis=1).mean() < 0.002  # some notes are at a party's frequency and loudness for a packet


def test_a_packet_at_the_swap_counts_for_whom_it_holds_most() -> None:
    border = np.concatenate([tones.samples(A)[:110], tones.samples(P)[110:]])

    heard = hears(*voice(A, 5), border, *voice(P, 5))

    assert [sorted(part.what) for part in heard.intervals] == [["A1"], ["P1"]]
    assert heard.intervals[0].ms == pytest.approx(120)


def test_a_piece_of_a_tone_with_nobody_beside_it_is_music() -> None:
    piece = np.concatenate([tones.samples(A)[:80], QUIET[80:]])

    assert not hears(*noise(3), piece, *noise(3)).ever("A1")


def test_a_beep_over_a_voice_leaves_the_voice_heard() -> None:
    beep = (2000 * np.sin(2 * np.pi * 1234.5 / 8000 * np.arange(1600))).astype(np.int16).reshape(-1, 160)

    heard = hears(*voice(A, 5), *(tones.samples(A) + part for part in beep), *voice(A, 5))

    assert str(heard) == "A1 0.1s | A1+music 0.2s | A1 0.1s"
    assert heard.longest_without({"A1"}, 0.0, 0.38) == pytest.approx(20)


def test_an_undisturbed_stream_is_without_for_20_ms() -> None:
    heard = hears(*voice(A, 50))

    assert heard.longest_without({"A1"}) == pytest.approx(20)
    assert heard.total("A1") == pytest.approx(1000)
    assert str(heard) == "A1 1.0s"


def test_one_lost_packet_is_a_gap_of_40() -> None:
    heard = hears(*voice(A, 10), None, *voice(A, 10))

    assert heard.longest_without({"A1"}) == pytest.approx(40)
    assert [("+".join(part.what), round(part.ms)) for part in heard.intervals] == [
        ("A1", 200),
        ("gap", 20),
        ("A1", 200),
    ]


def test_a_swap_without_loss_is_without_either_for_20_and_without_one_for_the_rest() -> None:
    heard = hears(*voice(A, 10), *voice(P, 10))

    assert heard.longest_without({"A1", "P1"}) == pytest.approx(20)
    assert heard.longest_without({"A1"}) == pytest.approx(220)
    assert heard.longest_without({"P1"}) == pytest.approx(200)
    assert heard.longest_without({"B1"}) == pytest.approx(400)


def test_music_bridges_a_wait_only_when_it_is_asked_for() -> None:
    heard = hears(*voice(A, 5), *noise(10), *voice(P, 5))

    assert heard.longest_without({"A1", "P1", "music"}) == pytest.approx(20)
    assert heard.longest_without({"A1", "P1"}) == pytest.approx(220)


def test_first_and_last_say_when_somebody_came_and_went() -> None:
    heard = hears(*voice(A, 5), *voice(P, 5), *voice(A, 5))

    assert heard.first("P1") == pytest.approx(0.1)
    assert heard.last("P1") == pytest.approx(0.18)
    assert heard.first("A1", after=0.09) == pytest.approx(0.2)
    assert heard.last("A1", before=0.1) == pytest.approx(0.08)
    assert heard.first("B1") is None and heard.last("B1") is None
    assert heard.ever("P1") and not heard.ever("B1")


def test_no_packet_at_all_is_one_gap() -> None:
    heard = hears(t1=1.0)

    assert str(heard) == "gap 1.0s"
    assert heard.longest_without({"A1"}) == pytest.approx(1000)


def test_the_ends_of_the_window_are_gaps_only_when_packets_are_missing() -> None:
    assert str(hears(None, *voice(A, 10))) == "A1 0.2s"
    assert str(hears(None, None, *voice(A, 10))) == "gap 40ms | A1 0.2s"
    assert str(hears(*voice(A, 10), None, None)) == "A1 0.2s | gap 40ms"


def test_a_window_looks_at_its_own_packets_only() -> None:
    packets = [*voice(A, 10), *voice(P, 10)]

    assert not hears(*packets, t0=0.2).ever("A1")
    assert not hears(*packets, t1=0.19).ever("P1")


def test_a_digit_stands_in_place_of_the_voice() -> None:
    heard = hears(*voice(A, 5), *[rtp.event("1", 160 * step) for step in range(1, 6)], *voice(A, 5))

    assert [sorted(part.what) for part in heard.intervals] == [["A1"], ["dtmf"], ["A1"]]


def test_three_in_a_conference_print_as_a_set() -> None:
    packets = through_alaw(*[mixed(A, B, P)] * 10)

    assert str(hears(*packets)) == "A1+B1+P1 0.2s"
