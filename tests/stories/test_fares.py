"""Fares told as journeys: a week with its caps, a month with its bands, in with one thing and out with another.

The law: what a rider pays is what the tariff's file says, ride by ride, across midnights, power cuts and media; and
head office, which counts again by itself, comes to the same fen.
"""

import asyncio
import json
from typing import Any

import msgspec

from simulators.clearing import Clearing, clear
from simulators.phone import Phone
from simulators.token_issuer import Wallet
from terminal.core.entries import Decided
from terminal.core.fares.trips import Role
from terminal.core.ledger import Where
from terminal.core.model import PassageMode, Reason, Verdict
from terminal.core.parameters import Tariff
from tests.core.riding import TARIFFS, local_ms
from tests.stories.world import World, bus, story

LONDON, BEIJING = "Europe/London", "Asia/Shanghai"
metro = story("fare", PassageMode.ASSUMED, roles=(Role.ENTRY, Role.EXIT))


async def under(world: World, tariff: dict[str, Any], where: Where) -> None:
    """The tariff is in force, and the vehicle stands there."""
    world.head.tariff = msgspec.json.decode(json.dumps(tariff), type=Tariff)
    await world.publish()
    stand(world, where)


def file(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((TARIFFS / f"{name}.json").read_bytes())
    return found


def stand(world: World, where: Where) -> None:
    assert world.terminal is not None and world.terminal.site is not None
    world.terminal.site.where = where


async def until(world: World, text: str, zone: str) -> None:
    """The engine is off meanwhile: whatever is remembered comes from the journal."""
    await off_for(world, local_ms(text, zone) / 1000 - world.clock.true_ms() / 1000)


async def off_for(world: World, seconds: float) -> None:
    await world.stop()
    await asyncio.sleep(seconds)
    await world.start()


def paid(world: World) -> list[int]:
    """What each tap cost, in order."""
    return [fact.charge.amount_fen for fact in world.facts(Decided) if fact.charge is not None]


def cleared(world: World, tariff: dict[str, Any]) -> Clearing:
    """What head office makes of what it holds."""
    return clear(list(world.office.db.execute("SELECT terminal, data FROM records")), tariff)


@bus
async def test_a_commuters_week_in_london(bus: World) -> None:
    """To work by two buses within the hour, home, and out at night: a day's cap, then the week's, then nothing."""
    tariff = file("london-bus")
    await under(bus, tariff, Where(vehicle="LTZ1", line="24"))
    phone, days = Phone("amber"), []
    for day in range(18, 25):  # Monday 18 to Sunday 24 January 2027
        before = sum(paid(bus))
        for clock, line in (("07:50", "24"), ("08:20", "38"), ("12:30", "24"), ("17:40", "38"), ("22:30", "24")):
            await until(bus, f"2027-01-{day} {clock}", LONDON)
            stand(bus, Where(vehicle="LTZ1", line=line))
            assert await bus.front.show(phone.code(bus.now_s)) in (Reason.PAID, Reason.TRANSFER, Reason.CAPPED)
        days.append(sum(paid(bus)) - before)
    assert paid(bus)[:5] == [175, 0, 175, 175, 0]
    assert days == [525, 525, 525, 525, 370, 0, 0]
    await bus.settled()
    assert cleared(bus, tariff).due == bus.charged_fen() == 2470


@bus
async def test_londons_hour_with_a_tube_ride_between(bus: World) -> None:
    """The Tube is paid and does not break the hour; the hour is that of the first bus."""
    tariff = file("london-bus")
    tariff["lines"]["northern"] = {"mode": "tube", "stops": []}
    tariff["products"].append({"id": "tube", "services": ["fare"], "modes": ["tube"], "fare_fen": 290})
    await under(bus, tariff, Where(vehicle="LTZ1", line="24"))
    phone, said = Phone("amber"), []
    for minute, line in ((0, "24"), (15, "northern"), (45, "38"), (61, "24"), (72, "24")):
        await until(bus, f"2027-01-18 {8 + minute // 60:02d}:{minute % 60:02d}", LONDON)
        stand(bus, Where(vehicle="LTZ1", line=line))
        said.append(await bus.front.show(phone.code(bus.now_s)))
    assert said == [Reason.PAID, Reason.PAID, Reason.TRANSFER, Reason.TRANSFER, Reason.PAID]
    assert paid(bus) == [175, 290, 0, 0, 175]


@metro
async def test_beijings_month_ride_by_ride(metro: World) -> None:
    """In and out at two gates; twenty rides of 5 yuan, then 80 %, then half, until 400 yuan are passed: 5 yuan again.

    The bands are for whole rides; and the next month begins anew.
    """
    tariff = file("beijing-metro")
    await under(metro, tariff, Where(line="network", stop="A"))
    phone = Phone("amber")

    async def ride(day: int, clock: int, month: int = 2) -> int:
        await until(metro, f"2027-{month:02d}-{day:02d} {clock:02d}:00", BEIJING)
        stand(metro, Where(line="network", stop="A"))
        assert await metro.front.show(phone.code(metro.now_s)) is Reason.BOARDED
        await off_for(metro, 1500)
        stand(metro, Where(line="network", stop="D"))
        assert await metro.rear.show(phone.code(metro.now_s)) is Reason.ALIGHTED
        return paid(metro)[-1]

    rides = [await ride(day, clock) for day in range(1, 28) for clock in (7, 10, 13, 16, 19)]
    assert rides == [500] * 20 + [400] * 13 + [250] * 100 + [500] * 2
    assert sum(rides[:132]) < 40_000 < sum(rides[:133])
    assert await ride(1, 8, month=3) == 500
    await metro.settled()
    assert cleared(metro, tariff).due == metro.charged_fen() == sum(rides) + 500


@bus
async def test_in_with_the_card_token_phone_out_with_the_ride_code_phone(bus: World) -> None:
    """Both are linked to one account by their issuers; a stranger's phone ends nobody's trip."""
    await under(bus, file("beijing-bus"), at("0"))
    account = bus.head.ref("ssc", b"a card")
    wallet, phone = Wallet("birch", account_link=account), Phone("amber", account_link=account)
    assert await bus.front.show(wallet.code(bus.now_s)) is Reason.BOARDED
    await asyncio.sleep(1200)
    stand(bus, at("15.1"))
    assert await bus.rear.show(Phone("stranger").code(bus.now_s)) is Reason.BOARDED
    assert await bus.rear.show(phone.code(bus.now_s)) is Reason.ALIGHTED
    assert paid(bus) == [0, 0, 200]


@bus
async def test_a_trip_survives_a_power_cut_and_ends_at_the_other_door(bus: World) -> None:
    """The journal remembers who is on board."""
    await under(bus, file("beijing-bus"), at("0"))
    phone = Phone("amber")
    assert await bus.front.show(phone.code(bus.now_s)) is Reason.BOARDED
    await bus.restart()
    stand(bus, at("23"))
    await asyncio.sleep(1800)
    assert await bus.rear.show(phone.code(bus.now_s)) is Reason.ALIGHTED
    assert paid(bus) == [0, 250]


@bus
async def test_who_forgot_to_tap_out_pays_to_the_end_of_the_line_and_is_told_both_amounts(bus: World) -> None:
    """On the way back: the old trip at full price, then the new boarding."""
    tariff = file("beijing-bus")
    await under(bus, tariff, at("10"))
    phone = Phone("amber")
    await bus.front.show(phone.code(bus.now_s))
    await off_for(bus, 7200)
    stand(bus, at("0", run=2))
    assert await bus.front.show(phone.code(bus.now_s)) is Reason.UNFINISHED_SETTLED
    assert bus.front.indicator.shown is not None
    assert bus.front.indicator.shown.zh == "已补上次未下车刷卡 6元 本次0元"
    await asyncio.sleep(1200)
    stand(bus, at("5", run=2))
    await bus.front.show(phone.code(bus.now_s))
    assert paid(bus) == [0, 600, 100]
    await bus.settled()
    assert cleared(bus, tariff).due == 700


@bus
async def test_an_exit_nobody_can_price_is_let_off_and_left_to_head_office(bus: World) -> None:
    """The stop is not known: granted in doubt, nothing charged here."""
    await under(bus, file("beijing-bus"), at("0"))
    phone = Phone("amber")
    await bus.front.show(phone.code(bus.now_s))
    await asyncio.sleep(1200)
    stand(bus, at(""))
    assert await bus.rear.show(phone.code(bus.now_s)) is Reason.EXIT_UNPAIRED
    assert [fact.reason for fact in bus.decisions(Verdict.GRANT_IN_DOUBT)] == [Reason.EXIT_UNPAIRED]


@bus
async def test_two_doors_at_once_board_once(bus: World) -> None:
    """One rider's second code at the other door waits for the first to be written, then is only a question."""
    await under(bus, file("beijing-bus"), at("0"))
    phone = Phone("amber")
    first, second = phone.code(bus.now_s), phone.code(bus.now_s - 1)
    bus.front.reader.show(first)
    bus.rear.reader.show(second)
    await asyncio.sleep(0.4)
    assert (bus.front.says, bus.rear.says) == (Reason.BOARDED, Reason.GATE_BUSY)
    assert await bus.rear.show(second) is Reason.BOARDED
    assert paid(bus) == [0]


def at(stop: str, run: int = 1) -> Where:
    return Where(vehicle="bus-1", line="example", direction="up", stop=stop, run=run)
