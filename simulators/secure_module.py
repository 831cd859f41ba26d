"""A PSAM that answers commands: the master keys stay inside it.

Laws of this file:
- It computes MAC1 for one purchase and checks MAC2 of that one; a new 8070 ends the old state.
- A command it does not know is `UnknownCommand`, loudly.
- The three-level key of internal authentication and the order of its factors are OUR OWN CHOICE: no text was found.
"""

from dataclasses import dataclass, field

from simulators.card import OK, UnknownCommand, parse
from simulators.purse_keys import Algorithm, block_size, cbc_mac, diversify, encrypt, session_key, tac

WRONG_STATE, MAC_WRONG, NO_KEY = b"\x69\x85", b"\x93\x02", b"\x94\x03"
INTERNAL_USAGE = 0x68  # three levels, kind 8: our own choice
TAC_USAGE, LOCK_USAGE = 0x44, 0x45


@dataclass
class SimulatedModule:
    """One PSAM. `purse_master` and `identity_master` are 16 bytes each."""

    terminal: bytes  # 6 bytes
    purse_master: bytes
    identity_master: bytes
    tac_master: bytes
    lock_master: bytes
    serial: bytes = bytes.fromhex("00010000000000000001")
    algorithm: Algorithm = Algorithm.DES3  # of internal authentication; a purchase names its own
    delay_s: float = 0.0
    commands: list[bytes] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._transaction = 0
        self._expected: bytes | None = None  # MAC2 of the purchase under way
        self._key: bytes | None = None
        self._randoms = 0

    def power_on(self) -> bytes:
        """Forget what was volatile; the answer to reset."""
        self._expected = self._key = None
        return bytes.fromhex("3b6800000073c84013009000")

    def answer(self, command: bytes) -> bytes:
        """Data ‖ status word. Raises UnknownCommand."""
        self.commands.append(command)
        answer = self._answer(command)
        self.answers.append(answer)
        return answer

    def _answer(self, command: bytes) -> bytes:
        apdu = parse(command)
        match apdu.head:
            case "00b09600":
                return self.terminal[: apdu.le] + OK
            case "00b09500":
                return self.serial.ljust(14, b"\x00")[: apdu.le] + OK
            case "00840000":
                return self._challenge() + OK
            case "80700000":
                return self._begin(apdu.data)
            case "80720000":
                expected, self._expected = self._expected, None
                if expected is None:
                    return WRONG_STATE
                return OK if apdu.data == expected else MAC_WRONG
            case "80fa0000" | "80fa0500":
                return self._compute(apdu.p1, apdu.data)
        if (apdu.cla, apdu.ins) == (0x80, 0x1A):
            return self._diversify(apdu.p1, apdu.data)
        raise UnknownCommand(command.hex())

    def _begin(self, data: bytes) -> bytes:
        """8070: random(4) ATC(2) amount(4) type(1) date(4) time(3) key version(1) algorithm(1) factors(8 or 16)."""
        if len(data) not in (28, 36):
            raise UnknownCommand(f"8070 with {len(data)} bytes")
        random, counter, amount, kind, when = data[:4], data[4:6], data[6:10], data[10:11], data[11:18]
        try:
            algorithm = Algorithm(data[19])
        except ValueError:
            return NO_KEY
        key = debit_key(algorithm, self.purse_master, data[20:28], data[28:36])
        self._transaction += 1
        transaction = self._transaction.to_bytes(4)
        session = session_key(algorithm, key, random, int.from_bytes(counter), transaction)
        self._expected = cbc_mac(algorithm, session, amount)
        return transaction + cbc_mac(algorithm, session, amount + kind + self.terminal + when) + OK

    def _diversify(self, usage: int, factors: bytes) -> bytes:
        two_levels = {TAC_USAGE: self.tac_master, LOCK_USAGE: self.lock_master}
        if usage in two_levels and len(factors) == 16:
            self._key = debit_key(self.algorithm, two_levels[usage], factors[:8], factors[8:])
            return OK
        if (usage, len(factors)) != (INTERNAL_USAGE, 24):
            return NO_KEY
        key = self.identity_master
        for start in (0, 8, 16):
            key = diversify(self.algorithm, key, factors[start : start + 8])
        self._key = key
        return OK

    def _compute(self, mode: int, data: bytes) -> bytes:
        """80FA: mode 00 enciphers eight bytes, mode 05 makes a MAC over IV ‖ padded data."""
        key, self._key = self._key, None
        if key is None:
            return WRONG_STATE
        if mode == 0x05:
            size = block_size(self.algorithm)
            return tac(self.algorithm, key, data[size:].rstrip(b"\x00")[:-1], data[:size]) + OK
        block = data if self.algorithm is Algorithm.DES3 else data + bytes(8)
        return encrypt(self.algorithm, key, block)[:8] + OK

    def _challenge(self) -> bytes:
        self._randoms += 1
        return (0x1122334455667788 + self._randoms).to_bytes(8)


def debit_key(algorithm: Algorithm, master: bytes, serial: bytes, issuer: bytes) -> bytes:
    """A card's debit key: by the issuer, then by the serial (EF15 12-19); one level where no issuer is given."""
    if issuer:
        master = diversify(algorithm, master, issuer)
    return diversify(algorithm, master, serial)
