"""The Indicator port, in memory and over lamps on a real board's coils; the far end's coils are the proof."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from drivers.clock import SystemClock
from drivers.gate import modbus
from drivers.gate.lamp import COLOUR, TONES, LampWiring, ModbusLamp
from drivers.indicator import memory
from simulators.gate import Board
from terminal.core.model import Reason
from terminal.core.phrases import Display, Light, Tone
from terminal.ports import DeviceError, Indicator
from tests.waiting import until

WIRING = LampWiring(green=1, amber=2, red=3, blue=4, buzzer=5, show_ms=400)


def shown(light: Light, tone: Tone = Tone.SILENT) -> Display:
    """Something to show."""
    return Display(reason=Reason.PAID, zh="请通行", en="Pass", tone=tone, light=light)


class Lamps:
    """Lamps on a board, and every change the far end saw: coil, on."""

    def __init__(self, board: Board, indicator: Indicator) -> None:
        self.board, self.indicator = board, indicator
        self.changes: list[tuple[int, bool]] = []
        board.on_coil = lambda number, on, at_ns: self.changes.append((number, on))

    def is_showing(self) -> bool:
        """Whether the last showing still goes on."""
        assert isinstance(self.indicator, ModbusLamp)
        return self.indicator._playing is not None and not self.indicator._playing.done()

    def lit(self) -> list[int]:
        """The coils that are on."""
        return [number for number, on in enumerate(self.board.coils) if on]


@contextlib.asynccontextmanager
async def lamps(tmp_path: Path) -> AsyncIterator[Lamps]:
    """A board with lamps at the far end of a pty, connected."""
    board = Board()
    await board.serve_serial(tmp_path / "ttyLamp")
    driver = modbus.open(modbus.Settings(link=f"serial:{tmp_path / 'ttyLamp'}?baud=115200"), SystemClock())
    task = asyncio.create_task(driver.run())
    await until(lambda: driver.connected)
    try:
        yield Lamps(board, driver.lamp(WIRING))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await board.close()


async def test_a_light_goes_on_and_out(tmp_path: Path) -> None:
    """The colour of the phrase is lit at once and goes out by itself."""
    async with lamps(tmp_path) as rig:
        await rig.indicator.show(shown(Light.GREEN))
        await until(lambda: len(rig.changes) == 2)
        assert rig.changes == [(1, True), (1, False)]
        assert rig.lit() == []


async def test_a_new_showing_replaces_the_old(tmp_path: Path) -> None:
    """Showing red puts green out; only red is lit."""
    async with lamps(tmp_path) as rig:
        await rig.indicator.show(shown(Light.GREEN))
        await until(lambda: rig.lit() == [1])
        await rig.indicator.show(shown(Light.RED_STEADY))
        await until(lambda: rig.lit() == [3])


async def test_showings_in_a_rush_leave_only_the_last(tmp_path: Path) -> None:
    """Twenty showings in a row, each given up for the next: the last is lit, the buzzer is silent."""
    async with lamps(tmp_path) as rig:
        for number in range(20):
            await rig.indicator.show(shown(Light.GREEN if number % 2 else Light.AMBER, Tone.STOP))
            await asyncio.sleep(0.003)
        await rig.indicator.show(shown(Light.RED_STEADY))
        await until(lambda: rig.lit() == [3])
        await asyncio.sleep(0.8)  # and nothing that was given up comes after it
        assert rig.lit() == [3]


async def test_blinking_blinks(tmp_path: Path) -> None:
    """A blinking light goes on and off while it is shown, and ends dark."""
    async with lamps(tmp_path) as rig:
        await rig.indicator.show(shown(Light.AMBER_BLINK))
        await until(lambda: not rig.is_showing())
        assert rig.changes[:2] == [(2, True), (2, False)]
        assert rig.lit() == []


async def test_stop_is_one_long_tone_and_again_is_two_short(tmp_path: Path) -> None:
    """Tones differ so that a person who cannot see the lamp can tell them apart."""
    async with lamps(tmp_path) as rig:
        for tone, beeps in ((Tone.STOP, 1), (Tone.AGAIN, 2)):
            rig.changes.clear()
            await rig.indicator.show(shown(Light.RED, tone))
            await until(lambda: not rig.is_showing())
            assert rig.changes.count((5, True)) == rig.changes.count((5, False)) == beeps


async def test_showing_holds_nobody_up(tmp_path: Path) -> None:
    """`show` is back before the lamp is lit: a lane does not wait for a lamp."""
    async with lamps(tmp_path) as rig:
        await rig.indicator.show(shown(Light.GREEN, Tone.STOP))
        assert rig.changes == [] and rig.is_showing()


async def test_lost_board_is_told(tmp_path: Path) -> None:
    """A lamp whose board is not connected says so with a hint, at once."""
    driver = modbus.open(modbus.Settings(link=f"serial:{tmp_path / 'nothing'}"), SystemClock())
    with pytest.raises(DeviceError) as caught:
        await driver.lamp(WIRING).show(shown(Light.GREEN))
    assert "plug" in caught.value.hint


def test_every_light_has_a_colour_and_every_tone_a_pattern() -> None:
    """No phrase can name a light or a tone that the board's lamp does not know."""
    assert set(COLOUR) == set(Light)
    assert set(TONES) == set(Tone)


async def test_memory_keeps_the_last_and_tells_watchers() -> None:
    """In memory: the last display is kept; a slow watcher loses the oldest, never holds up the lane."""
    indicator = memory.open(memory.Settings(), SystemClock())
    assert isinstance(indicator, memory.MemoryIndicator)
    watcher = indicator.watch()
    for _ in range(memory.BACKLOG):
        await indicator.show(shown(Light.GREEN))
    await indicator.show(shown(Light.RED))
    assert indicator.shown == shown(Light.RED)
    seen = [watcher.get_nowait() for _ in range(watcher.qsize())]
    assert len(seen) == memory.BACKLOG and seen[-1] == shown(Light.RED)
    indicator.unwatch(watcher)
    await indicator.show(shown(Light.GREEN))
    assert watcher.empty()
