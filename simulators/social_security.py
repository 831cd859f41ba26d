"""The social security application of a simulated card: EF05, EF06 that must stay shut, internal authentication.

Laws of this file:
- Everything on it is synthetic; EF06 (name, citizen number) holds nothing and reading it is a loud mistake.
- Version 3.00 gives nothing of EF05 beyond the identification code, version, and dates without external authentication;
  1.00 and 2.00 give the card number too.
- How INTERNAL AUTHENTICATE computes its answer is not public: what is done here is OUR OWN CHOICE, and
  simulators/secure_module.py makes the same one.
"""

from dataclasses import dataclass, field

from simulators.card import OK, Apdu, UnknownCommand
from simulators.purse_keys import Algorithm, diversify, encrypt

AID = bytes.fromhex("7378312e73682ec9e7bbe1b1a3d5cf")
NOT_FOUND, NOT_ALLOWED, WRONG_P1 = b"\x6a\x82", b"\x69\x82", b"\x6a\x86"
NO_RECORD = b"\x6a\x83"
EF05, EF06 = b"\xef\x05", b"\xef\x06"


@dataclass
class SocialSecurityApplication:
    """SSSE. `key` is the card's own internal authentication key (16 bytes), derived from the issuer's master."""

    identification: bytes  # 16 bytes; the first three are the issuing region, BCD
    key: bytes
    version: str = "3.00"
    issued: str = "20240101"
    expires: str = "20340101"
    card_number: bytes = b"A12345678"
    select_p1: tuple[int, ...] = (0x02, 0x00)  # which forms of SELECT EF this card understands
    short_identifiers: bool = True  # whether a record can be read without selecting its file
    data_first: bool = False  # how it takes the 16 bytes of INTERNAL AUTHENTICATE
    algorithm: Algorithm = Algorithm.DES3
    key_index: int = 0x01
    aid: bytes = field(default=AID, repr=False)

    def __post_init__(self) -> None:
        self._file = b""
        self._items = {
            0x01: self.identification,
            0x02: b"1",
            0x03: self.version.encode(),
            0x04: bytes.fromhex("510100000000000000000001"),
            0x05: bytes.fromhex(self.issued),
            0x06: bytes.fromhex(self.expires),
            0x07: self.card_number,
        }

    def select(self) -> bytes:
        """See the port."""
        self._file = b""
        return b"\x6f" + bytes((len(AID) + 2,)) + b"\x84" + bytes((len(AID),)) + AID + OK

    def answer(self, apdu: Apdu) -> bytes | None:
        """See the port."""
        if apdu.ins == 0xA4:
            return self._select_file(apdu)
        if apdu.ins == 0xB2:
            return self._read_record(apdu)
        if (apdu.ins, apdu.p1) == (0x88, 0x00):
            return self._internal_authenticate(apdu)
        return None

    def _select_file(self, apdu: Apdu) -> bytes:
        if apdu.p1 not in self.select_p1:
            return WRONG_P1
        if apdu.data not in (EF05, EF06):
            return NOT_FOUND
        self._file = apdu.data
        return OK

    def _read_record(self, apdu: Apdu) -> bytes:
        """By tag (P2 = 00), by number in the selected file (P2 = 04), or by number and short identifier (P2 = 2C)."""
        file = EF05 if apdu.p2 == 0x2C else self._file
        if apdu.p2 == 0x2C and not self.short_identifiers:
            return WRONG_P1
        if file == EF06:
            raise UnknownCommand("name and citizen number are not read")
        if file != EF05 or apdu.p2 not in (0x00, 0x04, 0x2C):
            return NO_RECORD
        value = self._items.get(apdu.p1)
        if value is None:
            return NO_RECORD
        if apdu.p1 == 0x07 and self.version == "3.00":
            return NOT_ALLOWED
        return bytes((apdu.p1, len(value))) + value + OK

    def _internal_authenticate(self, apdu: Apdu) -> bytes:
        if apdu.p2 != self.key_index or len(apdu.data) != 16:
            return WRONG_P1
        halves = apdu.data[:8], apdu.data[8:]
        diversifier, data = reversed(halves) if self.data_first else halves
        return proof(self.algorithm, self.key, diversifier, data) + OK


def card_key(algorithm: Algorithm, master: bytes, identification: bytes) -> bytes:
    """A card's internal authentication key: two levels, over the halves of its identification code."""
    return diversify(algorithm, diversify(algorithm, master, identification[:8]), identification[8:])


def proof(algorithm: Algorithm, key: bytes, diversifier: bytes, data: bytes) -> bytes:
    """Eight bytes over eight of the terminal's choosing: a third level, then one block."""
    block = data if algorithm is Algorithm.DES3 else data + bytes(8)
    return encrypt(algorithm, diversify(algorithm, key, diversifier), block)[:8]
