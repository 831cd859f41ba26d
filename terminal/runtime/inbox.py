"""What happens at a kiosk, in the order it happens, until the visit is ready to hear of it.

Laws of this file:
- Bounded: who hammers a button fills nothing. A pad that changes counts as it lies now, not as it lay meanwhile.
- A press counts only on a page that offers it, and only on the page it was made on; every other is dropped.
"""

import asyncio
from collections import deque

from terminal.core.screen import Page, Touch
from terminal.core.visit import Event, Laid, Pressed

MOST = 32  # events that wait; more are dropped, the newest first


class Inbox:
    """One kiosk's events."""

    def __init__(self) -> None:
        self.dropped = 0
        self._events: deque[Event] = deque()
        self._news = asyncio.Event()
        self._woken = False

    def wake(self) -> None:
        """Let whoever waits go on as if its time were over: something else has to be shown."""
        self._woken = True
        self._news.set()

    def put(self, event: Event) -> None:
        """Something happened."""
        if isinstance(event, Laid):
            self._events = deque(one for one in self._events if not isinstance(one, Laid))
        elif len(self._events) >= MOST:
            self.dropped += 1
            return
        self._events.append(event)
        self._news.set()

    def cut(self) -> None:
        """Another page comes: what was pressed until now was not pressed on it. Ending is never wrong, and stays."""
        self._events = deque(
            one for one in self._events if not isinstance(one, Pressed) or one.press.touch is Touch.DONE
        )

    async def next(self, page: Page, wait_s: float | None) -> Event | None:
        """The next event that counts on this page; None: nothing for so long."""
        try:
            async with asyncio.timeout(wait_s):
                while True:
                    event = self._taken(page)
                    if event is not None or self._woken:
                        self._woken = False
                        return event
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            return self._taken(page)

    def _taken(self, page: Page) -> Event | None:
        while self._events:
            event = self._events.popleft()
            if not isinstance(event, Pressed) or page.offers(event.press):
                return event
            self.dropped += 1
        return None
