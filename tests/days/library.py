"""A simulated library: two kiosks of one terminal, a library system that is away at times, its readers and their books.

Laws of this file:
- Where a book really is, its reader knows: what was carried out and what was put down is recorded as it happened.
- A reader believes the page: a book that the page did not say was lent stays, one it did not say was taken back is
  carried home again. Nobody touches a book again of which a dark page said nothing: staff look at it in the evening.
"""

import asyncio
import re
from collections.abc import Coroutine
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from simulators.card_issuer import CardIssuer
from simulators.card_slot import MemorySlot
from simulators.item_pad import MemoryPad
from simulators.library import Copy, Library
from simulators.library_port import LibraryPort
from simulators.memory import MemoryReader
from simulators.screen import MemoryScreen
from terminal.core import reader_links
from terminal.core.card import CardRules
from terminal.core.library import Silence
from terminal.core.model import Reading, Reason
from terminal.core.reader_links import Link
from terminal.core.screen import PageKind, Touch
from terminal.core.services.loan_rules import OfflinePolicy
from terminal.core.services.loan_session import Kiosk
from terminal.runtime.kiosk_entrance import KioskParts
from terminal.runtime.library_site import LibraryParts
from tests.days.record import CarriedOut, PutDown, Read

if TYPE_CHECKING:
    from tests.days.world import World

READERS, BOOKS = 24, 120
KEY = bytes(range(32))
LOOKS = 24  # how often somebody looks at the page, a quarter of a second apart
LENT = {Reason.BORROWED, Reason.BORROWED_OFFLINE}
TAKEN_BACK = {Reason.RETURNED, Reason.RETURNED_OFFLINE, Reason.RETURN_ROUTED}
SILENCES = (Silence.UNREACHABLE, Silence.NO_ANSWER, Silence.CLOSED)


class Desk:
    """One kiosk, as readers see it."""

    def __init__(self, name: str, world: "World") -> None:
        self.name = name
        self.queue = asyncio.Lock()
        self.screen, self.pad = MemoryScreen(world.clock), MemoryPad(world.clock)
        self.slot, self.reader = MemorySlot(world.clock), MemoryReader(world.clock)
        self.slot.on_card = self._seen
        self.reader.on_read = lambda payload, at: self._seen(at)
        self._world = world

    def parts(self) -> KioskParts:
        """This kiosk, as a terminal is put together of it."""
        kiosk = Kiosk(lane=self.name, offline=OfflinePolicy(loans=3, days=30))
        rules = CardRules(accepts=("social_security_card",))
        return KioskParts(kiosk, [self.screen], [self.reader], [self.slot], rules, self.pad, re.compile("B-[0-9]+"))

    def lay(self, *barcodes: str) -> None:
        """These lie on the pad now; each is something presented."""
        self._world.presented += len(barcodes)
        for tapped in self._world.taps if barcodes else ():
            tapped.set()
        self.pad.lay(*barcodes)

    def tap(self, number: int) -> None:
        """Hold a reader's card there."""
        if self.slot.tap(self._world.books.cards[number]):
            for tapped in self._world.taps:
                tapped.set()

    def kind(self) -> PageKind | None:
        """Which page is on the screen."""
        return self.screen.pages[-1].kind if self.screen.pages else None

    async def shows(self, *kinds: PageKind) -> bool:
        """Whether the screen comes to one of these pages."""
        for _ in range(LOOKS):
            if self.kind() in kinds:
                return True
            await asyncio.sleep(0.25)
        return False

    async def said_of(self, barcodes: list[str]) -> dict[str, Reason]:
        """What the page says of these books, once it has said something of each, or not at all."""
        found: dict[str, Reason] = {}
        before = len(self.screen.pages)
        for _ in range(LOOKS):
            await asyncio.sleep(0.25)
            rows = self.screen.pages[-1].rows if len(self.screen.pages) > before else ()
            found |= {row.id: row.said.reason for row in rows if row.id in barcodes and row.said is not None}
            if len(found) == len(barcodes):
                break
        return found

    def _seen(self, at: Reading) -> None:
        self._world.presented += 1
        self._world.tell(Read(self._world.clock.true_ms(), self.name, at))


class System(Library):
    """The library system; a loan that was undone was none."""

    def undo(self, barcode: str) -> None:
        """See Library."""
        reader = self.copies[barcode].lent_to
        if reader is not None:
            self.lent.remove((reader, barcode))
        super().undo(barcode)


class Books:
    """The library system, the readers and where every book is."""

    def __init__(self, world: "World") -> None:
        issuer = CardIssuer()
        holders = [issuer.social_security(f"reader {number}") for number in range(READERS)]
        self.cards = [issuer.card(f"reader {number}", holder) for number, holder in enumerate(holders)]
        self.refs = [world.ref("ssc", holder.identification) for holder in holders]
        self.library = System()
        self.library.readers = {f"R-{number}": "somebody" for number in range(READERS)}
        self.library.copies = {f"B-{number}": Copy(title=f"Book {number}") for number in range(BOOKS)}
        self.system = LibraryPort(self.library)
        self.shelf = list(self.library.copies)
        self.at_home: dict[int, list[str]] = {}  # reader → books
        self._place = TemporaryDirectory(prefix="onecard-day-")
        self._links = Path(self._place.name) / "readers.links"
        lines = (
            reader_links.line(ref, Link(number=f"R-{number}", reader_class="adult"), KEY, number.to_bytes(12))
            for number, ref in enumerate(self.refs)
        )
        self._links.write_text("".join(lines), encoding="utf-8")

    def parts(self, desks: list[Desk]) -> LibraryParts:
        """What a terminal of this library is made of."""
        return LibraryParts(self.system, KEY, [desk.parts() for desk in desks], self._links)

    def close(self) -> None:
        """The day is over."""
        self._place.cleanup()


class Borrowers:
    """Everybody who comes to the kiosks."""

    def __init__(self, random: Random, world: "World") -> None:
        self._random = random
        self._world = world
        self._books = world.books

    def visit(self, desk: Desk) -> Coroutine[Any, Any, None]:
        """Somebody comes."""
        kinds = (self._borrows, self._gives_back, self._walks_away, self._holds_out_rubbish)
        chosen: Coroutine[Any, Any, None] = self._random.choices(kinds, (48, 44, 4, 4))[0](desk)
        return chosen

    async def _borrows(self, desk: Desk) -> None:
        books, number = self._books, self._random.randrange(READERS)
        wanted = self._random.sample(books.shelf, min(len(books.shelf), self._random.randint(1, 3)))
        for barcode in wanted:  # in hand: nobody else takes them
            books.shelf.remove(barcode)
        desk.tap(number)
        if not await desk.shows(PageKind.READER):
            books.shelf += wanted
            return
        desk.lay(*wanted)
        said = await desk.said_of(wanted)
        for barcode in wanted:
            reason = said.get(barcode)
            if reason in LENT:
                self._world.tell(CarriedOut(self._world.clock.true_ms(), f"R-{number}", barcode))
                books.at_home.setdefault(number, []).append(barcode)
            elif reason is not None:
                books.shelf.append(barcode)
            else:
                self._nobody_knows(barcode, number)
        await self._leave(desk)

    async def _gives_back(self, desk: Desk) -> None:
        books = self._books
        if not books.at_home:
            return
        number = self._random.choice(sorted(books.at_home))
        carried = books.at_home.pop(number)
        await desk.shows(PageKind.REST)
        desk.screen.touch(Touch.RETURN)
        if not await desk.shows(PageKind.RETURNING):
            books.at_home[number] = carried
            return
        desk.lay(*carried)
        said = await desk.said_of(carried)
        for barcode in carried:
            reason = said.get(barcode)
            if reason in TAKEN_BACK:
                self._world.tell(PutDown(self._world.clock.true_ms(), f"R-{number}", barcode))
                books.shelf.append(barcode)
            elif reason is not None:
                books.at_home.setdefault(number, []).append(barcode)
            else:
                self._nobody_knows(barcode, number)
        await self._leave(desk)

    async def _walks_away(self, desk: Desk) -> None:
        desk.tap(self._random.randrange(READERS))
        await asyncio.sleep(self._random.uniform(1, 40))

    async def _holds_out_rubbish(self, desk: Desk) -> None:
        desk.reader.show(self._random.randbytes(self._random.randint(1, 80)))
        await asyncio.sleep(1)

    def _nobody_knows(self, barcode: str, number: int) -> None:
        self._world.recorded.unsure.add(barcode)
        self._world.troubles["dark page"] += 1

    async def _leave(self, desk: Desk) -> None:
        desk.lay()
        await asyncio.sleep(self._random.uniform(0.3, 2.0))
        desk.screen.touch(Touch.DONE)
        await desk.shows(PageKind.REST)
