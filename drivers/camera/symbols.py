"""What a decoder saw in a picture: a symbol, where it lies, and by which rung it was read.

Laws of this file:
- Nothing here imports a decoder: the daemon's side may use it too.
- A format has one name, whichever library read it.
"""

import msgspec

Point = tuple[float, float]
Corners = tuple[Point, Point, Point, Point]

MATRIX = ("QRCode",)
LINEAR = ("EAN13", "Code39", "Code128", "Codabar")
FORMATS = (*MATRIX, *LINEAR)


class Symbol(msgspec.Struct, frozen=True):
    """One code in one picture.

    `payload`: its bytes as encoded; for a linear code its characters in UTF-8. `format`: one of FORMATS. `corners`: in
    pixels of the whole frame, in the decoder's order. `rung`: what was done to the picture before it could be read.
    `score`: how much of the code's error correction was left unused, 0.0–1.0 (1.0 where the decoder does not say); for
    aiming a camera.
    """

    payload: bytes
    format: str
    corners: Corners
    rung: str
    score: float

    def moved(self, right: float, down: float, scale: float = 1.0) -> "Symbol":
        """The same symbol in another frame's pixels: scaled, then shifted."""
        a, b, c, d = ((x * scale + right, y * scale + down) for x, y in self.corners)
        return msgspec.structs.replace(self, corners=(a, b, c, d))

    @property
    def centre(self) -> Point:
        """The mean of the corners, in pixels."""
        return sum(x for x, _ in self.corners) / 4, sum(y for _, y in self.corners) / 4

    @property
    def is_linear(self) -> bool:
        """A row of bars, not a square: it carries little to tell a misreading by."""
        return self.format in LINEAR
