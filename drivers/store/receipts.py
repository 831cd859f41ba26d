"""What a receipt does to the entries it covers, and what becomes of those it refused.

Laws of this file:
- Nothing here begins or ends a transaction; whoever calls owns it.
- Only a receipt whose hash is ours marks anything.
- A refused entry goes to quarantine with its reason; what issuing again cures stays there until it was.
"""

import apsw

from drivers.store import tables
from terminal.core.entries import Receipt
from terminal.core.model import EntryName
from terminal.core.reissuing import CURABLE, kept_as

_CURABLE = f"reason IN ({','.join('?' * len(CURABLE))})"


def mark(db: apsw.Connection, receipt: Receipt) -> int:
    """Mark what a receipt covers; how many are newly marked. 0 where its hash is not ours."""
    base = tables.first_row(db, receipt.epoch)
    if base is None or tables.hash_at(db, base + receipt.last - 1) != receipt.hash:
        return 0
    marked = 0
    for refused in receipt.refused:
        row = base + refused.sequence - 1
        found = db.execute("SELECT data FROM entries WHERE row = ? AND receipt IS NULL", (row,)).fetchone()
        if found is None or not receipt.first <= refused.sequence <= receipt.last:
            continue
        kept = (row, receipt.epoch, refused.sequence, kept_as(refused.reason, found[0]), found[0])
        db.execute("INSERT OR REPLACE INTO quarantine VALUES (?, ?, ?, ?, ?)", kept)
        db.execute("UPDATE entries SET receipt = 2 WHERE row = ?", (row,))
        marked += 1
    rows = (base + receipt.first - 1, base + receipt.last - 1)
    db.execute("UPDATE entries SET receipt = 1 WHERE row BETWEEN ? AND ? AND receipt IS NULL", rows)
    return marked + db.changes()


def to_reissue(db: apsw.Connection, epoch: bytes, limit: int) -> list[tuple[int, EntryName, bytes]]:
    """Quarantined entries, not of this epoch, that are to be issued again: (row, name, data), oldest first."""
    query = (
        f"SELECT row, epoch, sequence, data FROM quarantine WHERE {_CURABLE} AND epoch <> ? ORDER BY abs(row) LIMIT ?"
    )
    found = db.execute(query, (*CURABLE, epoch, limit))
    return [(row, EntryName(epoch=of, sequence=sequence), data) for row, of, sequence, data in found]


def stands_in(db: apsw.Connection, epoch: bytes) -> bool:
    """Whether something of this very epoch waits to be issued again."""
    query = f"SELECT 1 FROM quarantine WHERE {_CURABLE} AND epoch = ? LIMIT 1"
    return db.execute(query, (*CURABLE, epoch)).fetchone() is not None


def release(db: apsw.Connection, row: int) -> None:
    """Out of quarantine."""
    db.execute("DELETE FROM quarantine WHERE row = ?", (row,))
