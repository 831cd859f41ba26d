"""A barrier that stands open: on free days and in emergencies, and shut again behind them.

The law: an entry says since when and why a barrier stood open, and when it shut; by its hours it opens only once that
entry is written, in an emergency at once; while it stands open no right is ordered that would outlast it.
"""

import asyncio
from typing import Any

import msgspec

from simulators.phone import Phone
from terminal.core.entries import StoodOpen
from terminal.core.model import GateSignal, PassageMode, Reason
from terminal.core.parameters import Policies
from terminal.core.tariff import Hours, Zone
from tests.core.riding import local_ms
from tests.stories.world import PASSAGE_S, World, story

park = story("admission", PassageMode.SENSOR, zone="garden")
NOON = local_ms("2027-01-16 12:00")  # the day after the stories' now, which is 16:00


async def opened(world: World, **zone: Any) -> None:
    """The east gate can stand open, the west one cannot; the zone has these hours."""
    world.front.gate.can_stand_open = True
    world.head.tariff = msgspec.structs.replace(world.head.tariff, zones={"garden": Zone(**zone)})
    await world.publish()
    await world.restart()


async def until(world: World, ms: int) -> None:
    """Wait for a moment; half a second more, so that everybody has heard."""
    await asyncio.sleep((ms - world.clock.true_ms()) / 1000 + 0.5)


def told(world: World) -> list[tuple[str, bool, str]]:
    return [(fact.lane, fact.on, fact.why) for fact in world.facts(StoodOpen)]


@park
async def test_free_hours(park: World) -> None:
    """From twelve to one it stands open; who holds a code out is welcome, nobody is charged, no right is left over."""
    await opened(park, free=(Hours(start="12:00", end="13:00"),))
    await until(park, NOON - 1000)
    assert not park.front.gate.stands_open
    await until(park, NOON)
    assert (park.front.gate.stands_open, park.rear.gate.stands_open) == (True, False)
    assert await park.front.show(Phone("amber").code(park.now_s)) is Reason.ADMITTED
    await asyncio.sleep(PASSAGE_S + 1)
    assert await park.rear.show(Phone("birch").code(park.now_s)) is Reason.ADMITTED
    await until(park, NOON + 3_600_000)
    assert not park.front.gate.stands_open
    assert (park.front.opened, park.rear.opened) == ([], [1])
    assert told(park) == [("front", True, "hours"), ("front", False, "hours")]
    assert park.charged_fen() == 0


@park
async def test_closed_comes_before_free(park: World) -> None:
    """A free day of a park that is closed: it stays shut. So it does while the clock is not sure."""
    await opened(park, free=(Hours(),), open=(Hours(start="13:00"),))
    await until(park, NOON)
    assert not park.front.gate.stands_open
    park.head.policies = Policies(passage_s=PASSAGE_S, max_uncertainty_s=1)
    await park.publish()
    park.clock.uncertainty_ms = 2_000
    await until(park, NOON + 3_600_000)
    assert not park.front.gate.stands_open
    park.clock.uncertainty_ms = 0
    await until(park, NOON + 3_660_000)
    assert park.front.gate.stands_open


@park
async def test_an_emergency(park: World) -> None:
    """One panel at one gate: every barrier that can stands open at once, and shuts when it is over."""
    await opened(park)
    park.rear.gate.signal(GateSignal.EMERGENCY_ON)
    await asyncio.sleep(0.1)
    assert (park.front.gate.stands_open, park.rear.gate.stands_open) == (True, False)
    await asyncio.sleep(1000)
    assert park.front.gate.stands_open
    park.rear.gate.signal(GateSignal.EMERGENCY_OFF)
    await asyncio.sleep(0.1)
    assert not park.front.gate.stands_open
    assert told(park) == [("front", True, "emergency"), ("front", False, "emergency")]


@park
async def test_an_emergency_outlasts_free_hours(park: World) -> None:
    """It stays open from one reason to the next, and each is written."""
    await opened(park, free=(Hours(start="12:00", end="13:00"),))
    await until(park, NOON)
    park.rear.gate.signal(GateSignal.EMERGENCY_ON)
    await until(park, NOON + 3_600_000)
    assert park.front.gate.stands_open
    park.rear.gate.signal(GateSignal.EMERGENCY_OFF)
    await asyncio.sleep(0.1)
    assert not park.front.gate.stands_open
    assert [why for _, _, why in told(park)] == ["hours", "emergency", "emergency"]


@park
async def test_ordered_by_a_person_it_stands_open_again_after_a_restart(park: World) -> None:
    """The journal remembers the order; nobody has to give it twice."""
    await opened(park)
    assert park.terminal is not None and park.terminal.commands is not None
    await park.terminal.commands.ask("7", "emergency", ["on", "smoke"])
    await asyncio.sleep(0.1)
    assert park.front.gate.stands_open
    await park.cut_power()
    park.front.gate.stands_open = False  # a board that lost its power
    await park.start()
    assert park.front.gate.stands_open
    await park.terminal.commands.ask("8", "emergency", ["off", "over"])
    await asyncio.sleep(0.1)
    assert not park.front.gate.stands_open


@park
async def test_a_gate_ends_its_own_emergency_and_no_other(park: World) -> None:
    """Neither another gate's nor a person's order, after a restart either; a person ends them all."""
    await opened(park)
    assert park.terminal is not None and park.terminal.commands is not None and park.terminal.site is not None
    for lane in (park.front, park.rear):
        lane.gate.signal(GateSignal.EMERGENCY_ON)
    park.front.gate.signal(GateSignal.EMERGENCY_OFF)
    await asyncio.sleep(0.1)
    assert park.terminal.site.emergency and park.front.gate.stands_open
    await park.terminal.commands.ask("7", "emergency", ["on", "smoke"])
    park.rear.gate.signal(GateSignal.EMERGENCY_OFF)
    await asyncio.sleep(0.1)
    assert park.terminal.site.emergency and park.front.gate.stands_open
    await park.restart()
    assert park.terminal.site.emergency
    park.rear.gate.signal(GateSignal.EMERGENCY_ON)
    await asyncio.sleep(0.1)
    assert (await park.terminal.commands.ask("8", "emergency", ["off", "a broken wire"])) == {"emergency": False}
    await asyncio.sleep(0.1)
    assert not park.front.gate.stands_open


@park
async def test_a_board_that_was_away_is_told_again(park: World) -> None:
    """Within a second or so of being back."""
    await opened(park)
    park.front.gate.plug(False)
    park.rear.gate.signal(GateSignal.EMERGENCY_ON)
    await asyncio.sleep(5)
    assert not park.front.gate.stands_open
    park.front.gate.plug(True)
    await asyncio.sleep(2)
    assert park.front.gate.stands_open


@park
async def test_on_a_full_disk_hours_wait_and_an_emergency_does_not(park: World) -> None:
    """By its hours nothing opens that is not written; who flees is let out, and the entry follows."""
    await opened(park, free=(Hours(start="12:00", end="13:00"),))
    await until(park, NOON - 1000)
    park.disk.full, park.network.up = True, False
    await until(park, NOON)
    assert not park.front.gate.stands_open
    park.rear.gate.signal(GateSignal.EMERGENCY_ON)
    await asyncio.sleep(0.1)
    assert park.front.gate.stands_open
    park.disk.full, park.network.up = False, True
    park.rear.gate.signal(GateSignal.EMERGENCY_OFF)
    await until(park, NOON + 120_000)
    assert park.front.gate.stands_open
    assert {one[1:] for one in told(park)} == {(True, "emergency"), (True, "hours")}
