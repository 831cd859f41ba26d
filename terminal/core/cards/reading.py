"""What reading a card comes to, for every application.

Laws of this file:
- A conversation ends with a `CardRead`, with None where the card has no such application, or by raising `Refused`.
- `payload` is the number the card goes by, as bytes: it is sealed as evidence and never logged.
"""

import hashlib

from terminal.core.cards.apdu import Answer
from terminal.core.model import Credential, Instant, Reason, Ref, Refusal, Value, Verdict
from terminal.core.parameters import ParameterSet


class Refused(Exception):
    """The card's holder hears of it; nothing leaves the lane."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class CardRead(Value, frozen=True):
    """A card as it was read."""

    payload: bytes
    claim: Credential | Refusal


class Visit(Value, frozen=True):
    """What a conversation may know besides the card."""

    parameters: ParameterSet
    at: Instant
    today: str  # YYYYMMDD, local
    has_module: bool
    asks_balance: bool = False  # somebody wants to know what is on the card; nothing is to be paid
    own_terminals: tuple[str, ...] = ()  # this site's secure modules, as a purse's trip names them


def refusal(reason: Reason, format: str) -> Refusal:
    """A DENY with this reason."""
    return Refusal(verdict=Verdict.DENY, reason=reason, format=format)


def needed(answer: Answer, size: int | None = None) -> bytes:
    """The data of a good answer, of this size where one is named. Raises Refused."""
    if not answer.good or (size is not None and len(answer.data) != size):
        raise Refused(Reason.CARD_UNREADABLE)
    return answer.data


def digits(data: bytes) -> str:
    """BCD as digits. Raises Refused where it is none."""
    text = data.hex()
    if not text.isdecimal():
        raise Refused(Reason.CARD_UNREADABLE)
    return text


def one_use(refs: tuple[Ref, ...], at: Instant) -> tuple[Ref, ...]:
    """Names of this one tap: a card, unlike a code, may be used as often as it is held out, also while the clock stands
    behind the journal and its time does not move.
    """
    stamp = at.utc_ms.to_bytes(8) + at.monotonic_ns.to_bytes(8)
    return tuple(Ref(ref[:1] + hashlib.sha256(ref + stamp).digest()[:16]) for ref in refs)
