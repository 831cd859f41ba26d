"""Stops as transit cards name them: eight hexadecimal digits, line and station.

Laws of this file:
- A card's trip is priced by the tariff's own tables and lines: full price, no discount, for a purse is known by what it
  carries alone.
- A name no line has, or two that share no line, have no price here: who calls decides what that costs.
"""

from collections.abc import Mapping

import msgspec

from terminal.core.card import CardPlace
from terminal.core.fares import table
from terminal.core.ledger import Where
from terminal.core.tariff import FareTable, Line, Stop


def price(fares: FareTable | None, lines: Mapping[str, Line], one: str, other: str) -> int | None:
    """Fen from one station to another, both as cards name them, or None."""
    if fares is None:
        return None
    for name, line in lines.items():
        here, there = _stop(line, one), _stop(line, other)
        if here is not None and there is not None:
            return table.full_price(fares, lines, Where(line=name, stop=here.id), Where(line=name, stop=there.id))
    return None


def here(own: CardPlace, where: Where, lines: Mapping[str, Line]) -> CardPlace:
    """Where a card is held out: at the vehicle's stop, where that one has a name for cards, else at the lane's own."""
    stop = table.stop_of(lines.get(where.line), where.stop)
    if stop is None or not stop.code:
        return own
    return msgspec.structs.replace(own, line=stop.code[:4], station=stop.code[4:])


def _stop(line: Line, code: str) -> Stop | None:
    return next((stop for stop in line.stops if stop.code == code), None)
