"""What every store promises: the SQLite journal and the disk in memory answer alike."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from drivers.store.sqlite import SqliteStore
from simulators.store import Disk, SimulatedStore
from terminal.core.debit import DebitState
from terminal.core.entries import (
    NO_HASH,
    Alarm,
    ContentKey,
    DebitIntended,
    DebitSettled,
    Decided,
    EpochBegan,
    FloorLowered,
    ParametersChanged,
    PassageUnknown,
    Receipt,
    Refused,
    Reissued,
    SignedOn,
    Voided,
    check_link,
    decode,
)
from terminal.core.ledger import SHIFT, Added, Ledger, Shift, Sum, Where
from terminal.core.loans import Circulated, Circulation, Fate, ListSettled, Replayed, ReplayTried
from terminal.core.model import EntryName, Reason, Ref, UseState
from terminal.ports import Store, StoreBroken
from tests.journal_cases import DAY_MS, NOON_MS, TestClock, annulled, at, decided, draft, intended, ref, walked

Make = Callable[[], Store]


@pytest.fixture(params=["sqlite", "simulated"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Each call opens the same journal anew, as a restart would."""
    disk = Disk(latency_s=0.0005)
    return (lambda: SqliteStore(tmp_path, TestClock())) if request.param == "sqlite" else (lambda: SimulatedStore(disk))


def receipt(store: Store, first: int, last: int, *refused: Refused, digest: bytes | None = None) -> Receipt:
    run = store.unsent(0, 10_000, 1 << 30)
    hashes = {stored.name.sequence: stored.hash for stored in run}
    epoch = run[0].name.epoch
    return Receipt(terminal="T1", epoch=epoch, first=first, last=last, hash=digest or hashes[last], refused=refused)


def _adding(who: str, code: str, party: Ref) -> Decided:
    effects = (Added(party=party, id="day", window=9, fen=200, count=1),)
    return msgspec.structs.replace(decided(who, code=code, sensor=False), effects=effects)


class TestStore:
    async def test_first_start(self, make: Make) -> None:
        """A new journal begins with an epoch that follows nothing."""
        store = make()
        head = store.open("T1", at())
        (first,) = store.unsent(0, 10, 1000)
        assert decode(first.data).fact == EpochBegan(previous=None, previous_hash=NO_HASH, why="first start")
        assert (head.name.sequence, head.row, head.unsent, head.hash) == (1, 1, 1, first.hash)
        await store.close()

    async def test_chain_across_restart(self, make: Make) -> None:
        """Entries are gapless and chained, also across a restart; nothing acknowledged is missing."""
        names = []
        for _ in range(3):
            store = make()
            store.open("T1", at())
            names += [(await store.append(draft())).name for _ in range(5)]
            await store.close()
        store = make()
        store.open("T1", at())
        run = store.unsent(0, 100, 1 << 20)
        last, digest = EntryName(epoch=run[0].name.epoch, sequence=0), NO_HASH
        for stored in run:
            check_link(stored, last, digest)
            last, digest = stored.name, stored.hash
        assert [stored.name for stored in run][1:] == names
        assert store.head().hash == digest
        await store.close()

    async def test_many_at_once(self, make: Make) -> None:
        """Appends that wait together are all written, each under its own number."""
        store = make()
        store.open("T1", at())
        entries = await asyncio.gather(*(store.append(draft(decided(f"rider {n}"))) for n in range(200)))
        assert sorted(entry.name.sequence for entry in entries) == list(range(2, 202))
        await store.close()

    async def test_uses(self, make: Make) -> None:
        """A use is found by code, twin, medium and account, once, and not beyond the horizon."""
        store = make()
        store.open("T1", at())
        entry = await store.append(draft(decided("anna")))
        await store.append(draft(decided("bert", charged=False)))
        names = ("code anna 1", "twin anna 1", "medium anna", "account anna")
        for name in names:
            assert [use.name for use in store.uses([ref(name)], 0)] == [entry.name]
        assert len(store.uses([ref(name) for name in names], NOON_MS)) == 1
        assert store.uses([ref(name) for name in names], NOON_MS + 1) == []
        assert store.uses([ref("medium bert")], 0) == []
        await store.close()

    async def test_ledgers(self, make: Make) -> None:
        """Effects add up for each party, a void takes its own back, and a restart remembers."""
        store = make()
        store.open("T1", at())
        anna, bert = ref("medium anna"), ref("medium bert")
        rides = [
            await store.append(draft(_adding("anna", "1", anna))),
            await store.append(draft(_adding("bert", "1", bert))),
        ]
        rides.append(await store.append(draft(_adding("anna", "2", anna))))
        await store.append(draft(Voided(who="7", why="wrong key", of=rides[0].name)))
        await store.append(draft(Voided(who="7", why="twice", of=rides[0].name)))
        before = store.ledgers((anna,))
        assert [one.sums for one in before.values()] == [(Sum(id="day", window=9, fen=200, count=1),)]
        signed_on = (await store.append(draft(SignedOn(who="7", where=Where(line="12"))))).name
        await store.close()
        store = make()
        store.open("T1", at())
        kept = store.ledgers((anna, bert, ref("nobody"), SHIFT))
        assert {party: one.sums for party, one in kept.items() if party != SHIFT} == {
            anna: (Sum(id="day", window=9, fen=200, count=1),),
            bert: (Sum(id="day", window=9, fen=200, count=1),),
        }
        assert kept[SHIFT] == Ledger(shift=Shift(who="7", at_ms=NOON_MS, where=Where(line="12"), of=signed_on))
        assert [use.name for use in store.uses_from(rides[1].name)] == [rides[1].name, rides[2].name]
        await store.close()

    async def test_ledgers_are_forgotten_when_they_say_nothing_any_more(self, make: Make) -> None:
        """With the entries of a month ago, unless somebody rode since."""
        store = make()
        store.open("T1", at())
        anna, bert = ref("medium anna"), ref("medium bert")
        for who in ("anna", "bert"):
            await store.append(draft(_adding(who, "1", ref(f"medium {who}"))))
        await store.append(draft(_adding("bert", "2", bert), NOON_MS + 40 * DAY_MS))
        await store.settle(receipt(store, 1, 4))
        await store.append(draft(decided("caro"), NOON_MS + 40 * DAY_MS))
        while await store.prune(NOON_MS + DAY_MS):
            pass
        assert list(store.ledgers((anna, bert))) == [bert]
        await store.close()

    async def test_doubts(self, make: Make) -> None:
        """A debit nobody heard the end of is found again at the next start; one that was told is not told twice."""
        store = make()
        store.open("T1", at())
        entries = [await store.append(draft(intended(who))) for who in ("anna", "bert", "cleo")]
        for entry, state in zip(entries, (DebitState.DONE, DebitState.UNKNOWN), strict=False):
            assert isinstance(entry.fact, DebitIntended)
            fact = DebitSettled(lane="gate", of=entry.name, medium_ref=entry.fact.medium_ref, state=state, why="answer")
            await store.append(draft(fact))
        await store.close()
        store = make()
        store.open("T1", at())
        ((party, debit),) = store.doubts()
        assert (party, debit.of) == (ref("medium cleo"), entries[2].name)
        kept = store.ledgers((ref("medium bert"),))[ref("medium bert")].debit
        assert kept is not None and kept.state is DebitState.UNKNOWN
        await store.close()

    async def test_waiting(self, make: Make) -> None:
        """What a library system was not told of is found again at every start, until it was told or a librarian was."""
        store = make()
        store.open("T1", at())
        loan = Circulated(lane="desk", what=Circulation.LENT, reason=Reason.BORROWED_OFFLINE, waits=True, sealed=b"1")
        first, second, third, fourth = [(await store.append(draft(loan))).name for _ in range(4)]
        await store.append(draft(ReplayTried(of=first, due="D")))
        await store.append(draft(Replayed(of=second, fate=Fate.DONE, reason=Reason.BORROWED)))
        await store.append(draft(Replayed(of=third, fate=Fate.LISTED, reason=Reason.LOAN_REFUSED, sealed=b"no")))
        undone = Circulated(
            lane="desk", what=Circulation.UNDONE, reason=Reason.BOOK_NOT_RELEASED, of=fourth, cancels=True
        )
        await store.append(draft(undone))
        await store.close()
        store = make()
        store.open("T1", at())
        tried, listed = store.waiting()
        assert (tried.of, tried.tried_ms, tried.tried_due, tried.sealed) == (first, NOON_MS, "D", b"1")
        assert (listed.of, listed.listed, listed.words) == (third, Reason.LOAN_REFUSED, b"no")
        await store.append(draft(ListSettled(who="7", of=third, why="the reader was called")))
        await store.append(draft(Replayed(of=first, fate=Fate.ALREADY, reason=Reason.BORROWED)))
        assert store.waiting() == []
        await store.close()

    async def test_what_waits_outlives_its_entry(self, make: Make) -> None:
        """A receipt for its entry does not tell the library system: pruned away, it still waits."""
        store = make()
        store.open("T1", at())
        loan = Circulated(lane="desk", what=Circulation.LENT, reason=Reason.BORROWED_OFFLINE, waits=True)
        name = (await store.append(draft(loan))).name
        await store.append(draft(decided("caro"), NOON_MS + 40 * DAY_MS))
        await store.settle(receipt(store, 1, 3))
        await store.append(draft(decided("caro"), NOON_MS + 40 * DAY_MS))
        while await store.prune(NOON_MS + DAY_MS):
            pass
        assert [one.of for one in store.waiting()] == [name]
        await store.append(draft(Replayed(of=name, fate=Fate.DONE, reason=Reason.BORROWED), NOON_MS + 41 * DAY_MS))
        assert store.waiting() == []
        await store.close()

    async def test_what_becomes_of_uses(self, make: Make) -> None:
        """Walking, annulling and not knowing change the use, and a restart remembers it."""
        store = make()
        store.open("T1", at())
        group = (await store.append(draft(decided("group", persons=5)))).name
        single = (await store.append(draft(decided("single")))).name
        lost = (await store.append(draft(decided("lost")))).name
        assert [use.name for use in store.open_uses()] == [group, single, lost]
        await store.append(draft(walked(group, 3)))
        await store.append(draft(annulled(group, 3)))
        await store.append(draft(walked(single)))
        await store.append(draft(PassageUnknown(of=lost)))
        await store.append(draft(walked(EntryName(epoch=bytes(8), sequence=9))))  # of nothing we know
        await store.close()
        store = make()
        store.open("T1", at())
        found = {name: store.uses([ref(f"medium {name}")], 0)[0] for name in ("group", "single", "lost")}
        assert (found["group"].state, found["group"].passed, found["group"].persons_charged) == (
            UseState.ANNULLED,
            3,
            3,
        )
        assert (found["single"].state, found["lost"].state) == (UseState.COMMITTED, UseState.UNKNOWN)
        assert store.open_uses() == []
        await store.close()

    async def test_settle(self, make: Make) -> None:
        """A receipt marks its run once; a refused entry does not come again; another hash marks nothing."""
        store = make()
        store.open("T1", at())
        for _ in range(9):
            await store.append(draft())
        assert await store.settle(receipt(store, 2, 4, digest=bytes(32))) == 0
        answer = receipt(store, 2, 4, Refused(sequence=3, reason="unknown"))
        assert [await store.settle(answer), await store.settle(answer)] == [3, 0]
        assert store.head().unsent == 7
        assert [stored.name.sequence for stored in store.unsent(0, 100, 1 << 20)] == [1]
        assert [stored.name.sequence for stored in store.unsent(2, 100, 1 << 20)] == [5, 6, 7, 8, 9, 10]
        await store.close()
        store = make()
        assert store.open("T1", at()).unsent == 7
        await store.close()

    async def test_receipts_in_any_order(self, make: Make) -> None:
        """The newest first, the backlog behind it, one again: what has none is found, and counted, at every step."""
        store = make()
        store.open("T1", at())
        for _ in range(11):
            await store.append(draft())
        kept = set(range(1, 13))
        runs = ((9, 10), (1, 3), (6, 7), (4, 8), (2, 5), (12, 12), (11, 11))
        for answer in [receipt(store, first, last) for first, last in runs]:
            kept -= set(range(answer.first, answer.last + 1))
            await store.settle(answer)
            found, row = list[int](), 0
            while run := store.unsent(row, 100, 1 << 20):
                found += [stored.row for stored in run]
                row = run[-1].row + 1
            assert found == sorted(kept) and store.head().unsent == len(kept)
        await store.close()
        store = make()
        assert store.open("T1", at()).unsent == 0
        await store.append(draft())
        assert [stored.row for stored in store.unsent(0, 100, 1 << 20)] == [13]
        await store.close()

    async def test_run_bounds(self, make: Make) -> None:
        """A run keeps to its number and bytes, but one entry is always given."""
        store = make()
        store.open("T1", at())
        for _ in range(4):
            await store.append(draft())
        assert len(store.unsent(0, 3, 1 << 20)) == 3
        assert len(store.unsent(2, 3, 1)) == 1
        size = len(store.unsent(2, 1, 1)[0].data)
        assert len(store.unsent(2, 9, 2 * size)) == 2
        assert store.unsent(99, 9, 1000) == []
        await store.close()

    async def test_new_epoch(self, make: Make) -> None:
        """A new epoch names its predecessor, raises an alarm, and a run never crosses it."""
        store = make()
        before = store.open("T1", at())
        await store.append(draft())
        before = store.head()
        await store.begin_epoch("head office is ahead", at())
        entry = await store.append(draft())
        assert entry.name.sequence == 3 and entry.name.epoch != before.name.epoch
        assert len(store.unsent(0, 100, 1 << 20)) == 2
        began, alarm, _ = (decode(stored.data).fact for stored in store.unsent(3, 100, 1 << 20))
        assert began == EpochBegan(previous=before.name, previous_hash=before.hash, why="head office is ahead")
        assert isinstance(alarm, Alarm)
        await store.close()
        store = make()
        assert store.open("T1", at()).name == entry.name
        assert store.holds(before.name, before.hash)
        assert not store.holds(before.name, entry.previous)
        await store.close()

    async def test_reissue(self, make: Make) -> None:
        """What is misplaced is issued again in a later epoch, once and whole, also after a restart; nothing else is."""
        store = make()
        store.open("T1", at())
        for _ in range(4):
            await store.append(draft())
        told = [Refused(sequence=2, reason="conflict"), Refused(sequence=3, reason="unreadable")]
        conflicting = store.unsent(2, 1, 1000)[0]
        await store.settle(receipt(store, 1, 5, *told, Refused(sequence=5, reason="chain_broken")))
        assert await store.reissue(at()) == 0 and store.needs_new_epoch()
        await store.begin_epoch("head office is ahead", at())
        await store.close()
        store = make()
        store.open("T1", at())
        assert not store.needs_new_epoch()
        assert [await store.reissue(at()), await store.reissue(at())] == [2, 0]
        facts = [decode(stored.data).fact for stored in store.unsent(8, 9, 1 << 20)]
        assert facts[0] == Reissued(was=conflicting.name, data=conflicting.data)
        assert isinstance(facts[1], Reissued) and facts[1].was.sequence == 5
        await store.settle(receipt(store, 1, 4, Refused(sequence=3, reason="conflict")))
        for times in (2, 3):
            assert store.needs_new_epoch()
            await store.begin_epoch("and again", at())
            assert await store.reissue(at()) == 1
            fact = decode(store.unsent(10, 9, 1 << 20)[-1].data).fact
            assert fact == Reissued(was=conflicting.name, data=conflicting.data, times=times)
            await store.settle(receipt(store, 1, 3, Refused(sequence=3, reason="conflict")))
        assert not store.needs_new_epoch(), "it would be issued again for ever"
        await store.close()

    async def test_prune(self, make: Make) -> None:
        """Only receipted entries are forgotten; the chain goes on from the anchor, the newest entry always stays."""
        store = make()
        store.open("T1", at())
        for number in range(6):
            await store.append(draft(decided(f"rider {number}"), NOON_MS + number))
        assert await store.prune(NOON_MS + DAY_MS) == 0
        await store.append(draft(ParametersChanged(version=7, versions={})))
        await store.settle(receipt(store, 1, 5))
        kept = store.unsent(0, 1, 1)[0]
        assert await store.prune(NOON_MS + 3) == 4
        assert store.uses([ref("medium rider 0")], 0) == []
        assert len(store.uses([ref("medium rider 3")], 0)) == 1
        assert store.unsent(0, 1, 1)[0] == kept
        await store.close()
        store = make()
        head = store.open("T1", at())
        assert (head.name.sequence, head.unsent, head.parameter_version) == (8, 3, 7)
        await store.settle(receipt(store, 6, 8))
        assert await store.prune(NOON_MS + DAY_MS) == 3
        assert store.holds(head.name, head.hash)
        await store.close()
        store = make()
        assert store.open("T1", at()).name.sequence == 8
        assert (await store.append(draft())).name.sequence == 9
        await store.close()

    async def test_floors(self, make: Make) -> None:
        """The head remembers the greatest time, parameter version and key number, restarts included."""
        store = make()
        store.open("T1", at())
        await store.append(draft(ParametersChanged(version=12, versions={"tariff": 3}), NOON_MS + 5000))
        await store.append(draft(ContentKey(number=4, suite="x", office_key="k", sealed_key=b"k")))
        await store.append(draft(ParametersChanged(version=11, versions={})))
        await store.close()
        store = make()
        head = store.open("T1", at())
        assert (head.floor_ms, head.parameter_version, head.key_number) == (NOON_MS + 5000, 12, 4)
        await store.close()

    async def test_a_lowered_floor_stays_down(self, make: Make) -> None:
        """Ten years ahead, lowered, and gone on from there: after a restart the floor is where it was."""
        store = make()
        store.open("T1", at())
        await store.append(draft(ms=NOON_MS + 10**11))
        assert store.head().floor_ms == NOON_MS + 10**11
        await store.append(draft(FloorLowered(to_ms=NOON_MS + 5, was_ms=NOON_MS + 10**11), NOON_MS + 5))
        await store.append(draft(ms=NOON_MS + 7))
        assert store.head().floor_ms == NOON_MS + 7
        await store.close()
        store = make()
        assert store.open("T1", at()).floor_ms == NOON_MS + 7
        await store.close()

    async def test_what_a_clock_wrote_ahead_is_pruned_in_its_turn(self, make: Make) -> None:
        """Ten years ahead, lowered: what stands before the lowering is no newer than it, and stops nothing."""
        store = make()
        store.open("T1", at())
        await store.append(draft(ms=NOON_MS + 10**11))
        await store.append(draft(FloorLowered(to_ms=NOON_MS + 5, was_ms=NOON_MS + 10**11), NOON_MS + 5))
        await store.append(draft(ms=NOON_MS + 7))
        await store.settle(receipt(store, 1, store.head().name.sequence))
        assert await store.prune(NOON_MS + 5) == 1
        assert await store.prune(NOON_MS + 6) == 2
        assert await store.prune(NOON_MS + DAY_MS) == 0
        await store.close()

    async def test_one_terminal(self, make: Make) -> None:
        """A second terminal on the same journal is refused; after the first has closed it is not."""
        first, second = make(), make()
        first.open("T1", at())
        with pytest.raises(StoreBroken, match="in use"):
            second.open("T1", at())
        await first.close()
        second.open("T1", at())
        await second.close()

    async def test_cancelled_waiter(self, make: Make) -> None:
        """An append whose caller went away still stands, and the next one follows it."""
        store = make()
        store.open("T1", at())
        task = asyncio.ensure_future(store.append(draft()))
        await asyncio.sleep(0)
        task.cancel()
        assert (await store.append(draft())).name.sequence == 3
        await store.close()
