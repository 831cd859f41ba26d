"""What a card writes as TLV is read without trust: whatever does not hold together has no value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal.core.cards import tlv


@pytest.mark.parametrize(
    ("sentence", "data", "path", "value"),
    [
        ("one level", "8402aabb", (0x84,), "aabb"),
        ("two levels", "6f04 8402aabb", (0x6F, 0x84), "aabb"),
        ("a two-byte tag", "9f0c01aa", (0x9F0C,), "aa"),
        ("behind others", "840101 9f0c01aa", (0x9F0C,), "aa"),
        ("length 81", "848102aabb", (0x84,), "aabb"),
        ("length 82", "84820002aabb", (0x84,), "aabb"),
        ("empty", "8400", (0x84,), ""),
        ("not there", "8402aabb", (0x85,), None),
        ("not there below", "6f04 8402aabb", (0x6F, 0x85), None),
        ("past the end", "8403aabb", (0x84,), None),
        ("past the end inside", "6f04 8403aabb", (0x6F, 0x84), None),
        ("a zero tag", "0000 8402aabb", (0x84,), None),
        ("twice", "8401aa 8401bb", (0x84,), None),
        ("a tag cut short", "9f", (0x9F0C,), None),
        ("a three-byte tag", "9f8c0c01aa", (0x9F0C,), None),
        ("no length", "84", (0x84,), None),
        ("a length of no form", "8480aa", (0x84,), None),
        ("a length of four bytes", "848400000001aa", (0x84,), None),
        ("a length cut short", "848200", (0x84,), None),
        ("no path", "8401aa", (), None),
        ("deeper than any card", "6f006f00", (0x6F,) * 5, None),
        ("nothing", "", (0x84,), None),
    ],
)
def test_find(sentence: str, data: str, path: tuple[int, ...], value: str | None) -> None:
    """The value at a path, or none."""
    found = tlv.find(bytes.fromhex(data), path)
    assert (None if found is None else found.hex()) == value, sentence


def test_a_thousand_levels_are_not_followed() -> None:
    """Nesting costs nothing: only the path that is asked for is walked."""
    data = b""
    for _ in range(1000):
        length = len(data)
        data = b"\x6f" + (bytes((length,)) if length < 128 else b"\x82" + length.to_bytes(2)) + data
    assert tlv.find(data, (0x6F, 0x6F, 0x84)) is None


@given(st.binary(max_size=300))
def test_whatever_the_bytes(data: bytes) -> None:
    """Never raised, and never more than was there."""
    found = tlv.find(data, (0x6F, 0xA5, 0x9F0C))
    assert found is None or found in data
