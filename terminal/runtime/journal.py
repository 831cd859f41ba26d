"""What lanes hold of the journal: append facts, seal evidence, recall uses.

Laws of this file:
- `append` has returned: the fact is durable. It raises StoreFull (nothing was written) or StoreBroken (the process
  ends and verifies at its next start); there is no third way.
- Evidence is sealed before it is handed on; its content key is new at every start and every hour and was written first.
- What no gate waits for is never lost to a full disk: it is noted, and written once there is room.
- The floor of time is what the journal holds, and runs on while this process lives: no fact is stamped below it.
"""

import asyncio
import logging
import secrets
from collections.abc import Mapping

import msgspec

from terminal.core import sealing
from terminal.core.debit import Debit
from terminal.core.entries import Draft, Entry, Fact, FloorLowered, Head, Receipt, StoredEntry
from terminal.core.ledger import Ledger
from terminal.core.loans import Waiting
from terminal.core.model import EntryName, Instant, Reading, Ref, Use
from terminal.core.parameters import OfficeKeys
from terminal.core.time import Floor, settle
from terminal.ports import Clock, Store, StoreBroken, StoreFull

KEY_LIFE_S = 3600.0
FULL_DISK_S = 1.0  # between two attempts to write what a full disk held up

log = logging.getLogger(__name__)


class Journal:
    """A store, with sealing and time."""

    def __init__(self, store: Store, clock: Clock, terminal: str) -> None:
        self.terminal = terminal
        self.grown = asyncio.Event()  # set after every append; the uploader waits for it
        self._store = store
        self._clock = clock
        self._office: OfficeKeys | None = None
        self._sealer: sealing.Sealer | None = None
        self._sealer_until_s = 0.0
        self._sealer_epoch = b""
        self._key_lock = asyncio.Lock()
        self._notes: asyncio.Queue[tuple[Fact, Instant | None]] = asyncio.Queue()
        self._floor = Floor(utc_ms=store.head().floor_ms, monotonic_ns=clock.read().monotonic_ns)

    # ----------------------------------------------------------------------- writing

    async def append(self, fact: Fact, at: Instant, evidence: bytes | None = None) -> Entry:
        """Write one fact, with its evidence sealed. Raises StoreFull or StoreBroken."""
        sealed = None
        if evidence is not None:
            sealer = await self._sealer_in_force(at)
            sealed = None if sealer is None else sealer.seal(evidence)
        entry = await self._store.append(Draft(fact=fact, at=at, sealed=sealed))
        if at.utc_ms >= self._floor.utc_ms:
            self._floor = Floor(utc_ms=at.utc_ms, monotonic_ns=at.monotonic_ns)
        self.grown.set()
        return entry

    async def written(self, fact: Fact, at: Instant) -> bool:
        """Write a fact that no gate waits for; False: the disk is full. Raises StoreBroken."""
        try:
            await self.append(fact, at)
        except StoreFull:
            return False
        return True

    def note(self, fact: Fact, at: Instant | None = None) -> None:
        """Have a fact written in its turn, stamped then if not before; on a full disk, once there is room."""
        self._notes.put_nowait((fact, at))

    async def write_notes(self) -> None:
        """Write what was noted, in order, until cancelled."""
        while True:
            fact, at = await self._notes.get()
            while not await self.written(fact, at or self.instant(self._clock.read())):  # noqa: ASYNC110  # a disk
                await asyncio.sleep(FULL_DISK_S)

    def use_keys_of(self, office: OfficeKeys) -> None:
        """Seal to these keys from now on; a new content key is made when they changed."""
        if office != self._office:
            self._office, self._sealer = office, None

    async def new_content_key(self, at: Instant) -> sealing.Sealer | None:
        """Make and write a content key; None where head office named no key to seal to."""
        office_key = None if self._office is None else sealing.sealing_key(self._office)
        if office_key is None:
            return None
        head = self._store.head()
        key, epoch, number = secrets.token_bytes(32), head.name.epoch, head.key_number + 1
        fact = sealing.seal_content_key(key, office_key, self.terminal, epoch, number)
        await self._store.append(Draft(fact=fact, at=at))
        self._sealer = sealing.Sealer(number, key)
        self._sealer_until_s = self._clock.monotonic_s() + KEY_LIFE_S
        self._sealer_epoch = epoch
        return self._sealer

    async def _sealer_in_force(self, at: Instant) -> sealing.Sealer | None:
        if self._is_in_force():
            return self._sealer
        async with self._key_lock:
            return self._sealer if self._is_in_force() else await self.new_content_key(at)

    def _is_in_force(self) -> bool:
        """A key belongs to the epoch its own entry stands in."""
        return (
            self._sealer is not None
            and self._clock.monotonic_s() < self._sealer_until_s
            and self._sealer_epoch == self._store.head().name.epoch
        )

    # ----------------------------------------------------------------------- reading

    def instant(self, reading: Reading) -> Instant:
        """The interval of UTC a reading stands for, never behind the greatest journalled time."""
        return settle(reading, self._store.head().floor_ms, self._floor)

    async def lower_floor(self, to_ms: int, reading: Reading) -> None:
        """The floor was wrong: it comes down, and an entry says so. Raises StoreFull or StoreBroken."""
        was_ms = self._store.head().floor_ms
        at = settle(msgspec.structs.replace(reading, utc_ms=to_ms), 0)
        await self._store.append(Draft(fact=FloorLowered(to_ms=to_ms, was_ms=was_ms), at=at))
        self._floor = Floor(utc_ms=to_ms, monotonic_ns=reading.monotonic_ns)
        self.grown.set()

    def behind_ms(self, reading: Reading) -> int:
        """How far the system's clock stands behind the journal; 0 where it does not."""
        return max(0, self.instant(reading).utc_ms - reading.utc_ms)

    def head(self) -> Head:
        """The newest durable entry."""
        return self._store.head()

    def uses(self, keys: tuple[Ref, ...], since_ms: int) -> list[Use]:
        """Durable uses under any of these keys; never waits."""
        return list(self._store.uses(keys, since_ms))

    def ledgers(self, parties: tuple[Ref, ...]) -> Mapping[Ref, Ledger]:
        """The ledgers there are of these parties; never waits."""
        return self._store.ledgers(parties)

    def uses_from(self, name: EntryName) -> list[Use]:
        """Uses from this entry on, for totals."""
        return list(self._store.uses_from(name))

    def doubts(self) -> list[tuple[Ref, Debit]]:
        """Mediums whose newest debit is open."""
        return list(self._store.doubts())

    def waiting(self) -> list[Waiting]:
        """Circulations a library system is still to be told of, or would not take."""
        return list(self._store.waiting())

    def open_uses(self) -> list[Use]:
        """Uses whose passage is still open."""
        return list(self._store.open_uses())

    # ----------------------------------------------------------------------- for the uploader

    def unsent(self, from_row: int, limit: int, max_bytes: int) -> list[StoredEntry]:
        """The oldest run without a receipt from `from_row` on."""
        return list(self._store.unsent(from_row, limit, max_bytes))

    def holds(self, name: EntryName, digest: bytes) -> bool:
        """Whether this journal has, or once had, that entry with that hash."""
        return self._store.holds(name, digest)

    async def settle(self, receipt: Receipt) -> int:
        """Mark what a verified receipt covers."""
        return await self._store.settle(receipt)

    async def prune(self, before_ms: int) -> int:
        """Forget some of the oldest receipted entries made before then."""
        return await self._store.prune(before_ms)

    async def reissue(self, at: Instant) -> int:
        """Issue again what no receipt will cover under its name; how many. Raises StoreFull."""
        count = 0
        while issued := await self._store.reissue(at):
            count += issued
            self.grown.set()
        return count

    def needs_new_epoch(self) -> bool:
        """Whether something waits that only a new epoch can issue again."""
        return self._store.needs_new_epoch()

    def size(self) -> int:
        """Bytes the entries take."""
        return self._store.size()

    def is_full(self) -> bool:
        """Whether entries are refused because the disk is full."""
        return self._store.is_full()

    async def watch(self) -> None:
        """Wait until the journal is broken, though nobody writes just now. Raises StoreBroken: the process ends."""
        await self._store.broken()

    async def verify_rest(self) -> None:
        """Verify, once, what the start left for later. Raises StoreBroken: the next start salvages."""
        wrong = await self._store.verify()
        if wrong is not None:
            raise StoreBroken(f"behind the last anchor: {wrong}")

    async def begin_epoch(self, why: str, at: Instant) -> None:
        """Begin a new epoch; evidence gets a new key with it."""
        await self._store.begin_epoch(why, at)
        self.grown.set()
