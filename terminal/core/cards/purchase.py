"""Taking money from a transit purse: begin, commit, and ask later what became of it.

Laws of this file:
- `begin` changes nothing on the card: INITIALIZE and UPDATE CAPP DATA CACHE are forgotten when it leaves. Between
  `begin` and `commit` the intention is made durable by whoever carries the conversation.
- Only an answer of 9000 with MAC2 and TAC is a debit; only another status word is none. Anything else is unknown.
- A proof asked for later names a counter, not a terminal: the card's log says whose debit it was.
- No key is here: MAC1 and MAC2 are the secure module's.
"""

import zlib

from terminal.core.cards.apdu import Answer, Conversation, ask_card, ask_module, command
from terminal.core.cards.reading import Refused
from terminal.core.cards.transit_purse import ENTRY, OPEN_STATE, logged
from terminal.core.debit import COMPOSITE, PLAIN, DebitKind, DebitProof, DebitState, PurseDebit
from terminal.core.model import Reason, Value
from terminal.core.parameters import PurseRules

APPLICATION_ID = 0x12  # of EF1A's record 2712, in UPDATE CAPP DATA CACHE; regional
LOG_RECORDS = 10
LAST_COUNTER = 0xFFFF  # a card that came so far cannot count another debit
SAID = {
    0x9401: Reason.BALANCE_SHORT,
    0x9302: Reason.CARD_NOT_GENUINE,  # the MAC does not hold: another card, or another key
    0x9303: Reason.PURSE_LOCKED,
    0x9406: Reason.CARD_REFUSED,
    0x6901: Reason.CARD_REFUSED,
    0x6985: Reason.CARD_REFUSED,
}


class Module(Value, frozen=True):
    """What a secure module says of itself, once."""

    terminal: bytes  # 6 bytes
    serial: bytes  # 10 bytes


class Order(Value, frozen=True):
    """One debit to make."""

    kind: DebitKind
    amount_fen: int
    when: bytes  # 7 bytes BCD, local
    public: bytes  # EF15
    product: str
    fare_type: str
    line: str = "0000"  # where the trip begins or ends, as EF1E keeps it
    station: str = "0000"
    counter_seen: int = 0  # the least counter the card may have
    state: bytes = b""  # EF1A as it was read, where the trip is kept there


class Begun(Value, frozen=True):
    """A debit the card waits for."""

    debit: PurseDebit
    mac1: bytes


class Made(Value, frozen=True):
    """What DEBIT came to: `proof` where money moved, else `reason`, or neither where nobody can know."""

    state: DebitState
    why: str
    reason: Reason | None = None
    proof: DebitProof | None = None


def identify() -> Conversation[Module]:
    """The module's terminal number and serial. Raises Refused."""
    terminal = yield from ask_module(command(0x00, 0xB0, 0x96, 0x00, le=6))
    serial = yield from ask_module(command(0x00, 0xB0, 0x95, 0x00, le=14))
    if not terminal.good or not serial.good or len(terminal.data) != 6 or len(serial.data) != 14:
        raise Refused(Reason.MODULE_UNAVAILABLE)
    return Module(terminal=terminal.data, serial=serial.data[:10])


# --------------------------------------------------------------------------- begin


def begin(order: Order, rules: PurseRules, module: Module) -> Conversation[Begun]:
    """Up to the command that takes the money. Raises Refused; nothing was taken then."""
    type = PLAIN if order.kind is DebitKind.RIDE else COMPOSITE
    amount = order.amount_fen.to_bytes(4)
    data = bytes((rules.key_index,)) + amount + module.terminal
    p1 = 0x01 if type == PLAIN else 0x03
    opened = yield from ask_card(command(0x80, 0x50, p1, 0x02, data, 15))
    if not opened.good or len(opened.data) != 15:
        raise Refused(SAID.get(opened.sw, Reason.CARD_UNREADABLE))
    balance_fen, counter = _balance(opened.data), int.from_bytes(opened.data[4:6])
    _check_state(order, rules, balance_fen, counter)
    transaction, mac1 = yield from _first_mac(order, rules, opened.data, type)
    debit = PurseDebit(
        type=type,
        amount_fen=order.amount_fen,
        balance_fen=balance_fen,
        counter=counter,
        terminal=module.terminal,
        transaction=transaction,
        when=order.when,
        algorithm=opened.data[10],
        product=order.product,
        fare_type=order.fare_type,
        grants=order.kind is not DebitKind.SETTLE,
    )
    if type == COMPOSITE:
        updated = yield from ask_card(_update(order, rules, debit))
        if not updated.good:
            raise Refused(SAID.get(updated.sw, Reason.CARD_REFUSED))
    return Begun(debit=debit, mac1=mac1)


def _balance(opened: bytes) -> int:
    """What the holder calls the balance: bit 31 masked, the overdraft taken away."""
    return (int.from_bytes(opened[:4]) & 0x7FFFFFFF) - int.from_bytes(opened[6:9])


def _check_state(order: Order, rules: PurseRules, balance_fen: int, counter: int) -> None:
    if counter == LAST_COUNTER:
        raise Refused(Reason.CARD_REFUSED)
    if counter < order.counter_seen:
        raise Refused(Reason.CARD_COUNTER_FELL)
    if order.kind is DebitKind.BOARD and balance_fen < rules.least_balance_fen:
        raise Refused(Reason.BALANCE_SHORT)


def _first_mac(order: Order, rules: PurseRules, opened: bytes, type: int) -> Conversation[tuple[bytes, bytes]]:
    """The module's transaction number and MAC1."""
    factors = order.public[12:20] + (order.public[:8] if rules.two_factors else b"")
    amount, counter, versions, random = order.amount_fen.to_bytes(4), opened[4:6], opened[9:11], opened[11:15]
    data = random + counter + amount + bytes((type,)) + order.when + versions + factors
    answer = yield from ask_module(command(0x80, 0x70, 0x00, 0x00, data, 8))
    if not answer.good or len(answer.data) != 8:
        raise Refused(Reason.MODULE_UNAVAILABLE)
    return answer.data[:4], answer.data[4:]


def _update(order: Order, rules: PurseRules, debit: PurseDebit) -> bytes:
    if rules.state_file == "1a":
        return command(0x80, 0xDC, APPLICATION_ID, 0xD0, state_record(order, rules, debit))
    return command(0x80, 0xDC, 0x00, 0xF0, trip_record(order, rules, debit))


def trip_record(order: Order, rules: PurseRules, debit: PurseDebit) -> bytes:
    """EF1E, 48 bytes, as it stands after the debit."""
    kind = ENTRY if order.kind is DebitKind.BOARD else 0x04
    left_fen = max(0, debit.balance_fen - debit.amount_fen)
    return b"".join(
        (
            bytes((kind,)), debit.terminal.rjust(8, b"\x00"), bytes((rules.mode,)), bytes.fromhex(order.line),
            bytes.fromhex(order.station), bytes.fromhex(rules.operator), b"\x00", debit.amount_fen.to_bytes(4),
            left_fen.to_bytes(4), debit.when, bytes.fromhex(rules.city), bytes.fromhex(rules.acquirer), bytes(6),
        )
    )  # fmt: skip


def state_record(order: Order, rules: PurseRules, debit: PurseDebit) -> bytes:
    """EF1A, 128 bytes: what was read, with what this debit changes."""
    state = bytearray(order.state or bytes(128))
    state[0:2], state[2:4] = b"\x27\x12", (128).to_bytes(2)
    city, acquirer = bytes.fromhex(rules.city), bytes.fromhex(rules.acquirer)
    station, device = bytes.fromhex(order.station).rjust(8, b"\x00"), debit.terminal.rjust(8, b"\x00")
    begins = order.kind is DebitKind.BOARD
    state[14] = OPEN_STATE if begins else 0
    for at, value in ((15, city), (19, acquirer), (35, station), (51, device), (67, debit.when)):
        start = at if begins else at + len(value)
        state[start : start + len(value)] = value
    state[85 if begins else 86] = bytes.fromhex(order.line)[-1]
    if begins:
        state[87:91], state[91:95] = debit.amount_fen.to_bytes(4), max(0, debit.balance_fen).to_bytes(4)
    state[95:99], state[99:106] = debit.amount_fen.to_bytes(4), debit.when
    state[124:128] = zlib.crc32(state[6:124]).to_bytes(4)
    return bytes(state)


# --------------------------------------------------------------------------- commit


def commit(begun: Begun) -> Conversation[Made]:
    """DEBIT, and the module's word on the card's MAC2."""
    debit = begun.debit
    data = debit.transaction + debit.when + begun.mac1
    answer = yield from ask_card(command(0x80, 0x54, 0x01, 0x00, data, 8))
    if answer.good and len(answer.data) == 8:
        return _judged((yield from prove_mac2(answer.data[4:])), answer.data[:4], answer.data[4:], "answer")
    if answer.sw >> 8 in (0x90, 0x61, 0x6C, 0x00):  # no refusal, and no proof either
        return Made(state=DebitState.UNKNOWN, why=f"{answer.sw:04x}")
    reason = SAID.get(answer.sw, Reason.CARD_REFUSED)
    return Made(state=DebitState.NOT_DONE, why=f"{answer.sw:04x}", reason=reason)


def prove_mac2(mac2: bytes) -> Conversation[bool | None]:
    """Whether the module finds MAC2 right; None where it could not say. It must still wait for this very debit."""
    answer = yield from ask_module(command(0x80, 0x72, 0x00, 0x00, mac2))
    if answer.sw in (0x9302, 0x6300):
        return False
    return True if answer.good else None


def _judged(holds: bool | None, tac: bytes, mac2: bytes, how: str) -> Made:
    proof = DebitProof(how=how, tac=tac, mac2=mac2, holds=holds)
    if holds is False:  # it answered 9000 and does not know the key
        return Made(state=DebitState.UNKNOWN, why="mac2", reason=Reason.CARD_NOT_GENUINE, proof=proof)
    return Made(state=DebitState.DONE, why=how, proof=proof)


# --------------------------------------------------------------------------- ask later


def settle(debit: PurseDebit, public: bytes, rules: PurseRules, *, module_waits: bool) -> Conversation[Made]:
    """What became of a debit nobody heard the end of; the card it was asked of is in the field and selected.

    `module_waits`: the module was asked for no other debit since, and can still check MAC2; otherwise it is asked for
    the TAC itself. A card's word alone opens nothing: anybody can build a card that says so.
    """
    counter = (debit.counter + 1 & LAST_COUNTER).to_bytes(2)  # an old entry may hold any
    proof = yield from ask_card(command(0x80, 0x5A, 0x00, debit.type, counter, 8))
    if proof.good and len(proof.data) == 8:
        if not _is_ours(debit, (yield from _log(1))):
            return Made(state=DebitState.NOT_DONE, why="prove")  # its counter went to somebody else
        mac2, tac = proof.data[:4], proof.data[4:]
        holds = (yield from prove_mac2(mac2)) if module_waits else None
        if holds is None:
            holds = yield from _prove_tac(debit, public, rules, tac)
        return _judged(holds, tac, mac2, "prove")
    for number in range(1, LOG_RECORDS + 1):
        record = yield from _log(number)
        if _is_ours(debit, record):
            return Made(state=DebitState.DONE, why="log", proof=DebitProof(how="log"))
        if not record.good:
            break
    return (yield from _by_counter(debit, rules))


def _prove_tac(debit: PurseDebit, public: bytes, rules: PurseRules, tac: bytes) -> Conversation[bool | None]:
    """Whether the module computes the same TAC under the card's key; None where it cannot."""
    size = 16 if debit.algorithm in rules.sm4 else 8  # bytes of a block
    signed = debit.amount_fen.to_bytes(4) + bytes((debit.type,)) + debit.terminal + debit.transaction + debit.when
    padded = signed + b"\x80" + bytes(-(len(signed) + 1) % size)
    keyed = yield from ask_module(command(0x80, 0x1A, rules.tac_usage, 0x00, public[12:20] + public[:8]))
    answer = yield from ask_module(command(0x80, 0xFA, 0x05, 0x00, bytes(size) + padded, 4))
    if not keyed.good or not answer.good:
        return None
    return answer.data == tac


def _log(number: int) -> Conversation[Answer]:
    return (yield from ask_card(command(0x00, 0xB2, number, 0xC4, le=23)))


def _is_ours(debit: PurseDebit, record: Answer) -> bool:
    return logged(record) == (debit.amount_fen, debit.type, debit.terminal, debit.when)


def _by_counter(debit: PurseDebit, rules: PurseRules) -> Conversation[Made]:
    """Where neither proof nor log knows it: a counter that did not move says it was not done. INITIALIZE shows it."""
    data = bytes((rules.key_index,)) + bytes(4) + debit.terminal
    opened = yield from ask_card(command(0x80, 0x50, 0x01, 0x02, data, 15))
    if opened.good and len(opened.data) == 15 and int.from_bytes(opened.data[4:6]) == debit.counter:
        return Made(state=DebitState.NOT_DONE, why="counter")
    return Made(state=DebitState.UNKNOWN, why="counter")
