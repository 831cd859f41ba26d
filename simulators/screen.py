"""A kiosk's screen in memory, at the port itself: for simulated days and stories.

Laws of this file:
- No wire and no thread: a jumping loop may run it. A finger touches what it likes, offered or not.
"""

import asyncio
from collections.abc import AsyncIterator

from terminal.core.model import Reading
from terminal.core.screen import Page, Press, Touch
from terminal.ports import Clock


class MemoryScreen:
    """The Screen port; `touch` is a finger."""

    def __init__(self, clock: Clock) -> None:
        self.pages: list[Page] = []
        self._clock = clock
        self._presses: asyncio.Queue[tuple[Press, Reading]] | None = None

    async def show(self, page: Page) -> None:
        """See the port."""
        self.pages.append(page)

    def touch(self, touch: Touch, of: str = "") -> None:
        """Touch a button, whether the page offers it or not."""
        if self._presses is not None:
            self._presses.put_nowait((Press(touch=touch, of=of), self._clock.read()))

    async def presses(self) -> AsyncIterator[tuple[Press, Reading]]:
        """See the port."""
        presses = self._presses = asyncio.Queue()
        while True:
            yield await presses.get()
