"""A QR code on crumpled or curved paper, laid flat: the grid of its modules is bent until it fits.

Laws of this file:
- A decoder that found a code and could not read it says where its corners are and how many modules it has; the grid
  starts there. What is known of every code (finders, timing, alignment patterns) and that a module is of one colour say
  how well a grid fits.
- The flat picture is handed back to a decoder: no bit is decided here that error correction does not check.
- Sides and offsets are in modules; pictures are rectified to PIXELS a module, with MARGIN modules around.

Source of the patterns: ISO/IEC 18004, 6.3 and annex E.
"""

import functools
from collections.abc import Iterator

import cv2
import numpy as np

from drivers.camera.pictures import Gray
from drivers.camera.symbols import Corners

PIXELS, MARGIN = 6, 5
LARGEST_VERSION = 12  # beyond, a module is too small for a bent print to be worth it, and fitting takes too long
WEIGHT_KNOWN, WEIGHT_BENT = 3.0, 1.0
PROBES = ((0.0, 0.0), (0.26, 0.26), (-0.26, 0.26), (0.26, -0.26), (-0.26, -0.26))  # where a module is looked at
SEARCH = np.arange(-2.5, 2.6, 0.5)  # how far the fourth corner, which has no finder, is looked for
STAGES = ((2, (0.5, 0.25, 0.12)), (3, (1.0, 0.5, 0.25, 0.12)), (5, (0.5, 0.25, 0.12)))  # knots a side, steps


def flattened_out(gray: Gray, corners: Corners, version: int) -> Iterator[Gray]:
    """Clean pictures of the code, each after a better fit; the first one that a decoder reads is good enough."""
    if not 1 <= version <= LARGEST_VERSION:
        return
    grid = Grid(gray, corners, version)
    bend = np.zeros((2, 2, 2))
    yield grid.picture(bend)
    bend = max((grid.with_fourth(bend, x, y) for x in SEARCH for y in SEARCH), key=grid.fit)
    for knots, steps in STAGES:
        bend = grid.settled(_finer(bend, knots), steps)
        yield grid.picture(bend)


class Grid:
    """One code's modules over its rectified picture. A bend is knots by knots offsets (right, down), in modules."""

    def __init__(self, gray: Gray, corners: Corners, version: int) -> None:
        self.side = 17 + 4 * version
        self.known = known(version)
        self._signs = self._contrast(self._rectified(gray, corners))
        self._across, self._down = (
            axis.astype(np.float32) for axis in np.meshgrid(np.arange(self.side) + 0.5, np.arange(self.side) + 0.5)
        )

    def _rectified(self, gray: Gray, corners: Corners) -> Gray:
        square = np.array([(0, 0), (self.side, 0), (self.side, self.side), (0, self.side)])
        source = np.array(corners, np.float32)
        warp = cv2.getPerspectiveTransform(source, ((square + MARGIN) * PIXELS).astype(np.float32))
        module = max(np.ptp(source[:, 0]), np.ptp(source[:, 1])) / self.side
        if module > 2 * PIXELS:  # it shrinks: no aliasing
            gray = cv2.blur(gray, (int(module / PIXELS), int(module / PIXELS)))
        side = (self.side + 2 * MARGIN) * PIXELS
        return cv2.warpPerspective(gray, warp, (side, side), borderMode=cv2.BORDER_REPLICATE)

    def _contrast(self, flat: Gray) -> Gray:
        """Light above, dark below zero, against nine modules around."""
        picture, around = flat.astype(np.float32), (PIXELS * 9 | 1, PIXELS * 9 | 1)
        mean = cv2.blur(picture, around)
        spread = np.sqrt(np.maximum(cv2.blur(picture * picture, around) - mean * mean, 9))
        return cv2.blur(np.clip((picture - mean) / spread, -1.5, 1.5), (3, 3))

    def modules(self, bend: Gray) -> Gray:
        """How light each module is."""
        place = self._across[0] / self.side * (len(bend) - 1)
        near = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(len(bend)))).astype(np.float32)
        right = (self._across + near @ bend[:, :, 0] @ near.T + MARGIN) * PIXELS - 0.5
        below = (self._down + near @ bend[:, :, 1] @ near.T + MARGIN) * PIXELS - 0.5
        columns = np.concatenate([right + x * PIXELS for x, _ in PROBES]).astype(np.float32)
        rows = np.concatenate([below + y * PIXELS for _, y in PROBES]).astype(np.float32)
        seen = cv2.remap(self._signs, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        light: Gray = seen.reshape(len(PROBES), self.side, self.side).mean(0)
        return light

    def fit(self, bend: Gray) -> float:
        """The higher, the better: modules of one colour, known ones of the right colour, and no sharp bends."""
        modules = self.modules(bend)
        fits = float(np.abs(modules).sum() + WEIGHT_KNOWN * (modules * self.known).sum())
        if len(bend) == 2:
            return fits
        kinks = (2 * bend[1:-1] - bend[:-2] - bend[2:]) ** 2, (2 * bend[:, 1:-1] - bend[:, :-2] - bend[:, 2:]) ** 2
        return fits - WEIGHT_BENT * self.side / len(bend) * float(kinks[0].sum() + kinks[1].sum())

    def with_fourth(self, bend: Gray, right: float, down: float) -> Gray:
        """The bend with its last knot elsewhere."""
        moved = bend.copy()
        moved[-1, -1] = right, down
        return moved

    def settled(self, bend: Gray, steps: tuple[float, ...]) -> Gray:
        """Each knot pushed four ways, as long as that fits better; then by smaller steps."""
        best = self.fit(bend)
        for step in steps:
            for _ in range(2):
                before = best
                for knot in np.ndindex(bend.shape[:2]):
                    for push in ((step, 0), (-step, 0), (0, step), (0, -step)):
                        moved = bend.copy()
                        moved[knot] += push
                        fits = self.fit(moved)
                        if fits > best:
                            best, bend = fits, moved
                if best <= before:
                    break
        return bend

    def picture(self, bend: Gray) -> Gray:
        """What the modules say, three pixels each, with the patterns that every code has as they should be."""
        light = np.where(self.known != 0, self.known, self.modules(bend)) > 0
        clean = np.pad(np.where(light, 255, 0), 4, constant_values=255)
        return np.kron(clean, np.ones((3, 3))).astype(np.uint8)


def _finer(bend: Gray, knots: int) -> Gray:
    """The same bend by more knots."""
    place = np.linspace(0, len(bend) - 1, knots)
    near = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(len(bend))))
    return np.stack([near @ bend[:, :, axis] @ near.T for axis in (0, 1)], 2)


@functools.cache
def known(version: int) -> Gray:
    """Modules that every code of this version has: 1.0 light, -1.0 dark, 0.0 not known."""
    side = 17 + 4 * version
    modules = np.zeros((side, side), np.float32)
    modules[6, 8:-8] = modules[8:-8, 6] = np.where(np.arange(8, side - 8) % 2, 1, -1)
    for row, column in ((0, 0), (0, side - 8), (side - 8, 0)):
        modules[row : row + 8, column : column + 8] = 1
    for row, column in ((0, 0), (0, side - 7), (side - 7, 0)):
        modules[row : row + 7, column : column + 7] = _rings(7)
    places = _alignments(version)
    for row in places:
        for column in places:
            if (row, column) not in ((6, 6), (6, side - 7), (side - 7, 6)):
                modules[row - 2 : row + 3, column - 2 : column + 3] = _rings(5)
    modules[side - 8, 8] = -1
    return modules


def _rings(side: int) -> Gray:
    """A finder of seven modules, or an alignment pattern of five: dark, a light ring, a dark middle."""
    from_edge = np.minimum(np.arange(side), np.arange(side)[::-1])
    return np.where(np.minimum.outer(from_edge, from_edge) == 1, 1.0, -1.0)


def _alignments(version: int) -> list[int]:
    """Rows, and columns, of the middles of alignment patterns; up to version 13 they are three at most."""
    side = 17 + 4 * version
    if version < 2:
        return []
    return [6, side - 7] if version < 7 else [6, (side - 1) // 2, side - 7]
