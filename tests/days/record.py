"""What happened on one day, in order.

Laws of this file:
- An event is told at the moment it happens, by the far end that sees it; the order of the list is the order of things.
- `ordered_ns` names a presentation: the monotonic stamp of its last byte. A lane never has two with the same.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from terminal.core.entries import Draft, Entry
from terminal.core.model import EntryName, GateSignal, Reading, Ref
from terminal.core.parameters import Bookings, PurseRules, Tariff


class Booted(NamedTuple):
    """A terminal began on the disk."""

    at_ms: int


class Died(NamedTuple):
    """It ended: cut, killed, broken or told to stop."""

    at_ms: int
    why: str


class Read(NamedTuple):
    """A reader handed a payload to the terminal; it is judged before anything else happens."""

    at_ms: int
    lane: str
    reading: Reading


class Drafted(NamedTuple):
    """Something was given to the store to write, whether it came to the disk or not."""

    at_ms: int
    draft: Draft


class Committed(NamedTuple):
    """An entry is on the disk."""

    at_ms: int
    entry: Entry
    digest: bytes


class Opened(NamedTuple):
    """A gate opened."""

    at_ms: int
    lane: str
    persons: int
    ordered_ns: int


class Walked(NamedTuple):
    """Somebody walked because of an opening, and the board saw it."""

    at_ms: int
    lane: str
    ordered_ns: int


class Signalled(NamedTuple):
    """The terminal heard a signal of the board."""

    at_ms: int
    lane: str
    signal: GateSignal


class Shown(NamedTuple):
    """A display told somebody something."""

    at_ms: int
    lane: str
    en: str
    proof: str  # of the entry it tells of; "" where it tells of none


class CarriedOut(NamedTuple):
    """A reader left with a book the page said was lent."""

    at_ms: int
    reader: str
    book: str


class PutDown(NamedTuple):
    """A reader left a book the page said was taken back."""

    at_ms: int
    reader: str
    book: str


class Debited(NamedTuple):
    """A purse was debited, by the card itself: here, or by another vehicle's terminal."""

    at_ms: int
    purse: Ref
    terminal: bytes  # the secure module's number, 6 bytes
    fen: int
    trip: bytes | None  # EF1E's new record, 48 bytes; None: an ordinary purchase


class GotOff(NamedTuple):
    """Somebody was let off by their purse; whether it still says that they ride."""

    at_ms: int
    lane: str
    purse: Ref
    rides_on: bool


People = Walked | CarriedOut | PutDown | GotOff
Event = Booted | Died | Read | Drafted | Committed | Opened | Signalled | Shown | Debited | People


@dataclass
class Recorded:
    """A whole day, for the checkers."""

    log: list[Event] = field(default_factory=list)
    held: list[tuple[EntryName, bytes]] = field(default_factory=list)  # what head office counts: name, hash
    aside: list[tuple[EntryName, bytes]] = field(default_factory=list)  # what it refused
    misplaced: list[tuple[EntryName, bytes]] = field(default_factory=list)  # of that: where it holds other entries
    counted: set[bytes] = field(default_factory=set)  # hashes of what it counts, or would not take
    yesterday: set[tuple[EntryName, bytes]] = field(default_factory=set)  # what a disk wrote that is no more
    records: list[tuple[str, bytes]] = field(default_factory=list)  # terminal, entry: what it holds, refused or not
    tariff: Tariff = field(default_factory=lambda: Tariff(products=()))
    loaded: dict[Ref, int] = field(default_factory=dict)  # purse → what was on it in the morning
    left: dict[Ref, int] = field(default_factory=dict)  # and in the evening, by the card itself
    riding: dict[Ref, bytes] = field(default_factory=dict)  # purse → the trip it came with, begun elsewhere
    purses: PurseRules = field(default_factory=lambda: PurseRules(products=()))
    modules: frozenset[bytes] = frozenset()  # numbers of this site's secure modules
    account_of: dict[Ref, Ref] = field(default_factory=dict)  # medium → the account its issuer linked it to
    bookings: Bookings = field(default_factory=Bookings)
    unsure: set[str] = field(default_factory=set)  # books of which a dark page said nothing
    lent: list[tuple[str, str]] = field(default_factory=list)  # every loan the library system made: reader, book
    taken_back: dict[str, int] = field(default_factory=dict)  # book → returns it was told of
    lent_to: dict[str, str | None] = field(default_factory=dict)  # book → who has it, as it believes in the evening
    listed: list[tuple[str, str, str]] = field(default_factory=list)  # the librarian's list: what, reader, book
    blocked: dict[int, frozenset[Ref]] = field(default_factory=dict)  # parameter version → who must not pass
    leftovers: list[str] = field(default_factory=list)  # tasks, timers, transports and errors nobody heard
    deaths: list[str] = field(default_factory=list)  # a terminal that ended for a reason no trouble explains
