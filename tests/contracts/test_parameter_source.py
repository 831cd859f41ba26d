"""The ParameterSource port, over a real directory."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from drivers.clock import SystemClock
from drivers.parameters import directory
from simulators.parameters import ParameterOffice
from terminal.core.parameters import OfficeKeys
from terminal.ports import DeviceError, ParameterSource
from tests.journal_cases import NOON_MS


@pytest.fixture
def office(tmp_path: Path) -> ParameterOffice:
    made = ParameterOffice(tmp_path, OfficeKeys(keys=()))
    made.publish(NOON_MS)
    return made


@pytest.fixture
def source(tmp_path: Path) -> ParameterSource:
    return directory.open(directory.Settings(path=str(tmp_path)), SystemClock())


def test_a_set_is_read_whole(office: ParameterOffice, source: ParameterSource) -> None:
    """The manifest and every file it names, byte for byte, and nothing else of the directory."""
    (office.directory / "other.json").write_bytes(b"{}")
    assert dict(source.read()) == office.files(NOON_MS)


@pytest.mark.parametrize("part", ["manifest.json", "deny-1.json", "office-1.json"])
def test_a_change_of_any_file_is_noticed(office: ParameterOffice, source: ParameterSource, part: str) -> None:
    """Changed before the first reading, not after it, and changed again by any file of the set."""
    assert source.changed()
    source.read()
    assert not source.changed()
    (office.directory / part).write_bytes((office.directory / part).read_bytes() + b" ")
    assert source.changed()


def test_a_set_that_changes_while_it_is_read_is_read_anew(
    office: ParameterOffice, source: ParameterSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A publication in the middle of a reading: the answer is the new set, whole."""
    read_bytes = Path.read_bytes
    publish = iter([office.publish])

    def interrupted(path: Path) -> bytes:
        if path.name == "deny-1.json":
            for once in publish:
                once(NOON_MS)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", interrupted)
    assert dict(source.read()) == office.files(NOON_MS)
    assert office.version == 2


def _rows(place: Path, file: object) -> None:
    (place / "manifest.json").write_text(json.dumps({"files": {"deny": {"file": file}}}))


WRONG: dict[str, Callable[[Path], object]] = {
    "no manifest": lambda place: (place / "manifest.json").unlink(),
    "no JSON": lambda place: (place / "manifest.json").write_bytes(b"{"),
    "no text": lambda place: (place / "manifest.json").write_bytes(b"\xff\xfe"),
    "no files": lambda place: (place / "manifest.json").write_text("[]"),
    "nested without end": lambda place: (place / "manifest.json").write_text("[" * 100_000),
    "a file that is not there": lambda place: (place / "deny-1.json").unlink(),
    "a name that is a number": lambda place: _rows(place, 7),
    "a name that is none": lambda place: _rows(place, "."),
    "a name with a NUL": lambda place: _rows(place, "a\0b"),
    "a file of another directory": lambda place: _rows(place, "../elsewhere.json"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_read_is_a_device_error(tmp_path: Path, wrong: str) -> None:
    """Whatever stands there, the answer is a DeviceError with what to look at; mended, it is noticed and read."""
    place = tmp_path / "parameters"
    (tmp_path / "elsewhere.json").write_bytes(b"{}")
    office = ParameterOffice(place, OfficeKeys(keys=()))
    office.publish(NOON_MS)
    source = directory.open(directory.Settings(path=str(place)), SystemClock())
    source.read()
    WRONG[wrong](place)
    with pytest.raises(DeviceError) as caught:
        source.read()
    assert str(place) in caught.value.hint
    office.publish(NOON_MS)
    assert source.changed()
    source.read()
    assert not source.changed()
