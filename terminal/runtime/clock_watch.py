"""Notices a clock that jumps, or that stands behind the journal, and has a person told.

Laws of this file:
- A jump is what the system's clock did beside CLOCK_MONOTONIC between two looks; a clock being slewed does not jump.
- A clock behind the journal is told once, and again only after it was right in between.
- A clock that jumps all the time is told once a minute: no circle fills the journal.
- Nothing waits by the system's clock, so nothing here is needed to go on; it is needed to be mended.
"""

import asyncio
from collections.abc import Callable

from terminal.core.model import Reading
from terminal.ports import Clock
from terminal.runtime.journal import Journal

LOOK_S = 1.0
JUMP_MS = 2000  # NTP slews what is less
BEHIND_MS = 2000
AGAIN_NS = 60_000_000_000

Tell = Callable[[str, str], None]


class ClockWatch:
    """Looks at the clock once a second, or as often as it is told."""

    def __init__(self, clock: Clock, journal: Journal, on_alarm: Tell, every_s: float = LOOK_S) -> None:
        self._every_s = every_s
        self._clock = clock
        self._journal = journal
        self._on_alarm = on_alarm
        self._last: Reading | None = None
        self._told_ns: dict[str, int] = {}
        self._behind = False

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.look(self._clock.read())
            await asyncio.sleep(self._every_s)

    def look(self, now: Reading) -> None:
        """One look; tells what it sees."""
        last, self._last = self._last or now, now
        by_ms, behind_ms = jump_ms(last, now), self._journal.behind_ms(now)
        if abs(by_ms) >= JUMP_MS:
            self._tell("clock_jumped", f"the clock jumped by {by_ms / 1000:+.0f} s", now)
        if behind_ms < BEHIND_MS:
            self._behind = False
        elif not self._behind:
            detail = f"the clock stands {behind_ms // 1000} s behind the journal"
            self._behind = self._tell("clock_behind", detail, now)

    def _tell(self, kind: str, detail: str, now: Reading) -> bool:
        """Tell it, unless the same was told within a minute."""
        told = now.monotonic_ns - self._told_ns.get(kind, now.monotonic_ns - AGAIN_NS) >= AGAIN_NS
        if told:
            self._told_ns[kind] = now.monotonic_ns
            self._on_alarm(kind, detail)
        return told


def jump_ms(last: Reading, now: Reading) -> int:
    """By how much the system's clock moved beside CLOCK_MONOTONIC between two readings."""
    return now.utc_ms - last.utc_ms - (now.monotonic_ns - last.monotonic_ns) // 1_000_000
