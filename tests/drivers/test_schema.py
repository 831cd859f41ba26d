"""Journals of every older program, as those programs wrote them (tests/golden/journals), under today's.

A new migration brings the next file: the newest golden journal is what its predecessor leaves behind.
"""

import argparse
import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest

from drivers.store import recovery, schema, tables, tail_file
from drivers.store.head_file import HeadFile
from drivers.store.sqlite import SqliteStore
from terminal.cli import exit_codes, journal
from terminal.core.entries import decode
from terminal.core.model import EntryName, UseState
from terminal.ports import StoreBroken
from tests.journal_cases import TestClock, at, draft, ref

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "journals"
VERSIONS = range(1, schema.VERSION + 1)


def restored(version: int, directory: Path) -> Path:
    """The files an older program left behind."""
    directory.mkdir()
    with contextlib.closing(sqlite3.connect(directory / recovery.DATABASE)) as db:
        db.executescript((GOLDEN / f"journal-{version}.sql").read_text())
        epoch, count = db.execute("SELECT epoch, (SELECT count(*) FROM entries) FROM epochs").fetchone()
        (digest,) = db.execute("SELECT hash FROM entries WHERE row = ?", (count,)).fetchone()
        assert db.execute("PRAGMA user_version").fetchone() == (version,)
    tail = GOLDEN / f"journal-{version}.tail"
    if tail.exists():
        shutil.copy(tail, directory / recovery.TAIL_FILE)
        newest = list(tail_file.strewn(tail.read_bytes()))
        count, digest = count + len(newest), newest[-1].hash
    head = HeadFile(directory / recovery.HEAD)
    head.write(EntryName(epoch=epoch, sequence=count), digest, stored=not tail.exists())
    head.close()
    return directory


def in_the_tail(version: int) -> int:
    """How many entries that version's journal has behind its database's: until 5 there was no tail file."""
    return 2 if version > 5 else 0


def test_every_version_has_its_journal() -> None:
    """Nobody adds a migration without the journal it starts from."""
    tails = {f"journal-{version}.tail" for version in VERSIONS if in_the_tail(version)}
    assert {path.name for path in GOLDEN.iterdir()} == {f"journal-{version}.sql" for version in VERSIONS} | tails


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_older_journal_goes_on(tmp_path: Path, version: int) -> None:
    """No entry, receipt, use or quarantined record is lost, no epoch begins, and the chain goes on."""
    directory = restored(version, tmp_path / "j")
    with contextlib.closing(sqlite3.connect(directory / recovery.DATABASE)) as db:
        before = db.execute("SELECT row, receipt, hash, data FROM entries ORDER BY row").fetchall()
    store = SqliteStore(directory, TestClock())
    head = store.open("T1", at())
    newest = in_the_tail(version)
    assert (head.row, head.unsent, head.key_number, head.parameter_version) == (12 + newest, 7 + newest, 1, 7)
    states = {number: store.uses([ref(f"medium rider {number}")], 0)[0] for number in range(5)}
    assert [use.state for use in states.values()][:3] == [UseState.COMMITTED, UseState.ANNULLED, UseState.UNKNOWN]
    assert states[1].passed == 1 and len(store.open_uses()) == 2 + newest
    entry = await store.append(draft())
    assert entry.name.sequence == 13 + newest and await store.verify() is None
    await store.close()
    with contextlib.closing(sqlite3.connect(directory / recovery.DATABASE)) as db:
        assert db.execute("SELECT row, receipt, hash, data FROM entries ORDER BY row").fetchall()[:12] == before
        assert db.execute("SELECT sequence, reason FROM quarantine").fetchall() == [(4, "unreadable")]
        assert db.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
    assert not list(directory.glob("damaged-*"))


@pytest.mark.parametrize("version", VERSIONS)
def test_an_older_journal_is_exported_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], version: int
) -> None:
    """A dead machine's disk is read with today's program: what head office does not hold, and nothing is migrated."""
    directory = restored(version, tmp_path / "j")
    options = argparse.Namespace(action="export", path=directory, file=tmp_path / "file", all=False)
    assert journal.run(options) == exit_codes.OK
    assert capsys.readouterr().out.startswith(f"{7 + in_the_tail(version)} entries of T1 written")
    assert options.file.stat().st_size
    with contextlib.closing(sqlite3.connect(directory / recovery.DATABASE)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (version,)


@pytest.mark.parametrize("version", VERSIONS[:-1])
async def test_a_migration_that_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    """Old or new, never neither: after a migration that did not come to its end the old journal stands as it was."""
    directory = restored(version, tmp_path / "j")
    cut = list(schema.MIGRATIONS)
    cut[version] += "SELECT no_such_thing();"
    with monkeypatch.context() as patched:
        patched.setattr(schema, "MIGRATIONS", tuple(cut))
        with pytest.raises(StoreBroken, match="no_such_thing"):
            SqliteStore(directory, TestClock()).open("T1", at())
    with contextlib.closing(sqlite3.connect(directory / recovery.DATABASE)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (version,)
    store = SqliteStore(directory, TestClock())
    assert store.open("T1", at()).row == 12
    await store.close()


async def test_a_damaged_older_journal_is_salvaged_into_the_newest(tmp_path: Path) -> None:
    """Salvaging reads an older journal too."""
    directory = restored(1, tmp_path / "j")
    with contextlib.closing(sqlite3.connect(directory / recovery.DATABASE)) as db, db:
        db.execute("UPDATE entries SET data = zeroblob(100) WHERE row = 9")
    store = SqliteStore(directory, TestClock())
    store.open("T1", at())
    kept = [decode(stored.data).name.sequence for stored in tables.entries(store._reader, "WHERE e.row < 9")]
    assert kept == list(range(1, 9))
    await store.close()
