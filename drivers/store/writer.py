"""The one connection that writes: it commits whatever is waiting, with one flush for all of it.

Laws of this file:
- One at a time: the loop, for what somebody at a gate waits for, or the journal's own thread, for everything else
  (desk.py). Whoever does holds the lock.
- A waiter hears after COMMIT returned, never before. Sequence and hash are given inside the transaction, so that a
  rolled-back commit leaves no gap.
- A full disk writes nothing and is told as StoreFull. The ballast is then given back, for receipts and pruning only:
  new entries stay refused until it can be laid again, or pruning has made as much room inside the database.
- While there is no ballast the log is emptied after every commit, so that what room it has is used again; once
  something did not fit, that room goes back to the disk.
- Anything else unexpected — a failed flush, a damaged page, a bug — is the end: every waiter hears StoreBroken, now and
  from then on, and the files are left exactly as they are; a damaged page leaves a mark for the next start.
- An entry goes into the tail file, one write and one flush (tail_file.py). The tables follow for many at once, on the
  thread; at once where an entry changes what stands there, too many wait, or the tail file has no room.
- Whoever works on the tables finds there what waited, in the same transaction; on a full disk a piece of it.
- Checkpoints happen on the thread only, when nobody waits or when the log has grown too long.
"""

import asyncio
import logging
import secrets
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import msgspec

from drivers.store import receipts, tables
from drivers.store.desk import Desk, Job, Outcome, call
from drivers.store.head_file import HeadFile
from drivers.store.recovery import TAIL_FILE, suspect
from drivers.store.room import Room
from drivers.store.tail import LONG_TAIL, TAIL, Projector
from drivers.store.tail_file import TailFile
from terminal.core.entries import Alarm, Draft, Entry, Receipt, advance, begin_epoch, link
from terminal.core.model import Instant
from terminal.core.reissuing import reissue
from terminal.ports import Clock, StoreBroken, StoreFull

REISSUE_AT_ONCE = 100
PRUNE_AT_ONCE = 500
WHEN_TIGHT = 20  # entries pruned or marked at once: a commit that fits into the ballast's place
# Entries, and commits without one, after which the log goes into the database: at the next quiet moment; and without
# one: what they add to the database, with what the tail file holds, has to fit into the ballast's place.
CHECKPOINT, LATEST_CHECKPOINT = 200, 500
FLUSH_NS = 1_000_000_000
FULL = "the journal's disk is full"

log = logging.getLogger(__name__)


class Writer:
    """Owns the writing connection from `start` on."""

    def __init__(self, directory: Path, db: apsw.Connection, head_file: HeadFile, terminal: str, clock: Clock) -> None:
        self.head = self._stored = tables.head(db)  # the newest durable entry; replaced whole after each commit
        self.broken: str | None = None
        self.projector = Projector(db)
        self._tail_file = TailFile(directory / TAIL_FILE)
        for found in self._tail_file.recover(self.head):
            self.projector.written(found.end.row, found.entry, found.stored.data, found.stored.hash)
            self.head = found.end
        self.projector.committed()
        self._draft = self.head
        self._db = db
        self._hot = db.cursor()  # for what every commit says: making a cursor costs as much as a statement's own work
        self._head_file = head_file
        self._terminal = terminal
        self._clock = clock
        self._directory = directory
        self.room = Room(directory, db)
        self.commits = 0
        self._since_checkpoint = 0  # entries, and commits without one
        self._since_anchor = CHECKPOINT  # … and since the last anchor; what was found here was verified a moment ago
        self._flushed_ns = 0
        self.desk = Desk(self._commit, self._told, self._is_tidy)
        self._ended: asyncio.Future[None] | None = None
        self._watchers: list[asyncio.Future[Any]] = []
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    def start(self) -> None:
        """Take over the connection."""
        self._thread.start()

    def add(self, draft: Draft) -> "asyncio.Future[Entry]":
        """Queue one entry that somebody may wait for at a gate; its future ends with it, StoreFull or StoreBroken."""
        future: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()
        self.desk.hand_in(Job(partial(self.insert, draft), future, adds=True, beside=False), urgent=True)
        return future

    def do(self, work: Callable[[], Any], *, adds: bool) -> "asyncio.Future[Any]":
        """Queue one job for the thread; its future ends with the result, StoreFull or StoreBroken."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.desk.hand_in(Job(work, future, adds, beside=True), urgent=False)
        return future

    async def failure(self) -> None:
        """Wait until the journal is broken. Raises StoreBroken."""
        told: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._watchers.append(told)
        if self.broken is not None:
            raise StoreBroken(self.broken)
        await told

    async def stop(self) -> None:
        """Finish what waits, checkpoint, flush, close."""
        self._ended = asyncio.get_running_loop().create_future()
        self.desk.end()
        await self._ended
        self._thread.join()

    # ----------------------------------------------------------------------- work inside a transaction

    def insert(self, draft: Draft) -> Entry:
        """Give a draft its place; it is written at the end of the transaction."""
        before = self._draft
        entry, data, digest = link(draft, self._terminal, before.name, before.hash)
        self._draft = advance(before, entry, digest)
        self.projector.written(self._draft.row, entry, data, digest)
        return entry

    def new_epoch(self, why: str, at: Instant, alarm: str | None) -> None:
        """Begin an epoch that names the one before; with an alarm unless it is the very first."""
        self._draft, first = begin_epoch(self._draft, secrets.token_bytes(8), why, at)
        self.insert(first)
        if alarm is not None:
            self.insert(Draft(fact=Alarm(kind=alarm, detail=why), at=at))

    def reissue(self, at: Instant) -> int:
        """Issue again what waits in quarantine for that; from then on the new entry carries it."""
        waiting = receipts.to_reissue(self._db, self._draft.name.epoch, REISSUE_AT_ONCE)
        for row, name, data in waiting:
            self.insert(Draft(fact=reissue(name, data), at=at))
            receipts.release(self._db, row)
        return len(waiting)

    def mark(self, receipt: Receipt, first: int, last: int) -> int:
        """Mark what a receipt covers, between two of its sequence numbers."""
        marked = receipts.mark(self._db, receipt, first, last)
        self._draft = msgspec.structs.replace(self._draft, unsent=self._draft.unsent - marked)
        return marked

    def prune(self, before_ms: int) -> int:
        """Forget some old receipted entries; the chain goes on from an anchor. On a full disk only a few at once."""
        gone = tables.prune(self._db, before_ms, WHEN_TIGHT if self.room.tight else PRUNE_AT_ONCE)
        self.room.made = gone > 0
        return gone

    # ----------------------------------------------------------------------- the thread

    def now(self, work: Callable[[], Any]) -> None:
        """One transaction on the caller's thread, before `start`. Raises apsw.Error; FullError: nothing is written."""
        try:
            self._into_tables([work])
        except apsw.FullError:
            self._roll_back()
            self.room.none()
            self._checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE)
            try:
                self._into_tables([work])
            except apsw.FullError:
                self._roll_back()
                raise
        self._hold()
        self._write_head()

    def _run(self) -> None:
        goes_on, seen = True, -1
        while goes_on:
            jobs, goes_on = self.desk.waiting()
            with self.desk.alone():
                if not self.room.ballast.lies:  # the loop may have met a full disk: what the log holds makes room first
                    self._guarded(self._keep_house, quiet=False)
                self.desk.commit_there(jobs)
                self._guarded(self._keep_house, quiet=self.commits == seen)
                seen = self.commits
        with self.desk.alone():
            self._guarded(self._finish)
        if self._ended is not None:
            call(self._ended.get_loop(), _end, self._ended)

    def _is_tidy(self) -> bool:
        """Whether the loop may commit: the thread need not tidy up first, or after every commit."""
        return self.room.ballast.lies and self._since_checkpoint < LATEST_CHECKPOINT

    # ----------------------------------------------------------------------- whoever holds the lock

    def _commit(self, jobs: list[Job]) -> list[Outcome]:
        """One transaction, one flush; what to tell everybody."""
        refused: list[Outcome] = []
        try:
            if self.room.tight and any(job.adds for job in jobs):
                self.room.look()
            if self.room.tight:
                refused, jobs = _all([job for job in jobs if job.adds], StoreFull(FULL)), _only_receipts(jobs)
            return self._attempt(jobs) + refused if jobs else refused
        except Exception as error:
            self._break(error)
            return refused + _all(jobs, StoreBroken(self.broken))

    def _told(self) -> None:
        """Nobody waits for this any more."""
        self._guarded(self._write_head)

    def _write_head(self) -> None:
        self._head_file.write(self.head.name, self.head.hash, stored=not self.projector.tail.entries)

    def _attempt(self, jobs: list[Job]) -> list[Outcome]:
        """Commit; on a full disk nothing is written, and receipts are tried once more in the ballast's place."""
        try:
            results = self._transact(jobs)
        except apsw.FullError:
            self._roll_back()
        else:
            if self.room.full:
                self.room.full = not any(job.adds for job in jobs)
            return [Outcome(jobs, results, None)]
        self.room.full = True
        refused = _all([job for job in jobs if job.adds or self.room.tight], StoreFull(FULL))
        if self.room.tight:
            return refused
        self.room.none()
        if len(refused) < len(jobs):
            self._checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE)  # the log's room besides, for receipts
        return refused + self._commit(_only_receipts(jobs))

    def _transact(self, jobs: list[Job], *, drain: bool = False) -> list[Any]:
        if self.broken is not None:
            raise StoreBroken(self.broken)
        if drain or any(job.beside for job in jobs):
            results = self._into_tables([job.work for job in jobs])
        else:
            results = [job.work() for job in jobs]
            if self.projector.is_due() or not self._tail_file.write(self.projector.frames()):
                self._into_tables([])
        self.commits += 1
        written = max(1, self._draft.row - self.head.row)
        self._since_checkpoint += written
        self._since_anchor += written
        self._hold()
        return results

    def _into_tables(self, works: list[Callable[[], Any]]) -> list[Any]:
        """One transaction of the database: what waits, these works, and what they added."""
        self._hot.execute("BEGIN IMMEDIATE")
        self._drain()
        results = [work() for work in works]
        self._drain()
        anchors = self._since_anchor >= CHECKPOINT and not self.projector.waits()
        if anchors:
            tables.anchor(self._db, self._draft)  # rides along: no flush of its own
        self._hot.execute("COMMIT")
        if anchors:
            self._since_anchor = 0
        self._stored = self._draft
        return results

    def _drain(self) -> None:
        self.projector.into_tables(WHEN_TIGHT if self.room.tight else None)
        tables.remember(self._db, self._stored, self._draft)

    def _hold(self) -> None:
        """What was written is durable."""
        self.head = self._draft
        self.projector.committed()
        if not self.projector.tail.entries:
            self._tail_file.begin_again()

    def _roll_back(self) -> None:
        self._draft = self.head
        self.projector.rolled_back()
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _drain_in_peace(self) -> None:
        """A transaction of its own, for which nobody waits; on a full disk piece by piece."""
        try:
            self._transact([], drain=True)
        except apsw.FullError:
            self._roll_back()
            self.room.none()
            self._checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def _keep_house(self, quiet: bool) -> None:
        """Fill the tables and checkpoint when due, flush the head file once a second."""
        if not self.room.ballast.lies:
            self._checkpoint_after(1)  # first: what goes into the tables would be missing for this
        waiting = len(self.projector.tail.entries)
        if waiting >= (TAIL if quiet else LONG_TAIL) or (waiting and self.room.tight):
            self._drain_in_peace()
        due = CHECKPOINT if quiet else LATEST_CHECKPOINT
        self._checkpoint_after(due if self.room.ballast.lies else 1)
        if (now_ns := self._clock.read().monotonic_ns) - self._flushed_ns >= FLUSH_NS:
            self._flushed_ns = now_ns
            self._head_file.flush()
            self._look_at_the_tail_file()
            self.room.made |= self.room.tight  # somebody else may have
        self.room.look_again()

    def _look_at_the_tail_file(self) -> None:
        """Raises OSError when somebody removed or cut it: what stands here alone now goes into the tables first."""
        try:
            self._tail_file.look()
        except OSError:
            self._drain_in_peace()
            raise

    def _checkpoint_after(self, many: int) -> None:
        """Checkpoint if there were so many entries, or commits without one, since the last one there was room for."""
        if self._since_checkpoint >= many:
            self._head_file.flush()
            self._checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE if self.room.full else apsw.SQLITE_CHECKPOINT_PASSIVE)

    def _checkpoint(self, mode: int) -> None:
        try:
            self._db.wal_checkpoint(mode=mode)
            self._since_checkpoint = 0
        except apsw.FullError:  # tried again in the ballast's place
            self.room.none()
        except apsw.BusyError:  # tried again later; nothing that was promised depends on it
            pass

    def _finish(self) -> None:
        """At stop: fill the tables, anchor, checkpoint, flush. A broken journal is left exactly as it is."""
        if self.broken is not None:
            return
        self._since_anchor = CHECKPOINT
        try:
            self._into_tables([])
            self._hold()
        except apsw.FullError:
            self._roll_back()
        self._checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE)
        self._head_file.close()
        self._tail_file.close()
        self._db.close()

    def _guarded(self, work: Callable[..., None], **options: Any) -> None:
        if self.broken is not None:
            return
        try:
            work(**options)
        except Exception as error:
            self._break(error)

    def _break(self, error: Exception) -> None:
        if self.broken is None:
            self.broken = f"{type(error).__name__}: {error}"
            if isinstance(error, apsw.CorruptError | apsw.NotADBError):
                suspect(self._directory, self.broken)
            log.critical("journal broken", extra={"what": self.broken})
            for told in self._watchers:
                call(told.get_loop(), _fail, told, self.broken)


def _all(jobs: list[Job], failure: Exception) -> list[Outcome]:
    return [Outcome(jobs, None, failure)] if jobs else []


def _only_receipts(jobs: list[Job]) -> list[Job]:
    return [job for job in jobs if not job.adds]


def _fail(future: "asyncio.Future[Any]", why: str) -> None:
    if not future.done():
        future.set_exception(StoreBroken(why))


def _end(future: "asyncio.Future[None] | None") -> None:
    if future is not None and not future.done():
        future.set_result(None)
