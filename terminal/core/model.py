"""The nouns: what every floor of the terminal speaks in.

Laws of this file:
- Everything here is a frozen value; nothing here reads a clock, a file or a wire.
- A verdict without a reason and evidence cannot be built.
- Money is integer minor units (`_fen` for yuan) with a currency; names end in their unit.
- A citizen's name or a bank card number has no field here, so it cannot be stored by accident.
"""

from enum import StrEnum

from terminal.core.base import EntryName as EntryName  # noqa: PLC0414  # taken from here
from terminal.core.base import Ref as Ref  # noqa: PLC0414  # taken from here
from terminal.core.base import Value as Value  # noqa: PLC0414  # taken from here
from terminal.core.card import Assurance, CardState
from terminal.core.debit import DebitKind
from terminal.core.ledger import Effect, Where
from terminal.core.reason import Reason as Reason  # noqa: PLC0414  # taken from here

# --------------------------------------------------------------------------- time


class TimeSource(StrEnum):
    """Why an instant is believed."""

    SYSTEM = "system"  # the system clock, within its stated uncertainty
    FLOOR = "floor"  # the clock stood behind the last journalled time; that floor was used


class Reading(Value, frozen=True):
    """One reading of the clocks, taken by the device that saw the medium: `at` of a presentation."""

    utc_ms: int  # Unix milliseconds by the system clock
    monotonic_ns: int  # CLOCK_MONOTONIC, for waiting and measuring only
    uncertainty_ms: int = 0  # what the system says its clock may be wrong by


class Instant(Value, frozen=True):
    """An interval of UTC: `utc_ms` ± `uncertainty_ms`, and why it is trusted."""

    utc_ms: int
    uncertainty_ms: int
    source: TimeSource
    monotonic_ns: int

    @property
    def utc_s(self) -> int:
        """Unix seconds, rounded down."""
        return self.utc_ms // 1000


# --------------------------------------------------------------------------- what is held out


class Medium(StrEnum):
    """What is held out."""

    CODE = "code"  # a ride code on a phone's screen
    PHONE = "phone"  # a card token bound to the holder's phone
    CARD = "card"
    BARCODE = "barcode"


class Presentation(Value, frozen=True):
    """One act of holding something out to one lane."""

    lane: str
    reader: str
    medium: Medium
    payload: bytes
    at: Reading
    unread: "Reason | None" = None  # why the reader could not say which payload was meant; `payload` is empty then


class Holder(Value, frozen=True):
    """What the issuer signed about the holder; every field may be unknown."""

    card_type: str | None = None  # ride code field 8, two hexadecimal digits
    age_from: int | None = None  # lower end of the age band, years
    residency: str | None = None  # division code (GB/T 2260), such as "510100"
    student_until_ms: int | None = None


MOST_PERSONS = 10_000  # on one ticket: more is a slip of the pen


class HeldProduct(Value, frozen=True):
    """A product the issuer (or the pass table) says the holder has bought, such as an annual pass."""

    product: str
    from_ms: int
    until_ms: int
    persons: int | None = None  # for so many people; None: as many as the product says


class Credential(Value, frozen=True):
    """A verified claim: every signature held before any field of this was believed."""

    format: str  # key of core.tokens.FORMATS
    medium: Medium
    issuer: str
    # The medium under every live link key, newest first.
    medium_refs: tuple[Ref, ...]
    # Two names of this one use: the whole code, and (account, generation time). Each under every live
    # link key, newest first. A phone may re-sign the same second into other bytes; both must be caught.
    code_keys: tuple[Ref, ...]
    twin_keys: tuple[Ref, ...]
    generated_ms: int  # when the phone made this code
    fresh_until_ms: int  # the last instant this code may be taken, skew included
    account_link: Ref | None = None  # the account its issuer linked it to, if any
    holder: Holder = Holder()
    products: tuple[HeldProduct, ...] = ()
    ceiling_fen: int | None = None  # the issuer's single-spend ceiling
    status_index: tuple[str, int] | None = None  # (status list, index) of a card token
    key_ids: tuple[str, ...] = ()  # the keys that vouched for it, for evidence
    assurance: Assurance = Assurance.SIGNED
    card: CardState | None = None  # of a purse: money moves on the card itself


# --------------------------------------------------------------------------- judging


class Verdict(StrEnum):
    """The four answers a terminal can give."""

    GRANT = "grant"
    GRANT_IN_DOUBT = "grant_in_doubt"
    DENY = "deny"
    REFER = "refer"  # only an online service or a person can answer


class Evidence(Value, frozen=True):
    """Why this was decided, for whoever asks later."""

    parameter_version: int
    versions: dict[str, int]  # part of the parameter set → its version: "issuers", "deny", "tariff" …
    parameter_age_s: int
    utc_ms: int
    uncertainty_ms: int
    time_source: TimeSource
    rules: str  # version of the judging code
    key_ids: tuple[str, ...] = ()


class Decision(Value, frozen=True):
    """A verdict with its reason and its evidence."""

    verdict: Verdict
    reason: Reason
    evidence: Evidence

    @property
    def granted(self) -> bool:
        """Whether somebody may pass."""
        return self.verdict in (Verdict.GRANT, Verdict.GRANT_IN_DOUBT)


class Refusal(Value, frozen=True):
    """What verifying says instead of a credential; becomes a DENY or a REFER."""

    verdict: Verdict
    reason: Reason
    format: str | None = None
    key_ids: tuple[str, ...] = ()


class Part(Value, frozen=True):
    """One thing a charge is made of."""

    what: str  # "ride", "unfinished": the last trip had no tap-out, "owed": a ride once taken on trust
    fen: int


class Charge(Value, frozen=True):
    """What one grant costs. A repeated showing charges nothing."""

    product: str
    fare_type: str
    amount_fen: int
    currency: str = "CNY"
    parts: tuple[Part, ...] = ()  # where it is more than the ride; they sum up to the amount
    ceiling_fen: int | None = None  # the issuer's limit of one spend: head office keeps to it as well
    funds_fen: int | None = None  # what the purse held before: head office comes to the same debt


class Tap(StrEnum):
    """What a tap on a vehicle is."""

    RIDE = "ride"  # one tap is the whole ride
    BOARD = "board"
    ALIGHT = "alight"


# --------------------------------------------------------------------------- acts


class Amount(Value, frozen=True):
    """Money as a person is told it; words: core/money.py."""

    minor: int  # at least 0, in the currency's minor unit
    currency: str  # ISO 4217


Values = dict[str, str | Amount]  # what stands in a phrase's placeholders


class OpenGate(Value, frozen=True, tag=True):
    """Let `persons` people through; the board closes by itself."""

    persons: int = 1


class Show(Value, frozen=True, tag=True):
    """Tell the person: the indicator finds words, tone and light by the reason."""

    reason: Reason
    values: Values = {}


class DebitPurse(Value, frozen=True, tag=True):
    """Take so much from the purse that is in the field; the intention is written first."""

    amount_fen: int
    kind: DebitKind
    charge: Charge
    line: str = "0000"  # where, as the card keeps it
    station: str = "0000"


class LockPurse(Value, frozen=True, tag=True):
    """Lock the purse that is in the field, on the card itself; the intention is written first."""


Act = OpenGate | Show | DebitPurse | LockPurse


class Outcome(Value, frozen=True):
    """A decision, what it costs, and the acts to perform once it is written down."""

    decision: Decision
    acts: tuple[Act, ...]
    charge: Charge | None = None
    persons: int = 1
    repeat_of: EntryName | None = None  # the grant this showing repeats ("already paid")
    tap: Tap = Tap.RIDE
    where: Where = Where()
    effects: tuple[Effect, ...] = ()  # what it changes in ledgers


# --------------------------------------------------------------------------- what is written down


class PassageMode(StrEnum):
    """How a lane knows that somebody walked."""

    SENSOR = "sensor"
    ASSUMED = "assumed"  # a bus without a barrier: the grant itself commits


class UseState(StrEnum):
    """What became of one granted use."""

    RESERVED = "reserved"  # granted; nobody walked yet
    COMMITTED = "committed"  # everybody who was paid for walked, or walking is assumed
    ANNULLED = "annulled"  # nobody walked in time: the code may be shown again
    UNKNOWN = "unknown"  # the terminal stopped in between: the code stays used


class Use(Value, frozen=True):
    """One granted use, as history keeps it: a row of the projection table."""

    name: EntryName | None  # None while its entry is not yet durable
    lane: str
    at_ms: int
    code_key: Ref
    twin_key: Ref
    medium: Ref
    account: Ref | None
    product: str
    fare_type: str
    amount_fen: int
    passage: PassageMode
    state: UseState
    persons: int = 1
    passed: int = 0
    annulled_persons: int = 0  # paid for but not walked before the annul; a late passage takes them back

    @property
    def persons_charged(self) -> int:
        """For how many people the charge stands."""
        return self.persons - self.annulled_persons


class History(Value, frozen=True):
    """What the journal and the pending reservations know of this code, medium and account."""

    same_code: tuple[Use, ...] = ()  # by code or twin, newest first
    same_party: tuple[Use, ...] = ()  # by medium or account within the pass-back horizon, newest first


# --------------------------------------------------------------------------- the gate's own words


class GateSignal(StrEnum):
    """What a gate's board reports; each is a fact for the journal."""

    PASSAGE = "passage"  # one person walked through
    REVERSE = "reverse"  # someone came the wrong way
    FORCED = "forced"  # the barrier moved without an order
    EMERGENCY_ON = "emergency_on"
    EMERGENCY_OFF = "emergency_off"
    FAULT = "fault"
    FAULT_CLEARED = "fault_cleared"


class GateEvent(Value, frozen=True):
    """One signal of a gate, with the one clock reading of that moment."""

    signal: GateSignal
    at: Reading


class GateAnswer(StrEnum):
    """What is known after an order to open. `unknown` is never retried: it could open for somebody else."""

    OPENED = "opened"  # the board confirmed
    UNKNOWN = "unknown"  # sent, no answer
    NOT_SENT = "not_sent"  # certainly not opened: the link was down or the order had grown stale
