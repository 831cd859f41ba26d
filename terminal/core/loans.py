"""What a library kiosk writes down: facts for the journal (core/entries.py lists them with the others).

Laws of this file:
- An entry tells head office that a book moved, not which book, nor to whom: the book is a keyed hash, and where the
  library system must still be told, book and reader number are sealed under the site's own key (core/site_key.py).
- A circulation that waits is told later, in its turn; an entry says what came of it. None is ever forgotten: what the
  library system refuses stays on the librarian's list until a librarian says what was done about it.
"""

from enum import StrEnum

import msgspec

from terminal.core.base import EntryName, Ref, Value
from terminal.core.reason import Reason


class Circulation(StrEnum):
    """What happened to a book, or to what is owed for one."""

    LENT = "lent"
    RETURNED = "returned"
    RENEWED = "renewed"
    UNDONE = "undone"  # a loan was taken back at once: the book was never released
    PAID = "paid"  # a fee was paid at the desk


class Circulated(Value, frozen=True, tag="circulated"):
    """A book moved; the entry's own time is when."""

    lane: str
    what: Circulation
    reason: Reason
    of: EntryName | None = None  # the sign-in it belongs to; of UNDONE: the loan
    book: Ref = Ref(b"")  # keyed hash of its barcode
    waits: bool = False  # the library system was away: it is told later
    doubtful: bool = False  # it was asked and did not answer: it may know already
    cancels: bool = False  # of UNDONE: the loan still waits, and is never told
    due_ms: int | None = None  # of a loan that waits: the date we gave
    sealed: bytes = b""  # reader number and barcode under the site's key, where it waits
    who: str = ""  # of PAID: who took the money
    fee_minor: int = 0  # of PAID: how much, in minor units of the library system's currency
    cash: bool = False  # of PAID: by cash, not by card


class Fate(StrEnum):
    """What came of telling the library system."""

    DONE = "done"
    ALREADY = "already"  # it knew
    LISTED = "listed"  # it refused, or nobody can know: a librarian decides


class ReplayTried(Value, frozen=True, tag="replay_tried"):
    """The library system is about to be told: durable before it is. Whoever restarts knows that it may know."""

    of: EntryName
    due: str = ""  # as the library system said it just before: when a loan that a return ends is due; what is owed


class Replayed(Value, frozen=True, tag="replayed"):
    """What came of telling the library system of a circulation that waited."""

    of: EntryName
    fate: Fate
    reason: Reason
    sealed: bytes = b""  # the library system's own words, under the site's key


class ListSettled(Value, frozen=True, tag="list_settled"):
    """A librarian dealt with a record of the list."""

    who: str
    of: EntryName
    why: str


KioskFact = Circulated | ReplayTried | Replayed | ListSettled


class Waiting(Value, frozen=True):
    """A circulation the library system has not been told of, or would not take."""

    of: EntryName
    at_ms: int  # when the book moved, Unix milliseconds
    lane: str
    what: Circulation
    doubtful: bool = False
    due_ms: int | None = None
    sealed: bytes = b""
    tried_ms: int | None = None  # when the library system was about to be told last
    tried_due: str = ""
    listed: Reason | None = None  # on the librarian's list, and why
    words: bytes = b""  # sealed: what the library system said
    fee_minor: int = 0
    cash: bool = False


def waiting_of(entry_name: EntryName, at_ms: int, fact: Circulated) -> Waiting:
    """The record a circulation that waits begins with."""
    return Waiting(
        of=entry_name,
        at_ms=at_ms,
        lane=fact.lane,
        what=fact.what,
        doubtful=fact.doubtful,
        due_ms=fact.due_ms,
        sealed=fact.sealed,
        fee_minor=fact.fee_minor,
        cash=fact.cash,
    )


def party_of(name: EntryName) -> Ref:
    """The party under whose ledger a record waits: its own."""
    return Ref(b"\x00" + name.epoch + name.sequence.to_bytes(8))


# --------------------------------------------------------------------------- what an entry changes of a record


class Waits(Value, frozen=True, tag="waits"):
    """A circulation waits to be told to the library system."""

    party: Ref
    waiting: Waiting


class Tried(Value, frozen=True, tag="tried"):
    """The library system is about to be told."""

    party: Ref
    due: str


class Told(Value, frozen=True, tag="told"):
    """A circulation waits no more; `listed`: a librarian has to look at it."""

    party: Ref
    listed: Reason | None = None
    words: bytes = b""


def after(waiting: Waiting | None, effect: Waits | Tried | Told, at_ms: int) -> Waiting | None:
    """A record after an effect of an entry made then; None: nothing waits."""
    if isinstance(effect, Waits):
        return effect.waiting
    if waiting is None or (isinstance(effect, Told) and effect.listed is None):
        return None
    if isinstance(effect, Tried):
        return msgspec.structs.replace(waiting, tried_ms=at_ms, tried_due=effect.due)
    return msgspec.structs.replace(waiting, listed=effect.listed, words=effect.words)
