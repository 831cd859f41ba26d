"""The journal against a plain list of all its entries: whatever was done to it, every reader says what a fold says.

The law: an acknowledged entry is there, once, byte for byte and in its order, whatever was killed when; what stands
beside the entries is what folding them gives, at every moment.
"""

import argparse
import asyncio
import contextlib
import json
import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import Random

import msgspec
import pytest

from drivers.store import recovery, tail, writer
from drivers.store.sqlite import SqliteStore
from terminal.cli import exit_codes, journal
from terminal.core import ledger, projection
from terminal.core.debit import DebitState
from terminal.core.entries import (
    NO_HASH,
    NOTHING,
    Alarm,
    ContentKey,
    DebitSettled,
    Draft,
    Entry,
    EpochBegan,
    Fact,
    FloorLowered,
    LatePassage,
    ParametersChanged,
    PassageUnknown,
    Receipt,
    Refused,
    SignedOff,
    SignedOn,
    StoredEntry,
    Voided,
    advance,
    decode,
    link,
)
from terminal.core.ledger import Added, Anchor, Anchored, Boarded, Ledger, Owed, Where
from terminal.core.loans import Circulated, Circulation, Fate, Replayed, ReplayTried
from terminal.core.model import EntryName, Reason, Ref, Use, UseState
from terminal.core.reissuing import CURABLE, kept_as, reissue
from terminal.ports import StoreBroken, StoreFull
from tests.drivers.test_store_sqlite import small_disk as small_disk
from tests.journal_cases import DAY_MS, NOON_MS, TestClock, annulled, at, decided, draft, intended, ref, walked

RIDERS = [f"rider {number}" for number in range(6)]
REFUSALS = ("unreadable", "conflict", "chain_broken")


class Model:
    """What there is: entries, what has a receipt, what waits in quarantine; and the fold, kept as it goes."""

    def __init__(self) -> None:
        self.head = NOTHING
        self.entries: list[tuple[StoredEntry, Entry]] = []  # that were not pruned
        self.receipted: set[int] = set()  # rows
        self.quarantine: dict[int, tuple[EntryName, str, bytes]] = {}  # by row
        self.uses: dict[int, Use] = {}  # by row
        self.ledgers: dict[Ref, Ledger] = {}
        self.touched: dict[Ref, int] = {}
        self.rows: dict[EntryName, int] = {}

    def add(self, entry: Entry, data: bytes, digest: bytes) -> None:
        """One more, and what it means."""
        self.head = advance(self.head, entry, digest)
        row = self.head.row
        self.entries.append((StoredEntry(row=row, name=entry.name, data=data, hash=digest), entry))
        self.rows[entry.name] = row
        begun, change = projection.begins(entry), projection.changes(entry)
        if begun is not None:
            self.uses[row] = begun
        for effect in projection.effects(entry):
            before = self.ledgers.get(effect.party, ledger.NOTHING)
            self._keep(effect.party, projection.ledger_after(before, effect, entry), entry)
        if change is not None:
            self._change(change, entry)

    def _change(self, change: projection.UseChange, entry: Entry) -> None:
        row = self.rows.get(change.of, 0)
        if row not in self.uses:
            return
        before = self.uses[row]
        use = self.uses[row] = projection.apply(before, change)
        if use.persons_charged != before.persons_charged:
            (grant,) = (found for stored, found in self.entries if stored.row == row)
            for effect in projection.effects(grant):
                kept = self.ledgers.get(effect.party, ledger.NOTHING)
                self._keep(effect.party, projection.ledger_corrected(kept, effect, grant, before, use), entry)

    def _keep(self, party: Ref, after: Ledger, entry: Entry) -> None:
        self.ledgers[party], self.touched[party] = after, entry.at.utc_ms

    def mark(self, receipt: Receipt) -> int:
        """What a receipt covers; how many are new."""
        rows = {stored.row: stored for stored, _ in self.entries if stored.name.epoch == receipt.epoch}
        covered = {row: one for row, one in rows.items() if receipt.first <= one.name.sequence <= receipt.last}
        new = [row for row in covered if row not in self.receipted]
        why = {one.sequence: one.reason for one in receipt.refused}
        for row in new:
            name, data = covered[row].name, covered[row].data
            if name.sequence in why:
                self.quarantine[row] = (name, kept_as(why[name.sequence], data), data)
        self.receipted.update(new)
        self.head = msgspec.structs.replace(self.head, unsent=self.head.unsent - len(new))
        return len(new)

    def prune(self, before_ms: int, at_most: int = writer.PRUNE_AT_ONCE) -> int:
        """The oldest with a receipt."""
        lowered_row = self.head.lowered_row
        lowered = next((entry.at.utc_ms for stored, entry in self.entries if stored.row == lowered_row), 0)
        gone = 0
        for stored, entry in self.entries[: min(at_most, len(self.entries) - 1)]:
            made_ms = min(entry.at.utc_ms, lowered) if stored.row < lowered_row else entry.at.utc_ms
            if stored.row not in self.receipted or made_ms >= before_ms:
                break
            gone += 1
        now_ms = self.entries[-1][1].at.utc_ms
        for stored, entry in self.entries[:gone]:
            self.uses.pop(stored.row, None)
            for effect in projection.effects(entry):
                kept = self.ledgers.get(effect.party)
                if kept is not None and ledger.may_forget(kept, self.touched[effect.party], now_ms):
                    del self.ledgers[effect.party]
        del self.entries[:gone]
        return gone

    def reopened(self) -> None:
        """The floor is of what is left."""
        times = [entry.at.utc_ms for stored, entry in self.entries if stored.row >= self.head.lowered_row]
        self.head = msgspec.structs.replace(self.head, floor_ms=max(times))

    def curable(self, *, of_this_epoch: bool) -> list[int]:
        """Rows in quarantine that are to be issued again."""
        found = sorted(row for row, (_, why, _) in self.quarantine.items() if why in CURABLE)
        here = self.head.name.epoch
        return [row for row in found if (self.quarantine[row][0].epoch == here) is of_this_epoch]

    def unsent(self, from_row: int, limit: int, max_bytes: int) -> list[StoredEntry]:
        """The oldest run."""
        run: list[StoredEntry] = []
        size = 0
        for stored, _ in self.entries:
            if stored.row < from_row or (not run and stored.row in self.receipted):
                continue
            size += len(stored.data)
            follows = stored.row not in self.receipted and stored.name.epoch == (run or [stored])[-1].name.epoch
            if run and (not follows or size > max_bytes or len(run) == limit):
                break
            run.append(stored)
        return run


class Play:
    """One journal and its model, step by step."""

    may_be_full = False
    many = tail.TAIL  # entries that do not wait for ever
    pace_ms: tuple[int, ...] = (1, 1000, 1000, DAY_MS // 4)

    def __init__(self, directory: Path, seed: int) -> None:
        self.random = Random(seed)
        self.model = Model()
        self._directory = directory
        self._now_ms = NOON_MS
        self._lives = 0
        self._key = 0
        self.store = self._opened()
        self._found(1)

    async def step(self) -> None:
        """One thing of many."""
        await self.random.choice(self.steps())()
        self.check()

    def steps(self) -> Sequence[Callable[[], Awaitable[None]]]:
        """What may be done."""
        return (
            self.one, self.one, self.one, self.group, self.group, self.settle, self.settle, self.prune, self.epoch,
            self.reissue, self.quiet, self.kill, self.kill, self.stop,
        )  # fmt: skip

    # ----------------------------------------------------------------------- what is done

    async def one(self) -> None:
        """Some entries one after the other."""
        for _ in range(self.random.choice((1, 1, 3, 30))):
            await self._append(self._drafts(1))

    async def group(self) -> None:
        """Many at once."""
        await self._append(self._drafts(self.random.choice((2, 5, 30, 70, 100))))

    async def settle(self) -> None:
        """A receipt of head office's: some of it, some of it again, some of it refused."""
        run = self.model.unsent(0, self.random.choice((3, 50, 500)), 1 << 20)
        if not run:
            return
        first, last = run[0].name, self.random.choice(run)
        begin = max(1, first.sequence - self.random.choice((0, 0, 5)))
        kinds = [self.random.choice(REFUSALS) if self.random.random() < 0.1 else "" for _ in run]
        refused = [Refused(one.name.sequence, why) for one, why in zip(run, kinds, strict=True) if why]
        told = tuple(one for one in refused if one.sequence <= last.name.sequence)
        receipt = Receipt("T1", first.epoch, begin, last.name.sequence, last.hash, told)
        await self._settle(msgspec.structs.replace(receipt, hash=NO_HASH), 0)
        await self._settle(receipt, self.model.mark(receipt))

    async def _settle(self, receipt: Receipt, marked: int) -> None:
        assert await self.store.settle(receipt) == marked

    async def prune(self) -> None:
        """What is old enough."""
        before_ms = self._now_ms - self.random.choice((0, 1, 40)) * DAY_MS
        await self._prune(before_ms)

    async def _prune(self, before_ms: int) -> None:
        assert await self.store.prune(before_ms) == self.model.prune(before_ms)

    async def epoch(self) -> None:
        """A new one, with its alarm."""
        await self.store.begin_epoch("a test", at(self._now_ms))
        began, alarm = self._found(2)
        assert isinstance(began.fact, EpochBegan) and isinstance(alarm.fact, Alarm)

    async def reissue(self) -> None:
        """What waits in quarantine for that."""
        waiting = self.model.curable(of_this_epoch=False)[: writer.REISSUE_AT_ONCE]
        facts: list[Fact] = [reissue(name, data) for name, _, data in map(self.model.quarantine.__getitem__, waiting)]
        assert await self.store.reissue(at(self._now_ms)) == len(facts)
        for row in waiting:
            del self.model.quarantine[row]
        entries = self._found(len(facts)) if facts else []
        assert [entry.fact for entry in entries] == facts

    async def quiet(self) -> None:
        """Nobody writes: what is asked meanwhile finds the same, wherever the thread has come to."""
        projector = self.store._owner.projector
        async with asyncio.timeout(15):
            while len(projector.tail.entries) >= self.many:
                self.check()
                await asyncio.sleep(0.001)

    async def kill(self) -> None:
        """The process ends at once: its files as they are, and the next one's start."""
        old = self.store
        self._lives += 1
        await self._image(old)
        self.store = self._opened()
        self._reopened()

    async def stop(self) -> None:
        """Closed and opened again."""
        await self.store.close()
        self.store = self._opened()
        self._reopened()

    async def _image(self, old: SqliteStore) -> None:
        shutil.copytree(old.directory, self._life())
        await old.close()
        shutil.rmtree(old.directory)

    def _life(self) -> Path:
        return self._directory / f"life-{self._lives}"

    def _opened(self) -> SqliteStore:
        store = SqliteStore(self._life(), TestClock())
        store.open("T1", at(self._now_ms))
        return store

    def _reopened(self) -> None:
        self.model.reopened()
        assert not list(self._life().glob("damaged-*"))

    def _found(self, count: int) -> list[Entry]:
        """Entries the journal wrote by itself: their bytes are its own, their places are not."""
        with recovery.reading(self._life()) as reading:
            found = list(reading.entries(self.model.head.row))
        entries = [decode(stored.data) for stored in found]
        for stored, entry in zip(found, entries, strict=True):
            epoch = isinstance(entry.fact, EpochBegan)
            before = (0, NO_HASH) if epoch else (self.model.head.name.sequence, self.model.head.hash)
            assert (entry.name.sequence - 1, entry.previous) == before
            self.model.add(entry, stored.data, stored.hash)
        assert len(found) == count
        return entries

    # ----------------------------------------------------------------------- entries

    async def _append(self, drafts: Sequence[Draft]) -> None:
        outcomes = await asyncio.gather(*(self.store.append(one) for one in drafts), return_exceptions=True)
        for one, entry in zip(drafts, outcomes, strict=True):
            if isinstance(entry, StoreFull) and self.may_be_full:
                continue
            assert not isinstance(entry, BaseException), entry
            again, data, digest = link(one, "T1", self.model.head.name, self.model.head.hash)
            assert again == entry
            self.model.add(entry, data, digest)

    def _drafts(self, count: int) -> list[Draft]:
        """Drafts that may name one another."""
        drafts, rides = [], [use.name for use in self.model.uses.values() if use.name][-40:]
        waits = [one.of for one in ledger.waiting(self.model.ledgers)]
        for place in range(1, count + 1):
            self._now_ms += self.random.choice(self.pace_ms)
            name = EntryName(self.model.head.name.epoch, self.model.head.name.sequence + place)
            if self.random.random() < 0.6 or not rides:
                fact: Fact = self._ride()
                rides.append(name)
            else:
                fact = self._other(self.random.choice(rides), self.random.choice(waits or rides))
            if isinstance(fact, Circulated):
                waits.append(name)
            drafts.append(draft(fact, self._now_ms))
        return drafts

    def _ride(self) -> Fact:
        who, random = self.random.choice(RIDERS), self.random
        own, everybody = ref(f"medium {who}"), ref("everybody")
        window = ledger.FIRST_DAY + self._now_ms // DAY_MS
        anchor = Anchor(id="transfer", first_ms=self._now_ms, last_ms=self._now_ms)
        effects = (
            Added(party=own, id="day", window=window, fen=200, count=1),
            Added(party=everybody, id="day", window=window, fen=200, count=1),
            Anchored(party=own, anchor=anchor),
            Boarded(party=own, product="adult"),
            Owed(party=own, fen=200, graces=1),
        )
        ride = decided(
            who, code=str(random.random()), charged=random.random() < 0.9, persons=random.choice((1, 1, 3)),
            sensor=random.random() < 0.7,
        )  # fmt: skip
        return msgspec.structs.replace(ride, effects=tuple(random.sample(effects, random.randrange(5))))

    def _other(self, ride: EntryName, waits: EntryName) -> Fact:
        random, who = self.random, self.random.choice(RIDERS)
        medium = ref(f"medium {who}")
        self._key += 1
        debit = self.model.ledgers.get(medium, ledger.NOTHING).debit
        facts: list[Fact] = [
            walked(ride, random.randrange(4)), annulled(ride, random.randrange(2)), PassageUnknown(of=ride),
            LatePassage(lane="gate", of=ride, passed=1), Voided(who="a driver", why="a mistake", of=ride),
            intended(who), SignedOn(who=who, where=Where(vehicle="7")), SignedOff(who=who),
            ContentKey(number=self._key, suite="s", office_key="o", sealed_key=b"k"),
            ParametersChanged(version=random.randrange(9), versions={}), Alarm(kind="test", detail="a test"),
            Circulated(lane="desk", what=Circulation.LENT, reason=Reason.PAID, waits=True),
            ReplayTried(of=waits, due="tomorrow"),
            Replayed(of=waits, fate=random.choice(list(Fate)), reason=Reason.PAID),
        ]  # fmt: skip
        if debit is not None:
            facts += [DebitSettled("gate", debit.of, medium, random.choice(list(DebitState)), "restart")] * 3
        if random.random() < 0.05:
            was_ms, self._now_ms = self._now_ms, self._now_ms - random.choice((1, 50)) * DAY_MS
            return FloorLowered(to_ms=self._now_ms, was_ms=was_ms)
        return random.choice(facts)

    # ----------------------------------------------------------------------- what is read

    def check(self) -> None:
        """Every reader says what the model says."""
        store, model, random = self.store, self.model, self.random
        assert store.head() == model.head
        uses = model.uses.values()
        keys = [ref(f"medium {who}") for who in random.sample(RIDERS, 2)]
        since_ms = self._now_ms - random.choice((0, 1, 1000)) * DAY_MS
        expected = [use for use in uses if projection.keys(use) & set(keys) and use.at_ms >= since_ms]
        assert sorted(store.uses(keys, since_ms), key=str) == sorted(expected, key=str)
        assert list(store.open_uses()) == [use for use in uses if use.state is UseState.RESERVED]
        parties = [*map(ref, ("everybody", "nobody")), *keys, ledger.SHIFT]
        assert store.ledgers(parties) == {one: model.ledgers[one] for one in parties if one in model.ledgers}
        assert sorted(store.doubts()) == sorted(ledger.doubts(model.ledgers))
        assert store.waiting() == ledger.waiting(model.ledgers)
        assert store.needs_new_epoch() == bool(model.curable(of_this_epoch=True))
        stored, _ = random.choice(model.entries)
        assert [*store.uses_from(stored.name)] == [use for row, use in model.uses.items() if row >= stored.row]
        assert store.holds(stored.name, stored.hash) and not store.holds(stored.name, NO_HASH)
        for from_row in (0, stored.row):
            asked = (from_row, random.choice((1, 7, 500)), random.choice((1, 5000, 1 << 20)))
            assert store.unsent(*asked) == model.unsent(*asked), asked
        with recovery.reading(self._life()) as reading:
            assert list(reading.entries()) == [one for one, _ in model.entries]
            assert reading.at(stored.row) == stored and reading.newest_row() == model.head.row

    def verified(self) -> argparse.Namespace:
        """What `terminal journal verify` is asked."""
        return argparse.Namespace(action="verify", path=self._life(), json=True)


class FullDisk(Play):
    """The same where there is no room now and then: entries are refused, and nothing else changes."""

    may_be_full = True
    pace_ms = (1, 1000)  # no ledger says nothing any more

    def __init__(self, disk: Path, seed: int) -> None:
        self._disk, self.failed = disk, False  # to open: in a process that lives on it holds what it had opened
        super().__init__(disk, seed)

    def steps(self) -> Sequence[Callable[[], Awaitable[None]]]:
        """Also somebody else's files, there and gone."""
        return (*super().steps(), self.fill, self.fill, self.free)

    async def fill(self) -> None:
        """Somebody takes all the room there is."""
        with contextlib.suppress(OSError), (self._disk / "filler").open("ab", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    async def free(self) -> None:
        """Somebody gives it back."""
        (self._disk / "filler").unlink(missing_ok=True)

    async def _settle(self, receipt: Receipt, marked: int) -> None:
        try:
            assert await self.store.settle(receipt) == marked
        except StoreFull:  # a part of it may be marked
            await self.free()
            assert await self.store.settle(receipt) <= marked

    async def _prune(self, before_ms: int) -> None:
        try:
            gone = await self.store.prune(before_ms)
        except StoreFull:
            await self.free()
            return
        assert gone == self.model.prune(before_ms, gone)

    async def epoch(self) -> None:
        """See above, or refused."""
        with contextlib.suppress(StoreFull):
            await super().epoch()

    async def reissue(self) -> None:
        """See above, or refused."""
        with contextlib.suppress(StoreFull):
            await super().reissue()

    async def quiet(self) -> None:
        """Piece by piece it goes into the tables, as far as there is room."""
        for _ in range(30):
            self.check()
            await asyncio.sleep(0.005)

    async def _image(self, old: SqliteStore) -> None:
        """Two do not lie there side by side; the ballast's place may be gone before the next start."""
        outside = self._disk.with_name("outside")
        shutil.copytree(old.directory, outside)
        await old.close()
        shutil.rmtree(old.directory)
        if self.random.random() < 0.5:
            (outside / "ballast").unlink(missing_ok=True)
        await self.free()
        shutil.copytree(outside, self._life())
        shutil.rmtree(outside)
        if self.random.random() < 0.7:
            await self.fill()

    def _opened(self) -> SqliteStore:
        try:
            return super()._opened()
        except StoreBroken as error:  # not a page is left for it
            if "full" not in str(error):
                raise
            self.failed = True
            (self._disk / "filler").unlink()
            return super()._opened()


@pytest.mark.parametrize("small_disk", [9], indirect=True)
@pytest.mark.parametrize("seed", range(8))
async def test_on_a_full_disk_nothing_is_lost_and_nothing_forgotten(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Filled, killed, opened again without room; with room again all goes on."""
    if seed % 2 == 0:  # what waits is not drained before the disk is full
        monkeypatch.setattr(writer, "LONG_TAIL", 1000)
        monkeypatch.setattr(writer, "TAIL", 1000)
    play = FullDisk(small_disk, seed)
    for _ in range(50):
        if not play.failed:
            await play.step()
    await play.free()
    head = play.model.head
    async with asyncio.timeout(15):
        while play.model.head == head:
            await play.one()
    play.check()
    await play.store.close()


@pytest.mark.parametrize("seed", range(12))
async def test_every_reader_says_what_a_fold_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    """Whatever was done, whenever it was killed; in every third play what waits is little."""
    if seed % 3 == 0:
        monkeypatch.setattr(tail, "LONGEST_TAIL", 40)
        monkeypatch.setattr(writer, "LONG_TAIL", 20)
        monkeypatch.setattr(writer, "TAIL", 5)
    play = Play(tmp_path, seed)
    play.many = 5 if seed % 3 == 0 else tail.TAIL
    for _ in range(45):
        await play.step()
    assert journal.run(play.verified()) == exit_codes.OK
    told = json.loads(capsys.readouterr().out)
    assert (told["entries"], told["hash"]) == (len(play.model.entries), play.model.head.hash.hex())
    await play.store.close()
