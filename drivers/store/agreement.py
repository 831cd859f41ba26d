"""Does what stands beside the entries say what they say? SQLite would not tell: it does not see a flipped bit.

Laws of this file:
- It only reads; each answer is yes or no, and anything raised is damage.
"""

from collections.abc import Sequence

import apsw

from drivers.store import tables
from terminal.core import projection
from terminal.core.entries import Head
from terminal.core.model import Use


def index_agrees(db: apsw.Connection, after: int) -> bool:
    """Whether the index of what is unsent names the entries behind a row that have no receipt."""
    counted = "SELECT count(*), sum(row) FROM entries {} WHERE receipt IS NULL AND row > ?"
    by_table, by_index = (
        db.execute(counted.format(how), (after,)).fetchone() for how in ("NOT INDEXED", "INDEXED BY unsent")
    )
    return by_table == by_index


def uses_agree(db: apsw.Connection, after: int, folded: Sequence[Use]) -> bool:
    """Whether the projection behind a row holds these uses, each under each of its keys."""
    stored = tables.uses_behind(db, after)
    if [use for _, use in stored] != list(folded):
        return False
    find = "SELECT 1 FROM use_keys WHERE key = ? AND at_ms = ? AND row = ?"
    return all(
        db.execute(find, (key, use.at_ms, row)).fetchone() for row, use in stored for key in projection.keys(use)
    )


def memory_agrees(db: apsw.Connection, end: Head) -> bool:
    """Whether what outlives pruning is not behind what the entries up to `end` said."""
    kept = tables.memory(db)
    return all(kept.get(name, 0) >= getattr(end, name) for name in tables.REMEMBERED)
