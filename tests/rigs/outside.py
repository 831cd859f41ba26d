"""The outside of one bus: head office behind TLS, a scan module and a board at each door, riders; and the terminal.

Laws of this file:
- A tap is one code that nobody ever showed before, at a door where nobody else stands; whatever a board's coils do
  until the next tap there is its effect.
- An effect is told to a log beside the rig the moment the coil moves, with CLOCK_MONOTONIC.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from simulators import pki
from simulators.gate import Board
from simulators.office import HeadOffice
from simulators.office_server import OfficeServer
from simulators.parameters import ParameterOffice
from simulators.phone import FAULTS, Phone
from simulators.scan_module import ScanModule
from terminal.core.parameters import Policies

TERMINAL = "bus-1"
DOORS = ("front", "rear")
GATE, GREEN, AMBER, RED = 0, 1, 2, 3  # coils
ANSWER_S = 1.0  # an order older than half a second is never sent: what moves later is another tap's
READY_S = 30.0
DENIED_EVERY = 6  # never so many a second that they are summed


@dataclass
class Tap:
    """One code held out, and what was seen of it."""

    door: str
    shown_ns: int  # its last byte
    opened_ns: int | None = None
    lit_ns: int | None = None  # a lamp that says no

    @property
    def seen(self) -> bool:
        """Whether anything moved outside."""
        return self.opened_ns is not None or self.lit_ns is not None


@dataclass
class Door:
    """One lane's far ends."""

    name: str
    scan: ScanModule
    board: Board
    taps: list[Tap] = field(default_factory=list)
    moved: asyncio.Event = field(default_factory=asyncio.Event)


class Outside:
    """Everything but the terminal. `state_dir` is where that keeps its journal."""

    def __init__(self, directory: Path, state_dir: Path, seed: int = 0) -> None:
        self.directory = directory
        self.state_dir = state_dir
        self.random = Random(seed)
        self.doors: list[Door] = []
        self.authority: pki.Authority
        self.office: OfficeServer
        self._riders = 0
        self._log = (directory / "effects.jsonl").open("a", encoding="utf-8", buffering=1)

    async def build(self) -> Path:
        """Make keys, parameters, head office and doors; the terminal's configuration file."""
        self.authority = pki.Authority(self.directory / "pki")
        self.authority.issue("office", server=True)
        self.authority.issue(TERMINAL)
        keys = pki.write_office_keys(self.directory / "office-keys")
        ParameterOffice(self.directory / "parameters", keys, policies=Policies(hotline="12333"), version=0).publish(
            time.time_ns() // 1_000_000
        )
        head_office = HeadOffice(self.directory / "office.db", *pki.load_office_keys(self.directory / "office-keys"))
        head_office.db.execute("PRAGMA synchronous=OFF")  # this head office is never cut
        self.office = OfficeServer(head_office)
        port = await self.office.start(self.directory / "pki")
        for name in DOORS:
            folder = self.directory / "wires" / name
            folder.mkdir(parents=True)
            board = Board()
            await board.serve_serial(folder / "board")
            scan = ScanModule(folder / "scan")
            scan.wire.plug()
            door = Door(name, scan, board)
            board.on_coil = lambda number, on, at_ns, door=door: self._coil(door, number, on, at_ns)  # type: ignore[misc]  # bound now
            self.doors.append(door)
        config = self.directory / "bus.toml"
        config.write_text(_config(self.state_dir, port), encoding="utf-8")
        return config

    async def close(self) -> None:
        """Unplug everything, close head office."""
        for door in self.doors:
            door.scan.wire.unplug()
            await door.board.close()
        await self.office.stop()
        self.office.office.db.close()
        self._log.close()

    # ----------------------------------------------------------------------- taps

    async def tap(self, door: Door) -> Tap:
        """Somebody new holds out a code; returns when its last byte is on the line."""
        self._riders += 1
        code = self._code(Phone(f"rider {self._riders}"))
        tap = Tap(door.name, 0)
        door.moved.clear()
        door.taps.append(tap)
        tap.shown_ns = await door.scan.show(code)
        return tap

    async def answered(self, door: Door, within_s: float = ANSWER_S) -> bool:
        """Wait until something moves at the door."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await door.moved.wait()
        return door.moved.is_set()

    async def let_on(self, door: Door, tries: int = 4) -> bool:
        """Somebody is let on, at the latest at their fourth try: what comes before a line is open is not read, a busy
        terminal drops what waited too long, and every sixth rider's code has expired.
        """
        for _ in range(tries):
            tap = await self.tap(door)
            if await self.answered(door, 5.0) and tap.opened_ns is not None:
                return True
        return False

    async def serve(self, door: Door) -> None:
        """One rider after the other, until cancelled."""
        while True:
            await self.tap(door)
            await self.answered(door)
            await asyncio.sleep(self.random.uniform(0.0, 0.03))

    def _code(self, phone: Phone) -> bytes:
        if self._riders % DENIED_EVERY == 0:
            return FAULTS["expired code"](phone, int(time.time()))
        return phone.code(int(time.time()))

    def _coil(self, door: Door, number: int, on: bool, at_ns: int) -> None:
        if not on:
            return
        shown = [tap for tap in door.taps[-2:] if tap.shown_ns]
        if not shown:
            return
        tap = shown[-1]
        if number == GATE:
            tap.opened_ns = tap.opened_ns or at_ns
        elif number in (AMBER, RED):
            tap.lit_ns = tap.lit_ns or at_ns
        else:
            return
        self._log.write(json.dumps({"door": door.name, "coil": number, "t_ns": at_ns, "shown_ns": tap.shown_ns}) + "\n")
        door.moved.set()

    def taps(self) -> list[Tap]:
        """All taps so far."""
        return [tap for door in self.doors for tap in door.taps]


class TerminalProcess:
    """`terminal run CONFIG`; with a plant, the same with one part replaced."""

    def __init__(self, config: Path, state_dir: Path, log: Path, *, plant: str = "") -> None:
        module = ("tests.planted", plant) if plant else ("terminal",)
        self.command = (sys.executable, "-m", *module, "run", str(config))
        self.process: asyncio.subprocess.Process | None = None
        self._state_dir = state_dir
        self._log = log
        self._read = 0

    async def start(self, *before: str) -> None:
        """Start it, perhaps under another program."""
        self._read = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                *before, *self.command, stdout=asyncio.subprocess.DEVNULL, stderr=output, start_new_session=True
            )

    async def ready(self, within_s: float = READY_S) -> bool:
        """Wait until it says so; False when it ended instead."""
        assert self.process is not None
        async with asyncio.timeout(within_s):
            while self.process.returncode is None:
                if any(line.get("event") == "ready" for line in self.lines()):
                    return True
                await asyncio.sleep(0.01)
        return False

    def lines(self) -> Iterable[dict[str, Any]]:
        """What it has logged since it was started."""
        with self._log.open("rb") as file:
            file.seek(self._read)
            for line in file.read().splitlines():
                with suppress(ValueError):
                    found = json.loads(line)
                    if isinstance(found, dict):
                        yield found

    def tell(self, number: signal.Signals) -> None:
        """A signal to it alone."""
        assert self.process is not None
        signal_to(self.process, number)

    def kill(self) -> None:
        """SIGKILL to it alone."""
        self.tell(signal.SIGKILL)

    async def gone(self, within_s: float = 10.0) -> int:
        """Wait for its end; its exit code."""
        assert self.process is not None
        async with asyncio.timeout(within_s):
            return await self.process.wait()

    async def stop(self) -> int:
        """Tell it to stop; its exit code."""
        self.tell(signal.SIGTERM)
        return await self.gone(30.0)

    async def uploaded(self, within_s: float = 60.0) -> bool:
        """Wait until head office has signed for everything."""
        assert self.process is not None
        began_ns = time.time_ns()
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self.process.returncode is None:
                    if self._told_ns() > began_ns and self.status().get("journal", {}).get("unsent") == 0:
                        return True
                    await asyncio.sleep(0.05)
        return False

    def _told_ns(self) -> int:
        """When the status file was written."""
        with suppress(OSError):
            return (self._state_dir / "status.json").stat().st_mtime_ns
        return 0

    def status(self) -> dict[str, Any]:
        """Its status file, as far as it is this run's."""
        with suppress(OSError, ValueError):
            return dict(json.loads((self._state_dir / "status.json").read_text()))
        return {}


def signal_to(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Signal a process of ours, not by `send_signal`: that may reap it, and its exit code is lost."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


def _config(state_dir: Path, port: int) -> str:
    lanes = "".join(_lane(name) for name in DOORS)
    return f"""
[terminal]
id = "{TERMINAL}"
state_dir = "{state_dir}"
stop_upload_s = 10.0
[parameters]
driver = "parameters.directory"
path = "parameters"
[office]
driver = "office.https"
url = "https://localhost:{port}"
ca = "pki/ca.pem"
certificate = "pki/{TERMINAL}.pem"
key = "pki/{TERMINAL}.key"
[upload]
gather_s = 0.02
first_wait_s = 0.1
longest_wait_s = 0.5
least_retry_after_s = 0.1
{lanes}"""


def _lane(name: str) -> str:
    return f"""
[boards.{name}]
driver = "board.modbus"
link = "serial:wires/{name}/board?baud=115200"
[lanes.{name}]
service = "fare"
passage = "assumed"
[[lanes.{name}.readers]]
driver = "scan.serial"
link = "serial:wires/{name}/scan?baud=115200"
framing = "length16"
[lanes.{name}.gate]
board = "{name}"
open_coil = {GATE}
open_ms = 50
[[lanes.{name}.indicators]]
board = "{name}"
green = {GREEN}
amber = {AMBER}
red = {RED}
show_ms = 50
"""
