"""A disk restored over night: yesterday's image is in its place, and head office knows more than it.

Laws of this file:
- The image is a whole journal that head office holds; what was written behind it yesterday is nowhere but there.
- The terminal begins its day without a network and is started again before it meets head office. How much of yesterday
  head office holds is settled only then, so that the edges of it lie where they hurt: at the terminal's last entry
  before the start, or before what overtook a backlog.
"""

import asyncio
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from terminal.core import batch
from terminal.core.entries import NOTHING as NO_ENTRY
from terminal.core.entries import Commanded, Draft, Fact, StoredEntry, begin_epoch, decode, link
from terminal.core.model import EntryName, Instant
from tests.days.record import Committed

if TYPE_CHECKING:
    from tests.days.world import World

IMAGE = 12  # entries
DISK_RESTORED = "disk restored"
LONGEST_BATCH = 200


class Yesterday:
    """An image on the disk; more of the same chain for head office."""

    def __init__(self, world: "World", terminal: str, at: Instant, random: Random) -> None:
        self._world = world
        self._terminal = terminal
        self._at = at
        self._random = random
        start, first = begin_epoch(NO_ENTRY, random.randbytes(8), "first start", at)
        image = self._chain(start.name, start.hash, [first.fact, *self._orders(IMAGE)])
        world.disk.stored = list(image)
        world.disk.receipted = {one.row: "" for one in image}
        world.disk.committed_head = image[-1].name, image[-1].hash
        for one in image:
            world.tell(Committed(at.utc_ms, decode(one.data), one.hash))
        self._last = image[-1]
        self._give(image)

    async def come_back(self, stop: Callable[[], bool]) -> None:
        """The day's trouble: no network, a start, and only then head office."""
        world, random = self._world, self._random
        world.office.is_cut_off = True
        await asyncio.sleep(random.uniform(600, 7200))
        while not stop():
            await asyncio.sleep(30)
        while world.disk.holder is not None:
            await asyncio.sleep(0.05)
        ours = world.disk.stored[-1].name.sequence
        self._settle(ours)
        while world.disk.stored[-1].name.sequence == ours:
            await asyncio.sleep(1)
        world.office.is_cut_off = False
        world.troubles[DISK_RESTORED] += 1

    def _settle(self, ours: int) -> None:
        """What head office has held since yesterday, seen from the last entry of ours."""
        random, ended = self._random, self._last.name.sequence
        written = self._chain(self._last.name, self._last.hash, self._orders(ours + 40 - ended))
        match random.randrange(3):
            case 0:  # exactly as far as we are: our next entry finds a neighbour that is not ours
                held = written[: ours - ended]
            case 1:  # a backlog was overtaken: so does our entry before its other end
                held = written[random.randrange(1, ours - ended + 1) :]
            case _:
                held = written[: random.randrange(1, len(written))]
        self._world.recorded.yesterday |= {(one.name, one.hash) for one in held}
        self._give(held)

    def _give(self, run: list[StoredEntry]) -> None:
        self._world.head_office.capricious = False
        for begin in range(0, len(run), LONGEST_BATCH):
            piece = batch.cut(self._terminal, run[begin : begin + LONGEST_BATCH])
            self._world.head_office.receive(self._terminal, batch.encode(piece))

    def _orders(self, count: int) -> list[Fact]:
        return [Commanded(who="yesterday", what=f"number {self._random.getrandbits(32)}") for _ in range(count)]

    def _chain(self, name: EntryName, digest: bytes, facts: list[Fact]) -> list[StoredEntry]:
        """Entries behind this one."""
        run: list[StoredEntry] = []
        for fact in facts:
            entry, data, digest = link(Draft(fact=fact, at=self._at), self._terminal, name, digest)
            name = entry.name
            run.append(StoredEntry(row=name.sequence, name=name, data=data, hash=digest))
        return run
