"""Compacted text of a data element (ISO/IEC 15962): seven schemes, and one that is the application's own.

Laws of this file:
- Every scheme gives text or BAD_TEXT; none of them guesses at what is left over.
- Bits left over at the end are padding and say nothing: fewer than a character, or the one that the scheme pads with.
"""

from collections.abc import Callable, Iterator

from terminal.core.items import TagFault
from terminal.core.tags.layouts import Unreadable

APPLICATION, INTEGER, NUMERIC, FIVE, SIX, SEVEN, OCTETS, UTF_8 = range(8)
PAD_NIBBLE, SPACE, DELETE = 0xF, " ", "\x7f"


def expand(scheme: int, data: bytes) -> str:
    """The text of compacted bytes. Raises Unreadable."""
    if not data or scheme not in SCHEMES:
        raise Unreadable(TagFault.BAD_TEXT)
    try:
        return SCHEMES[scheme](data)
    except UnicodeDecodeError:
        raise Unreadable(TagFault.BAD_TEXT) from None


def bits(data: bytes, width: int) -> Iterator[int]:
    """Whole groups of so many bits, from the first one on."""
    whole, total = int.from_bytes(data), len(data) * 8
    for end in range(width, total + 1, width):
        yield whole >> total - end & (1 << width) - 1


def _integer(data: bytes) -> str:
    return str(int.from_bytes(data))


def _numeric(data: bytes) -> str:
    """A digit a nibble; an odd one out is padded."""
    nibbles = list(bits(data, 4))
    if nibbles[-1] == PAD_NIBBLE:
        nibbles.pop()
    if any(nibble > 9 for nibble in nibbles):
        raise Unreadable(TagFault.BAD_TEXT)
    return "".join(map(str, nibbles))


def _five(data: bytes) -> str:
    """Capital letters and five signs behind them; zeros are padding."""
    codes = list(bits(data, 5))
    if codes[-1:] == [0]:
        codes.pop()
    if 0 in codes:
        raise Unreadable(TagFault.BAD_TEXT)
    return "".join(chr(0x40 + code) for code in codes)


def _six(data: bytes) -> str:
    """The 64 characters from blank to underscore; a blank, or its beginning, is padding."""
    codes = bits(data, 6)
    return "".join(chr(code if code >= 0x20 else code + 0x40) for code in codes).removesuffix(SPACE)


def _seven(data: bytes) -> str:
    """ASCII; ones are padding."""
    return "".join(map(chr, bits(data, 7))).removesuffix(DELETE)


def _octets(data: bytes) -> str:
    return data.decode("latin-1")


def _utf_8(data: bytes) -> str:
    return data.decode("utf-8")


SCHEMES: dict[int, Callable[[bytes], str]] = {
    INTEGER: _integer, NUMERIC: _numeric, FIVE: _five, SIX: _six, SEVEN: _seven, OCTETS: _octets, UTF_8: _utf_8,
}  # fmt: skip
