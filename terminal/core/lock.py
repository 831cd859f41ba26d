"""A purse locked on the card itself, from the intention to what is known of it.

Laws of this file:
- Locking is the operator's rule and its module's right; it is written down before the card is told, like a debit.
- What nobody heard the end of stays unknown: a card that is locked says so when it is held out again.
"""

from terminal.core.base import EntryName, Ref, Value
from terminal.core.debit import DebitState


class LockIntended(Value, frozen=True, tag="lock_intended"):
    """A listed purse is about to be locked: durable before the command that does it."""

    lane: str
    issuer: str
    medium_ref: Ref
    module: str  # the secure module's serial number, hexadecimal


class LockEnded(Value, frozen=True, tag="lock_ended"):
    """What became of it."""

    lane: str
    of: EntryName
    medium_ref: Ref
    state: DebitState
    why: str  # a closed list: a status word, "card left", "challenge", "module"
