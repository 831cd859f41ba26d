"""What to try when a picture could not be read as it came: one rung at a time, the cheap and fruitful first.

Laws of this file:
- A rung is a row of a table: a name, a treatment, the decoder that then looks. Their order was chosen on public
  pictures by what each adds for its milliseconds; `python -m benchmarks decode` measures it on pictures held out.
- Few rungs pay for all: most answer one trouble (glare, dimness, dots, a steep angle) on a smaller picture.
- Rungs for squares do not look for bars: a bent picture of bars is soon another number.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from drivers.camera import pictures
from drivers.camera.agreement import PLAIN, undisputed
from drivers.camera.pictures import Gray
from drivers.camera.symbols import LINEAR, MATRIX, Symbol, apart, merged
from drivers.camera.zbar import Zbar
from drivers.camera.zxing import Seen, Zxing

EXTRA_RUNGS = 6  # for what was found and not read, once something else was read
SMALLEST_SIDE = 640  # pixels: a picture is not made smaller than this
PART = 600_000  # pixels: more is not a part
LARGEST_SIDE = 2000  # pixels: a picture is not enlarged beyond this


class Rung(NamedTuple):
    """One thing to try. The picture is scaled (across, down), treated, and read."""

    name: str
    treat: Callable[[Gray], Gray]
    scale: tuple[float, float] = (1.0, 1.0)
    black_and_white: bool = False  # the treatment leaves no grays
    zbar: bool = False
    part: bool = False  # for what moved, not for a whole frame: it would take too long


HALF = (0.5, 0.5)
DOUBLE = (2.0, 2.0)
MATRIX_RUNGS = (
    Rung("double, outlined", lambda gray: pictures.outlined(gray, 21, 1), DOUBLE, black_and_white=True, part=True),
    Rung("half, dark parts merged", lambda gray: pictures.bent(gray, 6), HALF),
    Rung("half, flattened finely", lambda gray: pictures.flattened(gray, 15), HALF, black_and_white=True),
    Rung("half, thickened", pictures.thickened, HALF),
    Rung("half, flattened brightly", lambda gray: pictures.flattened(gray, 25, -5), HALF, black_and_white=True),
    Rung("inverted", lambda gray: 255 - gray),
    Rung("double, sharpened", lambda gray: pictures.sharpened(gray, 3, 3), DOUBLE, part=True),
    Rung("half as high", lambda gray: gray, (1.0, 0.5)),
    Rung("half, sharpened", pictures.sharpened, HALF),
    Rung("thickened", pictures.thickened),
    Rung("flattened", lambda gray: pictures.flattened(gray, 25), black_and_white=True),
    Rung(
        "double, outlined widely", lambda gray: pictures.outlined(gray, 31, 3), DOUBLE, black_and_white=True, part=True
    ),
    Rung("zbar, half, flattened", lambda gray: pictures.flattened(gray, 25), HALF, zbar=True),
    Rung("zbar, half", lambda gray: gray, HALF, zbar=True),
    Rung("only the darkest", lambda gray: pictures.cut(gray, 30), black_and_white=True),
    Rung("half, dark parts apart", lambda gray: pictures.bent(gray, 0.3), HALF),
    Rung("half as wide", lambda gray: gray, (0.5, 1.0)),
    Rung("larger, evened", pictures.evened, (1.5, 1.5)),
)
KIOSK_RUNGS = (  # dear, or seldom of use: for who has time
    Rung("dark parts merged", lambda gray: pictures.bent(gray, 3)),
    Rung("double, evened", pictures.evened, DOUBLE),
    Rung("flattened finely", lambda gray: pictures.flattened(gray, 21), black_and_white=True),
    Rung("double, sharpened a little", pictures.sharpened, DOUBLE),
)
LINEAR_RUNGS = (
    Rung("zbar, bars", lambda gray: gray, zbar=True),
    Rung("bars, double", lambda gray: gray, DOUBLE),
    Rung("bars, evened", pictures.evened),
    Rung("zbar, bars, double", lambda gray: gray, DOUBLE, zbar=True),
)


class Ladder:
    """The decoders and rungs for some formats; `more` of them after those for squares."""

    def __init__(self, formats: Sequence[str], more: tuple[Rung, ...] = ()) -> None:
        matrix = [name for name in formats if name in MATRIX]
        linear = [name for name in formats if name in LINEAR]
        self._all = Zxing(formats)
        self._steps = [
            (rung, Zbar(kind) if rung.zbar else Zxing(kind))
            for kind, rungs in ((matrix, MATRIX_RUNGS + more), (linear, LINEAR_RUNGS))
            for rung in rungs
            if kind
        ]

    def __len__(self) -> int:
        return len(self._steps)

    def plain(self, gray: Gray) -> Seen:
        """The picture as it came."""
        seen = self._all.read(gray, PLAIN)
        return Seen(undisputed(seen.symbols), seen.unread)

    def suits(self, number: int, gray: Gray) -> bool:
        """Whether a rung is worth its time on a picture of this size."""
        return not self._steps[number % len(self._steps)][0].part or gray.size <= PART

    def attempt(self, number: int, gray: Gray) -> Seen:
        """One rung, counted from 0; corners in the pixels of `gray`. A picture without pixels holds nothing."""
        if not gray.size:
            return Seen([], [])
        rung, reader = self._steps[number % len(self._steps)]
        across, down = _scale(rung.scale, max(gray.shape))
        picture = gray if (across, down) == (1.0, 1.0) else pictures.scaled(gray, across, down)
        picture = rung.treat(picture)
        if isinstance(reader, Zbar):
            seen = Seen(reader.read(picture, rung.name), [])
        else:
            seen = reader.read(picture, rung.name, black_and_white=rung.black_and_white)
        back = picture.shape[1] / gray.shape[1], picture.shape[0] / gray.shape[0]
        return Seen([one.shrunk(*back) for one in seen.symbols], [one.shrunk(*back) for one in seen.unread])

    def climb(self, gray: Gray) -> Iterator[list[Symbol]]:
        """All that is known of one picture after each rung; ends when nothing more is worth trying."""
        symbols, unread = self.plain(gray)
        yield symbols
        tried = 0
        for number in (one for one in range(len(self)) if self.suits(one, gray)):
            if symbols and (not unread or tried >= EXTRA_RUNGS):
                return
            tried += bool(symbols)
            symbols = undisputed(merged(symbols, self.attempt(number, gray).symbols))
            unread = apart(unread, symbols)
            yield symbols


def _scale(wanted: tuple[float, float], longest: int) -> tuple[float, float]:
    """A rung's scale for a picture of this longest side: large ones do not grow, small ones do not shrink."""
    if max(wanted) > 1:
        return wanted if longest <= LARGEST_SIDE else (1.0, 1.0)
    if wanted == HALF:
        both = min(1.0, max(0.5, SMALLEST_SIDE / longest))
        return both, both
    return wanted
