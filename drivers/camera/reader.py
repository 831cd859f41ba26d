"""A camera as a code reader: the daemon's side. Another process sees; here come payloads, moments and a heartbeat.

Laws of this file:
- The daemon touches no pixel: neither this file nor what it imports loads a library that does.
- `at` is the picture's arrival, by the one reading of the clocks taken when its payload came out of the pipe.
- A process that crashes, hangs, meets its memory limit or talks nonsense is ended, counted and replaced at once, by a
  spare that has already loaded its decoders. Nothing of what it last said is taken any more.
- The same code is one presentation until it leaves; two codes at a gate are none (presence.py). What was handed over
  but dropped here, because it grew stale, is handed over again.
- No picture for `GONE_S`: DeviceError; who supervises asks again.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Literal

from drivers.camera.eye import COMMAND, Ending, Eye
from drivers.camera.messages import Beat, Look, Message, Order, Picture
from drivers.camera.presence import Presence
from terminal.core.model import Medium, Reading, Reason, Value
from terminal.ports import Clock, DeviceError

QUEUE = 16
GONE_S = 2.0  # without a picture: the camera is away
FRESH_S = 1.0
FUTURE_NS = 5_000_000  # a picture that has not arrived yet is a lie
SPARE_AFTER_S = 1.0  # a spare is begun once its elder is at work: two do not load at once
FAILURES, WAIT_S = 3, 0.2  # lives in a row without one picture; then, and meanwhile
SHOW_S = 2.0
SOURCES = ("v4l2:", "file:", "http://", "https://", "rtsp://", "rtsps://", "udp://", "video+http://", "video+https://")
FORMATS = ("QRCode", "EAN13", "Code39", "Code128", "Codabar")

log = logging.getLogger(__name__)


class Settings(Value, frozen=True):
    """`[[lanes.NAME.readers]]` with `driver = "camera"`."""

    source: str  # v4l2:/dev/v4l/by-path/…, http://… (MJPEG), rtsp://…, file:…
    mode: Literal["gate", "kiosk"] = "gate"  # gate: two codes in one picture are refused; kiosk: both are used
    formats: tuple[str, ...] = ("QRCode",)  # what this lane accepts: each more costs time, and lets more be misread
    medium: Medium = Medium.CODE
    width: int = 1280  # what a v4l2 camera is asked for
    height: int = 720
    rate: int = 30
    exposure_ms: float | None = None  # of a v4l2 camera; None: its own. Short is better than any software
    check_hz: float = 10.0  # how often a second to ask, while nothing moves, whether something does; 0: every picture
    budget_ms: int = 200  # a look that takes longer is counted as slow
    hang_ms: int = 500  # silence after which the process that sees is killed; a kiosk's long looks want more
    memory_mib: int = 256  # what it may take beyond what it began with
    leaves_ms: int = 800  # a code not seen for so long has left
    stale_ms: int = 400  # what waited longer for the lane is dropped: its order would come too late
    spare: bool = True  # a second process stands by, so that the first is replaced at once; costs its memory

    def __post_init__(self) -> None:
        if not self.source.startswith(SOURCES):
            raise ValueError(f"source {self.source!r} begins with none of {', '.join(SOURCES)}")
        unknown = set(self.formats) - set(FORMATS)
        if unknown or not self.formats:
            raise ValueError(f"formats {sorted(unknown)}: write one or more of {', '.join(FORMATS)}")
        if self.hang_ms < 200:
            raise ValueError("hang_ms under 200 ends processes that are well")


def open(settings: Settings, clock: Clock) -> "CameraReader":
    """A reader; the camera is opened when payloads are asked for."""
    return CameraReader(settings, clock)


class CameraReader:
    """The CodeReader port, and what a watching reader can do besides."""

    def __init__(self, settings: Settings, clock: Clock, command: Sequence[str] = COMMAND) -> None:
        self.medium = settings.medium
        self.on_alive: Callable[[], None] = lambda: None
        self.on_look: Callable[[bool | None, float], None] = lambda read, score: None
        self.lost_payloads = 0
        self.endings: Counter[Ending] = Counter()
        self.beat = Beat(at_ns=0)
        self._settings = settings
        self._clock = clock
        self._command = command
        self._took_ms: deque[float] = deque(maxlen=256)
        self._watch: _Watch | None = None

    async def payloads(self) -> AsyncIterator[tuple[bytes | Reason, Reading]]:
        """See the port."""
        self._watch = watch = _Watch(self, self._settings, self._clock, self._command)
        try:
            while True:
                yield await watch.next()
        finally:
            self._watch = None
            await watch.close()

    def again(self) -> None:
        """See the port."""
        if self._watch is not None:
            self._watch.presence.again()

    async def picture(self) -> Picture:
        """What the camera sees now, as a small JPEG, for whoever aims it. Raises DeviceError."""
        if self._watch is None:
            raise DeviceError(f"{self._settings.medium} camera: not at work", hint="look again in a moment")
        return await self._watch.picture()

    def status(self) -> dict[str, Any]:
        """See the port: how old the newest picture is, how long a payload takes, what has failed."""
        beat, took = self.beat, sorted(self._took_ms)
        age_ms = (self._clock.monotonic_s() * 1e9 - beat.arrived_ns) / 1e6 if beat.arrived_ns else None
        return {
            "picture_age_ms": None if age_ms is None else round(age_ms),
            "pictures": beat.pictures,
            "looked": beat.looked,
            "read": beat.read,
            "slow": beat.slow,
            "bad": beat.bad,
            "opened": beat.opened,
            "trouble": beat.trouble,
            "confined": beat.confined,
            "latency_ms": {part: round(took[int(len(took) * share)], 1) for part, share in _PARTS if took},
            "restarts": {ending.value: count for ending, count in self.endings.items()},
            "lost": self.lost_payloads,
        }

    def took(self, ms: float) -> None:
        """From a picture's arrival to its payload here."""
        self._took_ms.append(ms)


_PARTS = (("p50", 0.5), ("p99", 0.99))


class _Watch:
    """One life of the reader: processes come and go in it."""

    def __init__(self, reader: CameraReader, settings: Settings, clock: Clock, command: Sequence[str]) -> None:
        self.presence = Presence(several=settings.mode == "kiosk", leaves_s=settings.leaves_ms / 1000)
        self._reader, self._settings, self._clock, self._command = reader, settings, clock, command
        self._queue: deque[tuple[bytes | Reason, Reading]] = deque()
        self._news = asyncio.Event()
        self._error: DeviceError | None = None
        self._eye: Eye | None = None
        self._spare: Eye | None = None
        self._shown: asyncio.Future[Picture] | None = None
        self._fresh_s = clock.monotonic_s()  # when there was last a picture
        self._task = asyncio.create_task(self._keep())
        self._task.add_done_callback(lambda task: self._news.set())

    async def next(self) -> tuple[bytes | Reason, Reading]:
        """The next presentation that is still fresh. Raises DeviceError."""
        while True:
            if self._task.done() and not self._task.cancelled():
                self._task.result()  # ours: it leaves
            if self._error is not None:
                raise self._error
            while self._queue:
                held_out, at = self._queue.popleft()
                if self._clock.monotonic_s() * 1e9 - at.monotonic_ns <= self._settings.stale_ms * 1e6:
                    return held_out, at
                self._reader.lost_payloads += 1
                self.presence.again()  # the person is still there, and is read again
            self._news.clear()
            await self._news.wait()

    async def picture(self) -> Picture:
        """The next picture for aiming."""
        if self._eye is None:
            raise DeviceError("the camera is not looking just now", hint="look again in a moment")
        if self._shown is None or self._shown.done():
            self._shown = asyncio.get_running_loop().create_future()
            self._eye.show()
        try:
            async with asyncio.timeout(SHOW_S):
                return await asyncio.shield(self._shown)
        except TimeoutError as error:
            raise DeviceError("no picture came", hint=self._reader.beat.hint or "is the camera there?") from error

    async def close(self) -> None:
        """End every process."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for eye in (self._eye, self._spare):
            if eye is not None:
                await eye.end()

    # ----------------------------------------------------------------------- processes

    async def _keep(self) -> None:
        """One process sees, another stands by; a new one begins whenever the first has ended."""
        in_vain = 0
        while True:
            pictures = self._reader.beat.pictures
            self._eye = eye = await self._next_eye()
            spare = asyncio.create_task(self._stand_by())
            eye.order(self._order())
            try:
                ending = await eye.listen(self._hear, self._settings.hang_ms / 1000)
            finally:
                spare.cancel()
                await asyncio.gather(spare, return_exceptions=True)
            self._eye = None
            if self._queue:
                self._queue.clear()
                self.presence.again()
            self._ended(eye, ending)
            self._judge()
            in_vain = in_vain + 1 if self._reader.beat.pictures in (0, pictures) else 0
            if in_vain >= FAILURES:
                self._fail("what sees cannot go on", eye.failure.hint if eye.failure else "read the log; run doctor")
            if in_vain:
                await asyncio.sleep(WAIT_S)

    async def _next_eye(self) -> Eye:
        spare, self._spare = self._spare, None
        if spare is not None and spare.lives:
            return spare
        return await Eye.begin(self._command)

    async def _stand_by(self) -> None:
        """Begin a spare, once the one at work has a picture."""
        while self._settings.spare and self._spare is None:
            await asyncio.sleep(SPARE_AFTER_S)
            if self._is_fresh():
                self._spare = await Eye.begin(self._command)

    def _ended(self, eye: Eye, ending: Ending) -> None:
        self._reader.endings[ending] += 1
        what = eye.failure.what if eye.failure is not None else ""
        extra = {"source": self._settings.source.rpartition("@")[2], "why": ending.value, "what": what}
        log.warning("camera process ended", extra=extra)

    def _order(self) -> Order:
        settings = self._settings
        return Order(
            source=settings.source,
            formats=settings.formats,
            mode=settings.mode,
            width=settings.width,
            height=settings.height,
            rate=settings.rate,
            exposure_ms=settings.exposure_ms,
            check_hz=settings.check_hz,
            budget_ms=settings.budget_ms,
            memory_mib=settings.memory_mib,
        )

    # ----------------------------------------------------------------------- what it says

    def _hear(self, message: Message) -> None:
        if isinstance(message, Look):
            self._look(message)
        elif isinstance(message, Beat):
            self._reader.beat = message
            if self._is_fresh():
                self._fresh_s = self._clock.monotonic_s()
                self._reader.on_alive()
            self._judge()
        elif isinstance(message, Picture) and self._shown is not None and not self._shown.done():
            self._shown.set_result(message)

    def _look(self, look: Look) -> None:
        """What one picture held. Its moment is believed only where it can be true."""
        now = self._clock.read()
        age_ns = now.monotonic_ns - look.arrived_ns
        if age_ns < -FUTURE_NS or age_ns > self._settings.stale_ms * 1_000_000:
            self._reader.lost_payloads += len(look.symbols)
            return
        score = max((one.score for one in look.symbols), default=0.0)
        self._reader.on_look(bool(look.symbols), score)
        if look.symbols:
            self._reader.took(age_ns / 1e6)
        presented = self.presence.look([one.payload for one in look.symbols], look.arrived_ns)
        if not presented:
            return
        at = Reading(
            utc_ms=now.utc_ms - age_ns // 1_000_000,
            monotonic_ns=look.arrived_ns,
            uncertainty_ms=now.uncertainty_ms,
        )
        for held_out in presented:
            self._queue.append((held_out, at))
        while len(self._queue) > QUEUE:
            self._queue.popleft()
            self._reader.lost_payloads += 1
        self._news.set()

    def _is_fresh(self) -> bool:
        arrived_ns = self._reader.beat.arrived_ns
        return arrived_ns > 0 and self._clock.monotonic_s() * 1e9 - arrived_ns < FRESH_S * 1e9

    def _judge(self) -> None:
        """No picture for too long: the camera is away, or what sees never came to see."""
        beat = self._reader.beat
        if self._clock.monotonic_s() - self._fresh_s > GONE_S:
            self._fail(beat.trouble or "no picture", beat.hint or "look at the camera's plug and power")

    def _fail(self, what: str, hint: str) -> None:
        self._error = DeviceError(f"{self._settings.source.rpartition('@')[2]}: {what}", hint=hint)
        self._queue.clear()
        self._news.set()
