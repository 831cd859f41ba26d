"""The tail file when things go wrong around it: a disk without room, torn groups, ruined frames, a lost database.

The law: what was acknowledged is there or is set aside to be issued again, and nothing else is.
"""

import asyncio
import contextlib
import resource
import shutil
import sqlite3
from pathlib import Path
from random import Random

import pytest

from drivers.store import recovery, tables, tail_file, writer
from drivers.store.sqlite import SqliteStore
from terminal.__main__ import main
from terminal.cli import exit_codes
from terminal.core.entries import (
    NOTHING,
    ContentKey,
    Draft,
    FloorLowered,
    Head,
    ParametersChanged,
    Receipt,
    StoredEntry,
    advance,
    begin_epoch,
    decode,
    link,
)
from terminal.core.model import EntryName
from terminal.ports import StoreBroken, StoreFull
from tests.drivers.test_store_sqlite import ridden
from tests.drivers.test_store_sqlite import small_disk as small_disk
from tests.journal_cases import DAY_MS, NOON_MS, TestClock, at, decided, draft, ref


def rides(count: int, first: int = 0) -> list[Draft]:
    """Grants of riders of their own, one millisecond after the other."""
    return [draft(decided(f"rider {number}"), NOON_MS + number) for number in range(first, first + count)]


def opened(directory: Path) -> SqliteStore:
    """The store of the next start."""
    store = SqliteStore(directory, TestClock())
    store.open("T1", at())
    return store


async def together(store: SqliteStore, drafts: list[Draft]) -> list[EntryName]:
    """Handed in in one turn of the loop: one commit, as long as they are not too many."""
    return [entry.name for entry in await asyncio.gather(*(store.append(one) for one in drafts))]


async def receipted(store: SqliteStore) -> None:
    """Head office holds all there is."""
    while run := store.unsent(0, 500, 1 << 20):
        first, last = run[0].name, run[-1].name
        await store.settle(Receipt("T1", first.epoch, first.sequence, last.sequence, run[-1].hash))


async def left_by_a_kill(directory: Path, drafts: list[Draft], receipted_first: int = 0) -> list[StoredEntry]:
    """A journal whose process was killed with these behind the tables, and all its entries."""
    store = opened(directory.with_name("running"))
    if receipted_first:
        await together(store, rides(receipted_first, first=1000))
        await receipted(store)
    for one in drafts:
        await store.append(one)
    assert len(store._owner.projector.tail.entries) == len(drafts)
    shutil.copytree(store.directory, directory)
    with recovery.reading(directory) as journal:
        entries = list(journal.entries())
    await store.close()
    return entries


def quarantined(directory: Path) -> list[int]:
    """Sequence numbers of what waits to be issued again."""
    with contextlib.closing(sqlite3.connect(directory / recovery.DATABASE)) as db:
        found = db.execute("SELECT sequence FROM quarantine WHERE reason = 'behind damage' ORDER BY 1").fetchall()
    return [sequence for (sequence,) in found]


@pytest.fixture
def long_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing goes into the tables only because much waits."""
    monkeypatch.setattr(writer, "TAIL", 1000)
    monkeypatch.setattr(writer, "LONG_TAIL", 1000)


def fill(disk: Path) -> None:
    """Leave no room."""
    with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


# --------------------------------------------------------------------------- no room


def onto_a_full_disk(killed: Path, disk: Path) -> Path:
    """The same files where nothing is free, and no ballast lies."""
    (killed / "ballast").unlink()
    shutil.copytree(killed, disk / "j")
    fill(disk)
    return disk / "j"


async def test_a_start_on_a_full_disk_finds_no_damage_later(small_disk: Path, tmp_path: Path, long_tail: None) -> None:
    """What waits goes into the tables piece by piece; a kill meanwhile, and all is there and nothing is damage."""
    entries = await left_by_a_kill(tmp_path / "killed", rides(200))
    directory = onto_a_full_disk(tmp_path / "killed", small_disk)
    store = opened(directory)
    shutil.copytree(directory, tmp_path / "again")
    assert tables.newest_row(store._reader) == 1 + writer.WHEN_TIGHT
    await store.close()
    again = opened(tmp_path / "again")
    assert again.unsent(0, 500, 1 << 20) == entries
    await again.close()
    assert not list((tmp_path / "again").glob("damaged-*"))


@pytest.mark.parametrize("ballast", [True, False])
async def test_a_full_disk_is_no_damage(small_disk: Path, ballast: bool) -> None:
    """Stopped clean, and not a page is free at the next start: the ballast lends the room to look, or it waits."""
    store = opened(small_disk / "j")
    last = (await together(store, rides(10)))[-1]
    entries = store.unsent(0, 500, 1 << 20)
    await store.close()
    if not ballast:
        (store.directory / "ballast").unlink()
    fill(small_disk)
    store = SqliteStore(store.directory, TestClock())
    if ballast:
        assert store.open("T1", at()).name == last
        assert await store.settle(Receipt("T1", last.epoch, 1, last.sequence, entries[-1].hash)) == 11
        with pytest.raises(StoreFull):
            await store.append(draft())
        await store.close()
    else:
        with pytest.raises(StoreBroken, match="no room"):
            store.open("T1", at())
    (small_disk / "filler").unlink()
    store = opened(store.directory)
    assert (await store.append(draft())).name.sequence == last.sequence + 1
    assert not list(store.directory.glob("damaged-*"))
    await store.close()


async def test_a_lowering_that_waits_lets_nothing_be_pruned_early(
    small_disk: Path, tmp_path: Path, long_tail: None
) -> None:
    """The tables do not hold it yet: what is receipted stays its time all the same."""
    drafts = [*rides(150), draft(FloorLowered(to_ms=NOON_MS, was_ms=NOON_MS + 149), NOON_MS)]
    await left_by_a_kill(tmp_path / "killed", drafts, receipted_first=50)
    store = opened(onto_a_full_disk(tmp_path / "killed", small_disk))
    assert await store.prune(NOON_MS - DAY_MS) == 0
    await store.close()


async def test_what_is_half_in_the_tables_reads_as_one(small_disk: Path, tmp_path: Path, long_tail: None) -> None:
    """A piece is in the tables, the rest behind them: readers see both, and what is written next overwrites none."""
    drafts = [draft(ridden(f"rider {number}"), NOON_MS + number) for number in range(200)]
    entries = await left_by_a_kill(tmp_path / "killed", drafts)
    store = opened(onto_a_full_disk(tmp_path / "killed", small_disk))
    names = [stored.name for stored in entries[1:]]

    def assert_whole() -> None:
        assert [use.name for use in store.uses_from(names[0])] == names
        assert [use.name for use in store.open_uses()] == names
        assert all(store.uses([ref(f"medium rider {number}")], 0) for number in range(len(names)))
        assert store.ledgers([ref("everybody")])[ref("everybody")].sums[0].fen == 200 * len(names)

    assert 0 < len(store._owner.projector.tail.entries) < 200
    assert_whole()
    (small_disk / "filler").unlink()
    names.append((await store.append(draft(ridden("rider 200"), NOON_MS + 200))).name)
    assert store._owner.projector.tail.entries
    shutil.copytree(store.directory, tmp_path / "again")
    assert_whole()
    await store.close()
    store = opened(tmp_path / "again")
    assert_whole()
    await store.close()
    assert not list((tmp_path / "again").glob("damaged-*"))


async def test_a_receipt_on_a_full_disk_counts_for_what_waits(
    small_disk: Path, tmp_path: Path, long_tail: None
) -> None:
    """Head office answers for entries that are not in the tables yet: they go there first."""
    entries = await left_by_a_kill(tmp_path / "killed", rides(200))
    store = opened(onto_a_full_disk(tmp_path / "killed", small_disk))
    last = entries[-1]
    assert await store.settle(Receipt("T1", last.name.epoch, 1, last.name.sequence, last.hash)) == 201
    assert store.head().unsent == 0 and store.unsent(0, 500, 1 << 20) == []
    await store.close()


def test_what_had_no_room_counts_for_nothing(tmp_path: Path) -> None:
    """Half a group fits, and is told as no room: its first entries are not found at the next start."""
    file, (end, links) = tail_file.TailFile(tmp_path / "tail"), chained(rides(20))
    first, group = tail_file.frame(*links[0]), b"".join(tail_file.frame(*link) for link in links[1:])
    assert file.write(first)
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * tail_file.BLOCK, kept[1]))
    try:
        assert not file.write(group)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, kept)
    assert [one.stored.row for one in tail_file.behind((tmp_path / "tail").read_bytes(), end)] == [2]
    assert file.write(group)
    assert [one.stored.row for one in tail_file.behind((tmp_path / "tail").read_bytes(), end)] == list(range(2, 22))
    file.close()


# --------------------------------------------------------------------------- cuts


def chained(drafts: list[Draft]) -> tuple[Head, list[tuple[int, bytes, bytes]]]:
    """A chain's first entry, and behind it rows, bytes and hashes."""
    start, began = begin_epoch(NOTHING, b"an epoch", "first start", at())
    entry, _, digest = link(began, "T1", start.name, start.hash)
    end = head = advance(start, entry, digest)
    links = []
    for one in drafts:
        entry, data, digest = link(one, "T1", head.name, head.hash)
        head = advance(head, entry, digest)
        links.append((head.row, data, digest))
    return end, links


def test_a_torn_commit_takes_nothing_of_the_others(tmp_path: Path) -> None:
    """Cut at every byte, and at every sector in any order: what came before stands, of itself a beginning at most."""
    end, links = chained(rides(12))
    frames = [tail_file.frame(*link) for link in links]
    file = tail_file.TailFile(tmp_path / "tail")
    assert all(file.write(one) for one in frames[:2])
    before = (tmp_path / "tail").read_bytes()[: 5 * tail_file.BLOCK]
    assert file.write(b"".join(frames[2:]))
    after = (tmp_path / "tail").read_bytes()[: 5 * tail_file.BLOCK]
    file.close()
    places = [2 * tail_file.BLOCK + sum(map(len, frames[2:count])) for count in range(2, 13)]
    wholes = places[1:]
    for cut in range(places[0], places[-1] + 1):
        torn = after[:cut] + before[cut:]
        found = [one.stored.row for one in tail_file.behind(torn, end)]
        assert found == list(range(2, 4 + sum(place <= cut for place in wholes)))
        assert tail_file.newest_row(torn) <= max(found)
    random = Random(7)
    sectors = range(places[0], len(after), 512)
    for _ in range(300):
        shuffled = bytearray(before)
        for place in random.sample(sectors, random.randrange(len(sectors))):
            shuffled[place : place + 512] = after[place : place + 512]
        torn = bytes(shuffled)
        same = next((place for place in range(len(after)) if torn[place] != after[place]), len(after))
        found = [one.stored.row for one in tail_file.behind(torn, end)]
        assert found == list(range(2, 4 + sum(place <= same for place in wholes)))


# --------------------------------------------------------------------------- damage


async def test_a_number_behind_the_damage_is_never_given_twice(tmp_path: Path) -> None:
    """A content key and a parameter set that stood in the tail file alone: what is set aside names them."""
    directory, killed = tmp_path / "j", tmp_path / "killed"
    key = ContentKey(number=3, suite="s", office_key="o", sealed_key=b"k")
    drafts = [*rides(2), draft(key), draft(ParametersChanged(version=9, versions={})), *rides(2, first=2)]
    await left_by_a_kill(killed, drafts)
    shutil.copytree(killed, directory)
    raw = bytearray((directory / recovery.TAIL_FILE).read_bytes())
    raw[tail_file.BLOCK + 200] ^= 1  # the second ride
    (directory / recovery.TAIL_FILE).write_bytes(raw)
    store = opened(directory)
    assert (store.head().key_number, store.head().parameter_version) == (3, 9)
    await store.close()
    assert quarantined(directory) == [4, 5, 6, 7]


@pytest.mark.parametrize("bit", range(8))
async def test_a_ruined_frame_costs_only_its_own_entry(tmp_path: Path, bit: int) -> None:
    """Its row is proven too: it takes no other entry's place."""
    directory = tmp_path / "j"
    entries = await left_by_a_kill(directory, rides(20))
    raw = bytearray((directory / recovery.TAIL_FILE).read_bytes())
    raw[9 * tail_file.BLOCK + 15] ^= 1 << bit  # the row of entry 11, lowest byte
    (directory / recovery.TAIL_FILE).write_bytes(raw)
    (directory / recovery.DATABASE).unlink()
    (directory / recovery.LOG).unlink()
    store = opened(directory)
    await store.close()
    assert quarantined(directory) == [stored.name.sequence for stored in entries if stored.row not in (1, 11)]


@pytest.mark.parametrize("what", ["a bit", "a sector", "a block"])
async def test_damage_to_the_tail_file_costs_what_it_hit_at_most(tmp_path: Path, what: str) -> None:
    """Noticed, or nothing changed; all other entries are in place or set aside, and none that was not there."""
    store = opened(tmp_path / "running")
    await together(store, rides(20))
    await receipted(store)
    for count in (1, 9, 1, 25, 1):
        await together(store, rides(count, first=100 * count))
    shutil.copytree(store.directory, tmp_path / "killed")
    await store.close()
    with recovery.reading(tmp_path / "killed") as reading:
        known, newest = {stored.data for stored in reading.entries()}, list(reading.newest)
    raw = (tmp_path / "killed" / recovery.TAIL_FILE).read_bytes()
    places = {stored.data: raw.index(stored.data) for stored in newest}
    random, until = Random(what), max(places.values()) + 512
    size = {"a bit": 1, "a sector": 512, "a block": tail_file.BLOCK}[what]
    for number in range(12):
        directory = tmp_path / f"damaged {number}"
        shutil.copytree(tmp_path / "killed", directory)
        place = random.randrange(until) // size * size
        hit = bytes([raw[place] ^ 1 << random.randrange(8)]) if what == "a bit" else bytes(size)
        (directory / recovery.TAIL_FILE).write_bytes(raw[:place] + hit + raw[place + size :])
        reached = {data for data, begin in places.items() if begin - 56 < place + size and place < begin + len(data)}
        store = opened(directory)
        with contextlib.closing(sqlite3.connect(directory / recovery.DATABASE)) as db:
            noticed = bool(list(directory.glob("damaged-*")))
            stand = db.execute("SELECT data FROM entries").fetchall()[: -2 if noticed else None]
            aside = db.execute("SELECT data FROM quarantine").fetchall()
        await store.close()
        found = [data for (data,) in stand + aside]
        assert len(found) == len(set(found)) and set(found) <= known, (place, hit)
        assert known - set(found) <= reached and (noticed or known == set(found)), (place, hit)
        shutil.rmtree(directory)


async def test_what_was_torn_off_is_never_issued(tmp_path: Path) -> None:
    """Of a group that nobody was told of the middle was torn: its end never counts, whatever is damaged later."""
    directory = tmp_path / "j"
    await left_by_a_kill(tmp_path / "killed", rides(1))
    store = opened(tmp_path / "killed")
    head_file = (store.directory / recovery.HEAD).read_bytes()
    await together(store, rides(40, first=100))
    shutil.copytree(store.directory, directory)
    await store.close()
    (directory / recovery.HEAD).write_bytes(head_file)
    with (directory / recovery.TAIL_FILE).open("r+b") as file:
        file.seek(tail_file.BLOCK)
        file.write(bytes(512))
    store = opened(directory)
    began = store.head().name.sequence
    assert 2 < began < 42
    names = [(await store.append(one)).name for one in rides(3, first=200)]  # rows that were torn off
    assert not list(directory.glob("damaged-*"))
    await store.close()
    with contextlib.closing(sqlite3.connect(directory / recovery.DATABASE)) as db, db:
        db.execute("UPDATE entries SET data = zeroblob(100) WHERE row = ?", (began + 1,))
    with (directory / recovery.TAIL_FILE).open("r+b") as file:
        file.write(bytes(512))  # where the same entry stands
    store = opened(directory)
    with contextlib.closing(sqlite3.connect(directory / recovery.DATABASE)) as db:
        aside = [decode(data) for (data,) in db.execute("SELECT data FROM quarantine").fetchall()]
    assert sorted(entry.name.sequence for entry in aside) == [name.sequence for name in names[1:]]
    assert all(entry.at.utc_ms >= NOON_MS + 200 for entry in aside)
    await store.close()


async def test_what_the_tail_file_still_holds_mends_the_database(tmp_path: Path) -> None:
    """A ruined entry stands there still: nothing is lost, nothing has to be issued again."""
    directory = tmp_path / "j"
    store = opened(directory)
    for one in rides(30):
        await store.append(one)
    entries = list(store.unsent(0, 500, 1 << 20))
    await store.close()
    with contextlib.closing(sqlite3.connect(directory / recovery.DATABASE)) as db, db:
        db.execute("UPDATE entries SET data = zeroblob(100) WHERE row = 12")
    store = opened(directory)
    assert store.unsent(0, 31, 1 << 20) == entries
    await store.close()
    assert quarantined(directory) == []


async def test_a_lowering_is_not_undone_by_an_older_row(tmp_path: Path) -> None:
    """Behind damage rows of both files count in their order: a ruined row's time comes before a later lowering."""
    directory = tmp_path / "j"
    store = opened(directory)
    await store.append(rides(1)[0])
    for one in rides(5, first=5000):
        await store.append(one)
    await store.append(draft(FloorLowered(to_ms=NOON_MS, was_ms=NOON_MS + 5004), NOON_MS))
    await store.close()
    with contextlib.closing(sqlite3.connect(directory / recovery.DATABASE)) as db, db:
        db.execute("UPDATE entries SET data = zeroblob(100) WHERE row = 2")
        db.execute("DELETE FROM entries WHERE row = 4")
    raw = bytearray((directory / recovery.TAIL_FILE).read_bytes())
    raw[200] ^= 1  # row 2 cannot be read here either
    (directory / recovery.TAIL_FILE).write_bytes(raw)
    store = opened(directory)
    assert store.head().floor_ms == NOON_MS
    await store.close()
    assert quarantined(directory) == [3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("head_file", [True, False])
async def test_a_tail_without_its_database_is_no_fresh_start(tmp_path: Path, head_file: bool) -> None:
    """What the tail file alone still holds waits to be issued again."""
    directory = tmp_path / "j"
    entries = await left_by_a_kill(directory, rides(20))
    for name in (recovery.DATABASE, recovery.LOG, recovery.SHARED, *(() if head_file else (recovery.HEAD,))):
        (directory / name).unlink()
    store = opened(directory)
    await store.close()
    assert quarantined(directory) == [stored.name.sequence for stored in entries[1:]]


async def test_a_database_that_was_begun_anew_under_a_tail_is_no_fresh_start(tmp_path: Path) -> None:
    """Somebody put an empty one there, without a head file."""
    directory = tmp_path / "j"
    entries = await left_by_a_kill(directory, rides(20))
    for name in (recovery.DATABASE, recovery.LOG, recovery.SHARED, recovery.HEAD):
        (directory / name).unlink()
    with contextlib.closing(sqlite3.connect(directory / recovery.DATABASE)) as db:
        db.execute("CREATE TABLE theirs (text)")
        db.commit()
    store = opened(directory)
    await store.close()
    assert quarantined(directory) == [stored.name.sequence for stored in entries[1:]]


async def test_a_database_that_ends_before_its_tail_is_damaged(tmp_path: Path) -> None:
    """An older copy of database and head file under a newer tail file: entries between the two are gone."""
    directory = tmp_path / "j"
    store = opened(directory)
    await together(store, rides(10))
    await receipted(store)  # all goes into the tables
    shutil.copytree(directory, tmp_path / "older")
    await together(store, rides(10, first=10))
    await receipted(store)
    newest = await store.append(rides(1, first=20)[0])
    shutil.copy(directory / recovery.TAIL_FILE, tmp_path / "older" / recovery.TAIL_FILE)
    await store.close()
    assert await asyncio.to_thread(main, ["journal", "verify", str(tmp_path / "older")]) == exit_codes.NO
    store = opened(tmp_path / "older")
    await store.close()
    assert list((tmp_path / "older").glob("damaged-*"))
    assert newest.name.sequence in quarantined(tmp_path / "older")
