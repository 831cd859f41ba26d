"""Barriers that stand open: by the site's hours, and while an emergency lasts.

Laws of this file:
- By its hours a barrier opens once the entry that says so is written. In an emergency it opens first: nobody waits
  for a disk, and the entry follows.
- Hours are whole minutes; an emergency is heard at once. A board that could not be told is told again.
- A barrier shuts again when its reason is over, or the terminal stops. Fire release itself is a wire, not this file.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from terminal.core.entries import StoodOpen
from terminal.core.services.admission import stands_open
from terminal.ports import DeviceError
from terminal.runtime.lane import Lane
from terminal.runtime.site import Site

MINUTE_MS = 60_000
AGAIN_S = 1.0

log = logging.getLogger(__name__)


class StandingOpen:
    """Every barrier of a terminal that can be left open."""

    def __init__(self, site: Site, lanes: Sequence[Lane]) -> None:
        self._site = site
        self._lanes = [lane for lane in lanes if lane.can_stand_open]
        self._why: dict[str, str] = {}  # lane → why it stands open
        self._told: dict[str, bool] = {}  # what its board heard last

    async def run(self) -> None:
        """Follow hours and emergencies for ever; at once over where no barrier can be left open."""
        while self._lanes:
            self._site.stirred.clear()
            for lane in self._lanes:
                await self._follow(lane)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._rest_s()):
                    await self._site.stirred.wait()

    def _wanted(self, lane: Lane) -> str:
        if self._site.emergency:
            return "emergency"
        return "hours" if stands_open(self._site.parameters, lane.rules.zone, self._site.now()) else ""

    async def _follow(self, lane: Lane) -> None:
        name, wanted = lane.rules.name, self._wanted(lane)
        before, self._why[name] = self._why.get(name, ""), wanted
        if wanted == "emergency":
            await self._tell(lane, True)
        if wanted != before:
            at, fact = self._site.now(), StoodOpen(lane=name, on=bool(wanted), why=wanted or before)
            if wanted == "hours" and not await self._site.journal.written(fact, at):
                self._why[name] = before  # no room for it: as it was, until the next minute
                return
            if wanted != "hours":
                await lane.write(fact, at)
        await self._tell(lane, bool(wanted))

    async def _tell(self, lane: Lane, is_open: bool) -> None:
        name = lane.rules.name
        if self._told.get(name, False) is is_open:
            return
        try:
            await lane.stand_open(is_open)
            self._told[name] = is_open
        except DeviceError as error:
            log.warning("barrier", extra={"lane": name, "what": error.what, "hint": error.hint})

    def _rest_s(self) -> float:
        """Until the next whole minute; a second where a board has not heard yet."""
        if any(self._told.get(name, False) is not bool(why) for name, why in self._why.items()):
            return AGAIN_S
        return (MINUTE_MS - self._site.now().utc_ms % MINUTE_MS) / 1000
