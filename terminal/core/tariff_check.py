"""What keeps a tariff from being taken: one sentence a fault, and where it stands.

Laws of this file:
- Everything a tap would stumble over is found here, once, when the set is loaded.
- A fault names its place in the file, so that whoever wrote it finds it.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from terminal.core.fares.calendar import minutes
from terminal.core.model import MOST_PERSONS, Reason
from terminal.core.parameters import PassBackScope, Product, Tariff
from terminal.core.tariff import Accumulation, FareTable, Hours, Line, Measure, Scope, Transfer

Fault = tuple[str, str]  # where, what
LONGEST_PERCENT = 1000
MOST_FEN = 1 << 40  # ten thousand million yuan: a slip of the pen, and what sums still fit the journal's tables
CURRENCY = re.compile("[A-Z]{3}")
OF_A_PURSE = {
    "id",
    "services",
    "fare_fen",
    "fare_type",
    "reason",
    "who",
    "scopes",
    "pass_back",
    "modes",
    "when",
    "review",
}
CODE = re.compile("[0-9a-f]{8}")  # as cards' bytes are written everywhere here


def faults(tariff: Tariff) -> Iterator[Fault]:
    """Every fault, in the order of the file."""
    yield from _zone(tariff)
    yield from _twice("products", (product.id for product in tariff.products))
    for product in tariff.products:
        yield from _product(tariff, product)
        yield from _companions(tariff, product)
        yield from _concession(tariff, product)
    named: tuple[tuple[str, Callable[[str, Any], Iterator[Fault]]], ...] = (
        ("fares", _table),
        ("lines", _line),
        ("accumulations", _accumulation),
        ("transfers", _transfer),
    )
    for part, check in named:
        for name, one in getattr(tariff, part).items():
            yield from check(f"{part}.{name}", one)
    yield from _zones(tariff)
    yield from _admission(tariff)
    yield from _calendar(tariff)
    yield from _grace(tariff)


def _zones(tariff: Tariff) -> Iterator[Fault]:
    for name, zone in tariff.zones.items():
        for hours in (*zone.open, *zone.free):
            yield from _hours(f"zones.{name}", hours)
        for other in (zone.after, zone.before):
            if other and other not in tariff.zones:
                yield f"zones.{name}", f"no zone {other!r}"
        if zone.most is not None and zone.most < 0:
            yield f"zones.{name}", "fewer than nobody"


def _admission(tariff: Tariff) -> Iterator[Fault]:
    for product in tariff.products:
        for zone_name in product.zones:
            if zone_name not in tariff.zones:
                yield f"products.{product.id}", f"no zone {zone_name!r}"
        if product.reentry and not product.pass_back.window_s and not _exits_are_tapped(tariff, product):
            yield (
                f"products.{product.id}",
                "reentry without exit_tapped in its zones, or a pass_back: it lets in anybody",
            )
        if product.quota is not None and product.quota.most < 0:
            yield f"products.{product.id}", "a quota below 0"


def _exits_are_tapped(tariff: Tariff, product: Product) -> bool:
    """Whether nobody can come in twice without having left, wherever this product is good."""
    zones = [zone for name, zone in tariff.zones.items() if name in product.zones or not product.zones]
    return bool(zones) and all(zone.exit_tapped for zone in zones)


def _calendar(tariff: Tariff) -> Iterator[Fault]:
    for day in (*tariff.calendar.holidays, *tariff.calendar.workdays):
        if not _is_date(day):
            yield "calendar", f"{day!r} is not a date, YYYY-MM-DD"


def _grace(tariff: Tariff) -> Iterator[Fault]:
    for reason in () if tariff.grace is None else tariff.grace.reasons:
        if reason not in {one.value for one in Reason}:
            yield "grace", f"{reason!r} is no reason"


def _zone(tariff: Tariff) -> Iterator[Fault]:
    try:
        ZoneInfo(tariff.time_zone)
        minutes(tariff.service_day_starts)
    except (ValueError, OSError, KeyError) as error:
        yield "time_zone or service_day_starts", str(error)
    if not CURRENCY.fullmatch(tariff.currency):
        yield "currency", f"{tariff.currency!r} is no code of ISO 4217 such as CNY"
    if tariff.round_fen < 1:
        yield "round_fen", "must be 1 or more"


def _product(tariff: Tariff, product: Product) -> Iterator[Fault]:
    where = f"products.{product.id}"
    within = 0 <= product.fare_fen <= MOST_FEN and 1 <= product.persons <= MOST_PERSONS
    if not within or product.pass_back.companions < 0:
        yield where, "a fare, a number of persons or of companions below its least or above its most"
    if product.fare and product.fare not in tariff.fares:
        yield where, f"no fare table {product.fare!r}"
    for kind, names, known in (
        ("accumulation", product.accumulates, tariff.accumulations),
        ("transfer", product.transfers, tariff.transfers),
    ):
        for name in names:
            if name not in known:
                yield where, f"no {kind} {name!r}"


def _companions(tariff: Tariff, product: Product) -> Iterator[Fault]:
    """One tap a ride, and something that is one person's: a companion must be told from the holder's next ride."""
    table, where = tariff.fares.get(product.fare), f"products.{product.id}"
    rules: list[tuple[str, Accumulation | Transfer | None]] = [
        *((name, tariff.transfers.get(name)) for name in product.transfers),
        *((name, tariff.accumulations.get(name)) for name in product.accumulates),
    ]
    if not rules or (table is not None and table.tap_out is not None):
        return
    if product.pass_back.window_s <= 0:
        yield where, "needs pass_back: nothing else tells a companion from a change, or from who has reached a cap"
    if product.pass_back.scope is PassBackScope.MEDIUM:
        for name, rule in rules:
            if rule is not None and rule.scope is not Scope.MEDIUM:
                yield where, f"pass_back by medium, {name!r} by {rule.scope.value}: write pass_back by account"


def _concession(tariff: Tariff, product: Product) -> Iterator[Fault]:
    where = f"products.{product.id}"
    for percent in (product.percent, *product.percent_in.values()):
        yield from _percent(where, percent)
    for hours in product.when:
        yield from _hours(where, hours)
    counted = product.counted
    if counted is not None:
        if counted.id in tariff.accumulations:
            yield where, f"the counts {counted.id!r} share a name with an accumulation"
        if counted.allowance < 0 or min((1, *counted.weights.values())) < 1:
            yield where, "an allowance below 0, or a ride that uses less than one count"


def purse_product(tariff: Tariff, product: Product) -> Iterator[Fault]:
    """Faults of one product that purses pay for. A purse pays a plain price: nothing is summed up for bearer money, so
    what would need a sum, a table or a list of its holder is refused here, not ignored at the door.
    """
    yield from _product(tariff, product)
    yield from _concession(tariff, product)
    plain = Product(id=product.id, services=product.services, fare_fen=product.fare_fen)
    for name in product.__struct_fields__:
        if name not in OF_A_PURSE and getattr(product, name) != getattr(plain, name):
            yield f"products.{product.id}", f"a purse pays fare_fen as it stands: leave out {name!r}"


def _table(where: str, table: FareTable) -> Iterator[Fault]:
    banded = table.measure in (Measure.STAGES, Measure.METRES)
    if banded and not table.bands:
        yield where, f"measure {table.measure.value} needs bands"
    if banded and table.tap_out is None:
        yield where, f"measure {table.measure.value} needs tap_out: nothing else tells how far somebody rode"
    if not banded and table.tap_out is not None:
        yield where, f"measure {table.measure.value} is paid with one tap: leave out tap_out"
    if table.measure is Measure.KEY and not table.keys:
        yield where, "measure key needs keys"
    if any(one.up_to >= other.up_to for one, other in pairwise(table.bands)):
        yield where, "bands must ascend"
    fares = (table.fare_fen, *table.keys.values(), *(band.fare_fen for band in table.bands))
    if not 0 <= min(fares) <= max(fares) <= MOST_FEN:
        yield where, f"a fare below 0 or above {MOST_FEN}"
    if table.beyond is not None and (table.beyond.every < 1 or not 0 <= table.beyond.add_fen <= MOST_FEN):
        yield where, "a piece of no length, or of a fare below 0"
    if table.tap_out is not None and min(table.tap_out.longest_s, table.tap_out.reminder_s) < 0:
        yield where, "longest_s and reminder_s must not be negative"


def _line(where: str, line: Line) -> Iterator[Fault]:
    yield from _twice(f"{where}.stops", (stop.id for stop in line.stops))
    yield from _twice(f"{where}.stops' codes", (stop.code for stop in line.stops if stop.code))
    for stop in line.stops:
        if stop.code and not CODE.fullmatch(stop.code):
            yield f"{where}.stops", f"{stop.id}: code is eight hexadecimal digits, line and station, in small letters"
    known = {stop.id for stop in line.stops}
    for pair, metres in line.apart_m.items():
        one, _, other = pair.partition(">")
        if one not in known or other not in known or metres < 0:
            yield f"{where}.apart_m", f'{pair!r}: write "STOP>STOP" of this line, and metres'


def _accumulation(where: str, rule: Accumulation) -> Iterator[Fault]:
    if rule.cap_fen is not None and rule.cap_fen < 0:
        yield where, "a cap below 0"
    froms = [(discount.from_fen, discount.from_count) for discount in rule.discounts]
    for fen, count in froms:
        if min(fen, count) < 0 or max(fen, count) == 0:
            yield where, "a discount needs from_fen or from_count, what must be behind it"
    if any(one == other or one[0] > other[0] or one[1] > other[1] for one, other in pairwise(froms)):
        yield where, "discounts must ascend"
    for discount in rule.discounts:
        yield from _percent(where, discount.percent)


def _transfer(where: str, transfer: Transfer) -> Iterator[Fault]:
    yield from _percent(where, transfer.percent)
    if min(transfer.within_s, transfer.grace_s, transfer.off_fen, transfer.most or 0) < 0:
        yield where, "a time, an amount or a number below 0"


def _hours(where: str, hours: Hours) -> Iterator[Fault]:
    try:
        minutes(hours.start)
        minutes(hours.end)
    except ValueError as error:
        yield where, str(error)
    for day in hours.dates:
        if not _is_date(day if len(day) == 10 else f"2024-{day}"):  # a leap year
            yield where, f"{day!r} is not a date, MM-DD or YYYY-MM-DD"


def _percent(where: str, percent: int) -> Iterator[Fault]:
    if not 0 <= percent <= LONGEST_PERCENT:
        yield where, f"{percent} per cent: write what is left to pay, such as 80"


def _twice(where: str, names: Iterable[str]) -> Iterator[Fault]:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            yield where, f"{name} stands there twice"
        seen.add(name)


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
