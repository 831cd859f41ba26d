"""Whoever signs may be wrong or hostile: one node of anything signed becomes another type, signed by the right key.

A change of bytes breaks the signature and is refused there. What is asked here stands behind it.
"""

from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.signed_targets import STRUCTURES, judge, nodes

EXAMPLES = 60  # of each structure, besides every node with every kind of value below
KINDS: dict[str, Any] = {
    "an array": [7] * 7,
    "an empty array": [],
    "an array like a map": [0, 1, 2, 3, 4, 5, 6, 7, 8],
    "a map": {1: 2},
    "an empty map": {},
    "true": True,
    "false": False,
    "null": None,
    "a float": 1.5,
    "a big integer": 1 << 70,
    "64 bits": (1 << 64) - 1,
    "below nothing": -1,
    "nothing": 0,
    "bytes": b"\x01" * 17,
    "no bytes": b"",
    "text": "text",
    "no text": "",
    "long text": "x" * 200,
    "a tag": cbor2.CBORTag(7, 1),
}
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary(max_size=40) | st.text(max_size=40)
    | st.builds(cbor2.CBORTag, st.integers(0, 70_000), st.integers())
)  # fmt: skip
KEYS = st.none() | st.booleans() | st.integers(-70_000, 70_000) | st.binary(max_size=5) | st.text(max_size=5)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=9) | st.dictionaries(KEYS, inner, max_size=9), max_leaves=9
)


@pytest.mark.parametrize("name", STRUCTURES)
def test_what_is_right_goes_through(name: str) -> None:
    """Unchanged it is taken: otherwise nothing here would be reached."""
    structure = STRUCTURES[name]
    structure.given(structure.tree())


@pytest.mark.parametrize("name", STRUCTURES)
def test_every_node_of_every_kind_has_an_answer(name: str) -> None:
    """All of them; nothing escapes the closed list."""
    for number in range(len(list(nodes(STRUCTURES[name].tree())))):
        for value in KINDS.values():
            judge(name, number, value)


@pytest.mark.parametrize("name", STRUCTURES)
@settings(max_examples=EXAMPLES)
@given(number=st.integers(0, 1 << 16), value=VALUES)
def test_any_node_may_be_anything(name: str, number: int, value: Any) -> None:
    """Made by chance."""
    judge(name, number, value)


@pytest.mark.parametrize("name", STRUCTURES)
@settings(max_examples=EXAMPLES // 2)
@given(number=st.integers(0, 1 << 16), key=KEYS)
def test_any_key_may_be_anything(name: str, number: int, key: Any) -> None:
    """True for 1, text for a number, a label nobody knows."""
    judge(name, number, key, key=True)
