"""Bugs on purpose: each replaces one part a terminal, or head office, is made of.

Laws of this file:
- A plant is a context: while it lasts, whatever is assembled has the bug. Everything else is the real thing.
- A rig that does not notice its plants proves nothing; every plant here is one that some rig must notice.
"""

import asyncio
import hashlib
import importlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest.mock import patch

import apsw
import cbor2
import msgspec

from drivers.store import recovery, sqlite, tail_file
from simulators.office import HeadOffice
from terminal import assemble
from terminal.core import accounts, reissuing
from terminal.core.cards import purchase
from terminal.core.cards.apdu import Conversation
from terminal.core.entries import Decided, Draft, Entry, Fact, Receipt, link
from terminal.core.fares.quote import Ride
from terminal.core.ledger import Added, Effect, Ledger
from terminal.core.library import Silence
from terminal.core.loans import Fate
from terminal.core.model import (
    Amount,
    Credential,
    Instant,
    Outcome,
    Presentation,
    Reading,
    Reason,
    Ref,
    Refusal,
    Use,
    UseState,
)
from terminal.core.parameters import ParameterSet
from terminal.core.phrases import Display, display
from terminal.core.services.loan_replay import End, Record
from terminal.core.services.rules import Case
from terminal.core.time import settle
from terminal.core.visit import Happened, Lend
from terminal.ports import Office, StoreBroken, StoreFull
from terminal.runtime import card_doubts, lane, library_site
from terminal.runtime.card_doubts import Tap
from terminal.runtime.journal import Journal
from terminal.runtime.lane import Lane
from terminal.runtime.replay import Replay
from terminal.runtime.site import Site
from terminal.runtime.uploader import Uploader

SERVICES = "terminal.core.services"  # the package has functions of these names
ADMISSION, FARE, PURSE = (importlib.import_module(f"{SERVICES}.{one}") for one in ("admission", "fare", "purse"))
Plant = Callable[[], AbstractContextManager[object]]


class GateBeforeJournal(Lane):
    """Orders the opening as soon as it is decided, while the entry is on its way to the disk."""

    def _judge(
        self, claim: Credential | Refusal, presentation: Presentation, at: Instant, tap: Tap | None = None
    ) -> tuple[Outcome, Decided, Use | None]:
        outcome, fact, use = super()._judge(claim, presentation, at, tap)
        if outcome.decision.granted:
            self._hasty = asyncio.ensure_future(self._order(outcome.persons, presentation.at))
        return outcome, fact, use


class MarkBeforeReceipt(Uploader):
    """Marks a batch as received before it is sent."""

    def __init__(self, journal: Journal, office: Office, *arguments: Any, **named: Any) -> None:
        super().__init__(journal, _Marks(journal, office), *arguments, **named)


class _Marks:
    """Head office, believed before it has answered."""

    def __init__(self, journal: Journal, office: Office) -> None:
        self._journal = journal
        self._office = office
        self.last_held = office.last_held
        self.close = office.close

    async def send(self, batch: bytes) -> bytes:
        fields = cbor2.loads(batch)
        terminal, epoch, first, entries = (fields[key] for key in (2, 3, 4, 5))
        last, digest = first + len(entries) - 1, hashlib.sha256(entries[-1]).digest()
        await self._journal.settle(Receipt(terminal=terminal, epoch=epoch, first=first, last=last, hash=digest))
        return await self._office.send(batch)


class WrongClock(Site):
    """Asks the system's clock when it judges, instead of the reader's stamp and the journal's floor."""

    def instant(self, reading: Reading) -> Instant:
        now = settle(self.clock.read(), 0)
        return msgspec.structs.replace(now, monotonic_ns=reading.monotonic_ns)


class LateReservation(Site):
    """Reserves a turn of the loop after judging."""

    @contextmanager
    def reserved(self, use: Use | None) -> Iterator[None]:
        if use is None:
            yield
            return
        handle = asyncio.get_running_loop().call_soon(self._pending.append, use)
        try:
            yield
        finally:
            handle.cancel()
            if use in self._pending:
                self._pending.remove(use)


class NonceReused(Journal):
    """Takes a nonce back when the disk was full: nothing was written, after all."""

    async def append(self, fact: Fact, at: Instant, evidence: bytes | None = None) -> Entry:
        try:
            return await super().append(fact, at, evidence)
        except StoreFull:
            if evidence is not None and self._sealer is not None:
                self._sealer._nonce -= 1
            raise


class OpensOnHope(Journal):
    """Believes that what could not be written will have been written."""

    async def append(self, fact: Fact, at: Instant, evidence: bytes | None = None) -> Entry:
        try:
            return await super().append(fact, at, evidence)
        except (StoreFull, StoreBroken):
            head = self.head()
            return link(Draft(fact=fact, at=at), self.terminal, head.name, head.hash)[0]


class AnnulIgnored(Journal):
    """Remembers every grant as one that stands."""

    def uses(self, keys: tuple[Ref, ...], since_ms: int) -> list[Use]:
        return [
            msgspec.structs.replace(use, state=UseState.COMMITTED) if use.state is UseState.ANNULLED else use
            for use in super().uses(keys, since_ms)
        ]


class SumsForgotten(Journal):
    """Forgets what was paid towards caps and transfers once head office has it."""

    def ledgers(self, parties: tuple[Ref, ...]) -> Mapping[Ref, Ledger]:
        found = super().ledgers(parties)
        if self.head().unsent:
            return found
        return {party: msgspec.structs.replace(one, sums=(), anchors=()) for party, one in found.items()}


def _settles_twice(case: Case, beside: Ride | None) -> Any:
    """Charges a trip nobody tapped out of, and charges it again."""
    found = _settles(case, beside)
    return msgspec.structs.replace(found, fen=2 * found.fen)


_settles = FARE._unfinished


def _forgets_the_slot(case: Case, *rest: Any, **named: Any) -> tuple[Effect, ...]:
    """Counts everything but who came in on a booking."""
    found = _counts(case, *rest, **named)
    return tuple(one for one in found if not (isinstance(one, Added) and one.id.startswith("slot:")))


_counts = ADMISSION._effects


def _by_its_own_claim(medium_refs: Iterable[Ref], claimed: Ref | None, parameters: ParameterSet) -> Ref | None:
    """Believes what a phone says of its account, and forgets the table that says it of cards."""
    return claimed


def _debits_a_little_more(order: purchase.Order, *rest: Any) -> Conversation[purchase.Begun]:
    """Takes a fen more from the card than is written down."""
    begun = yield from _begins(msgspec.structs.replace(order, amount_fen=order.amount_fen + 1), *rest)
    told = msgspec.structs.replace(begun.debit, amount_fen=order.amount_fen)
    return msgspec.structs.replace(begun, debit=told)


_begins = purchase.begin


def _tells_the_full_price(reason: Reason, values: Mapping[str, str | Amount], *more: str) -> Display:
    """Shows everybody the price of an adult."""
    return display(reason, {**values, "fare": Amount(minor=200, currency="CNY")} if "fare" in values else values, *more)


class ReplayDropped(Replay):
    """Believes that the library system was told what it was never told."""

    async def _carried(self, record: Record) -> End:
        return End(Fate.DONE, Reason.BORROWED)


class ReplayedUnasked(Replay):
    """Tells the library system of a loan without asking first how things stand."""

    async def _carried(self, record: Record) -> End:
        if record.reader is None:
            return await super()._carried(record)
        happened = Happened(at_ms=record.waiting.at_ms, due_ms=record.waiting.due_ms)
        for _ in range(2):  # it was not sure of the first answer
            told = Lend(reader=record.reader, barcode=record.barcode, happened=happened)
            said = await self._link.ask(told, self._site.now().utc_ms)
        return End(None, Reason.LOAN_REFUSED) if isinstance(said, Silence) else End(Fate.DONE, Reason.BORROWED)


def _counts_again(office: HeadOffice) -> None:
    """Head office stores a record as often as it comes."""
    _as_it_is(office)
    office.deduplicates = False


_as_it_is = HeadOffice.__post_init__


def _lax(db: apsw.Connection, pragma: str, wanted: str, value: object) -> None:
    """Waits for no flush at a commit: the first thing somebody tries who wants a faster journal."""
    db.pragma(pragma, "NORMAL" if pragma == "synchronous" else wanted)


# What simulated days must notice.
PLANTS: dict[str, Plant] = {
    "gate before journal": lambda: patch.object(assemble, "Lane", GateBeforeJournal),
    "mark before receipt": lambda: patch.object(assemble, "Uploader", MarkBeforeReceipt),
    "office without dedup": lambda: patch.object(HeadOffice, "__post_init__", _counts_again),
    "time from the wrong clock": lambda: patch.object(assemble, "Site", WrongClock),
    "reservation after an await": lambda: patch.object(assemble, "Site", LateReservation),
    "nonce reused": lambda: patch.object(assemble, "Journal", NonceReused),
    "annul ignored": lambda: patch.object(assemble, "Journal", AnnulIgnored),
    "cap forgotten at upload": lambda: patch.object(assemble, "Journal", SumsForgotten),
    "fare charged twice on settlement": lambda: patch.object(FARE, "_unfinished", _settles_twice),
    "another vehicle's trip ended here": lambda: patch.object(PURSE, "is_ours", lambda *of: True),
    "boarding honoured at the exit": lambda: patch.object(card_doubts, "holds", lambda *of: True),
    "card's link forgotten": lambda: patch.object(accounts, "account_of", _by_its_own_claim),
    "slot not counted": lambda: patch.object(ADMISSION, "_effects", _forgets_the_slot),
    "slot at any hour": lambda: patch.object(ADMISSION, "_is_open", lambda *of: True),
    "card debited for more": lambda: patch.object(purchase, "begin", _debits_a_little_more),
    "replay dropped": lambda: patch.object(library_site, "Replay", ReplayDropped),
    "replayed unasked": lambda: patch.object(library_site, "Replay", ReplayedUnasked),
    "edge of an old disk left": lambda: patch.object(reissuing, "CURABLE", frozenset({"conflict"})),
    "display tells another fare": lambda: patch.object(lane, "display", _tells_the_full_price),
}

# What needs real files under a real process: tests/rigs.
PROCESS_PLANTS: dict[str, Plant] = {
    "gate before journal": PLANTS["gate before journal"],
    "opens on hope": lambda: patch.object(assemble, "Journal", OpensOnHope),
    "synchronous normal": lambda: patch.object(sqlite, "_require", _lax),
    "tail file in the page cache": lambda: patch.object(tail_file, "_opened", lambda path, _: os.open(path, os.O_RDWR)),
}

# What damage to the journal's files must bring to light.
STORE_PLANTS: dict[str, Plant] = {
    "sqlite alone": lambda: patch.object(recovery, "examine", lambda directory, kept: None),
}
