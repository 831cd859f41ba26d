"""The road under a vehicle: where it is at any minute of the day, up the line and down again.

Laws of this file:
- A receiver tells a place when the vehicle reaches it, and where it stands when it is asked anew; nothing in between.
- Whether the terminal hears it is the receiver's trouble: without one the stop stays what it was.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence

from terminal.core.route import Fix
from terminal.ports import Clock, DeviceError

LEG_S = 240.0  # from one stop to the next


class Road:
    """The Positions port of a vehicle that drives up and down its line."""

    def __init__(self, places: Sequence[tuple[int, int]], clock: Clock) -> None:
        self.plugged = True
        self._places = [*places, *places[-2:0:-1]]  # there and back
        self._clock = clock

    def leg(self) -> int:
        """How many stops were reached since the morning."""
        return int(self._clock.monotonic_s() / LEG_S)

    def turns(self) -> bool:
        """Whether it stands at an end of the line."""
        return self.leg() % (len(self._places) // 2) == 0

    async def fixes(self) -> AsyncIterator[Fix]:
        """See the port."""
        while True:
            if not self.plugged:
                raise DeviceError("the receiver is gone", hint="look at its plug")
            lat, lon = self._places[self.leg() % len(self._places)]
            yield Fix(lat_e6=lat, lon_e6=lon, monotonic_ns=self._clock.read().monotonic_ns)
            await asyncio.sleep((self.leg() + 1) * LEG_S - self._clock.monotonic_s() + 0.001)
