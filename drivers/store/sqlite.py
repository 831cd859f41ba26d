"""The journal in SQLite: WAL, synchronous=FULL, one writer.

Laws of this file:
- One thread owns every write and every checkpoint, and commits whatever is waiting: one flush for all of it.
- `append` returns after the commit returned. A full disk writes nothing and says so; any other failure of the writer
  is the end of this process: after a failed flush nothing in the page cache can be trusted.
- Sequence and hash are given at commit time, so that a rolled-back commit leaves no gap.
- Readers open read-only. WAL and FULL are read back and refused at start if not so. No setting turns a guard off.
- At start the tail since the last anchor is verified, and the head file must not be ahead: else it is damage, a copy
  is kept, the healthy prefix stays, and a new epoch begins.
"""

import asyncio
import fcntl
import os
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

import apsw

from drivers.store.head_file import HeadFile
from drivers.store.schema import migrate
from terminal.core import projection
from terminal.core.entries import (
    NO_HASH,
    Alarm,
    BadEntry,
    Draft,
    Entry,
    EpochBegan,
    Head,
    Receipt,
    StoredEntry,
    check_link,
    link,
)
from terminal.core.model import EntryName, Instant, PassageMode, Ref, Use, UseState, Value
from terminal.core.projection import UseChange
from terminal.ports import Clock, Store, StoreBroken, StoreFull

GROUP = 512  # drafts in one commit at most
BALLAST_BYTES = 1 << 20
CHECKPOINT_COMMITS = 200
FLUSH_S = 1.0
USE_COLUMNS = (
    "epoch, sequence, lane, at_ms, code_key, twin_key, medium, account, product, fare_type, amount_fen, passage, "
    "state, persons, passed, annulled_persons"
)


class Settings(Value, frozen=True):
    """`[store]` of a site's configuration."""

    path: str = ""  # a directory; empty: the terminal's state_dir


def open(settings: Settings, clock: Clock) -> Store:
    """A store in the directory; nothing is opened yet."""
    return SqliteStore(Path(settings.path))


class _Job(NamedTuple):
    """One thing for the writer: `work` runs inside the transaction, `done` hears of it on the loop."""

    work: Callable[[], Any]
    future: "asyncio.Future[Any]"


class SqliteStore:
    """The Store port over one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._head = Head(name=EntryName(epoch=bytes(8), sequence=0), hash=NO_HASH, floor_ms=0, unsent=0, row=0)
        self._draft_head = self._head
        self._terminal = ""
        self._thread: threading.Thread | None = None
        self._broken: str | None = None
        self._commits = 0

    # ----------------------------------------------------------------------- opening

    def open(self, terminal: str, at: Instant) -> Head:
        """See the port."""
        self._terminal = terminal
        self.directory.mkdir(parents=True, exist_ok=True)
        self._lock()
        try:
            self._head_file = HeadFile(self.directory / "journal.head")
            self._db = self._connect(apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
            self._require("journal_mode", "wal", "WAL")
            self._require("synchronous", 2, "FULL")
            self._db.pragma("wal_autocheckpoint", 0)
            migrate(self._db)
            self._keep_ballast()
            self._recover(at)
        except (apsw.Error, OSError, ValueError) as error:
            raise StoreBroken(f"{self.directory}: {error}") from error
        self._reader = self._connect(apsw.SQLITE_OPEN_READONLY)
        self._thread = threading.Thread(target=self._write_for_ever, name="journal", daemon=True)
        self._thread.start()
        return self._head

    def _lock(self) -> None:
        self._lock_fd = os.open(self.directory / "journal.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock_fd)
            raise StoreBroken(f"{self.directory} is in use by another terminal") from error

    def _connect(self, flags: int) -> apsw.Connection:
        db = apsw.Connection(str(self.directory / "journal.db"), flags=flags)
        db.set_busy_timeout(2000)
        return db

    def _require(self, pragma: str, value: object, wanted: str) -> None:
        self._db.pragma(pragma, wanted)
        if self._db.pragma(pragma) != value:
            raise ValueError(f"SQLite does not keep {pragma}={wanted} here")

    def _keep_ballast(self) -> None:
        """A file to give back when the disk is full, so that receipts can still be recorded."""
        ballast = self.directory / "ballast"
        try:
            with ballast.open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, BALLAST_BYTES)
        except OSError:
            ballast.unlink(missing_ok=True)

    # ----------------------------------------------------------------------- recovering

    def _recover(self, at: Instant) -> None:
        kept = self._head_file.read()
        anchor = self._db.execute("SELECT epoch, sequence, hash, row FROM anchors ORDER BY row DESC LIMIT 1").fetchone()
        damage = self._verify_tail(anchor)
        if damage is None and kept is not None and not self._holds(*kept):
            damage = f"the head file knows entry {kept[0].sequence}, the database does not"
        self._load_head()
        if damage is not None:
            self._keep_copy(at)
            self._begin(f"damage: {damage}", at, alarm="journal_damage")
        elif self._head.name.sequence == 0:
            self._begin("first start", at)
        self._anchor()

    def _verify_tail(self, anchor: tuple[Any, ...] | None) -> str | None:
        """Walk from the anchor to the end; what is wrong, or None. Damaged rows are set aside."""
        last, digest, row = (EntryName(epoch=bytes(8), sequence=0), NO_HASH, 0)
        if anchor is not None:
            last, digest, row = EntryName(epoch=anchor[0], sequence=anchor[1]), anchor[2], anchor[3]
        try:
            for stored in self._rows("SELECT row, epoch, sequence, data, hash FROM entries WHERE row > ? ORDER BY row", row):
                check_link(stored, last, digest)
                last, digest, row = stored.name, stored.hash, stored.row
        except (BadEntry, apsw.Error, TypeError, ValueError) as error:
            self._set_aside(row)
            return str(error)
        return None

    def _set_aside(self, healthy_row: int) -> None:
        with self._db:
            self._db.execute(
                "INSERT OR REPLACE INTO quarantine SELECT CAST(epoch AS BLOB), row, 'damage', CAST(data AS BLOB) "
                "FROM entries WHERE row > ?",
                (healthy_row,),
            )
            self._db.execute("DELETE FROM uses WHERE row > ?", (healthy_row,))
            self._db.execute("DELETE FROM use_keys WHERE row > ?", (healthy_row,))
            self._db.execute("DELETE FROM entries WHERE row > ?", (healthy_row,))

    def _holds(self, name: EntryName, digest: bytes) -> bool:
        found = self._db.execute(
            "SELECT hash FROM entries WHERE epoch = ? AND sequence = ? "
            "UNION ALL SELECT hash FROM anchors WHERE epoch = ? AND sequence = ?",
            (name.epoch, name.sequence, name.epoch, name.sequence),
        ).fetchone()
        return found is not None and found[0] == digest

    def _load_head(self) -> None:
        last = self._db.execute("SELECT epoch, sequence, hash, row FROM entries ORDER BY row DESC LIMIT 1").fetchone()
        if last is None:
            last = self._db.execute("SELECT epoch, sequence, hash, row FROM anchors ORDER BY row DESC LIMIT 1").fetchone()
        if last is None:
            return
        floor = self._db.execute("SELECT max(at_ms) FROM (SELECT at_ms FROM entries ORDER BY row DESC LIMIT 1000)").fetchone()
        unsent = self._db.execute("SELECT count(*) FROM entries WHERE receipt IS NULL").fetchone()
        self._head = self._draft_head = Head(
            name=EntryName(epoch=last[0], sequence=last[1]),
            hash=last[2],
            floor_ms=(floor or (0,))[0] or 0,
            unsent=(unsent or (0,))[0],
            row=last[3],
        )

    def _keep_copy(self, at: Instant) -> None:
        copy = self.directory / f"damaged-{at.utc_ms}"
        copy.mkdir(exist_ok=True)
        for name in ("journal.db", "journal.db-wal", "journal.head"):
            if (self.directory / name).exists():
                shutil.copy2(self.directory / name, copy / name)

    def _begin(self, why: str, at: Instant, alarm: str | None = None) -> None:
        """Begin an epoch in a transaction of its own."""
        with self._db:
            self._new_epoch(why, at, alarm)
        self._adopt()

    def _new_epoch(self, why: str, at: Instant, alarm: str | None = None) -> None:
        before = self._draft_head
        previous = before.name if before.name.sequence else None
        name = EntryName(epoch=secrets.token_bytes(8), sequence=0)
        self._draft_head = Head(name=name, hash=NO_HASH, floor_ms=before.floor_ms, unsent=before.unsent, row=before.row)
        fact = EpochBegan(previous=previous, previous_hash=before.hash if previous else NO_HASH, why=why)
        self._insert(Draft(fact=fact, at=at))
        if alarm is not None:
            self._insert(Draft(fact=Alarm(kind=alarm, detail=why), at=at))

    # ----------------------------------------------------------------------- the port

    def head(self) -> Head:
        """See the port."""
        return self._head

    async def append(self, draft: Draft) -> Entry:
        """See the port."""
        entry: Entry = await self._do(lambda: self._insert(draft))
        return entry

    async def settle(self, receipt: Receipt) -> int:
        """See the port."""
        count: int = await self._do(lambda: self._mark(receipt))
        return count

    async def begin_epoch(self, why: str, at: Instant) -> Head:
        """See the port."""
        await self._do(lambda: self._new_epoch(why, at, "new_epoch"))
        return self._head

    def uses(self, keys: Sequence[Ref], since_ms: int) -> Sequence[Use]:
        """See the port."""
        marks = ",".join("?" * len(keys))
        query = (
            f"SELECT DISTINCT {USE_COLUMNS} FROM uses WHERE at_ms >= ? "  # only question marks are put in
            f"AND row IN (SELECT row FROM use_keys WHERE key IN ({marks}))"
        )
        return [_use(row) for row in self._reader.execute(query, (since_ms, *keys))]

    def open_uses(self) -> Sequence[Use]:
        """See the port."""
        query = f"SELECT {USE_COLUMNS} FROM uses WHERE state = 'reserved' ORDER BY row"
        return [_use(row) for row in self._reader.execute(query)]

    def unsent(self, from_row: int, limit: int, max_bytes: int) -> Sequence[StoredEntry]:
        """See the port."""
        run: list[StoredEntry] = []
        size = 0
        query = "SELECT row, epoch, sequence, data, hash FROM entries WHERE receipt IS NULL AND row >= ? ORDER BY row LIMIT ?"
        for stored in self._rows(query, from_row, limit, db=self._reader):
            size += len(stored.data)
            follows = not run or (run[-1].name.epoch, run[-1].name.sequence + 1) == (stored.name.epoch, stored.name.sequence)
            if not follows or (run and size > max_bytes):
                break
            run.append(stored)
        return run

    async def close(self) -> None:
        """See the port."""
        if self._thread is None:
            return
        self._jobs.put(None)
        while self._thread.is_alive():
            await asyncio.sleep(0.005)
        self._thread = None
        self._reader.close()
        os.close(self._lock_fd)

    # ----------------------------------------------------------------------- the writer's thread

    def _do(self, work: Callable[[], Any]) -> "asyncio.Future[Any]":
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._broken is not None:
            future.set_exception(StoreBroken(self._broken))
        else:
            self._jobs.put(_Job(work, future))
        return future

    def _write_for_ever(self) -> None:
        while self._broken is None:
            try:
                first = self._jobs.get(timeout=FLUSH_S)
            except Empty:
                self._head_file.flush()
                continue
            jobs = [first]
            while len(jobs) < GROUP and jobs[-1] is not None and not self._jobs.empty():
                jobs.append(self._jobs.get())
            self._commit([job for job in jobs if job is not None])
            self._checkpoint_when_due()
            if jobs[-1] is None:
                break
        self._finish()

    def _commit(self, jobs: list[_Job]) -> None:
        """One transaction, one flush, then everybody hears."""
        if not jobs:
            return
        results: list[Any] = []
        try:
            self._db.execute("BEGIN IMMEDIATE")
            results = [job.work() for job in jobs]
            self._db.execute("COMMIT")
            self._adopt()
            failure: Exception | None = None
        except apsw.FullError:
            failure = self._roll_back(StoreFull("the journal's disk is full"))
        except Exception as error:  # a failed flush, a damaged page, a bug: all end the process, loudly
            self._broken = f"{type(error).__name__}: {error}"
            failure = StoreBroken(self._broken)
        self._tell(jobs, results, failure)

    def _checkpoint_when_due(self) -> None:
        """Move the write-ahead log into the database once it is long, after everybody has heard."""
        self._commits += 1
        if self._broken is not None or self._commits % CHECKPOINT_COMMITS:
            return
        try:
            self._anchor()
            self._head_file.flush()
            self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.FullError:
            return  # tried again later; nothing that was promised depends on it
        except (apsw.Error, OSError) as error:
            self._broken = str(error)

    def _adopt(self) -> None:
        self._head = self._draft_head
        self._head_file.write(self._head.name, self._head.hash)

    def _roll_back(self, failure: StoreFull) -> Exception:
        self._draft_head = self._head
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except apsw.Error as error:
            self._broken = str(error)
            return StoreBroken(self._broken)
        (self.directory / "ballast").unlink(missing_ok=True)  # room for receipts; restored at the next start
        return failure

    @staticmethod
    def _tell(jobs: list[_Job], results: list[Any], failure: Exception | None) -> None:
        def tell() -> None:
            for number, job in enumerate(jobs):
                if job.future.done():
                    continue
                if failure is None:
                    job.future.set_result(results[number])
                else:
                    job.future.set_exception(failure)

        try:
            jobs[0].future.get_loop().call_soon_threadsafe(tell)
        except RuntimeError:  # the loop is gone: nobody is left to hear
            return

    def _finish(self) -> None:
        """At stop: checkpoint, anchor, flush. A broken journal is left exactly as it is."""
        if self._broken is None:
            try:
                self._anchor()
                self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
                self._head_file.close()
                self._db.close()
            except (apsw.Error, OSError) as error:
                self._broken = str(error)

    # ----------------------------------------------------------------------- inside a transaction

    def _insert(self, draft: Draft) -> Entry:
        before = self._draft_head
        entry, data, digest = link(draft, self._terminal, before.name, before.hash)
        self._db.execute(
            "INSERT INTO entries (epoch, sequence, at_ms, data, hash) VALUES (?, ?, ?, ?, ?)",
            (entry.name.epoch, entry.name.sequence, entry.at.utc_ms, data, digest),
        )
        row = self._db.last_insert_rowid()
        begun, change = projection.begins(entry), projection.changes(entry)
        if begun is not None:
            self._insert_use(row, begun)
        if change is not None:
            self._change_use(change)
        self._draft_head = Head(
            name=entry.name,
            hash=digest,
            floor_ms=max(before.floor_ms, entry.at.utc_ms),
            unsent=before.unsent + 1,
            row=row,
        )
        return entry

    def _insert_use(self, row: int, use: Use) -> None:
        marks = ",".join("?" * 17)
        self._db.execute(f"INSERT INTO uses (row, {USE_COLUMNS}) VALUES ({marks})", (row, *_columns(use)))
        keys = {use.code_key, use.twin_key, use.medium, *((use.account,) if use.account is not None else ())}
        self._db.executemany("INSERT OR IGNORE INTO use_keys VALUES (?, ?)", [(key, row) for key in keys])

    def _change_use(self, change: UseChange) -> None:
        found = self._db.execute(
            f"SELECT {USE_COLUMNS} FROM uses WHERE row = (SELECT row FROM entries WHERE epoch = ? AND sequence = ?)",
            (change.of.epoch, change.of.sequence),
        ).fetchone()
        if found is None:
            return
        use = projection.apply(_use(found), change)
        self._db.execute(
            "UPDATE uses SET state = ?, passed = ?, annulled_persons = ? WHERE epoch = ? AND sequence = ?",
            (use.state.value, use.passed, use.annulled_persons, change.of.epoch, change.of.sequence),
        )

    def _mark(self, receipt: Receipt) -> int:
        for refused in receipt.refused:
            self._db.execute(
                "INSERT OR REPLACE INTO quarantine SELECT epoch, sequence, ?, data FROM entries "
                "WHERE epoch = ? AND sequence = ? AND receipt IS NULL",
                (refused.reason, receipt.epoch, refused.sequence),
            )
            self._db.execute(
                "UPDATE entries SET receipt = 2 WHERE epoch = ? AND sequence = ? AND receipt IS NULL",
                (receipt.epoch, refused.sequence),
            )
        self._db.execute(
            "UPDATE entries SET receipt = 1 WHERE epoch = ? AND sequence BETWEEN ? AND ? AND receipt IS NULL",
            (receipt.epoch, receipt.first, receipt.last),
        )
        marked = self._db.changes() + len(receipt.refused)
        before = self._draft_head
        self._draft_head = Head(
            name=before.name, hash=before.hash, floor_ms=before.floor_ms, unsent=before.unsent - marked, row=before.row
        )
        return marked

    def _anchor(self) -> None:
        """Remember how far the chain has been verified."""
        head = self._head
        with self._db:
            self._db.execute(
                "INSERT OR REPLACE INTO anchors (epoch, sequence, hash, row) VALUES (?, ?, ?, ?)",
                (head.name.epoch, head.name.sequence, head.hash, head.row),
            )

    def _rows(self, query: str, *values: object, db: apsw.Connection | None = None) -> Iterator[StoredEntry]:
        for row, epoch, sequence, data, digest in (db or self._db).execute(query, values):
            if not (isinstance(data, bytes) and isinstance(digest, bytes) and isinstance(epoch, bytes)):
                raise BadEntry(f"row {row} changed its type")
            yield StoredEntry(row=row, name=EntryName(epoch=epoch, sequence=sequence), data=data, hash=digest)


def _columns(use: Use) -> tuple[Any, ...]:
    assert use.name is not None
    return (
        use.name.epoch,
        use.name.sequence,
        use.lane,
        use.at_ms,
        use.code_key,
        use.twin_key,
        use.medium,
        use.account,
        use.product,
        use.fare_type,
        use.amount_fen,
        use.passage.value,
        use.state.value,
        use.persons,
        use.passed,
        use.annulled_persons,
    )


def _use(row: Sequence[Any]) -> Use:
    return Use(
        name=EntryName(epoch=row[0], sequence=row[1]),
        lane=row[2],
        at_ms=row[3],
        code_key=Ref(row[4]),
        twin_key=Ref(row[5]),
        medium=Ref(row[6]),
        account=None if row[7] is None else Ref(row[7]),
        product=row[8],
        fare_type=row[9],
        amount_fen=row[10],
        passage=PassageMode(row[11]),
        state=UseState(row[12]),
        persons=row[13],
        passed=row[14],
        annulled_persons=row[15],
    )
