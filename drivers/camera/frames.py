"""Frames: a camera's newest picture, how old it is, and whether the camera still lives.

Laws of this file:
- Only the newest picture counts. A thread of its own takes pictures as they come; whoever looks gets the last one, so a
  slow look costs pictures, never delay.
- Whoever wants few pictures takes them himself, and lets the others lie where the kernel put them: each that is taken
  wakes a processor, which costs an idle camera more than its bytes. The thread stands aside meanwhile.
- A picture's moment is its arrival, CLOCK_MONOTONIC; its age is the camera's health. What lay waiting is never handed
  on: when it came is not known.
- A camera that ends, stalls or shows the very same picture for `FROZEN_S` is closed and opened again, with backoff.
- A picture is decoded gray, at the scale asked for, when it is asked for. A picture that is
  none costs itself only.
"""

import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Gray: TypeAlias = NDArray[np.uint8]

SMALL_WIDTH = 160
FROZEN_S = 5.0  # a sensor's noise never lets two pictures be the same, let alone those of five seconds
DARK = 8  # gray levels between the darkest and the brightest spot, below which a camera has nothing to show
REST_NS = 100_000_000  # pictures that nobody wants are left lying; no longer, they need room
AWAY_NS = 5_000_000  # for less, what came meanwhile came now
WAIT_S = (0.1, 2.0)  # first and longest wait before a source is opened again


class CameraLost(Exception):
    """There is no camera, or there is one no more; `hint` says what to try."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.hint = hint


class BadPicture(Exception):
    """What arrived cannot be decoded."""


class Picture(Protocol):
    """One picture, not yet decoded."""

    arrived_ns: int
    length: int  # bytes as it was compressed; 0: it was not

    def small(self) -> Gray:
        """About 160 pixels wide."""

    def gray(self) -> Gray:
        """In full."""


class Camera(Protocol):
    """An open camera."""

    @property
    def patient(self) -> bool:
        """Whether what comes while nobody reads, for a tenth of a second, waits and holds nothing up."""

    def read(self, within_s: float | None = None) -> Picture | None:
        """The next picture; blocks until it is there, or that long: None. Raises CameraLost."""

    def skip(self) -> int:
        """Leave out the pictures that have come already; how many. Never blocks. Raises CameraLost."""

    def close(self) -> None:
        """Let go of it."""


class JpegPicture:
    """A picture as the camera sent it; decoding it gray is a third of the work, an eighth of the size a little less."""

    def __init__(self, data: bytes, arrived_ns: int) -> None:
        self.arrived_ns, self.length = arrived_ns, len(data)
        self._data = np.frombuffer(data, np.uint8)
        self._gray: Gray | None = None

    def small(self) -> Gray:
        """See the protocol; JPEG's own eighth, or an eighth of what was decoded already: both are means of blocks."""
        if self._gray is not None:
            return shrunk(self._gray)
        return shrunk(self._decode(cv2.IMREAD_REDUCED_GRAYSCALE_8))

    def gray(self) -> Gray:
        """See the protocol; decoded once."""
        if self._gray is None:
            self._gray = self._decode(cv2.IMREAD_GRAYSCALE)
        return self._gray

    def _decode(self, how: int) -> Gray:
        try:
            picture = cv2.imdecode(self._data, how)
        except cv2.error as error:
            if error.code == cv2.Error.STS_NO_MEM:
                raise MemoryError from error
            raise BadPicture(str(error)[:200]) from error
        if picture is None:
            raise BadPicture("no JPEG")
        return np.asarray(picture, np.uint8)


class PlanePicture:
    """A picture that is gray already, such as the Y plane of YUYV: no copy is made for looking at it."""

    def __init__(self, plane: Gray, arrived_ns: int) -> None:
        self.arrived_ns, self.length = arrived_ns, 0
        self._plane = plane

    def small(self) -> Gray:
        """See the protocol."""
        return shrunk(self._plane)

    def gray(self) -> Gray:
        """See the protocol."""
        return self._plane


def shrunk(gray: Gray) -> Gray:
    """160 pixels wide: means of blocks, by halves, which is five times as fast as at once."""
    picture: Any = gray
    while picture.shape[1] > SMALL_WIDTH:
        height, width = picture.shape
        across = max(SMALL_WIDTH, width // 2)
        picture = cv2.resize(picture, (across, max(1, round(height * across / width))), interpolation=cv2.INTER_AREA)
    return np.asarray(picture, np.uint8)


class Stillness:
    """Whether a camera shows the very same picture again and again: it hangs, and says nothing of it."""

    def __init__(self) -> None:
        self._key = 0
        self._since_ns = 0

    def is_frozen(self, small: Gray, at_ns: int) -> bool:
        """Told of each small picture. A picture with nothing in it, as at night, may well stay the same."""
        key = zlib.crc32(small.tobytes())
        if key != self._key or int(small.max()) - int(small.min()) < DARK:
            self._key, self._since_ns = key, at_ns
        return at_ns - self._since_ns >= FROZEN_S * 1e9


@dataclass
class Health:
    """What a source says of itself."""

    arrived_ns: int = 0  # the newest picture's arrival; 0: none yet
    pictures: int = 0
    opened: int = 0
    trouble: str = "opening"
    hint: str = ""


class FrameSource:
    """The newest picture of a camera that is opened, and opened again, by a thread of its own."""

    def __init__(self, open_camera: Callable[[], Camera]) -> None:
        self.health = Health()
        self._open = open_camera
        lock = threading.Lock()
        self._news, self._back = threading.Condition(lock), threading.Condition(lock)
        self._newest: Picture | None = None
        self._wanted_ns = 0  # pictures before wake nobody
        self._rests = False  # whoever looks would rather take few himself
        self._lent: Camera | None = None  # to whoever looks
        self._lost: CameraLost | None = None  # in his hands
        self._again = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._grab, name="grab", daemon=True)
        self._thread.start()

    def newest(self, after_ns: int, within_s: float, rest_ns: int = 0) -> Picture | None:
        """The newest picture that arrived `rest_ns` after `after_ns`; None when none comes within `within_s`."""
        until_ns, wanted_ns, rests = now_ns() + round(within_s * 1e9), after_ns + rest_ns, rest_ns > 0
        with self._news:
            self._wanted_ns, self._rests = wanted_ns, rests
            if not rests:
                self._take_back()
            self._news.wait_for(lambda: self._has(wanted_ns) or (rests and self._lent is not None), within_s)
            picture, camera = self._newest if self._has(wanted_ns) else None, self._lent
        return picture if picture or not camera else self._take_one(camera, wanted_ns, until_ns)

    def reopen(self, trouble: str, hint: str) -> None:
        """Close the camera and open it again: what it shows is of no use."""
        self.health.trouble, self.health.hint = trouble, hint
        with self._news:
            self._again = True
            self._take_back()

    def close(self) -> None:
        """Let go of the camera."""
        with self._news:
            self._closed.set()
            self._take_back()
        self._thread.join(timeout=3.0)

    # ----------------------------------------------------------------------- the thread

    def _grab(self) -> None:
        wait_s = WAIT_S[0]
        while not self._closed.is_set():
            before = self.health.pictures
            try:
                self._take_pictures()
            except CameraLost as error:
                self.health.trouble, self.health.hint = str(error), error.hint
            wait_s = WAIT_S[0] if self.health.pictures > before else min(wait_s * 2, WAIT_S[1])
            self._closed.wait(wait_s)

    def _take_pictures(self) -> None:
        self._again = False
        camera = self._open()
        self.health.opened += 1
        try:
            while not (self._closed.is_set() or self._again):
                if camera.patient and self._rests:
                    self._lend(camera)
                picture = camera.read()
                if picture is not None:
                    self._put(picture)
        finally:
            camera.close()

    def _put(self, picture: Picture) -> None:
        with self._news:
            self._newest = picture
            if picture.arrived_ns > self._wanted_ns:
                self._news.notify_all()
        self._passed(1, picture.arrived_ns)

    def _passed(self, pictures: int, at_ns: int) -> None:
        if not pictures:
            return
        self.health.arrived_ns = at_ns
        self.health.pictures += pictures
        self.health.trouble, self.health.hint = "", ""

    def _has(self, wanted_ns: int) -> bool:
        return self._newest is not None and self._newest.arrived_ns > wanted_ns

    # ----------------------------------------------------------------------- the loan

    def _lend(self, camera: Camera) -> None:
        """Stand aside until the camera is given back. Raises CameraLost, if it was lost meanwhile."""
        with self._news:
            if self._closed.is_set() or self._again:
                return
            self._lent = camera
            self._news.notify_all()
            self._back.wait_for(lambda: self._lent is None)
            lost, self._lost = self._lost, None
        if lost is not None:
            raise lost

    def _take_back(self, lost: CameraLost | None = None) -> None:
        """Have the thread go on; the lock is held."""
        if self._lent is not None:
            self._lent, self._lost = None, lost
            self._back.notify()

    def _take_one(self, camera: Camera, wanted_ns: int, until_ns: int) -> Picture | None:
        """The first picture from then on, by whoever looks; where none comes the thread waits, and says why."""
        at_ns = now_ns()
        rests_until_ns = min(max(wanted_ns, at_ns), until_ns, at_ns + REST_NS)
        if rests_until_ns > at_ns:
            time.sleep((rests_until_ns - at_ns) / 1e9)
        lost = None
        try:
            if rests_until_ns - self.health.arrived_ns > AWAY_NS:
                self._passed(camera.skip(), rests_until_ns)
            if rests_until_ns < wanted_ns:
                return None
            picture = camera.read(max(0, until_ns - now_ns()) / 1e9) if camera.patient else None
        except CameraLost as error:
            picture, lost = None, error
        if picture is None:
            with self._news:
                self._take_back(lost)
            return None
        self._put(picture)
        return picture


def now_ns() -> int:
    """CLOCK_MONOTONIC, the moment of an arrival."""
    return time.monotonic_ns()
