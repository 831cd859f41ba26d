"""A running bus terminal to measure: one process of its own, its far ends here.

Laws of this file:
- The terminal is `terminal run` on the demo's bus configuration; head office is a process of its own as well.
- The scan module and the board are at the far ends of paced ptys, in this process; what is clocked is what crosses
  the wire: the last byte of a code going in, the first byte of the coil's request coming out (witness.py).
"""

import asyncio
import json
import os
import signal
import sys
import time
import tomllib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from benchmarks.witness import Witness
from simulators import pki
from simulators.gate import Board
from simulators.parameters import ParameterOffice
from simulators.scan_module import ScanModule
from terminal.core.parameters import Policies

CONFIG = Path(__file__).parent.parent / "config" / "demo" / "bus.toml"
WRITE_COIL, OPEN_COIL, ON = 5, 0, 0xFF
READY_S, ANSWER_S = 20.0, 5.0


class Bus:
    """One bus, as its passengers meet it."""

    def __init__(self, scan: ScanModule, witness: Witness, process: asyncio.subprocess.Process) -> None:
        self.pid = process.pid
        self._scan = scan
        self._opened: asyncio.Future[int] | None = None
        witness.sees = self._look

    async def tap(self, code: bytes) -> int:
        """Show a code; nanoseconds from its last byte to the order for the gate's coil. Raises TimeoutError."""
        self._opened = asyncio.get_running_loop().create_future()
        last_byte_ns = await self._scan.show(code)
        async with asyncio.timeout(ANSWER_S):
            return await self._opened - last_byte_ns

    def _look(self, data: bytes, at_ns: int) -> None:
        """RTU: unit, function, address (2), value (2), CRC (2); one request a write on a pty."""
        order = data[1:2] == bytes((WRITE_COIL,)) and data[2:4] == bytes((0, OPEN_COIL)) and data[4] == ON
        if order and self._opened is not None and not self._opened.done():
            self._opened.set_result(at_ns)


@asynccontextmanager
async def bus(place: Path, more: str = "") -> AsyncIterator[Bus]:
    """Start everything under `place`, and end it; `more` stands at the end of its configuration."""
    board, scan = Board(), ScanModule(place / "wires/bus/front/scan")
    await board.serve_serial(_folder(place / "wires/bus/front") / "board")
    scan.wire.plug()
    witness = Witness(board)
    try:
        async with terminal_of(place, CONFIG.read_text(encoding="utf-8") + more) as terminal:
            yield Bus(scan, witness, terminal)
    finally:
        witness.leave()
        scan.wire.unplug()
        await board.close()


@asynccontextmanager
async def terminal_of(
    place: Path,
    config: str,
    prepare: Callable[[ParameterOffice], None] = lambda office: None,
    trouble: int = 0,
    **environment: str,
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Head office and a terminal of this configuration, both ready; `prepare` changes the parameters first.

    `trouble`: of a hundred requests to head office, how many meet trouble.
    """
    settings = tomllib.loads(config)["terminal"]
    authority = pki.Authority(place / "pki")
    authority.issue("office", server=True)
    authority.issue(settings["id"])
    office_keys = pki.write_office_keys(place / "office-keys")
    parameters = ParameterOffice(place / "parameters", office_keys, policies=Policies(passage_s=6))
    prepare(parameters)
    parameters.publish(time.time_ns() // 10**6)
    office = await start(
        place, "simulators.office_server", "--dir", str(place), "--trouble", str(trouble), elsewhere=True
    )
    assert office.stdout is not None
    port = json.loads(await office.stdout.readline())["port"]
    file = place / "terminal.toml"
    file.write_text(config.replace("18443", str(port)), encoding="utf-8")
    terminal = await start(place, "terminal", "run", str(file), environment=environment)
    try:
        await _ready(place / settings["state_dir"] / "status.json")
        yield terminal
    finally:
        for process in (terminal, office):
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            await process.wait()


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def stand_aside() -> None:
    """This process stands elsewhere in the field: it takes what those to be measured leave of the processors."""
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.nice(10)


async def start(
    place: Path, *module: str, elsewhere: bool = False, environment: Mapping[str, str] | None = None
) -> asyncio.subprocess.Process:
    """A module as a process of its own; what it says on standard error goes to a log in `place`."""
    with (place / f"{module[0]}.log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *module,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env=os.environ | dict(environment or {}),
            preexec_fn=stand_aside if elsewhere else None,
        )


async def _ready(status: Path) -> None:
    async with asyncio.timeout(READY_S):
        while not (status.exists() and json.loads(status.read_bytes())["ready"]):  # another process
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.3)  # the board has answered its first polls
