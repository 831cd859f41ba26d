"""Mending a damaged journal: keep it as it was found, go on with what is healthy.

Laws of this file:
- Damage is copied before it is mended: `damaged-…/` holds database, write-ahead log, tail file and head file as they
  were found. The newest few copies are kept.
- The healthy prefix goes into a new file, which takes the old one's place whole. Until a new epoch has begun the marks
  stay, so that a power cut in between is damage again, mended from the first copy, never a silent fresh start.
- An entry behind the damage that is whole by itself is not thrown away: it waits in quarantine to be issued again.
  Rows behind the damage are given anew; what is in quarantine keeps no row that another entry may get.
- Time goes on from the newest entry that is whole, behind the damage too: damage revives no code.
- Nothing that cannot be read stands in the way of what can: of a row that is ruined in one file the other's counts.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from heapq import merge
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import apsw
import msgspec

from drivers.store import receipts, tables, tail_file
from drivers.store.recovery import (
    DATABASE,
    HEAD,
    LOG,
    SHARED,
    SUSPECT,
    TAIL_FILE,
    connect,
    suspect,
    sync,
    tail_of,
)
from drivers.store.schema import migrate
from terminal.core.entries import (
    NOTHING,
    BadEntry,
    Entry,
    Head,
    StoredEntry,
    advance,
    check_link,
    decode,
    entry_hash,
)
from terminal.core.reissuing import BEHIND_DAMAGE

UNFINISHED = "unfinished"  # a mark in a copy: no new epoch has begun yet behind its healthy prefix
COPIES = 5

T = TypeVar("T")


class Row(NamedTuple):
    """A stored row, as far as it can be read."""

    row: int
    data: bytes
    digest: bytes
    receipt: int | None


def salvage(directory: Path, at_ms: int, why: str) -> int:
    """Keep a copy, put the healthy prefix in the database's place. Raises OSError, apsw.Error.

    Returns the floor of time, Unix milliseconds: of every entry that is whole by itself, behind the damage too.
    """
    suspect(directory, why)
    copy = _unfinished(directory) or _keep(directory, at_ms)
    fresh = directory / "journal.new"
    fresh.unlink(missing_ok=True)
    db = connect(fresh, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
    migrate(db)
    with db:
        floor_ms = _copy_healthy(copy, db)
    db.close()
    for name in (LOG, SHARED, TAIL_FILE):  # an old log over a new database would be the next damage
        (directory / name).unlink(missing_ok=True)
    os.replace(fresh, directory / DATABASE)
    sync(directory)
    return floor_ms


def finish(directory: Path) -> None:
    """A new epoch has begun and its alarm is written: the damage is over."""
    while (copy := _unfinished(directory)) is not None:  # first: one that was left would be taken for the next damage
        (copy / UNFINISHED).unlink()
        sync(copy)
    (directory / SUSPECT).unlink(missing_ok=True)
    sync(directory)
    for old in sorted(directory.glob("damaged-*"), key=lambda path: path.stat().st_mtime_ns)[:-COPIES]:
        shutil.rmtree(old, ignore_errors=True)


def _keep(directory: Path, at_ms: int) -> Path:
    number = 0
    while (copy := directory / f"damaged-{at_ms}-{number}").exists():
        number += 1
    copy.mkdir()
    for name in (DATABASE, LOG, TAIL_FILE, HEAD):
        if (directory / name).exists():
            _copy(directory / name, copy / name)
            sync(copy / name)
    (copy / UNFINISHED).touch()
    sync(copy)
    sync(directory)
    return copy


def _unfinished(directory: Path) -> Path | None:
    """A copy whose mending was cut short: what was found then is what counts, not what is left of it."""
    return next((marked.parent for marked in sorted(directory.glob(f"damaged-*/{UNFINISHED}"))), None)


def _copy(source: Path, target: Path) -> None:
    """A second name takes no room, and the first one gets another file. Only the head file goes on as it is."""
    try:
        if source.name == HEAD:
            raise OSError
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copy2(source, target)


def _copy_healthy(copy: Path, into: apsw.Connection) -> int:
    """Entries that verify, from the oldest on, with their receipts; the projection is folded anew. The time's floor."""
    try:
        db = connect(copy / DATABASE, apsw.SQLITE_OPEN_READONLY)
    except apsw.Error:  # it is gone; the tail file may be there
        db = apsw.Connection(":memory:")
    try:
        last = _copy_beside(db, into)
        known = {epoch for (epoch,) in into.execute("SELECT epoch FROM epochs").fetchall()}
        beyond = NOTHING
        for row in merge(_rows(db, last.row), _tail_rows(copy, db, last.row), key=attrgetter("row")):
            entry = _follower(row, last)
            if entry is None:
                beyond = _set_aside(into, row, beyond)
                continue
            if entry.name.epoch not in known and entry.name.sequence > 1:  # its beginning was pruned
                into.execute("INSERT INTO epochs VALUES (?, ?)", (entry.name.epoch, row.row - entry.name.sequence + 1))
            known.add(entry.name.epoch)
            tables.insert(into, row.row, entry, row.data, row.digest, row.receipt)
            tables.project(into, row.row, entry)
            last = advance(last, entry, row.digest)
        receipts.find(into)
        tables.projected_up_to(into, last.row)
        tables.remember_at_least(into, last)
        tables.remember_at_least(into, msgspec.structs.replace(beyond, lowered_row=0))
        # A lowering that stood behind the damage is gone: remembered, it would hide the floor of all before it.
        lowered = (last.lowered_row, last.row)
        into.execute("UPDATE memory SET value = ? WHERE name = 'lowered_row' AND value > ?", lowered)
        return max(last.floor_ms, beyond.floor_ms)
    finally:
        db.close()


def _copy_beside(db: apsw.Connection, into: apsw.Connection) -> Head:
    """What stands beside the entries, as far as it can be read; where the chain begins."""
    start = _try(lambda: tables.base(db), NOTHING)
    if start.row:
        tables.anchor(into, start)
    into.executemany("INSERT OR REPLACE INTO memory VALUES (?, ?)", _all(db, "SELECT * FROM memory"))
    for kept in _all(db, "SELECT epoch, sequence, reason, data FROM quarantine ORDER BY row"):
        receipts.set_aside(into, *kept)
    epochs = _all(db, "SELECT epoch, first_row FROM epochs WHERE first_row <= ?", start.row)
    into.executemany("INSERT OR IGNORE INTO epochs VALUES (?, ?)", epochs)
    return start


def _all(db: apsw.Connection, query: str, *values: object) -> list[Any]:
    """What a query finds, or nothing where it cannot be answered."""
    return _try(lambda: db.execute(query, values).fetchall(), [])


def _rows(db: apsw.Connection, after: int) -> Iterator[Row]:
    """Every row that can be read, one by one: a page that cannot costs only its own."""
    newest = _try(lambda: tables.newest_row(db), 0)
    for number in range(after + 1, newest + 1):
        found = _all(db, "SELECT data, hash, receipt FROM entries WHERE row = ?", number)
        match found:
            case [(bytes(data), bytes(digest), int() | None as receipt)]:
                yield Row(number, data, digest, receipt if receipt in tables.RECEIPTS else None)


def _tail_rows(copy: Path, db: apsw.Connection, after: int) -> Iterator[Row]:
    """What the tail file holds and the database does not: its newest entries, and what cannot be read of the others."""
    query = "SELECT data = ?, receipt FROM entries WHERE row = ? AND hash = ?"
    for stored in sorted(tail_file.strewn(_try(lambda: tail_of(copy), b"")), key=attrgetter("row")):
        if stored.row <= after:  # what was pruned is no loss
            continue
        stands, receipt = next(iter(_all(db, query, stored.data, stored.row, stored.hash)), (False, None))
        if not stands:
            yield Row(stored.row, stored.data, stored.hash, receipt if receipt in tables.RECEIPTS else None)


def _follower(row: Row, last: Head) -> Entry | None:
    """The row's entry, if it stands right behind the last one."""
    if row.row != last.row + 1:
        return None
    try:
        name = decode(row.data).name
        return check_link(StoredEntry(row=row.row, name=name, data=row.data, hash=row.digest), last.name, last.hash)
    except BadEntry:
        return None


def _set_aside(into: apsw.Connection, row: Row, beyond: Head) -> Head:
    """An entry behind the damage, whole by itself and without a receipt, waits to be issued again. What follows it."""
    entry = _try(lambda: decode(row.data), None) if entry_hash(row.data) == row.digest else None
    if entry is None:
        return beyond
    if row.receipt is None:
        receipts.set_aside(into, entry.name.epoch, entry.name.sequence, BEHIND_DAMAGE, row.data)
    return advance(beyond, entry, row.digest)


def _try(read: Callable[[], T], otherwise: T) -> T:
    try:
        return read()
    except Exception:  # a flipped bit can raise anything
        return otherwise
