"""Where along its line a vehicle stands: from positions to stops.

Laws of this file:
- The present stop is the one last reached: between two stops a rider still gets off at the one behind.
- A vehicle runs one way: a stop ahead is believed before a stop behind, for lines that meet themselves.
- No position, or one that is nowhere near a stop, changes nothing.
"""

import math
from collections.abc import Sequence

from terminal.core.base import Value
from terminal.core.tariff import Line, Stop

EARTH_M = 6_371_008.8
DOWN = "down"  # against the order of the line's stops; anything else is along it


class Fix(Value, frozen=True):
    """One position, WGS 84."""

    lat_e6: int  # micro-degrees
    lon_e6: int
    monotonic_ns: int  # when it was read


def stops_of(line: Line, direction: str) -> Sequence[Stop]:
    """A line's stops in the order they are reached."""
    return tuple(reversed(line.stops)) if direction == DOWN else line.stops


def stop_at(line: Line, direction: str, fix: Fix, present: str, radius_m: int) -> str:
    """The stop that is reached with this position; the present one where it reaches none."""
    stops = stops_of(line, direction)
    near = [number for number, stop in enumerate(stops) if _near(stop, fix, radius_m)]
    if not near:
        return present
    here = next((number for number, stop in enumerate(stops) if stop.id == present), 0)
    ahead = [number for number in near if number >= here]
    return stops[ahead[0] if ahead else near[-1]].id


def neighbour(line: Line, direction: str, present: str, steps: int) -> str | None:
    """The stop so many further on, or behind; None beyond either end, or where the present one is not known."""
    names = [stop.id for stop in stops_of(line, direction)]
    if present not in names:
        return names[0] if names and steps > 0 else None
    number = names.index(present) + steps
    return names[number] if 0 <= number < len(names) else None


def metres_between(lat_e6: int, lon_e6: int, other_lat_e6: int, other_lon_e6: int) -> float:
    """The way between two places on the ground; good to a metre within a city."""
    middle = math.radians((lat_e6 + other_lat_e6) / 2e6)
    east = math.radians((other_lon_e6 - lon_e6) / 1e6) * math.cos(middle)
    north = math.radians((other_lat_e6 - lat_e6) / 1e6)
    return math.hypot(east, north) * EARTH_M


def _near(stop: Stop, fix: Fix, radius_m: int) -> bool:
    if stop.lat_e6 is None or stop.lon_e6 is None:
        return False
    return metres_between(stop.lat_e6, stop.lon_e6, fix.lat_e6, fix.lon_e6) <= radius_m
