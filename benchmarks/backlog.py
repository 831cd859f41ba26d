"""A journal that head office has not heard of for weeks: as many paid rides as one likes, quickly.

Laws of this file:
- What lies there afterwards is what the product would have written: chain, projection, head file. Only the flushes are
  left out while it is made.
"""

import asyncio
import time
from pathlib import Path

import apsw
import msgspec

from benchmarks.journal import a_draft
from drivers.clock import SystemClock
from drivers.store import tables
from drivers.store.head_file import HeadFile
from drivers.store.recovery import DATABASE, HEAD
from drivers.store.sqlite import SqliteStore
from terminal.core.entries import Head, advance, link
from terminal.core.model import Instant, TimeSource

DAYS_MS = 20 * 86_400_000


def fill(directory: Path, terminal: str, count: int) -> None:
    """Write `count` rides of the last twenty days into a new journal."""
    now_ms = time.time_ns() // 1_000_000
    asyncio.run(_begin(directory, terminal, now_ms - DAYS_MS))
    db = apsw.Connection(str(directory / DATABASE))
    db.pragma("synchronous", "OFF")
    db.pragma("cache_size", -200_000)  # KiB
    head = tables.head(db)
    with db:
        for number in range(count):
            head = _ride(db, head, terminal, now_ms - DAYS_MS + number * DAYS_MS // count)
        tables.projected_up_to(db, head.row)
        tables.anchor(db, head)
    db.pragma("synchronous", "FULL")
    db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    db.close()
    file = HeadFile(directory / HEAD)
    file.read()
    file.write(head.name, head.hash, stored=True)
    file.close()


async def _begin(directory: Path, terminal: str, at_ms: int) -> None:
    store = SqliteStore(directory, SystemClock())
    store.open(terminal, Instant(utc_ms=at_ms, uncertainty_ms=5, source=TimeSource.SYSTEM, monotonic_ns=0))
    await store.close()


def _ride(db: apsw.Connection, head: Head, terminal: str, at_ms: int) -> Head:
    draft = a_draft()
    draft = msgspec.structs.replace(draft, at=msgspec.structs.replace(draft.at, utc_ms=at_ms))
    entry, data, digest = link(draft, terminal, head.name, head.hash)
    after = advance(head, entry, digest)
    tables.insert(db, after.row, entry, data, digest)
    tables.project(db, after.row, entry)
    return after
