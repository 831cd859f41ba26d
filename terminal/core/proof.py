"""The proof of a tap: six characters on the display, by which its entry is found again.

Laws of this file:
- A proof is a name, not a secret: the entry's number, stirred so that neighbours look nothing alike.
- Within an epoch no two entries share one (until there are 191 million of them), and it can be turned back.
- The alphabet has nothing that is mistaken for something else (0 O, 1 I L, 2 Z, 5 S, 8 B, U V) and no vowel, so that no
  word comes about.
"""

import hashlib

from terminal.core.base import EntryName

ALPHABET = "23456789CDFGHJKMNPQRTWXY"
LENGTH = 6
COUNT = len(ALPHABET) ** LENGTH
STIR = 118_091_917  # has no factor in common with COUNT (2, 3), so each number has its own place
UNSTIR = pow(STIR, -1, COUNT)


def proof_of(name: EntryName) -> str:
    """The six characters of an entry."""
    number = (name.sequence * STIR + _offset(name.epoch)) % COUNT
    letters = []
    for _ in range(LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[digit])
    return "".join(reversed(letters))


def is_proof(text: str) -> bool:
    """Whether this can be one, as a person types it."""
    return len(plain(text)) == LENGTH and all(letter in ALPHABET for letter in plain(text))


def plain(text: str) -> str:
    """As a person types it: small letters, spaces and dashes are nothing."""
    return "".join(text.split()).replace("-", "").upper()


def sequence_of(proof: str, epoch: bytes) -> int:
    """The sequence an entry of this epoch with this proof would have; whether there is one, the journal knows.

    Raises ValueError for what is no proof.
    """
    if not is_proof(proof):
        raise ValueError(f"{proof!r} is not six characters of {ALPHABET}")
    number = 0
    for letter in plain(proof):
        number = number * len(ALPHABET) + ALPHABET.index(letter)
    return int((number - _offset(epoch)) * UNSTIR % COUNT)


def _offset(epoch: bytes) -> int:
    return int.from_bytes(hashlib.sha256(b"proof of a tap" + epoch).digest()[:8])
