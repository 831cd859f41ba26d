"""Is anything happening in front of the camera, and where? On a small gray picture of about 160 by 90.

Laws of this file:
- No clock: time is told. No full picture either: this is what an idle camera pays for each frame.
- A change of light alone is not motion: what all pixels have in common is taken out.
- What stands still becomes background, slowly while somebody is there, so that a phone held still stays visible; that
  it stands still is told, so that nobody tries for ever.
"""

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from drivers.camera.pictures import Gray

Box = tuple[float, float, float, float]  # left, top, right, bottom; as parts of the picture, 0.0-1.0
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)

CHANGED = 18  # gray levels
ENOUGH = 40  # changed pixels of 160 by 90
SURELY_STILL = CHANGED / 2 - 1  # no pixel farther off than this: none has changed, whatever the light did
LEARN_IDLE, LEARN_ACTIVE = 0.05, 0.004
_SQUARE = np.ones((3, 3), np.uint8)


class Change(NamedTuple):
    """What is different: the box around it, and whether it moved since the last picture."""

    box: Box
    moving: bool


class Motion:
    """What has changed against a slow background, and against the picture before."""

    def __init__(self) -> None:
        self._background: NDArray[Any] | None = None
        self._before: NDArray[Any] | None = None

    def watch(self, small: Gray, *, active: bool, ask_moving: bool = True) -> Change | None:
        """What is there that was not, or None. `active` slows learning; `moving` is False unless asked."""
        picture = small.astype(np.float32)
        if self._background is None or self._before is None or self._background.shape != picture.shape:
            self._background, self._before = picture.copy(), picture
            return None
        far = _far(picture, self._background)
        moving = ask_moving and far is not None and _enough(_far(picture, self._before))
        cv2.accumulateWeighted(picture, self._background, LEARN_ACTIVE if active else LEARN_IDLE)
        self._before = picture
        if far is None or not _enough(far):
            return None
        left, top, width, height = cv2.boundingRect(far)
        rows, columns = far.shape
        return Change((left / columns, top / rows, (left + width) / columns, (top + height) / rows), moving)


def _far(picture: NDArray[Any], other: NDArray[Any]) -> NDArray[Any] | None:
    """1 where they differ by more than the light, specks left out; None: nowhere, seen at a glance."""
    if cv2.norm(picture, other, cv2.NORM_INF) <= SURELY_STILL:
        return None
    difference = picture - other
    light = np.median(difference[::4, ::4])
    return cv2.morphologyEx((np.abs(difference - light) > CHANGED).astype(np.uint8), cv2.MORPH_OPEN, _SQUARE)


def _enough(far: NDArray[Any] | None) -> bool:
    return far is not None and cv2.countNonZero(far) * 14_400 >= ENOUGH * far.size
