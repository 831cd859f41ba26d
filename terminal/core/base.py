"""What every noun is made of.

Laws of this file:
- It imports nothing of the project, so that any noun may stand on it; everybody else takes these from core/model.py.
"""

from typing import NewType

import msgspec


class Value(msgspec.Struct, frozen=True, omit_defaults=True):
    """The base of every noun: immutable, compared by content; built with named arguments."""


# A medium or account under a keyed hash: 1 byte link-key version, then HMAC-SHA-256 cut to 16 bytes
# (core/accounts.py). 17 bytes in all; the number behind it never leaves the function that hashed it.
Ref = NewType("Ref", bytes)


class EntryName(msgspec.Struct, frozen=True, order=True):
    """The name of an entry within one terminal: (epoch, sequence)."""

    epoch: bytes  # 8 random bytes
    sequence: int  # from 1, gapless
