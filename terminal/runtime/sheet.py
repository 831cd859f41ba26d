"""What a panel shows of a running terminal: who drives, where, what may be chosen, and the last tap.

Laws of this file:
- It only reads. What a person does goes through `commands`.
- The class of who tapped stands here, before the driver, and nowhere a rider sees or hears it.
"""

from collections.abc import Sequence

from terminal.core.model import Value
from terminal.core.parameters import Tariff
from terminal.core.tariff import Measure
from terminal.runtime.lane import Lane
from terminal.runtime.site import Latest, Site
from terminal.runtime.vehicle import Vehicle


class Sheet(Value, frozen=True):
    """Everything on a panel; names are the tariff's and the configuration's own."""

    who: str  # who is signed on; "": nobody
    vehicle: str
    line: str
    direction: str
    stop: str
    key: str  # the fare chosen; "": none
    lines: tuple[str, ...]  # what may be signed on to; none: a place where nobody drives
    stops: tuple[str, ...]  # of this line, in its order
    keys: tuple[str, ...]
    lanes: tuple[str, ...]
    activates: bool  # some pass is good only once its holder was looked at
    emergency: bool
    question: str  # what the next card or code is asked, "": nothing
    last: Latest | None


def sheet(site: Site, vehicle: Vehicle, lanes: Sequence[Lane]) -> Sheet:
    """The panel's sheet, now."""
    where, tariff, shift = site.where, site.parameters.tariff, vehicle.shift
    line = tariff.lines.get(where.line)
    return Sheet(
        who="" if shift is None else shift.who,
        vehicle=where.vehicle,
        line=where.line,
        direction=where.direction,
        stop=where.stop,
        key=where.key,
        lines=tuple(tariff.lines) if where.vehicle else (),
        stops=() if line is None else tuple(stop.id for stop in line.stops),
        keys=keys_of(tariff),
        lanes=tuple(lane.rules.name for lane in lanes),
        activates=any(product.activation for product in tariff.products),
        emergency=site.emergency,
        question=site.question,
        last=site.latest,
    )


def keys_of(tariff: Tariff) -> tuple[str, ...]:
    """The fares a driver may choose by key."""
    return tuple(sorted({key for one in tariff.fares.values() if one.measure is Measure.KEY for key in one.keys}))
