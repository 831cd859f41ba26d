"""Tickets at a park's gates: a pass for one holder at several gates, and a family that comes on one code.

The law: what a ticket allows is counted once for all gates of the site, given back for whoever did not walk, and known
without a network: the list of bookings and the day's counts are held here.
"""

import asyncio

from simulators.phone import Phone
from simulators.token_issuer import Wallet
from terminal.core.entries import BoardedFree, Passed
from terminal.core.model import PassageMode, Reason
from terminal.core.parameters import Booking, Bookings, Condition, PassBack, Product, Slot, Tariff
from terminal.core.tariff import Period, Quota
from tests.stories.test_park import holder
from tests.stories.world import NOW_MS, PASSAGE_S, World, story

park = story("admission", PassageMode.SENSOR)
HOUR_S = 3600
SLOTS = {
    "now": Slot(start_ms=NOW_MS, end_ms=NOW_MS + 2 * HOUR_S * 1000),
    "later": Slot(start_ms=NOW_MS + 5 * HOUR_S * 1000, end_ms=NOW_MS + 7 * HOUR_S * 1000),
}
ANNUAL = Product(
    id="annual",
    services=("admission",),
    fare_fen=0,
    reason=Reason.PASS_HELD,
    who=(Condition(held="park-annual"),),
    pass_back=PassBack(window_s=1800),
    quota=Quota(most=2, period=Period.DAY),
)
FAMILY = Product(
    id="family", services=("admission",), fare_fen=0, reason=Reason.GROUP, who=(Condition(card_type="00"),), booked=True
)


async def sells(world: World, *products: Product, bookings: Bookings | None = None) -> None:
    """These tickets are good from now on; the network is gone afterwards."""
    world.head.tariff = Tariff(products=products)
    world.head.bookings = bookings or Bookings()
    await world.publish()
    world.network.up = False


@park
async def test_an_annual_pass_at_two_gates(park: World) -> None:
    """In at one gate; over the fence it is too soon at the other; twice a day, at whichever, also after a cut."""
    await sells(park, ANNUAL)
    wallet = holder("amber")
    assert await park.front.show(wallet.code(park.now_s)) is Reason.PASS_HELD
    await park.front.walk()
    await asyncio.sleep(20)
    assert await park.rear.show(wallet.code(park.now_s)) is Reason.TOO_SOON
    await asyncio.sleep(HOUR_S)
    assert await park.rear.show(wallet.code(park.now_s)) is Reason.PASS_HELD
    await park.rear.walk()
    await park.restart()
    await asyncio.sleep(HOUR_S)
    assert await park.front.show(wallet.code(park.now_s)) is Reason.QUOTA_USED
    await asyncio.sleep(24 * HOUR_S)
    assert await park.rear.show(wallet.code(park.now_s)) is Reason.PASS_HELD
    assert (park.front.opened, park.rear.opened) == ([1], [1, 1])


@park
async def test_an_annual_pass_nobody_walked_on_is_not_counted(park: World) -> None:
    """It opened at one gate and was not used: both entries of the day are still there."""
    await sells(park, ANNUAL)
    wallet = holder("amber")
    for door in (park.front, park.rear, park.front):
        assert await door.show(wallet.code(park.now_s)) is Reason.PASS_HELD
        if door is not park.front or len(park.front.opened) > 1:
            await door.walk()
        await asyncio.sleep(HOUR_S)
    assert await park.rear.show(wallet.code(park.now_s)) is Reason.QUOTA_USED


@park
async def test_a_family_on_one_code(park: World) -> None:
    """Four are booked; three walk, grandmother comes later on the same phone, and nobody after her."""
    phone = Phone("amber")
    bookings = Bookings(
        slots=SLOTS, bookings={park.head.ref("tu", phone.account).hex(): (Booking(slot="now", persons=4),)}
    )
    await sells(park, FAMILY, bookings=bookings)
    assert await park.front.show(phone.code(park.now_s)) is Reason.GROUP
    await park.front.walk(3)
    await asyncio.sleep(PASSAGE_S + 1)
    assert await park.rear.show(phone.code(park.now_s)) is Reason.GROUP
    await park.rear.walk()
    assert (park.front.opened, park.rear.opened) == ([4], [1])
    await asyncio.sleep(100)
    assert await park.front.show(phone.code(park.now_s)) is Reason.QUOTA_USED


@park
async def test_an_attendant_lets_somebody_through_and_says_why(park: World) -> None:
    """No ticket, no charge: who did it and why is an entry, and so is whoever walked; the next visitor is as usual."""
    assert park.terminal is not None and park.terminal.commands is not None
    answer = await park.terminal.commands.ask("7", "free", ["front", "a guest of the house", "2"])
    assert answer == {"opened": "opened", "persons": 2}
    (name,) = [entry.name for entry in park.written() if isinstance(entry.fact, BoardedFree)]
    assert [(fact.who, fact.why) for fact in park.facts(BoardedFree)] == [("7", "a guest of the house")]
    await park.front.walk(2)
    assert [(fact.of, fact.passed) for fact in park.facts(Passed)] == [(name, 1), (name, 2)]
    assert await park.front.show(holder("amber").code(park.now_s)) is Reason.PASS_HELD
    assert park.front.opened == [2, 1]


@park
async def test_a_family_that_booked_for_later_is_told_when(park: World) -> None:
    """Four hours early: closed, with the hours of their slot; a stranger is not on the list."""
    phone = Phone("amber")
    bookings = Bookings(
        slots=SLOTS, bookings={park.head.ref("tu", phone.account).hex(): (Booking(slot="later", persons=4),)}
    )
    await sells(park, FAMILY, bookings=bookings)
    assert await park.front.show(phone.code(park.now_s)) is Reason.OUTSIDE_TIME_SLOT
    assert park.front.indicator.shown is not None
    assert "21:00" in park.front.indicator.shown.zh
    assert await park.front.show(Phone("stranger").code(park.now_s)) is Reason.NOT_BOOKED
    assert await park.front.show(Wallet("no ticket").code(park.now_s)) is Reason.NOT_ACCEPTED_HERE
    await asyncio.sleep(5 * HOUR_S)
    assert await park.front.show(phone.code(park.now_s)) is Reason.GROUP
    assert park.front.opened == [4]
