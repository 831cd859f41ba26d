"""A library's kiosk for a browser: the real visit, the real pages, and hands that put cards and books down.

Laws of this file:
- Whatever is shown was said by the visit, and whatever is touched goes back to it; nothing is drawn for a test.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from terminal.console.touch import TouchScreen
from tests.core.visiting import Visiting


class Desk:
    """One kiosk before somebody."""

    def __init__(self, screen: TouchScreen) -> None:
        self.visiting = Visiting()
        self.touched = 0
        self._screen = screen

    async def do(self, what: Callable[[Visiting], Visiting]) -> None:
        """Hold out a card, put a book down; the page that follows is shown."""
        what(self.visiting)
        await self._screen.show(self.visiting.page)

    async def serve(self) -> None:
        """For ever: what is touched goes to the visit."""
        async for press, _ in self._screen.presses():
            self.touched += 1
            self.visiting.press(press.touch, press.of)
            await self._screen.show(self.visiting.page)


@asynccontextmanager
async def open_desk(screen: TouchScreen) -> AsyncIterator[Desk]:
    """Served until left."""
    desk = Desk(screen)
    await screen.show(desk.visiting.page)
    task = asyncio.create_task(desk.serve())
    try:
        yield desk
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
