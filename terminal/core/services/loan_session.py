"""What one visit at a library kiosk has seen and done so far, and the pages that show it.

Laws of this file:
- A book is lent once a visit and taken back once; lifted and put down again it is tried again only if it was not done,
  or if something else is wanted of it now.
- What already lay on the pad when the last visitor left is nobody's: it counts once it was lifted.
- Only somebody who acts keeps a page alive; a pad that flickers does not.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from terminal.core.base import EntryName
from terminal.core.items import Pad, TagFault
from terminal.core.model import Credential, Instant, Reason, Refusal, Value
from terminal.core.screen import Button, Figure, Language, Page, PageKind, Row, Said, Touch
from terminal.core.services.loan_rules import OfflinePolicy, unread
from terminal.core.visit import Event, Known, Laid, Presented, Pressed, Scanned, Tick, Visit, show

MODES = (PageKind.READER, PageKind.RETURNING)
GOODBYE_S = 5.0  # how long the rest page still says what the last visit ended with
DONE = {
    Reason.BORROWED,
    Reason.BORROWED_OFFLINE,
    Reason.RETURNED,
    Reason.RETURNED_OFFLINE,
    Reason.RETURN_ROUTED,
    Reason.BOOK_ON_HOLD,
    Reason.RENEWED,
}


class Kiosk(Value, frozen=True):
    """What a site wrote down about one kiosk."""

    lane: str
    privacy_s: float = 30.0  # a page of somebody's ends when nobody acted for so long
    has_pad: bool = True  # False: barcodes only, and no security to be written
    language: Language = Language.ZH
    offline: OfflinePolicy = OfflinePolicy()
    listed: int = 20  # so many loans of an account are looked up one by one


@dataclass
class Reader:
    """Who is signed in."""

    known: Known
    sign_in: EntryName
    presented: Presented
    waiting: int  # books lent to them that the library system was not told of yet

    def is_same(self, claim: Credential) -> bool:
        """Whether this is the same card, phone or account again."""
        before = self.presented.claim
        assert isinstance(before, Credential)
        return bool(set(before.medium_refs) & set(claim.medium_refs))


@dataclass
class Session:
    """One visit."""

    kiosk: Kiosk
    pad: Pad  # what lies there now
    language: Language
    left: frozenset[str] = frozenset()  # of those: lay there when the last visitor went
    queue: list[str] = field(default_factory=list)  # put down or scanned, and not dealt with
    mode: PageKind = PageKind.RETURNING  # what becomes of a book: READER lends it, RETURNING takes it back
    dealt: dict[PageKind, dict[str, Row]] = field(default_factory=lambda: {kind: {} for kind in MODES})
    unsecured: dict[str, Row] = field(default_factory=dict)  # taken back, called back: what was said of each
    said: Said | None = None
    offline: bool = False
    at: Instant | None = None  # of the last thing that happened
    acted_ns: int = 0
    reader: Reader | None = None

    # ----------------------------------------------------------------------- what is seen

    def wait(self, page: Page, wait_s: float | None) -> Visit[Event]:
        """Show a page; take note of the books that come and go, and of the time."""
        event = yield from show(page, wait_s)
        self.at = event.at
        if isinstance(event, Laid):
            self._laid(event.pad)
        elif isinstance(event, Scanned):
            self._add([event.barcode])
        return event

    def acted(self) -> None:
        """Somebody did something: the page lives on."""
        assert self.at is not None
        self.acted_ns = self.at.monotonic_ns

    def left_s(self) -> float:
        """Seconds until the page ends unless somebody acts."""
        assert self.at is not None
        return max(0.0, self.kiosk.privacy_s - (self.at.monotonic_ns - self.acted_ns) / 1e9)

    def abandon(self) -> None:
        """Whatever lies there, or was scanned, is nobody's from now on."""
        self.left = frozenset(self.pad.items)
        self.queue.clear()

    def _laid(self, pad: Pad) -> None:
        items, before = pad.items, self.pad.items
        self.pad = pad
        self.left &= frozenset(items)
        self.queue = [barcode for barcode in self.queue if barcode in items or barcode not in before]
        self._add(barcode for barcode in items if barcode not in before and barcode not in self.left)
        if any(isinstance(tag.content, TagFault) for tag in pad.tags):
            self.said = Said(reason=Reason.BOOK_NOT_RECOGNISED)

    def _add(self, barcodes: Iterable[str]) -> None:
        for barcode in barcodes:
            row = self.rows.get(barcode)
            done = row is not None and row.said is not None and row.said.reason in DONE
            if barcode not in self.queue and not done:
                self.queue.append(barcode)
                if row is None:
                    self.acted()

    def is_over(self, event: Event) -> bool:
        """Whether this event ends the visit; what does not is noted. A page's own buttons are for others to look at."""
        match event:
            case Tick():
                return not self.queue and self.left_s() <= 0
            case Presented(claim=Refusal() as refused):  # whoever is served goes on
                self.said = Said(reason=unread(refused.reason))
                return False
            case Presented(claim=Credential() as claim):
                same = self.reader is not None and self.reader.is_same(claim)
                if same:
                    self.acted()
                return not same
            case _:
                return isinstance(event, Pressed)

    # ----------------------------------------------------------------------- what was done

    @property
    def rows(self) -> dict[str, Row]:
        """Books that were dealt with as they are dealt with now, newest last."""
        return self.dealt[self.mode]

    def put(self, row: Row) -> None:
        """This came of a book; what came of it before is over. Something new keeps the page alive."""
        before = self.rows.get(row.id)
        for rows in self.dealt.values():
            rows.pop(row.id, None)
        self.rows[row.id], self.said = row, row.said
        if before is None or before.said != row.said:
            self.acted()

    def renewed(self, row: Row) -> None:
        """A book that was lent in this visit is due later now."""
        lent = self.dealt[PageKind.READER]
        if row.id in lent:
            lent[row.id] = msgspec.structs.replace(row, buttons=())

    # ----------------------------------------------------------------------- pages

    def page(
        self,
        kind: PageKind,
        *buttons: Touch,
        ends: bool = True,
        figures: tuple[Figure, ...] = (),
        rows: tuple[Row, ...] | None = None,
    ) -> Page:
        """A page with what was said and done so far."""
        return Page(
            kind=kind,
            language=self.language,
            said=self.said,
            rows=tuple(self.rows.values()) if rows is None else rows,
            figures=figures,
            buttons=tuple(Button(touch=touch) for touch in buttons),
            offline=self.offline,
            private=kind is PageKind.ACCOUNT or self.reader is not None,
            ends_s=self.left_s() if ends else None,
        )

    def other_language(self) -> None:
        """The other one."""
        self.language = Language.EN if self.language is Language.ZH else Language.ZH
        self.acted()
