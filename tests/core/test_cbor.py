"""Deterministic CBOR: one value, one encoding, everything else refused."""

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal.core import cbor

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 64), (1 << 64) - 1) | st.binary(max_size=40) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.integers(-100, 300) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=cbor.DEEPEST - 2,
)


@given(VALUES)
def test_what_is_encoded_is_decoded(value: object) -> None:
    """Within size and depth, every value comes back as it went."""
    data = cbor.encode(value)
    assert cbor.decode(data, 1 << 16) == value
    assert cbor2.loads(data) == value


@pytest.mark.parametrize(
    ("sentence", "data"),
    [
        ("a long integer", "1817"),
        ("a longer one", "190017"),
        ("indefinite array", "9f01ff"),
        ("indefinite string", "5f4101ff"),
        ("a duplicate key", "a201010102"),
        ("keys out of order", "a202000100"),
        ("sorted by length first, as RFC 7049 did", "a22000186400"),
        ("trailing bytes", "0101"),
        ("a float", "fb3ff0000000000000"),
        ("not a number", "f97e00"),
        ("a tag", "c000"),
        ("a bignum", "c249010000000000000000"),
        ("a declared length beyond all bytes", "9bffffffffffffffff010203"),
        ("undefined", "f7"),
        ("nothing", ""),
        ("text that is no UTF-8", "61ff"),
        ("true for a key", "a1f501"),
        ("null for a key", "a1f601"),
        ("an array for a key", "a18001"),
        ("a tag that says it is CBOR", "d9d9f701"),
    ],
)
def test_anything_else_is_refused(sentence: str, data: str) -> None:
    """Each forgiving habit of decoders is refused."""
    assert cbor.decode(bytes.fromhex("a21864002000"), 100) == {100: 0, -1: 0}  # the last but one, in order
    with pytest.raises(cbor.NotDeterministic):
        cbor.decode(bytes.fromhex(data), 100)


def test_size_and_depth_are_bounded_before_anything_is_built() -> None:
    """Ten thousand arrays in one another neither recurse nor allocate; a long input is not looked at."""
    with pytest.raises(cbor.NotDeterministic):
        cbor.decode(b"\x81" * 10_000 + b"\x00", 1 << 20)
    with pytest.raises(cbor.NotDeterministic):
        cbor.decode(bytes(101), 100)
    with pytest.raises(cbor.NotDeterministic):
        cbor.encode([[[[[[[[[1]]]]]]]]])


def shared(width: int, height: int) -> bytes:
    """Arrays of references to the array before: so many bytes, width ** height values (tags 28 and 29)."""
    data = bytes((0x80 | height,))
    for level in range(height):
        inside = bytes(width) if level == 0 else bytes((0xD8, 29, level - 1)) * width
        data += bytes((0xD8, 28, 0x80 | width)) + inside
    return data


def test_a_tree_of_millions_in_two_hundred_bytes_is_not_climbed() -> None:
    """Refused at its first tag: an encoder that climbed it would hold up every lane for minutes."""
    small = shared(6, 5)
    assert cbor2.loads(small)[4][5][5][5][5] == [0] * 6
    for bomb in (small, shared(20, 6)):
        with pytest.raises(cbor.NotDeterministic, match="tag 28"):
            cbor.decode(bomb, 1024)


def test_keys_are_sorted_bytewise() -> None:
    """RFC 8949 4.2.1: 10, 100, −1, "z", "aa", by their encodings."""
    assert cbor.encode({"aa": 0, -1: 0, 100: 0, "z": 0, 10: 0}).hex() == "a50a001864002000617a0062616100"


@pytest.mark.parametrize("value", [1 << 64, -(1 << 64) - 1, 1.0, {1, 2}, {(1, 2): 3}, {1.5: 1}, {True: 1}, {None: 1}])
def test_what_has_no_encoding_here_is_refused(value: object) -> None:
    """Bignums, floats and other kinds are not of this profile."""
    with pytest.raises(cbor.NotDeterministic):
        cbor.encode(value)


@given(st.binary(max_size=64))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    """Whatever comes in is decoded or refused; and what is decoded has that encoding."""
    try:
        assert cbor.encode(cbor.decode(data, 64)) == data
    except cbor.NotDeterministic:
        return
