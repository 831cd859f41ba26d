"""A purse's trips, counted again from what the card itself kept; and one account behind many media.

Laws of this file:
- The card is the witness: each debit as it came to be on it, with the trip it wrote, here or on another vehicle.
- A trip that was begun here, not long ago, costs what the tariff's own table says between its two stations, read by
  head office's code (simulators/tariff_file.py); any other costs the operator's maximum, or nothing where everybody
  was let out of here meanwhile.
- Who belongs together is what the issuers linked, not what the terminal made of it.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from simulators.tariff_file import Prices
from terminal.core.entries import EmergencyOrdered, GateReported
from terminal.core.model import GateSignal, Ref
from tests.days.record import Committed, Debited, GotOff, Recorded
from tests.money import plain

if TYPE_CHECKING:
    from tests.checkers import Day

BEGUN, ENDED = 0x03, 0x04
BEIJING = timezone(timedelta(hours=8))
EMERGENCY = (GateSignal.EMERGENCY_ON, GateSignal.EMERGENCY_OFF)
AHEAD_S, MOMENT_S = 300, 2


class Kept(NamedTuple):
    """One record of EF1E."""

    kind: int
    terminal: bytes  # 6 bytes
    station: str  # line and station, eight hexadecimal digits
    at_s: float  # Unix


def kept(record: bytes) -> Kept:
    """What 48 bytes say."""
    at = datetime.strptime(record[25:32].hex(), "%Y%m%d%H%M%S").replace(tzinfo=BEIJING)
    return Kept(record[0], record[3:9], record[10:14].hex(), at.timestamp())


def purses_pay_what_the_tariff_says(day: "Day") -> Iterator[str]:
    """Boarding is free, alighting costs the table's price, what nobody ended the maximum; a plain ride its fare."""
    fares = _Fares(day.recorded)
    riding = {purse: kept(trip) for purse, trip in day.recorded.riding.items()}
    for event in day.log:
        if isinstance(event, Committed) and _lets_everybody_out(event):
            fares.let_out_s = event.entry.at.utc_ms / 1000
        if not isinstance(event, Debited):
            continue
        before, after = riding.pop(event.purse, None), None if event.trip is None else kept(event.trip)
        if after is not None and after.kind == BEGUN:
            riding[event.purse] = after
        if event.terminal not in day.recorded.modules:
            continue
        who = f"purse {event.purse.hex()[:10]} at {event.at_ms}"
        if before is not None and (after is None or after.kind == BEGUN):
            yield f"{who}: rides anew while an earlier trip stands open"
        elif event.fen not in fares.due(before, after):
            yield f"{who}: {event.fen} fen taken, due {sorted(fares.due(before, after))}"


def who_is_let_off_rides_no_more(day: "Day") -> Iterator[str]:
    """An exit that opened for a purse has ended its trip: nobody pays the maximum the next day for it."""
    for event in day.log:
        if isinstance(event, GotOff) and event.rides_on:
            yield f"purse {event.purse.hex()[:10]} was let off at {event.at_ms}, and its trip stands open"


def media_of_one_account_are_one(day: "Day") -> Iterator[str]:
    """Card, phone and token a rider's issuers linked are judged as one account."""
    for one in day.decisions.values():
        linked = day.recorded.account_of.get(one.fact.medium_ref or Ref(b""))
        if linked is not None and one.fact.account_ref != linked:
            yield f"entry {one.name.sequence} knows a linked medium as somebody else's"


class _Fares:
    """What a debit may be."""

    def __init__(self, recorded: Recorded) -> None:
        self.let_out_s = 0.0
        self._recorded = recorded
        self._trips = recorded.purses.trips
        self._prices = Prices(plain(msgspec.to_builtins(recorded.tariff)))
        lines = recorded.tariff.lines.items()
        self._stops = {stop.code: (name, stop.id) for name, line in lines for stop in line.stops if stop.code}

    def due(self, before: Kept | None, after: Kept | None) -> set[int]:
        """Fen. `before`: the trip that stood open; `after`: what the debit wrote, None: nothing."""
        if after is None:
            return {product.fare_fen for product in self._recorded.purses.products if "fare" in product.services}
        if after.kind == BEGUN:
            return {0}
        if before is None or before.terminal not in self._recorded.modules:
            return {self._trips.max_fare_fen}
        if -AHEAD_S < after.at_s - before.at_s <= self._trips.longest_s:
            return {self._between(before.station, after.station)}
        free = {0} if before.at_s <= self.let_out_s + MOMENT_S else set()
        full = {self._trips.max_fare_fen} if before.at_s >= self.let_out_s - MOMENT_S else set()
        return free | full

    def _between(self, one: str, other: str) -> int:
        if one not in self._stops or other not in self._stops:
            return self._trips.max_fare_fen
        ends = [dict(zip(("line", "stop"), self._stops[end], strict=True)) for end in (one, other)]
        found = self._prices.full({"fare": self._trips.fare}, *ends)
        return self._trips.max_fare_fen if found is None else found


def _lets_everybody_out(event: Committed) -> bool:
    fact = event.entry.fact
    return isinstance(fact, EmergencyOrdered) or (isinstance(fact, GateReported) and fact.signal in EMERGENCY)


CHECKERS: tuple[Callable[["Day"], Iterator[str]], ...] = (
    purses_pay_what_the_tariff_says,
    who_is_let_off_rides_no_more,
    media_of_one_account_are_one,
)
