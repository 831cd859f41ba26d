"""A ride's full price: a table, and how far it went.

Laws of this file:
- What is not known is None, never a guess: who calls decides what a missing truth costs.
- A distance has no direction.
"""

from collections.abc import Mapping

from terminal.core.ledger import Where
from terminal.core.tariff import FareTable, Line, Measure, Stop


def full_price(table: FareTable, lines: Mapping[str, Line], boarded: Where, alighted: Where | None) -> int | None:
    """Fen before any discount, or None where a stop, a key or a line is not known."""
    if table.measure is Measure.NONE:
        return table.fare_fen
    if table.measure is Measure.KEY:
        return table.keys.get(boarded.key)
    if alighted is None or alighted.line != boarded.line:
        return None
    length = distance(table.measure, lines.get(boarded.line), boarded.stop, alighted.stop)
    return None if length is None else price_of(table, length)


def farthest_price(table: FareTable, lines: Mapping[str, Line], where: Where) -> int | None:
    """Fen from a stop to the farther end of its line, without any discount."""
    line = lines.get(where.line)
    if line is None or not line.stops:
        return None
    ends = (line.stops[0].id, line.stops[-1].id)
    lengths = [distance(table.measure, line, where.stop, end) for end in ends]
    known = [length for length in lengths if length is not None]
    return price_of(table, max(known)) if known else None


def distance(measure: Measure, line: Line | None, one: str, other: str) -> int | None:
    """Metres or stages between two stops, or None."""
    if line is None:
        return None
    apart = line.apart_m.get(f"{one}>{other}", line.apart_m.get(f"{other}>{one}"))
    if apart is not None and measure is Measure.METRES:
        return apart
    here, there = stop_of(line, one), stop_of(line, other)
    if here is None or there is None:
        return None
    return abs(there.stage - here.stage) if measure is Measure.STAGES else abs(there.at_m - here.at_m)


def stop_of(line: Line | None, stop: str) -> Stop | None:
    """The stop of this name."""
    return None if line is None else next((one for one in line.stops if one.id == stop), None)


def price_of(table: FareTable, length: int) -> int:
    """Fen for so many metres or stages."""
    fare = next((band.fare_fen for band in table.bands if length <= band.up_to), None)
    if fare is None:
        last = table.bands[-1]
        fare = last.fare_fen
        if table.beyond is not None:
            begun = -(-(length - last.up_to) // table.beyond.every)  # a piece begun counts whole
            fare += begun * table.beyond.add_fen
    return fare if table.most_fen is None else min(fare, table.most_fen)
