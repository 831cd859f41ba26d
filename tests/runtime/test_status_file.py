"""status.json: whole or not at all, and never in the way."""

import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from terminal.runtime.status import StatusFile
from tests.runtime.test_parameter_sync import jumping


def test_a_reader_never_sees_half_of_it(tmp_path: Path) -> None:
    """Read again and again while it is replaced: always one whole status."""
    file = tmp_path / "status.json"
    round_of = iter(range(10**6))
    status = StatusFile(file, lambda: {"round": next(round_of), "filling": "x" * 50_000})
    status.write()
    done = threading.Event()
    seen: list[int] = []
    broken: list[str] = []

    def read() -> None:
        while not done.is_set():
            try:
                seen.append(json.loads(file.read_bytes())["round"])
            except ValueError as error:
                broken.append(str(error))

    reader = threading.Thread(target=read)
    reader.start()
    while len(set(seen)) < 20 and not broken:
        status.write()
    done.set()
    reader.join()
    assert broken == []
    assert seen == sorted(seen)
    assert [one.name for one in tmp_path.iterdir()] == ["status.json"]


def test_a_place_that_takes_nothing_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Writing fails without an exception, one warning; once there is room again, it is written."""
    place = tmp_path / "state"
    status = StatusFile(place / "status.json", lambda: {"ready": True})
    caplog.set_level(logging.WARNING)
    status.write()
    status.write()
    assert [record.getMessage() for record in caplog.records] == ["status file"]
    place.mkdir()
    status.write()
    assert json.loads((place / "status.json").read_text()) == {"ready": True}


@jumping
async def test_it_is_written_twice_a_second_and_once_more_at_the_end(tmp_path: Path) -> None:
    """The last status is that of the moment of stopping."""
    import asyncio

    state: dict[str, Any] = {"taps": 0}
    file = tmp_path / "status.json"
    task = asyncio.create_task(StatusFile(file, lambda: state).run())
    for taps in (1, 2, 3):
        await asyncio.sleep(0.51)
        assert json.loads(file.read_text()) == {"taps": taps - 1}
        state["taps"] = taps
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert json.loads(file.read_text()) == {"taps": 3}
