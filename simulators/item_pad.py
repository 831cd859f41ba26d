"""A kiosk's pad in memory, at the port itself: for fast tests, stories and simulated days.

Laws of this file:
- No wire and no thread: a jumping loop may run it. PC/SC readers stand behind the real driver instead.
- The tags are the same that lie on the readers: what goes wrong with one goes wrong here.
"""

import asyncio
from collections.abc import AsyncIterator

from simulators.card import Left
from simulators.item_tag import IN_STOCK, LENT, SimulatedTag, Trouble, tag_of
from terminal.core import tags
from terminal.core.items import Content, Pad, Securing, Tag, pad_of, tags_of
from terminal.core.model import Reading, Value
from terminal.core.tags.layouts import Layouts
from terminal.ports import Clock, DeviceError

WRITE_S = 0.05  # one tag is written and read back


class Settings(Value, frozen=True):
    """`[lanes.NAME.items]` with `driver = "sim.items"`: nothing to set."""


class MemoryPad:
    """The ItemReader port; `put` and `take` are a reader's hands."""

    def __init__(self, clock: Clock) -> None:
        self.books: dict[str, SimulatedTag] = {}  # every book that was laid here by its barcode; it keeps its tag
        self.next_write: Trouble | None = None  # what becomes of the next tag that is written, and of that alone
        self._clock = clock
        self._plugged = True
        self._tags: dict[str, SimulatedTag] = {}
        self._news = asyncio.Event()

    def put(self, *laid: SimulatedTag) -> None:
        """Lay books there."""
        for tag in laid:
            tag.come()
            self._tags[tag.name] = tag
        self._news.set()

    def take(self, *taken: SimulatedTag) -> None:
        """Take books away; without one named, all of them."""
        for tag in taken or tuple(self._tags.values()):
            self._tags.pop(tag.name).leave()
        self._news.set()

    def lay(self, *barcodes: str) -> None:
        """These books lie there now, and nothing else."""
        for barcode in barcodes:
            self.books.setdefault(barcode, tag_of(len(self.books), Content(item=barcode)))
        self.take()
        self.put(*(self.books[barcode] for barcode in barcodes))

    @property
    def secured(self) -> dict[str, bool]:
        """Every book that was laid here by its barcode → whether the door would alarm."""
        return {barcode: tag.afi == IN_STOCK for barcode, tag in self.books.items()}

    def plug(self, plugged: bool) -> None:
        """Pull the plug, or put it back."""
        self._plugged = plugged
        self._news.set()

    async def pads(self) -> AsyncIterator[tuple[Pad, Reading]]:
        """See the port."""
        told: Pad | None = None
        while True:
            self._must_be_plugged()
            self._news.clear()
            pad = pad_of(_seen(tag) for tag in self._tags.values())
            if pad != told:
                told = pad
                yield pad, self._clock.read()
            else:
                await self._news.wait()

    async def secure(self, item: str, on: bool) -> Securing:
        """See the port."""
        await asyncio.sleep(WRITE_S)
        self._must_be_plugged()
        found = tags_of(pad_of(_seen(tag) for tag in self._tags.values()), item)
        if isinstance(found, Securing):
            return found
        for number, tag in enumerate(found):
            outcome = self._write(tag.uid, on)
            if outcome is not Securing.DONE:
                for changed in found[: number + 1]:
                    self._write(changed.uid, not on)
                return outcome
        return Securing.DONE

    def _write(self, uid: str, on: bool) -> Securing:
        tag = self._tags.get(uid)
        if tag is None:
            return Securing.GONE
        wanted, before = IN_STOCK if on else LENT, tag.afi
        if before == wanted:
            return Securing.DONE
        trouble, (tag.trouble, self.next_write) = tag.trouble, (self.next_write or tag.trouble, None)
        try:
            took = tag.answer(b"\x22\x27" + tag.uid[::-1] + bytes((wanted,))) == b"\x00"
            tag.answer(b"\x22\x2b" + tag.uid[::-1])
        except Left:
            del self._tags[uid]
            return Securing.GONE
        finally:
            tag.trouble = trouble
            self._news.set()
        if tag.afi == wanted:
            return Securing.DONE
        return Securing.DIFFERS if took or tag.afi != before else Securing.WRITE_FAILED

    def _must_be_plugged(self) -> None:
        if not self._plugged:
            raise DeviceError("the item reader is gone", hint="plug it in")


def _seen(tag: SimulatedTag) -> Tag:
    content = tags.read(tag.memory, tag.dsfid, Layouts())
    return Tag(uid=tag.name, content=content, secured={IN_STOCK: True, LENT: False}.get(tag.afi))


def open(settings: Settings, clock: Clock) -> MemoryPad:
    """A pad on which nothing lies."""
    return MemoryPad(clock)
