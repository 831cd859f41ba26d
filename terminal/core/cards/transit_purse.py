"""The transit purse (T-Union): reading it, and what it says of its last trip.

Laws of this file:
- EF15 comes with the answer to SELECT; EF17 is read only where the issuer is not at home here; then the trip. The
  balance is asked for only where somebody asks what is on the card: a purchase is told it by INITIALIZE, which is never
  sent just to look. The holder's file is not read.
- The card's own trip record is the truth; a record whose checksum fails is no record.
- A number is ten bytes BCD as in EF15; it leaves this file as a keyed hash, and as evidence to be sealed.
"""

import zlib

import msgspec

from terminal.core import accounts
from terminal.core.card import Assurance, CardState, OpenTrip
from terminal.core.cards import tlv
from terminal.core.cards.apdu import Answer, Conversation, ask_card, command
from terminal.core.cards.reading import CardRead, Refused, Visit, digits, needed, one_use, refusal
from terminal.core.model import Credential, Medium, Reason
from terminal.core.parameters import PurseRules

NAME = "transit_purse"
AID = bytes.fromhex("a000000632010105")
LOCKED = 0x9303
NO_RECORD = 0x6A83
PUBLIC_FILE_BYTES, TRIP_BYTES, STATE_BYTES, LOG_BYTES = 30, 48, 128, 23
ENTRY = 0x03  # EF1E byte 0: a trip was begun
OPEN_STATE = 0x01  # EF1A byte 14: a trip was begun; regional


def read(visit: Visit) -> Conversation[CardRead | None]:
    """Read the purse in the field. Raises Refused."""
    rules = visit.parameters.cards.purse
    if rules is None:
        return None
    selected = yield from ask_card(command(0x00, 0xA4, 0x04, 0x00, AID, 0))
    if selected.sw == LOCKED:
        raise Refused(Reason.PURSE_LOCKED)
    if not selected.good:
        return None
    public = tlv.find(selected.data, (0x6F, 0xA5, 0x9F0C))
    if public is None or len(public) != PUBLIC_FILE_BYTES:
        raise Refused(Reason.CARD_UNREADABLE)
    reason = _not_taken(public, visit.today)
    if reason is None and public[:8].hex() not in rules.home_issuers:
        management = needed((yield from ask_card(command(0x00, 0xB0, 0x97, 0x00, le=11))), 11)
        reason = Reason.PURSE_NOT_ROAMING if management[8:10] == bytes(2) else None
    if reason is not None:
        return CardRead(payload=public, claim=refusal(reason, NAME))
    card = yield from _state(rules, visit.own_terminals)
    if visit.asks_balance:
        card = msgspec.structs.replace(card, balance_fen=(yield from _balance(rules)))
    return CardRead(payload=public, claim=_credential(public, card, visit))


def _not_taken(public: bytes, today: str) -> Reason | None:
    """What EF15 alone says against it."""
    if public[8] == 0:
        return Reason.PURSE_NOT_ACTIVE
    starts, expires = digits(public[20:24]), digits(public[24:28])
    if today < starts:
        return Reason.PURSE_NOT_ACTIVE
    return Reason.PURSE_EXPIRED if expires < today else None


def _credential(public: bytes, card: CardState, visit: Visit) -> Credential:
    refs = accounts.refs("tu", public[10:20], visit.parameters)
    return Credential(
        format=NAME,
        medium=Medium.CARD,
        issuer=public[:4].hex(),
        medium_refs=refs,
        code_keys=one_use(refs, visit.at),
        twin_keys=one_use(refs, visit.at),
        generated_ms=visit.at.utc_ms,
        fresh_until_ms=visit.at.utc_ms,
        assurance=Assurance.AUTHENTICATED,  # its debit proves it: no key, no MAC2
        card=card,
    )


# --------------------------------------------------------------------------- the trip it keeps


def _state(rules: PurseRules, own: tuple[str, ...]) -> Conversation[CardState]:
    if rules.state_file == "1a":
        state = yield from _record(0xD4, STATE_BYTES)
        return CardState(trip=trip_of_state(state) if state else None, own_terminals=own, state=state)
    record = yield from _record(0xF4, TRIP_BYTES)
    return CardState(trip=trip_of_record(record) if record else None, own_terminals=own)


def _record(file: int, size: int) -> Conversation[bytes]:
    """The newest record of a file; empty where there is none yet."""
    answer = yield from ask_card(command(0x00, 0xB2, 0x01, file, le=size))
    return b"" if answer.sw == NO_RECORD else needed(answer, size)


def _balance(rules: PurseRules) -> Conversation[int | None]:
    """Fen, bit 31 masked; None where the card does not say."""
    answer = yield from ask_card(command(0x80, 0x5C, rules.balance_p1, 0x02, le=4))
    return int.from_bytes(answer.data) & 0x7FFFFFFF if answer.good and len(answer.data) == 4 else None


def trip_of_record(record: bytes) -> OpenTrip | None:
    """The trip EF1E's newest record says is open, or None."""
    if record[0] != ENTRY:
        return None
    return OpenTrip(
        at=digits(record[25:32]),
        terminal=record[1:9].hex(),
        line=record[10:12].hex(),
        station=record[12:14].hex(),
        city=record[32:34].hex(),
        acquirer=record[34:42].hex(),
    )


def trip_of_state(state: bytes) -> OpenTrip | None:
    """The trip EF1A says is open, or None: a state whose CRC-32 over bytes 6 to 123 fails is zeroed, as gates do."""
    if state[124:128] != zlib.crc32(state[6:124]).to_bytes(4) or state[14] != OPEN_STATE:
        return None
    return OpenTrip(
        at=digits(state[67:74]),
        terminal=state[51:59].hex(),
        line=state[85:86].hex().zfill(4),
        station=state[41:43].hex(),
        city=state[15:17].hex(),
        acquirer=state[19:27].hex(),
    )


def logged(answer: Answer) -> tuple[int, int, bytes, bytes] | None:
    """(amount in fen, type, terminal, time) of one record of the purse's own log EF18, or None where there is none."""
    record = answer.data
    if not answer.good or len(record) != LOG_BYTES:
        return None
    return int.from_bytes(record[5:9]), record[9], record[10:16], record[16:23]
