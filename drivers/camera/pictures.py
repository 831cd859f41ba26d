"""What may be done to a gray picture before a decoder sees it.

Laws of this file:
- A picture is rows by columns of bytes; a treatment returns a new one, and the scale back where it has another size.
"""

from typing import Any

import cv2
from numpy.typing import NDArray

Gray = NDArray[Any]  # uint8, rows by columns; the library's own annotations promise less than it keeps

LARGEST_SIDE = 2000  # pixels: a picture is not doubled beyond this


def doubled(gray: Gray) -> tuple[Gray, float]:
    """Twice the size, and the scale back."""
    if max(gray.shape) > LARGEST_SIDE:
        return gray, 1.0
    return cv2.resize(gray, None, fx=2.0, fy=2.0, interpolation=cv2.INTER_LINEAR), 0.5


def flattened(gray: Gray) -> Gray:
    """Black and white, against the mean of 51 by 51 pixels around: uneven light and shadows are gone."""
    return cv2.adaptiveThreshold(gray, 255, cv2.ADAPTIVE_THRESH_GAUSSIAN_C, cv2.THRESH_BINARY, 51, 3)


def equalised(gray: Gray) -> Gray:
    """Local contrast stretched, its noise limited."""
    return cv2.createCLAHE(2.0, (8, 8)).apply(gray)
