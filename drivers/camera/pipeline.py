"""From frames to symbols: look only where something happens, and try harder only while it is worth it.

Laws of this file:
- Pure over pictures and told times: no clock, no source, no process. The same frames at the same times give the same.
- An idle picture costs the motion gate alone; a picture that can be read costs one decoding; one that cannot costs a
  rung of the ladder more, for LADDER_S of misses. Then it rests until something moves or a code comes into sight.
- Every LOOK_EVERY_S the whole frame is looked at, motion or not: a phone that lay there before we began is seen. Once
  nothing has moved or been read for REST_AFTER_S, every LOOK_AT_REST_S.
- A symbol never hides another: a new payload makes the whole frame be looked at before it is handed on.
"""

from collections.abc import Sequence
from typing import Literal

from drivers.camera.agreement import Agreement
from drivers.camera.ladder import Ladder
from drivers.camera.motion import WHOLE, Box, Motion
from drivers.camera.pictures import Gray
from drivers.camera.symbols import Symbol, merged
from drivers.camera.zxing import Seen

ACTIVE_S = 0.4  # after the last motion: hands hold still
LADDER_S = 1.5  # of misses: half a second to come in, a second held out
REARM_S = 3.0  # in a picture that never stands still
LOOK_EVERY_S, LOOK_AT_REST_S, REST_AFTER_S = 0.9, 3.0, 5.0
MARGIN_PX = 16  # around what changed
LONG_AGO = -1e9


class Pipeline:
    """One camera's. `mode`: a gate answers in a frame's time, a kiosk may try every rung on a frame."""

    def __init__(self, formats: Sequence[str], *, mode: Literal["gate", "kiosk"] = "gate") -> None:
        self.mode = mode
        self.changed = False  # whether the last small picture differed from the background
        self._ladder = Ladder(formats)
        self._agreement = Agreement()
        self._motion = Motion()
        self._box: Box = WHOLE
        self._active_until_s = self._armed_s = self._looked_s = LONG_AGO
        self._rung = 0
        self._known: frozenset[bytes] = frozenset()
        self._unread = True  # before the first look anything may lie there

    def wants(self, small: Gray, now_s: float) -> bool:
        """Whether the full frame is worth decoding. `small`: gray, about 160 by 90. `now_s`: any steady clock."""
        active = now_s < self._active_until_s
        rearms = now_s - self._armed_s >= REARM_S
        change = self._motion.watch(small, active=active, ask_moving=rearms)
        self.changed = change is not None
        if change is not None:
            if not active or change.moving:
                self._arm(now_s)
            self._active_until_s, self._box = max(self._active_until_s, now_s + ACTIVE_S), change.box
        return change is not None or active or self.is_due(now_s)

    def look(self, gray: Gray, now_s: float) -> list[Symbol]:
        """Every symbol to be believed, of the full frame. Where to look was decided by the last `wants`."""
        first, whole = self._looked_s == LONG_AGO, self.is_due(now_s)
        box = WHOLE if whole else self._box
        found, unread = self._plain(gray, box)
        if not whole and {one.payload for one in found} - self._known:
            whole, box, (found, unread) = True, WHOLE, self._plain(gray, WHOLE)  # it may not be alone
        if whole:
            self._looked_s = now_s
        if first or (unread and not self._unread):  # something lies there, and need not move
            self._arm(now_s)
            self._active_until_s, self._box = now_s + LADDER_S, WHOLE
        self._unread = bool(unread)
        if (unread or not found) and now_s - self._armed_s <= LADDER_S:
            found = merged(found, self._harder(gray, box))
        elif found:
            self._arm(now_s)
        self._known = frozenset(one.payload for one in found)
        return self._agreement.believed(found, now_s)

    def is_due(self, now_s: float) -> bool:
        """Whether the whole frame is to be looked at."""
        rests = now_s - self._armed_s > REST_AFTER_S
        return now_s - self._looked_s >= (LOOK_AT_REST_S if rests else LOOK_EVERY_S)

    def _plain(self, gray: Gray, box: Box) -> Seen:
        left, top, right, bottom = _pixels(box, gray.shape)
        seen = self._ladder.plain(gray[top:bottom, left:right])
        return Seen([one.moved(left, top) for one in seen.symbols], [one.moved(left, top) for one in seen.unread])

    def _harder(self, gray: Gray, box: Box) -> list[Symbol]:
        """One rung at a gate, at a kiosk all of them until one reads."""
        left, top, right, bottom = _pixels(box, gray.shape)
        part, found = gray[top:bottom, left:right], list[Symbol]()
        for _ in range(len(self._ladder)):
            number, self._rung = self._rung, self._rung + 1
            if self._ladder.suits(number, part):
                found = self._ladder.attempt(number, part).symbols
                if found or self.mode == "gate":
                    break
        return [one.moved(left, top) for one in found]

    def _arm(self, now_s: float) -> None:
        self._armed_s, self._rung = now_s, 0


def still(gray: Gray, formats: Sequence[str]) -> list[Symbol]:
    """What a gate makes of a picture that stays: the whole ladder at once, and a second frame to agree."""
    *_, found = Ladder(formats).climb(gray)
    agreement = Agreement()
    agreement.believed(found, 0.0)
    return agreement.believed(found, 0.1)


def _pixels(box: Box, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom in pixels, with a margin."""
    rows, columns = shape[:2]
    left, top = int(box[0] * columns) - MARGIN_PX, int(box[1] * rows) - MARGIN_PX
    right, bottom = int(box[2] * columns) + MARGIN_PX, int(box[3] * rows) + MARGIN_PX
    return max(left, 0), max(top, 0), min(right, columns), min(bottom, rows)
