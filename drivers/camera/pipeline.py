"""From frames to symbols: look only where something happens, and try harder only while it is worth it.

Laws of this file:
- Pure over pictures and told times: no clock, no source, no process. The same frames at the same times give the same.
- An idle picture costs the motion gate alone; a picture that can be read costs one decoding; one that cannot costs one
  rung of the ladder more, and no longer than LADDER_S of misses until something moves again.
- Every LOOK_EVERY_S the whole frame is looked at, motion or not: a phone that lay there before we began is seen.
- A symbol never hides another: a new payload makes the whole frame be looked at before it is handed on.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from drivers.camera.agreement import Agreement
from drivers.camera.ladder import Ladder
from drivers.camera.motion import WHOLE, Box, Motion
from drivers.camera.pictures import Gray
from drivers.camera.symbols import Symbol

ACTIVE_S = 0.4  # after the last motion: hands hold still
LADDER_S = 1.0  # of misses, then no rung until something moves again
LOOK_EVERY_S = 0.9
MARGIN_PX = 16  # around what changed


class Pipeline:
    """One camera's. `mode`: a gate answers in a frame's time, a kiosk may try every rung on a frame."""

    def __init__(self, formats: Sequence[str], *, mode: Literal["gate", "kiosk"] = "gate") -> None:
        self.mode = mode
        self._ladder = Ladder(formats)
        self._agreement = Agreement()
        self._motion = Motion()
        self._box: Box = WHOLE
        self._moved_s = self._looked_s = self._missing_since_s = -1e9
        self._known: frozenset[bytes] = frozenset()

    def wants(self, small: NDArray[np.uint8], now_s: float) -> bool:
        """Whether the full frame is worth decoding. `small`: gray, about 160 by 90. `now_s`: any steady clock."""
        was_active = now_s - self._moved_s <= ACTIVE_S
        box = self._motion.watch(small, active=was_active)
        if box is not None:
            if not was_active:
                self._missing_since_s = now_s
            self._moved_s, self._box = now_s, box
            return True
        return was_active or now_s - self._looked_s >= LOOK_EVERY_S

    def look(self, gray: Gray, now_s: float) -> list[Symbol]:
        """Every symbol to be believed, of the full frame. Where to look was decided by the last `wants`."""
        whole = now_s - self._looked_s >= LOOK_EVERY_S
        left, top, right, bottom = _pixels(WHOLE if whole else self._box, gray.shape)
        found = _moved(self._ladder.plain(gray[top:bottom, left:right]), left, top)
        new = {one.payload for one in found} - self._known
        if new and not whole:
            found, whole = self._ladder.plain(gray), True
        if whole:
            self._looked_s = now_s
        if not found and now_s - self._missing_since_s <= LADDER_S:
            found = _moved(self._ladder.next_rung(gray[top:bottom, left:right], gray), left, top)
        if found:
            self._missing_since_s = now_s
        self._known = frozenset(one.payload for one in found)
        return self._agreement.believed(found, now_s)


def _pixels(box: Box, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom in pixels, with a margin."""
    rows, columns = shape[:2]
    left, top = int(box[0] * columns) - MARGIN_PX, int(box[1] * rows) - MARGIN_PX
    right, bottom = int(box[2] * columns) + MARGIN_PX, int(box[3] * rows) + MARGIN_PX
    return max(left, 0), max(top, 0), min(right, columns), min(bottom, rows)


def _moved(found: list[Symbol], left: int, top: int) -> list[Symbol]:
    return [one.moved(left, top) for one in found]
