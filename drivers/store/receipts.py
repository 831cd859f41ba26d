"""What a receipt does to the entries it covers, and what becomes of those it refused.

Laws of this file:
- Nothing here begins or ends a transaction; whoever calls owns it.
- Only a receipt whose hash is ours marks anything.
- Runs of rows (schema.py) say the same once more: neighbours are one run, so behind a run stands what has no receipt.
- A refused entry goes to quarantine with its reason; what issuing again cures stays there until it was.
"""

from collections.abc import Sequence
from itertools import chain, islice
from typing import Any

import apsw

from drivers.store import tables
from drivers.store.schema import RECEIPTED_RUNS
from terminal.core.entries import Receipt, StoredEntry
from terminal.core.model import EntryName
from terminal.core.reissuing import CURABLE, kept_as

_FIRST_ASIDE = -(1 << 62)  # rows in quarantine that no entry has count up from here: by row is oldest first
_CURABLE = f"reason IN ({','.join('?' * len(CURABLE))})"


def mark(db: apsw.Connection, receipt: Receipt, first: int, last: int) -> int:
    """Mark what a receipt covers, from sequence `first` to `last` of it; how many are newly marked. 0 where its hash is
    not ours.
    """
    base = tables.first_row(db, receipt.epoch)
    if base is None or tables.hash_at(db, base + receipt.last - 1) != receipt.hash:
        return 0
    marked = 0
    for refused in receipt.refused:
        row = base + refused.sequence - 1
        found = db.execute("SELECT data FROM entries WHERE row = ? AND receipt IS NULL", (row,)).fetchone()
        if found is None or not first <= refused.sequence <= last:
            continue
        kept = (row, receipt.epoch, refused.sequence, kept_as(refused.reason, found[0]), found[0])
        db.execute("INSERT OR REPLACE INTO quarantine VALUES (?, ?, ?, ?, ?)", kept)
        db.execute("UPDATE entries SET receipt = 2 WHERE row = ?", (row,))
        marked += 1
    rows = (base + first - 1, base + last - 1)
    db.execute("UPDATE entries SET receipt = 1 WHERE row BETWEEN ? AND ? AND receipt IS NULL", rows)
    marked += db.changes()
    _note(db, *rows)
    return marked


def without(db: apsw.Connection, from_row: int, limit: int) -> tuple[int, int]:
    """Where to look for the oldest rows without a receipt from `from_row` on, and for how many, `limit` at most."""
    first = max(from_row, tables.number(db, "SELECT min(row) FROM entries"))
    within = tables.number(db, "SELECT last FROM receipted WHERE first <= ? ORDER BY first DESC LIMIT 1", first)
    first = max(first, within + 1)
    until = tables.number(db, "SELECT min(first) FROM receipted WHERE first > ?", first)
    return first, min(limit, until - first) if until else limit


def unsent(
    db: apsw.Connection,
    from_row: int,
    limit: int,
    max_bytes: int,
    newest: Sequence[StoredEntry] = (),
    *,
    receipted: bool = False,
) -> list[StoredEntry]:
    """The oldest run of one epoch from `from_row` on, without a receipt or, if asked, with; one entry at least.

    It looks at every row until it has one: `without` knows where to begin. `newest` are those behind the tables'.
    """
    wanted = "WHERE e.row >= ?" if receipted else "WHERE e.receipt IS NULL AND e.row >= ?"
    run: list[StoredEntry] = []
    size = 0
    stand = tables.entries(db, f"{wanted} ORDER BY e.row LIMIT ?", from_row, limit)
    for stored in islice(chain(stand, newest), limit):
        size += len(stored.data)
        follows = not run or (run[-1].name.epoch == stored.name.epoch and run[-1].row + 1 == stored.row)
        if not follows or (run and size > max_bytes):
            break
        run.append(stored)
    return run


def _note(db: apsw.Connection, first: int, last: int) -> None:
    """All these rows have a receipt now, as far as they are still there: one run with what it touches."""
    first = max(first, tables.number(db, "SELECT min(row) FROM entries"))
    if first > last:
        return
    touching = (last + 1, first - 1)
    query = "SELECT min(first), max(last) FROM receipted WHERE first <= ? AND last >= ?"
    found: Any = db.execute(query, touching).fetchone()
    if found[0] is not None:
        first, last = min(first, found[0]), max(last, found[1])
        db.execute("DELETE FROM receipted WHERE first <= ? AND last >= ?", touching)
    db.execute("INSERT INTO receipted VALUES (?, ?)", (first, last))


def find(db: apsw.Connection) -> None:
    """The runs of a journal whose entries were written with their receipts."""
    db.execute("DELETE FROM receipted")
    db.execute("INSERT INTO receipted " + RECEIPTED_RUNS.format(after=0))


def to_reissue(db: apsw.Connection, epoch: bytes, limit: int) -> list[tuple[int, EntryName, bytes]]:
    """Quarantined entries, not of this epoch, that are to be issued again: (row, name, data), oldest first."""
    query = f"SELECT row, epoch, sequence, data FROM quarantine WHERE {_CURABLE} AND epoch <> ?"
    found = db.execute(f"{query} ORDER BY row LIMIT ?", (*CURABLE, epoch, limit))
    return [(row, EntryName(epoch=of, sequence=sequence), data) for row, of, sequence, data in found]


def stands_in(db: apsw.Connection, epoch: bytes) -> bool:
    """Whether something of this very epoch waits to be issued again."""
    query = f"SELECT 1 FROM quarantine WHERE {_CURABLE} AND epoch = ? LIMIT 1"
    return db.execute(query, (*CURABLE, epoch)).fetchone() is not None


def set_aside(db: apsw.Connection, epoch: bytes, sequence: int, reason: str, data: bytes) -> None:
    """Into quarantine under a row no entry has: its own may be another's."""
    row = tables.number(db, "SELECT ifnull(max(row) + 1, ?) FROM quarantine WHERE row < 0", _FIRST_ASIDE)
    db.execute("INSERT INTO quarantine VALUES (?, ?, ?, ?, ?)", (row, epoch, sequence, reason, data))


def release(db: apsw.Connection, row: int) -> None:
    """Out of quarantine."""
    db.execute("DELETE FROM quarantine WHERE row = ?", (row,))
