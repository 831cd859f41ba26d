"""Pictures of codes painted from a seed, for benchmarks that were given none: a screen, tilted, blurred, noisy."""

import random
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import segno


def pictures(count: int, *, seed: int = 7) -> Iterator[tuple[str, list[dict[str, Any]], Any]]:
    """`count` frames of 1280 by 720: category, what they say, the gray picture."""
    draw = random.Random(seed)
    for number in range(count):
        payload = draw.randbytes(draw.randint(64, 300))
        category = ("sharp", "tilted", "blurred", "dim")[number % 4]
        yield category, [{"payload_hex": payload.hex()}], _frame(payload, category, draw)


def _frame(payload: bytes, category: str, draw: random.Random) -> Any:
    code = segno.make_qr(payload, mode="byte", error="m")
    face = 255 - 255 * np.array([list(row) for row in code.matrix_iter(border=4)], np.uint8)
    side = len(face)
    size = draw.uniform(300, 600)
    tilt = 0.18 * size if category == "tilted" else 0.02 * size
    left, top = draw.uniform(40, 1200 - size), draw.uniform(20, 690 - size)
    corners = [(left, top), (left + size, top), (left + size, top + size), (left, top + size)]
    moved = [(x + draw.uniform(-tilt, tilt), y + draw.uniform(-tilt, tilt)) for x, y in corners]
    source = np.array([(0, 0), (side, 0), (side, side), (0, side)], np.float32) - 0.5
    warp = cv2.getPerspectiveTransform(source, np.array(moved, np.float32))
    frame: Any = np.full((720, 1280), 96, np.uint8)
    cv2.warpPerspective(face, warp, (1280, 720), frame, cv2.INTER_NEAREST, cv2.BORDER_TRANSPARENT)
    if category == "blurred":
        frame = cv2.GaussianBlur(frame, (0, 0), 2.0)
    if category == "dim":
        frame = cv2.convertScaleAbs(frame, alpha=0.2, beta=20)
    noise = np.random.default_rng(draw.randrange(2**32)).normal(0, 4, frame.shape)
    return np.clip(frame + noise, 0, 255).astype(np.uint8)
