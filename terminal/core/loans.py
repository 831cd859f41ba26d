"""What a library kiosk writes down: facts for the journal (core/entries.py lists them with the others).

Laws of this file:
- An entry tells head office that a book moved, not which book, nor to whom: both are keyed hashes here, and where the
  library system must still be told, book and reader number are sealed under the site's own key.
- A circulation that waits is told later, in its turn; an entry says what came of it. None is ever forgotten.
"""

from enum import StrEnum

from terminal.core.base import EntryName, Ref, Value
from terminal.core.model import Reason


class Circulation(StrEnum):
    """What happened to a book."""

    LENT = "lent"
    RETURNED = "returned"
    RENEWED = "renewed"
    UNDONE = "undone"  # a loan was taken back at once: the book was never released


class Circulated(Value, frozen=True, tag="circulated"):
    """A book moved; the entry's own time is when."""

    lane: str
    what: Circulation
    reason: Reason
    of: EntryName | None = None  # the sign-in it belongs to; of UNDONE: the loan
    book: Ref = Ref(b"")  # keyed hash of its barcode
    waits: bool = False  # the library system was away: it is told later
    doubtful: bool = False  # it was asked and did not answer: it may know already
    due_ms: int | None = None  # of a loan that waits: the date we gave
    sealed: bytes = b""  # reader number and barcode under the site's key, where it waits
