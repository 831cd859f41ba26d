"""A serial scan module: the window people hold their phone to.

Laws of this file:
- The reading is taken when the last byte of a payload arrived: it is the only clock reading of that tap.
- A lost line raises DeviceError at once; who supervises asks again. Whatever was queued is gone with the line.
- Nothing old is handed on: not from before the line opened, not from while the process stood still, not what waited
  longer than `stale_ms`. The person is still there and is read again.
- The queue is bounded: a module that shouts loses its oldest payloads, never the lane. Losses are counted and told,
  at most once a second.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Literal

from drivers.link import open_link
from drivers.scan.framing import FRAMINGS, Framing
from terminal.core.model import Medium, Reading, Value
from terminal.ports import ByteLink, Clock, CodeReader, DeviceError

QUEUE = 16
BEAT_S = 0.25  # the loop's own pulse; STOOD_STILL_S without one means that the process was stopped
STOOD_STILL_S = 2.0
DEAF_S = 0.1  # after such a pause: what the kernel kept meanwhile is of nobody knows when
TELL_EVERY_S = 1.0

log = logging.getLogger(__name__)


class Settings(Value, frozen=True):
    """`[[lanes.NAME.readers]]` with `driver = "scan.serial"`."""

    link: str  # serial:/dev/ttyS1?baud=115200, or tcp:host:port
    framing: str = "length16"  # length16, lines, hex, base64, gap
    gap_ms: int | None = None  # a silence this long ends a payload, or a broken frame; None: what suits the framing
    longest: int | None = None  # bytes; more is noise
    start: str = ""  # length16 only: the module's start mark, hexadecimal, such as "55aa"
    checksum: Literal["none", "xor", "sum", "crc16"] = "none"  # length16 only
    medium: Medium = Medium.CODE
    stale_ms: int = 400  # what waited longer for the lane is dropped: its order would come too late

    def __post_init__(self) -> None:
        framing_of(self)


def open(settings: Settings, clock: Clock) -> CodeReader:
    """A reader; the line is opened when payloads are asked for."""
    return ScanModule(settings, clock)


def framing_of(settings: Settings) -> Framing:
    """The framing that settings describe. Raises ValueError when they do not fit together."""
    if settings.framing not in FRAMINGS:
        raise ValueError(f"framing {settings.framing!r} is none of {', '.join(FRAMINGS)}")
    options: dict[str, Any] = {}
    if settings.gap_ms is not None:
        options["gap_s"] = settings.gap_ms / 1000
    if settings.longest is not None:
        options["longest"] = settings.longest
    if settings.framing == "length16":
        options |= {"start": bytes.fromhex(settings.start), "checksum": settings.checksum}
    elif settings.start or settings.checksum != "none":
        raise ValueError('start and checksum belong to framing = "length16" only')
    return FRAMINGS[settings.framing](**options)


class ScanModule:
    """The CodeReader port over one line."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.medium = settings.medium
        self.lost_payloads = 0
        self.noise_bytes = 0
        self._settings = settings
        self._clock = clock

    async def payloads(self) -> AsyncIterator[tuple[bytes, Reading]]:
        """See the port."""
        line = _Line(self._settings, self._clock, await open_link(self._settings.link))
        try:
            while True:
                yield await line.next()
        finally:
            line.close()
            self.lost_payloads += line.lost_payloads
            self.noise_bytes += line.framing.dropped


class _Line:
    """One life of the line, from opening to loss."""

    def __init__(self, settings: Settings, clock: Clock, link: ByteLink) -> None:
        self.framing = framing_of(settings)
        self.lost_payloads = 0
        self._clock = clock
        self._where = settings.link
        self._stale_ns = settings.stale_ms * 1_000_000
        self._queue: deque[tuple[bytes, Reading]] = deque()
        self._news = asyncio.Event()
        self._error: DeviceError | None = None
        self._last_byte: tuple[Reading, float] | None = None
        self._silence_timer: asyncio.TimerHandle | None = None
        self._deaf_until_s = 0.0
        self._told_s, self._told = 0.0, (0, 0)
        self._beat_s = clock.monotonic_s()
        self._beat_timer = asyncio.get_running_loop().call_later(BEAT_S, self._beat)
        self._link = link
        link.on_bytes(self._receive, self._lost)

    async def next(self) -> tuple[bytes, Reading]:
        """The next payload that is still fresh. Raises DeviceError once the line is lost."""
        while True:
            if self._error is not None:
                raise self._error
            while self._queue:
                payload, at = self._queue.popleft()
                if self._clock.monotonic_s() * 1e9 - at.monotonic_ns <= self._stale_ns:
                    return payload, at
                self.lost_payloads += 1
            self._news.clear()
            await self._news.wait()

    def close(self) -> None:
        """Let go of the line and its timers."""
        self._beat_timer.cancel()
        if self._silence_timer is not None:
            self._silence_timer.cancel()
        self._link.close()

    # ----------------------------------------------------------------------- called by the loop

    def _receive(self, data: bytes) -> None:
        at, now_s = self._clock.read(), self._clock.monotonic_s()
        self._notice_standstill(now_s)
        if now_s < self._deaf_until_s:
            return
        payloads = self.framing.feed(data, now_s)
        self._last_byte = at, now_s
        self._deliver(payloads, at)

    def _silence(self) -> None:
        self._silence_timer = None
        if self._last_byte is not None:
            self._deliver(self.framing.silence(self._clock.monotonic_s()), self._last_byte[0])

    def _deliver(self, payloads: list[bytes], at: Reading) -> None:
        for payload in payloads:
            self._queue.append((payload, at))
        while len(self._queue) > QUEUE:
            self._queue.popleft()
            self.lost_payloads += 1
        if payloads:
            self._news.set()
        if self._last_byte is not None and self.framing.pending() and self._silence_timer is None:
            due_s = self._last_byte[1] + self.framing.gap_s
            self._silence_timer = asyncio.get_running_loop().call_at(due_s, self._silence)

    def _lost(self, error: Exception | None) -> None:
        what = f"{self._where}: the line is gone" + (f" ({error})" if error else "")
        self._error = DeviceError(what, hint="look at the scan module's plug and power")
        self._queue.clear()
        self._news.set()

    def _beat(self) -> None:
        self._notice_standstill(self._clock.monotonic_s())
        self._beat_timer = asyncio.get_running_loop().call_later(BEAT_S, self._beat)
        losses = (self.lost_payloads, self.framing.dropped)
        if losses != self._told and self._beat_s - self._told_s >= TELL_EVERY_S:
            self._told_s, self._told = self._beat_s, losses
            log.warning("scan noise", extra={"link": self._where, "payloads": losses[0], "bytes": losses[1]})

    def _notice_standstill(self, now_s: float) -> None:
        if now_s - self._beat_s > STOOD_STILL_S:
            self._deaf_until_s = now_s + DEAF_S
            self.lost_payloads += len(self._queue)
            self._queue.clear()
            self.framing.reset()
        self._beat_s = now_s
