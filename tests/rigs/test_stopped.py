"""The whole terminal stands still for a while: stopped, suspended, or starved of its processor."""

import asyncio
import os
import signal
from pathlib import Path

from tests.rigs.outside import Outside, TerminalProcess

STOPPED_S = 3.0  # longer than the reader believes in one wait; a suspended machine's minutes look the same to it


async def test_a_terminal_that_stood_still_opens_for_nobody_who_left(tmp_path: Path) -> None:
    """Held out while it is stopped, or just before: the gate never opens late, and whoever comes next is let on."""
    outside = Outside(tmp_path, tmp_path / "state")
    terminal = TerminalProcess(await outside.build(), tmp_path / "state", tmp_path / "terminal.log")
    try:
        await terminal.start()
        assert await terminal.ready()
        assert await outside.let_on(outside.doors[0])
        for moment_s in (0.0, 0.002, 0.005):  # before the code, and in the middle of its tap
            assert terminal.process is not None
            left = await stopped(outside, terminal.process.pid, moment_s)
            assert left is None or left < STOPPED_S / 2, "a gate opened long after the code was held out"
            assert await outside.let_on(outside.doors[0])
        assert await terminal.stop() == 0
    finally:
        if terminal.process is not None and terminal.process.returncode is None:
            os.kill(terminal.process.pid, signal.SIGCONT)
            terminal.kill()
            await terminal.gone()
        await outside.close()


async def stopped(outside: Outside, pid: int, moment_s: float) -> float | None:
    """Somebody holds out a code while the terminal is stopped, or so long before; after how many seconds it opened."""
    door = outside.doors[0]
    if not moment_s:
        os.kill(pid, signal.SIGSTOP)
    tap = await outside.tap(door)
    if moment_s:
        await asyncio.sleep(moment_s)
        os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(STOPPED_S)
    os.kill(pid, signal.SIGCONT)
    await outside.answered(door, 2.0)
    return None if tap.opened_ns is None else (tap.opened_ns - tap.shown_ns) / 1e9
