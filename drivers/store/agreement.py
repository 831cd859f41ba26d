"""Does what stands beside the entries say what they say? SQLite would not tell: it does not see a flipped bit.

Laws of this file:
- It only reads; each answer is yes or no, and anything raised is damage.
"""

from collections.abc import Sequence
from typing import Any

import apsw

from drivers.store import tables
from drivers.store.schema import RECEIPTED_RUNS
from terminal.core import projection
from terminal.core.entries import Head
from terminal.core.model import Use


def open_uses_agree(db: apsw.Connection, after: int) -> bool:
    """Whether the index of open uses names the rows behind a row that it is there to find."""
    counted = "SELECT count(*), sum(row) FROM uses {} WHERE state = 'reserved' AND row > ?"
    by_table, by_index = (
        db.execute(counted.format(how), (after,)).fetchone() for how in ("NOT INDEXED", "INDEXED BY open_uses")
    )
    return by_table == by_index


def receipts_agree(db: apsw.Connection, after: int) -> bool:
    """Whether the runs of receipted rows behind a row are those whose entries have a receipt."""
    kept = "SELECT max(first, ?), last FROM receipted WHERE last > ? ORDER BY first"
    by_run = db.execute(kept, (after + 1, after)).fetchall()
    return by_run == db.execute(RECEIPTED_RUNS.format(after=after) + "ORDER BY row").fetchall()


BESIDE = {"the index open_uses": open_uses_agree, "the table receipted": receipts_agree}  # what stands beside entries


def uses_agree(db: apsw.Connection, after: int, folded: Sequence[Use]) -> bool:
    """Whether the projection behind a row holds these uses, each under each of its keys."""
    stored = tables.uses_behind(db, after)
    if [use for _, use in stored] != list(folded):
        return False
    find = "SELECT 1 FROM use_keys WHERE key = ? AND at_ms = ? AND row = ?"
    return all(
        db.execute(find, (key, use.at_ms, row)).fetchone() for row, use in stored for key in projection.keys(use)
    )


def ledgers_agree(db: apsw.Connection) -> bool:
    """Whether every ledger says what was written."""
    rows: Any = db.execute("SELECT party, touched_ms, data, digest FROM ledgers WHERE digest IS NOT NULL")
    return all(tables.proof(party, at_ms, data) == digest for party, at_ms, data, digest in rows)


def memory_agrees(db: apsw.Connection, end: Head) -> bool:
    """Whether what outlives pruning is not behind what the entries up to `end` said."""
    kept = tables.memory(db)
    return all(kept.get(name, 0) >= getattr(end, name) for name in tables.REMEMBERED)
