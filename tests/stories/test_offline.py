"""Without a network for days: nothing is lost, nothing counted twice, and today's tap does not wait for last week's.

The law: fresh entries go first, the backlog follows behind in order; head office ends up with exactly the journal.
"""

import asyncio

from simulators.phone import Phone
from terminal.core.entries import Decided, decode
from terminal.core.model import Reason
from tests.stories.world import World, bus

DAY_S = 86_400
RIDERS = 700  # more than one batch holds


@bus
async def test_after_days_offline_fresh_taps_arrive_first(bus: World) -> None:
    """A tap made after the network came back overtakes the backlog; in the end head office holds the journal, once."""
    await bus.settled()
    bus.network.up = False
    phones = [Phone(f"rider {number}") for number in range(20)]
    for number in range(RIDERS):
        await bus.front.show(phones[number % 20].code(bus.now_s))
        await asyncio.sleep(3 * DAY_S / RIDERS)
    before = len(bus.network.arrived)
    await bus.restart()
    await asyncio.sleep(1)
    bus.network.up = True
    fresh = Phone("this morning").code(bus.now_s)
    assert await bus.front.show(fresh) is Reason.PAID
    await bus.settled()
    arrived = [decode(data) for data in bus.network.arrived[before:]]
    grants = [entry for entry in arrived if isinstance(entry.fact, Decided)]
    newest = max(grants, key=lambda entry: entry.at.utc_ms)
    assert grants.index(newest) < RIDERS / 2
    rest = [entry.name.sequence for entry in grants if entry is not newest]
    assert rest == sorted(rest)
    status = bus.office.status()
    assert (status["records"], status["duplicates"]) == (len(bus.written()), 0)
    assert status["terminals"]["T1"]["missing"] == 0
    assert {entry.name for entry in arrived} <= {entry.name for entry in bus.written()}


@bus
async def test_lateness_is_visible(bus: World) -> None:
    """Rides that should have been paid long ago are counted as late."""
    bus.network.up = False
    await bus.front.show(Phone("amber").code(bus.now_s))
    await asyncio.sleep(DAY_S)
    bus.network.up = True
    await bus.settled()
    assert bus.terminal is not None and bus.terminal.uploader is not None
    assert bus.terminal.uploader.late == 1


@bus
async def test_an_old_disk_is_noticed_by_head_office(bus: World) -> None:
    """Yesterday's image comes back: a new epoch begins; no ride is double, none lost.

    What the terminal wrote before it could ask is set aside at head office: that it started, never a ride.
    """
    await bus.front.show(Phone("amber").code(bus.now_s))
    await bus.settled()
    image, receipts, known = list(bus.disk.stored), dict(bus.disk.receipted), bus.disk.committed_head
    await bus.front.show(Phone("birch").code(bus.now_s))
    await bus.settled()
    await bus.cut_power()
    bus.disk.stored, bus.disk.receipted, bus.disk.committed_head = image, receipts, known
    await bus.start()
    assert await bus.front.show(Phone("cedar").code(bus.now_s)) is Reason.PAID
    await bus.settled()
    status = bus.office.status()
    assert status["terminals"]["T1"]["epochs"] == 2
    assert status["duplicates"] == 0
    rides = bus.office.db.execute("SELECT count(*) FROM records WHERE kind = 'decision'").fetchone()[0]
    assert rides == 3
    aside = [decode(row[0]).fact for row in bus.office.db.execute("SELECT data FROM aside")]
    assert not any(isinstance(fact, Decided) for fact in aside)
