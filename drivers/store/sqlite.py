"""The journal in SQLite: WAL, synchronous=FULL, one writer.

Laws of this file:
- One connection owns every write and every checkpoint, one at a time (writer.py); readers open read-only.
- WAL and FULL are read back and refused at start if not so. No setting turns a guard off.
- One terminal a directory: a lock that ends with the process.
- At start the journal is examined before it is touched (recovery.py); damage is copied, the healthy prefix stays, a
  new epoch begins with an alarm.
"""

import asyncio
import fcntl
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import apsw

from drivers.store import receipts, recovery, salvage, tables
from drivers.store.head_file import HeadFile
from drivers.store.recovery import connect
from drivers.store.room import lay_out
from drivers.store.schema import migrate
from drivers.store.writer import WHEN_TIGHT, Writer
from terminal.core import ledger
from terminal.core.debit import Debit
from terminal.core.entries import Draft, Entry, Head, Receipt, StoredEntry
from terminal.core.ledger import Ledger
from terminal.core.loans import Waiting
from terminal.core.model import EntryName, Instant, Ref, Use, UseState, Value
from terminal.core.time import not_before
from terminal.ports import Clock, Store, StoreBroken, StoreFull, StoreInUse

LOG_BYTES = 4 << 20  # of 200 commits, with room for what rides along

log = logging.getLogger(__name__)


class Settings(Value, frozen=True):
    """`[store]` of a site's configuration."""

    path: str = ""  # a directory; empty: the terminal's state_dir


def open(settings: Settings, clock: Clock) -> Store:
    """A store in the directory; nothing is opened yet."""
    return SqliteStore(Path(settings.path), clock)


class SqliteStore:
    """The Store port over one directory."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self.directory = directory
        self._clock = clock
        self._writer: Writer | None = None
        self._lock_fd: int | None = None

    # ----------------------------------------------------------------------- opening

    def open(self, terminal: str, at: Instant) -> Head:
        """See the port."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock()
            self._open(terminal, at)
        except (apsw.Error, OSError, ValueError) as error:
            self._unlock()
            raise StoreBroken(f"{self.directory}: {error}") from error
        return self._owner.head

    def _open(self, terminal: str, at: Instant) -> None:
        recovery.make_room_to_look(self.directory)
        head_file = HeadFile(self.directory / recovery.HEAD)
        damage = recovery.examine(self.directory, head_file.read())
        if damage is not None:
            log.error("alarm", extra={"kind": "journal_damage", "detail": damage})
            at = not_before(at, salvage.salvage(self.directory, at.utc_ms, damage))
        db = connect(self.directory / recovery.DATABASE, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
        _require(db, "journal_mode", "WAL", "wal")
        _require(db, "synchronous", "FULL", 2)
        db.pragma("wal_autocheckpoint", 0)
        migrate(db)
        with db:
            tables.project_the_rest(db)
        _require_own(db, terminal)
        with (self.directory / recovery.LOG).open("ab", buffering=0) as log_file:
            lay_out(log_file.fileno(), LOG_BYTES)
        writer = Writer(self.directory, db, head_file, terminal, self._clock)
        if damage is not None:
            writer.now(lambda: writer.new_epoch(f"damage: {damage}", at, "journal_damage"))
            salvage.finish(self.directory)
        elif writer.head.row == 0:
            writer.now(lambda: writer.new_epoch("first start", at, None))
        else:
            with suppress(apsw.FullError):  # no room at all: what waits stays in the tail file, entries are refused
                writer.now(lambda: None)
        head_file.flush()
        recovery.sync(self.directory)
        self._reader = connect(self.directory / recovery.DATABASE, apsw.SQLITE_OPEN_READONLY)
        self._writer = writer
        writer.start()

    def _lock(self) -> None:
        self._lock_fd = os.open(self.directory / "journal.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._unlock()
            raise StoreInUse(
                f"{self.directory} is in use by another terminal: end that one, or name another state_dir for this one"
            ) from error

    def _unlock(self) -> None:
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    @property
    def _owner(self) -> Writer:
        assert self._writer is not None, "open the store first"
        return self._writer

    @property
    def commits(self) -> int:
        """Commits since the start; each is one flush."""
        return self._owner.commits

    # ----------------------------------------------------------------------- the port

    def head(self) -> Head:
        """See the port."""
        return self._owner.head

    def append(self, draft: Draft) -> asyncio.Future[Entry]:
        """See the port."""
        return self._owner.add(draft)

    async def settle(self, receipt: Receipt) -> int:
        """See the port."""
        writer, last = self._owner, EntryName(epoch=receipt.epoch, sequence=receipt.last)
        while writer.room.tight and writer.projector.waits_for(last):  # on a full disk tables follow in pieces
            await writer.do(lambda: None, adds=False)
        try:
            return await self._settle(receipt, receipt.first, receipt.last)
        except StoreFull:  # the whole of it did not fit into the ballast's place; a piece does
            steps = range(receipt.first, receipt.last + 1, WHEN_TIGHT)
            return sum([await self._settle(receipt, one, min(one + WHEN_TIGHT - 1, receipt.last)) for one in steps])

    async def _settle(self, receipt: Receipt, first: int, last: int) -> int:
        writer = self._owner
        count: int = await writer.do(lambda: writer.mark(receipt, first, last), adds=False)
        return count

    async def prune(self, before_ms: int) -> int:
        """See the port."""
        writer = self._owner
        count: int = await writer.do(lambda: writer.prune(before_ms), adds=False)
        return count

    async def begin_epoch(self, why: str, at: Instant) -> Head:
        """See the port."""
        writer = self._owner
        await writer.do(lambda: writer.new_epoch(why, at, "new_epoch"), adds=True)
        return writer.head

    async def reissue(self, at: Instant) -> int:
        """See the port."""
        writer = self._owner
        count: int = await writer.do(lambda: writer.reissue(at), adds=True)
        return count

    def needs_new_epoch(self) -> bool:
        """See the port."""
        with self._reading() as db:
            return receipts.stands_in(db, self._owner.head.name.epoch)

    def uses(self, keys: Sequence[Ref], since_ms: int) -> Sequence[Use]:
        """See the port."""
        tail = self._owner.projector.tail  # before the tables are asked
        with self._reading() as db:
            return tail.uses(tables.uses(db, keys, since_ms), keys, since_ms)

    def ledgers(self, parties: Sequence[Ref]) -> Mapping[Ref, Ledger]:
        """See the port."""
        tail = self._owner.projector.tail
        here = {party: tail.ledgers[party] for party in parties if party in tail.ledgers}
        with self._reading() as db:
            return tables.ledgers(db, parties) | here

    def uses_from(self, name: EntryName) -> Sequence[Use]:
        """See the port."""
        tail = self._owner.projector.tail
        with self._reading() as db:
            row = tables.row_of(db, name)
            return tail.uses_from(tables.uses_from(db, row), row)

    def doubts(self) -> Sequence[tuple[Ref, Debit]]:
        """See the port."""
        tail = self._owner.projector.tail
        return ledger.doubts(tables.all_ledgers(self._reader) | tail.ledgers)

    def waiting(self) -> Sequence[Waiting]:
        """See the port."""
        tail = self._owner.projector.tail
        return ledger.waiting(tables.all_ledgers(self._reader) | tail.ledgers)

    def open_uses(self) -> Sequence[Use]:
        """See the port."""
        tail = self._owner.projector.tail
        with self._reading() as db:
            uses = tail.uses_from(tables.open_uses(db), 0)
        return [use for use in uses if use.state is UseState.RESERVED]

    def unsent(self, from_row: int, limit: int, max_bytes: int) -> Sequence[StoredEntry]:
        """See the port."""
        tail = self._owner.projector.tail
        with self._reading() as db:
            newest = tail.stored(max(from_row - 1, tables.newest_row(db)))
            return receipts.unsent(db, *receipts.without(db, from_row, limit), max_bytes, newest)

    def holds(self, name: EntryName, digest: bytes) -> bool:
        """See the port."""
        here = {one.entry.name: one.digest for one in self._owner.projector.tail.entries}
        if name in here:
            return here[name] == digest
        with self._reading() as db:
            first = tables.first_row(db, name.epoch)
            return first is not None and tables.hash_at(db, first + name.sequence - 1) == digest

    def size(self) -> int:
        """See the port."""
        with self._reading() as db:
            return tables.bytes_in_use(db)

    @contextmanager
    def _reading(self) -> Iterator[apsw.Connection]:
        """Whatever reading raises is damage: marked, so that the next start salvages, and told as StoreBroken."""
        try:
            yield self._reader
        except apsw.ConnectionClosedError as error:  # somebody still asks while the terminal ends
            raise StoreBroken(f"{self.directory}: the journal was closed") from error
        except Exception as error:  # a flipped bit can raise anything
            why = f"{type(error).__name__}: {error}"
            recovery.suspect(self.directory, why)
            raise StoreBroken(f"{self.directory}: {why}") from error

    def is_full(self) -> bool:
        """See the port."""
        return self._owner.room.full

    async def broken(self) -> None:
        """See the port."""
        await self._owner.failure()

    async def verify(self) -> str | None:
        """See the port. A process of its own, so that no tap waits for it; damage is marked for the next start."""
        walk = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "drivers.store.walk", str(self.directory), stderr=asyncio.subprocess.PIPE
        )
        try:
            _, said = await walk.communicate()
        finally:
            if walk.returncode is None:
                walk.kill()
                await walk.wait()
        wrong = said.decode(errors="replace").strip()
        if walk.returncode == 0:
            return None
        if walk.returncode != recovery.DAMAGED:  # ended by somebody, or never begun: the journal may be whole
            log.warning("not verified", extra={"code": walk.returncode, "what": wrong})
            return None
        recovery.suspect(self.directory, wrong)
        return wrong

    async def close(self) -> None:
        """See the port."""
        if self._writer is None:
            return
        self._reader.close()
        await self._writer.stop()
        self._writer = None
        self._unlock()


def _require_own(db: apsw.Connection, terminal: str) -> None:
    """Another terminal's disk is nothing to write on: its entries would come under our name. Raises ValueError."""
    owner = tables.owner(db)
    if owner not in (None, terminal):
        raise ValueError(f"this is the journal of terminal {owner}; give {terminal} its own state_dir, or its own disk")


def _require(db: apsw.Connection, pragma: str, wanted: str, value: object) -> None:
    """Set a guard and read it back. Raises ValueError."""
    db.pragma(pragma, wanted)
    if db.pragma(pragma) != value:
        raise ValueError(f"SQLite does not keep {pragma}={wanted} here")
