"""Which symbols to believe: what only the last rung saw of a linear code is seen twice, and its check digit fits.

Laws of this file:
- A QR code carries its own error correction, and a ride code a signature: it is believed at once.
- A linear code carries almost nothing: read by the main decoder it is believed, read by the last rung alone it waits
  for the same value in another frame, at most WITHIN_S later.
"""

import re

from drivers.camera.symbols import Symbol

LAST_RUNG = "zbar"
WITHIN_S = 2.0

_SHAPES = {
    "Code39": re.compile(rb"[0-9A-Z\-. $/+%]+"),
    "Code128": re.compile(rb"[\x00-\x7f]+"),
    "Codabar": re.compile(rb"[A-Da-d][0-9\-$:/.+]+[A-Da-d]"),
}


class Agreement:
    """Remembers what the last rung alone has seen."""

    def __init__(self) -> None:
        self._seen_s: dict[tuple[str, bytes], float] = {}

    def believed(self, symbols: list[Symbol], now_s: float) -> list[Symbol]:
        """The symbols of one frame that may be handed on."""
        self._seen_s = {value: at for value, at in self._seen_s.items() if 0 <= now_s - at <= WITHIN_S}
        return [one for one in symbols if self._agrees(one, now_s)]

    def _agrees(self, one: Symbol, now_s: float) -> bool:
        if not one.is_linear:
            return True
        if not plausible(one):
            return False
        if one.rung != LAST_RUNG:
            return True
        value = one.format, one.payload
        before = self._seen_s.get(value)
        self._seen_s[value] = now_s
        return before is not None and before < now_s


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
