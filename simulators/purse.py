"""The transit purse (T-Union) of a simulated card: files, plain and composite purchase, proof of a transaction.

Laws of this file:
- INITIALIZE writes nothing lasting, UPDATE CAPP DATA CACHE is volatile; DEBIT commits balance, counter, trip file, logs
  and proof together. Whatever interrupts it, one or the other is on the card.
- The proof of the newest debit can be asked for again, by its counter: MAC2 ‖ TAC, the reverse order of DEBIT.
- Whoever watches a card learns of every debit the moment it is on it: here, or by somebody else's terminal.
- EF16 (the holder) holds nothing, and reading it is a loud mistake.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

from simulators.card import OK, Apdu, UnknownCommand
from simulators.purse_keys import Algorithm, cbc_mac, session_key, tac

AID = bytes.fromhex("a000000632010105")
INSUFFICIENT, MAC_WRONG, NO_PROOF = b"\x94\x01", b"\x93\x02", b"\x94\x06"
MAC_FAILED = b"\x69\x88"  # of a secured command
WRONG_STATE, BLOCKED, NO_RECORD, WRONG_KEY = b"\x69\x85", b"\x93\x03", b"\x6a\x83", b"\x94\x03"
PLAIN, COMPOSITE = 0x06, 0x09
TRIP_RECORDS, LOG_RECORDS = 30, 10


@dataclass
class PurseFiles:
    """What survives leaving the field."""

    balance_fen: int = 5000  # without overdraft
    counter: int = 41
    state: bytes = bytes(128)  # EF1A record 1
    trips: list[bytes] = field(default_factory=list)  # EF1E, newest first, 48 bytes each
    log: list[bytes] = field(default_factory=list)  # EF18, newest first, 23 bytes each
    proof: tuple[int, int, bytes] | None = None  # type, counter, MAC2 ‖ TAC of the newest debit


@dataclass
class _Purchase:
    """An INITIALIZE that waits for its DEBIT."""

    type: int
    amount_fen: int
    terminal: bytes
    random: bytes
    trip: bytes | None = None
    state: bytes | None = None


@dataclass
class PurseApplication:
    """The purse. `debit_key`, `tac_key` and `lock_key` are the card's own, 16 bytes each."""

    number: bytes  # 10 bytes BCD: 0 and the 19-digit number
    debit_key: bytes
    tac_key: bytes
    lock_key: bytes
    issuer: bytes = bytes.fromhex("01045100ffffffff")  # EF15 0-7
    starts: str = "20240101"
    expires: str = "20340101"
    activated: bool = True
    interoperable: bool = True
    city: bytes = bytes.fromhex("5101")
    overdraft_fen: int = 0
    blocked: bool = False
    algorithm: Algorithm = Algorithm.DES3
    files: PurseFiles = field(default_factory=PurseFiles)
    aid: bytes = field(default=AID, repr=False)
    on_debit: Callable[[bytes, int, bytes | None], None] = field(default=lambda terminal, fen, trip: None, repr=False)

    def __post_init__(self) -> None:
        self._purchase: _Purchase | None = None
        self._challenge: bytes | None = None  # GET CHALLENGE's, for the very next command
        self._randoms = 0

    # ----------------------------------------------------------------------- files

    @property
    def public_file(self) -> bytes:
        """EF15, 30 bytes."""
        dates = bytes.fromhex(self.starts) + bytes.fromhex(self.expires)
        return self.issuer + bytes((int(self.activated), 0x01)) + self.number + dates + b"\x01\x00"

    @property
    def management_file(self) -> bytes:
        """EF17, 60 bytes."""
        flag = b"\x00\x01" if self.interoperable else bytes(2)
        return (bytes.fromhex("01560051") + b"\x51\x00" + self.city + flag + b"\x00").ljust(60, b"\x00")

    def select(self) -> bytes:
        """See the port."""
        self._purchase = self._challenge = None
        if self.blocked:
            return BLOCKED
        inner = b"\x9f\x08\x01\x02\x9f\x0c\x1e" + self.public_file
        body = b"\x84\x08" + AID + b"\xa5" + bytes((len(inner),)) + inner
        return b"\x6f" + bytes((len(body),)) + body + OK

    def answer(self, apdu: Apdu) -> bytes | None:
        """See the port."""
        known = {
            0xB0: self._read_binary, 0xB2: self._read_record, 0x5C: self._balance, 0x50: self._initialize,
            0xDC: self._update, 0x54: self._debit, 0x5A: self._prove, 0x84: self._get_challenge, 0x1E: self._block,
        }  # fmt: skip
        action = known.get(apdu.ins)
        return None if action is None else action(apdu)

    def _read_binary(self, apdu: Apdu) -> bytes:
        if apdu.p1 == 0x96:
            raise UnknownCommand("the holder's file is not read")
        files = {0x95: self.public_file, 0x97: self.management_file}
        if apdu.p1 not in files or apdu.p2:
            raise UnknownCommand(apdu.raw.hex())
        return files[apdu.p1][: apdu.le or 256] + OK

    def _read_record(self, apdu: Apdu) -> bytes:
        files = {0xC4: self.files.log, 0xF4: self.files.trips, 0xD4: [self.files.state]}
        records = files.get(apdu.p2)
        if records is None:
            raise UnknownCommand(apdu.raw.hex())
        return records[apdu.p1 - 1][: apdu.le or 256] + OK if 1 <= apdu.p1 <= len(records) else NO_RECORD

    def _balance(self, apdu: Apdu) -> bytes:
        """P1 00 with the overdraft, 03 without it."""
        extra = self.overdraft_fen if apdu.p1 == 0x00 else 0
        return (self.files.balance_fen + extra).to_bytes(4) + OK

    # ----------------------------------------------------------------------- a purchase

    def _initialize(self, apdu: Apdu) -> bytes:
        kinds = {0x01: PLAIN, 0x03: COMPOSITE}
        if apdu.p1 not in kinds or apdu.p2 != 0x02 or len(apdu.data) != 11:
            raise UnknownCommand(apdu.raw.hex())
        self._purchase = None
        if apdu.data[0] != 0x01:
            return WRONG_KEY
        amount_fen = int.from_bytes(apdu.data[1:5])
        if amount_fen > self.files.balance_fen + self.overdraft_fen:
            return INSUFFICIENT
        random = self._random()
        self._purchase = _Purchase(kinds[apdu.p1], amount_fen, apdu.data[5:11], random)
        shown = (self.files.balance_fen + self.overdraft_fen).to_bytes(4)
        overdraft = self.overdraft_fen.to_bytes(3)
        versions = bytes((0x01, self.algorithm))
        return shown + self.files.counter.to_bytes(2) + overdraft + versions + random + OK

    def _update(self, apdu: Apdu) -> bytes:
        purchase = self._purchase
        if purchase is None or purchase.type != COMPOSITE:
            return WRONG_STATE
        if (apdu.p1, apdu.p2, len(apdu.data)) == (0x00, 0xF0, 48):
            purchase.trip = apdu.data
        elif (apdu.p1, apdu.p2, len(apdu.data)) == (0x12, 0xD0, 128):
            purchase.state = apdu.data
        else:
            raise UnknownCommand(apdu.raw.hex())
        return OK

    def _debit(self, apdu: Apdu) -> bytes:
        if apdu.head != "80540100" or len(apdu.data) != 15:
            raise UnknownCommand(apdu.raw.hex())
        purchase, self._purchase = self._purchase, None
        if purchase is None or (purchase.type == COMPOSITE and purchase.trip is None and purchase.state is None):
            return WRONG_STATE
        transaction, when, mac1 = apdu.data[:4], apdu.data[4:11], apdu.data[11:]
        key = session_key(self.algorithm, self.debit_key, purchase.random, self.files.counter, transaction)
        amount = purchase.amount_fen.to_bytes(4)
        signed = amount + bytes((purchase.type,)) + purchase.terminal
        if cbc_mac(self.algorithm, key, signed + when) != mac1:
            return MAC_WRONG
        mac2 = cbc_mac(self.algorithm, key, amount)
        certificate = tac(self.algorithm, self.tac_key, signed + transaction + when)
        self._commit(purchase, when, mac2 + certificate)
        return certificate + mac2 + OK

    def _commit(self, purchase: _Purchase, when: bytes, proof: bytes) -> None:
        """All of it, or none: the files are replaced by one assignment."""
        files = copy.deepcopy(self.files)
        files.counter += 1
        files.balance_fen -= purchase.amount_fen
        record = files.counter.to_bytes(2) + self.overdraft_fen.to_bytes(3) + purchase.amount_fen.to_bytes(4)
        files.log = [record + bytes((purchase.type,)) + purchase.terminal + when, *files.log][:LOG_RECORDS]
        if purchase.trip is not None:
            files.trips = [purchase.trip, *files.trips][:TRIP_RECORDS]
        if purchase.state is not None:
            files.state = purchase.state
        files.proof = (purchase.type, files.counter, proof)
        self.files = files
        self.on_debit(purchase.terminal, purchase.amount_fen, purchase.trip)

    def debited_elsewhere(self, amount_fen: int, terminal: bytes, when: bytes, trip: bytes) -> None:
        """Somebody else's terminal took so much and wrote this trip (EF1E, 48 bytes); their talk is not ours."""
        self._commit(_Purchase(COMPOSITE, amount_fen, terminal, bytes(4), trip=trip), when, bytes(8))

    def _prove(self, apdu: Apdu) -> bytes:
        if apdu.p1 != 0x00 or len(apdu.data) != 2:
            raise UnknownCommand(apdu.raw.hex())
        if self.files.proof is None or self.files.proof[:2] != (apdu.p2, int.from_bytes(apdu.data)):
            return NO_PROOF
        return self.files.proof[2] + OK

    # ----------------------------------------------------------------------- locking

    def _get_challenge(self, apdu: Apdu) -> bytes:
        if apdu.head != "00840000" or apdu.le != 4:
            raise UnknownCommand(apdu.raw.hex())
        self._challenge = self._random()
        return self._challenge + OK

    def _block(self, apdu: Apdu) -> bytes:
        """APPLICATION BLOCK: its head under the lock key, chained from the random number."""
        if apdu.head != "841e0000" or len(apdu.data) != 4:
            raise UnknownCommand(apdu.raw.hex())
        challenge, self._challenge = self._challenge, None
        if challenge is None:
            return WRONG_STATE
        if tac(self.algorithm, self.lock_key, apdu.raw[:5], challenge) != apdu.data:
            return MAC_FAILED
        self.blocked = True
        return OK

    def _random(self) -> bytes:
        """Four bytes nobody asked for before; the same again on the same card, so that transcripts are golden."""
        self._randoms += 1
        return (self.files.counter * 1000003 + self._randoms * 7919 & 0xFFFFFFFF).to_bytes(4)
