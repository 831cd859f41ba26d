"""The arithmetic of purse keys: the published known answers, and that both algorithms agree with themselves.

Published by cnblogs ttss/4280430 and copied by twblogs 5e4e601f and ncuisine 379 (one author family); the key is theirs
and was never used for anything. Many copies print the APDU's MAC1 as 3A845BF0, which is the load's MAC2: a slip.
"""

import pytest

from simulators.purse_keys import Algorithm, cbc_mac, diversify, encrypt, session_key, tac

KEY = bytes.fromhex("11223344556677888877665544332211")
LOAD, PURCHASE = "9B1D924E05595603", "003238ABC57659DD"


@pytest.mark.parametrize(
    ("sentence", "data", "expected"),
    [("load", "1122334400008000", LOAD), ("purchase", "1122334400000001", PURCHASE)],
)
def test_session_keys(sentence: str, data: str, expected: str) -> None:
    """Random ‖ counter ‖ two bytes under the diversified key."""
    assert encrypt(Algorithm.DES3, KEY, bytes.fromhex(data)).hex().upper() == expected, sentence


@pytest.mark.parametrize(
    ("sentence", "session", "data", "expected"),
    [
        ("load MAC1", LOAD, "00000000 00001000 01 001122334455", "2988AE5A"),
        ("load MAC2", LOAD, "00001000 01 001122334455 20111221214822", "3A845BF0"),
        ("purchase MAC1", PURCHASE, "00001000 06 001122334455 20120229135100", "F15CAB75"),
        ("purchase MAC2", PURCHASE, "00001000", "56988A13"),
    ],
)
def test_macs(sentence: str, session: str, data: str, expected: str) -> None:
    """The first four bytes of a DES-CBC-MAC under the session key."""
    assert cbc_mac(Algorithm.DES3, bytes.fromhex(session), bytes.fromhex(data)).hex().upper() == expected, sentence


def test_the_purchase_session_key_is_made_of_its_parts() -> None:
    """Card random, counter 0, the last two bytes of transaction number 1."""
    made = session_key(Algorithm.DES3, KEY, bytes.fromhex("11223344"), 0, bytes.fromhex("00000001"))
    assert made.hex().upper() == PURCHASE


def test_sm4_block() -> None:
    """GB/T 32907 annex A: the block cipher under our own SM4 choices is the standard one."""
    key = bytes.fromhex("0123456789abcdeffedcba9876543210")
    assert encrypt(Algorithm.SM4, key, key).hex() == "681edf34d206965e86b3e94f536e4246"


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_another_card_another_counter_another_key(algorithm: Algorithm) -> None:
    """Nothing a session stands on may be left out of it."""
    one, other = diversify(algorithm, KEY, bytes(8)), diversify(algorithm, KEY, bytes(7) + b"\x01")
    assert one != other and len(one) == 16
    made = {
        session_key(algorithm, one, bytes(4), 1, bytes(4)),
        session_key(algorithm, one, bytes(4), 2, bytes(4)),
        session_key(algorithm, one, b"\x00\x00\x00\x01", 1, bytes(4)),
        session_key(algorithm, one, bytes(4), 1, b"\x00\x00\x00\x01"),
        session_key(algorithm, other, bytes(4), 1, bytes(4)),
    }
    assert len(made) == 5
    assert len(tac(algorithm, one, bytes(22))) == 4
