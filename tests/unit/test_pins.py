"""A PIN is kept as a hash only, and a hash that cannot be computed is a fault of the file, not of the night shift."""

from __future__ import annotations

import pytest

from cti.pins import NOBODY, hash_pin, pin_is, sound

pytestmark = pytest.mark.unit


def test_the_right_pin_and_no_other() -> None:
    stored = hash_pin("4711")
    assert sound(stored) and "4711" not in stored.split("$")
    assert pin_is("4711", stored) and not pin_is("4712", stored) and not pin_is("", stored)
    assert hash_pin("4711") != stored, "salted"


@pytest.mark.parametrize("pin", ["", "123", "123456789", "12a4", "１２３４", "1234\n"])
def test_what_is_no_pin_is_refused_without_being_repeated(pin: str) -> None:
    with pytest.raises(ValueError, match="4 to 8 digits"):
        hash_pin(pin)
    assert not pin_is(pin, NOBODY)


@pytest.mark.parametrize("stored", ["", "4711", "scrypt$3$8$1$AAAAAAAAAAAAAAAAAAAAAA==$" + "A" * 43 + "=",
                                    "scrypt$9999999$99$9$AAAAAAAAAAAAAAAAAAAAAA==$" + "A" * 43 + "="])  # fmt: skip
def test_a_hash_that_cannot_be_computed_is_unsound_and_lets_nobody_in(stored: str) -> None:
    assert not sound(stored) and not pin_is("4711", stored)
