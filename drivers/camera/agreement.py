"""Which symbols to believe: a linear code that was hard to read is seen twice, and its check digit fits.

Laws of this file:
- A QR code carries its own error correction, and a ride code a signature: it is believed at once.
- A linear code carries almost nothing: read by the main decoder from the picture as it came it is believed; read only
  by a rung, or by another decoder, it waits for the same value in another frame, at most WITHIN_S later.
- Two values read from one place contradict each other, and neither is believed.
"""

import re

from drivers.camera.symbols import Symbol

PLAIN = "plain"  # the rung of a picture read as it came
WITHIN_S = 2.0

_SHAPES = {
    "Code39": re.compile(rb"[0-9A-Z\-. $/+%]+"),
    "Code128": re.compile(rb"[\x00-\x7f]+"),
    "Codabar": re.compile(rb"[A-Da-d][0-9\-$:/.+]+[A-Da-d]"),
}


class Agreement:
    """Remembers what was hard to read."""

    def __init__(self) -> None:
        self._seen_s: dict[tuple[str, bytes], float] = {}

    def believed(self, symbols: list[Symbol], now_s: float) -> list[Symbol]:
        """The symbols of one frame that may be handed on."""
        self._seen_s = {value: at for value, at in self._seen_s.items() if 0 <= now_s - at <= WITHIN_S}
        return [one for one in undisputed(symbols) if self._agrees(one, now_s)]

    def _agrees(self, one: Symbol, now_s: float) -> bool:
        if not one.is_linear:
            return True
        if one.rung == PLAIN:
            return one.format != "EAN13" or ean13_fits(one.payload)
        if not plausible(one):
            return False
        value = one.format, one.payload
        before = self._seen_s.get(value)
        self._seen_s[value] = now_s
        return before is not None and before < now_s


def undisputed(symbols: list[Symbol]) -> list[Symbol]:
    """The symbols but those linear ones that lie over another of another value."""
    return [
        one
        for one in symbols
        if not one.is_linear
        or not any(other.payload != one.payload and _overlap(one, other) for other in symbols if other.is_linear)
    ]


def _overlap(one: Symbol, other: Symbol) -> bool:
    """Rows of the same bars may be told as two thin boxes one above the other: half a width away is the same place."""
    return one.holds(other.centre, one.width / 2) or other.holds(one.centre, other.width / 2)


def plausible(one: Symbol) -> bool:
    """Whether a linear code's characters, and an EAN's check digit, are what its format allows."""
    if one.format == "EAN13":
        return ean13_fits(one.payload)
    shape = _SHAPES.get(one.format)
    return shape is not None and shape.fullmatch(one.payload) is not None


def ean13_fits(digits: bytes) -> bool:
    """ISO/IEC 15420: weights 1 and 3 in turn, a sum that ten divides."""
    if len(digits) != 13 or not digits.isdigit():
        return False
    return sum((digit - 48) * (1, 3)[place % 2] for place, digit in enumerate(digits)) % 10 == 0
