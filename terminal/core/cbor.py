"""Deterministic CBOR: RFC 8949 4.2.1 and nothing else.

Laws of this file:
- One value has one encoding. What is decoded is encoded again by our own bytewise-ordered encoder and compared:
  long integers, unsorted maps, trailing bytes and whatever else a decoder forgives are refused by that one comparison.
- Only integers of 64 bits, byte and text strings, arrays, maps, booleans and null; no floats, no tags, no bignums.
  A map's key is an integer or a string: true is not 1.
- Size and depth are bounded before anything is built, and no tag is followed: shared values (tags 28 and 29) would make
  two hundred bytes a tree of millions.
"""

from collections.abc import Callable
from typing import Any, Final

import cbor2

DEEPEST = 8
KEYS: Final = frozenset({int, str, bytes})
Value = Any  # int | bytes | str | bool | None | list[Value] | dict[int | str | bytes, Value]


class NotDeterministic(ValueError):
    """Not CBOR, or not the one encoding of its value."""


class _NoTags(dict[int, Callable[..., Any]]):
    """For cbor2's decoder: whatever tag it asks for, the answer is no."""

    def __missing__(self, tag: int) -> Callable[..., Any]:
        return _refuse


def _refuse(*_: object) -> Any:
    raise NotDeterministic("a tag")


NO_TAGS: Final = _NoTags()


def decode(data: bytes, longest: int) -> Value:
    """The value of `data`, at most `longest` bytes. Raises NotDeterministic."""
    if len(data) > longest:
        raise NotDeterministic("too long")
    try:
        value = cbor2.loads(
            data, allow_indefinite=False, allow_duplicate_keys=False, max_depth=DEEPEST, semantic_decoders=NO_TAGS
        )
        if encode(value) != data:
            raise NotDeterministic("not the shortest, sorted encoding")
    except (cbor2.CBORDecodeError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise NotDeterministic(str(error)) from error
    return value


def encode(value: Value) -> bytes:
    """The one encoding of a value. Raises NotDeterministic for what has none here."""
    return _encode(value, DEEPEST)


def _encode(value: Value, depth: int) -> bytes:
    """Every code shown is encoded again: the frequent kinds come first, short heads from a table."""
    if depth == 0:
        raise NotDeterministic("too deep")
    kind = type(value)
    if kind is int:
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if kind is bytes:
        return _head(2, len(value)) + bytes(value)
    if kind is dict:
        if not KEYS.issuperset(map(type, value)):
            raise NotDeterministic("a key is an integer or a string")
        pairs = sorted([(_encode(key, 1), _encode(item, depth - 1)) for key, item in value.items()])
        return _head(5, len(value)) + b"".join([key + item for key, item in pairs])
    if kind is str:
        text = bytes(value, "utf-8")
        return _head(3, len(text)) + text
    if kind is list:
        return _head(4, len(value)) + b"".join([_encode(item, depth - 1) for item in value])
    if value is None or kind is bool:
        return b"\xf6" if value is None else b"\xf5" if value else b"\xf4"
    raise NotDeterministic(f"{kind.__name__} is not allowed")


def _head(major: int, argument: int) -> bytes:
    if argument < 256:
        return _SHORT[major][argument]
    for extra, size in ((25, 2), (26, 4), (27, 8)):
        if argument < 1 << (8 * size):
            return bytes((major << 5 | extra,)) + argument.to_bytes(size)
    raise NotDeterministic("an integer of more than 64 bits")


_SHORT = tuple(
    tuple(bytes((major << 5 | n,)) if n < 24 else bytes((major << 5 | 24, n)) for n in range(256)) for major in range(6)
)
