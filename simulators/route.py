"""A vehicle on its line: where it is at any second; and the GNSS receiver at the far end of a serial line.

Laws of this file:
- It stands at each stop for a while and drives straight to the next; at the end of the line it turns round.
- The receiver says RMC and GGA once a second, as its makers do; trouble (no fix, garbled lines) comes from one seeded
  Random.
- Sentences are written from the NMEA 0183 field list, not from the driver.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from simulators.wire import Wire
from terminal.core.model import Value
from terminal.core.route import Fix
from terminal.ports import Clock

Place = tuple[int, int]  # lat_e6, lon_e6


@dataclass
class Route:
    """A line of places, driven up and down."""

    places: Sequence[Place]
    stand_s: float = 20.0
    drive_s: float = 60.0  # between two stops

    def at(self, seconds: float) -> Place:
        """Where the vehicle is so long after it began at the first place."""
        leg_s, legs = self.stand_s + self.drive_s, len(self.places) - 1
        leg, within = divmod(seconds, leg_s)
        turn, number = divmod(int(leg), legs) if legs else (0, 0)
        order = self.places if turn % 2 == 0 else list(reversed(self.places))
        if within <= self.stand_s or not legs:
            return order[number]
        part = (within - self.stand_s) / self.drive_s
        (lat, lon), (to_lat, to_lon) = order[number], order[number + 1]
        return round(lat + (to_lat - lat) * part), round(lon + (to_lon - lon) * part)


class Settings(Value, frozen=True):
    """`[vehicle.position]` with `driver = "sim.route"`: [lat, lon] of each stop, in micro-degrees."""

    places: tuple[Place, ...]
    stand_s: float = 20.0
    drive_s: float = 60.0
    every_s: float = 1.0


class SimulatedPositions:
    """The Positions port over a route: no wire, so a jumping loop may run it."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.route = Route(settings.places, settings.stand_s, settings.drive_s)
        self._settings = settings
        self._clock = clock
        self._began_s: float | None = None

    async def fixes(self) -> AsyncIterator[Fix]:
        """See the port."""
        if self._began_s is None:
            self._began_s = self._clock.monotonic_s()
        while True:
            lat, lon = self.route.at(self._clock.monotonic_s() - self._began_s)
            yield Fix(lat_e6=lat, lon_e6=lon, monotonic_ns=self._clock.read().monotonic_ns)
            await asyncio.sleep(self._settings.every_s)


def open(settings: Settings, clock: Clock) -> SimulatedPositions:
    """A vehicle at its first stop."""
    return SimulatedPositions(settings, clock)


class Receiver:
    """A GNSS receiver at the far end of a serial line."""

    def __init__(self, path: Path, *, baud: int = 9600, random: Random | None = None, garbled: int = 0) -> None:
        self.wire = Wire(path, baud)
        self._random = random or Random(0)
        self._garbled = garbled  # of a thousand sentences

    async def say(self, place: Place | None) -> None:
        """One second's sentences; None: no fix."""
        for body in (_rmc(place), _gga(place)):
            line = bytearray(_sentence(body))
            if self._random.randrange(1000) < self._garbled:
                line[self._random.randrange(1, len(line) - 2)] ^= 0x11
            await self.wire.send(bytes(line))


def _rmc(place: Place | None) -> str:
    where = ",,," if place is None else _where(place)
    return f"GNRMC,080000.00,{'V' if place is None else 'A'},{where},0.0,0.0,020326,,,A"


def _gga(place: Place | None) -> str:
    where = ",,," if place is None else _where(place)
    return f"GNGGA,080000.00,{where},{'0' if place is None else '1'},09,0.9,44.0,M,0.0,M,,"


def _where(place: Place) -> str:
    lat, lon = place
    return f"{_minutes(abs(lat), 2)},{'N' if lat >= 0 else 'S'},{_minutes(abs(lon), 3)},{'E' if lon >= 0 else 'W'}"


def _minutes(micro_degrees: int, digits: int) -> str:
    whole, rest = divmod(micro_degrees, 1_000_000)
    return f"{whole:0{digits}d}{rest * 60 / 1e6:08.5f}"


def _sentence(body: str) -> bytes:
    total = 0
    for character in body:
        total ^= ord(character)
    return f"${body}*{total:02X}\r\n".encode()
