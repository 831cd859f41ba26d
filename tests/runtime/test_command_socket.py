"""The local socket: a real one, a real command line, and clients that behave badly."""

import asyncio
import json
import socket
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from terminal.__main__ import main
from terminal.cli import exit_codes
from terminal.ports import DeviceError
from terminal.runtime.command_socket import LONGEST_LINE, CommandSocket
from terminal.runtime.commands import Answer, NotDone

CONFIG = """
[terminal]
id = "T1"
state_dir = "state"
[parameters]
driver = "parameters.directory"
path = "parameters"
[office]
driver = "office.https"
url = "https://localhost:1"
ca = "ca.pem"
certificate = "c.pem"
key = "c.key"
[lanes.front]
service = "fare"
passage = "assumed"
[[lanes.front.readers]]
driver = "scan.serial"
link = "serial:ttyScan"
"""


async def echo(who: str, command: str, words: Sequence[str]) -> Answer:
    """Answers what it was asked."""
    if command == "never":
        raise NotDone("it cannot be done", "try something else")
    return {"who": who, "did": command, "with": list(words)}


@asynccontextmanager
async def served(path: Path) -> AsyncIterator[None]:
    task = asyncio.create_task(CommandSocket(path, echo).run())
    while not path.is_socket():  # a file
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def site(tmp_path: Path, panel: str) -> Path:
    (tmp_path / "site.toml").write_text(CONFIG + panel)
    (tmp_path / "state").mkdir()
    return tmp_path / "site.toml"


async def test_the_command_line_asks_and_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was done, or why not, with exit codes a script can use."""
    config = site(tmp_path, "[panel]\n")
    async with served(tmp_path / "state" / "panel.sock"):
        done = await asyncio.to_thread(main, ["panel", str(config), "7", "stop", "next"])
        assert (done, json.loads(capsys.readouterr().out)) == (
            exit_codes.OK,
            {"who": "7", "did": "stop", "with": ["next"]},
        )
        assert await asyncio.to_thread(main, ["panel", str(config), "7", "never"]) == exit_codes.NO
        assert "try something else" in capsys.readouterr().err
    assert await asyncio.to_thread(main, ["panel", str(config), "7", "where"]) == exit_codes.DEVICE
    assert "is the terminal running" in capsys.readouterr().err


@pytest.mark.parametrize(("panel", "told"), [("", "has no [panel]"), ("[panel]\nwhere = 1\n", "unknown key where")])
def test_a_site_without_a_panel(panel: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Said, with what to do."""
    assert main(["panel", str(site(tmp_path, panel)), "7", "where"]) == exit_codes.SETTINGS
    assert told in capsys.readouterr().err


async def test_only_its_user_and_group_may_ask(tmp_path: Path) -> None:
    """The socket's mode says who; it is gone when the terminal is."""
    async with served(tmp_path / "p.sock"):
        assert stat.S_IMODE((tmp_path / "p.sock").stat().st_mode) == 0o660
    assert not (tmp_path / "p.sock").exists()


@pytest.mark.parametrize(
    "line",
    [
        b"rubbish",
        b"[]",
        b"{}",
        b'{"who": 7, "do": "stop"}',
        b'{"who": "7", "do": "stop", "with": "next"}',
        b'{"who": "7", "do": "stop", "with": [1]}',
        b"[" * 3000,
        b"\xff\xfe",
        b"x" * (3 * LONGEST_LINE),
    ],
)
async def test_a_line_that_is_not_understood_is_answered(line: bytes, tmp_path: Path) -> None:
    """And the next one is served; also for a client that leaves without a word."""
    async with served(tmp_path / "p.sock"):
        gone = socket.socket(socket.AF_UNIX)
        gone.connect(str(tmp_path / "p.sock"))
        gone.close()
        reader, writer = await asyncio.open_unix_connection(tmp_path / "p.sock")
        writer.write(line + b"\n")
        answer: dict[str, Any] = json.loads(await reader.readline())
        assert not answer["ok"] and answer["hint"]
        writer.close()
        reader, writer = await asyncio.open_unix_connection(tmp_path / "p.sock")
        writer.write(b'{"who": "7", "do": "where"}\n')
        assert json.loads(await reader.readline())["ok"]
        writer.close()


async def test_a_path_that_cannot_be_a_socket(tmp_path: Path) -> None:
    """A device fault, with what to try; the lanes go on."""
    with pytest.raises(DeviceError, match="nowhere"):
        await CommandSocket(tmp_path / "nowhere" / "p.sock", echo).run()
    with pytest.raises(DeviceError):
        await CommandSocket(tmp_path / ("x" * 120), echo).run()
