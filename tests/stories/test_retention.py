"""The journal stays small by itself: what head office has signed for goes in its time, and nothing else does."""

import asyncio

from simulators.phone import Phone
from terminal.core.model import Reason
from terminal.core.retention import DAY_MS
from tests.stories.world import World, bus


async def ride(bus: World, who: str) -> None:
    """Somebody boards; head office hears of it where it can be reached."""
    assert await bus.front.show(Phone(who).code(bus.now_s)) is Reason.PAID
    await asyncio.sleep(2)


@bus
async def test_thirty_five_days_later(bus: World) -> None:
    """Receipted entries stay thirty-five days; an anchor stands for them then, and the chain goes on behind it."""
    await ride(bus, "first")
    await bus.settled()
    written = len(bus.written())
    bus.clock.error_ms = 34 * DAY_MS
    await asyncio.sleep(130)
    assert not bus.disk.pruned.row
    bus.clock.error_ms = 36 * DAY_MS
    await asyncio.sleep(130)
    assert bus.disk.pruned.row == written
    await bus.restart()
    assert bus.written()[-1].name.epoch == bus.disk.pruned.name.epoch
    assert bus.office.status()["records"] >= written


@bus
async def test_what_head_office_does_not_hold_stays_for_ever(bus: World) -> None:
    """However old it is, and whatever the size."""
    await bus.settled()
    held = len(bus.written())
    bus.network.up = False
    await ride(bus, "nobody heard of")
    bus.clock.error_ms = 400 * DAY_MS
    await asyncio.sleep(130)
    assert bus.disk.pruned.row == held


@bus
async def test_a_clock_that_does_not_know_the_time_forgets_nothing(bus: World) -> None:
    """A dead clock that wakes up far in the future says it is unsure."""
    await ride(bus, "first")
    await bus.settled()
    bus.clock.error_ms, bus.clock.uncertainty_ms = 400 * DAY_MS, 3_600_000
    await asyncio.sleep(130)
    assert not bus.disk.pruned.row


@bus
async def test_a_full_disk_makes_room(bus: World) -> None:
    """What head office holds goes at once; what history may still ask for stays, so no code rides twice."""
    await ride(bus, "early")
    bus.clock.error_ms = DAY_MS
    code = Phone("late").code(bus.now_s + DAY_MS // 1000)
    assert await bus.front.show(code) is Reason.PAID
    await bus.settled()
    early = len(bus.written())
    bus.disk.full = True
    assert bus.terminal is not None and bus.terminal.status()["journal"]["full"]
    await asyncio.sleep(70)
    bus.disk.full = False
    assert not bus.terminal.status()["journal"]["full"]
    assert 0 < bus.disk.pruned.row < early
    await asyncio.sleep(20)
    assert await bus.rear.show(code) is not Reason.PAID
