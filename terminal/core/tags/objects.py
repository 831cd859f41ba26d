"""ISO 28560-2: data elements by object identifier, each compacted on its own (ISO/IEC 15962, no directory).

Laws of this file:
- The whole tag is well formed up to its terminator or its end, or nothing of it is believed; what we do not need is
  stepped over, never guessed at.
- A data element that stands there twice is refused: neither the first nor the last is the right one.

A data element: precursor (offset flag, compaction of three bits, relative object identifier of four; 15 means that 15
and the next byte give it), a byte of padding length where the flag is set, a byte of length, the compacted bytes, the
padding. A precursor of zero ends the tag.
"""

from collections.abc import Iterator
from typing import NamedTuple

from terminal.core.items import Content, TagFault, Usage
from terminal.core.tags import compaction, isil
from terminal.core.tags.layouts import Unreadable, content, usage_of

ITEM, OWNER, SET, USAGE = 1, 3, 4, 5  # relative object identifiers (ISO 28560-1)
TERMINATOR, OFFSET, EXTENDED, LONGER = 0x00, 0x80, 15, 0x80


class Element(NamedTuple):
    """One data element, still compacted."""

    identifier: int
    scheme: int
    data: bytes


def read(memory: bytes) -> Content:
    """The content of a tag. Raises Unreadable."""
    found: dict[int, Element] = {}
    for element, _ in _walk(memory):
        if element.identifier in found:
            raise Unreadable(TagFault.TWICE)
        found[element.identifier] = element
    parts, part = _set(found.get(SET))
    return content(_text(found.get(ITEM)), _owner(found.get(OWNER)), parts, part, _usage(found.get(USAGE)))


def _walk(memory: bytes) -> Iterator[tuple[Element, int]]:
    """Every data element in the order of the tag, and the bytes it takes. Raises Unreadable where one is cut."""
    rest = _Bytes(memory)
    while (before := len(rest.left)) and (precursor := rest.byte()) != TERMINATOR:
        identifier = precursor & 0x0F
        if identifier == EXTENDED:
            identifier += rest.byte()
        padding = rest.byte() if precursor & OFFSET else 0
        length = rest.byte()
        if length >= LONGER:
            raise Unreadable(TagFault.CUT)  # a length of two bytes: longer than any tag of a book
        element = Element(identifier, precursor >> 4 & 0x07, rest.take(length))
        rest.take(padding)
        yield element, before - len(rest.left)


class _Bytes:
    """A tag's memory, read from its beginning."""

    def __init__(self, data: bytes) -> None:
        self.left = data

    def byte(self) -> int:
        return self.take(1)[0]

    def take(self, count: int) -> bytes:
        if len(self.left) < count:
            raise Unreadable(TagFault.CUT)
        taken, self.left = self.left[:count], self.left[count:]
        return taken


def is_whole(memory: bytes) -> bool:
    """Whether these first bytes of a tag reach its terminator: what lies behind says nothing."""
    try:
        used = sum(size for _, size in _walk(memory))
    except Unreadable:
        return False
    return used < len(memory)


def _text(element: Element | None) -> str:
    return "" if element is None else compaction.expand(element.scheme, element.data)


def _owner(element: Element | None) -> str:
    if element is not None and element.scheme == compaction.APPLICATION:
        return isil.expand(element.data)
    return _text(element)


def _set(element: Element | None) -> tuple[int, int]:
    """Parts, and this part: the two halves of an even number of digits, a leading zero lost where it was an integer."""
    if element is None:
        return 1, 1
    digits = _text(element)
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 6:
        raise Unreadable(TagFault.BAD_SET)
    digits = digits.zfill(len(digits) + len(digits) % 2)
    middle = len(digits) // 2
    return int(digits[:middle]), int(digits[middle:])


def _usage(element: Element | None) -> Usage:
    """One byte of the application's own: main category and sub-qualifier."""
    if element is None:
        return Usage.UNSAID
    return usage_of(element.data[0] >> 4) if element.scheme == compaction.APPLICATION and element.data else Usage.OTHER
