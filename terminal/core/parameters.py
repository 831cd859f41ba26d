"""The parameter set: everything head office decides and a terminal obeys.

Laws of this file:
- A set is taken whole or not at all: a manifest names every file with its version and SHA-256.
- Nothing here is a constant of the code: signatures, keys, windows, tariffs and lists all come as data.
- Every row says whose it is: (code version, issuer) for ride codes, (key id) for card tokens.
- A set's version only grows; going back is refused by whoever holds the floor (runtime/parameter_sync.py).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from terminal.core.model import HeldProduct, Medium, Reason, Ref, Value
from terminal.core.tariff import (
    Accumulation,
    Calendar,
    Counted,
    FareTable,
    Grace,
    Hours,
    Line,
    Quota,
    Source,
    Transfer,
    Zone,
)

# --------------------------------------------------------------------------- issuers.json


class IdRule(StrEnum):
    """Which SM2 user IDs a ride code's three signatures are made under (tokens: 1.3)."""

    DEFAULT = "default"  # 1234567812345678 for all three
    LOCAL = "local"  # certificate: service id ‖ root index; issuer: issuer ‖ platform; user: account number


class CustomField(StrEnum):
    """How to read a ride code's custom field 14."""

    NONE = "none"
    ACCOUNT_LINK = "account_link"  # 0x4C ‖ Ref (17 bytes): the account this medium is linked to


class RideCodeIssuer(Value, frozen=True):
    """One row: how ride codes of these versions and this issuer are judged."""

    versions: tuple[int, ...]  # field 1 values
    issuer: str  # field 6, 8 hexadecimal digits; equals the certificate's issuer id
    platforms: tuple[str, ...]  # field 7 values, 8 hexadecimal digits
    roots: dict[str, str]  # root index, two hexadecimal digits → compressed SM2 key, hexadecimal
    id_rule: IdRule = IdRule.DEFAULT
    clamp_s: int = 120
    skew_s: int = 10
    utc_offset_minutes: int = 480  # in which zone the certificate's month ends
    custom_field: CustomField = CustomField.NONE
    certificate_issuer_may_differ: bool = False  # check 7 is policy


class TokenAlgorithm(StrEnum):
    """Signature suites of a card token."""

    ES256 = "ES256"
    EDDSA = "EdDSA"
    SM2 = "SM2"


class CardTokenIssuer(Value, frozen=True):
    """One issuer key of card tokens."""

    issuer: str
    key_id: str  # hexadecimal, as in the token's `kid`
    algorithm: TokenAlgorithm
    public_key: str  # hexadecimal: uncompressed or compressed point, or 32 bytes of Ed25519
    audiences: tuple[str, ...] = ()  # accepted `aud`; empty: none needed
    clamp_s: int = 120
    skew_s: int = 10


class Issuers(Value, frozen=True):
    """issuers.json"""

    ride_code: tuple[RideCodeIssuer, ...] = ()
    card_token: tuple[CardTokenIssuer, ...] = ()


# --------------------------------------------------------------------------- links.json


class LinkKey(Value, frozen=True):
    """One version of the key under which numbers are hashed."""

    version: int  # 0…255; the greatest is the newest
    key: str  # 32 bytes, hexadecimal


class Links(Value, frozen=True):
    """links.json: what joins media into one account. A Ref is written as 34 hexadecimal digits."""

    link_keys: tuple[LinkKey, ...]
    links: dict[str, str] = {}  # medium Ref → account Ref
    aliases: dict[str, str] = {}  # old account Ref → new one: after a replacement, or a key rotation
    passes: dict[str, tuple[HeldProduct, ...]] = {}  # account or medium Ref → what it holds


# --------------------------------------------------------------------------- tariff.json


class PassBackScope(StrEnum):
    """Who is meant by "the same"."""

    MEDIUM = "medium"
    ACCOUNT = "account"


class PassBack(Value, frozen=True, forbid_unknown_fields=True):
    """How soon, and how often, the same party may be granted again."""

    window_s: int
    companions: int = 0  # further grants inside the window, each charged a fare of its own; 0: own use only
    scope: PassBackScope = PassBackScope.ACCOUNT


class Condition(Value, frozen=True, forbid_unknown_fields=True):
    """All named conditions must hold."""

    card_type: str | None = None
    medium: Medium | None = None  # such as: a student pays less by card than by code
    age_from: int | None = None
    residency: tuple[str, ...] = ()
    student: bool = False
    held: str | None = None  # a product the holder has bought


class BlockScope(StrEnum):
    """What a block forbids. A product names the scopes it stands on."""

    IDENTITY = "identity"
    PAYMENT = "payment"
    PURSE = "purse"
    PASS = "pass"


class Product(Value, frozen=True, forbid_unknown_fields=True):
    """What a person may travel or enter on. The first eligible one of the list is taken."""

    id: str
    services: tuple[str, ...]
    fare_fen: int  # for one person
    fare_type: str = "flat"
    persons: int = 1  # a group ticket is this many counted passages
    reason: Reason = Reason.PAID
    who: tuple[Condition, ...] = ()  # any of these; empty: everybody
    scopes: tuple[BlockScope, ...] = (BlockScope.PAYMENT,)
    pass_back: PassBack = PassBack(window_s=0)
    # Fares (core/fares/): which table, and what of it is left to pay.
    fare: str = ""  # a table of the tariff; "": `fare_fen`
    modes: tuple[str, ...] = ()  # classes of vehicle; empty: all
    percent: int = 100
    percent_in: dict[str, int] = {}  # area of the boarding stop → per cent
    when: tuple[Hours, ...] = ()  # outside these hours the next product is taken
    review: str = ""  # a held product that proves the yearly review; without it the next product is taken
    counted: Counted | None = None  # used up, the next product is taken
    accumulates: tuple[str, ...] = ()
    transfers: tuple[str, ...] = ()
    # Admission (core/services/admission.py):
    zones: tuple[str, ...] = ()  # empty: all
    quota: Quota | None = None
    reentry: bool = False  # once admitted, comes in again on the same day without a charge
    booked: bool = False  # only in a booked slot; a booking says for how many
    activation: bool = False  # an attendant looked at the holder once
    activate_within_days: int | None = None  # of its first day


class Tariff(Value, frozen=True, forbid_unknown_fields=True):
    """tariff.json"""

    products: tuple[Product, ...]
    currency: str = "CNY"
    time_zone: str = "Asia/Shanghai"
    service_day_starts: str = "04:00"
    name: str = ""
    sources: tuple[Source, ...] = ()
    notes: tuple[str, ...] = ()
    round_fen: int = 1  # shares are rounded half up to this unit
    fares: dict[str, FareTable] = {}
    lines: dict[str, Line] = {}
    accumulations: dict[str, Accumulation] = {}
    transfers: dict[str, Transfer] = {}
    calendar: Calendar = Calendar()
    grace: Grace | None = None
    zones: dict[str, Zone] = {}


# --------------------------------------------------------------------------- policies.json


class Policies(Value, frozen=True):
    """policies.json: what a site is allowed and told."""

    silence_s: int = 3  # the same code still in front of the same reader
    passage_s: int = 12  # a reserved use is annulled after this
    pay_by_s: int = 300  # a ride should be at head office by then
    max_uncertainty_s: int = 60  # a clock less sure than this decides nothing time-limited
    stale_after_s: int = 7 * 86400  # parameters older than this raise an alarm
    hotline: str = ""
    static_cards: tuple[str, ...] = ()  # services that take a card which proved nothing, such as "loan"
    weak_cards: tuple[str, ...] = ()  # services that take a bare card number; never where money moves
    slow_card_ms: int = 0  # an answer slower than this may come through a relay; 0: not looked at
    slow_card_refused: bool = False  # whether such a card is refused; otherwise it is flagged
    card_repeat_s: int = 60  # the same card on the same vehicle within this asks "did it work?"
    card_honour_s: int = 3600  # a debit nobody passed for lets its card pass without another within this
    torn_wait_s: int = 20  # how long others wait for a card that left in the middle of its debit


# --------------------------------------------------------------------------- deny.json, status.json, office.json


class Block(Value, frozen=True):
    """One row of the deny list."""

    ref: str  # medium or account Ref, hexadecimal
    scopes: tuple[BlockScope, ...]
    reported_lost: bool = False


class Deny(Value, frozen=True):
    """deny.json"""

    blocks: tuple[Block, ...] = ()


class StatusList(Value, frozen=True):
    """One IETF token status list: zlib-compressed, index 0 in the least significant bits of byte 0."""

    bits: int  # 1, 2, 4 or 8
    lst: str  # base64url of the compressed array, as in the draft's JSON form


class Status(Value, frozen=True):
    """status.json"""

    lists: dict[str, StatusList] = {}


class OfficeKey(Value, frozen=True):
    """A key of head office: it signs receipts, or evidence is sealed to it."""

    key_id: str
    use: str  # "receipt" or "sealing"
    suite: str  # "ES256"; "HPKE-X25519-SHA256-AES256GCM"
    public_key: str  # hexadecimal


class OfficeKeys(Value, frozen=True):
    """office.json"""

    keys: tuple[OfficeKey, ...]


# --------------------------------------------------------------------------- cards.json


class SocialSecurityRules(Value, frozen=True):
    """How social security cards are read and proved here. The defaults are what the published readers do."""

    regions: tuple[str, ...] = ()  # issuing regions taken, six digits each; empty: every one
    versions: tuple[str, ...] = ("1.00", "2.00", "3.00")
    select_p1: tuple[int, ...] = (0x02, 0x00)  # P1 of SELECT EF, tried in order; both are in the field
    key_index: int = 0x01  # P2 of INTERNAL AUTHENTICATE: the issuer's key ceremony says which
    data_first: bool = False  # order of the 16 bytes: diversifier ‖ data, or the reverse; no text says which
    key_usage: int = 0x68  # P1 of the secure module's 801A: three levels, by its maker's manual


class TripFares(Value, frozen=True):
    """What a trip costs that a card keeps between two taps."""

    fare: str = ""  # key of the tariff's fares: its full price between two stops that have a code; "": the maximum
    max_fare_fen: int = 0  # of a trip whose other end nobody knows; without any discount
    network: str = "vehicle"  # whose unended trip is ours: "vehicle": of this site's modules, "acquirer": of ours
    longest_s: int = 4 * 3600  # a trip older than this has no other end
    product: str = "trip"


class PurseRules(Value, frozen=True):
    """How transit purses are debited here: regional bits, each by the operator's own agreement."""

    products: tuple[Product, ...]  # plain rides; the first eligible is taken
    trips: TripFares = TripFares()
    key_index: int = 0x01  # of the debit key, in INITIALIZE; 01 in every published trace
    mode: int = 0x02  # EF1E byte 9: 01 metro and 02 bus by gate code, the reverse by another tool: ask the operator
    city: str = "0000"
    acquirer: str = "0000000000000000"
    operator: str = "0000"
    home_issuers: tuple[str, ...] = ()  # EF15 bytes 0-7: cards that need no interoperability flag here
    tac_usage: int = 0x44  # P1 of the secure module's 801A for the TAC key: two levels, by field code
    two_factors: bool = True  # the secure module's 8070 names serial and issuer; False: the serial alone
    least_balance_fen: int = 0  # to board; Beijing asks for 1 yuan
    sm4: tuple[int, ...] = (0x04,)  # algorithm bytes of INITIALIZE that mean SM4; our own choice, no text says which
    lock_listed: bool = False  # a purse on the deny list is locked on the card: the operator's right, and its module's
    lock_key: tuple[int, int] = (0x45, 0x02)  # P1, P2 of the secure module's 801A for APPLICATION BLOCK, by gate code
    balance_p1: int = (
        0x03  # of GET BALANCE: without the overdraft, 00 with it, by gate code; another reader takes 00, 01
    )
    state_file: str = "1e"  # where the trip is kept: "1e" (EF1E), or "1a" (EF1A, as in Shanghai)


class Cards(Value, frozen=True):
    """cards.json; a set without it takes no cards."""

    social_security: SocialSecurityRules | None = None
    purse: PurseRules | None = None


# --------------------------------------------------------------------------- bookings.json


class Slot(Value, frozen=True, forbid_unknown_fields=True):
    """A time to enter."""

    start_ms: int
    end_ms: int  # not included


class Booking(Value, frozen=True, forbid_unknown_fields=True):
    """So many people in one slot."""

    slot: str
    persons: int = 1


class Bookings(Value, frozen=True, forbid_unknown_fields=True):
    """bookings.json: who comes when, held offline."""

    slots: dict[str, Slot] = {}
    bookings: dict[str, tuple[Booking, ...]] = {}  # account or medium Ref, hexadecimal
    early_s: int = 0  # how long before and after its slot a booking still counts
    late_s: int = 0


# --------------------------------------------------------------------------- the set


class FileRow(Value, frozen=True):
    """One file of a set."""

    file: str
    version: int
    sha256: str


class Manifest(Value, frozen=True):
    """manifest.json: written last, read first."""

    version: int
    issued_ms: int
    files: dict[str, FileRow]  # part → file; the parts are the fields of ParameterSet below


class ParameterSet(Value, frozen=True):
    """One complete set, checked by schema, ready for lookups."""

    version: int
    issued_ms: int
    versions: dict[str, int]  # part → version
    issuers: Issuers
    links: Links
    tariff: Tariff
    policies: Policies
    office: OfficeKeys
    # Derived once at load, so that a tap only looks up:
    link_keys: tuple[tuple[int, bytes], ...]  # newest first
    link_of: Mapping[Ref, Ref]
    alias_of: Mapping[Ref, Ref]  # resolved to the end of each chain
    passes_of: Mapping[Ref, tuple[HeldProduct, ...]]
    blocks_of: Mapping[Ref, tuple[Block, ...]]
    status_lists: Mapping[str, tuple[int, bytes]]  # name → (bits, inflated array)
    cards: Cards = Cards()
    bookings: Bookings = Bookings()
    bookings_of: Mapping[Ref, tuple[Booking, ...]] = {}
    # Parsed keys and verified issuer certificates: they live as long as this set does, and no longer.
    verified: dict[bytes, Any] = msgspec.field(default_factory=dict)
