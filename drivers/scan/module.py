"""A serial scan module: the window people hold their phone to.

Laws of this file:
- The reading is taken when the last byte of a payload arrived: it is the only clock reading of that tap.
- A lost line raises DeviceError; who supervises asks again, and whatever was queued before is gone with the line.
- The queue is bounded: a module that shouts loses its oldest payloads, never the lane.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from drivers.link import open_link
from drivers.scan.framing import FRAMINGS, GAP_S
from terminal.core.model import Medium, Reading, Value
from terminal.ports import Clock, CodeReader, DeviceError

QUEUE = 16


class Settings(Value, frozen=True):
    """`[[lanes.NAME.readers]]` with `driver = "scan.serial"`."""

    link: str  # serial:/dev/ttyS1?baud=115200, or tcp:host:port
    framing: str = "length16"  # length16, lines, hex, base64, gap
    gap_ms: int = int(GAP_S * 1000)  # a pause this long ends a payload, or a broken frame


def open(settings: Settings, clock: Clock) -> CodeReader:
    """A reader; the line is opened when payloads are asked for. Raises DeviceError for an unknown framing."""
    if settings.framing not in FRAMINGS:
        raise DeviceError(f"framing {settings.framing!r}", hint=f"write one of {', '.join(FRAMINGS)}")
    return ScanModule(settings, clock)


class ScanModule:
    """The CodeReader port over one line."""

    medium = Medium.CODE

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self.lost_payloads = 0

    async def payloads(self) -> AsyncIterator[tuple[bytes, Reading]]:
        """See the port."""
        line = _Line(self._settings, self._clock)
        try:
            while True:
                yield await line.next()
        finally:
            self.lost_payloads += line.lost_payloads
            line.close()


class _Line:
    """One life of the line, from opening to loss."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._clock = clock
        self._where = settings.link
        self._framing = FRAMINGS[settings.framing](settings.gap_ms / 1000)
        self._gap_s = settings.gap_ms / 1000
        self._queue: deque[tuple[bytes, Reading]] = deque(maxlen=QUEUE)
        self._waiter: asyncio.Future[None] | None = None
        self._error: DeviceError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.lost_payloads = 0
        self._link = open_link(settings.link)
        self._link.on_bytes(self._receive, self._lost)

    async def next(self) -> tuple[bytes, Reading]:
        """The next payload. Raises DeviceError once the line is lost."""
        while not self._queue:
            if self._error is not None:
                raise self._error
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._queue.popleft()

    def close(self) -> None:
        """Let go of the line and its timer."""
        if self._timer is not None:
            self._timer.cancel()
        self._link.close()

    def _receive(self, data: bytes) -> None:
        self._deliver(self._framing.feed(data, self._clock.monotonic_s()))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._framing.pending():
            self._timer = asyncio.get_running_loop().call_later(self._gap_s, self._silence)

    def _silence(self) -> None:
        self._timer = None
        self._deliver(self._framing.silence(self._clock.monotonic_s() + 0.001))

    def _deliver(self, payloads: list[bytes]) -> None:
        if not payloads:
            return
        at = self._clock.read()
        for payload in payloads:
            self.lost_payloads += len(self._queue) == QUEUE
            self._queue.append((payload, at))
        self._wake()

    def _lost(self, error: Exception | None) -> None:
        what = f"{self._where}: the line is gone" + (f" ({error})" if error else "")
        self._error = DeviceError(what, hint="look at the scan module's plug and power")
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
