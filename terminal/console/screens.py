"""The newest picture of each lane, for whoever looks.

Laws of this file:
- `show` keeps and returns: it waits for nobody. A looker that comes late gets the newest state, never a queue.
- A picture grows old here, not in the browser: one that reconnects is not shown what is over.
"""

import asyncio
from abc import ABC, abstractmethod
from typing import Any

import msgspec

from terminal.console.picture import Picture, picture_of, prompt
from terminal.core.phrases import Display
from terminal.ports import Clock


class Newest(ABC):
    """What has a newest version to wait for."""

    def __init__(self) -> None:
        self.version = 1
        self._changed = asyncio.Event()

    async def newer(self, than: int) -> int:
        """Wait until there is a newer version than this; its number."""
        while self.version == than:
            await self._changed.wait()
        return self.version

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Everything the page draws."""

    def changed(self) -> None:
        """There is a newer one."""
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()


class Screen(Newest):
    """One lane's screen: the Indicator port, and what browsers wait for."""

    def __init__(self, lane: str, service: str, clock: Clock) -> None:
        super().__init__()
        self.lane, self.service = lane, service
        self._clock = clock
        self._shown: Picture | None = None
        self._shown_s = 0.0
        self._number = 0
        self._rest = prompt(service)

    async def show(self, display: Display) -> None:
        """See the Indicator port. Returns at once."""
        self._shown, self._shown_s = picture_of(display), self._clock.monotonic_s()
        self._number += 1
        self.changed()

    def rest(self, picture: Picture) -> None:
        """What the lane shows while nobody is there."""
        if picture != self._rest:
            self._rest = picture
            self.changed()

    def state(self) -> dict[str, Any]:
        """What was told last, for how much longer, and what it falls back to."""
        shown = self._shown
        age_s = self._clock.monotonic_s() - self._shown_s
        return {
            "number": self._number,
            "shown": None if shown is None else msgspec.to_builtins(shown),
            "left_ms": 0 if shown is None else max(0, round((shown.stays_s - age_s) * 1000)),
            "rest": msgspec.to_builtins(self._rest),
        }
