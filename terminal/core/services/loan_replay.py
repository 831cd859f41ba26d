"""Telling the library system of a circulation that happened while it was away. One generator is one record.

Laws of this file:
- The system is asked how things stand before it is told, so that nothing is told twice: what it knows is `ALREADY`.
- A book that it still believes to be with somebody else was given back somewhere it has not heard of yet: the loan
  waits for that return, so that the order in which two kiosks come back does not matter.
- Where nobody can know whether it was told, and time has passed, a librarian decides. Nothing is guessed.
- A payment that may have been told is never told again: either what is owed fell by just so much, or a librarian looks.
- What the system refuses goes to the librarian's list in its own words, and holds up nobody.
"""

from collections.abc import Generator
from typing import NamedTuple, TypeVar

from terminal.core.base import Value
from terminal.core.library import Item, Loan, Patron, Payment, ReaderNumber, Return, Silence
from terminal.core.loans import Circulation, Fate, Waiting
from terminal.core.model import Instant, Reason
from terminal.core.services.loan_account import CHARGED
from terminal.core.services.loan_rules import WORDS_OF
from terminal.core.visit import Happened, Heard, Lend, LookAt, LookUp, Pay, Request, TakeBack

T = TypeVar("T")

CHARGED_STATES = (4, 5)  # circulation status of SIP2: charged; charged, not to be recalled yet
SURE_MS = 15 * 60_000  # so long after it may have been told, what stands there now is still what came of it


class Record(Value, frozen=True):
    """A circulation that waits, opened."""

    waiting: Waiting
    barcode: str
    reader: ReaderNumber | None  # None: a return

    @property
    def key(self) -> str:
        """What records that must be told one after the other have in common: the book, or whose fee it is."""
        return self.barcode or f"reader {self.reader}"


class Trying(NamedTuple):
    """About to tell: is written, durable, before the next request. Answered by None."""

    due: str = ""  # of a return: the loan's day; of a payment: what was owed, in minor units


class End(NamedTuple):
    """What came of it. `fate` None: not now; `silence`: because the system does not answer."""

    fate: Fate | None
    reason: Reason
    words: str = ""
    silence: Silence | None = None


Replay = Generator[Request | Trying, Heard | None, T]


class _Silent(Exception):
    def __init__(self, silence: Silence) -> None:
        super().__init__(silence.value)
        self.silence = silence


def replay(record: Record, at: Instant, patience_ms: int) -> Replay[End]:
    """Tell one record. `patience_ms`: how long a loan waits for somebody else's return."""
    kinds = {Circulation.LENT: _lent, Circulation.RETURNED: _returned, Circulation.PAID: _paid}
    tell = kinds.get(record.waiting.what, _undone)
    try:
        return (yield from tell(record, at, patience_ms))
    except _Silent as gone:
        if gone.silence is Silence.UNSAYABLE:
            return End(Fate.LISTED, Reason.BOOK_NOT_RECOGNISED)
        return End(None, WORDS_OF[gone.silence], silence=gone.silence)


# --------------------------------------------------------------------------- one kind each


def _lent(record: Record, at: Instant, patience_ms: int) -> Replay[End]:
    """A loan: to a reader who may have it already, of a book that may be with somebody else."""
    assert record.reader is not None
    patron = yield from _ask(LookUp(reader=record.reader, listed=CHARGED))
    item = yield from _ask(LookAt(barcode=record.barcode))
    if _is_with(record, patron, item):
        return End(Fate.ALREADY, Reason.BORROWED)
    if _is_charged(item):
        waited_ms = at.utc_ms - record.waiting.at_ms
        return End(Fate.LISTED if waited_ms > patience_ms else None, Reason.BOOK_WITH_ANOTHER)
    if _may_know(record, at):
        return End(Fate.LISTED, Reason.LOAN_UNSURE)
    yield Trying()
    happened = Happened(at_ms=record.waiting.at_ms, due_ms=record.waiting.due_ms)
    made = yield from _ask(Lend(reader=record.reader, barcode=record.barcode, happened=happened))
    if isinstance(made, Loan) and made.ok:
        return End(Fate.DONE, Reason.BORROWED)
    return End(Fate.LISTED, Reason.LOAN_REFUSED, words=made.message if isinstance(made, Loan) else "")


def _returned(record: Record, at: Instant, patience_ms: int) -> Replay[End]:
    """A return, with its true date. Once it may have been told, another loan of that book is not ended by it."""
    item = yield from _ask(LookAt(barcode=record.barcode))
    waiting, due = record.waiting, item.due if isinstance(item, Item) else ""
    if waiting.doubtful or waiting.tried_ms is not None:
        if not _is_charged(item):
            return End(Fate.ALREADY, Reason.RETURNED)
        other_loan = waiting.tried_ms is not None and due != waiting.tried_due
        if other_loan or _may_know(record, at):
            return End(Fate.LISTED, Reason.RETURN_UNSURE)
    yield Trying(due)
    made = yield from _ask(TakeBack(barcode=record.barcode, happened=Happened(at_ms=waiting.at_ms)))
    if isinstance(made, Return) and made.ok:
        return End(Fate.DONE, Reason.RETURNED)
    return End(Fate.LISTED, Reason.RETURN_REFUSED, words=made.message if isinstance(made, Return) else "")


def _undone(record: Record, at: Instant, patience_ms: int) -> Replay[End]:
    """A loan whose book was never released. One that may be an older loan of theirs is a librarian's to end."""
    assert record.reader is not None
    patron = yield from _ask(LookUp(reader=record.reader, listed=CHARGED))
    item = yield from _ask(LookAt(barcode=record.barcode))
    if not _is_with(record, patron, item):
        return End(Fate.ALREADY, Reason.BOOK_NOT_RELEASED)
    if record.waiting.doubtful or _may_know(record, at):
        return End(Fate.LISTED, Reason.LOAN_UNSURE)
    yield Trying()
    made = yield from _ask(Lend(reader=record.reader, barcode=record.barcode, undo=True))
    if isinstance(made, Loan) and made.ok:
        return End(Fate.DONE, Reason.BOOK_NOT_RELEASED)
    return End(Fate.LISTED, Reason.LOAN_UNSURE, words=made.message if isinstance(made, Loan) else "")


def _paid(record: Record, at: Instant, patience_ms: int) -> Replay[End]:
    """A fee that was paid at the desk."""
    assert record.reader is not None
    waiting = record.waiting
    patron = yield from _ask(LookUp(reader=record.reader))
    owed = patron.fee_minor if isinstance(patron, Patron) else None
    if waiting.tried_ms is not None:
        fell = owed is not None and waiting.tried_due == str(owed + waiting.fee_minor)
        return End(Fate.ALREADY, Reason.PAID) if fell else End(Fate.LISTED, Reason.PAYMENT_UNSURE)
    yield Trying("" if owed is None else str(owed))
    pay = Pay(
        reader=record.reader,
        fee_minor=waiting.fee_minor,
        currency=patron.currency if isinstance(patron, Patron) else "",
        cash=waiting.cash,
        at_ms=waiting.at_ms,
        name=f"{waiting.of.epoch.hex()}/{waiting.of.sequence}",
    )
    made = yield from _ask(pay)
    if isinstance(made, Payment) and made.accepted:
        return End(Fate.DONE, Reason.PAID)
    return End(Fate.LISTED, Reason.PAYMENT_REFUSED, words=made.message if isinstance(made, Payment) else "")


# --------------------------------------------------------------------------- how things stand


def _ask(request: Request) -> Replay[object]:
    heard = yield request
    assert heard is not None
    if isinstance(heard.said, Silence):
        raise _Silent(heard.said)
    return heard.said


def _is_with(record: Record, patron: object, item: object) -> bool:
    """Whether the system has this book with this reader. It may list barcodes or titles."""
    listed = patron.items if isinstance(patron, Patron) else ()
    title = item.title if isinstance(item, Item) else ""
    return record.barcode in listed or (bool(title) and title in listed and _is_charged(item))


def _is_charged(item: object) -> bool:
    return isinstance(item, Item) and item.circulation_status in CHARGED_STATES


def _may_know(record: Record, at: Instant) -> bool:
    """Whether it may have been told, and so long ago that what stands there now says nothing of it."""
    waiting = record.waiting
    told_ms = waiting.tried_ms if waiting.tried_ms is not None else waiting.at_ms if waiting.doubtful else None
    return told_ms is not None and at.utc_ms - told_ms > SURE_MS
