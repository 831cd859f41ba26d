"""A disk in memory, and the journal on it: for simulated days.

Laws of this file:
- Chain and projection are the core's own; only durability is pretended.
- A `Disk` outlives the terminal. What was committed is on it; what was not is lost when the power is cut. A commit in
  flight may or may not have reached it: the disk's own chance decides.
- No thread: latency is the loop's time. A jumping loop may run it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import msgspec

from simulators.fold import Fold
from terminal.core import entries, ledger, reissuing
from terminal.core.debit import Debit
from terminal.core.entries import NOTHING, Alarm, BadEntry, Draft, Entry, Head, Receipt, StoredEntry
from terminal.core.ledger import Ledger
from terminal.core.loans import Waiting
from terminal.core.model import EntryName, Instant, Ref, Use, UseState, Value
from terminal.ports import Clock, Store, StoreBroken, StoreFull, StoreInUse


class Settings(Value, frozen=True):
    """`[store]` of a simulated site."""

    latency_s: float = 0.002  # one commit
    seed: int = 0


def open(settings: Settings, clock: Clock) -> Store:
    """A store on a new disk."""
    return SimulatedStore(Disk(seed=settings.seed, latency_s=settings.latency_s))


class Disk:
    """What survives a power cut, and what can go wrong with it."""

    def __init__(self, seed: int = 0, latency_s: float = 0.002) -> None:
        self.latency_s = latency_s
        self.full = False  # every commit that adds entries is refused
        self.failing = False  # the next flush fails
        self.stored: list[StoredEntry] = []
        self.pruned = NOTHING  # the anchor before the oldest entry
        self.fold = Fold()
        self.receipted: dict[int, str] = {}  # row → "" or why head office refused it
        self.quarantine: dict[EntryName, str] = {}
        self.committed_head: tuple[EntryName, bytes] | None = None  # what a head file would know
        self.random = Random(seed)
        self.holder: SimulatedStore | None = None

    def cut_power(self) -> None:
        """Now. The store that was open is dead; open another one on this disk."""
        if self.holder is not None:
            self.holder.lose_power()
            self.holder = None

    def entries(self) -> list[Entry]:
        """All entries, for checkers."""
        return [entries.decode(stored.data) for stored in self.stored]


class SimulatedStore:
    """The Store port over a Disk."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self._head = NOTHING
        self._terminal = ""
        self._waiting: list[tuple[Callable[[], Any], bool, asyncio.Future[Any]]] = []
        self._committing: asyncio.Task[None] | None = None
        self._in_flight = 0  # jobs in the commit under way
        self._broken: str | None = "not open"

    # ----------------------------------------------------------------------- opening

    def open(self, terminal: str, at: Instant) -> Head:
        """See the port."""
        if self.disk.holder is not None:
            raise StoreInUse("the disk is in use by another terminal")
        self._terminal = terminal
        damage = self._recover()
        self.disk.holder, self._broken = self, None
        if damage is not None:
            self._new_epoch(f"damage: {damage}", at, "journal_damage")
        elif self._head.row == 0:
            self._new_epoch("first start", at, None)
        return self._head

    def _recover(self) -> str | None:
        """Verify, fold; what is wrong, or None. What does not verify is dropped, and the rest is folded anew."""
        disk, self._head = self.disk, self.disk.pruned
        stored, disk.stored = disk.stored, []
        is_whole = bool(stored) and disk.fold.last == stored[-1].name
        before, disk.fold = disk.fold, Fold()
        for number, one in enumerate(stored):
            try:
                entry = entries.check_link(one, self._head.name, self._head.hash)
            except BadEntry as error:
                return str(error)
            disk.stored = stored[: number + 1]
            self._adopt(one, entry)
        disk.fold = before if is_whole else disk.fold
        unsent = sum(one.row not in disk.receipted for one in disk.stored)
        self._head = msgspec.structs.replace(self._head, unsent=unsent)
        if disk.committed_head is not None and not self.holds(*disk.committed_head):
            return f"the head file knows entry {disk.committed_head[0].sequence}"
        return None

    # ----------------------------------------------------------------------- the port

    def head(self) -> Head:
        """See the port."""
        return self._head

    async def append(self, draft: Draft) -> Entry:
        """See the port."""
        entry: Entry = await self._do(lambda: self._insert(draft), adds=True)
        return entry

    async def settle(self, receipt: Receipt) -> int:
        """See the port."""
        count: int = await self._do(lambda: self._mark(receipt), adds=False)
        return count

    async def prune(self, before_ms: int) -> int:
        """See the port."""
        count: int = await self._do(lambda: self._prune(before_ms), adds=False)
        return count

    async def reissue(self, at: Instant) -> int:
        """See the port."""
        count: int = await self._do(lambda: self._reissue(at), adds=True)
        return count

    def needs_new_epoch(self) -> bool:
        """See the port."""
        return bool(self._to_reissue(here=True))

    def size(self) -> int:
        """See the port."""
        return sum(len(stored.data) for stored in self.disk.stored)

    def is_full(self) -> bool:
        """See the port."""
        return self.disk.full

    async def broken(self) -> None:
        """See the port: on this disk only a commit can fail, and its waiter hears."""
        await asyncio.Event().wait()

    async def verify(self) -> str | None:
        """See the port: everything was verified when it was opened."""
        return None

    async def begin_epoch(self, why: str, at: Instant) -> Head:
        """See the port."""
        await self._do(lambda: self._new_epoch(why, at, "new_epoch"), adds=True)
        return self._head

    def uses(self, keys: Sequence[Ref], since_ms: int) -> Sequence[Use]:
        """See the port."""
        names = {name for key in keys for name in self.disk.fold.names_of.get(key, ())}
        return [self.disk.fold.uses[name] for name in sorted(names) if self.disk.fold.uses[name].at_ms >= since_ms]

    def ledgers(self, parties: Sequence[Ref]) -> Mapping[Ref, Ledger]:
        """See the port."""
        return {party: self.disk.fold.ledgers[party][1] for party in parties if party in self.disk.fold.ledgers}

    def uses_from(self, name: EntryName) -> Sequence[Use]:
        """See the port."""
        rows = {stored.name: stored.row for stored in self.disk.stored}
        return [use for use in self.disk.fold.uses.values() if rows[use.name or name] >= rows.get(name, 0)]

    def doubts(self) -> Sequence[tuple[Ref, Debit]]:
        """See the port."""
        return ledger.doubts({party: kept for party, (_, kept) in self.disk.fold.ledgers.items()})

    def waiting(self) -> Sequence[Waiting]:
        """See the port."""
        return ledger.waiting({party: kept for party, (_, kept) in self.disk.fold.ledgers.items()})

    def open_uses(self) -> Sequence[Use]:
        """See the port."""
        return [use for use in self.disk.fold.uses.values() if use.state is UseState.RESERVED]

    def unsent(self, from_row: int, limit: int, max_bytes: int) -> Sequence[StoredEntry]:
        """See the port."""
        run: list[StoredEntry] = []
        size = 0
        start = max(0, from_row - self.disk.pruned.row - 1)
        for stored in self.disk.stored[start:]:
            if stored.row in self.disk.receipted and not run:
                continue
            size += len(stored.data)
            ends = stored.row in self.disk.receipted or (run and run[-1].name.epoch != stored.name.epoch)
            if ends or len(run) == limit or (run and size > max_bytes):
                break
            run.append(stored)
        return run

    def holds(self, name: EntryName, digest: bytes) -> bool:
        """See the port."""
        if (name, digest) == (self.disk.pruned.name, self.disk.pruned.hash):
            return True
        return any(stored.name == name and stored.hash == digest for stored in reversed(self.disk.stored))

    async def close(self) -> None:
        """See the port."""
        if self._committing is not None:
            await asyncio.wait([self._committing])
        if self.disk.holder is self:
            self.disk.holder = None
        self._broken = "closed"

    def lose_power(self) -> None:
        """Stop where we stand: a commit in flight is on the disk or is not; nobody hears."""
        if self.disk.random.random() < 0.5:
            for work, adds, _ in self._waiting[: self._in_flight]:
                if not (self.disk.full and adds):
                    work()
        self._broken = "power lost"
        if self._committing is not None:
            self._committing.cancel()
        for _, _, future in self._waiting:
            future.cancel()
        self._waiting.clear()

    # ----------------------------------------------------------------------- committing

    async def _do(self, work: Callable[[], Any], *, adds: bool) -> Any:
        if self._broken is not None:
            raise StoreBroken(self._broken)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, adds, future))
        if self._committing is None:
            self._committing = asyncio.ensure_future(self._commit_all())
        return await future

    async def _commit_all(self) -> None:
        """Commit whatever waits, group after group."""
        try:
            while self._waiting and self._broken is None:
                self._in_flight = group = len(self._waiting)
                await asyncio.sleep(self.disk.latency_s)
                self._in_flight = 0
                jobs, self._waiting = self._waiting[:group], self._waiting[group:]
                for work, adds, future in jobs:
                    self._commit(work, adds, future)
        finally:
            self._committing = None

    def _commit(self, work: Callable[[], Any], adds: bool, future: "asyncio.Future[Any]") -> None:
        if self.disk.failing:
            self._broken = "a flush failed"
        failure: Exception | None = None if self._broken is None else StoreBroken(self._broken)
        if failure is None and self.disk.full and adds:
            failure = StoreFull("the journal's disk is full")
        result = None if failure else work()
        if not future.done():
            future.set_exception(failure) if failure else future.set_result(result)

    # ----------------------------------------------------------------------- on the disk

    def _insert(self, draft: Draft) -> Entry:
        entry, data, digest = entries.link(draft, self._terminal, self._head.name, self._head.hash)
        stored = StoredEntry(row=self._head.row + 1, name=entry.name, data=data, hash=digest)
        self.disk.stored.append(stored)
        self._adopt(stored, entry)
        self.disk.committed_head = (entry.name, digest)
        return entry

    def _adopt(self, stored: StoredEntry, entry: Entry) -> None:
        self._head = entries.advance(self._head, entry, stored.hash)
        self.disk.fold.adopt(entry, self._entry)

    def _entry(self, name: EntryName) -> Entry:
        return entries.decode(next(one.data for one in self.disk.stored if one.name == name))

    def _new_epoch(self, why: str, at: Instant, alarm: str | None) -> None:
        self._head, first = entries.begin_epoch(self._head, self.disk.random.randbytes(8), why, at)
        self._insert(first)
        if alarm is not None:
            self._insert(Draft(fact=Alarm(kind=alarm, detail=why), at=at))

    def _reissue(self, at: Instant) -> int:
        told = self._to_reissue(here=False)
        for one in told:
            self._insert(Draft(fact=reissuing.reissue(one.name, one.data), at=at))
            del self.disk.quarantine[one.name]
        return len(told)

    def _to_reissue(self, *, here: bool) -> list[StoredEntry]:
        """What is to be issued again, of this epoch or of the others."""
        epoch, quarantine = self._head.name.epoch, self.disk.quarantine
        curable = [one for one in self.disk.stored if quarantine.get(one.name) in reissuing.CURABLE]
        return [one for one in curable if (one.name.epoch == epoch) == here]

    def _mark(self, receipt: Receipt) -> int:
        if not self.holds(EntryName(epoch=receipt.epoch, sequence=receipt.last), receipt.hash):
            return 0
        refused = {one.sequence: one.reason for one in receipt.refused}
        marked = 0
        for stored in self.disk.stored:
            inside = stored.name.epoch == receipt.epoch and receipt.first <= stored.name.sequence <= receipt.last
            if not inside or stored.row in self.disk.receipted:
                continue
            self.disk.receipted[stored.row] = refused.get(stored.name.sequence, "")
            if stored.name.sequence in refused:
                self.disk.quarantine[stored.name] = reissuing.kept_as(refused[stored.name.sequence], stored.data)
            marked += 1
        self._head = msgspec.structs.replace(self._head, unsent=self._head.unsent - marked)
        return marked

    def _prune(self, before_ms: int) -> int:
        gone, lowered_row = 0, self._head.lowered_row
        lowered = [entries.decode(one.data).at.utc_ms for one in self.disk.stored if one.row == lowered_row]
        for stored in self.disk.stored[:-1]:
            entry = entries.decode(stored.data)
            made_ms = min(entry.at.utc_ms, *lowered) if stored.row < lowered_row else entry.at.utc_ms
            if stored.row not in self.disk.receipted or made_ms >= before_ms:
                break
            self.disk.pruned = entries.advance(self.disk.pruned, entry, stored.hash)
            self.disk.fold.forget(entry, self._head.floor_ms)
            gone += 1
        self.disk.pruned = msgspec.structs.replace(self.disk.pruned, unsent=0)
        del self.disk.stored[:gone]
        return gone
