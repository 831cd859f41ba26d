"""A GNSS receiver on a serial line, speaking NMEA 0183.

Laws of this file:
- Only the newest position is kept: a bus does not want to know where it was.
- A lost line raises DeviceError at once; who supervises asks again. Without a fix there is silence, not an error: in a
  tunnel the last stop stays.
"""

import asyncio
from collections.abc import AsyncIterator

from drivers.link import open_link
from drivers.position.sentences import Sentences
from terminal.core.model import Value
from terminal.core.route import Fix
from terminal.ports import Clock, DeviceError, Positions


class Settings(Value, frozen=True):
    """`[vehicle.position]` with `driver = "position.nmea"`."""

    link: str  # serial:/dev/serial/by-id/…?baud=9600, or tcp:host:port


def open(settings: Settings, clock: Clock) -> Positions:
    """A receiver; the line is opened when positions are asked for."""
    return NmeaReceiver(settings, clock)


class NmeaReceiver:
    """The Positions port over one line."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock

    async def fixes(self) -> AsyncIterator[Fix]:
        """See the port."""
        link, sentences, news = await open_link(self._settings.link), Sentences(), asyncio.Event()
        newest: list[Fix] = []
        failure: list[DeviceError] = []

        def receive(data: bytes) -> None:
            for lat_e6, lon_e6 in sentences.feed(data):
                newest[:] = [Fix(lat_e6=lat_e6, lon_e6=lon_e6, monotonic_ns=self._clock.read().monotonic_ns)]
                news.set()

        def lost(error: Exception | None) -> None:
            what = f"{self._settings.link}: the line is gone" + (f" ({error})" if error else "")
            failure.append(DeviceError(what, hint="look at the receiver's plug and power"))
            news.set()

        link.on_bytes(receive, lost)
        try:
            while True:
                await news.wait()
                news.clear()
                if failure:
                    raise failure[0]
                yield newest[-1]
        finally:
            link.close()
