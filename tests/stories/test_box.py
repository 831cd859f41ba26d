"""The terminal's own box is opened: told at once, and nothing else changes for whoever rides, or rode.

The law: an opening is an entry that overtakes the backlog; head office marks the key; no record is forgotten for it.
"""

import asyncio

from simulators.office_findings import boxes_opened
from simulators.phone import Phone
from terminal.core.entries import Alarm, Decided, decode
from terminal.core.model import Reason
from tests.stories.world import World, bus


def told(world: World) -> list[str]:
    """What was told of the box, in order."""
    return [fact.kind for fact in world.facts(Alarm) if fact.kind.startswith("box_")]


def says(world: World) -> object:
    """What the status says of it."""
    assert world.terminal is not None
    return world.terminal.status()["box"]


@bus
async def test_the_box_is_opened_and_head_office_hears_of_it_before_the_backlog(bus: World) -> None:
    """With a backlog of days: the newest first, and among them that the box was opened. Everything arrives, once."""
    await bus.front.show(Phone("acknowledged").code(bus.now_s))
    await bus.settled()
    signed = dict(bus.disk.receipted)
    bus.network.up = False
    for number in range(600):  # more than one batch holds
        await bus.front.show(Phone(f"rider {number}").code(bus.now_s))
        await asyncio.sleep(200)
    await bus.restart()
    bus.lid.lift()
    await asyncio.sleep(1)
    assert (told(bus), says(bus)) == (["box_opened"], "open")
    assert await bus.front.show(Phone("meanwhile").code(bus.now_s)) is Reason.PAID
    assert boxes_opened(bus.office.db) == ()
    before = len(bus.network.arrived)
    bus.network.up = True
    await bus.settled()
    arrived = [decode(data).fact for data in bus.network.arrived[before:]]
    alarm = next(n for n, fact in enumerate(arrived) if isinstance(fact, Alarm) and fact.kind == "box_opened")
    rides = [n for n, fact in enumerate(arrived) if isinstance(fact, Decided)]
    assert len(rides) == 601 and sum(n < alarm for n in rides) < 300
    assert boxes_opened(bus.office.db) == ("T1",)
    assert signed.items() <= bus.disk.receipted.items()
    status = bus.office.status()
    assert (status["records"], status["duplicates"]) == (len(bus.written()), 0)


@bus
async def test_a_lid_that_rattles_fills_no_journal(bus: World) -> None:
    """Every second for ten minutes: an opening is told at once, its end once it stayed shut for a minute."""
    for _ in range(600):
        bus.lid.lift()
        await asyncio.sleep(0.5)
        bus.lid.put_on()
        await asyncio.sleep(0.5)
    assert told(bus) == ["box_opened"] and says(bus) == "open"
    await asyncio.sleep(61)
    assert told(bus) == ["box_opened", "box_shut"] and says(bus) == "shut"
    bus.lid.lift()
    bus.lid.put_on()
    await asyncio.sleep(1)
    assert told(bus) == ["box_opened", "box_shut", "box_opened"]


@bus
async def test_a_box_that_stands_open_at_the_start_is_told(bus: World) -> None:
    """Opened while the power was off."""
    await bus.cut_power()
    bus.lid.lift()
    await bus.start()
    assert told(bus) == ["box_opened"]
