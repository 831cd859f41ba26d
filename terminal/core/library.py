"""What a kiosk asks a library system, and what it hears: the nouns of borrowing.

Laws of this file:
- A reader's name has no field here: the parser of the wire drops it.
- A reader number may be a citizen number (trade: 9): it shows itself to nobody, `repr` and logs included.
- "Not ok" is an answer, with the library's own words; no answer, a request to repeat and a closed line are `Silence`.
"""

from enum import StrEnum

from terminal.core.model import Value


class ReaderNumber(str):
    """The number by which a library knows a reader; kept in memory or sealed, never shown."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ReaderNumber(…)"


class Silence(StrEnum):
    """Why there is no answer. Whether the request took effect is unknown, but for the first three."""

    UNSAYABLE = "unsayable"  # a value the wire cannot carry; nothing was sent
    UNREACHABLE = "unreachable"  # nothing was sent
    NOT_LOGGED_IN = "not_logged_in"  # the system does not take our login; nothing else was sent
    NO_ANSWER = "no_answer"  # sent, and silent until the time was over
    ASKED_AGAIN = "asked_again"  # it asked to repeat (96) more often than it may
    CLOSED = "closed"  # it closed the line instead of answering
    GARBLED = "garbled"  # what came could not be understood, repeats included


class Patron(Value, frozen=True):
    """A reader, as the library system sees them (24, 64)."""

    valid: bool  # BL: the reader number is known
    password_valid: bool | None  # CQ: None where the system does not say
    may_borrow: bool  # status position 0: charge privileges not denied
    may_renew: bool
    blocked_why: tuple[str, ...]  # names of the status flags that are set, by their SIP2 meaning
    holds: int | None
    overdue: int | None
    charged: int | None
    fines: int | None
    fee_minor: int | None  # BV in the currency's minor unit; None where absent or no number
    currency: str  # BH
    items: tuple[str, ...]  # what the asked list names: item barcodes or titles, as the system pleases
    message: str  # AF: its own words for the screen


class Item(Value, frozen=True):
    """A copy on a shelf, as the library system sees it (18)."""

    barcode: str
    title: str
    circulation_status: int | None  # 2-digit code of SIP2: 03 available, 04 charged …
    security_marker: int | None  # 02 tattle-tape, 03 whisper tape …
    due: str
    message: str


class Loan(Value, frozen=True):
    """What a checkout or a renewal came to (12, 30)."""

    ok: bool
    renewed: bool
    desensitise: bool  # the security bit may be cleared
    barcode: str
    title: str
    due: str  # AH, as the system writes it
    fee_minor: int | None
    message: str


class Return(Value, frozen=True):
    """What a checkin came to (10)."""

    ok: bool
    resensitise: bool
    alert: bool  # a sound for the librarian: a hold, another branch
    barcode: str
    title: str
    home: str  # AQ: where it belongs
    bin: str  # CL: which sort bin
    message: str


class Payment(Value, frozen=True):
    """What a fee payment came to (38)."""

    accepted: bool
    message: str


class SystemStatus(Value, frozen=True):
    """What a library system says it does (98); a site may know better."""

    online: bool
    checkin_ok: bool
    checkout_ok: bool
    renewal_ok: bool
    offline_ok: bool
    timeout_s: float | None  # tenths of a second on the wire; None: unknown (999) or off-line (000)
    retries: int | None
    version: str
    institution: str
    messages: str  # BX: which messages it understands, as Y and N
