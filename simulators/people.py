"""Who comes to a lane, and what they do there: passengers, visitors and cheats, from a seed.

Laws of this file:
- A visitor is a kind, a code made for a moment, and how many people walk when the gate opens.
- Kinds are drawn by weight from one seeded Random: the same seed brings the same people in the same order.
- Everybody is made up; nobody has a name but a number.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from simulators.issuer import demo_issuer
from simulators.phone import FAULTS, Phone
from simulators.token_issuer import FAULTS as TOKEN_FAULTS
from simulators.token_issuer import TokenIssuer, Wallet, demo_token_issuers
from terminal.core.model import Ref

MakeCode = Callable[[int], bytes]  # Unix seconds → a payload


class Visitor(NamedTuple):
    """One presentation to come."""

    who: str
    code: MakeCode
    walks: int = 1  # how many people walk once the gate opens
    again_after_s: float | None = None  # shows the very same code once more
    late: bool = False  # walks only after the gate has given up on them


@dataclass
class Crowd:
    """Everybody who may come to one place."""

    random: Random
    seed: int = 0
    account_link: Callable[[str], Ref] = field(default=lambda name: Ref(b"\x01" + name.encode().ljust(16, b".")[:16]))
    number: int = 0  # of whoever came last; two crowds of one site begin far apart

    def bus(self) -> Visitor:
        """Somebody at a bus door."""
        kind = self.random.choices(list(BUS), weights=[weight for weight, _ in BUS.values()])[0]
        return BUS[kind][1](self, kind)

    def park(self) -> Visitor:
        """Somebody at a park's turnstile."""
        kind = self.random.choices(list(PARK), weights=[weight for weight, _ in PARK.values()])[0]
        return PARK[kind][1](self, kind)

    # ----------------------------------------------------------------------- making people

    def phone(self, **changes: object) -> Phone:
        """A new phone with a ride code."""
        self.number += 1
        return Phone(name=f"rider {self.number}", issuer=demo_issuer(self.seed), **changes)  # type: ignore[arg-type]

    def wallet(self, **changes: object) -> Wallet:
        """A new phone with a card token."""
        self.number += 1
        issuer: TokenIssuer = self.random.choice(demo_token_issuers(self.seed))
        return Wallet(name=f"visitor {self.number}", issuer=issuer, **changes)  # type: ignore[arg-type]

    def lost_phone(self) -> Phone:
        """The phone whose account was reported lost: the demo's deny list names it."""
        return Phone(name="lost", issuer=demo_issuer(self.seed), account_link=self.account_link("lost"))


def _rider(card_type: str) -> Callable[[Crowd, str], Visitor]:
    return lambda crowd, who: Visitor(who, crowd.phone(card_type=card_type).code)


def _faulty(fault: str) -> Callable[[Crowd, str], Visitor]:
    def visitor(crowd: Crowd, who: str) -> Visitor:
        phone = crowd.phone()
        return Visitor(who, lambda at_s: FAULTS[fault](phone, at_s))

    return visitor


def _bad_token(fault: str) -> Callable[[Crowd, str], Visitor]:
    def visitor(crowd: Crowd, who: str) -> Visitor:
        wallet = crowd.wallet()
        return Visitor(who, lambda at_s: TOKEN_FAULTS[fault](wallet, at_s))

    return visitor


def _constant(payload: bytes) -> Callable[[Crowd, str], Visitor]:
    return lambda crowd, who: Visitor(who, lambda at_s: payload)


def _noise(crowd: Crowd, who: str) -> Visitor:
    payload = crowd.random.randbytes(crowd.random.randint(3, 300))
    return Visitor(who, lambda at_s: payload)


def _holder(product: str, walks: int, *, late: bool = False) -> Callable[[Crowd, str], Visitor]:
    return lambda crowd, who: Visitor(
        who, crowd.wallet(products=((product, 1_700_000_000, 2_200_000_000),)).code, walks=walks, late=late
    )


MEDICAL = b"3" + b"42400000000000000000" + b"1100000"[:7]
PAYMENT = b"6225000000000000000"
SOCIAL_SECURITY = b"SSC.e3b0c44298fc1c149afbf4c8996fb924"

BUS: dict[str, tuple[int, Callable[[Crowd, str], Visitor]]] = {
    "commuter": (50, _rider("00")),
    "student": (10, _rider("02")),
    "senior": (8, _rider("03")),
    "asks: did it work?": (6, lambda crowd, who: Visitor(who, crowd.phone().code, again_after_s=3.5)),
    "screenshot": (4, _faulty("expired code")),
    "phone clock ahead": (3, _faulty("code from the future")),
    "forger": (3, _faulty("forged user signature")),
    "forger with a certificate": (2, _faulty("self-signed certificate")),
    "card from elsewhere": (2, _faulty("unknown issuer")),
    "reported lost": (4, lambda crowd, who: Visitor(who, crowd.lost_phone().code)),
    "medical code": (2, _constant(MEDICAL)),
    "payment code": (2, _constant(PAYMENT)),
    "social security code": (2, _constant(SOCIAL_SECURITY)),
    "noise": (2, _noise),
}
PARK: dict[str, tuple[int, Callable[[Crowd, str], Visitor]]] = {
    "annual pass": (30, _holder("park-annual", 1)),
    "day visitor": (25, _rider("00")),
    "group of five": (6, _holder("park-group", 5)),
    "three of five": (3, _holder("park-group", 3)),
    "changed their mind": (5, _holder("park-annual", 0)),
    "walked late": (3, _holder("park-annual", 1, late=True)),
    "token from elsewhere": (4, _bad_token("unknown kid")),
    "expired token": (4, _bad_token("expired")),
    "screenshot": (4, _bad_token("screenshot")),
    "forger": (4, _bad_token("forged holder")),
    "shows it again": (5, lambda crowd, who: Visitor(who, crowd.phone().code, again_after_s=4.0)),
    "noise": (2, _noise),
}
