"""Pictures of people holding phones before a camera, painted from payloads.

Laws of this file:
- What is painted is decided by the arguments and the seed: the same again gives the same pixels.
- No two pictures are the same: a sensor has noise, and the noise moves on.
- Flaws are named and sized by what a camera sees: pixels of blur, parts of full brightness.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any, NamedTuple

import cv2
import numpy as np
import segno
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

MODULE = 6  # pixels of one module on the phone's own screen
NOISES, NOISE = 8, 2.0  # pictures of it; gray levels (sigma), as a small sensor has by daylight
SKIN = (120, 150, 200)  # blue, green, red


@dataclass(frozen=True)
class Held:
    """How a phone is held, and what is wrong with its picture. Lengths are parts of the picture's height."""

    x: float = 0.0  # its middle, right of the picture's middle
    y: float = 0.0
    code: float = 0.55  # the code's side
    turn: float = 0.0  # degrees
    tilt: float = 0.0  # how much shorter its far edge is
    bright: float = 0.95  # of the screen
    blur: float = 0.0  # pixels (sigma): out of focus
    motion: float = 0.0  # pixels it moves while the picture is taken
    glare: float = 0.0  # of a lamp in the glass
    moire: float = 0.0  # of the screen's grid against the sensor's
    finger: bool = False  # over the code's lower edge


class Shown(NamedTuple):
    """A payload on a screen, and how that is held."""

    payload: bytes
    held: Held


class Painter:
    """One camera's view."""

    def __init__(self, width: int = 1280, height: int = 720, seed: int = 0, *, dark: bool = False) -> None:
        self.width, self.height = width, height
        noise = np.random.default_rng(seed)
        down, right = np.mgrid[0:height, 0:width]
        wall = 90 + 40 * np.sin(right / width * 3 + seed) + 30 * (down / height)
        tint = np.stack([wall * 0.95, wall, wall * 1.04], axis=2) * (0.15 if dark else 1.0)
        self._wall: Pixels = tint.clip(0, 255).astype(np.uint8)
        cv2.rectangle(self._wall, (width // 12, height // 5), (width // 5, height), (60, 70, 80), -1)
        cv2.rectangle(self._wall, (width * 4 // 5, height // 3), (width * 9 // 10, height), (110, 100, 90), -1)
        self._noise = [
            noise.normal(0, NOISE, (height, width)).round().astype(np.int16)[:, :, None] for _ in range(NOISES)
        ]
        self._idle = [self._developed(self._wall, number) for number in range(NOISES)]

    def picture(self, shown: Sequence[Shown], number: int) -> Pixels:
        """The view with every phone in it; `number` counts pictures."""
        if not shown:
            return self._idle[number % NOISES]
        view = self._wall.copy()
        for one in shown:
            self._hold(view, one)
        return self._developed(view, number)

    def _developed(self, view: Pixels, number: int) -> Pixels:
        noisy = view.astype(np.int16) + np.roll(self._noise[number % NOISES], number // NOISES, axis=1)
        return np.asarray(noisy.clip(0, 255), np.uint8)

    def _hold(self, view: Pixels, one: Shown) -> None:
        """Paint one phone into the view."""
        screen = phone(one.payload).copy()
        held = one.held
        lit = (screen * held.bright).astype(np.uint8)
        if held.finger:
            side = screen.shape[1]
            cv2.ellipse(lit, (side // 2, side), (side // 9, side // 5), 0, 0, 360, SKIN, -1)
        corners = self._corners(screen.shape, held)
        left, top = np.floor(corners.min(axis=0)).astype(int) - 16
        right, bottom = np.ceil(corners.max(axis=0)).astype(int) + 16
        left, top, right, bottom = max(left, 0), max(top, 0), min(right, self.width), min(bottom, self.height)
        if right - left < 2 or bottom - top < 2:
            return
        height, width = screen.shape[:2]
        flat = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
        way = cv2.getPerspectiveTransform(flat, (corners - (left, top)).astype(np.float32))
        size = (int(right - left), int(bottom - top))
        image = cv2.warpPerspective(lit, way, size, flags=cv2.INTER_AREA)
        mask = cv2.warpPerspective(np.full((height, width), 255, np.uint8), way, size, flags=cv2.INTER_LINEAR)
        image, mask = _flawed(image, held), _smeared(mask, held)
        part = view[top:bottom, left:right]
        alpha = (mask.astype(np.float32) / 255)[:, :, None]
        part[:] = (part * (1 - alpha) + image * alpha).astype(np.uint8)

    def _corners(self, shape: tuple[int, ...], held: Held) -> NDArray[np.float64]:
        """Where the phone's four corners are in the picture."""
        scale = held.code * self.height / (shape[1] - 8 * MODULE)
        across, down = shape[1] * scale / 2, shape[0] * scale / 2
        near = 1 - held.tilt
        flat = np.array([(-across * near, -down), (across * near, -down), (across, down), (-across, down)])
        flat[:, 1] += down - across  # the code, not the phone, is in the middle
        angle = np.deg2rad(held.turn)
        turned = flat @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        middle = (self.width / 2 + held.x * self.height, self.height / 2 + held.y * self.height)
        return np.asarray(turned + middle)


@functools.lru_cache(maxsize=4)
def phone(payload: bytes) -> Pixels:
    """A phone's face: a code on a white screen, some lines of an app below, a dark rim."""
    code = segno.make(payload, micro=False, error="m", boost_error=False, mode="byte")
    modules = np.array([[bit == 0 for bit in row] for row in code.matrix_iter(scale=1, border=4)], bool)
    square = np.kron(modules, np.ones((MODULE, MODULE), bool))
    side = square.shape[0]
    face = np.full((int(side * 1.5), side + 8 * MODULE), 30, np.uint8)
    face[3 * MODULE : -3 * MODULE, 3 * MODULE : -3 * MODULE] = 235
    face[4 * MODULE : 4 * MODULE + side, 4 * MODULE : 4 * MODULE + side] = np.where(square, 250, 12)
    for line in range(3):
        top = int(side * (1.15 + 0.08 * line)) + 4 * MODULE
        face[top : top + 2 * MODULE, 8 * MODULE : side // (line + 1)] = 120
    return np.repeat(face[:, :, None], 3, axis=2)


def _smeared(image: Any, held: Held) -> Pixels:
    """Out of focus, and moved while the picture was taken."""
    if held.blur > 0.2:
        image = cv2.GaussianBlur(image, (0, 0), held.blur)
    if held.motion >= 1.5:
        image = cv2.blur(image, (max(1, round(held.motion)), max(1, round(held.motion / 3))))
    return np.asarray(image, np.uint8)


def _flawed(image: Any, held: Held) -> Pixels:
    """The picture of the phone with its flaws."""
    height, width = image.shape[:2]
    if held.moire or held.glare:
        down, right = np.mgrid[0:height, 0:width].astype(np.float32)
        light = image.astype(np.float32)
        if held.moire:
            light *= (1 - held.moire / 2 + held.moire / 2 * np.sin(right * 0.45 + down * 0.21))[:, :, None]
        if held.glare:
            far = ((right - width * 0.4) / (width * 0.3)) ** 2 + ((down - height * 0.3) / (height * 0.2)) ** 2
            light += (held.glare * 255 * np.exp(-far))[:, :, None]
        image = light.clip(0, 255).astype(np.uint8)
    return _smeared(image, held)


def jpeg(picture: Pixels, quality: int = 80) -> bytes:
    """As a camera compresses it."""
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return bytes(data)


# --------------------------------------------------------------------------- how people hold their phones

# Pixels of a module in a picture of 720 lines, pixels out of focus, and how much of each other flaw.
_MODULE = {"easy": (3.6, 5.5), "medium": (2.8, 4.2), "hard": (2.2, 3.4)}
_BLUR = {"easy": (0.3, 1.0), "medium": (0.6, 1.4), "hard": (0.8, 1.6)}
_FLAWS = {"easy": (0.25, 1), "medium": (0.6, 1), "hard": (1.0, 2)}  # how much, and how many times as often
TIERS = tuple(_MODULE)


def modules(payload: bytes) -> int:
    """How many modules a payload's code is wide, quiet zone included."""
    return int(segno.make(payload, micro=False, error="m", boost_error=False, mode="byte").symbol_size()[0])


def drawn(random: Random, tier: str = "easy", wide: int = 77) -> Held:
    """Somebody's way of holding a phone; `wide`: modules of the code, 77 of a ride code."""
    much, often = _FLAWS[tier]

    def some(of_ten: int, most: float) -> float:
        return random.uniform(0.4, 1.0) * most * much if random.randrange(10) < of_ten * often else 0.0

    turn = random.choice((90, 180, 270)) if random.randrange(4) == 0 else 0
    return Held(
        x=random.uniform(-0.2, 0.2),
        y=random.uniform(-0.06, 0.06),
        code=random.uniform(*_MODULE[tier]) * wide / 720,
        turn=turn + random.gauss(0, 6),
        tilt=abs(random.gauss(0, 0.05)),
        bright=1 - some(4, 0.7),
        blur=random.uniform(*_BLUR[tier]),
        glare=some(3, 1.5),
        moire=some(3, 0.7),
        finger=some(1, 1.0) > 0,
    )


def coming(held: Held, part: float, side: str) -> Held:
    """On its way in from a side of the picture: `part` 0 is outside, 1 is there; fastest and most smeared first."""
    away = (1 - part) ** 2
    right, down = {"left": (-1, 0), "right": (1, 0), "below": (0, 1)}[side]
    speed = 2 * (1 - part)
    return replace(
        held,
        x=held.x + right * 1.6 * away,
        y=held.y + down * 1.3 * away,
        motion=held.motion + 22 * speed,
        turn=held.turn + 25 * away,
    )


def trembling(held: Held, random: Random) -> Held:
    """A hand does not hold still."""
    return replace(
        held,
        x=held.x + random.gauss(0, 0.003),
        y=held.y + random.gauss(0, 0.003),
        turn=held.turn + random.gauss(0, 0.4),
        motion=held.motion + abs(random.gauss(0, 1.5)),
    )
