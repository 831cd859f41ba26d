"""Forgets, a little at a time, what head office has signed for and nobody asks for any more.

Laws of this file:
- It never hurries: a few entries in one commit, then the taps have their turn.
- A clock that does not know the time forgets nothing by age.
"""

import asyncio
from contextlib import suppress

from terminal.core import history
from terminal.core.retention import RetentionRules, forget_before_ms
from terminal.ports import StoreFull
from terminal.runtime.journal import FULL_DISK_S
from terminal.runtime.site import Site

LOOK_S = 60.0
BREATH_S = 0.05  # between two commits


class Retention:
    """One journal's retention."""

    def __init__(self, site: Site, rules: RetentionRules, look_s: float = LOOK_S) -> None:
        self._site = site
        self._rules = rules
        self._look_s = look_s
        self.forgotten = 0

    async def run(self) -> None:
        """Look once a minute, until cancelled."""
        while True:
            gone = 0
            with suppress(StoreFull):  # receipts take what room there is; the next look tries again
                gone = await self.step()
            full = self._site.journal.is_full()
            await asyncio.sleep(BREATH_S if gone else FULL_DISK_S if full else self._look_s)

    async def step(self) -> int:
        """Forget some; how many. Raises StoreFull."""
        site, journal = self._site, self._site.journal
        now = site.now()
        if now.uncertainty_ms > site.parameters.policies.max_uncertainty_s * 1000:
            return 0
        oldest_ms = history.horizon_ms(site.parameters, now)
        before_ms = forget_before_ms(self._rules, now.utc_ms, oldest_ms, journal.size(), full=journal.is_full())
        gone = await journal.prune(before_ms)
        self.forgotten += gone
        return gone
