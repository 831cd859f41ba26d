"""What does not count under its own name, and is issued again: which reasons, in which form, how often.

Laws of this file:
- An entry is carried whole under its first name, and never wrapped twice.
- It is issued again a few times at most: whoever refuses everything does not fill the journal for ever.
"""

import msgspec

from terminal.core.entries import BadEntry, Reissued, decode
from terminal.core.model import EntryName

# Reasons why an entry does not count under its own name, though nothing is wrong with what it says.
MISPLACED = frozenset({"conflict", "chain_broken"})  # head office holds another entry there, or beside it
BEHIND_DAMAGE = "behind damage"  # it stood there on this terminal's disk
CURABLE = frozenset({*MISPLACED, BEHIND_DAMAGE})
REISSUED_AT_MOST = 3  # times


def reissue(name: EntryName, data: bytes) -> Reissued:
    """The fact that issues an entry again; one that was issued again already keeps its first name.

    Bytes that are no entry any more are carried as they are: head office says so.
    """
    before = _reissued(data)
    return Reissued(was=name, data=data) if before is None else msgspec.structs.replace(before, times=before.times + 1)


def kept_as(reason: str, data: bytes) -> str:
    """Why a refused entry is in quarantine: what was issued again often enough stays there, under another reason."""
    before = _reissued(data)
    often = before is not None and before.times >= REISSUED_AT_MOST
    return f"{reason}, {REISSUED_AT_MOST} times" if often and reason in CURABLE else reason


def _reissued(data: bytes) -> Reissued | None:
    try:
        fact = decode(data).fact
    except BadEntry:
        return None
    return fact if isinstance(fact, Reissued) else None
