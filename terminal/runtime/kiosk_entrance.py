"""What a kiosk sees: cards, codes, barcodes and what lies on its pad, each as an event of the visit.

Laws of this file:
- Whatever is held out is verified here and judged in the visit; what cannot be read is a refusal, never an exception.
- A book's barcode is told from a person's code by its shape, which the site wrote down.
- The same thing still lying there is silence.
"""

import functools
from collections.abc import Awaitable, Callable, Sequence
from re import Pattern
from typing import Any, NamedTuple

from terminal.core import accounts, cards, tokens
from terminal.core.card import CardRules
from terminal.core.cards import reading
from terminal.core.model import Credential, Instant, Medium, Presentation, Reading, Reason, Ref, Refusal
from terminal.core.services.loan_session import Kiosk
from terminal.core.services.purse import local_time
from terminal.core.visit import Laid, Presented, Scanned
from terminal.ports import CardChannel, CardGone, CardSlot, CodeReader, ItemReader, Screen, Watching
from terminal.runtime.attention import Attention
from terminal.runtime.conversation import Talk
from terminal.runtime.decided import unread
from terminal.runtime.inbox import Inbox
from terminal.runtime.readers import Readers
from terminal.runtime.site import Site
from terminal.runtime.supervisor import DeviceHealth

Linked = Callable[[tuple[Ref, ...], Ref | None], None]


class KioskParts(NamedTuple):
    """The devices of one kiosk."""

    kiosk: Kiosk
    screens: Sequence[Screen]
    readers: Sequence[CodeReader] = ()
    slots: Sequence[CardSlot] = ()
    cards: CardRules = CardRules()
    items: ItemReader | None = None
    books: Pattern[str] | None = None  # what a book's barcode looks like


class Entrance:
    """One kiosk's readers and its pad."""

    def __init__(self, parts: KioskParts, site: Site, known: Readers, inbox: Inbox) -> None:
        self.link_next: Linked | None = None  # the desk waits for a card
        self._parts = parts
        self._site = site
        self._known = known
        self._inbox = inbox
        name = parts.kiosk.lane
        self._readers = {f"{name}/{number}": reader for number, reader in enumerate(parts.readers)}
        self._slots = {f"{name}/card{number}": slot for number, slot in enumerate(parts.slots)}
        self._attention = {one: Attention() for one in (*self._readers, *self._slots)}
        pads = (pad_name(parts),) if parts.items is not None else ()
        self.health = {one: DeviceHealth(one) for one in (*self._readers, *self._slots, *pads)}

    def watched(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """A device's name → what reads it until it is gone."""
        found: dict[str, Callable[[], Awaitable[None]]] = {}
        for name, reader in self._readers.items():
            found[name] = functools.partial(self._read, name, reader)
        for name, slot in self._slots.items():
            found[name] = functools.partial(self._read_cards, name, slot)
        if isinstance(self._parts.items, Watching):
            self._parts.items.on_alive = self.health[pad_name(self._parts)].works
        if self._parts.items is not None:
            found[pad_name(self._parts)] = functools.partial(self._read_pad, self._parts.items)
        return found

    def status(self) -> dict[str, Any]:
        """Figures of readers that have some."""
        watching = (*self._readers.items(), *self._slots.items(), (pad_name(self._parts), self._parts.items))
        return {name: one.status() for name, one in watching if isinstance(one, Watching)}

    # ----------------------------------------------------------------------- devices

    async def _read_pad(self, items: ItemReader) -> None:
        async for pad, seen in items.pads():
            self.health[pad_name(self._parts)].works()
            self._inbox.put(Laid(pad=pad, at=self._site.instant(seen)))

    async def _read(self, name: str, reader: CodeReader) -> None:
        if isinstance(reader, Watching):
            reader.on_alive = self.health[name].works
        async for held_out, seen in reader.payloads():
            self.health[name].works()
            shown = Presentation(
                lane=self._parts.kiosk.lane,
                reader=name,
                medium=reader.medium,
                payload=b"" if isinstance(held_out, Reason) else held_out,
                at=seen,
                unread=held_out if isinstance(held_out, Reason) else None,
            )
            self._held_out(shown)

    def _held_out(self, presentation: Presentation) -> None:
        """A book's barcode, or somebody's code."""
        site = self._site
        silence_s = site.parameters.policies.silence_s
        if site.is_deaf or self._attention[presentation.reader].is_still_there(presentation, silence_s):
            return
        at = site.instant(presentation.at)
        barcode = self._barcode(presentation)
        if barcode is not None:
            self._inbox.put(Scanned(barcode=barcode, at=at))
            return
        claim = unread(presentation) or tokens.verify(presentation.payload, site.parameters, at)
        self._present(claim, presentation, at)

    def _barcode(self, presentation: Presentation) -> str | None:
        """The book a payload names; None: it is none."""
        text = presentation.payload.decode("ascii", "replace").strip()
        books = self._parts.books
        is_book = books is not None and books.fullmatch(text) is not None
        return text if is_book else None

    async def _read_cards(self, name: str, slot: CardSlot) -> None:
        if isinstance(slot, Watching):
            slot.on_alive = self.health[name].works
        async for channel, seen in slot.cards():
            self.health[name].works()
            if not self._site.is_deaf:
                await self._card(name, channel, seen)

    async def _card(self, name: str, channel: CardChannel, seen: Reading) -> None:
        """Whose card is this? Nothing is written to it."""
        at, parameters = self._site.instant(seen), self._site.parameters
        visit = cards.Visit(
            parameters=parameters,
            at=at,
            today=local_time(at, parameters.tariff.time_zone).strftime("%Y%m%d"),
            has_module=False,
        )
        if not channel.alone and self._parts.cards.two_cards == "refuse":
            read = cards.CardRead(payload=channel.uid, claim=reading.refusal(Reason.TWO_CARDS, "card"))
        else:
            try:
                talk = Talk(channel, None, self._site.clock)
                read = await talk.carry(cards.read(self._parts.cards.accepts, channel.uid, visit))
            except CardGone:
                read = cards.CardRead(payload=channel.uid, claim=reading.refusal(Reason.CARD_LEFT, "card"))
        presentation = Presentation(
            lane=self._parts.kiosk.lane, reader=name, medium=Medium.CARD, payload=read.payload, at=seen
        )
        self._present(read.claim, presentation, at)

    def _present(self, claim: Credential | Refusal, presentation: Presentation, at: Instant) -> None:
        """Somebody is at the kiosk; the desk may have waited for this card."""
        site, account = self._site, None
        known = None
        if isinstance(claim, Credential):
            account = accounts.account_of(claim.medium_refs, claim.account_link, site.parameters)
            waiting, self.link_next = self.link_next, None
            if waiting is not None:
                waiting(claim.medium_refs, account)
            known = self._known.find(claim.medium_refs, account)
        event = Presented(
            claim=claim,
            account=account,
            known=known,
            medium=presentation.medium,
            reader=presentation.reader,
            payload=presentation.payload,
            seen=presentation.at,
            parameters=site.parameters,
            at=at,
        )
        self._inbox.put(event)


def pad_name(parts: KioskParts) -> str:
    """The pad, as the status names it."""
    return f"{parts.kiosk.lane}/pad"
