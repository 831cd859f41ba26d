"""One look after another: newest picture, small; has anything moved? Then in full, and what the decoders make of it.

Laws of this file:
- While nothing moves a picture is only asked, at its smallest, whether that is still so; at most `check_hz`
  times a second. Where `check_hz` says how often, its length may answer, between two that are decoded (lengths.py).
- While a code is being read two of three pictures are looked at without asking: it is there, and is looked for again.
- A look has a time budget; what exceeds it is counted. The pictures it cost are gone, never late.
- Whatever a decoder raises about one picture costs that picture.
"""

from collections import deque

import cv2
import numpy as np

from drivers.camera.frames import BadPicture, FrameSource, Gray, Stillness, now_ns
from drivers.camera.frames import Picture as Frame
from drivers.camera.lengths import Lengths
from drivers.camera.messages import LONGEST_PAYLOAD, LONGEST_PICTURE, MOST_SYMBOLS, Beat, Look, Order, Picture, Seen
from drivers.camera.pipeline import Pipeline
from drivers.camera.symbols import Symbol

AIMING_WIDTH = 480
UNASKED = 2
SCORE_NS = 1_000_000_000
FROZEN_HINT = "the camera hangs: switch it off and on"
WHITE, BLACK = 255, 0


class Looker:
    """Looks at a source with a pipeline."""

    def __init__(self, source: FrameSource, pipeline: Pipeline, order: Order, *, confined: bool) -> None:
        self._source = source
        self._pipeline = pipeline
        self._period_ns = round(0.9e9 / order.check_hz) if order.check_hz else 0  # the camera's own beat is not exact
        self._budget_ns = order.budget_ms * 1_000_000
        self._confined = confined
        self._still = Stillness()
        self._lengths = Lengths()
        self._at_rest = True
        self._wanted = 0  # how many pictures in a row were worth a look
        self._unasked = UNASKED  # how many in a row were looked at because the one before was read
        self._last: Frame | None = None
        self._symbols: list[Symbol] = []
        self._looks: deque[tuple[int, bool]] = deque(maxlen=120)  # (when, whether a code was read)
        self._checked = self._looked = self._read = self._slow = self._bad = 0

    def next(self, within_s: float) -> list[Look]:
        """Look at the next picture, if one comes in time; what it held, if it was looked at."""
        last_ns = self._last.arrived_ns if self._last is not None else 0
        frame = self._source.newest(last_ns, within_s, max(1, self._period_ns) if self._at_rest else 0)
        if frame is None:
            return []
        self._last = frame
        try:
            return self._look(frame)
        except (BadPicture, cv2.error) as error:
            if isinstance(error, cv2.error) and error.code == cv2.Error.STS_NO_MEM:
                raise MemoryError from error
            self._bad += 1
            return []

    def beat(self, at_ns: int) -> Beat:
        """How it goes."""
        health = self._source.health
        return Beat(
            at_ns=at_ns,
            arrived_ns=health.arrived_ns,
            pictures=health.pictures,
            checked=self._checked,
            looked=self._looked,
            read=self._read,
            slow=self._slow,
            bad=self._bad,
            opened=health.opened,
            frozen=health.trouble == "frozen",
            confined=self._confined,
            trouble=health.trouble[:200],
            hint=health.hint[:200],
        )

    def picture(self) -> Picture | None:
        """The newest picture for aiming, codes framed; None before there is one."""
        if self._last is None:
            return None
        gray = self._last.gray()
        return Picture(
            arrived_ns=self._last.arrived_ns,
            jpeg=aiming(gray, self._symbols),
            brightness=float(gray.mean()) / 255,
            contrast=contrast(gray),
            sharpness=sharpness(gray),
            score=self._score(self._last.arrived_ns),
        )

    def _look(self, frame: Frame) -> list[Look]:
        now_s = frame.arrived_ns / 1e9
        self._unasked += 1
        if self._unasked > UNASKED:
            self._unasked = 0
            self._ask(frame, now_s)
        if self._at_rest:
            self._unasked = UNASKED
            return []
        began_ns = now_ns()
        self._symbols = [
            symbol
            for symbol in self._pipeline.look(frame.gray(), now_s)[:MOST_SYMBOLS]
            if 0 < len(symbol.payload) <= LONGEST_PAYLOAD
        ]
        if not self._symbols:
            self._unasked = UNASKED
        self._looked += 1
        self._read += bool(self._symbols)
        self._slow += now_ns() - began_ns > self._budget_ns
        self._looks.append((frame.arrived_ns, bool(self._symbols)))
        seen = (Seen(payload=one.payload, score=min(1.0, max(0.0, one.score))) for one in self._symbols)
        return [Look(arrived_ns=frame.arrived_ns, symbols=tuple(seen))]

    def _ask(self, frame: Frame, now_s: float) -> None:
        """Whether anything moves, or the camera shows the same for ever."""
        self._checked += 1
        if self._is_like_the_last(frame, now_s):
            return
        if self._wanted > 1:
            frame.gray()  # wanted anyway, and the small one is made of it
        small = frame.small()
        if self._still.is_frozen(small, frame.arrived_ns):
            self._still = Stillness()
            self._source.reopen("frozen", FROZEN_HINT)
        self._at_rest = not self._pipeline.wants(small, now_s)
        self._wanted = 0 if self._at_rest else self._wanted + 1
        self._lengths.decoded(frame.length, now_s, changed=self._pipeline.changed)

    def _is_like_the_last(self, frame: Frame, now_s: float) -> bool:
        """By its length; every picture is decoded where that was asked for, and when the whole frame is due."""
        asks_little = self._at_rest and self._period_ns > 0 and not self._pipeline.is_due(now_s)
        return asks_little and self._lengths.say_nothing_came(frame.length, now_s)

    def _score(self, at_ns: int) -> float:
        """Of the last second's looks, how many read a code."""
        recent = [read for when_ns, read in self._looks if at_ns - when_ns <= SCORE_NS]
        return sum(recent) / len(recent) if recent else 0.0


def aiming(gray: Gray, symbols: list[Symbol]) -> bytes:
    """A small JPEG with every code framed."""
    scale = min(1.0, AIMING_WIDTH / gray.shape[1])
    small = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    for symbol in symbols:
        corners = np.array(symbol.corners, np.float64).reshape(-1, 1, 2) * scale
        for colour, width in ((BLACK, 5), (WHITE, 2)):
            cv2.polylines(small, [np.asarray(corners, np.int32)], isClosed=True, color=(colour,), thickness=width)
    for quality in (70, 30, 5):
        done, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if done and jpeg.size <= LONGEST_PICTURE:
            break
    return jpeg.tobytes()


def contrast(gray: Gray) -> float:
    """How far the darkest and the brightest twentieth lie apart, 0 to 1."""
    dark, bright = np.percentile(gray[::4, ::4], (5, 95))
    return float(bright - dark) / 255


def sharpness(gray: Gray) -> float:
    """Variance of the Laplacian of the middle: falls when the picture is blurred. For comparing only."""
    height, width = gray.shape
    middle = np.ascontiguousarray(gray[height // 4 : -(height // 4) or None, width // 4 : -(width // 4) or None])
    return min(1e6, float(cv2.Laplacian(middle, cv2.CV_64F).var()))
