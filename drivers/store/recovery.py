"""Is this journal whole? What to do when it is not stands in salvage.py.

Laws of this file:
- Looking comes before touching: the files are examined through a read-only connection, before SQLite may recover,
  checkpoint or migrate anything. Any exception counts as damage.
- Before the first gate opens the newest entries are verified, at least all behind the last anchor: chain, columns,
  the runs of what has a receipt, the projection; and what the tail file holds behind them. The rest is verified while
  the terminal runs (walk.py).
- Whoever finds damage while the terminal runs leaves a mark: the next start believes it and salvages.
"""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import apsw
import msgspec

from drivers.store import agreement, schema, tables, tail_file
from drivers.store.room import lay_out, lend
from terminal.core import projection
from terminal.core.entries import NOTHING, BadEntry, Entry, Head, StoredEntry, advance, check_link
from terminal.core.model import EntryName, Use

DATABASE, LOG, SHARED = "journal.db", "journal.db-wal", "journal.db-shm"
TAIL_FILE, HEAD = "journal.tail", "journal.head"
INDEX_BYTES = 1 << 15  # the least it is (sqlite.org/walformat.html, 2.2)
SUSPECT = "suspect"  # a mark, with the reason in it: the next start salvages
DAMAGED = 86  # how the walk ends on damage: not Python's own 1 or 2, not a shell's, not a signal's
VERIFIED_AT_START = 5000  # entries; a fifth of a second of a desktop's core


def connect(path: Path, flags: int) -> apsw.Connection:
    """One connection; it waits two seconds for a lock at most."""
    db = apsw.Connection(str(path), flags=flags)
    db.set_busy_timeout(2000)
    return db


def make_room_to_look(directory: Path) -> None:
    """Room for the log's index, without which SQLite reads nothing: a full disk is no damage, and the ballast lends it.

    Raises OSError when there is none.
    """
    if not (directory / DATABASE).exists():
        return
    with (directory / SHARED).open("ab", buffering=0) as index:
        if lay_out(index.fileno(), INDEX_BYTES) < INDEX_BYTES:
            lend(directory, INDEX_BYTES)
            if lay_out(index.fileno(), INDEX_BYTES) < INDEX_BYTES:
                raise OSError(errno.ENOSPC, "no room to read the journal")


def examine(directory: Path, kept: tuple[EntryName, bytes] | None) -> str | None:
    """What is wrong with the journal in this directory, or None. `kept` is what the head file says."""
    path = directory / DATABASE
    if (directory / SUSPECT).exists():
        return (directory / SUSPECT).read_text(errors="replace") or "marked as suspect"
    tail = tail_of(directory)
    if not path.exists() or path.stat().st_size == 0:
        if kept is not None:
            return f"the database is gone; the head file knows entry {kept[0].sequence}"
        return _against_tail(NOTHING, tail)
    try:
        db = connect(path, apsw.SQLITE_OPEN_READONLY)
        try:
            if int(db.pragma("user_version")) == 0:
                return _against_tail(NOTHING, tail) if kept is None else "the database is empty"
            return missing(db, *behind(verify(db, _first_to_verify(db)), tail), tail, kept)
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


def tail_of(directory: Path) -> bytes:
    """What the tail file says, nothing where there is none. Read it before the database: what leaves it is there."""
    path = directory / TAIL_FILE
    return path.read_bytes() if path.exists() else b""


def behind(end: Head, tail: bytes) -> tuple[Head, list[StoredEntry]]:
    """Where the chain ends with what a tail file holds behind the database's `end`, and those entries."""
    found = list(tail_file.behind(tail, end))
    return (found[-1].end if found else end), [one.stored for one in found]


@contextmanager
def reading(directory: Path) -> Iterator["Reading"]:
    """A journal's entries, read-only, whether its terminal runs or not. Raises apsw.Error."""
    tail = tail_of(directory)
    db = connect(directory / DATABASE, apsw.SQLITE_OPEN_READONLY)
    try:
        yield Reading(db, behind(tables.place_of(db, tables.newest_row(db)), tail)[1])
    finally:
        db.close()


class Reading(NamedTuple):
    """The database, and the newest entries behind its own."""

    db: apsw.Connection
    newest: Sequence[StoredEntry]

    def entries(self, after_row: int = 0) -> Iterator[StoredEntry]:
        """Stored entries behind a row, oldest first. Raises BadEntry or apsw.Error."""
        row = after_row
        for stored in tables.entries(self.db, "WHERE e.row > ? ORDER BY e.row", after_row):
            row = stored.row
            yield stored
        yield from (stored for stored in self.newest if stored.row > row)

    def at(self, row: int) -> StoredEntry | None:
        """The entry in this row, or None."""
        stands = tables.entries(self.db, "WHERE e.row = ?", row)
        return next(stands, None) or next((one for one in self.newest if one.row == row), None)

    def behind(self, row: int) -> list[StoredEntry]:
        """The newest entries from a row on, as far as the database does not hold them by now."""
        first = max(row, tables.newest_row(self.db) + 1)
        return [one for one in self.newest if one.row >= first]

    def newest_row(self) -> int:
        """The newest entry's row; 0 where there is none."""
        return self.newest[-1].row if self.newest else tables.newest_row(self.db)


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


def missing(
    db: apsw.Connection, end: Head, newest: Sequence[StoredEntry], tail: bytes, kept: tuple[EntryName, bytes] | None
) -> str | None:
    """What head file or tail file know better than a chain that ends at `end`, its `newest` in the tail; or None."""
    return against_head(db, end, newest, kept) or _against_tail(end, tail)


def against_head(
    db: apsw.Connection, end: Head, newest: Sequence[StoredEntry], kept: tuple[EntryName, bytes] | None
) -> str | None:
    """What the head file knows better, or None."""
    if kept is None:
        return "the head file cannot be read" if end.row else None
    name, digest = kept
    first = tables.first_row(db, name.epoch)
    row = 0 if first is None else first + name.sequence - 1
    known = Reading(db, newest).at(row)  # an anchor alone proves no entry
    if known is None or known.hash != digest or row > end.row:
        return f"the head file knows entry {name.sequence}, database and tail file end before it"
    return None


def _against_tail(end: Head, tail: bytes) -> str | None:
    row = tail_file.newest_row(tail)
    return f"the tail file knows row {row}, the database ends before it" if row > end.row else None


def sync(path: Path) -> None:
    """Make a file, or a directory's names, durable."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
