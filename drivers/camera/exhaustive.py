"""Reads all it can, for a kiosk that may spend a second on a picture.

Laws of this file:
- Every rung is tried, at the picture's own size and at a gate camera's; what was found is found once.
- A code that was found and not read is laid flat and read again; at most MOST_FITS of them.
"""

from collections.abc import Sequence

from drivers.camera.grid import flattened_out
from drivers.camera.ladder import KIOSK_RUNGS, Ladder
from drivers.camera.pictures import Gray, scaled
from drivers.camera.symbols import MATRIX, Symbol, Unread, apart, merged
from drivers.camera.zxing import Seen, Zxing

GATE_SIDE = 1280  # pixels
MOST_FITS = 10
FITTED = "laid flat"


def look_hard(gray: Gray, formats: Sequence[str]) -> list[Symbol]:
    """Every symbol of the picture, at its native size."""
    seen = Seen([], [])
    for number, size in enumerate(sizes(gray)):
        ladder = Ladder(formats, () if number else KIOSK_RUNGS)  # the dear ones at the smaller size
        seen = _together(seen, _every_rung(ladder, size), size.shape[1] / gray.shape[1])
    if any(name in MATRIX for name in formats):
        seen = laid_flat(gray, seen)
    return seen.symbols


def sizes(gray: Gray) -> list[Gray]:
    """The picture, and before it a smaller one where it is large."""
    longest = max(gray.shape)
    if not gray.size:
        return []
    if longest <= GATE_SIDE * 1.2:
        return [gray]
    return [scaled(gray, GATE_SIDE / longest, GATE_SIDE / longest), gray]


def laid_flat(gray: Gray, seen: Seen) -> Seen:
    """The symbols, and those of `unread` that can be read once they are flat."""
    reader, found = Zxing(MATRIX), list(seen.symbols)
    for one in seen.unread[:MOST_FITS]:
        if any(other.holds(one.centre) for other in found):
            continue
        for clean in flattened_out(gray, one.corners, one.version):
            (symbols, _) = reader.read(clean, FITTED, black_and_white=True, pure=True)
            if symbols:
                found.append(_at(symbols[0], one))
                break
    return Seen(found, apart(seen.unread, found))


def _at(symbol: Symbol, one: Unread) -> Symbol:
    return Symbol(
        payload=symbol.payload, format=symbol.format, corners=one.corners, rung=symbol.rung, score=symbol.score
    )


def _every_rung(ladder: Ladder, gray: Gray) -> Seen:
    seen = ladder.plain(gray)
    for number in range(len(ladder)):
        seen = _together(seen, ladder.attempt(number, gray), 1.0)
    return seen


def _together(seen: Seen, more: Seen, scale: float) -> Seen:
    """Both, `more` being of a picture scaled by `scale`; of the unread one for each place and version."""
    symbols = merged(seen.symbols, [one.shrunk(scale, scale) for one in more.symbols])
    unread = list(seen.unread)
    for one in (found.shrunk(scale, scale) for found in more.unread if found.version):
        if not any(_alike(one, other) for other in unread):
            unread.append(one)
    return Seen(symbols, apart(unread, symbols))


def _alike(one: Unread, other: Unread) -> bool:
    near = one.width * 0.02
    pairs = zip(one.corners, other.corners, strict=True)
    return one.version == other.version and all(abs(x - a) < near and abs(y - b) < near for (x, y), (a, b) in pairs)
