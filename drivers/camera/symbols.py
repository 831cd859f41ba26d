"""What a decoder saw in a picture: a symbol, where it lies, and by which rung it was read.

Laws of this file:
- Nothing here imports a decoder: the daemon's side may use it too.
- A format has one name, whichever library read it.
"""

import math
from collections.abc import Sequence
from typing import Self

import msgspec

Point = tuple[float, float]
Corners = tuple[Point, Point, Point, Point]

MATRIX = ("QRCode",)
LINEAR = ("EAN13", "Code39", "Code128", "Codabar")
FORMATS = (*MATRIX, *LINEAR)


class Located(msgspec.Struct, frozen=True, kw_only=True):
    """Something in a picture. `corners`: in pixels of the whole frame, in the decoder's order."""

    corners: Corners

    def moved(self, right: float, down: float) -> Self:
        """The same in the pixels of a larger picture that this one was cut from."""
        a, b, c, d = ((x + right, y + down) for x, y in self.corners)
        return msgspec.structs.replace(self, corners=(a, b, c, d))

    def shrunk(self, across: float, down: float) -> Self:
        """The same in the pixels of the picture that was scaled by these before it was read."""
        a, b, c, d = ((x / across, y / down) for x, y in self.corners)
        return msgspec.structs.replace(self, corners=(a, b, c, d))

    @property
    def centre(self) -> Point:
        """The mean of the corners, in pixels."""
        return sum(x for x, _ in self.corners) / 4, sum(y for _, y in self.corners) / 4

    @property
    def width(self) -> float:
        """The longest side, in pixels."""
        (ax, ay), (bx, by), (cx, cy), _ = self.corners
        return max(math.hypot(bx - ax, by - ay), math.hypot(cx - bx, cy - by))

    def holds(self, point: Point, around: float = 0.0) -> bool:
        """Whether a point lies in the box around this, or at most `around` pixels beside it."""
        xs, ys = [x for x, _ in self.corners], [y for _, y in self.corners]
        return min(xs) - around <= point[0] <= max(xs) + around and min(ys) - around <= point[1] <= max(ys) + around


class Symbol(Located, frozen=True, kw_only=True):
    """One code in one picture.

    `payload`: its bytes as encoded; of a linear code, its characters. `format`: one of FORMATS. `rung`: what was done
    to the picture before it could be read. `score`: how much of the code's error correction was left unused, 0.0-1.0
    (1.0 where the decoder does not say); for aiming.
    """

    payload: bytes
    format: str
    rung: str
    score: float

    @property
    def is_linear(self) -> bool:
        """A row of bars, not a square: it carries little to tell a misreading by."""
        return self.format not in MATRIX


class Unread(Located, frozen=True, kw_only=True):
    """A QR code that was found and could not be read. `version`: 17 + 4 * version modules a side; 0: unknown."""

    version: int


def merged(found: list[Symbol], more: list[Symbol]) -> list[Symbol]:
    """`found`, and of `more` what lies elsewhere: two alike side by side are two, one read twice is one."""
    together = list(found)
    for one in more:
        if not any(other.holds(one.centre) for other in together):
            together.append(one)
    return together


def apart(unread: list[Unread], found: Sequence[Located]) -> list[Unread]:
    """What was found and not read, but for what lies where something was read."""
    return [one for one in unread if not any(other.holds(one.centre) for other in found)]
