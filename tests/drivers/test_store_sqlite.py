"""The SQLite journal against what really happens to files and processes."""

import asyncio
import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import apsw
import msgspec
import pytest

from drivers.store import recovery, salvage, schema, sqlite, tables, tail, writer
from drivers.store.head_file import SLOT, HeadFile, peek
from drivers.store.sqlite import SqliteStore
from terminal.core.entries import Alarm, Decided, EpochBegan, Fact, Receipt, decode
from terminal.core.ledger import Added, Sum
from terminal.core.model import EntryName, UseState
from terminal.ports import StoreBroken, StoreFull
from tests.journal_cases import NOON_MS, TestClock, annulled, at, decided, draft, ref

ROOT = Path(__file__).resolve().parents[2]


def ridden(who: str) -> Decided:
    """A grant that adds to its rider's sum, and to everybody's."""
    own, all_ = (Added(party=ref(party), id="day", window=9, fen=200) for party in (f"medium {who}", "everybody"))
    return msgspec.structs.replace(decided(who), effects=(own, all_))


async def write(directory: Path, count: int, *, clean: bool = True) -> list[EntryName]:
    """Write entries; with clean=False the files are left as a killed process leaves them."""
    store = SqliteStore(directory, TestClock())
    store.open("T1", at())
    names = [(await store.append(draft(ridden(f"rider {number}")))).name for number in range(count)]
    if not clean:
        image = directory.with_name(directory.name + "-cut")
        shutil.copytree(directory, image)
    await store.close()
    if not clean:
        shutil.rmtree(directory)
        image.rename(directory)
    return names


async def test_an_entry_touches_no_page(tmp_path: Path) -> None:
    """It goes into the tail file; what works on the tables finds it there, and the tail file begins anew."""
    store = SqliteStore(tmp_path / "j", TestClock())
    store.open("T1", at())
    db, tail_path = store._owner._db, tmp_path / "j" / recovery.TAIL_FILE
    before, size = db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP), tail_path.stat().st_size
    entries = [await store.append(draft(decided(f"rider {number}"))) for number in range(20)]
    assert db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP) == before and tail_path.stat().st_size == size
    run = store.unsent(0, 500, 1 << 20)
    assert [stored.name for stored in run[-20:]] == [entry.name for entry in entries]
    assert store.holds(run[-1].name, run[-1].hash) and not store.holds(run[-1].name, run[-2].hash)
    last = run[-1].name
    assert await store.settle(Receipt("T1", last.epoch, 1, last.sequence, run[-1].hash)) == 21
    assert store.unsent(0, 500, 1 << 20) == [] and store.holds(last, run[-1].hash)
    newest = await store.append(draft())
    with recovery.reading(tmp_path / "j") as journal:
        assert [stored.name for stored in journal.newest] == [newest.name]
        assert [stored.row for stored in journal.entries(20)] == [21, 22] and journal.newest_row() == 22
    await store.close()


async def reopen(directory: Path) -> tuple[list[Fact], list[Path]]:
    """Facts of the newest epoch's beginning, and the copies that were kept."""
    store = SqliteStore(directory, TestClock())
    head = store.open("T1", at())
    facts = [decode(one.data).fact for one in store.unsent(head.row - 1, 2, 1 << 20)]
    await store.append(draft())
    await store.close()
    return facts, sorted(directory.glob("damaged-*"))


def assert_damage(facts: list[Fact], copies: list[Path], expected: str) -> None:
    began, alarm = facts
    assert isinstance(began, EpochBegan) and began.why.startswith("damage: ") and expected in began.why
    assert isinstance(alarm, Alarm) and alarm.kind == "journal_damage"
    assert len(copies) == 1


async def test_pragmas_are_read_back(tmp_path: Path) -> None:
    """The writer's connection really runs WAL and FULL."""
    store = SqliteStore(tmp_path, TestClock())
    store.open("T1", at())
    db = store._owner._db
    assert (db.pragma("journal_mode"), db.pragma("synchronous")) == ("wal", 2)
    await store.close()


def test_guard_refused() -> None:
    """A connection that does not keep a guard is refused: a database in memory has no WAL."""
    with pytest.raises(ValueError, match="journal_mode=WAL"):
        sqlite._require(apsw.Connection(":memory:"), "journal_mode", "WAL", "wal")


async def test_newer_schema(tmp_path: Path) -> None:
    """A journal of a newer program is refused, not guessed at."""
    await write(tmp_path / "j", 1)
    with contextlib.closing(sqlite3.connect(tmp_path / "j" / "journal.db")) as db:
        db.execute(f"PRAGMA user_version={schema.VERSION + 1}")
    with pytest.raises(StoreBroken, match="schema"):
        SqliteStore(tmp_path / "j", TestClock()).open("T1", at())


async def test_clean_and_killed_start(tmp_path: Path) -> None:
    """After a stop or a kill the next start finds all that was acknowledged, and no damage."""
    for clean in (True, False):
        directory = tmp_path / str(clean)
        names = await write(directory, 30, clean=clean)
        store = SqliteStore(directory, TestClock())
        assert store.open("T1", at()).name == names[-1]
        await store.close()
        assert not list(directory.glob("damaged-*"))


WRITER = """
import asyncio, sys
from pathlib import Path
from drivers.store.sqlite import SqliteStore
from tests.journal_cases import TestClock, at, draft
async def main():
    store = SqliteStore(Path(sys.argv[1]), TestClock())
    store.open("T1", at())
    while True:
        entry = await store.append(draft())
        print(entry.name.sequence, flush=True)
asyncio.run(main())
"""


async def test_kill_9(tmp_path: Path) -> None:
    """A writer killed at any moment has lost nothing it acknowledged, and its lock is free at once."""
    acknowledged = 0
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "j")], stdout=subprocess.PIPE, cwd=ROOT, text=True
        ) as child:
            assert child.stdout is not None
            first = int(child.stdout.readline())
            assert first > acknowledged
            for _ in range(20):
                child.stdout.readline()
            os.kill(child.pid, signal.SIGKILL)
            lines = [line for line in child.stdout.read().split("\n") if line]
            acknowledged = int(lines[-1]) if lines else first + 20
        store = SqliteStore(tmp_path / "j", TestClock())
        head = store.open("T1", at())
        assert head.name.sequence >= acknowledged
        await store.close()
    assert not list((tmp_path / "j").glob("damaged-*"))


async def test_flipped_byte(tmp_path: Path) -> None:
    """A byte flipped in a stored entry is found where the chain is walked; the prefix stays, an epoch begins."""
    directory = tmp_path / "j"
    names = await write(directory, 30)
    raw = bytearray((directory / "journal.db").read_bytes())
    with contextlib.closing(sqlite3.connect(directory / "journal.db")) as db:
        (data,) = db.execute("SELECT data FROM entries WHERE row = 20").fetchone()
    place = raw.index(data) + 100
    raw[place] ^= 1
    (directory / "journal.db").write_bytes(raw)
    (directory / recovery.TAIL_FILE).unlink()  # long overwritten in a longer journal: nothing mends the entry
    facts, copies = await reopen(directory)
    assert_damage(facts, copies, "")
    began = facts[0]
    assert isinstance(began, EpochBegan) and began.previous == names[17]  # row 19: the first row began the epoch
    assert (copies[0] / "journal.db").read_bytes() == bytes(raw)
    assert not (directory / recovery.SUSPECT).exists()


async def test_shortened_log(tmp_path: Path) -> None:
    """A write-ahead log that lost its end is noticed by the head file; SQLite alone says nothing."""
    directory = tmp_path / "j"
    await write(directory, 30, clean=False)
    log = directory / "journal.db-wal"
    os.truncate(log, len(log.read_bytes().rstrip(b"\0")) // 2)  # behind its frames it is laid out in zeros
    shutil.rmtree(directory / "journal.db-shm", ignore_errors=True)
    (directory / "journal.db-shm").unlink(missing_ok=True)
    assert_damage(*await reopen(directory), "the head file knows")


@pytest.mark.parametrize("loss", ["log", "database", "emptied", "header", "head file"])
async def test_lost_files(tmp_path: Path, loss: str) -> None:
    """A lost or ruined file is never a silent fresh start."""
    directory = tmp_path / "j"
    await write(directory, 10, clean=loss != "log")
    match loss:
        case "log":
            (directory / "journal.db-wal").unlink()
            (directory / "journal.db-shm").unlink()
        case "database":
            (directory / "journal.db").unlink()
        case "emptied":
            os.truncate(directory / "journal.db", 0)
        case "header":
            with (directory / "journal.db").open("r+b") as file:
                file.write(bytes(100))
        case _:
            (directory / "journal.head").write_bytes(b"\xff" * 1024)
    assert_damage(*await reopen(directory), "")


@pytest.mark.parametrize("kind", ["of another journal", "zeros", "rubbish", "cut short"])
async def test_a_ruined_index_of_the_log_counts_for_nothing(tmp_path: Path, kind: str) -> None:
    """SQLite's shared memory file beside a log as a kill leaves it: every entry is there, and nothing is damage."""
    directory = tmp_path / "j"
    names = await write(directory, 30, clean=False)
    await write(tmp_path / "other", 90, clean=False)
    shm = directory / "journal.db-shm"
    own = shm.read_bytes()
    ruined = {
        "of another journal": (tmp_path / "other" / "journal.db-shm").read_bytes(),
        "zeros": bytes(len(own)),
        "rubbish": b"\x5a\xa5" * (len(own) // 2),
        "cut short": own[:100],
    }[kind]
    assert own and ruined != own
    shm.write_bytes(ruined)
    store = SqliteStore(directory, TestClock())
    assert store.open("T1", at()).name == names[-1]
    assert len(store.unsent(0, 100, 1 << 20)) == 31
    await store.close()
    assert not list(directory.glob("damaged-*"))


async def test_second_process(tmp_path: Path) -> None:
    """A second daemon on the same directory ends with a clear word."""
    store = SqliteStore(tmp_path, TestClock())
    store.open("T1", at())
    second = subprocess.run(
        [sys.executable, "-c", WRITER, str(tmp_path)], capture_output=True, cwd=ROOT, text=True, check=False, timeout=20
    )
    assert second.returncode == 1 and "in use by another terminal" in second.stderr
    await store.close()


async def test_failed_flush_is_the_end(tmp_path: Path) -> None:
    """After an unexpected error every waiter, then and later, hears StoreBroken."""
    store = SqliteStore(tmp_path, TestClock())
    store.open("T1", at())
    store._owner._tail_file.close()  # from now on nothing can be written there
    watching = asyncio.ensure_future(store.broken())
    waiting = [asyncio.ensure_future(store.append(draft())) for _ in range(3)]
    for result in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(result, StoreBroken)
    for hears in (watching, store.append(draft()), store.broken()):
        with pytest.raises(StoreBroken):
            await hears
    await store.close()


async def test_a_failed_flush_in_a_quiet_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody writes, and the head file cannot be flushed: it is told at once, not with the next tap."""

    def failing(file: HeadFile) -> None:
        raise OSError(5, "Input/output error")

    store = SqliteStore(tmp_path, TestClock())
    store.open("T1", at())
    monkeypatch.setattr(HeadFile, "flush", failing)
    with pytest.raises(StoreBroken, match="Input/output"):
        await asyncio.wait_for(store.broken(), 15.0)
    await store.close()


@pytest.mark.parametrize("removed", ["*", recovery.HEAD, recovery.TAIL_FILE])
async def test_a_journal_that_somebody_removed_is_broken(tmp_path: Path, removed: str) -> None:
    """Its files still take every write and would keep none of it."""
    store = SqliteStore(tmp_path / "j", TestClock())
    store.open("T1", at())
    for path in (tmp_path / "j").glob(removed):
        path.unlink()
    with pytest.raises(StoreBroken, match="removed"):
        await asyncio.wait_for(store.broken(), 15.0)
    await store.close()


@pytest.mark.parametrize("how", ["removed", "cut short"])
async def test_what_stood_in_a_tail_file_that_is_gone(tmp_path: Path, how: str) -> None:
    """It was acknowledged, and stands in memory still: it goes into the tables before the journal ends."""
    store = SqliteStore(tmp_path / "j", TestClock())
    store.open("T1", at())
    for number in range(5):
        await store.append(draft(decided(f"rider {number}")))
    tail_file = tmp_path / "j" / recovery.TAIL_FILE
    if how == "removed":
        tail_file.unlink()
    else:
        os.truncate(tail_file, 0)
    with pytest.raises(StoreBroken, match=how):
        await asyncio.wait_for(store.broken(), 15.0)
    await store.close()
    again = SqliteStore(tmp_path / "j", TestClock())
    assert again.open("T1", at()).row == 6 and len(again.open_uses()) == 5
    await again.close()
    assert not list((tmp_path / "j").glob("damaged-*"))


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> object:
    """A file system of seven megabytes, one of them for entries, or as many as asked; where one may be mounted."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={getattr(request, 'param', 7)}m", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


async def test_full_disk(small_disk: Path) -> None:
    """On a full disk entries are refused and nothing is written, receipts still are; with room again all goes on."""
    store = SqliteStore(small_disk / "j", TestClock())
    store.open("T1", at())
    await store.append(draft(decided("anna")))
    filler = small_disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(65536))
    written = 1
    refused = 0  # in a row: the log's own room is used up first
    while refused < 3:
        try:
            await store.append(draft())
            written, refused = written + 1, 0
        except StoreFull:
            refused += 1
    assert written < 5000
    run = store.unsent(0, 2, 1 << 20)
    assert store.head().name.sequence == written + 1
    answer = Receipt(terminal="T1", epoch=run[0].name.epoch, first=1, last=2, hash=run[1].hash)
    assert await store.settle(answer) == 2
    assert store.uses([ref("medium anna")], 0)
    filler.unlink()
    assert (await store.append(draft())).name.sequence == written + 2
    await store.close()
    again = SqliteStore(small_disk / "j", TestClock())
    assert again.open("T1", at()).name.sequence == written + 2
    await again.close()
    assert not list((small_disk / "j").glob("damaged-*"))


def fill_up(file: Path) -> None:
    """Somebody else takes what room there is."""
    for size in (1 << 16, 4096):
        with contextlib.suppress(OSError), file.open("ab", buffering=0) as filler:
            while True:
                filler.write(bytes(size))


async def test_a_start_without_any_room(tmp_path: Path, small_disk: Path) -> None:
    """Somebody else has the ballast's place too: the terminal starts, refuses, and goes on once there is room."""
    directory, filler = small_disk / "j", small_disk / "filler"
    store = SqliteStore(directory, TestClock())
    store.open("T1", at())
    for number in range(5):
        await store.append(draft(decided(f"rider {number}")))
    shutil.copytree(directory, tmp_path / "killed")
    await store.close()
    shutil.rmtree(directory)
    with contextlib.closing(sqlite3.connect(tmp_path / "killed" / recovery.DATABASE)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # as a full disk's writer does
    (tmp_path / "killed" / recovery.SHARED).write_bytes(bytes(recovery.INDEX_BYTES))
    (tmp_path / "killed" / "ballast").unlink()
    shutil.copytree(tmp_path / "killed", directory)
    fill_up(filler)
    store = SqliteStore(directory, TestClock())
    assert store.open("T1", at()).row == 6 and store.is_full()
    with pytest.raises(StoreFull):
        await store.append(draft())
    assert len(store.unsent(0, 100, 1 << 20)) == 6 and len(store.open_uses()) == 5
    filler.unlink()
    assert (await store.append(draft())).name.sequence == 7
    await store.close()
    again = SqliteStore(directory, TestClock())
    assert again.open("T1", at()).row == 7
    await again.close()
    assert not list(directory.glob("damaged-*"))


@pytest.mark.parametrize("waited_s", [0.0, 0.2])
async def test_what_was_projected_on_a_full_disk_left_room_for_receipts(small_disk: Path, waited_s: float) -> None:
    """Whatever the log holds besides, and whether house was kept meanwhile: the checkpoint comes first."""
    for attempt in range(4):
        store = SqliteStore(small_disk / "j", TestClock())
        store.open("T1", at())
        await fill(store, 0)
        await asyncio.sleep(waited_s)  # long enough for what is done once nobody waits
        while run := store.unsent(0, 500, 1 << 20):
            first, last = run[0].name, run[-1].name
            await store.settle(Receipt("T1", first.epoch, first.sequence, last.sequence, run[-1].hash))
        assert store.head().unsent == 0, attempt
        await store.close()
        shutil.rmtree(small_disk / "j")


@pytest.mark.parametrize("largest", ["the log", "the database"])
async def test_a_journal_that_filled_its_disk_makes_room_by_itself(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch, largest: str
) -> None:
    """Full of its own entries, nobody takes anything away: receipts are recorded, pruning makes room, taps go on."""
    if largest == "the database":
        monkeypatch.setattr(writer, "LATEST_CHECKPOINT", 20)
    store = SqliteStore(small_disk / "j", TestClock())
    store.open("T1", at())
    written = await fill(store, 0)
    assert store.is_full()
    while run := store.unsent(0, 500, 1 << 20):
        first, last = run[0].name, run[-1].name
        await store.settle(Receipt("T1", first.epoch, first.sequence, last.sequence, run[-1].hash))
    for _ in range(400):
        while store.is_full() and await store.prune(NOON_MS + written):
            await asyncio.sleep(0)
        with contextlib.suppress(StoreFull):
            await store.append(draft(decided(f"rider {written}"), NOON_MS + written))
            written += 1
    assert store.head().unsent > 200
    head = store.head()
    await store.close()
    again = SqliteStore(small_disk / "j", TestClock())
    assert again.open("T1", at()).name == head.name
    await again.close()
    assert not list((small_disk / "j").glob("damaged-*"))


async def fill(store: SqliteStore, written: int) -> int:
    """Write until the disk is full; how many."""
    with contextlib.suppress(StoreFull):
        while True:
            await store.append(draft(decided(f"rider {written}"), NOON_MS + written))
            written += 1
    return written


async def test_the_head_file_is_flushed_under_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a second, also when somebody always waits."""
    flushed: list[float] = []
    monkeypatch.setattr(HeadFile, "flush", lambda file: flushed.append(time.monotonic()))
    store = SqliteStore(tmp_path, TestClock())
    store.open("T1", at())
    before = len(flushed)
    async with asyncio.timeout(15):
        while len(flushed) < before + 2:
            await store.append(draft())
    await store.close()


def test_head_file(tmp_path: Path) -> None:
    """Slots of a pair are written in turn, by the next process too; a torn one leaves the other."""
    path = tmp_path / "head"
    file = HeadFile(path)
    assert file.read() is None and peek(path) is None and peek(tmp_path / "none") is None
    names = [EntryName(epoch=b"e" * 8, sequence=number) for number in range(1, 5)]
    file.write(names[0], b"1" * 32, stored=True)
    file.write(names[1], b"2" * 32, stored=False)
    file.close()
    file = HeadFile(path)
    assert file.read() == peek(path) == (names[1], b"2" * 32)
    file.write(names[2], b"3" * 32, stored=False)
    assert file.read() == peek(path) == (names[2], b"3" * 32)
    whole = path.read_bytes()
    for torn, says in ((2, (names[1], b"2" * 32)), (3, (names[2], b"3" * 32))):
        data = bytearray(whole)
        data[torn * SLOT + 20] ^= 1
        path.write_bytes(data)
        assert peek(path) == file.read() == says
    path.write_bytes(whole[: 2 * SLOT])  # as an older program leaves it, and as it reads it
    assert peek(path) == file.read() == (names[0], b"1" * 32)
    file.write(names[3], b"4" * 32, stored=True)
    assert peek(path) == (names[3], b"4" * 32)
    assert path.read_bytes()[:SLOT] == whole[:SLOT], "the other slot of the pair stays"
    file.close()


async def test_the_first_pair_names_what_the_database_holds(tmp_path: Path) -> None:
    """An older program, that looks there, finds its database whole and not yet its schema's: it mends nothing."""
    store = SqliteStore(tmp_path / "j", TestClock())
    store.open("T1", at())
    in_tables = 0
    for number in range(tail.TAIL + 10):
        await store.append(draft(decided(f"rider {number}")))
        if number % 9:
            continue
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        shutil.copytree(tmp_path / "j", tmp_path / "copy")  # as a kill leaves it
        head = tmp_path / "copy" / recovery.HEAD
        head.write_bytes(head.read_bytes()[: 2 * SLOT])
        kept, db = peek(head), recovery.connect(tmp_path / "copy" / recovery.DATABASE, apsw.SQLITE_OPEN_READWRITE)
        in_tables = tables.newest_row(db)
        assert kept is not None
        assert recovery.against_head(db, tables.head(db), [], kept) is None, number
        db.close()
    assert 1 <= in_tables < store.head().row
    await store.close()


async def test_projection_can_be_rebuilt(tmp_path: Path) -> None:
    """Salvaging folds the projection anew; it equals the one that was written along."""
    await write(tmp_path / "j", 40)
    before = apsw.Connection(str(tmp_path / "j" / "journal.db"))
    uses, ledgers = tables.all_uses(before), tables.all_ledgers(before)
    before.close()
    salvage.salvage(tmp_path / "j", 1, "test")
    after = apsw.Connection(str(tmp_path / "j" / "journal.db"))
    assert tables.all_uses(after) == uses and len(uses) == 40
    assert tables.all_ledgers(after) == ledgers and len(ledgers) == 41
    assert ledgers[ref("everybody")].sums == (Sum(id="day", window=9, fen=8000),)
    after.close()


@pytest.mark.parametrize("longest", [1, 7, 1000])
async def test_projected_or_not_yet_the_answer_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, longest: int
) -> None:
    """Tables and tail together are the fold, whenever it is asked, after a killed process too."""
    monkeypatch.setattr(tail, "LONGEST_TAIL", longest)
    store = SqliteStore(tmp_path / "j", TestClock())
    store.open("T1", at())
    names = [(await store.append(draft(ridden(f"rider {number}")))).name for number in range(20)]
    await store.append(draft(annulled(names[3])))
    names += [(await store.append(draft(ridden(f"rider {number}")))).name for number in range(20, 25)]

    def assert_whole(asked: SqliteStore) -> None:
        for number, name in enumerate(names):
            (use,) = asked.uses([ref(f"twin rider {number} 1"), ref(f"medium rider {number}")], NOON_MS)
            assert (use.name, use.state is UseState.ANNULLED) == (name, number == 3)
        assert asked.ledgers([ref("everybody")])[ref("everybody")].sums[0].fen == 200 * 24
        assert [use.name for use in asked.uses_from(names[18])] == names[18:]
        assert [use.name for use in asked.open_uses()] == [*names[:3], *names[4:]]

    assert_whole(store)
    assert len(store._owner.projector.tail.entries) == {1: 0, 7: 5, 1000: 5}[longest]  # an annul is projected at once
    shutil.copytree(tmp_path / "j", tmp_path / "cut")
    await store.close()
    for directory in ("j", "cut"):
        again = SqliteStore(tmp_path / directory, TestClock())
        again.open("T1", at())
        assert_whole(again)
        await again.close()
    assert not list(tmp_path.glob("*/damaged-*"))


async def test_who_still_asks_while_it_closes_finds_no_damage(tmp_path: Path) -> None:
    """A journal that is closed is no damaged one: the next start begins no epoch."""
    store = SqliteStore(tmp_path, TestClock())
    store.open("T1", at())
    name = (await store.append(draft())).name
    closing = asyncio.create_task(store.close())
    await asyncio.sleep(0)  # the reader is gone, the writer's thread ends
    with pytest.raises(StoreBroken, match="closed"):
        store.uses_from(name)
    await closing
    again = SqliteStore(tmp_path, TestClock())
    assert again.open("T1", at()).name == name
    await again.close()


async def test_the_tail_is_projected_when_nobody_waits(tmp_path: Path) -> None:
    """Once there is enough of it."""
    store = SqliteStore(tmp_path, TestClock())
    store.open("T1", at())
    for number in range(tail.TAIL):
        await store.append(draft(ridden(f"rider {number}")))
    async with asyncio.timeout(15):
        while store._owner.projector.tail.entries:  # the writer's own thread
            await asyncio.sleep(0.02)
    assert len(store.uses_from(EntryName(epoch=b"nobody's", sequence=1))) == tail.TAIL
    assert len(store.ledgers([ref("everybody"), ref("medium rider 1")])) == 2
    await store.close()


async def test_a_journal_of_the_first_schema_is_brought_forward(tmp_path: Path) -> None:
    """Its entries stay, and ledgers begin to be kept."""
    (tmp_path / "j").mkdir()
    db = apsw.Connection(str(tmp_path / "j" / "journal.db"))
    db.execute(schema.MIGRATIONS[0])
    db.execute("PRAGMA user_version=1")
    db.close()
    await write(tmp_path / "j", 2)
    db = apsw.Connection(str(tmp_path / "j" / "journal.db"))
    assert db.pragma("user_version") == schema.VERSION
    assert len(tables.all_ledgers(db)) == 3
    db.close()
