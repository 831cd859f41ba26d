"""One debit of a purse, from the intention to what is known of it.

Laws of this file:
- A debit is written down before the card is asked for it, with everything needed to ask the card about it later.
- It is open until the card, or its proof, says what became of it. What nobody can know stays unknown: nothing is ever
  given back by itself.
"""

from enum import StrEnum

from terminal.core.base import EntryName, Value

OPENED = "opened"  # why a debit owes nobody a passage: the disk was full, and the site's policy opened
PLAIN, COMPOSITE = 0x06, 0x09  # transaction types of a purse: an ordinary purchase, one that keeps a trip


class DebitKind(StrEnum):
    """What a debit is to the card."""

    RIDE = "ride"  # an ordinary purchase; keeps no trip
    BOARD = "board"  # a trip begins
    ALIGHT = "alight"  # a trip ends
    SETTLE = "settle"  # a trip of another vehicle, or an unended one, is ended; nobody passes for it


class DebitState(StrEnum):
    """What is known of a debit."""

    OPEN = "open"  # intended; nothing more was heard
    DONE = "done"
    NOT_DONE = "not_done"  # certainly: the card refused it, or its counter did not move
    UNKNOWN = "unknown"  # told to head office as such; the card may still come back


class PurseDebit(Value, frozen=True):
    """What is about to be asked of a card."""

    type: int  # PLAIN or COMPOSITE
    amount_fen: int
    balance_fen: int  # before, as shown to people: without overdraft
    counter: int  # the card's transaction counter before
    terminal: bytes  # 6 bytes, the secure module's
    transaction: bytes  # 4 bytes, the secure module's
    when: bytes  # 7 bytes BCD, YYYYMMDDhhmmss local
    algorithm: int  # as INITIALIZE named it
    product: str
    fare_type: str
    grants: bool  # whether somebody passes for it; False: an earlier trip is settled by it


class DebitProof(Value, frozen=True):
    """What the card said of a debit, for clearing."""

    how: str  # "answer": to the debit itself; "prove": asked for later; "log": in the card's own log; "earlier": owed
    tac: bytes | None = None  # 4 bytes
    mac2: bytes | None = None  # 4 bytes
    holds: bool | None = None  # MAC2 or TAC, by the secure module; None: it could not say

    @property
    def is_owed(self) -> bool:
        """Whether somebody may pass for it. What a card says later, by its own word alone, is owed to nobody."""
        return self.holds is True or self.how in ("answer", "earlier")


class DebitMade(Value, frozen=True):
    """A debit that was intended and is done."""

    of: EntryName
    proof: DebitProof


class Debit(Value, frozen=True):
    """The newest debit of one medium, as a ledger keeps it."""

    of: EntryName  # its intention
    at_ms: int
    debit: PurseDebit
    state: DebitState = DebitState.OPEN
    granted: bool = False  # somebody passed for it, or nobody had to
    floor: int = 0  # the least counter the card may have: behind the newest debit the secure module proved

    @property
    def is_doubt(self) -> bool:
        """Whether the card has to be asked when it comes back."""
        return self.state in (DebitState.OPEN, DebitState.UNKNOWN)
