"""A clock that jumps: validity never widens, nobody waits longer for it, and a person hears of it.

The law: what was expired stays expired, however the clock is set; entries never go back in time and say when the
journal's time was used instead of the clock's; whoever waits, waits by a clock that cannot be set.
"""

import asyncio
from pathlib import Path
from random import Random

import msgspec
import pytest

from simulators.card_issuer import CardIssuer
from simulators.parameters import CARDS
from simulators.phone import Phone
from terminal.core.entries import Alarm, Decided, Entry, FloorLowered, PassageAnnulled
from terminal.core.model import Reason, TimeSource, Verdict
from terminal.core.time import UNSYNCHRONISED_MS, settle
from tests.stories.world import NOW_MS, PASSAGE_S, World, bus, park

HOUR_MS = 3_600_000
YEAR_MS = 8766 * HOUR_MS
JUMPS = {"an hour back": -HOUR_MS, "ten years back": -10 * YEAR_MS, "to 1970": -NOW_MS}


def alarms(world: World) -> list[str]:
    """Kinds of alarm, in order."""
    return [fact.kind for fact in world.facts(Alarm)]


def in_order(entries: list[Entry]) -> bool:
    """Whether no entry is stamped before one that stands ahead of it."""
    times = [entry.at.utc_ms for entry in entries]
    return times == sorted(times)


def taps(world: World) -> list[Entry]:
    """Entries of decisions."""
    return [entry for entry in world.written() if isinstance(entry.fact, Decided)]


@bus
async def test_the_clock_is_set_back_while_running(bus: World) -> None:
    """By nobody who keeps clocks: old codes stay old, new ones pass, every entry since is flagged, a person hears."""
    bus.clock.uncertainty_ms = UNSYNCHRONISED_MS
    for number, by_ms in enumerate(JUMPS.values()):
        old = Phone(f"old {number}").code(bus.now_s)
        await asyncio.sleep(300)
        bus.clock.error_ms = by_ms
        await asyncio.sleep(2)
        assert await bus.front.show(old) is Reason.CODE_EXPIRED
        await asyncio.sleep(150)
        assert await bus.front.show(Phone(f"new {number}").code(bus.now_s)) is Reason.PAID
        assert taps(bus)[-1].at.source is TimeSource.FLOOR
        bus.clock.error_ms = 0
        await asyncio.sleep(61)
        assert await bus.front.show(Phone(f"again {number}").code(bus.now_s)) is Reason.PAID
        assert taps(bus)[-1].at.source is TimeSource.SYSTEM
    assert in_order(bus.written())
    assert alarms(bus).count("clock_behind") == len(JUMPS)
    assert alarms(bus).count("clock_jumped") == 2 * len(JUMPS)


@bus
async def test_a_clock_that_ran_ahead_and_is_set_right_serves_again_once_it_has_caught_up(bus: World) -> None:
    """Ten minutes ahead for a while: until the right clock is there too, codes look old; then all is as before."""
    bus.network.up = False
    bus.clock.error_ms = 600_000
    await asyncio.sleep(2)
    assert await bus.front.show(Phone("amber").code(bus.now_s)) is Reason.CODE_EXPIRED
    bus.clock.error_ms = 0
    await asyncio.sleep(300)
    assert await bus.front.show(Phone("birch").code(bus.now_s)) is Reason.CODE_EXPIRED
    await asyncio.sleep(310)
    assert await bus.front.show(Phone("cedar").code(bus.now_s)) is Reason.PAID
    assert {"clock_jumped", "clock_behind"} <= set(alarms(bus))


@bus
async def test_ten_years_ahead_and_back_expires_nothing_for_ever(bus: World) -> None:
    """A satellite's week counter rolled over: the clock is right again, and head office's signed time agrees."""
    bus.clock.error_ms = 10 * YEAR_MS
    await asyncio.sleep(2)
    assert await bus.front.show(Phone("amber").code(bus.now_s)) is Reason.AUTHORISATION_EXPIRED
    await asyncio.sleep(30)
    bus.clock.error_ms = 0
    assert await bus.front.show(Phone("birch").code(bus.now_s)) is Reason.AUTHORISATION_EXPIRED
    await asyncio.sleep(130)
    assert await bus.front.show(Phone("cedar").code(bus.now_s)) is Reason.PAID
    (lowered,) = bus.facts(FloorLowered)
    assert lowered.was_ms - lowered.to_ms > 9 * YEAR_MS
    await bus.restart()
    assert await bus.front.show(Phone("daisy").code(bus.now_s)) is Reason.PAID
    assert taps(bus)[-1].at.source is TimeSource.SYSTEM


@pytest.mark.parametrize(
    ("sentence", "clock_ms", "office_ms"),
    [
        ("an old statement, held up again, and a right clock", 0, -HOUR_MS),
        ("a clock set back, and a right statement", -HOUR_MS, 0),
        ("a statement from the future", 0, HOUR_MS),
    ],
)
def test_one_witness_alone_lowers_nothing(sentence: str, clock_ms: int, office_ms: int, tmp_path: Path) -> None:
    """Whoever sets the clock, or holds up an old word of head office, revives no code."""

    @bus
    async def told(bus: World) -> None:
        bus.office.now_ms = lambda: bus.clock.true_ms() + office_ms
        old = Phone("amber").code(bus.now_s)
        await asyncio.sleep(3600)
        assert await bus.front.show(Phone("birch").code(bus.now_s)) is Reason.PAID
        bus.clock.error_ms, bus.clock.uncertainty_ms = clock_ms, UNSYNCHRONISED_MS
        await asyncio.sleep(200)
        await bus.restart()
        await asyncio.sleep(200)
        assert await bus.front.show(old) is Reason.CODE_EXPIRED
        assert bus.facts(FloorLowered) == []
        assert in_order(bus.written())

    told(tmp_path)


@bus
async def test_without_the_floor_an_old_code_would_pass_again(bus: World) -> None:
    """What this rig is for: a terminal that believes any clock lets yesterday's code in."""
    assert bus.terminal is not None and bus.terminal.site is not None
    journal = bus.terminal.site.journal
    code = Phone("amber").code(bus.now_s)
    await asyncio.sleep(300)
    assert await bus.front.show(Phone("birch").code(bus.now_s)) is Reason.PAID  # the journal knows what time it is
    bus.clock.error_ms = -300_000
    assert await bus.front.show(code) is Reason.CODE_EXPIRED
    journal.instant = lambda reading: settle(reading, 0)  # type: ignore[method-assign]  # planted
    assert await bus.rear.show(code) is Reason.PAID


@bus
async def test_a_dead_clock_at_the_start_begins_at_the_journal(bus: World) -> None:
    """Off for a week, on again in 1970 without a network: used and old codes stay refused; told; then time is set."""
    used = Phone("amber").code(bus.now_s)
    assert await bus.front.show(used) is Reason.PAID
    last_ms = bus.written()[-1].at.utc_ms
    await bus.cut_power()
    await asyncio.sleep(7 * 86_400)
    bus.clock.error_ms, bus.clock.uncertainty_ms = -bus.clock.true_ms(), UNSYNCHRONISED_MS
    bus.network.up = False
    await bus.start()
    assert await bus.front.show(Phone("birch").code(bus.now_s)) is Reason.CODE_FROM_FUTURE
    assert await bus.rear.show(used) is Reason.ALREADY_PAID
    since = bus.written()[-1].at
    assert since.source is TimeSource.FLOOR and last_ms <= since.utc_ms < last_ms + 60_000
    await asyncio.sleep(200)
    assert await bus.rear.show(Phone("amber").code(last_ms // 1000)) is Reason.CODE_EXPIRED
    assert "clock_behind" in alarms(bus)
    bus.clock.error_ms, bus.clock.uncertainty_ms, bus.network.up = 0, 0, True
    await asyncio.sleep(2)
    assert await bus.front.show(Phone("birch").code(bus.now_s)) is Reason.PAID
    assert "clock_jumped" in alarms(bus)  # and that parameters of a week ago are old
    assert in_order(bus.written())


@bus
async def test_the_clock_is_set_in_the_middle_of_a_tap(bus: World) -> None:
    """The tap is judged by its one reading, and the gate opens by the clock that cannot be set."""
    bus.disk.latency_s, bus.clock.uncertainty_ms = 0.2, UNSYNCHRONISED_MS
    for by_ms in (+40_000, -HOUR_MS, +HOUR_MS, 0):
        code = Phone(f"rider {by_ms}").code(bus.now_s)
        opened = len(bus.front.opened)
        bus.front.reader.show(code)
        await asyncio.sleep(0.1)
        bus.clock.error_ms = by_ms
        await asyncio.sleep(1)
        assert (bus.front.says, len(bus.front.opened)) == (Reason.PAID, opened + 1)
        bus.clock.error_ms = 0
        await asyncio.sleep(5)
    assert in_order(bus.written())


@park
async def test_waiting_is_not_a_matter_of_the_clock(park: World) -> None:
    """An annul comes after so many seconds, and a batch is sent again after so many, whatever the clock says."""
    park.network.up = False
    await park.front.show(Phone("amber").code(park.now_s))
    began = park.clock.monotonic_s()
    park.clock.error_ms = -10 * YEAR_MS
    await asyncio.sleep(PASSAGE_S + 1)
    assert len(park.facts(PassageAnnulled)) == 1
    annulled = next(entry for entry in park.written() if isinstance(entry.fact, PassageAnnulled))
    assert PASSAGE_S - 1 <= annulled.at.monotonic_ns / 1e9 - began <= PASSAGE_S + 0.5
    park.network.up = True
    await asyncio.sleep(10)
    assert park.terminal is not None and park.terminal.uploader is not None
    assert park.terminal.uploader.status()["unsent"] == 0


@bus
async def test_a_batch_sent_across_a_jump_is_the_same_batch(bus: World) -> None:
    """A leap second, a DST change, a jump between two attempts: the same bytes arrive, once."""
    await bus.settled()
    bus.network.up = False
    await bus.front.show(Phone("amber").code(bus.now_s))
    before = [stored.data for stored in bus.disk.stored]
    for by_ms in (-1000, +HOUR_MS, -HOUR_MS, 0):
        bus.clock.error_ms = by_ms
        await asyncio.sleep(20)
    bus.network.up = True
    await bus.settled()
    assert [stored.data for stored in bus.disk.stored][: len(before)] == before
    assert set(before) <= {row[0] for row in bus.office.db.execute("SELECT data FROM records")}
    assert bus.office.status()["duplicates"] == 0


@bus
async def test_a_clock_that_jumps_every_second_fills_no_journal(bus: World) -> None:
    """One alarm a minute."""
    before = len(bus.written())
    for number in range(600):
        bus.clock.error_ms = 10_000 * (number % 2)
        await asyncio.sleep(1)
    assert len(bus.written()) - before <= 25


@pytest.mark.parametrize("seed", range(3))
def test_no_sequence_of_jumps_and_reboots_revives_a_code(seed: int, tmp_path: Path) -> None:
    """Seventy random jumps of up to ten years: time used never falls, and what was expired once stays so for ever."""

    @bus
    async def told(bus: World) -> None:
        random, shown, dead = Random(seed), list[bytes](), set[bytes]()
        bus.clock.uncertainty_ms = random.choice((0, UNSYNCHRONISED_MS))
        for number in range(70):
            shown.append(Phone(f"rider {number}").code(bus.now_s))
            await bus.front.show(shown[-1])
            await asyncio.sleep(random.uniform(150, 400))
            bus.clock.error_ms = -random.choice((0, 1, 1, 1)) * random.randrange(10 * YEAR_MS)
            if random.random() < 0.3:
                await bus.restart()
            await asyncio.sleep(random.uniform(3, 6))
            code = random.choice(shown)
            said = await bus.rear.show(code)
            assert said is Reason.CODE_EXPIRED or code not in dead, (number, said)
            if said is Reason.CODE_EXPIRED:
                dead.add(code)
        assert in_order(bus.written()) and len(dead) > 20
        charged = [fact.code_key for fact in bus.decisions(Verdict.GRANT) if fact.charge is not None]
        assert len(set(charged)) == len(charged)

    told(tmp_path)


@bus
async def test_a_card_that_rode_while_the_clock_ran_ahead_rides_free_for_no_year(bus: World) -> None:
    """A year ahead, a fare, set right: the card pays again, asks for free within the minute, and pays the next time."""
    assert CARDS.purse is not None
    first, *others = CARDS.purse.products
    alone = msgspec.structs.replace(first, pass_back=msgspec.structs.replace(first.pass_back, companions=0))
    purse = msgspec.structs.replace(CARDS.purse, products=(alone, *others))
    bus.head.cards = msgspec.structs.replace(CARDS, purse=purse)
    await bus.publish()
    issuer = CardIssuer()
    card = issuer.card("amber", issuer.purse("amber"))
    bus.clock.error_ms = YEAR_MS
    await asyncio.sleep(2)
    assert await bus.front.tap(card) is Reason.PAID_BY_CARD
    bus.clock.error_ms = 0
    await asyncio.sleep(200)
    assert len(bus.facts(FloorLowered)) == 1
    for expected in (Reason.PAID_BY_CARD, Reason.ALREADY_PAID):
        await asyncio.sleep(5)
        assert await bus.front.tap(card) is expected
    await asyncio.sleep(5 * 3600)
    assert await bus.front.tap(card) is Reason.PAID_BY_CARD
