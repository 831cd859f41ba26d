"""`terminal journal`: what a technician sees of a journal, and that looking changes nothing."""

import argparse
import contextlib
import json
from pathlib import Path

import apsw
import pytest
from msgspec.structs import replace

from drivers.store import recovery, tables
from drivers.store.sqlite import SqliteStore
from terminal.cli import exit_codes, journal
from terminal.core.batch import iter_export
from terminal.core.entries import Draft, Head, Receipt, Sealed
from terminal.core.model import EntryName
from terminal.core.proof import proof_of
from tests.journal_cases import TestClock, at, decided, draft


def call(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    journal.add_parser(parser.add_subparsers())
    return journal.run(parser.parse_args(["journal", *map(str, arguments)]))


@pytest.fixture
async def directory(tmp_path: Path) -> Path:
    """Ten entries in two epochs, the first three receipted, one with evidence."""
    place = tmp_path / "journal"
    store = SqliteStore(place, TestClock())
    store.open("T1", at())
    for number in range(5):
        await store.append(draft(decided(f"rider {number}")))
    run = store.unsent(0, 3, 1 << 20)
    await store.settle(Receipt(terminal="T1", epoch=run[0].name.epoch, first=1, last=3, hash=run[-1].hash))
    await store.begin_epoch("test", at())
    await store.append(draft(decided("anna")))
    bert = decided("bert")
    bert = replace(bert, evidence=replace(bert.evidence, parameter_version=7))
    await store.append(Draft(fact=bert, at=at(), sealed=Sealed(key=1, nonce=1, data=b"SECRET")))
    await store.close()
    return place


def test_show(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every entry is one line; a decision's says by which parameters, and what is sealed shows as that."""
    assert call("show", directory) == exit_codes.OK
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10 and "[sealed, 6 bytes, key 1]" in lines[-1]
    assert "  decision     v7 lane=" in lines[-1]
    assert [" v1 lane=" in line for line in lines[:-1]] == ["  decision " in line for line in lines[:-1]]
    assert call("show", "--json", "--last", 2, directory) == exit_codes.OK
    values = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [value["name"]["sequence"] for value in values] == [3, 4]
    assert values[1]["sealed"] == {"key": 1, "bytes": 6}
    assert values[1]["fact"]["evidence"]["parameter_version"] == 7
    assert values[1]["fact"]["charge"]["amount_fen"] == 200


def test_verify(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A whole chain answers yes; a changed entry answers no and says after which one; nothing is touched."""
    before = (directory / "journal.db").read_bytes()
    assert call("verify", "--json", directory) == exit_codes.OK
    assert json.loads(capsys.readouterr().out)["entries"] == 10
    assert (directory / "journal.db").read_bytes() == before
    place = before.index(b"SECRET")
    (directory / "journal.db").write_bytes(before[:place] + b"PUBLIC" + before[place + 6 :])
    assert call("verify", directory) == exit_codes.NO
    out = capsys.readouterr().out
    assert "9 entries hold" in out and "entry 4 was changed" in out


async def test_verify_while_the_terminal_prunes(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What goes between two looks is no gap in the chain."""
    base = tables.base

    def pruned_behind(db: apsw.Connection) -> Head:
        found = base(db)
        with contextlib.closing(apsw.Connection(str(directory / recovery.DATABASE))) as other, other:
            assert tables.prune(other, 1 << 62, 500) == 3
        return found

    monkeypatch.setattr(tables, "base", pruned_behind)
    assert call("verify", directory) == exit_codes.OK
    assert capsys.readouterr().out.startswith("10 entries hold")


@pytest.mark.parametrize(("arguments", "batches"), [((), [3, 4]), (("--all",), [6, 4])])
def test_export(directory: Path, tmp_path: Path, arguments: tuple[str, ...], batches: list[int]) -> None:
    """An export holds what head office has not receipted, or all; one batch never crosses an epoch."""
    import cbor2

    file = tmp_path / "out"
    assert call("export", *arguments, directory, file) == exit_codes.OK
    assert [len(cbor2.loads(one)[5]) for one in iter_export(file.read_bytes())] == batches
    assert not file.with_name("out.part").exists()


def test_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A path without a journal, or with something else, is told with what to try."""
    assert call("show", tmp_path) == exit_codes.DEVICE
    (tmp_path / "journal.db").write_bytes(b"not a database" * 100)
    assert call("show", tmp_path) == exit_codes.NO
    assert "verify" in capsys.readouterr().err


def test_find(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a display showed leads to its entry, in whatever epoch; anything else is told as that."""
    assert call("show", "--json", directory) == exit_codes.OK
    for line in capsys.readouterr().out.splitlines():
        entry = json.loads(line)
        shown = proof_of(EntryName(epoch=bytes.fromhex(entry["name"]["epoch"]), sequence=entry["name"]["sequence"]))
        assert call("find", "--json", shown.lower(), directory) == exit_codes.OK
        assert [json.loads(found) for found in capsys.readouterr().out.splitlines()] == [entry]
    nobody = proof_of(EntryName(epoch=bytes(8), sequence=1))
    assert call("find", nobody, directory) == exit_codes.NO
    assert call("find", "7KD2X0", directory) == exit_codes.DEVICE
    assert "is no proof" in capsys.readouterr().err
