"""What a simulated site trades in: its lanes, its tariff, who comes there.

Laws of this file:
- The seed's remainder says which trade a day has, so that a run of days has every one.
- Tariffs are data, made so that a day reaches caps, transfers, unfinished trips and used-up places.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from simulators.parameters import TARIFF
from terminal.core.fares.trips import Role
from terminal.core.ledger import Where
from terminal.core.model import PassageMode, Reason
from terminal.core.parameters import BlockScope, Condition, Product, Tariff, TripFares
from terminal.core.tariff import (
    Accumulation,
    Band,
    Beyond,
    Discount,
    FareTable,
    Line,
    Measure,
    Period,
    Scope,
    Since,
    Stop,
    TapOut,
    Transfer,
)
from tests.days.guests import BOOKED
from tests.days.guests import PRODUCT as SLOT_PRODUCT
from tests.days.people import ANYWHERE, BUS, GATE, Visit
from tests.days.purse_trips import PURSE_TRIPS, SETTLED_FEN
from tests.days.riders import CARDS, LINE

STARTS = "04:00"  # the service day: no day of ours crosses it
LINE_ID = "12"
PLACES = tuple((39_900_000 + 20_000 * number, 116_300_000) for number in range(8))  # a stop every 2.2 km


class Trade(NamedTuple):
    """One kind of site."""

    name: str
    service: str
    passage: PassageMode
    lanes: Mapping[str, Role]
    tariff: Tariff
    visits: Mapping[str, tuple[int, Visit]]  # weight, what somebody does
    token: str = ""  # the product a card token holds here
    tokens: float = 0.0  # how many of those who come hold one; the others show a ride code
    linked: bool = False  # a rider's phone, card token and physical card are one account
    cards: tuple[str, ...] = ()  # applications that are taken
    trips: TripFares | None = None  # a purse taps in and out, at this price
    booked: bool = False  # some come for a slot they booked
    where: Where = Where()
    desks: tuple[str, ...] = ()  # kiosks of a library


def trade_of(seed: int) -> Trade:
    """The trade of this seed's day."""
    return TRADES[seed % len(TRADES)]


def _flat(product: Product) -> Product:
    """The flat fare of the demo, with a day's cap and half price within the hour."""
    if product.fare_fen == 0 or "fare" not in product.services:
        return product
    return msgspec.structs.replace(product, accumulates=("day",), transfers=("hour",))


FLAT = msgspec.structs.replace(
    TARIFF,
    service_day_starts=STARTS,
    products=tuple(_flat(product) for product in TARIFF.products),
    accumulations={"day": Accumulation(period=Period.DAY, cap_fen=900)},
    transfers={"hour": Transfer(within_s=3600, since=Since.FIRST, percent=50)},
)
DISTANCE = Tariff(
    service_day_starts=STARTS,
    lines={
        LINE_ID: Line(
            stops=tuple(
                Stop(id=f"s{number}", at_m=2224 * number, lat_e6=lat, lon_e6=lon, code=f"0012{number:04x}")
                for number, (lat, lon) in enumerate(PLACES)
            )
        )
    },
    fares={
        "far": FareTable(
            measure=Measure.METRES,
            bands=(Band(up_to=3000, fare_fen=200),),
            beyond=Beyond(every=2000, add_fen=50),
            most_fen=450,
            tap_out=TapOut(longest_s=5400),
        )
    },
    accumulations={
        "day": Accumulation(period=Period.DAY, scope=Scope.ACCOUNT, cap_fen=1400),
        "month": Accumulation(
            period=Period.MONTH, scope=Scope.CHANNEL, discounts=(Discount(from_fen=500, percent=80),)
        ),
    },
    transfers={"soon": Transfer(within_s=1800, since=Since.LAST, percent=100, off_fen=100)},
    products=tuple(
        Product(
            id=name,
            services=("fare",),
            fare_fen=0,
            fare="far",
            fare_type="distance",
            percent=percent,
            who=who,
            accumulates=("day", "month"),
            transfers=("soon",),
        )
        for name, percent, who in (("student", 50, (Condition(card_type="02"),)), ("adult", 100, ()))
    ),
)
EVENT = Tariff(
    service_day_starts=STARTS,
    products=(
        Product(
            id="congress",
            services=("check_in",),
            fare_fen=0,
            fare_type="attendance",
            reason=Reason.CHECKED_IN,
            who=(Condition(held="congress"), Condition(card_type="02")),
            scopes=(BlockScope.IDENTITY,),
        ),
    ),
)
PARK = msgspec.structs.replace(
    TARIFF,
    service_day_starts=STARTS,
    products=(
        Product(
            id=SLOT_PRODUCT,
            services=("admission",),
            fare_fen=500,
            fare_type="slot",
            reason=Reason.ADMITTED,
            who=(Condition(held=SLOT_PRODUCT),),
            booked=True,
        ),
        *TARIFF.products,
    ),
)
GATES = {"east": Role.ANY, "west": Role.ANY, "north": Role.ANY}
DOORS = {"front": Role.ANY, "rear": Role.ANY}

TRADES = (
    Trade(
        name="event",
        service="check_in",
        passage=PassageMode.SENSOR,
        lanes={"east": Role.ANY, "west": Role.ANY},
        tariff=EVENT,
        visits=GATE | ANYWHERE,
        token="congress",
        tokens=0.7,
    ),
    Trade(
        name="line",
        service="fare",
        passage=PassageMode.ASSUMED,
        lanes={"front": Role.ANY, "rear": Role.EXIT},
        tariff=DISTANCE,
        visits=LINE | PURSE_TRIPS | ANYWHERE,
        linked=True,
        cards=("transit_purse", "social_security_card"),
        trips=TripFares(fare="far", max_fare_fen=SETTLED_FEN, longest_s=5400),
        where=Where(vehicle="bus-1"),
    ),
    Trade(
        name="bus",
        service="fare",
        passage=PassageMode.ASSUMED,
        lanes=DOORS,
        tariff=FLAT,
        visits=BUS | CARDS | ANYWHERE,
        cards=("transit_purse",),
    ),
    Trade(
        name="park",
        service="admission",
        passage=PassageMode.SENSOR,
        lanes=GATES,
        tariff=PARK,
        visits=GATE | BOOKED | ANYWHERE,
        booked=True,
        token="park-annual",
        tokens=0.6,
    ),
    Trade(
        name="library",
        service="loan",
        passage=PassageMode.ASSUMED,
        lanes={},
        tariff=EVENT,
        visits={},
        desks=("ground floor", "first floor"),
    ),
)
