"""Locking a purse on the card: APPLICATION BLOCK, authorised by the secure module.

Laws of this file:
- Nothing is locked without a MAC over the card's own random number, and that is the module's: no key is here.
- Only 9000 is a lock, only another status word is none; anything else is unknown.
- By gate code: 84 1E 00 00, the key 801A 45 02, IV = the random number and zeros. Only for 3DES cards; for SM4 no text
  was found. What the issuer has to do to unlock it is not known here.
"""

from terminal.core.base import Value
from terminal.core.cards.apdu import Conversation, ask_card, ask_module, command
from terminal.core.debit import DebitState
from terminal.core.parameters import PurseRules

RANDOM_BYTES, MAC_BYTES, BLOCK_BYTES = 4, 4, 8
BLOCK = bytes((0x84, 0x1E, 0x00, 0x00, MAC_BYTES))


class Locked(Value, frozen=True):
    """What it came to."""

    state: DebitState
    why: str  # as in LockEnded


def lock(public: bytes, rules: PurseRules) -> Conversation[Locked]:
    """Lock the purse that is selected; `public` is its EF15."""
    challenge = yield from ask_card(command(0x00, 0x84, 0x00, 0x00, le=RANDOM_BYTES))
    if not challenge.good or len(challenge.data) != RANDOM_BYTES:
        return Locked(state=DebitState.NOT_DONE, why="challenge")
    usage, key = rules.lock_key
    keyed = yield from ask_module(command(0x80, 0x1A, usage, key, public[12:20] + public[:8]))
    signed = challenge.data.ljust(BLOCK_BYTES, b"\x00") + (BLOCK + b"\x80").ljust(BLOCK_BYTES, b"\x00")
    mac = yield from ask_module(command(0x80, 0xFA, 0x05, 0x00, signed, MAC_BYTES))
    if not keyed.good or not mac.good or len(mac.data) != MAC_BYTES:
        return Locked(state=DebitState.NOT_DONE, why="module")
    answer = yield from ask_card(BLOCK + mac.data)
    if answer.good:
        return Locked(state=DebitState.DONE, why="9000")
    heard_nothing = answer.sw >> 8 in (0x61, 0x6C, 0x00)
    return Locked(state=DebitState.UNKNOWN if heard_nothing else DebitState.NOT_DONE, why=f"{answer.sw:04x}")
