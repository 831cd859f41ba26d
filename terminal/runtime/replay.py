"""Tells the library system what happened while it was away, record by record, once it answers.

Laws of this file:
- In the order things happened; a record that waits holds up those of its own book only, one that was refused nobody.
- An entry says that a record is about to be told before it is, and what came of it when it was: after a crash nothing
  is told twice unasked, and nothing is forgotten.
- A loan is told once its book was released: one that stays at the kiosk is undone, and nobody was told of it.
- A record that cannot be opened (another key) goes to the librarian's list like one that is refused.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec

from terminal.core.entries import Alarm, Fact
from terminal.core.library import ReaderNumber
from terminal.core.loans import Circulated, Circulation, Fate, Replayed, ReplayTried, Waiting, waiting_of
from terminal.core.model import EntryName, Reason
from terminal.core.services.loan_replay import End, Record, Trying, replay
from terminal.core.site_key import NotOurs, seal, unseal
from terminal.core.visit import Heard, Request
from terminal.ports import StoreFull
from terminal.runtime.library_link import LibraryLink
from terminal.runtime.site import Site

PURPOSE, WORDS = b"waits", b"words"
AGAIN_S = 20.0  # between two looks at what could not be told yet
MOST_TRIES = 5  # of a record that a system which is there does not answer to

log = logging.getLogger(__name__)


class Content(NamedTuple):
    """What is sealed of a record."""

    barcode: str
    reader: ReaderNumber | None


class Replay:
    """The queue of one terminal, and the worker that empties it."""

    def __init__(self, site: Site, link: LibraryLink, key: bytes, patience_s: float) -> None:
        self.told = 0
        self._site = site
        self._link = link
        self._key = key
        self._patience_ms = round(patience_s * 1000)
        self._waiting: dict[EntryName, Waiting] = {one.of: one for one in site.journal.waiting()}
        self._content = {name: self._opened(one) for name, one in self._waiting.items()}
        self._tries: dict[EntryName, int] = {}
        self._held_back: dict[EntryName, str] = {}  # loans whose book may yet stay where it is, with their kiosk
        self._news = asyncio.Event()
        self._news.set()

    # ----------------------------------------------------------------------- the queue

    def sealed(self, barcode: str, reader: ReaderNumber | None) -> bytes:
        """What is written of a circulation that waits."""
        plain = msgspec.msgpack.encode((barcode, None if reader is None else str(reader)))
        return seal(self._key, secrets.token_bytes(12), PURPOSE, plain)

    def add(self, name: EntryName, at_ms: int, fact: Circulated) -> None:
        """A circulation was written."""
        if fact.cancels and fact.of is not None:
            self._forget(fact.of)
        if fact.waits:
            self._waiting[name] = one = waiting_of(name, at_ms, fact)
            self._content[name] = self._opened(one)
            if fact.what is Circulation.LENT:
                self._held_back[name] = fact.lane
            self._news.set()

    def drop(self, name: EntryName) -> None:
        """The book stayed where it was: there is nothing to tell, though the disk is too full to say so."""
        self._forget(name)

    def gone_on(self, lane: str) -> None:
        """A kiosk shows the next page: what it lent until now was released, and may be told."""
        kept = {name: kiosk for name, kiosk in self._held_back.items() if kiosk != lane}
        if len(kept) != len(self._held_back):
            self._held_back = kept
            self._news.set()

    def count(self, reader: ReaderNumber) -> int:
        """How many loans of this reader wait to be told, or are on the librarian's list."""
        lent = [name for name, one in self._waiting.items() if one.what is Circulation.LENT]
        return sum(content is not None and content.reader == reader for content in map(self._content.get, lent))

    def holds(self, barcode: str) -> bool:
        """Whether something of this book is still to be told: what happens to it now comes behind that."""
        waiting = (name for name, one in self._waiting.items() if one.listed is None)
        return any(content is not None and content.barcode == barcode for content in map(self._content.get, waiting))

    def listed(self) -> list[tuple[Waiting, Content | None, str]]:
        """The librarian's list: record, what it is about, and the library system's words."""
        found = [one for one in self._waiting.values() if one.listed is not None]
        return [(one, self._content[one.of], self._words(one)) for one in found]

    def settled(self, name: EntryName) -> None:
        """A librarian dealt with it."""
        self._forget(name)
        self._news.set()

    def status(self) -> dict[str, int]:
        """Figures for the status."""
        listed = sum(one.listed is not None for one in self._waiting.values())
        return {"waiting": len(self._waiting) - listed, "listed": listed, "told": self.told}

    # ----------------------------------------------------------------------- the worker

    async def run(self) -> None:
        """Tell what waits, until cancelled."""
        while True:
            await self._link.answers.wait()
            self._news.clear()
            again = await self._pass()
            if not self._link.answers.is_set():
                continue
            await _either(self._news.wait, AGAIN_S if again else None)

    async def _pass(self) -> bool:
        """Once through the queue; whether something could not be told yet."""
        held: set[str] = set()
        again = False
        for name in sorted(self._waiting, key=lambda name: (self._waiting[name].at_ms, name)):
            one, content = self._waiting.get(name), self._content.get(name)
            if one is None:
                continue
            record = None if content is None else Record(waiting=one, barcode=content.barcode, reader=content.reader)
            book = "" if record is None else record.key
            if one.listed is None and book not in held and name not in self._held_back:
                done = await self._tell(one, record)
                again |= not done
                if not self._link.answers.is_set():
                    return False  # run waits until it answers again
            if name in self._waiting and self._waiting[name].listed is None:
                held.add(book)
        return again

    async def _tell(self, one: Waiting, record: Record | None) -> bool:
        """Tell one record; whether it needs no other try."""
        if record is None:
            end = End(Fate.LISTED, Reason.SEALED_OTHERWISE)
        else:
            try:
                end = await self._carried(record)
            except StoreFull:
                return False
        if end.fate is None:
            end = self._not_now(one, end)
        return end.fate is not None and await self._written(one, end, end.fate)

    async def _carried(self, record: Record) -> End:
        """Run a record's generator to its end. Raises StoreFull."""
        site = self._site
        steps = replay(record, site.now(), self._patience_ms)
        answer: Heard | None = None
        try:
            step: Request | Trying = next(steps)
            while True:
                if isinstance(step, Trying):
                    fact, at = ReplayTried(of=record.waiting.of, due=step.due), site.now()
                    await site.journal.append(fact, at)
                    tried = msgspec.structs.replace(
                        self._waiting[record.waiting.of], tried_ms=at.utc_ms, tried_due=step.due
                    )
                    self._waiting[record.waiting.of] = tried
                    answer = None
                else:
                    at = site.now()
                    answer = Heard(said=await self._link.ask(step, at.utc_ms), at=at)
                step = steps.send(answer)
        except StopIteration as end:
            result: End = end.value
            return result

    def _not_now(self, one: Waiting, end: End) -> End:
        """A system that is there and does not answer to this one record is not asked for ever."""
        if end.silence is None or not self._link.answers.is_set():
            return end
        self._tries[one.of] = tries = self._tries.get(one.of, 0) + 1
        return end if tries < MOST_TRIES else End(Fate.LISTED, end.reason)

    async def _written(self, one: Waiting, end: End, fate: Fate) -> bool:
        """Write what came of it; False: the disk is full, and it is asked again."""
        words = seal(self._key, secrets.token_bytes(12), WORDS, end.words.encode()) if end.words else b""
        fact: Fact = Replayed(of=one.of, fate=fate, reason=end.reason, sealed=words)
        if not await self._site.journal.written(fact, self._site.now()):
            return False
        log.info("replayed", extra={"what": one.what.value, "fate": fate.value, "reason": end.reason.value})
        if fate is Fate.LISTED:
            log.error("alarm", extra={"kind": "librarian", "detail": end.reason.value})
            self._site.journal.note(Alarm(kind="librarian", detail=f"{one.what.value}: {end.reason.value}"))
            self._waiting[one.of] = msgspec.structs.replace(self._waiting[one.of], listed=end.reason, words=words)
        else:
            self.told += 1
            self._forget(one.of)
        return True

    # ----------------------------------------------------------------------- inside

    def _forget(self, name: EntryName) -> None:
        for kept in (self._waiting, self._content, self._tries, self._held_back):
            kept.pop(name, None)

    def _opened(self, one: Waiting) -> Content | None:
        try:
            barcode, reader = msgspec.msgpack.decode(
                unseal(self._key, PURPOSE, one.sealed), type=tuple[str, str | None]
            )
        except (NotOurs, msgspec.MsgspecError):
            return None
        return Content(barcode, None if reader is None else ReaderNumber(reader))

    def _words(self, one: Waiting) -> str:
        try:
            return unseal(self._key, WORDS, one.words).decode() if one.words else ""
        except NotOurs:
            return ""


async def _either(wait: Callable[[], Awaitable[object]], seconds: float | None) -> None:
    try:
        async with asyncio.timeout(seconds):
            await wait()
    except TimeoutError:
        return
