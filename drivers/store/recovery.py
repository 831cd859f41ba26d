"""Is this journal whole? And what to do when it is not.

Laws of this file:
- Looking comes before touching: the files are examined through a read-only connection, before SQLite may recover,
  checkpoint or migrate anything. Any exception counts as damage.
- Damage is copied before it is mended: `damaged-…/` holds database, write-ahead log and head file as they were found.
- The healthy prefix goes into a new file, which takes the old one's place whole. The head file still names what was
  lost until a new epoch has begun, so that a power cut in between is damage again, never a silent fresh start.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw

from drivers.store import tables
from drivers.store.schema import migrate
from terminal.core.entries import BadEntry, Head, check_link
from terminal.core.model import EntryName

DATABASE, LOG, SHARED, HEAD = "journal.db", "journal.db-wal", "journal.db-shm", "journal.head"
THOROUGH = "verify-all"  # a mark: the next start walks the whole chain


def connect(path: Path, flags: int) -> apsw.Connection:
    """One connection; it waits two seconds for a lock at most."""
    db = apsw.Connection(str(path), flags=flags)
    db.set_busy_timeout(2000)
    return db


def examine(directory: Path, kept: tuple[EntryName, bytes] | None) -> str | None:
    """What is wrong with the journal in this directory, or None. `kept` is what the head file says."""
    path = directory / DATABASE
    if not path.exists() or path.stat().st_size == 0:
        return None if kept is None else f"the database is gone; the head file knows entry {kept[0].sequence}"
    try:
        db = connect(path, apsw.SQLITE_OPEN_READONLY)
        try:
            if int(db.pragma("user_version")) == 0:
                return None if kept is None else "the database is empty"
            start = tables.base(db) if (directory / THOROUGH).exists() else tables.last_anchor(db)
            end = start
            for step in steps(db, start):
                end = step
            return against_head(db, end, kept)
        finally:
            db.close()
    except Exception as error:  # a flipped bit can raise anything; whatever it is, it is damage
        return f"{type(error).__name__}: {error}"


def steps(db: apsw.Connection, start: Head) -> Iterator[Head]:
    """Verify every link behind `start`, one by one. Raises BadEntry or whatever damage raises."""
    last, digest, row = start.name, start.hash, start.row
    for stored in tables.entries(db, "WHERE e.row > ? ORDER BY e.row", start.row):
        if stored.row != row + 1:
            raise BadEntry(f"rows {row + 1} to {stored.row - 1} are gone")
        check_link(stored, last, digest)
        last, digest, row = stored.name, stored.hash, stored.row
        yield Head(name=last, hash=digest, floor_ms=0, unsent=0, row=row)


def salvage(directory: Path, at_ms: int) -> Path:
    """Keep a copy, put the healthy prefix in the database's place; where the copy lies. Raises OSError, apsw.Error."""
    copy = _keep(directory, at_ms)
    fresh = directory / "journal.new"
    fresh.unlink(missing_ok=True)
    db = connect(fresh, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
    migrate(db)
    with db:
        _copy_healthy(copy / DATABASE, db)
    db.close()
    for name in (LOG, SHARED):  # an old log over a new database would be the next damage
        (directory / name).unlink(missing_ok=True)
    os.replace(fresh, directory / DATABASE)
    sync(directory)
    (directory / THOROUGH).unlink(missing_ok=True)
    return copy


def against_head(db: apsw.Connection, end: Head, kept: tuple[EntryName, bytes] | None) -> str | None:
    """What the head file knows better than a chain that ends at `end`, or None."""
    if kept is None:
        return "the head file cannot be read" if end.row else None
    name, digest = kept
    first = tables.first_row(db, name.epoch)
    if first is None or tables.hash_at(db, first + name.sequence - 1) != digest:
        return f"the head file knows entry {name.sequence}, the database ends before it"
    return None


def _keep(directory: Path, at_ms: int) -> Path:
    number = 0
    while (copy := directory / f"damaged-{at_ms}-{number}").exists():
        number += 1
    copy.mkdir()
    for name in (DATABASE, LOG, HEAD):
        if (directory / name).exists():
            shutil.copy2(directory / name, copy / name)
            sync(copy / name)
    sync(copy)
    sync(directory)
    return copy


def _copy_healthy(damaged: Path, into: apsw.Connection) -> None:
    """Entries that verify, from the oldest on, with their receipts; the projection is folded anew."""
    try:
        db = connect(damaged, apsw.SQLITE_OPEN_READONLY)
    except apsw.Error:
        return
    try:
        last = start = tables.base(db)
        into.executemany(
            "INSERT INTO epochs VALUES (?, ?)",
            db.execute("SELECT epoch, first_row FROM epochs WHERE first_row <= ?", (start.row,)).fetchall(),
        )
        into.executemany("INSERT INTO memory VALUES (?, ?)", db.execute("SELECT name, value FROM memory").fetchall())
        if start.row:
            tables.anchor(into, start)
        into.executemany(
            "INSERT INTO quarantine VALUES (?, ?, ?, ?, ?)", db.execute("SELECT * FROM quarantine").fetchall()
        )
        marked: Any = db.execute("SELECT row, receipt FROM entries WHERE receipt > 0").fetchall()
        receipts: dict[int, int] = dict(marked)
        for stored in tables.entries(db, "WHERE e.row > ? ORDER BY e.row", start.row):
            if stored.row != last.row + 1:
                return
            entry = check_link(stored, last.name, last.hash)
            tables.insert(into, stored.row, entry, stored.data, stored.hash, receipts.get(stored.row))
            last = Head(name=stored.name, hash=stored.hash, floor_ms=0, unsent=0, row=stored.row)
    except Exception:  # the end of the healthy prefix, whatever it looks like
        return
    finally:
        db.close()


def sync(path: Path) -> None:
    """Make a file, or a directory's names, durable."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
