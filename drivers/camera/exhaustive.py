"""Reads all it can, for a kiosk that may spend a second on a picture.

Laws of this file:
- Every rung is tried on every tile; what was found is found once.
"""

from collections.abc import Sequence

from drivers.camera.ladder import Ladder
from drivers.camera.pictures import Gray
from drivers.camera.symbols import Symbol, merged


def look_hard(gray: Gray, formats: Sequence[str]) -> list[Symbol]:
    """Every symbol of the picture, at its native size."""
    ladder = Ladder(formats)
    found = ladder.plain(gray).symbols
    for number in range(len(ladder)):
        found = merged(found, ladder.attempt(number, gray))
    return found
