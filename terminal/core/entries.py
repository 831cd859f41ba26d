"""The journal's facts, their chain and their names.

Laws of this file:
- An entry is one numbered fact. Its bytes are CBOR, written once and never re-encoded: the hash is over them.
- Each entry carries its sequence and the hash of the one before it: SHA-256 over the entry's own bytes,
  which hold the previous hash. A gap, a change or a swap breaks the chain.
- An entry is named by (terminal, epoch, sequence). An epoch begins with a fact that names its predecessor.
- Rider evidence travels beside a fact only when sealed; a fact itself holds keyed hashes, never a number.
- A new kind of fact is a new Struct in `Fact`; an old one never changes its meaning.
"""

import hashlib
from typing import get_args

import cbor2
import msgspec

from terminal.core.card import Assurance, CardFacts
from terminal.core.cbor import NO_TAGS
from terminal.core.debit import DebitMade, DebitProof, DebitState, PurseDebit
from terminal.core.ledger import Effect, Where
from terminal.core.loans import KioskFact
from terminal.core.lock import LockEnded, LockIntended
from terminal.core.model import (
    Charge,
    EntryName,
    Evidence,
    GateSignal,
    Instant,
    Medium,
    PassageMode,
    Reason,
    Ref,
    Tap,
    Value,
    Verdict,
)
from terminal.core.shift import BoardedFree as BoardedFree  # noqa: PLC0414  # taken from here
from terminal.core.shift import EmergencyOrdered as EmergencyOrdered  # noqa: PLC0414  # taken from here
from terminal.core.shift import Moved as Moved  # noqa: PLC0414  # taken from here
from terminal.core.shift import SignedOff as SignedOff  # noqa: PLC0414  # taken from here
from terminal.core.shift import SignedOn as SignedOn  # noqa: PLC0414  # taken from here
from terminal.core.shift import Voided as Voided  # noqa: PLC0414  # taken from here

# --------------------------------------------------------------------------- facts


class EpochBegan(Value, frozen=True, tag="epoch"):
    """The first entry of an epoch: which one it follows, and why a new one was needed."""

    previous: EntryName | None
    previous_hash: bytes
    why: str  # "first start", "damage", "head office is ahead", …


class Started(Value, frozen=True, tag="start"):
    """The terminal came up."""

    version: str
    boot: str  # 16 random bytes as hexadecimal: one run of the process
    sm2_backend: str
    lanes: tuple[str, ...]


class Stopped(Value, frozen=True, tag="stop"):
    """The terminal went down by itself, and why."""

    why: str


class ContentKey(Value, frozen=True, tag="content_key"):
    """A content key, sealed to head office; written before anything it seals (core/sealing.py)."""

    number: int
    suite: str
    office_key: str
    sealed_key: bytes


class ParametersChanged(Value, frozen=True, tag="parameters"):
    """A new parameter set is in force from this entry on."""

    version: int
    versions: dict[str, int]


class Decided(Value, frozen=True, tag="decision"):
    """One presentation was decided. A grant reserves the use of its code."""

    lane: str
    service: str
    medium: Medium
    format: str | None
    issuer: str | None
    verdict: Verdict
    reason: Reason
    evidence: Evidence
    code_key: Ref | None = None
    twin_key: Ref | None = None
    medium_ref: Ref | None = None
    account_ref: Ref | None = None
    charge: Charge | None = None
    persons: int = 1
    passage: PassageMode = PassageMode.ASSUMED
    repeat_of: EntryName | None = None
    generated_ms: int | None = None
    pay_by_ms: int | None = None  # head office should hold this ride by then; its lateness is visible
    tap: Tap = Tap.RIDE
    where: Where = Where()
    effects: tuple[Effect, ...] = ()  # what it changes in ledgers (core/ledger.py)
    assurance: Assurance = Assurance.SIGNED
    card: CardFacts | None = None  # where a card was talked with
    debit: DebitMade | None = None  # the debit this grant stands on, done


class DebitIntended(Value, frozen=True, tag="debit_intended"):
    """A card is about to be asked for money: durable before the command that takes it."""

    lane: str
    service: str
    issuer: str
    medium_ref: Ref
    account_ref: Ref | None
    debit: PurseDebit
    evidence: Evidence
    module: str  # the secure module's serial number, hexadecimal


class DebitSettled(Value, frozen=True, tag="debit_settled"):
    """What became of an intended debit, where no decision says so: done for an earlier trip, not done, or unknown."""

    lane: str
    of: EntryName
    medium_ref: Ref
    state: DebitState
    why: str  # a closed list: a status word, "card left", "restart", "prove", "log", "counter", "full", "opened"
    proof: DebitProof | None = None


class DenialsSummed(Value, frozen=True, tag="denials"):
    """Denials beyond five a second at one lane, summed over one second by reason."""

    lane: str
    counts: dict[str, int]
    silent: int = 0  # the same code still lying in front of the reader


class Passed(Value, frozen=True, tag="passed"):
    """People walked through on a grant: `passed` of `persons` so far."""

    lane: str
    of: EntryName
    passed: int


class PassageAnnulled(Value, frozen=True, tag="annulled"):
    """Nobody (more) walked in time: `passed` did, the rest may come again without a second charge."""

    lane: str
    of: EntryName
    passed: int


class LatePassage(Value, frozen=True, tag="late_passage"):
    """Somebody walked after the annul: the charge of that person stands again."""

    lane: str
    of: EntryName
    passed: int


class PassageUnknown(Value, frozen=True, tag="passage_unknown"):
    """The terminal stopped while a use was open: the code stays used, head office settles."""

    of: EntryName


class GateReported(Value, frozen=True, tag="gate"):
    """The board reported something that was not a paid passage."""

    lane: str
    signal: GateSignal


class GateUnanswered(Value, frozen=True, tag="gate_unanswered"):
    """An order to open was not confirmed: sent without an answer, or never sent."""

    lane: str
    of: EntryName
    sent: bool


class StoodOpen(Value, frozen=True, tag="stood_open"):
    """A barrier was left open for everybody, or shut again; people pass it without a tap meanwhile."""

    lane: str
    on: bool
    why: str  # "hours", "emergency"; on shutting: what is over


class FloorLowered(Value, frozen=True, tag="floor_lowered"):
    """Head office's signed time and the system's clock agree that the journal's time ran ahead: it comes down."""

    to_ms: int
    was_ms: int


class Alarm(Value, frozen=True, tag="alarm"):
    """A person must hear of this. `kind` is a closed list per writer; `detail` names no rider."""

    kind: str
    detail: str


class Commanded(Value, frozen=True, tag="command"):
    """Somebody asked the terminal to do something."""

    who: str
    what: str


class Reissued(Value, frozen=True, tag="reissued"):
    """An entry that does not count under its own name, issued again whole: names inside it mean its own chain."""

    was: EntryName
    data: bytes  # the encoded Entry
    times: int = 1  # that it was issued again


Fact = (
    EpochBegan
    | Started
    | Stopped
    | ContentKey
    | ParametersChanged
    | Decided
    | DebitIntended
    | DebitSettled
    | LockIntended
    | LockEnded
    | DenialsSummed
    | Passed
    | PassageAnnulled
    | LatePassage
    | PassageUnknown
    | GateReported
    | GateUnanswered
    | StoodOpen
    | SignedOn
    | SignedOff
    | Moved
    | BoardedFree
    | Voided
    | EmergencyOrdered
    | FloorLowered
    | Alarm
    | Commanded
    | Reissued
    | KioskFact
)


# --------------------------------------------------------------------------- entries


class Sealed(Value, frozen=True):
    """Rider evidence under AES-256-GCM: number of its content key, nonce counter, ciphertext with tag."""

    key: int
    nonce: int
    data: bytes


class Draft(Value, frozen=True):
    """What a caller wants written: the store gives it its place in the chain."""

    fact: Fact
    at: Instant
    sealed: "Sealed | None" = None


class Entry(Value, frozen=True):
    """One numbered fact, as written."""

    terminal: str
    name: EntryName
    previous: bytes  # SHA-256 of the entry before; of an epoch's first entry: 32 zero bytes
    at: Instant
    fact: Fact
    sealed: Sealed | None = None


class StoredEntry(Value, frozen=True):
    """An entry as its stored bytes, for sending and checking."""

    row: int  # the store's own ever-growing number, across epochs
    name: EntryName
    data: bytes  # the encoded Entry
    hash: bytes


class Head(Value, frozen=True):
    """The end of the chain."""

    name: EntryName
    hash: bytes
    floor_ms: int  # the greatest journalled time since it was last lowered
    unsent: int  # entries without a receipt
    row: int
    key_number: int = 0  # the last content key's number: never used twice by one terminal
    parameter_version: int = 0  # the newest parameter set that was ever in force
    lowered_row: int = 0  # of the last entry that lowered the floor


class Refused(Value, frozen=True):
    """One record head office would not take, and why. Its hash still joins the chain."""

    sequence: int
    reason: str


class Receipt(Value, frozen=True):
    """Head office holds `first`…`last` of this epoch; `hash` is that of entry `last`."""

    terminal: str
    epoch: bytes
    first: int
    last: int
    hash: bytes
    refused: tuple[Refused, ...] = ()


# --------------------------------------------------------------------------- bytes and chain

NO_HASH = bytes(32)  # before an epoch's first entry


NOTHING = Head(
    name=EntryName(epoch=bytes(8), sequence=0), hash=NO_HASH, floor_ms=0, unsent=0, row=0
)  # before any entry


class BadEntry(ValueError):
    """Bytes that are no entry, or a chain that does not hold."""


def encode(entry: Entry) -> bytes:
    """An entry as its CBOR bytes: written once, hashed as they are."""
    return cbor2.dumps(msgspec.to_builtins(entry, builtin_types=(bytes,)))


def decode(data: bytes) -> Entry:
    """The entry of stored bytes. Raises BadEntry."""
    try:
        return msgspec.convert(cbor2.loads(data, semantic_decoders=NO_TAGS), Entry, builtin_types=(bytes,))
    except (cbor2.CBORDecodeError, msgspec.ValidationError, ValueError, TypeError, RecursionError) as error:
        raise BadEntry(f"no entry: {error}") from error


def entry_hash(data: bytes) -> bytes:
    """SHA-256 over the entry's bytes, which hold the hash of the one before."""
    return hashlib.sha256(data).digest()


def link(draft: Draft, terminal: str, last: EntryName, last_hash: bytes) -> tuple[Entry, bytes, bytes]:
    """Give a draft its place behind `last`: the entry, its bytes and its hash. Sequence 0 stands before the first."""
    entry = Entry(
        terminal=terminal,
        name=EntryName(epoch=last.epoch, sequence=last.sequence + 1),
        previous=last_hash,
        at=draft.at,
        fact=draft.fact,
        sealed=draft.sealed,
    )
    data = encode(entry)
    return entry, data, entry_hash(data)


def check_link(stored: StoredEntry, last: EntryName, last_hash: bytes) -> Entry:
    """The entry, if its bytes, its hash and its place behind `last` hold. Raises BadEntry."""
    entry = decode(stored.data)
    if entry_hash(stored.data) != stored.hash:
        raise BadEntry(f"entry {stored.name.sequence} was changed")
    if entry.name != stored.name:
        raise BadEntry(f"entry {stored.name.sequence} stands under another name")
    if entry.name.epoch == last.epoch and (entry.name.sequence, entry.previous) != (last.sequence + 1, last_hash):
        raise BadEntry(f"the chain breaks between {last.sequence} and {entry.name.sequence}")
    if entry.name.epoch != last.epoch and (entry.name.sequence != 1 or entry.previous != NO_HASH):
        raise BadEntry("an epoch does not begin with its first entry")
    return entry


def advance(head: Head, entry: Entry, digest: bytes) -> Head:
    """The head after one more entry."""
    fact = entry.fact
    row, lowered = head.row + 1, isinstance(fact, FloorLowered)
    key, version = head.key_number, head.parameter_version
    if isinstance(fact, ContentKey):
        key = max(key, fact.number)
    elif isinstance(fact, ParametersChanged):
        version = max(version, fact.version)
    return Head(
        name=entry.name,
        hash=digest,
        floor_ms=entry.at.utc_ms if lowered else max(head.floor_ms, entry.at.utc_ms),
        unsent=head.unsent + 1,
        row=row,
        lowered_row=row if lowered else head.lowered_row,
        key_number=key,
        parameter_version=version,
    )


def begin_epoch(head: Head, epoch: bytes, why: str, at: Instant) -> tuple[Head, Draft]:
    """The place before a new epoch's first entry, and that entry: it names what came before."""
    before = head.name if head.name.sequence else None
    fact = EpochBegan(previous=before, previous_hash=head.hash if before else NO_HASH, why=why)
    start = msgspec.structs.replace(head, name=EntryName(epoch=epoch, sequence=0), hash=NO_HASH)
    return start, Draft(fact=fact, at=at)


def kind_of(fact: Fact) -> str:
    """The tag a fact is written under."""
    return str(fact.__struct_config__.tag)


KINDS = frozenset(str(kind.__struct_config__.tag) for kind in get_args(Fact))
