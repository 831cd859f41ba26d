"""A console that serves, for tests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from drivers.clock import SystemClock
from terminal.console.rules import ConsoleRules
from terminal.console.screens import Screen
from terminal.console.server import Console
from terminal.console.touch import TouchScreen

WITHIN_S = 10.0


class Served:
    """A console, the screen of its one lane, and a kiosk."""

    def __init__(self, rules: ConsoleRules, terminal: str = "bus-1") -> None:
        self.console = Console(terminal, rules, SystemClock())
        self.screen: Screen = self.console.screen("bus/front", "fare")
        self.kiosk: TouchScreen = self.console.kiosk("desk")

    @property
    def address(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.console.port}"


@asynccontextmanager
async def served(terminal: str = "bus-1", **rules: object) -> AsyncIterator[Served]:
    """Serve on a free port until left."""
    made = ConsoleRules(**({"port": 0} | rules))  # type: ignore[arg-type]  # rules of any kind
    one = Served(made, terminal)
    task = asyncio.create_task(one.console.run())
    async with asyncio.timeout(WITHIN_S):
        while not one.console.port and not task.done():
            await asyncio.sleep(0.01)
    try:
        yield one
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
