"""What a kiosk shows and what somebody touches, without a word of how it is drawn.

Laws of this file:
- A page is data: what is said is a `Reason` (words: core/phrases.py), what is named is an enum (words:
  core/screen_words.py). Whoever draws it picks the language.
- A press counts only if the page now shown offers that very button: what was pressed on an earlier page is nothing.
- A page that shows somebody's account is `private`: nobody keeps, logs or records it, and it ends by itself.
"""

from enum import StrEnum

import msgspec

from terminal.core.base import Value
from terminal.core.model import Amount, Reason, Values


class Language(StrEnum):
    """What a page speaks."""

    ZH = "zh"
    EN = "en"


class PageKind(StrEnum):
    """What a page is for."""

    REST = "rest"  # nobody is served: hold out a card, or choose to give back
    RETURNING = "returning"  # books that are put down are taken back; nobody signed in
    READER = "reader"  # a reader is signed in: books that are put down are lent
    ACCOUNT = "account"  # what the reader has, holds and owes
    BUSY = "busy"  # another system is being asked
    CLOSED = "closed"  # out of service


class Touch(StrEnum):
    """What a button does."""

    RETURN = "return"  # begin to give back
    BORROW = "borrow"  # from the account back to lending
    ACCOUNT = "account"
    RENEW = "renew"  # the book of `of`
    RENEW_ALL = "renew_all"
    LANGUAGE = "language"  # the other one
    DONE = "done"


class Word(StrEnum):
    """Names of figures on a page."""

    BORROWED = "borrowed"
    HOLDS = "holds"
    OVERDUE = "overdue"
    FINES = "fines"
    DUE = "due"
    READY = "ready"  # a reservation that is here
    RESERVED = "reserved"  # one of which the library system does not say that it is
    OFFLINE = "offline"  # the library system is away: what is done now is told to it later


class Button(Value, frozen=True):
    """Something to touch."""

    touch: Touch
    of: str = ""  # the row it belongs to


class Said(Value, frozen=True):
    """A phrase with its values: PHRASES has its words, tone and light."""

    reason: Reason
    values: Values = {}


class Row(Value, frozen=True):
    """One book on a page."""

    id: str  # its barcode
    title: str = ""  # the library's own words, in its own language
    due: str = ""  # YYYY-MM-DD, or as the library writes it
    held: Word | None = None  # a reservation: READY or RESERVED
    said: Said | None = None  # what came of it
    words: str = ""  # the library system's own, where it said some
    buttons: tuple[Button, ...] = ()


class Figure(Value, frozen=True):
    """One number of an account."""

    word: Word
    value: str | Amount


class Page(Value, frozen=True):
    """What is on the screen."""

    kind: PageKind
    language: Language = Language.ZH
    said: Said | None = None  # the headline: words, tone and light
    rows: tuple[Row, ...] = ()  # newest last
    figures: tuple[Figure, ...] = ()
    buttons: tuple[Button, ...] = ()  # besides those of rows
    offline: bool = False  # the library system is away
    private: bool = False
    ends_s: float | None = None  # unless somebody acts, it ends after so long; None: it stays

    def is_seen_as(self, other: "Page") -> bool:
        """Whether nobody sees a difference, but for the time that is left."""
        return msgspec.structs.replace(self, ends_s=None) == msgspec.structs.replace(other, ends_s=None)

    def offers(self, press: "Press") -> bool:
        """Whether somebody can have pressed that on this page."""
        there = (*self.buttons, *(button for row in self.rows for button in row.buttons))
        return Button(touch=press.touch, of=press.of) in there


class Press(Value, frozen=True):
    """Somebody touched a button."""

    touch: Touch
    of: str = ""
