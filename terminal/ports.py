"""What the core and the lanes ask of the world.

Laws of this file:
- A port is a Protocol; drivers and simulators implement it, `terminal.assemble` joins the two.
- Only the errors named here cross a port. Drivers wrap whatever their library raises, at the edge.
- No port hands out a clock but `Clock`, and only a device that sees a medium or a signal reads it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

from terminal.core.debit import Debit
from terminal.core.entries import Draft, Entry, Head, Receipt, StoredEntry
from terminal.core.items import Pad, Securing
from terminal.core.ledger import Ledger
from terminal.core.library import Item, Loan, Patron, Payment, ReaderNumber, Return, Silence, SystemStatus
from terminal.core.loans import Waiting
from terminal.core.model import EntryName, GateAnswer, GateEvent, Instant, Medium, Reading, Reason, Ref, Use
from terminal.core.phrases import Display
from terminal.core.route import Fix
from terminal.core.screen import Page, Press

T = TypeVar("T")

# --------------------------------------------------------------------------- errors, by who must act


class DeviceError(Exception):
    """A device failed; the technician acts: `hint` says what, where, what to try. Its task restarts with backoff."""

    def __init__(self, what: str, *, hint: str) -> None:
        super().__init__(f"{what} ({hint})")
        self.what = what
        self.hint = hint


class OfficeError(Exception):
    """Head office could not be reached or did not answer properly; nobody acts, the uploader retries.

    `retry_after_s` is head office's own wish, unclamped; `too_large` says the batch must be halved;
    `alarm` names a closed-list alarm when a person must hear of it (a certificate, a portal).
    """

    def __init__(
        self, what: str, *, retry_after_s: float | None = None, too_large: bool = False, alarm: str | None = None
    ) -> None:
        super().__init__(what)
        self.retry_after_s = retry_after_s
        self.too_large = too_large
        self.alarm = alarm


class StoreFull(Exception):
    """The disk is full; nothing was written, the journal is whole. Refuse before the gate."""


class StoreBroken(Exception):
    """The store can no longer be trusted (a failed fsync, damage): the process must end and re-verify."""


class StoreInUse(StoreBroken):
    """Another process has the store open: nothing is wrong with it, but this process must not go on."""


class CardGone(Exception):
    """The card left, went mute or did not answer in time: whether the last command took effect is unknown."""


# --------------------------------------------------------------------------- time


class Clock(Protocol):
    """The only reader of clocks."""

    def read(self) -> Reading:
        """UTC, its uncertainty, and CLOCK_MONOTONIC, read together."""

    def monotonic_s(self) -> float:
        """Seconds for waiting: the running event loop's own time."""


# --------------------------------------------------------------------------- lanes


@runtime_checkable
class CodeReader(Protocol):
    """Delivers payloads; each is stamped `at` the moment its last byte arrived."""

    medium: Medium

    def payloads(self) -> AsyncIterator[tuple[bytes | Reason, Reading]]:
        """Payloads as they arrive, or why one that was held out cannot be taken. Raises DeviceError when it is gone."""


@runtime_checkable
class Watching(Protocol):
    """What a reader that looks all the time, such as a camera or a card reader, can do besides."""

    on_alive: Callable[[], None]  # called at every sign of life: it may be long until somebody comes

    def status(self) -> dict[str, Any]:
        """Figures for the status."""


@runtime_checkable
class WatchingReader(Watching, Protocol):
    """A CodeReader that looks all the time."""

    def again(self) -> None:
        """The lane could not finish: hand over once more what is still held out."""


class CardChannel(Protocol):
    """One card in the field, until it leaves."""

    uid: bytes  # anti-collision identity where the reader gives one, else b""
    atr: bytes  # answer to reset (PC/SC), or ATS/historical bytes
    alone: bool  # False when the reader sees more than one card

    async def transmit(self, command: bytes) -> bytes:
        """One APDU; the whole answer, data ‖ SW1 SW2. Raises CardGone, DeviceError.

        The driver follows 61xx and 6Cxx, within its budget.
        """


@runtime_checkable
class CarryingChannel(CardChannel, Protocol):
    """A channel with a thread of its own: a conversation goes on there without coming back to the loop in between."""

    async def carry(self, steps: Generator[bytes, bytes, T]) -> T:
        """Each command it yields is answered whole, on the channel's thread. Raises CardGone, and what it raises."""


@runtime_checkable
class CardSlot(Protocol):
    """Delivers cards as they arrive; the channel is exclusive until the lane asks for the next one."""

    medium: Medium  # Medium.CARD

    def cards(self) -> AsyncIterator[tuple[CardChannel, Reading]]:
        """Each arrival once. Raises DeviceError when the reader is gone."""


@runtime_checkable
class SecureModule(Protocol):
    """A PSAM in a slot of its own."""

    async def transmit(self, command: bytes) -> bytes:
        """One APDU; the whole answer. Raises DeviceError when it does not answer."""


@runtime_checkable
class WaitingModule(SecureModule, Protocol):
    """A secure module that can also be asked from another thread than the loop's."""

    def answer(self, command: bytes) -> bytes:
        """As `transmit`; the calling thread waits."""


@runtime_checkable
class Gate(Protocol):
    """A barrier, or the light that stands for one."""

    # How long the controller itself keeps a granted right: our annul time must exceed it, and a code shown again
    # meanwhile orders no second one.
    hold_s: float

    async def open(self, persons: int, ordered_at: Reading) -> GateAnswer:
        """Order one opening. Never retried; an order older than 0.5 s is never sent."""

    def events(self) -> AsyncIterator[GateEvent]:
        """What the board reports. Raises DeviceError when the board is gone."""


@runtime_checkable
class StandsOpen(Protocol):
    """A gate whose barrier can be left open: by the site's hours, or in an emergency."""

    @property
    def can_stand_open(self) -> bool:
        """Whether something is wired for it."""

    async def stand_open(self, is_open: bool) -> None:
        """Leave the barrier open, or shut it again; kept until it is said otherwise, also over a reconnect. Meanwhile
        `open` orders nothing. Raises DeviceError when the board could not be told yet.
        """


@runtime_checkable
class Indicator(Protocol):
    """Light, tone and words."""

    async def show(self, display: Display) -> None:
        """Show at once; replaces what was shown. Raises DeviceError when the device is gone."""


@runtime_checkable
class Screen(Protocol):
    """A kiosk's screen: pages out, presses in."""

    async def show(self, page: Page) -> None:
        """Show at once; replaces what was shown. Raises DeviceError when nothing can be shown."""

    def presses(self) -> AsyncIterator[tuple[Press, Reading]]:
        """What is touched, as it is touched. Raises DeviceError when the screen is gone."""


@runtime_checkable
class Positions(Protocol):
    """Where the vehicle is: a GNSS receiver, or whatever else knows."""

    def fixes(self) -> AsyncIterator[Fix]:
        """Positions as they come, the newest only. Raises DeviceError when the device is gone."""


@runtime_checkable
class PowerInput(Protocol):
    """Ignition or mains: on loss the terminal finishes the tap, flushes, uploads briefly and stops clean."""

    async def lost(self) -> None:
        """Return when the supply has gone. Raises DeviceError when the input cannot be read."""


@runtime_checkable
class BoxSwitch(Protocol):
    """The switch under the lid of the terminal's own box. Both raise DeviceError when it cannot be read."""

    async def opened(self) -> None:
        """Return once the box stands open, or was open for a moment."""

    async def shut(self, for_s: float) -> None:
        """Return once it has stood shut for so long."""


# --------------------------------------------------------------------------- journal


@runtime_checkable
class Store(Protocol):
    """Durable entries, in order. One writer; readers never write."""

    def open(self, terminal: str, at: Instant) -> Head:
        """Lock, recover, verify the tail, begin an epoch if needed. Blocking. Raises StoreBroken or StoreInUse."""

    def append(self, draft: Draft) -> Awaitable[Entry]:
        """Durable once awaited. Raises StoreFull (nothing written) or StoreBroken (end the process)."""

    def head(self) -> Head:
        """The newest durable entry and the time floor."""

    def uses(self, keys: Sequence[Ref], since_ms: int) -> Sequence[Use]:
        """Granted uses whose code, twin, medium or account is one of `keys`, not older than `since_ms`.

        Synchronous and quick: called between recall and reserve, where nothing may wait.
        """

    def ledgers(self, parties: Sequence[Ref]) -> Mapping[Ref, Ledger]:
        """The ledgers there are of these parties. Synchronous and quick, as `uses`."""

    def uses_from(self, name: EntryName) -> Sequence[Use]:
        """Uses begun by this entry or a later one, oldest first: for a shift's totals, never for a tap."""

    def doubts(self) -> Sequence[tuple[Ref, Debit]]:
        """Mediums whose newest debit is open: for the start, never for a tap."""

    def waiting(self) -> Sequence[Waiting]:
        """Circulations a library system is still to be told of, or would not take, oldest first: for the start."""

    def open_uses(self) -> Sequence[Use]:
        """Uses still `reserved`, oldest first: after a restart each becomes `passage unknown`."""

    def unsent(self, from_row: int, limit: int, max_bytes: int) -> Sequence[StoredEntry]:
        """The oldest contiguous run of entries of one epoch without a receipt, from `from_row` on."""

    def holds(self, name: EntryName, digest: bytes) -> bool:
        """Whether this store has, or pruned behind an anchor, that entry with that hash."""

    async def settle(self, receipt: Receipt) -> int:
        """Mark what a *verified* receipt covers; refused ones go to quarantine. Returns entries newly marked."""

    async def prune(self, before_ms: int) -> int:
        """Forget some of the oldest receipted entries made before then; returns how many. An anchor keeps the chain."""

    async def reissue(self, at: Instant) -> int:
        """Issue again, in this epoch, some of what no receipt will cover under its name; how many. Raises StoreFull."""

    def needs_new_epoch(self) -> bool:
        """Whether something that is to be issued again stands in this very epoch: only a new one can carry it."""

    def size(self) -> int:
        """Bytes the entries and their projection take."""

    def is_full(self) -> bool:
        """Whether entries are refused because the disk is full."""

    async def broken(self) -> None:
        """Wait until the store can no longer be trusted, whoever found out. Raises StoreBroken then."""

    async def verify(self) -> str | None:
        """Verify what `open` left for later; what is wrong, or None. The next start then salvages."""

    async def begin_epoch(self, why: str, at: Instant) -> Head:
        """Begin a new epoch that names its predecessor."""

    async def close(self) -> None:
        """Flush, checkpoint, write the head file, unlock."""


# --------------------------------------------------------------------------- head office


@runtime_checkable
class Office(Protocol):
    """Head office, at the far end of any wire. Raises OfficeError only."""

    async def last_held(self) -> "bytes":
        """The signed statement of the last entry head office holds of this terminal (COSE_Sign1 bytes)."""

    async def send(self, batch: bytes) -> bytes:
        """Send one encoded batch; return the receipt's bytes, not yet verified."""

    async def close(self) -> None:
        """Let go of the connection."""


class LibraryError(Exception):
    """A library system did not answer; `silence` says how. Whether the request took effect may be unknown."""

    def __init__(self, silence: Silence, what: str) -> None:
        super().__init__(f"{silence.value}: {what}")
        self.silence = silence


@runtime_checkable
class LibrarySystem(Protocol):
    """A library's own system. Every question raises LibraryError; "not ok" is an answer. Times are Unix milliseconds.

    `no_block` says that it already happened while the system was away; a system may ignore that, and refuse.
    `undo` takes back the half-done opposite: the security bit could not be set.
    `currency`, of ISO 4217, is of what readers owe where the system does not say.
    """

    currency: str

    async def status(self) -> SystemStatus:
        """What the system says it can do."""

    async def patron(self, reader: ReaderNumber, at_ms: int, *, listed: int | None = None) -> Patron:
        """The reader, with one list of their items where `listed` names it: 0 holds, 1 overdue, 2 charged, 3 fines."""

    async def item(self, barcode: str, at_ms: int) -> Item:
        """One copy."""

    async def checkout(
        self,
        reader: ReaderNumber,
        barcode: str,
        at_ms: int,
        *,
        no_block: bool = False,
        due_ms: int | None = None,
        undo: bool = False,
    ) -> Loan:
        """Lend."""

    async def checkin(
        self, barcode: str, at_ms: int, returned_ms: int, *, no_block: bool = False, undo: bool = False
    ) -> Return:
        """Take back."""

    async def renew(self, reader: ReaderNumber, barcode: str, at_ms: int) -> Loan:
        """Lend for longer."""

    async def pay(
        self, reader: ReaderNumber, fee_minor: int, currency: str, at_ms: int, *, cash: bool = False, name: str = ""
    ) -> Payment:
        """A fee was paid; `name` is this payment's own, `currency` "" is the system's own."""

    async def end_session(self, reader: ReaderNumber, at_ms: int) -> bool:
        """The reader is done."""

    async def close(self) -> None:
        """Let go of the line."""


@runtime_checkable
class ItemReader(Protocol):
    """A kiosk's pad: what books lie on it, and the security that a door looks at (ISO 28560)."""

    def pads(self) -> AsyncIterator[tuple[Pad, Reading]]:
        """What lies there, first now and then whenever it differs. Raises DeviceError when the reader is gone."""

    async def secure(self, item: str, on: bool) -> Securing:
        """Write the security of every tag of this item, and read it back. Raises DeviceError when the reader is gone.

        Only DONE is done. With any other outcome, an error included, the loan is undone or the book called back; of a
        set, the parts already written are put back where they can be.
        """


@runtime_checkable
class ParameterSource(Protocol):
    """Where parameter sets come from; a signed source comes through the same port."""

    def read(self) -> "RawParameters":
        """The newest complete set: manifest and files, whole. Raises DeviceError when it cannot be read."""

    def changed(self) -> bool:
        """Whether `read` would now give something else than last time. Cheap."""


class RawParameters(dict[str, bytes]):
    """File name → bytes of one complete, self-consistent set, "manifest.json" included."""


# --------------------------------------------------------------------------- what drivers stand on


class ByteLink(Protocol):
    """A line of bytes: serial, TCP or pty, opened by URL (drivers/link.py)."""

    def on_bytes(self, receive: Callable[[bytes], None], lost: Callable[[Exception | None], None]) -> None:
        """Deliver bytes as they arrive on the event loop; `lost` once when the line is gone."""

    def write(self, data: bytes) -> None:
        """Queue bytes for sending. Raises DeviceError when the line is gone."""

    def close(self) -> None:
        """Let go of the line."""
