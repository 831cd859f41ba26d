"""The one thread that writes: it commits whatever is waiting, with one flush for all of it.

Laws of this file:
- A waiter hears after COMMIT returned, never before. Sequence and hash are given inside the transaction, so that a
  rolled-back commit leaves no gap.
- A full disk writes nothing and is told as StoreFull. The ballast is then given back, for receipts and pruning only:
  new entries stay refused until it can be laid again, or pruning has made as much room inside the database.
- While there is no ballast the log is emptied after every commit, so that what room it has is used again; once
  something did not fit, that room goes back to the disk.
- Anything else unexpected — a failed flush, a damaged page, a bug — is the end: every waiter hears StoreBroken, now and
  from then on, and the files are left exactly as they are; a damaged page leaves a mark for the next start.
- An entry is one page of the log. Its projection follows for many at once, when nobody waits; at once where an entry
  changes what was projected before, or too many wait (tail.py).
- Checkpoints happen here only, when nobody waits or when the log has grown too long.
"""

import asyncio
import logging
import os
import secrets
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

import apsw
import msgspec

from drivers.store import receipts, tables
from drivers.store.handover import Handover
from drivers.store.head_file import HeadFile
from drivers.store.recovery import suspect
from drivers.store.tail import TAIL, Projector
from terminal.core.entries import (
    Alarm,
    Draft,
    Entry,
    Head,
    Receipt,
    advance,
    begin_epoch,
    link,
    reissue,
)
from terminal.core.model import Instant
from terminal.ports import Clock, StoreBroken, StoreFull

GROUP = 512  # jobs in one commit at most
BALLAST_BYTES = 1 << 20
REISSUE_AT_ONCE = 100
PRUNE_AT_ONCE, PRUNE_WHEN_TIGHT = 500, 20  # entries: a commit that fits into the ballast's place
CHECKPOINT_COMMITS = 200  # checkpoint at the next quiet moment
LATEST_CHECKPOINT_COMMITS = 2000  # … and without one
QUIET_S = 0.1
FLUSH_NS = 1_000_000_000
FULL = "the journal's disk is full"

log = logging.getLogger(__name__)


class Job(NamedTuple):
    """One thing to do inside a transaction; `future` hears of it on its loop."""

    work: Callable[[], Any]
    future: "asyncio.Future[Any]"
    adds: bool  # whether it adds entries: refused while the disk is full


class Writer:
    """Owns the writing connection from `start` on."""

    def __init__(self, directory: Path, db: apsw.Connection, head_file: HeadFile, terminal: str, clock: Clock) -> None:
        self.head = tables.head(db)  # the newest durable entry; replaced whole after each commit
        self.broken: str | None = None
        self._draft = self.head
        self.projector = Projector(db)
        self._db = db
        self._head_file = head_file
        self._terminal = terminal
        self._clock = clock
        self._directory = directory
        self._bare = True  # no ballast lies there: the log must make do with the room it has
        self._ballast = directory / "ballast"
        self.tight = not self._has_room()  # no ballast lies there, and nothing else keeps room for receipts
        self.full = self.tight  # the last entries did not fit, and nothing has made room since
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self.commits = 0
        self._checkpointed = 0  # commits at the last checkpoint
        self._flushed_ns = 0
        self._made_room = False
        self._handover: Handover | None = None  # to the loop that hands jobs over
        self._ended: asyncio.Future[None] | None = None
        self._watchers: list[asyncio.Future[Any]] = []
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    def start(self) -> None:
        """Take over the connection."""
        self._thread.start()

    def do(self, work: Callable[[], Any], *, adds: bool) -> "asyncio.Future[Any]":
        """Queue one job; its future ends with the result, StoreFull or StoreBroken."""
        loop = asyncio.get_running_loop()
        if self._handover is None:
            self._handover = Handover(loop)
        future: asyncio.Future[Any] = loop.create_future()
        self._jobs.put(Job(work, future, adds))
        if adds:  # somebody may stand at a gate
            self._handover.expect()
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
        self._jobs.put(None)
        await self._ended
        self._thread.join()

    # ----------------------------------------------------------------------- work inside a transaction

    def insert(self, draft: Draft) -> Entry:
        """Give a draft its place and write it."""
        before = self._draft
        entry, data, digest = link(draft, self._terminal, before.name, before.hash)
        after = advance(before, entry, digest)
        tables.insert(self._db, after.row, entry, data, digest)
        tables.remember(self._db, before, after)
        self._draft = after
        self.projector.written(after.row, entry)
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

    def mark(self, receipt: Receipt) -> int:
        """Mark what a receipt covers."""
        marked = receipts.mark(self._db, receipt)
        self._draft = _less_unsent(self._draft, marked)
        return marked

    def prune(self, before_ms: int) -> int:
        """Forget some old receipted entries; the chain goes on from an anchor. On a full disk only a few at once."""
        self.projector.project(self._draft.row)  # what is pruned leaves the projection too
        gone = tables.prune(self._db, before_ms, PRUNE_WHEN_TIGHT if self.tight else PRUNE_AT_ONCE)
        self._made_room = gone > 0
        return gone

    # ----------------------------------------------------------------------- the thread

    def now(self, work: Callable[[], Any]) -> None:
        """One transaction on the caller's own thread, before `start`. Raises apsw.Error."""
        with self._db:
            work()
        self.head = self._draft
        self.projector.committed()
        self._head_file.write(self.head.name, self.head.hash)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            jobs = self._waiting()
            stopping = None in jobs
            self._commit([job for job in jobs if job is not None])
            self._guarded(self._keep_house, quiet=not jobs)
        self._guarded(self._finish)
        if self._ended is not None:
            (self._handover or Handover(self._ended.get_loop())).tell(lambda: _end(self._ended))

    def _waiting(self) -> list[Job | None]:
        jobs: list[Job | None] = []
        try:
            jobs.append(self._jobs.get(timeout=QUIET_S))
            while len(jobs) < GROUP and jobs[-1] is not None:
                jobs.append(self._jobs.get_nowait())
        except Empty:
            pass
        return jobs

    def _commit(self, jobs: list[Job]) -> None:
        """One transaction, one flush, then everybody hears."""
        try:
            adding = [job for job in jobs if job.adds]
            if self.tight and adding:
                self.tight = not self._has_room()
            if self.tight:
                self._tell(adding, None, StoreFull(FULL))
                jobs = [job for job in jobs if not job.adds]
            if jobs:
                self._attempt(jobs)
        except Exception as error:
            self._break(error)
            self._tell(jobs, None, StoreBroken(self.broken))

    def _attempt(self, jobs: list[Job]) -> None:
        """Commit; on a full disk nothing is written, and receipts are tried once more in the ballast's place."""
        try:
            results = self._transact(jobs)
        except apsw.FullError:
            self._roll_back()
        else:
            self.full = self.full and not any(job.adds for job in jobs)
            self._tell(jobs, results, None)
            self._head_file.write(self.head.name, self.head.hash)  # nobody waits for it
            return
        self.full = True
        self._tell([job for job in jobs if job.adds or self.tight], None, StoreFull(FULL))
        if not self.tight:
            self.tight = self._bare = True
            self._ballast.unlink(missing_ok=True)
            self._commit([job for job in jobs if not job.adds])

    def _tell(self, jobs: list[Job], results: list[Any] | None, failure: Exception | None) -> None:
        """All of them hear at once."""
        handover = self._handover
        if not jobs or handover is None:
            return

        def tell() -> None:
            handover.heard(sum(job.adds for job in jobs))
            for number, job in enumerate(jobs):
                if job.future.done():  # its caller was cancelled; the entry stands all the same
                    continue
                if results is not None:
                    job.future.set_result(results[number])
                elif failure is not None:
                    job.future.set_exception(failure)

        handover.tell(tell)

    def _transact(self, jobs: list[Job], *, project: bool = False) -> list[Any]:
        if self.broken is not None:
            raise StoreBroken(self.broken)
        self._db.execute("BEGIN IMMEDIATE")
        results = [job.work() for job in jobs]
        self.commits += 1
        if self.commits % CHECKPOINT_COMMITS == 0:
            tables.anchor(self._db, self._draft)  # rides along: no flush of its own
        if project or self.projector.is_due():
            self.projector.project(self._draft.row)
        self._db.execute("COMMIT")
        self.head = self._draft
        self.projector.committed()
        return results

    def _roll_back(self) -> None:
        self._draft = self.head
        self.projector.rolled_back()
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _project_in_peace(self) -> None:
        """A transaction of its own, for which nobody waits. On a full disk later."""
        try:
            self._transact([], project=True)
        except apsw.FullError:
            self._roll_back()

    def _keep_house(self, quiet: bool) -> None:
        """Project and checkpoint when due, flush the head file once a second."""
        if quiet and len(self.projector.tail.entries) >= TAIL:
            self._project_in_peace()
        since = self.commits - self._checkpointed
        due = LATEST_CHECKPOINT_COMMITS if not quiet else CHECKPOINT_COMMITS
        if since >= due or (since and self._bare):
            self._checkpointed = self.commits
            self._head_file.flush()
            self._checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE if self.full else apsw.SQLITE_CHECKPOINT_PASSIVE)
        if (now_ns := self._clock.read().monotonic_ns) - self._flushed_ns >= FLUSH_NS:
            self._flushed_ns = now_ns
            self._head_file.flush()
            self._made_room = self.tight  # somebody else may have
        if self._made_room:
            self._made_room = False
            self.tight = not self._has_room()
            self.full = self.full and self._free_inside() < BALLAST_BYTES

    def _checkpoint(self, mode: int) -> None:
        try:
            self._db.wal_checkpoint(mode=mode)
        except (apsw.FullError, apsw.BusyError):
            return  # tried again later; nothing that was promised depends on it

    def _finish(self) -> None:
        """At stop: anchor, checkpoint, flush. A broken journal is left exactly as it is."""
        if self.broken is not None:
            return
        try:
            with self._db:
                tables.anchor(self._db, self.head)
                self.projector.project(self._draft.row)
        except apsw.FullError:
            self._roll_back()
        self._checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE)
        self._head_file.close()
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
                Handover(told.get_loop()).tell(partial(_fail, told, self.broken))

    def _has_room(self) -> bool:
        """Whether entries may be written: the ballast lies there, or as much is free inside the database."""
        return self._free_inside() >= BALLAST_BYTES or self._lay_ballast()

    def _free_inside(self) -> int:
        """Bytes that pruning freed inside the database."""
        pages: int = self._db.pragma("freelist_count")
        return pages * int(self._db.pragma("page_size"))

    def _lay_ballast(self) -> bool:
        """A file to give back when the disk is full. Whether it lies there."""
        try:
            fd = os.open(self._ballast, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            return False
        try:
            os.posix_fallocate(fd, 0, BALLAST_BYTES)
            self._bare = False
            return True
        except OSError:
            self._ballast.unlink(missing_ok=True)
            return False
        finally:
            os.close(fd)


def _less_unsent(head: Head, marked: int) -> Head:
    return msgspec.structs.replace(head, unsent=head.unsent - marked)


def _fail(future: "asyncio.Future[Any]", why: str) -> None:
    if not future.done():
        future.set_exception(StoreBroken(why))


def _end(future: "asyncio.Future[None] | None") -> None:
    if future is not None and not future.done():
        future.set_result(None)
