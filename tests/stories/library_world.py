"""A library to tell stories in: kiosks with a screen, a pad and readers, over one library system.

Laws of this file:
- A kiosk is the real terminal over simulated ports; two kiosks are two terminals, each with a journal of its own.
- A story asks what people would see: what the page says, what the door would do, what the library system believes.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from simulators.card import SimulatedCard
from simulators.card_issuer import CardIssuer
from simulators.card_slot import MemorySlot
from simulators.clockwork import SimulatedClock, new_loop
from simulators.item_pad import MemoryPad
from simulators.library import Copy, Dialect, Library
from simulators.library_port import LibraryPort
from simulators.memory import MemoryReader
from simulators.screen import MemoryScreen
from terminal.assemble import Parts
from terminal.core import reader_links
from terminal.core.base import Ref
from terminal.core.card import CardRules
from terminal.core.loans import Circulated, ListSettled, Replayed
from terminal.core.model import PassageMode, Reason
from terminal.core.parameters import Policies
from terminal.core.reader_links import Link
from terminal.core.screen import Page, Row, Touch
from terminal.core.services.loan_rules import OfflinePolicy
from terminal.core.services.loan_session import Kiosk
from terminal.runtime.kiosk_entrance import KioskParts
from terminal.runtime.library_site import LibraryParts
from tests.stories.world import World

KEY = bytes(range(32))
ISSUER = CardIssuer()
POLICY = OfflinePolicy(loans=3, days=30)
STEP_S = 3.0  # a person looks at the screen before doing anything else
READERS = {"amber": "R-1", "birch": "R-2"}


class Desk(World):
    """One kiosk and its terminal, over a library that others share."""

    def __init__(self, place: Path, library: Library, clock: SimulatedClock | None = None) -> None:
        super().__init__(place, "loan", PassageMode.ASSUMED)
        self.clock = clock or self.clock
        self.office.now_ms = self.clock.true_ms
        self.head.policies = Policies(hotline="12333", static_cards=("loan",), weak_cards=("loan",))
        self.parameters.put(self._files())
        self.library = library
        self.system = LibraryPort(library)
        self.screen, self.pad = MemoryScreen(self.clock), MemoryPad(self.clock)
        self.slot, self.reader = MemorySlot(self.clock), MemoryReader(self.clock)
        self.links = place / "readers.links"
        self.links.touch()
        self.policy, self.key = POLICY, KEY

    def link(self, ref: Ref, number: str, nonce: bytes = bytes(12)) -> None:
        """The desk linked this card to a reader."""
        with self.links.open("a", encoding="utf-8") as file:
            file.write(reader_links.line(ref, Link(number=number, reader_class="adult"), KEY, nonce))

    def _parts(self) -> Parts:
        kiosk = KioskParts(
            Kiosk(lane="desk", offline=self.policy),
            [self.screen],
            [self.reader],
            [self.slot],
            CardRules(accepts=("social_security_card", "uid_card")),
            self.pad,
            re.compile("B-[0-9]+"),
        )
        library = LibraryParts(self.system, self.key, [kiosk], self.links)
        parts = super()._parts()
        parts.lanes, parts.library = (), library
        return parts

    # ----------------------------------------------------------------------- people

    async def tap(self, card: SimulatedCard) -> Reason | None:
        """Hold out a card; what the page says."""
        self.slot.tap(card)
        return await self._looked()

    async def lay(self, *barcodes: str) -> Reason | None:
        """These lie on the pad now."""
        self.pad.lay(*barcodes)
        return await self._looked()

    async def touch(self, touch: Touch, of: str = "") -> Reason | None:
        """Touch a button."""
        self.screen.touch(touch, of)
        return await self._looked()

    async def scan(self, payload: str | bytes) -> Reason | None:
        """Hold a barcode, or a phone, before the scanner."""
        self.reader.show(payload.encode() if isinstance(payload, str) else payload)
        return await self._looked()

    async def borrows(self, card: SimulatedCard, *barcodes: str) -> list[Reason | None]:
        """Card, books, done; what became of each book."""
        await self.tap(card)
        await self.lay(*barcodes)
        said = [row.said.reason if row.said else None for row in self.rows]
        await self.lay()
        await self.touch(Touch.DONE)
        return said

    async def gives_back(self, *barcodes: str) -> list[Reason | None]:
        """Return, books, done; what became of each book."""
        await self.touch(Touch.RETURN)
        await self.lay(*barcodes)
        said = [row.said.reason if row.said else None for row in self.rows]
        await self.lay()
        await self.touch(Touch.DONE)
        return said

    async def _looked(self) -> Reason | None:
        await asyncio.sleep(STEP_S)
        assert self._running is not None
        if self._running.done():
            self._running.result()
        return None if self.page.said is None else self.page.said.reason

    # ----------------------------------------------------------------------- what is seen

    @property
    def page(self) -> Page:
        """What is on the screen."""
        return self.screen.pages[-1]

    @property
    def rows(self) -> tuple[Row, ...]:
        """Books on the page."""
        return self.page.rows

    def circulated(self) -> list[Circulated]:
        """What was written of books."""
        return self.facts(Circulated)

    def replayed(self) -> list[tuple[str, str]]:
        """What came of telling the library system later."""
        return [(fact.fate.value, fact.reason.value) for fact in self.facts(Replayed)]

    def settled_list(self) -> list[ListSettled]:
        """What librarians dealt with."""
        return self.facts(ListSettled)


def city(**dialect: bool) -> Library:
    """Two readers, six books."""
    library = Library(Dialect(**dialect))  # type: ignore[arg-type]  # a test's shorthand
    library.readers = {"R-1": "somebody", "R-2": "somebody else"}
    library.copies = {f"B-{number}": Copy(title=f"Book {number}") for number in range(1, 7)}
    return library


def card_of(name: str) -> SimulatedCard:
    """Somebody's social security card."""
    return ISSUER.card(name, ISSUER.social_security(name))


Told = Callable[[Desk], Awaitable[None]]
ToldOfTwo = Callable[[Desk, Desk], Awaitable[None]]


def linked(desk: Desk) -> Desk:
    """The readers' social security cards are linked."""
    for number, (name, reader) in enumerate(READERS.items()):
        desk.link(desk.head.ref("ssc", ISSUER.social_security(name).identification), reader, bytes([number]) * 12)
    return desk


def kiosk(told: Told) -> Callable[[Path], None]:
    """Make a story of one kiosk a test, on a loop that jumps."""

    async def tell(place: Path) -> None:
        desk = linked(Desk(place, city()))
        await _lived([desk], told(desk))

    return _as_test(told, tell)


def two_kiosks(told: ToldOfTwo) -> Callable[[Path], None]:
    """Make a story of two kiosks of one library a test."""

    async def tell(place: Path) -> None:
        library, clock = city(), SimulatedClock(1_800_000_000_000)
        desks = [linked(Desk(_made(place / name), library, clock)) for name in ("one", "two")]
        await _lived(desks, told(*desks))

    return _as_test(told, tell)


async def _lived(desks: list[Desk], story: Awaitable[None]) -> None:
    try:
        for desk in desks:
            await desk.start()
        await story
    finally:
        for desk in desks:
            await desk.cut_power()
        if asyncio.iscoroutine(story):
            story.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


def _made(place: Path) -> Path:
    place.mkdir()
    return place


def _as_test(told: Callable[..., Awaitable[None]], tell: Callable[[Path], Awaitable[None]]) -> Callable[[Path], None]:
    def test(tmp_path: Path) -> None:
        loop = new_loop()
        try:
            loop.run_until_complete(tell(tmp_path))
        finally:
            loop.close()

    test.__name__, test.__doc__, test.__module__ = told.__name__, told.__doc__, told.__module__
    return test
