"""Somebody sets the clock of a running terminal, and between its reboots: real process, real journal, kill -9.

The law: the floor is on the disk. What was expired stays expired, what was used stays used, and who holds out a fresh
code is let on, whatever the clock says.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from simulators.phone import Phone
from terminal.cli import exit_codes
from tests.rigs.outside import Outside, Tap, TerminalProcess
from tests.waiting import until

OLD_S = 300  # a code of then has expired
YEARS_MS = 10 * 8766 * 3_600_000


class Clocked:
    """A bus whose clock is in a file."""

    def __init__(self, place: Path, plant: str) -> None:
        self.outside = Outside(place, place / "state")
        self.clock, self._place, self._plant = place / "clock", place, plant
        self.terminal: TerminalProcess
        self._riders = 0

    async def open(self) -> None:
        """Everything outside, and the terminal on a right clock."""
        config = await self.outside.build()
        self.terminal = TerminalProcess(config, self._place / "state", self._place / "terminal.log")
        module = ("tests.set_clock", str(self.clock), self._plant)
        self.terminal.command = (sys.executable, "-m", *module, "run", str(config))
        await self.on(0)

    async def on(self, wrong_ms: int) -> None:
        """Switch it on, with a clock that is so wrong."""
        self.turn(wrong_ms)
        await self.terminal.start()
        assert await self.terminal.ready()

    def turn(self, wrong_ms: int) -> None:
        """Set its clock."""
        part = self.clock.with_suffix(".part")
        part.write_text(str(wrong_ms))
        part.replace(self.clock)

    async def off(self) -> None:
        """kill -9."""
        self.terminal.kill()
        await self.terminal.gone()

    async def close(self) -> None:
        """Whatever is left."""
        if self.terminal.process is not None and self.terminal.process.returncode is None:
            await self.off()
        await self.outside.close()

    async def show(self, code: bytes) -> str:
        """Hold out a code until it is answered (what waits too long on a busy machine is dropped): what was decided."""
        door, before = self.outside.doors[0], len(self.reasons())
        for _ in range(3):
            door.taps.append(Tap(door.name, await door.scan.show(code)))
            with suppress(TimeoutError):
                await until(lambda: len(self.reasons()) > before, 5.0)
                break
        await asyncio.sleep(0.1)  # between two people
        return self.reasons()[before]

    async def shows(self, from_s: float = 0.0) -> str:
        """Somebody new holds out a code made so many seconds from now."""
        self._riders += 1
        return await self.show(Phone(f"clock {self._riders}").code(int(time.time() + from_s)))

    def reasons(self) -> list[str]:
        """Of every decision since it was switched on."""
        return [str(line["reason"]) for line in self.terminal.lines() if line.get("event") == "decided"]

    def alarms(self) -> set[str]:
        """The kinds told since it was switched on."""
        return {str(line["kind"]) for line in self.terminal.lines() if line.get("event") == "alarm"}


@pytest.fixture
async def bus(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Clocked]:
    """With the planted bug where the test asks for it."""
    made = Clocked(tmp_path, getattr(request, "param", "none"))
    await made.open()
    try:
        yield made
    finally:
        await made.close()


async def test_the_clock_is_set_while_it_runs_and_between_reboots(bus: Clocked, tmp_path: Path) -> None:
    """Back by minutes and by years: told, flagged, and nothing old is fresh again."""
    code = Phone("amber").code(int(time.time()))
    assert await bus.show(code) == "paid"
    assert await bus.shows(-OLD_S) == "code_expired"
    for wrong_ms in (-OLD_S * 1000, -YEARS_MS):
        bus.turn(wrong_ms)
        await until(lambda: "clock_behind" in bus.alarms())
        assert await bus.shows(-OLD_S) == "code_expired"
        assert await bus.shows() == "paid"
        await bus.off()
        await bus.on(wrong_ms)
        assert await bus.shows(-OLD_S) == "code_expired"
        assert await bus.show(code) == "already_paid"
        assert await bus.shows() == "paid"
        await until(lambda: "clock_behind" in bus.alarms())
        bus.turn(0)
        await until(lambda: "clock_jumped" in bus.alarms())
        assert await bus.shows() == "paid"
        await bus.off()
        await bus.on(0)
    assert await bus.terminal.stop() == exit_codes.OK
    command = (sys.executable, "-m", "terminal", "journal", "show", "--json", str(tmp_path / "state" / "journal"))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    shown, _ = await process.communicate()
    times = [json.loads(line)["at"] for line in shown.splitlines()]
    assert [at["utc_ms"] for at in times] == sorted(at["utc_ms"] for at in times)
    assert {"floor", "system"} == {at["source"] for at in times}


@pytest.mark.parametrize("bus", ["any clock"], indirect=True)
async def test_a_terminal_that_believes_any_clock_is_noticed(bus: Clocked) -> None:
    """The planted bug: an old code is fresh again, while it runs and after a reboot."""
    assert await bus.shows(-OLD_S) == "code_expired"
    bus.turn(-OLD_S * 1000)
    assert await bus.shows(-OLD_S) == "paid"
    await bus.off()
    await bus.on(-OLD_S * 1000)
    assert await bus.shows(-OLD_S) == "paid"
