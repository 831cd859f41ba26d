"""A visit: a talk with one customer as a pure generator. Out go Show, Ask and Note; in come events and answers.

Laws of this file:
- A visit waits for nothing and reads no clock: every event and every answer brings its own `at`.
- `Show` is answered by the next event (somebody acted, or `Tick`), `Ask` by its answer, `Note` once it is durable.
- A book is released, and a page says "done", only behind a `Note` that was written: journal before gate.
- Silence is an answer: whoever asks says what it means.
"""

from collections.abc import Generator
from enum import StrEnum
from typing import TypeVar

from terminal.core.base import EntryName, Ref, Value
from terminal.core.items import Pad, Securing
from terminal.core.library import Item, Loan, Patron, Payment, ReaderNumber, Return, Silence
from terminal.core.loans import Circulated
from terminal.core.model import Credential, Instant, Medium, Outcome, Reading, Refusal
from terminal.core.parameters import ParameterSet
from terminal.core.screen import Page, Press

T = TypeVar("T")

# --------------------------------------------------------------------------- in: what happens


class Known(Value, frozen=True):
    """A reader as the site's link table has them: made at the desk, sealed on disk (docs/library.md)."""

    number: ReaderNumber
    reader_class: str = ""  # which the offline policy speaks of
    until_ms: int | None = None  # the library card is valid until then; None: the table does not say
    may_borrow: bool = True  # as the library system said last
    waiting: int = 0  # books lent to them that the library system was not told of yet


class Presented(Value, frozen=True):
    """A card or code was held out and verified; `known` is None where no reader is linked to it."""

    claim: Credential | Refusal
    account: Ref | None
    known: Known | None
    medium: Medium
    reader: str  # the device it was held out to
    payload: bytes  # sealed as evidence
    seen: Reading
    parameters: ParameterSet
    at: Instant


class Scanned(Value, frozen=True):
    """The barcode of a book was read."""

    barcode: str
    at: Instant


class Laid(Value, frozen=True):
    """What lies on the pad now."""

    pad: Pad
    at: Instant


class Pressed(Value, frozen=True):
    """A button of the page that is shown."""

    press: Press
    at: Instant


class Tick(Value, frozen=True):
    """As long as the last Show may wait, nobody acted."""

    at: Instant


Event = Presented | Scanned | Laid | Pressed | Tick


class Heard(Value, frozen=True):
    """The answer to an Ask; None: the device that was asked is gone, or there is none."""

    said: Patron | Item | Loan | Return | Payment | bool | Securing | Silence | None
    at: Instant


class Noted(Value, frozen=True):
    """The answer to a Note; None: the disk is full, nothing was written."""

    name: EntryName | None
    at: Instant


# --------------------------------------------------------------------------- out: what is asked of the world


class LookUp(Value, frozen=True, tag=True):
    """A reader's account, with one list: 0 holds, 1 overdue, 2 charged, 3 fines. Answered by Patron."""

    reader: ReaderNumber
    listed: int | None = None


class LookAt(Value, frozen=True, tag=True):
    """A copy. Answered by Item."""

    barcode: str


class Happened(Value, frozen=True):
    """It happened already, then, while the library system was away."""

    at_ms: int
    due_ms: int | None = None


class Lend(Value, frozen=True, tag=True):
    """Lend, or take back the half-done loan. Answered by Loan."""

    reader: ReaderNumber
    barcode: str
    undo: bool = False
    happened: Happened | None = None


class TakeBack(Value, frozen=True, tag=True):
    """Take a book back. Answered by Return."""

    barcode: str
    happened: Happened | None = None


class Renew(Value, frozen=True, tag=True):
    """Lend for longer. Answered by Loan."""

    reader: ReaderNumber
    barcode: str


class Pay(Value, frozen=True, tag=True):
    """A fee was paid at the desk, then. Answered by Payment."""

    reader: ReaderNumber
    fee_minor: int
    currency: str
    cash: bool
    at_ms: int
    name: str  # the same however often it is told


class EndSession(Value, frozen=True, tag=True):
    """The reader is done. Answered by bool."""

    reader: ReaderNumber


class Secure(Value, frozen=True, tag=True):
    """Write the security of a book on the pad and read it back. Answered by Securing, or None without a pad."""

    barcode: str
    on: bool


class Port(StrEnum):
    """Who is asked."""

    LIBRARY = "library"
    ITEMS = "items"


Request = LookUp | LookAt | Lend | TakeBack | Renew | Pay | EndSession | Secure


class Ask(Value, frozen=True):
    """A question to a port; answered by Heard."""

    port: Port
    request: Request


class Show(Value, frozen=True):
    """Show a page and wait for whoever acts; answered by an Event. `wait_s` None: for ever."""

    page: Page
    wait_s: float | None = None


class Note(Value, frozen=True):
    """Write a fact; answered by Noted. Book and reader number are sealed into it where it waits to be told."""

    fact: Circulated
    barcode: str
    reader: ReaderNumber | None = None


class SignIn(Value, frozen=True):
    """Write the decision on what was presented; answered by Noted."""

    presented: Presented
    outcome: Outcome


Step = Ask | Show | Note | SignIn
Visit = Generator[Step, Event | Heard | Noted, T]


def ask(port: Port, request: Request) -> Visit[Heard]:
    """Ask a port."""
    heard = yield Ask(port=port, request=request)
    assert isinstance(heard, Heard)
    return heard


def show(page: Page, wait_s: float | None = None) -> Visit[Event]:
    """Show a page and wait."""
    event = yield Show(page=page, wait_s=wait_s)
    assert isinstance(event, Event)
    return event


def note(one: Note | SignIn) -> Visit[Noted]:
    """Write a fact, durable when this returns."""
    noted = yield one
    assert isinstance(noted, Noted)
    return noted
