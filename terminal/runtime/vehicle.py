"""Where the vehicle stands and who drives it: told by a driver, by a receiver, and remembered by the journal.

Laws of this file:
- One value says it all, replaced whole: `site.where`. A tap takes what stands there.
- What a person tells is written first and holds after a restart; what a receiver tells is not written: it tells it
  again in a second.
- A position that is nowhere near a stop of the line changes nothing.
"""

import msgspec

from terminal.core.ledger import SHIFT, Shift, Where
from terminal.core.route import Fix, stop_at
from terminal.ports import Positions
from terminal.runtime.site import Site


class Vehicle:
    """One vehicle, or one place that never moves."""

    def __init__(self, site: Site, where: Where, positions: Positions | None = None, radius_m: int = 60) -> None:
        self.positions = positions
        self._site = site
        self._home = where
        self._radius_m = radius_m
        shift = self.shift
        site.where = where if shift is None else msgspec.structs.replace(shift.where, vehicle=where.vehicle)

    @property
    def shift(self) -> Shift | None:
        """Who drives, by the journal."""
        kept = self._site.journal.ledgers((SHIFT,)).get(SHIFT)
        return None if kept is None else kept.shift

    def home(self) -> Where:
        """Where it stands while nobody drives it."""
        return self._home

    async def follow(self) -> None:
        """Keep the present stop, as positions come. Raises DeviceError."""
        assert self.positions is not None
        async for fix in self.positions.fixes():
            self.is_at(fix)

    def is_at(self, fix: Fix) -> None:
        """One position."""
        where = self._site.where
        line = self._site.parameters.tariff.lines.get(where.line)
        if line is None:
            return
        stop = stop_at(line, where.direction, fix, where.stop, self._radius_m)
        if stop != where.stop:
            self._site.where = msgspec.structs.replace(where, stop=stop)
