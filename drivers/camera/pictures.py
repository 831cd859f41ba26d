"""What may be done to a gray picture before a decoder sees it.

Laws of this file:
- A picture is rows by columns of bytes. A treatment returns a new one; it moves nothing but by a scale, which the rung
  that uses it knows.
- Bright and dark are relative: each treatment answers one way in which light, lens or paper spoils a code.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Gray = NDArray[Any]  # uint8, rows by columns; the library's own annotations promise less than it keeps


def scaled(gray: Gray, across: float, down: float) -> Gray:
    """Another size: by area where it shrinks, by lines where it grows. Never nothing."""
    rows, columns = gray.shape
    size = max(1, round(columns * across)), max(1, round(rows * down))
    return cv2.resize(gray, size, interpolation=cv2.INTER_AREA if max(across, down) <= 1 else cv2.INTER_LINEAR)


def bent(gray: Gray, exponent: float) -> Gray:
    """The gray scale bent: above 1 dark parts fall together (glare, over-exposure), below 1 they part (dimness)."""
    return cv2.LUT(gray, (255 * (np.arange(256) / 255) ** exponent).astype(np.uint8))


def flattened(gray: Gray, around: int, below: int = 3) -> Gray:
    """Black and white, against the mean of `around` by `around` pixels less `below`: uneven light is gone."""
    return cv2.adaptiveThreshold(gray, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, around, below)


def outlined(gray: Gray, around: int, below: int) -> Gray:
    """As `flattened`, but nearer pixels count more: small modules that run into each other come apart."""
    return cv2.adaptiveThreshold(gray, 255, cv2.ADAPTIVE_THRESH_GAUSSIAN_C, cv2.THRESH_BINARY, around, below)


def evened(gray: Gray) -> Gray:
    """Divided by its own blur, so that a shadow's edge is no edge any more."""
    block = max(1, max(gray.shape) // 160)
    light = cv2.GaussianBlur(scaled(gray, 1 / block, 1 / block), (0, 0), 12)
    return cv2.divide(gray, cv2.resize(light, (gray.shape[1], gray.shape[0])), scale=160)


def sharpened(gray: Gray, radius: float = 2.0, amount: float = 1.5) -> Gray:
    """Unsharp masking, against defocus."""
    return cv2.addWeighted(gray, 1 + amount, cv2.GaussianBlur(gray, (0, 0), radius), -amount, 0)


def thickened(gray: Gray) -> Gray:
    """Dark parts grown by a pixel: modules printed as dots, or eaten by glare."""
    return cv2.erode(gray, np.ones((3, 3), np.uint8))


def cut(gray: Gray, level: int) -> Gray:
    """Black and white at one level: a code under glare is all brighter, or a screen's all darker, than the rest."""
    return cv2.threshold(gray, level, 255, cv2.THRESH_BINARY)[1]
