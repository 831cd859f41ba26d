"""Is this journal whole? What to do when it is not stands in salvage.py.

Laws of this file:
- Looking comes before touching: the files are examined through a read-only connection, before SQLite may recover,
  checkpoint or migrate anything. Any exception counts as damage.
- Before the first gate opens the newest entries are verified, at least all behind the last anchor: chain, columns,
  the runs of what has a receipt, the projection. The rest is verified while the terminal runs (walk.py).
- Whoever finds damage while the terminal runs leaves a mark: the next start believes it and salvages.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import apsw
import msgspec

from drivers.store import agreement, schema, tables
from terminal.core import projection
from terminal.core.entries import BadEntry, Entry, Head, advance, check_link
from terminal.core.model import EntryName, Use

DATABASE, LOG, SHARED, HEAD = "journal.db", "journal.db-wal", "journal.db-shm", "journal.head"
SUSPECT = "suspect"  # a mark, with the reason in it: the next start salvages
DAMAGED = 86  # how the walk ends on damage: not Python's own 1 or 2, not a shell's, not a signal's
VERIFIED_AT_START = 5000  # entries; a fifth of a second of a desktop's core


def connect(path: Path, flags: int) -> apsw.Connection:
    """One connection; it waits two seconds for a lock at most."""
    db = apsw.Connection(str(path), flags=flags)
    db.set_busy_timeout(2000)
    return db


def examine(directory: Path, kept: tuple[EntryName, bytes] | None) -> str | None:
    """What is wrong with the journal in this directory, or None. `kept` is what the head file says."""
    path = directory / DATABASE
    if (directory / SUSPECT).exists():
        return (directory / SUSPECT).read_text(errors="replace") or "marked as suspect"
    if not path.exists() or path.stat().st_size == 0:
        return None if kept is None else f"the database is gone; the head file knows entry {kept[0].sequence}"
    try:
        db = connect(path, apsw.SQLITE_OPEN_READONLY)
        try:
            if int(db.pragma("user_version")) == 0:
                return None if kept is None else "the database is empty"
            return against_head(db, verify(db, _first_to_verify(db)), kept)
        finally:
            db.close()
    except Exception as error:  # a flipped bit can raise anything; whatever it is, it is damage
        return f"{type(error).__name__}: {error}"


def verify(db: apsw.Connection, start: Head) -> Head:
    """Verify everything behind `start`, and what is kept beside it; where it ends. Raises BadEntry, or anything."""
    end, uses, projected = start, dict[EntryName, Use](), tables.projected(db)
    for place, entry in steps(db, start):
        if place.row <= projected:
            _fold(uses, entry)
        end = msgspec.structs.replace(
            place,
            key_number=max(end.key_number, place.key_number),
            parameter_version=max(end.parameter_version, place.parameter_version),
        )
    if int(db.pragma("user_version")) == schema.VERSION:  # an older program's tables are about to be migrated
        _verify_beside(db, start, end, uses)
    return end


def _verify_beside(db: apsw.Connection, start: Head, end: Head, uses: dict[EntryName, Use]) -> None:
    for what, agrees in agreement.BESIDE.items():
        if not agrees(db, start.row):
            raise BadEntry(f"{what} does not agree with its rows")
    if not agreement.uses_agree(db, start.row, list(uses.values())):
        raise BadEntry("the uses do not agree with the entries")
    if tables.last_anchor(db).row > max(end.row, start.row):
        raise BadEntry("an anchor stands behind the newest entry")
    if not agreement.ledgers_agree(db):
        raise BadEntry("a ledger was changed")
    if not agreement.memory_agrees(db, end):
        raise BadEntry("what is remembered does not agree with the entries")


def _fold(uses: dict[EntryName, Use], entry: Entry) -> None:
    begun, change = projection.begins(entry), projection.changes(entry)
    if begun is not None:
        uses[entry.name] = begun
    if change is not None and change.of in uses:
        uses[change.of] = projection.apply(uses[change.of], change)


def steps(db: apsw.Connection, start: Head, limit: int = -1) -> Iterator[tuple[Head, Entry]]:
    """Verify every link behind `start`, one by one. Raises BadEntry or whatever damage raises."""
    last, digest, row = start.name, start.hash, start.row
    for stored, at_ms, receipt in tables.rows(db, "WHERE e.row > ? ORDER BY e.row LIMIT ?", start.row, limit):
        if stored.row != row + 1:
            raise BadEntry(f"rows {row + 1} to {stored.row - 1} are gone")
        entry = check_link(stored, last, digest)
        if at_ms != entry.at.utc_ms or receipt not in tables.RECEIPTS:
            raise BadEntry(f"row {stored.row} was changed beside its entry")
        last, digest, row = stored.name, stored.hash, stored.row
        place = Head(name=last, hash=digest, floor_ms=0, unsent=0, row=row - 1)
        yield advance(place, entry, digest), entry


def suspect(directory: Path, why: str) -> None:
    """Leave a mark for the next start; on a full disk that start has its own eyes."""
    with suppress(OSError):
        (directory / SUSPECT).write_text(why)
        sync(directory / SUSPECT)
        sync(directory)


def _first_to_verify(db: apsw.Connection) -> Head:
    """The last anchor, or further back: the newest entries are always verified."""
    far = tables.place_of(db, tables.newest_row(db) - VERIFIED_AT_START)
    return min(tables.last_anchor(db), far, key=lambda place: place.row)


def against_head(db: apsw.Connection, end: Head, kept: tuple[EntryName, bytes] | None) -> str | None:
    """What the head file knows better than a chain that ends at `end`, or None."""
    if kept is None:
        return "the head file cannot be read" if end.row else None
    name, digest = kept
    first = tables.first_row(db, name.epoch)
    row = 0 if first is None else first + name.sequence - 1
    known = next(tables.entries(db, "WHERE e.row = ?", row), None)  # an anchor alone proves no entry
    if known is None or known.hash != digest or row > end.row:
        return f"the head file knows entry {name.sequence}, the database ends before it"
    return None


def sync(path: Path) -> None:
    """Make a file, or a directory's names, durable."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
