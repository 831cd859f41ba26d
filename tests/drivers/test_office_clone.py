"""One key in two boards: somebody copied it, and both upload under one name."""

from contextlib import AsyncExitStack
from pathlib import Path

from simulators.store import Disk
from tests import office_cases
from tests.office_cases import TERMINAL, Keys, Site


async def test_a_copied_key_is_seen_by_head_office_and_told_by_the_terminal(tmp_path: Path) -> None:
    """Two beginnings of one terminal: head office counts a fork and keeps both; the older board hears of it."""
    async with AsyncExitStack() as stack:
        keys = Keys(tmp_path)
        server, port = await office_cases.serve(keys)
        stack.push_async_callback(server.stop)
        disk = Disk(latency_s=0.0001)
        first = Site(keys.office, keys.driver(port), disk=disk)
        await first.write(5)
        assert await first.upload()
        assert server.office.status()["forks"] == 0
        await first.close()
        stolen = Site(keys.office, keys.driver(port), disk=Disk(seed=9, latency_s=0.0001))
        stack.push_async_callback(stolen.close)
        await stolen.write(7, first=100)
        assert await stolen.upload()
        assert server.office.status()["forks"] == 1
        again = Site(keys.office, keys.driver(port), disk=disk)
        stack.push_async_callback(again.close)
        await again.write(1, first=200)
        assert await again.upload()
        assert "new_epoch" in stolen.alarms() + again.alarms()
        status = server.office.status()
        assert (status["duplicates"], status["aside"]) == (0, 0)
        assert status["records"] == len(again.disk.stored) + len(stolen.disk.stored)
        assert list(status["terminals"]) == [TERMINAL]
