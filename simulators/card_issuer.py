"""The issuer of synthetic cards: master keys from a seed, cards and PSAMs personalised under them.

Laws of this file:
- Every key, number and identity follows from a seed and a name; none was ever used for anything real.
- A card is given its own derived keys only; the masters are in the PSAM and here.
"""

import hashlib
from dataclasses import dataclass
from functools import reduce
from operator import xor

from simulators import purse, social_security
from simulators.card import Application, SimulatedCard
from simulators.purse import PurseApplication
from simulators.purse_keys import Algorithm
from simulators.secure_module import SimulatedModule, debit_key
from simulators.social_security import SocialSecurityApplication, card_key

REGION = bytes.fromhex("510100")


def answer_to_reset(historical: bytes) -> bytes:
    """What a PC/SC reader makes of a contactless card's historical bytes."""
    body = bytes((0x80 | len(historical), 0x80, 0x01)) + historical
    return b"\x3b" + body + bytes((reduce(xor, body),))


@dataclass(frozen=True)
class CardIssuer:
    """One issuer of both applications."""

    seed: int = 0
    algorithm: Algorithm = Algorithm.DES3

    def module(self, terminal: str = "510100000001") -> SimulatedModule:
        """A PSAM for one lane; `terminal` is its 6-byte number as digits."""
        return SimulatedModule(
            terminal=bytes.fromhex(terminal),
            purse_master=self._bytes("purse", 16),
            identity_master=self._bytes("identity", 16),
            tac_master=self._bytes("tac", 16),
            lock_master=self._bytes("lock", 16),
            algorithm=self.algorithm,
        )

    def social_security(self, name: str, **changes: object) -> SocialSecurityApplication:
        """The social security application of the holder called `name`."""
        identification = REGION + self._bytes(f"identification {name}", 13)
        values = {
            "identification": identification,
            "key": card_key(self.algorithm, self._bytes("identity", 16), identification),
            "algorithm": self.algorithm,
        } | changes
        return SocialSecurityApplication(**values)  # type: ignore[arg-type]  # a test's shorthand

    def purse(self, name: str, **changes: object) -> PurseApplication:
        """The purse of the holder called `name`."""
        digits = str(int.from_bytes(self._bytes(f"purse {name}", 8)) % 10**12).zfill(12)
        number = bytes.fromhex("0" + "3104510" + digits)
        issuer = bytes.fromhex("01045100ffffffff")
        factors = number[2:], issuer
        values = {
            "number": number,
            "issuer": issuer,
            "debit_key": debit_key(self.algorithm, self._bytes("purse", 16), *factors),
            "tac_key": debit_key(self.algorithm, self._bytes("tac", 16), *factors),
            "lock_key": debit_key(self.algorithm, self._bytes("lock", 16), *factors),
            "algorithm": self.algorithm,
        } | changes
        return PurseApplication(**values)  # type: ignore[arg-type]  # a test's shorthand

    def card(self, name: str, *applications: Application, short: bool = False) -> SimulatedCard:
        """A card with these applications; with none named, with both."""
        chosen = applications or (self.social_security(name), self.purse(name))
        return SimulatedCard(
            uid=self._bytes(f"uid {name}", 7), atr=answer_to_reset(b"ONECARD"), applications=chosen, short=short
        )

    def plain(self, name: str) -> SimulatedCard:
        """An old library card: a number in the anti-collision loop, and nothing else."""
        return SimulatedCard(uid=self._bytes(f"uid {name}", 4), atr=answer_to_reset(b""))

    def _bytes(self, what: str, size: int) -> bytes:
        return hashlib.sha256(f"onecard synthetic cards {self.seed} {what}".encode()).digest()[:size]


AIDS = (social_security.AID, purse.AID)
