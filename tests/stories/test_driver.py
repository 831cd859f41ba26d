"""The driver's panel: a shift, its stops and keys, who rode free, what was taken back, and what it all came to.

The law: whatever a driver does is written with the driver's number before it holds, and holds after a power cut.
"""

import asyncio
from typing import Any

import msgspec
import pytest

from simulators.phone import Phone
from simulators.route import Settings as RouteSettings
from simulators.route import SimulatedPositions
from simulators.token_issuer import Wallet
from terminal.core.entries import BoardedFree, Commanded, EmergencyOrdered, Moved, SignedOff, SignedOn, Voided, kind_of
from terminal.core.model import PassageMode, Reason, Verdict
from terminal.core.parameters import Condition, Product, Tariff
from terminal.core.tariff import FareTable, Line, Measure, Stop, Zone
from terminal.runtime.commands import Answer, NotDone
from tests.stories.test_fares import file, under
from tests.stories.world import World, bus, story

STREET = Line(
    stops=tuple(
        Stop(id=f"s{number}", at_m=number * 6000, lat_e6=30_000_000, lon_e6=104_000_000 + number * 62_000)
        for number in range(4)
    )
)
gates = story("admission", PassageMode.SENSOR, zone="garden")
PLACES = tuple((stop.lat_e6 or 0, stop.lon_e6 or 0) for stop in STREET.stops)


def street() -> dict[str, Any]:
    """Fares by distance along one street."""
    tariff = file("beijing-bus")
    tariff["lines"] = {"12": msgspec.to_builtins(STREET)}
    return tariff


def ask(world: World, *words: str, who: str = "7") -> Any:
    assert world.terminal is not None and world.terminal.commands is not None
    return world.terminal.commands.ask(who, words[0], words[1:])


async def driven(world: World) -> None:
    assert world.terminal is not None and world.terminal.site is not None
    await under(world, street(), world.terminal.site.where)


@bus
async def test_a_shift(bus: World) -> None:
    """Sign on, drive three stops, let a child ride, take a charge back; the totals say so, and so does the journal."""
    await driven(bus)
    phone, other = Phone("amber"), Phone("birch")
    assert await ask(bus, "sign-on", "12") == {"vehicle": "bus-1", "line": "12", "direction": "up", "stop": "s0"}
    await bus.front.show(phone.code(bus.now_s))
    await bus.front.show(other.code(bus.now_s))
    await asyncio.sleep(600)
    await ask(bus, "stop", "next")
    assert (await ask(bus, "stop", "s2"))["stop"] == "s2"
    assert await bus.rear.show(phone.code(bus.now_s)) is Reason.ALIGHTED  # 12 km: 3 yuan, half
    assert (await ask(bus, "free", "front", "child under 1.3 m", "2")) == {"opened": "opened", "persons": 2}
    assert bus.front.opened[-1] == 2
    assert await bus.rear.show(other.code(bus.now_s)) is Reason.ALIGHTED
    assert (await ask(bus, "void", "wrong door"))["fen"] == 150
    totals = await ask(bus, "totals")
    assert (totals["taps"], totals["fen"], totals["total"]) == ({"ordinary": 3}, {"ordinary": 150}, "1.50")
    assert (totals["amounts"], totals["currency"]) == ({"ordinary": "1.50"}, "CNY")
    assert (totals["free"], totals["voided"], totals["who"]) == (2, 1, "7")
    assert (await ask(bus, "sign-off"))["free"] == 2
    assert [fact.who for fact in bus.facts(SignedOn)] == [fact.who for fact in bus.facts(SignedOff)] == ["7"]
    assert [fact.why for fact in bus.facts(BoardedFree)] == ["child under 1.3 m"]
    assert [fact.why for fact in bus.facts(Voided)] == ["wrong door"]
    assert len(bus.facts(Moved)) == 2
    with pytest.raises(NotDone, match="nobody is signed on"):
        await ask(bus, "totals")


@bus
async def test_a_shift_survives_a_power_cut(bus: World) -> None:
    """Line, direction, stop and totals are as they were."""
    await driven(bus)
    await ask(bus, "sign-on", "12", "down")
    await ask(bus, "stop", "s2")
    await ask(bus, "free", "front", "a colleague")
    await bus.restart()
    assert await ask(bus, "where") == {"vehicle": "bus-1", "line": "12", "direction": "down", "stop": "s2"}
    assert (await ask(bus, "totals"))["free"] == 1


@bus
async def test_a_receiver_tells_the_stop_and_the_fare_follows(bus: World) -> None:
    """Nobody presses anything: the bus drives, the stop is known, the distance is right."""
    bus.positions = SimulatedPositions(RouteSettings(places=PLACES, stand_s=30, drive_s=600), bus.clock)
    await bus.restart()
    await driven(bus)
    await ask(bus, "sign-on", "12")
    phone = Phone("amber")
    assert await bus.front.show(phone.code(bus.now_s)) is Reason.BOARDED
    await asyncio.sleep(300)
    assert (await ask(bus, "where"))["stop"] == "s0"  # on the road: the stop behind
    await asyncio.sleep(345)
    assert (await ask(bus, "where"))["stop"] == "s1"
    await asyncio.sleep(630)
    assert await bus.rear.show(phone.code(bus.now_s)) is Reason.ALIGHTED
    assert bus.charged_fen() == 150  # s0 to s2, 12 km


@bus
async def test_turning_round_is_a_new_run(bus: World) -> None:
    """Who forgot to tap out on the way there is settled on the way back."""
    await driven(bus)
    await ask(bus, "sign-on", "12")
    phone = Phone("amber")
    await bus.front.show(phone.code(bus.now_s))
    await asyncio.sleep(1800)
    assert await ask(bus, "turn") == {"vehicle": "bus-1", "line": "12", "direction": "down", "stop": "s3"}
    assert await bus.front.show(phone.code(bus.now_s)) is Reason.UNFINISHED_SETTLED
    assert bus.charged_fen() == 400  # 18 km, full price


@bus
async def test_the_same_bus_on_its_way_back_is_a_new_ride(bus: World) -> None:
    """London lets nobody pass a card back within ten minutes; on the way back its holder rides on the free hour. So
    after a power cut, too, and the entries say which run each ride was on.
    """
    assert bus.terminal is not None and bus.terminal.site is not None
    await under(bus, file("london-bus"), bus.terminal.site.where)
    await ask(bus, "sign-on", "24")
    phone = Phone("amber")
    assert await bus.front.show(phone.code(bus.now_s)) is Reason.PAID
    await asyncio.sleep(150)
    assert await bus.rear.show(phone.code(bus.now_s)) is Reason.TOO_SOON
    await ask(bus, "turn")
    assert await bus.rear.show(phone.code(bus.now_s - 1)) is Reason.TRANSFER
    await bus.restart()
    await asyncio.sleep(150)
    assert await bus.front.show(phone.code(bus.now_s)) is Reason.TOO_SOON
    there, back = (fact.where for fact in bus.decisions(Verdict.GRANT))
    assert (there.direction, back.direction) == ("up", "down")
    assert there.run < back.run
    assert bus.charged_fen() == 175


@bus
async def test_fare_keys(bus: World) -> None:
    """Without a key nobody can pay; the key holds for whoever boards."""
    bus.head.tariff = Tariff(
        products=(Product(id="adult", services=("fare",), fare="keys", fare_fen=0),),
        fares={"keys": FareTable(measure=Measure.KEY, keys={"A": 200, "B": 350})},
        lines={"12": STREET},
    )
    await bus.publish()
    assert await bus.front.show(Phone("amber").code(bus.now_s)) is Reason.FARE_NOT_CHOSEN
    assert (await ask(bus, "key", "B"))["key"] == "B"
    assert await bus.front.show(Phone("amber").code(bus.now_s - 1)) is Reason.PAID
    assert "key" not in await ask(bus, "key")
    assert await bus.front.show(Phone("birch").code(bus.now_s)) is Reason.FARE_NOT_CHOSEN
    assert bus.charged_fen() == 350


@bus
async def test_was_this_card_charged_today(bus: World) -> None:
    """Asked once, answered once: by the phone for the card it is linked to; nothing is charged for asking."""
    account = bus.head.ref("ssc", b"a card")
    phone, other = Phone("amber", account_link=account), Phone("birch", account_link=account)
    await bus.front.show(phone.code(bus.now_s))
    await ask(bus, "charged")
    assert await bus.rear.show(other.code(bus.now_s)) is Reason.CHARGED_TODAY
    assert bus.rear.indicator.shown is not None and bus.rear.indicator.shown.zh == "今日已扣2元 共1次"
    assert bus.rear.opened == []
    assert await bus.rear.show(other.code(bus.now_s - 1)) is Reason.PAID
    await ask(bus, "charged")
    assert await bus.front.show(Phone("caro").code(bus.now_s)) is Reason.NOT_CHARGED_TODAY
    await ask(bus, "charged")
    await asyncio.sleep(30)
    assert await bus.front.show(Phone("caro").code(bus.now_s)) is Reason.PAID  # nobody held anything out in time
    assert [fact.what for fact in bus.facts(Commanded)] == ["charged"] * 3
    assert len(bus.decisions(Verdict.REFER)) == 2


def latest(world: World) -> Any:
    assert world.terminal is not None and world.terminal.commands is not None
    return world.terminal.commands.sheet().last


@bus
async def test_the_panel_tells_of_the_last_tap_and_of_no_other(bus: World) -> None:
    """With its class; of a flood's denials too; of nothing once it was taken back, or could not be written."""
    await driven(bus)
    await ask(bus, "sign-on", "12")
    assert latest(bus) is None
    assert await bus.front.show(Phone("amber").code(bus.now_s)) is Reason.BOARDED
    assert (latest(bus).granted, latest(bus).reason, latest(bus).product) == (True, "boarded", "ordinary")
    seen = set()
    for number in range(12):  # more than a second's own entries
        bus.front.reader.show(f"rubbish {number}".encode())
        await asyncio.sleep(0.05)
        assert (latest(bus).granted, latest(bus).reason) == (False, "unknown_format")
        seen.add(latest(bus).at_ms)
    assert len(seen) == 12
    await bus.front.show(Phone("birch").code(bus.now_s))
    assert latest(bus).granted
    await ask(bus, "void", "wrong line")
    assert latest(bus) is None
    await bus.front.show(Phone("caro").code(bus.now_s))
    bus.disk.full = True
    await bus.front.show(Phone("dora").code(bus.now_s))
    assert latest(bus) is None


@bus
async def test_a_shift_is_told_in_the_tariffs_own_currency(bus: World) -> None:
    """The totals and what was taken back; minor units stay a number beside it."""
    await driven(bus)
    adult = Product(id="adult", services=("fare",), fare_fen=200)
    for currency, written in (("GBP", "2.00"), ("JPY", "200"), ("KWD", "0.200")):
        bus.head.tariff = Tariff(currency=currency, products=(adult,), lines={"12": STREET})
        await bus.publish()
        await ask(bus, "sign-on", "12")
        assert await bus.front.show(Phone(f"rider of {currency}").code(bus.now_s)) is Reason.PAID
        told = await ask(bus, "sign-off")
        assert (told["amounts"], told["total"], told["currency"]) == ({"adult": written}, written, currency)
        assert told["fen"] == {"adult": 200}
        await ask(bus, "sign-on", "12")
        assert await bus.front.show(Phone(f"another of {currency}").code(bus.now_s)) is Reason.PAID
        void = await ask(bus, "void", "wrong key")
        assert (void["fen"], void["amount"], void["currency"]) == (200, written, currency)


@bus
async def test_a_voided_code_is_taken_again_at_once(bus: World) -> None:
    """The phone still lies there: silence is broken, the ride is paid once in the end."""
    await driven(bus)
    bus.head.tariff = Tariff(products=(Product(id="adult", services=("fare",), fare_fen=200),), lines={"12": STREET})
    await bus.publish()
    await ask(bus, "sign-on", "12")
    code = Phone("amber").code(bus.now_s)
    assert await bus.front.show(code) is Reason.PAID
    await ask(bus, "void", "wrong key")
    assert await bus.front.show(code) is Reason.PAID
    assert (await ask(bus, "totals"))["total"] == "2.00"
    await asyncio.sleep(400)
    with pytest.raises(NotDone, match="five minutes"):
        await ask(bus, "void", "too late")


@bus
async def test_who_asked_has_left(bus: World) -> None:
    """The tablet goes to sleep while the order is on its way to the disk: what is written then holds all the same."""
    await driven(bus)
    assert bus.terminal is not None and bus.terminal.site is not None
    for words in (("sign-on", "12"), ("stop", "next"), ("emergency", "on", "smoke")):
        asking = asyncio.ensure_future(ask(bus, *words))
        await asyncio.sleep(bus.disk.latency_s / 2)
        asking.cancel()
        await asyncio.sleep(1)
        assert asking.cancelled()
    assert [order.on for order in bus.facts(EmergencyOrdered)] == [True]
    assert bus.facts(Moved)[-1].where.stop == bus.terminal.site.where.stop == "s1"
    assert bus.terminal.site.emergency


@bus
async def test_a_command_while_the_terminal_stops(bus: World) -> None:
    """What was begun is done before the last entry; then nothing is begun."""
    await driven(bus)
    asking = asyncio.ensure_future(ask(bus, "sign-on", "12"))
    await asyncio.sleep(bus.disk.latency_s / 2)
    stopping = asyncio.ensure_future(bus.stop())
    assert (await asking)["stop"] == "s0"
    with pytest.raises(NotDone, match="stopping"):
        await ask(bus, "stop", "next")
    await stopping
    assert [kind_of(entry.fact) for entry in bus.written()[-2:]] == ["signed_on", "stop"]


@bus
async def test_commands_that_cannot_be_done(bus: World) -> None:
    """Each is answered with what to try; nothing is written, nothing stops."""
    await driven(bus)
    written = len(bus.written())
    refused: list[tuple[str, ...]] = [
        ("dance",),
        ("sign-on",),
        ("sign-on", "99"),
        ("sign-on", "12", "up", "down"),
        ("stop", "next"),
        ("turn",),
        ("key", "Z"),
        ("free", "roof", "why"),
        ("free", "front", " "),
        ("free", "front", "why", "0"),
        ("free", "front", "why", "many"),
        ("void", "why"),
        ("totals",),
        ("sign-off",),
        ("stop", "x" * 81),
        ("free", "front", "a\nb"),
    ]
    for words in refused:
        with pytest.raises(NotDone) as told:
            await ask(bus, *words)
        assert told.value.hint
    for who in ("", "a b", "x" * 33, "张三"):
        with pytest.raises(NotDone, match="who asks"):
            await ask(bus, "where", who=who)
    await ask(bus, "sign-on", "12")
    for which in ("back", "s9"):
        with pytest.raises(NotDone, match="no such stop"):
            await ask(bus, "stop", which)
    assert len(bus.written()) == written + 1
    assert await bus.front.show(Phone("amber").code(bus.now_s)) is Reason.BOARDED


@bus
async def test_a_full_disk_is_told_to_whoever_asks(bus: World) -> None:
    """Not written, not done."""
    await driven(bus)
    bus.disk.full = True
    with pytest.raises(NotDone, match="was not written"):
        await ask(bus, "sign-on", "12")
    bus.disk.full = False
    answer: Answer = await ask(bus, "sign-on", "12")
    assert answer["line"] == "12"


@gates
async def test_a_pass_is_looked_at_once_and_then_opens(park: World) -> None:
    """Not before; who looked, and at what, is written; after a restart it is still good."""
    park.head.tariff = Tariff(
        products=(
            Product(
                id="annual", services=("admission",), fare_fen=0, who=(Condition(held="park-annual"),), activation=True
            ),
        )
    )
    await park.publish()
    wallet = Wallet("birch", products=(("park-annual", 1_790_000_000, 2_200_000_000),))
    assert await park.front.show(wallet.code(park.now_s)) is Reason.NOT_ACTIVATED
    await ask(park, "activate", "face and identity document")
    assert await park.front.show(wallet.code(park.now_s - 1)) is Reason.ACTIVATED
    assert park.front.opened == []
    await park.restart()
    assert await park.front.show(wallet.code(park.now_s)) is Reason.PAID
    await park.front.walk()
    assert [fact.what for fact in park.facts(Commanded)] == ["activate: face and identity document"]


@gates
async def test_an_emergency_ordered_by_a_person(park: World) -> None:
    """Taps write nothing while it lasts; who ordered it and who ended it are entries; missing exits are forgiven."""
    park.head.tariff = msgspec.structs.replace(park.head.tariff, zones={"garden": Zone(exit_tapped=True)})
    await park.publish()
    phone = Phone("amber")
    assert await park.front.show(phone.code(park.now_s)) is Reason.ADMITTED
    await park.front.walk()
    await asyncio.sleep(100)
    assert await park.front.show(phone.code(park.now_s)) is Reason.STILL_INSIDE
    assert (await ask(park, "emergency", "on", "smoke in hall 2")) == {"emergency": True}
    assert park.front.says is Reason.EMERGENCY
    written = len(park.written())
    assert await park.front.show(phone.code(park.now_s)) is None
    assert len(park.written()) == written
    await park.restart()
    assert await park.front.show(phone.code(park.now_s)) is None  # it lasts until somebody ends it
    await asyncio.sleep(100)
    assert (await ask(park, "emergency", "off", "fire brigade", who="8")) == {"emergency": False}
    assert await park.front.show(phone.code(park.now_s)) is Reason.ADMITTED
    assert [(fact.who, fact.on) for fact in park.facts(EmergencyOrdered)] == [("7", True), ("8", False)]
    for words in (("emergency", "maybe", "why"), ("emergency", "on", " "), ("activate", " ")):
        with pytest.raises(NotDone):
            await ask(park, *words)
