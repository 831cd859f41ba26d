"""The journal's tables, and how an older file becomes a newer one.

Laws of this file:
- `user_version` is the schema's version; each migration goes from one to the next in one transaction: old or new,
  never neither. A file from a newer program is refused, not guessed at.
- `entries` is the truth, and the tail file behind it (tail_file.py); `uses`, `use_keys` and `ledgers` are a projection
  of it and can be rebuilt. They reach up to the row `memory` calls `projected`: the newest, but for older programs.
- A row's number is given by us: it grows across epochs, is never reused, and row = first_row + sequence - 1
  inside an epoch, so that no second index has to be written with every entry.
- `receipted` says in runs what `entries.receipt` says row by row: an index of what has no receipt would be a second
  page written with every entry, runs change with a receipt only.
"""

import apsw

# Runs of rows behind `after` with a receipt: what lies between two neighbours without one.
RECEIPTED_RUNS = """
    SELECT row + 1, next - 1 FROM (
        SELECT row, lead(row) OVER (ORDER BY row) AS next FROM (
            SELECT max({after}, min(row) - 1) AS row FROM entries
            UNION ALL SELECT row FROM entries WHERE receipt IS NULL AND row > {after}
            UNION ALL SELECT max(row) + 1 FROM entries
        )
    ) WHERE next > row + 1
"""

MIGRATIONS: tuple[str, ...] = (
    # 0 → 1
    """
    CREATE TABLE entries (
        row INTEGER PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        receipt INTEGER, -- NULL: not yet at head office; 1: receipted; 2: refused, see quarantine
        hash BLOB NOT NULL,
        data BLOB NOT NULL
    );
    CREATE INDEX unsent ON entries (row) WHERE receipt IS NULL;
    CREATE TABLE epochs (epoch BLOB PRIMARY KEY, first_row INTEGER NOT NULL UNIQUE);
    CREATE TABLE anchors ( -- entries up to which the chain was verified, or pruned
        row INTEGER PRIMARY KEY, epoch BLOB NOT NULL, sequence INTEGER NOT NULL, hash BLOB NOT NULL
    );
    CREATE TABLE memory (name TEXT PRIMARY KEY, value INTEGER NOT NULL); -- what outlives pruning
    CREATE TABLE uses (
        row INTEGER PRIMARY KEY, -- of its entry
        epoch BLOB NOT NULL, sequence INTEGER NOT NULL, lane TEXT NOT NULL, at_ms INTEGER NOT NULL,
        code_key BLOB NOT NULL, twin_key BLOB NOT NULL, medium BLOB NOT NULL, account BLOB,
        product TEXT NOT NULL, fare_type TEXT NOT NULL, amount_fen INTEGER NOT NULL,
        passage TEXT NOT NULL, state TEXT NOT NULL,
        persons INTEGER NOT NULL, passed INTEGER NOT NULL, annulled_persons INTEGER NOT NULL
    );
    CREATE INDEX open_uses ON uses (row) WHERE state = 'reserved';
    CREATE TABLE use_keys (
        key BLOB NOT NULL, at_ms INTEGER NOT NULL, row INTEGER NOT NULL, PRIMARY KEY (key, at_ms, row)
    ) WITHOUT ROWID;
    CREATE TABLE quarantine (
        row INTEGER PRIMARY KEY, epoch BLOB NOT NULL, sequence INTEGER NOT NULL,
        reason TEXT NOT NULL, data BLOB NOT NULL
    );
    """,
    # 1 → 2
    """
    CREATE TABLE ledgers ( -- what a party's sums, open trip and transfers come to
        party BLOB PRIMARY KEY, touched_ms INTEGER NOT NULL, data BLOB NOT NULL
    ) WITHOUT ROWID;
    """,
    # 2 → 3: the projection follows behind the entries
    """
    INSERT OR REPLACE INTO memory SELECT 'projected', ifnull(max(row), 0) FROM entries;
    """,
    # 3 → 4: a ledger reaches further back than its entries, so it carries its own proof. NULL: from an older program
    """
    ALTER TABLE ledgers ADD COLUMN digest BLOB;
    """,
    # 4 → 5: an entry is one page
    f"""
    CREATE TABLE receipted (first INTEGER PRIMARY KEY, last INTEGER NOT NULL); -- rows; between two runs one has none
    INSERT INTO receipted {RECEIPTED_RUNS.format(after=0)};
    DROP INDEX unsent;
    """,
    # 5 → 6: the newest entries stand in the tail file, where an older program would not find them
    "",
)
VERSION = len(MIGRATIONS)


def migrate(db: apsw.Connection) -> int:
    """Bring a file to the newest schema; returns the version it had. Raises apsw.Error or ValueError."""
    had = int(db.pragma("user_version"))
    if had > VERSION:
        raise ValueError(
            f"a newer program wrote this journal (schema {had}; this one knows up to {VERSION}): install that one again"
        )
    for version in range(had, VERSION):
        with db:
            db.execute(MIGRATIONS[version])
            db.execute(f"PRAGMA user_version={version + 1}")
    return had
