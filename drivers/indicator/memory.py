"""An indicator in memory: what a screen would show, for whoever draws it.

Laws of this file:
- The last display is kept; watchers are told of each one, and a slow watcher loses old ones, never the lane.
"""

import asyncio

from terminal.core.model import Value
from terminal.core.phrases import Display
from terminal.ports import Clock, Indicator

BACKLOG = 16


class Settings(Value, frozen=True):
    """`[[lanes.NAME.indicators]]` with `driver = "indicator.memory"`: nothing to set."""


def open(settings: Settings, clock: Clock) -> Indicator:
    """An indicator that keeps what it was told."""
    return MemoryIndicator()


class MemoryIndicator:
    """The Indicator port in memory."""

    def __init__(self) -> None:
        self.shown: Display | None = None
        self._watchers: set[asyncio.Queue[Display]] = set()

    async def show(self, display: Display) -> None:
        """See the port."""
        self.shown = display
        for watcher in self._watchers:
            if watcher.full():
                watcher.get_nowait()
            watcher.put_nowait(display)

    def watch(self) -> "asyncio.Queue[Display]":
        """A queue of displays from now on; hand it to `unwatch` when done."""
        watcher: asyncio.Queue[Display] = asyncio.Queue(BACKLOG)
        self._watchers.add(watcher)
        return watcher

    def unwatch(self, watcher: "asyncio.Queue[Display]") -> None:
        """Stop telling this one."""
        self._watchers.discard(watcher)
