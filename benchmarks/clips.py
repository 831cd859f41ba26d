"""Clips of phones held out to a gate's camera, and contenders that watch them: JPEGs in, payloads and CPU time out.

Laws of this file:
- A clip is 720p MJPEG at 30 pictures a second: nobody for 6 pictures, a phone that comes in within 10 to 17, then
  trembles for 45.
- Three tiers, drawn from a seed: easy, medium, and hard, which a single picture seldom gives.
- zxing is handed gray pictures; pyzbar the colour picture that OpenCV hands over, as its users do, and gray as well.
- Contenders take the same bytes, one clip after the other in turn; what is clocked is this thread's own CPU time, the
  JPEG's decoding included.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import cv2
import numpy as np

from benchmarks import peers
from drivers.camera.frames import FrameSource, Health, JpegPicture
from drivers.camera.looking import Looker
from drivers.camera.messages import Order
from drivers.camera.pipeline import Pipeline
from simulators.painting import TIERS, Painter, Shown, coming, drawn, jpeg, modules, trembling

RATE = 30
NOBODY, HOVERS = 6, 45
SIDES = ("left", "right", "below")
Watch = Callable[[bytes, float], list[bytes]]  # a picture and its moment (seconds) → payloads


@dataclass
class Clip:
    """What a camera sent, and the one payload in it."""

    tier: str
    payload: bytes
    pictures: list[bytes]


@dataclass
class Watched:
    """What a contender made of a clip: CPU seconds a picture, and which pictures it read."""

    took_s: list[float] = field(default_factory=list)
    read: list[bool] = field(default_factory=list)


def clip(seed: int, tier: str) -> Clip:
    """Paint one."""
    random, painter = Random(seed), Painter(seed=seed)
    payload = random.randbytes(random.randint(130, 420))
    held, side = drawn(random, tier, modules(payload)), random.choice(SIDES)
    comes = random.randint(10, 17)
    pictures = [jpeg(painter.picture((), number)) for number in range(NOBODY)]
    for number in range(comes + HOVERS):
        how = coming(trembling(held, random), min(1.0, number / comes), side)
        pictures.append(jpeg(painter.picture([Shown(payload, how)], number)))
    return Clip(tier, payload, pictures)


def clips(each: int) -> list[Clip]:
    """So many of each tier."""
    return [clip(1000 * number + tier, name) for number in range(each) for tier, name in enumerate(TIERS)]


def ours() -> Watch:
    """What the process that sees does with a picture, before the pipe."""
    order = Order(
        source="", formats=("QRCode",), mode="gate", width=1280, height=720, rate=RATE, exposure_ms=None, check_hz=0,
        budget_ms=200, memory_mib=256,
    )  # fmt: skip
    row = _Row()
    looker = Looker(row, Pipeline(("QRCode",)), order, confined=False)

    def watch(data: bytes, at_s: float) -> list[bytes]:
        row.put(data, at_s)
        return [one.payload for look in looker.next(0.0) for one in look.symbols]

    return watch


class _Row(FrameSource):
    """A source that is handed its pictures."""

    def __init__(self) -> None:
        self.health = Health()

    def put(self, data: bytes, at_s: float) -> None:
        """The newest picture."""
        self._picture = JpegPicture(data, round(at_s * 1e9))

    def newest(self, after_ns: int, within_s: float, rest_ns: int = 0) -> JpegPicture | None:
        """See the source."""
        return self._picture


def plain(read: peers.Read, how: int) -> Watch:
    """Decode each picture, and hand it to a decoder."""

    def watch(data: bytes, at_s: float) -> list[bytes]:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), how)
        return [payload for _, payload in read(picture)]

    return watch


CONTENDERS: dict[str, Callable[[], Watch]] = {
    "ours": ours,
    "zxing": lambda: plain(peers.zxing(("QRCode",)), cv2.IMREAD_GRAYSCALE),
    "pyzbar": lambda: plain(peers.pyzbar(("QRCode",)), cv2.IMREAD_COLOR),
    "pyzbar_gray": lambda: plain(peers.pyzbar(("QRCode",)), cv2.IMREAD_GRAYSCALE),
}


def show(one: Clip, name: str) -> Watched:
    """Let a contender watch a clip. Pyzbar damages binary payloads: that it read anything is enough there."""
    watch, result = CONTENDERS[name](), Watched()
    for number, data in enumerate(one.pictures):
        began = time.thread_time()
        found = watch(data, 100 + number / RATE)
        result.took_s.append(time.thread_time() - began)
        result.read.append(bool(found) if name.startswith("pyzbar") else one.payload in found)
    return result
