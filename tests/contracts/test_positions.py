"""The Positions port, over the real driver with a receiver at the far end of a paced pty, and over its simulator."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from random import Random

import pytest

from drivers.clock import SystemClock
from drivers.position import nmea
from simulators.clockwork import SimulatedClock, new_loop
from simulators.route import Receiver, SimulatedPositions
from simulators.route import Settings as RouteSettings
from terminal.core.route import Fix
from terminal.ports import DeviceError
from tests.waiting import until

HERE, THERE = (30_572_815, 104_066_801), (30_573_000, 104_067_000)


async def test_positions_come_from_the_line(tmp_path: Path) -> None:
    """Garbled sentences cost themselves; no fix is silence; the newest place is told."""
    receiver = Receiver(tmp_path / "ttyGnss", random=Random(5), garbled=200)
    receiver.wire.plug()
    reader = nmea.open(nmea.Settings(link=f"serial:{tmp_path / 'ttyGnss'}?baud=9600"), SystemClock())
    heard: list[Fix] = []

    async def listen() -> None:
        async for fix in reader.fixes():
            heard.append(fix)

    listening = asyncio.create_task(listen())
    await until(receiver.wire.is_open)
    await receiver.say(HERE)
    await receiver.say(None)
    while not heard or (heard[-1].lat_e6, heard[-1].lon_e6) != THERE:
        await receiver.say(THERE)
    listening.cancel()
    receiver.wire.unplug()
    assert {(fix.lat_e6, fix.lon_e6) for fix in heard} <= {HERE, THERE}


async def test_a_pulled_plug_is_a_device_error(tmp_path: Path) -> None:
    """Told at once, with what to look at; the next life of the line works."""
    receiver = Receiver(tmp_path / "ttyGnss", baud=115_200)
    reader = nmea.open(nmea.Settings(link=f"serial:{tmp_path / 'ttyGnss'}?baud=115200"), SystemClock())
    for _ in range(2):
        receiver.wire.plug()
        async with aclosing(reader.fixes()) as fixes:  # type: ignore[type-var]  # an async generator
            first = asyncio.ensure_future(anext(fixes))
            await until(receiver.wire.is_open)
            await receiver.say(HERE)
            assert (await first).lat_e6 == HERE[0]
            rest = asyncio.ensure_future(_drain(fixes))
            await asyncio.sleep(0)
            receiver.wire.unplug()
            with pytest.raises(DeviceError, match="the line is gone"):
                await rest


async def _drain(fixes: AsyncIterator[Fix]) -> None:
    async for _ in fixes:
        pass


async def test_no_such_line(tmp_path: Path) -> None:
    """A line that is not there is told, with what to try."""
    reader = nmea.open(nmea.Settings(link=f"serial:{tmp_path / 'nothing'}"), SystemClock())
    with pytest.raises(DeviceError, match="nothing"):
        async for _ in reader.fixes():
            pass


def test_the_simulated_route_on_the_loop_that_jumps() -> None:
    """A second a place, along the line."""

    async def ride() -> list[int]:
        positions = SimulatedPositions(RouteSettings(places=(HERE, THERE), stand_s=2, drive_s=4), SimulatedClock(0))
        seen = []
        async for fix in positions.fixes():
            seen.append(fix.lat_e6)
            if len(seen) == 7:
                break
        return seen

    loop = new_loop()
    seen = loop.run_until_complete(ride())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    assert seen == [HERE[0]] * 3 + [30_572_861, 30_572_908, 30_572_954, THERE[0]]
