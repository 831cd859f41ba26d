"""What to try when a picture could not be read as it came: one rung at a time, the cheap and fruitful first.

Laws of this file:
- A rung is a function from picture to symbols; RUNGS is the order, tuned on public pictures.
- One rung a frame at a gate: a hard code costs many frames a little, never one frame much.
"""

from collections.abc import Callable, Sequence

from drivers.camera.agreement import LAST_RUNG
from drivers.camera.pictures import Gray, doubled, equalised, flattened
from drivers.camera.symbols import Symbol
from drivers.camera.zbar import Zbar
from drivers.camera.zxing import Zxing

PLAIN = "plain"


class Ladder:
    """The rungs for one camera, and which of them is next."""

    def __init__(self, formats: Sequence[str]) -> None:
        self.zxing = Zxing(formats)
        self.zbar = Zbar(formats)
        self._next = 0

    def plain(self, gray: Gray) -> list[Symbol]:
        """The picture as it came."""
        return self.zxing.read(gray, PLAIN)

    def next_rung(self, part: Gray, whole: Gray) -> list[Symbol]:
        """One rung, on the part where something moved; each call takes the next."""
        rung = RUNGS[self._next % len(RUNGS)]
        self._next += 1
        return rung(self, part)

    def climb(self, gray: Gray) -> list[Symbol]:
        """Plain, then rung after rung until something is read."""
        found = self.plain(gray)
        for rung in RUNGS:
            if found:
                break
            found = rung(self, gray)
        return found


def _double(ladder: Ladder, gray: Gray) -> list[Symbol]:
    big, back = doubled(gray)
    return [one.moved(0, 0, back) for one in ladder.zxing.read(big, "double")]


def _double_adaptive(ladder: Ladder, gray: Gray) -> list[Symbol]:
    big, back = doubled(gray)
    return [one.moved(0, 0, back) for one in ladder.zxing.read(flattened(big), "double adaptive", binarised=True)]


def _clahe(ladder: Ladder, gray: Gray) -> list[Symbol]:
    return ladder.zxing.read(equalised(gray), "clahe")


def _inverted(ladder: Ladder, gray: Gray) -> list[Symbol]:
    return ladder.zxing.read(255 - gray, "inverted")


def _zbar(ladder: Ladder, gray: Gray) -> list[Symbol]:
    return ladder.zbar.read(gray, LAST_RUNG)


RUNGS: tuple[Callable[[Ladder, Gray], list[Symbol]], ...] = (_double, _double_adaptive, _clahe, _inverted, _zbar)
