"""What all kiosks of a library share: the line to its system, what is still to be told, its readers. And what a
librarian may ask of them.

Laws of this file:
- Kiosks, link and replay live and end together; what one of them waits for holds up none of the others.
- Whoever asks for the librarian's list sees reader numbers: that they asked is an entry first.
- A fee that was paid at the desk is an entry with who took it before the library system is told, once.
- A record leaves the list when a librarian says what was done about it, and an entry says who.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from terminal.core.base import EntryName, Ref
from terminal.core.entries import Commanded
from terminal.core.library import ReaderNumber
from terminal.core.loans import Circulated, Circulation, ListSettled
from terminal.core.money import decimal, minor_of
from terminal.core.reader_links import Link
from terminal.core.reason import Reason
from terminal.ports import LibrarySystem
from terminal.runtime.kiosk import KioskLane, Library
from terminal.runtime.kiosk_entrance import KioskParts
from terminal.runtime.library_link import LibraryLink
from terminal.runtime.not_done import NotDone
from terminal.runtime.readers import Readers
from terminal.runtime.replay import Replay
from terminal.runtime.site import Site
from terminal.runtime.supervisor import DeviceHealth

ASKED_S = 30.0  # how long a link waits for its card
RECORD = re.compile(r"([0-9a-f]{16})/([0-9]{1,18})")
NUMBER = re.compile(r"[^\x00-\x1f|\x7f]{1,64}")  # what SIP2 can carry
NO_TABLE = 'name a file in reader_links of [library], and a reader number without "|"'
MOST_FEE = 99_999_999  # minor units of one payment: more is a slip of the finger

log = logging.getLogger(__name__)

Answer = dict[str, Any]


def fee_of(amount: str, currency: str) -> int:
    """Minor units of what was typed: whole, or with every digit of its currency; 0 for anything else."""
    minor = minor_of(amount, currency) or 0
    written = decimal(minor, currency)
    return minor if amount in (written, written.partition(".")[0]) and minor <= MOST_FEE else 0


class LibraryParts(NamedTuple):
    """A library's kiosks, and what they share."""

    system: LibrarySystem
    key: bytes  # the site's own, 32 bytes
    kiosks: Sequence[KioskParts]
    links: Path | None = None  # the link table
    retry_s: float = 5.0  # between two questions to a library system that is away
    patience_s: float = 86_400.0  # how long a loan waits for somebody else's return

    def names(self) -> list[str]:
        """The kiosks, as lanes are named."""
        return [one.kiosk.lane for one in self.kiosks]


class LibrarySite:
    """A library's kiosks, running."""

    def __init__(self, parts: LibraryParts, site: Site) -> None:
        self._site = site
        self._can_link = parts.links is not None
        self._system = parts.system
        self.link = LibraryLink(parts.system, site.clock, parts.retry_s)
        self.readers = Readers(parts.links, parts.key)
        self.replay = Replay(site, self.link, parts.key, parts.patience_s)
        self.readers.waiting = self.replay.count
        shared = Library(self.link, self.replay, self.readers)
        self.kiosks = [KioskLane(one, site, shared) for one in parts.kiosks]
        self.commands: Mapping[str, Callable[..., Awaitable[Answer]]] = {
            "library-list": self.list,
            "library-settle": self.settle,
            "library-paid": self.paid,
            "library-link": self.link_reader,
            "library-unlink": self.unlink_reader,
        }

    def workers(self) -> list[Awaitable[None]]:
        """What runs until cancelled."""
        return [*(kiosk.run() for kiosk in self.kiosks), self.link.run(), self.replay.run()]

    def health(self) -> list[DeviceHealth]:
        """Of every device, and of the line."""
        return [self.link.health, *(health for kiosk in self.kiosks for health in kiosk.health)]

    def status(self) -> dict[str, Any]:
        """Figures for the status."""
        counts = {"answers": self.link.answers.is_set(), "asked": self.link.asked, "links": len(self.readers)}
        kiosks = {kiosk.rules.name: kiosk.status() for kiosk in self.kiosks}
        return {**counts, "bad_lines": self.readers.bad_lines, **self.replay.status(), "kiosks": kiosks}

    async def idle(self) -> None:
        """Return once no book is half-way through."""
        for kiosk in self.kiosks:
            await kiosk.idle()

    # ----------------------------------------------------------------------- the librarian

    async def list(self, who: str) -> Answer:
        """What the library system would not take."""
        await self._site.journal.append(Commanded(who=who, what="library-list"), self._site.now())
        rows = [
            {
                "record": f"{one.of.epoch.hex()}/{one.of.sequence}",
                "what": one.what.value,
                "at_ms": one.at_ms,
                "lane": one.lane,
                "book": "" if content is None else content.barcode,
                "reader": "" if content is None or content.reader is None else str(content.reader),
                "fee_minor": one.fee_minor,
                "fee": decimal(one.fee_minor, self._system.currency) if one.fee_minor else "",
                "why": "" if one.listed is None else one.listed.value,
                "words": words,
            }
            for one, content, words in self.replay.listed()
        ]
        return {"records": rows, **self.replay.status()}

    async def settle(self, who: str, record: str, why: str) -> Answer:
        """A librarian dealt with a record, and says how."""
        found = RECORD.fullmatch(record)
        name = None if found is None else EntryName(epoch=bytes.fromhex(found[1]), sequence=int(found[2]))
        if name is None or all(one.of != name for one, _, _ in self.replay.listed()):
            raise NotDone(f"no record {record!r} on the list", "ask library-list for its name")
        if not why.strip():
            raise NotDone("library-settle needs what was done", "such as: 'lent at the desk'")
        await self._site.journal.append(ListSettled(who=who, of=name, why=why), self._site.now())
        self.replay.settled(name)
        return {"settled": record, **self.replay.status()}

    async def paid(self, who: str, number: str, amount: str, by: str = "cash") -> Answer:
        """A reader paid at the desk: written down now, told to the library system in its turn."""
        fee_minor = fee_of(amount, self._system.currency)
        if not NUMBER.fullmatch(number) or by not in ("cash", "card") or not fee_minor:
            raise NotDone("no payment", 'a reader number, an amount such as 12.50, and "cash" or "card"')
        fact = Circulated(
            lane="",
            what=Circulation.PAID,
            reason=Reason.PAID,
            waits=True,
            sealed=self.replay.sealed("", ReaderNumber(number)),
            who=who,
            fee_minor=fee_minor,
            cash=by == "cash",
        )
        at = self._site.now()
        entry = await self._site.journal.append(fact, at)
        self.replay.add(entry.name, at.utc_ms, fact)
        return {"noted": f"{entry.name.epoch.hex()}/{entry.name.sequence}", **self.replay.status()}

    async def link_reader(self, who: str, lane: str, number: str, reader_class: str = "") -> Answer:
        """Link the card that is held out next to a reader."""
        kiosk = next((one for one in self.kiosks if one.rules.name == lane), None)
        if kiosk is None:
            known = ", ".join(one.rules.name for one in self.kiosks)
            raise NotDone(f"no kiosk {lane!r}", f"kiosks: {known}")
        if not self._can_link or not NUMBER.fullmatch(number):
            raise NotDone("not linked", NO_TABLE)
        await self._site.journal.append(Commanded(who=who, what="library-link"), self._site.now())
        link, until_s = Link(number=number, reader_class=reader_class), self._site.clock.monotonic_s() + ASKED_S

        def linked(refs: tuple[Ref, ...], account: Ref | None) -> None:
            if self._site.clock.monotonic_s() > until_s:
                return
            try:
                self.readers.add(refs[0] if account is None else account, link)
            except OSError as error:  # a full disk is no reason to stop lending; the page says they are not known
                log.warning("not linked", extra={"what": str(error.strerror)})

        kiosk.link_next(linked)
        return {"hold out": "the reader's card", "at": lane, "within_s": ASKED_S}

    async def unlink_reader(self, who: str, number: str) -> Answer:
        """No card and no account is this reader's any more: a card was lost, or linked to the wrong one."""
        if not self._can_link or not NUMBER.fullmatch(number):
            raise NotDone("not unlinked", NO_TABLE)
        await self._site.journal.append(Commanded(who=who, what="library-unlink"), self._site.now())
        try:
            gone = self.readers.forget(number)
        except (OSError, ValueError) as error:
            hint = "may the terminal's user write to reader_links and its directory? is there room?"
            raise NotDone(f"the table of readers: {getattr(error, 'strerror', error)}", hint) from error
        if not gone:
            raise NotDone("no card here is this reader's", "mind every digit; another kiosk may have its own table")
        return {"unlinked": gone, "links": len(self.readers)}
