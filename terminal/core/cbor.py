"""Deterministic CBOR: RFC 8949 4.2.1 and nothing else.

Laws of this file:
- One value has one encoding. What is decoded is encoded again by our own bytewise-ordered encoder and compared:
  long integers, unsorted maps, trailing bytes and whatever else a decoder forgives are refused by that one comparison.
- Only integers of 64 bits, byte and text strings, arrays, maps, booleans and null; no floats, no tags, no bignums.
- Size and depth are bounded before anything is built.
"""

from typing import Any

import cbor2

DEEPEST = 8
Value = Any  # int | bytes | str | bool | None | list[Value] | dict[int | str | bytes, Value]


class NotDeterministic(ValueError):
    """Not CBOR, or not the one encoding of its value."""


def decode(data: bytes, longest: int) -> Value:
    """The value of `data`, at most `longest` bytes. Raises NotDeterministic."""
    if len(data) > longest:
        raise NotDeterministic("too long")
    try:
        value = cbor2.loads(data, allow_indefinite=False, allow_duplicate_keys=False, max_depth=DEEPEST)
        if encode(value) != data:
            raise NotDeterministic("not the shortest, sorted encoding")
    except (cbor2.CBORDecodeError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise NotDeterministic(str(error)) from error
    return value


def encode(value: Value) -> bytes:
    """The one encoding of a value. Raises NotDeterministic for what has none here."""
    out = bytearray()
    _encode(value, out, DEEPEST)
    return bytes(out)


def _encode(value: Value, out: bytearray, depth: int) -> None:
    if depth == 0:
        raise NotDeterministic("too deep")
    kind = type(value)
    if kind is int:
        _integer(value, out)
    elif kind is bytes:
        _head(2, len(value), out)
        out += value
    elif kind is str:
        text = value.encode()
        _head(3, len(text), out)
        out += text
    elif kind is list:
        _head(4, len(value), out)
        for item in value:
            _encode(item, out, depth - 1)
    elif kind is dict:
        _map(value, out, depth - 1)
    elif value is None or kind is bool:
        out.append(0xF6 if value is None else 0xF4 + value)
    else:
        raise NotDeterministic(f"{kind.__name__} is not allowed")


def _map(value: dict[Any, Value], out: bytearray, depth: int) -> None:
    _head(5, len(value), out)
    pairs = []
    for key, item in value.items():
        encoded = bytearray()
        _encode(key, encoded, 1)
        pairs.append((bytes(encoded), item))
    pairs.sort()
    for encoded_key, item in pairs:
        out += encoded_key
        _encode(item, out, depth)


def _integer(number: int, out: bytearray) -> None:
    if number >= 0:
        _head(0, number, out)
    else:
        _head(1, -1 - number, out)


def _head(major: int, argument: int, out: bytearray) -> None:
    if argument < 24:
        out.append(major << 5 | argument)
        return
    for extra, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 1 << (8 * size):
            out.append(major << 5 | extra)
            out += argument.to_bytes(size)
            return
    raise NotDeterministic("an integer of more than 64 bits")
