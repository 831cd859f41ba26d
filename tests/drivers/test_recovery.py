"""Damage to the SQLite journal: what is noticed where, and what becomes of it.

The law: nothing is trusted that does not verify; what is healthy goes on, what is whole by itself is not thrown away,
and what was found is kept.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from drivers.store import receipts, recovery, salvage
from drivers.store.sqlite import SqliteStore
from terminal.core.entries import (
    Alarm,
    EpochBegan,
    FloorLowered,
    ParametersChanged,
    Receipt,
    Refused,
    check_link,
    decode,
)
from terminal.core.model import EntryName, TimeSource
from terminal.ports import StoreBroken
from tests.journal_cases import DAY_MS, NOON_MS, TestClock, at, decided, draft, walked


async def filled(directory: Path, count: int = 30) -> list[EntryName]:
    """A journal with rides, half of them walked and receipted; stopped clean."""
    store = SqliteStore(directory, TestClock())
    store.open("T1", at())
    names = []
    await store.append(draft(ParametersChanged(version=7, versions={})))
    for number in range(count):
        ride = (await store.append(draft(decided(f"rider {number}"), NOON_MS + number))).name
        names.append(ride)
        if number % 2:
            await store.append(draft(walked(ride), NOON_MS + number))
    run = store.unsent(0, 20, 1 << 20)
    await store.settle(Receipt(terminal="T1", epoch=run[0].name.epoch, first=1, last=20, hash=run[-1].hash))
    await store.close()
    return names


def execute(directory: Path, *statements: str) -> None:
    """Change something inside the database, behind everybody's back. The tail file mends none of it: in a longer
    journal it holds newer entries.
    """
    (directory / recovery.TAIL_FILE).unlink(missing_ok=True)
    with closing(sqlite3.connect(directory / recovery.DATABASE)) as db, db:
        for statement in statements:
            db.execute(statement)


async def opened(directory: Path) -> tuple[SqliteStore, str]:
    """The store of the next start, and why its epoch began."""
    copies = len(list(directory.glob("damaged-*")))
    store = SqliteStore(directory, TestClock())
    head = store.open("T1", at())
    if len(list(directory.glob("damaged-*"))) == copies:
        return store, ""
    began, alarm = (decode(one.data).fact for one in store.unsent(head.row - 1, 2, 1 << 20))
    assert isinstance(began, EpochBegan) and isinstance(alarm, Alarm) and alarm.kind == "journal_damage"
    return store, began.why


@pytest.mark.parametrize(
    ("what", "statement"),
    [
        ("an entry's bytes", "UPDATE entries SET data = zeroblob(200) WHERE row = 30"),
        ("an entry's time", "UPDATE entries SET at_ms = at_ms + 256 WHERE row = 30"),
        ("a receipt that never was", "UPDATE entries SET receipt = 0 WHERE row = 30"),
        ("a run of receipts that reaches too far", "UPDATE receipted SET last = last + 1"),
        ("a run of receipts is forgotten", "DELETE FROM receipted"),
        ("an entry is gone", "DELETE FROM entries WHERE row = 30"),
        ("another epoch's name", "UPDATE epochs SET epoch = x'0000000000000001'"),
        ("a used code is forgotten", "DELETE FROM use_keys WHERE key IN (SELECT key FROM use_keys LIMIT 1)"),
        ("a use is gone", "DELETE FROM uses WHERE row = 30"),
        ("a use is open again", "UPDATE uses SET state = 'reserved', passed = 0 WHERE state = 'committed'"),
        ("a state nobody wrote", "UPDATE uses SET state = 'Reserved' WHERE row = 30"),
        ("an older parameter version", "UPDATE memory SET value = 6 WHERE name = 'parameter_version'"),
        ("a table is gone", "DROP TABLE uses"),
    ],
)
async def test_damage_is_noticed_before_the_first_gate_opens(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, what: str, statement: str
) -> None:
    """Whatever it is, a new epoch begins with an alarm, logged too; the copy is kept, and the next start is quiet."""
    await filled(tmp_path / "j")
    execute(tmp_path / "j", statement)
    store, why = await opened(tmp_path / "j")
    assert why.startswith("damage: "), what
    (told,) = [record for record in caplog.records if record.msg == "alarm"]
    assert (told.kind, f"damage: {told.detail}") == ("journal_damage", why)  # type: ignore[attr-defined]
    await store.close()
    assert len(list((tmp_path / "j").glob("damaged-*"))) == 1
    store, why = await opened(tmp_path / "j")
    assert not why and len([record for record in caplog.records if record.msg == "alarm"]) == 1
    await store.close()


@pytest.mark.parametrize("rides", [40, 400])
async def test_the_start_looks_at_the_newest_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rides: int) -> None:
    """However long the journal is, the first gate waits for so many entries; the rest is the walk's."""
    await filled(tmp_path, rides)
    monkeypatch.setattr(recovery, "VERIFIED_AT_START", 20)
    looked = list[object]()
    monkeypatch.setattr(recovery, "check_link", lambda *link: looked.append(link) or check_link(*link))  # type: ignore[func-returns-value]
    store, why = await opened(tmp_path)
    assert why == "" and 1 <= len(looked) <= 22
    await store.close()


async def test_what_is_whole_behind_the_damage_is_set_aside(tmp_path: Path) -> None:
    """The prefix stays in place; entries behind the damage without a receipt wait in quarantine."""
    await filled(tmp_path / "j")
    execute(tmp_path / "j", "UPDATE entries SET data = zeroblob(200) WHERE row = 30")
    store, _ = await opened(tmp_path / "j")
    began = decode(store.unsent(30, 1, 1 << 20)[0].data).fact
    assert isinstance(began, EpochBegan) and began.previous is not None and began.previous.sequence == 29
    with closing(sqlite3.connect(tmp_path / "j" / recovery.DATABASE)) as db:
        aside = db.execute("SELECT sequence FROM quarantine WHERE reason = 'behind damage' ORDER BY 1").fetchall()
    assert [sequence for (sequence,) in aside] == list(range(31, 48))
    await store.close()


@pytest.mark.parametrize(
    ("row", "lowered", "floor_ms"),
    [(10, False, NOON_MS + 29), (10, True, NOON_MS + 4), (40, True, NOON_MS + 24), (49, True, NOON_MS - 5000)],
    ids=["by the newest whole entry", "a lowering behind the damage", "none of it", "a lowering before the damage"],
)
async def test_damage_and_a_dead_clock_take_no_time_back(
    tmp_path: Path, row: int, lowered: bool, floor_ms: int
) -> None:
    """An entry is ruined, and the clock says 1970: time goes on where what is whole says it was, and stays there."""
    await filled(tmp_path / "j")
    if lowered:
        store, _ = await opened(tmp_path / "j")
        await store.append(draft(FloorLowered(to_ms=NOON_MS - 5000, was_ms=NOON_MS + 29), NOON_MS - 5000))
        await store.append(draft(ms=NOON_MS - 4000))
        await store.close()
    execute(tmp_path / "j", f"UPDATE entries SET data = zeroblob(200) WHERE row = {row}")
    store = SqliteStore(tmp_path / "j", TestClock())
    assert store.open("T1", at(0)).floor_ms == floor_ms
    began = decode(store.unsent(store.head().row - 1, 1, 1 << 20)[0].data)
    assert isinstance(began.fact, EpochBegan) and began.fact.why.startswith("damage")
    assert began.at.source is TimeSource.FLOOR
    await store.close()
    again = SqliteStore(tmp_path / "j", TestClock())
    assert again.open("T1", at(0)).floor_ms == floor_ms
    await again.close()


@pytest.mark.parametrize("cut", ["sqlite.lay_out", "salvage.finish"])
async def test_a_cut_before_mending_is_over_takes_no_time_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    """The healthy prefix is in place, the entries that knew the time are not: the next start asks the copy again."""
    directory = tmp_path / "j"
    await filled(directory)
    execute(directory, "UPDATE entries SET data = zeroblob(200) WHERE row = 10")

    def power_cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(f"drivers.store.{cut}", power_cut)
        store = SqliteStore(directory, TestClock())
        with pytest.raises(KeyboardInterrupt):
            store.open("T1", at(0))
        store._unlock()  # as the end of a process would
    store = SqliteStore(directory, TestClock())
    assert store.open("T1", at(0)).floor_ms == NOON_MS + 29
    assert not list(directory.glob(f"damaged-*/{salvage.UNFINISHED}")), "the next damage has a copy of its own"
    await store.close()


async def refuse_newest(store: SqliteStore) -> None:
    """Head office will not take the newest entry."""
    (newest,) = store.unsent(store.head().row, 1, 1 << 20)
    name, number = newest.name, newest.name.sequence
    refused = (Refused(sequence=number, reason="unreadable"),)
    receipt = Receipt(terminal="T1", epoch=name.epoch, first=number, last=number, hash=newest.hash, refused=refused)
    assert await store.settle(receipt) == 1


async def test_rows_given_anew_take_nothing_out_of_quarantine(tmp_path: Path) -> None:
    """Damage, twice, and what is refused under a row that was another's: whatever was set aside is still there."""
    directory = tmp_path / "j"
    await filled(directory)  # 47 rows
    execute(directory, "UPDATE entries SET data = zeroblob(200) WHERE row = 30")
    for rides in (9, 4):  # the last one is row 40 both times: rows 30, then 35 are a new epoch's first
        store, _ = await opened(directory)
        for number in range(rides):
            await store.append(draft(decided(f"rider {rides}/{number}")))
        await refuse_newest(store)
        assert store.head().row == 40
        await store.close()
        execute(directory, "UPDATE entries SET data = zeroblob(200) WHERE row = 35")
    with closing(sqlite3.connect(directory / recovery.DATABASE)) as db:
        kept = db.execute("SELECT reason, count(*), count(DISTINCT data) FROM quarantine GROUP BY reason").fetchall()
    assert kept == [("behind damage", 17 + 4, 17 + 4), ("unreadable", 2, 2)]


async def test_what_waits_to_be_issued_again_is_not_sorted_each_time(tmp_path: Path) -> None:
    """Thousands may wait behind one damaged page, and a tap for every hundred of them: oldest first is their order."""
    await filled(tmp_path)
    execute(tmp_path, "UPDATE entries SET data = zeroblob(200) WHERE row = 30")
    store, _ = await opened(tmp_path)
    head, asked = store.head(), list[tuple[str, object]]()
    db = recovery.connect(tmp_path / recovery.DATABASE, apsw.SQLITE_OPEN_READONLY)

    def trace(_: apsw.Cursor, query: str, values: object) -> bool:
        asked.append((query, values))
        return True

    db.exec_trace = trace
    waiting = receipts.to_reissue(db, head.name.epoch, 100)
    assert [name.sequence for _, name, _ in waiting] == list(range(31, 48))
    db.exec_trace = None
    plan = db.execute("EXPLAIN QUERY PLAN " + asked[0][0], asked[0][1]).fetchall()  # type: ignore[arg-type]
    assert [step[-1] for step in plan] == ["SCAN quarantine"]
    db.close()
    await store.close()


async def test_damage_far_back_is_found_while_the_terminal_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind the newest entries a process of its own finds it; the next start believes it and salvages."""
    monkeypatch.setattr(recovery, "VERIFIED_AT_START", 5)
    await filled(tmp_path / "j")
    store, why = await opened(tmp_path / "j")
    assert not why and await store.verify() is None
    await store.close()
    execute(tmp_path / "j", "UPDATE entries SET data = zeroblob(200) WHERE row = 3")
    store, why = await opened(tmp_path / "j")
    assert not why
    assert "no entry" in (await store.verify() or "")
    await store.close()
    store, why = await opened(tmp_path / "j")
    assert "no entry" in why
    await store.close()


async def test_pruning_does_not_disturb_the_walk(tmp_path: Path) -> None:
    """A pruned journal verifies from its anchor on."""
    await filled(tmp_path / "j")
    store, _ = await opened(tmp_path / "j")
    assert await store.prune(NOON_MS + DAY_MS) == 20
    assert await store.verify() is None
    await store.close()
    store, why = await opened(tmp_path / "j")
    assert not why
    await store.close()


async def test_nothing_but_the_anchor_is_left(tmp_path: Path) -> None:
    """A pruned journal that lost all its entries goes on behind its anchor, under rows of its own."""
    await filled(tmp_path / "j")
    store, _ = await opened(tmp_path / "j")
    await store.prune(NOON_MS + DAY_MS)
    await store.close()
    execute(tmp_path / "j", "UPDATE entries SET data = zeroblob(9)")
    store, why = await opened(tmp_path / "j")
    assert why.startswith("damage") and store.head().row == 22
    await store.close()
    store, why = await opened(tmp_path / "j")
    assert not why and (await store.append(draft())).name.sequence == 3
    await store.close()


@pytest.mark.parametrize("step", ["copied", "emptied", "replaced"])
async def test_mending_that_was_cut_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """A power cut while mending: the next start mends again, from what was found first, and nothing healthy is lost."""
    directory = tmp_path / "j"
    await filled(directory)
    execute(directory, "UPDATE entries SET data = zeroblob(200) WHERE row = 40")
    cut = {"copied": "_copy_healthy", "emptied": "os.replace", "replaced": "finish"}[step]

    def power_cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(f"drivers.store.salvage.{cut}", power_cut)
        store = SqliteStore(directory, TestClock())
        with pytest.raises(KeyboardInterrupt):
            store.open("T1", at())
        store._unlock()  # as the end of a process would
    if step == "emptied":
        (directory / recovery.DATABASE).unlink()
    assert (directory / recovery.SUSPECT).exists()
    store = SqliteStore(directory, TestClock())
    store.open("T1", at())
    assert [stored.row for stored in store.unsent(21, 100, 1 << 20)] == list(range(21, 40))
    facts = [decode(stored.data).fact for stored in store.unsent(40, 100, 1 << 20)]
    assert isinstance(facts[0], EpochBegan) and isinstance(facts[1], Alarm)
    assert not (directory / recovery.SUSPECT).exists()
    await store.close()


async def test_copies_do_not_fill_the_disk(tmp_path: Path) -> None:
    """The newest few are kept; they take no second room where the file system knows links."""
    directory = tmp_path / "j"
    await filled(directory)
    for number in range(salvage.COPIES + 2):
        size = (directory / recovery.DATABASE).stat().st_ino
        (directory / recovery.SUSPECT).write_text("test")
        store = SqliteStore(directory, TestClock())
        store.open("T1", at(NOON_MS + number))
        await store.close()
    copies = sorted(directory.glob("damaged-*"))
    assert len(copies) == salvage.COPIES and str(NOON_MS + salvage.COPIES + 1) in copies[-1].name
    assert (copies[-1] / recovery.DATABASE).stat().st_ino == size


async def test_a_damaged_page_that_is_met_while_writing(tmp_path: Path) -> None:
    """The process ends; the mark makes the next start salvage what no examination would have seen."""
    directory = tmp_path / "j"
    await filled(directory)
    store, _ = await opened(directory)

    def corrupt() -> int:
        store._owner._db.execute("PRAGMA writable_schema = ON")
        raise __import__("apsw").CorruptError("database disk image is malformed")

    with pytest.raises(StoreBroken):
        await store._owner.do(corrupt, adds=True)
    await store.close()
    store, why = await opened(directory)
    assert "malformed" in why
    await store.close()


async def test_another_terminals_disk_is_refused(tmp_path: Path) -> None:
    """Its entries would come under our name: nothing is written, nothing is opened."""
    await filled(tmp_path / "j")
    with pytest.raises(StoreBroken, match="the journal of terminal T1"):
        SqliteStore(tmp_path / "j", TestClock()).open("T2", at())
    store, why = await opened(tmp_path / "j")
    assert not why
    await store.close()


@pytest.mark.parametrize(("sentence", "end"), [("somebody ended it", "kill -9 $$"), ("Python died early", "exit 1")])
async def test_the_walk_was_killed(sentence: str, end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It did not walk: that says nothing about the journal."""
    await filled(tmp_path / "j")
    store, _ = await opened(tmp_path / "j")
    script = tmp_path / "killed"
    script.write_text(f"#!/bin/sh\n{end}\n")
    script.chmod(0o700)
    monkeypatch.setattr("sys.executable", str(script))
    assert await store.verify() is None, sentence
    assert not (tmp_path / "j" / recovery.SUSPECT).exists()
    await store.close()
