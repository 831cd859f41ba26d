"""`terminal library` as a librarian meets it: a key made once, and a real kiosk asked over its socket."""

import asyncio
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from simulators import pki
from simulators.library import Copy, Dialect, Library
from simulators.library_hall import reader_number, wallet
from simulators.parameters import ParameterOffice
from simulators.scan_module import ScanModule
from terminal.cli import exit_codes
from terminal.cli.demo_library import library_files

CONFIG = Path(__file__).parents[2] / "config" / "demo" / "library.toml"
PATIENCE_S = 60.0


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "terminal", "library", *words], capture_output=True, text=True, check=False, timeout=60
    )


def test_a_key_is_made_once_for_its_owner(tmp_path: Path) -> None:
    """64 digits, nobody else's to read, and never written over."""
    path = tmp_path / "library.key"
    assert command("new-key", str(path)).returncode == exit_codes.OK
    first = path.read_text(encoding="ascii")
    assert len(bytes.fromhex(first)) == 32 and stat.S_IMODE(path.stat().st_mode) == 0o600
    done = command("new-key", str(path))
    assert (done.returncode, path.read_text(encoding="ascii")) == (exit_codes.NO, first)
    assert "Traceback" not in done.stderr


def test_without_a_panel_or_a_terminal_it_says_what_to_do(tmp_path: Path) -> None:
    """The documented exit codes."""
    assert command("list", str(tmp_path / "nothing.toml"), "7").returncode == exit_codes.SETTINGS
    text = CONFIG.read_text(encoding="utf-8")
    without, with_one = tmp_path / "without.toml", tmp_path / "with.toml"
    without.write_text(text.replace("[panel]", ""), encoding="utf-8")
    with_one.write_text(text, encoding="utf-8")
    assert command("list", str(without), "7").returncode == exit_codes.SETTINGS
    assert command("list", str(with_one), "7").returncode == exit_codes.DEVICE


class Site:
    """A kiosk's process, with everything outside in this one."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.library = Library(Dialect(ignores_no_block=True))
        self.library.readers = {reader_number(0): "somebody"}
        self.library.copies = {"30000001": Copy(title="三体")}

    async def start(self) -> None:
        """Away from the beginning: the port is known, nobody listens."""
        await self.library.start()
        self.port = self.library.port
        await self.library.stop()
        keys = pki.write_office_keys(self.place / "office-keys")
        pki.Authority(self.place / "pki").issue("library-0005")
        parameters = ParameterOffice(self.place / "parameters", keys)
        parameters.publish(1_700_000_000_000)
        library_files(self.place, parameters.ref)
        wire = self.place / "wires" / "library" / "desk"
        wire.mkdir(parents=True)
        self.scan = ScanModule(wire / "scan", baud=115_200)
        self.scan.wire.plug()
        self.config = self.place / "library.toml"
        text = CONFIG.read_text(encoding="utf-8").replace("port = 16001", f"port = {self.port}")
        self.config.write_text(text, encoding="utf-8")
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "terminal", "run", str(self.config), stderr=asyncio.subprocess.DEVNULL, env=os.environ
        )
        path = self.place / "library" / "screen.sock"
        async with asyncio.timeout(PATIENCE_S):
            while not path.exists():  # another process
                await asyncio.sleep(0.05)
            self.pages, self.touches = await asyncio.open_unix_connection(path, limit=1 << 20)

    async def stop(self) -> None:
        self.touches.transport.abort()
        self.process.terminate()
        await self.process.wait()
        self.scan.wire.unplug()
        await self.library.stop()

    async def says(self, reason: str) -> None:
        """Wait for a page that says so."""
        async with asyncio.timeout(PATIENCE_S):
            while json.loads(await self.pages.readline()).get("said", {}).get("reason") != reason:
                pass

    async def asked(self, part: str, *words: str) -> dict[str, object]:
        done = await asyncio.to_thread(command, part, str(self.config), "7", *words)
        assert done.returncode == exit_codes.OK, done.stderr
        return dict(json.loads(done.stdout))


async def test_a_refused_loan_is_listed_and_settled(tmp_path: Path) -> None:
    """A kiosk over real wires: lent while the library system is away, refused later, dealt with by a librarian."""
    site = Site(tmp_path)
    await site.start()
    try:
        await site.scan.show(wallet(0).code(int(time.time())))
        await site.says("signed_in")
        await site.scan.show(b"30000001")
        await site.says("borrowed_offline")
        site.library.blocked.add(reader_number(0))
        await site.library.start(site.port)
        records: list[dict[str, str]] = []
        async with asyncio.timeout(PATIENCE_S):
            while not records:
                records = (await site.asked("list"))["records"]  # type: ignore[assignment]  # JSON
        (record,) = records
        assert (record["book"], record["reader"], record["words"]) == ("30000001", reader_number(0), "blocked")
        await site.asked("settle", record["record"], "lent at the desk")
        assert (await site.asked("list"))["records"] == []
        assert "noted" in await site.asked("paid", reader_number(0), "2.50", "card")
        async with asyncio.timeout(PATIENCE_S):
            while site.library.paid != [(reader_number(0), 250)]:  # another process
                await asyncio.sleep(0.05)
        assert (await site.asked("unlink", reader_number(0)))["unlinked"] == 1
        await site.says("reader_session_end")  # who was signed in stays so until the visit ends
        await site.scan.show(wallet(0).code(int(time.time())))
        await site.says("reader_not_opened")
        assert "hold out" in await site.asked("link", "library/desk", "R-9", "adult")
        done = await asyncio.to_thread(command, "settle", str(site.config), "7", record["record"], "again")
        assert done.returncode == exit_codes.NO and "Traceback" not in done.stderr
    finally:
        await site.stop()


@pytest.mark.parametrize("part", ["list", "settle", "paid", "link", "unlink"])
def test_every_part_explains_itself(part: str) -> None:
    """Help costs nothing."""
    assert command(part, "--help").returncode == exit_codes.OK
