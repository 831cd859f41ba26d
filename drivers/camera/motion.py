"""Is anything happening in front of the camera, and where? On a small gray picture of about 160 by 90.

Laws of this file:
- No clock: time is told. No full picture either: this is what an idle camera pays for each frame.
- A change of light alone is not motion: what all pixels have in common is taken out.
- What stands still becomes background, slowly while somebody is there, so that a phone held still stays visible.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Box = tuple[float, float, float, float]  # left, top, right, bottom; as parts of the picture, 0.0-1.0
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)

CHANGED = 18  # gray levels
ENOUGH = 40  # changed pixels of 160 by 90
LEARN_IDLE, LEARN_ACTIVE = 0.05, 0.004
_SQUARE = np.ones((3, 3), np.uint8)


class Motion:
    """What has changed against a slow background."""

    def __init__(self) -> None:
        self._background: NDArray[Any] | None = None

    def watch(self, small: NDArray[np.uint8], *, active: bool) -> Box | None:
        """The box around what changed, or None. `active` slows learning."""
        picture = small.astype(np.float32)
        if self._background is None or self._background.shape != picture.shape:
            self._background = picture
            return None
        difference = cv2.subtract(picture, self._background)
        light = float(np.median(difference[::4, ::4]))
        cv2.accumulateWeighted(picture, self._background, LEARN_ACTIVE if active else LEARN_IDLE)
        far = (np.abs(difference - light) > CHANGED).astype(np.uint8)
        changed = cv2.morphologyEx(far, cv2.MORPH_OPEN, _SQUARE)
        if cv2.countNonZero(changed) * 14_400 < ENOUGH * changed.size:
            return None
        left, top, width, height = cv2.boundingRect(changed)
        rows, columns = changed.shape
        return left / columns, top / rows, (left + width) / columns, (top + height) / rows
