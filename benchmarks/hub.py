"""A hub: twelve gates on one terminal.

Laws of this file:
- As bus.py: a terminal and head office in processes of their own, far ends of paced ptys here. Every gate's board ends
  its pulse itself, so that one request opens it; its line is asked once a second whether it is there.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from benchmarks.bus import Bus, terminal_of
from benchmarks.witness import Witness
from simulators.gate import Board
from simulators.scan_module import ScanModule

GATES = 12
ORDER = bytes((6, 0, 0))  # write register 0: the board's own timed relay

HEAD = """
[terminal]
id = "hub-0001"
site = "hub"
state_dir = "hub"
[parameters]
driver = "parameters.directory"
path = "parameters"
[office]
driver = "office.https"
url = "https://localhost:18443"
ca = "pki/ca.pem"
certificate = "pki/hub-0001.pem"
key = "pki/hub-0001.key"
[upload]
first_wait_s = 0.2
longest_wait_s = 2.0
"""
GATE = """
[boards.b{0}]
driver = "board.modbus"
link = "serial:wires/{0}/board?baud=115200"
inputs = 0
[lanes."hub/{0}"]
service = "fare"
passage = "assumed"
[[lanes."hub/{0}".readers]]
driver = "scan.serial"
link = "serial:wires/{0}/scan?baud=115200"
framing = "length16"
[lanes."hub/{0}".gate]
board = "b{0}"
open_coil = 0
open_ms = 100
pulse = "register"
pulse_register = 0
"""


class Gate(Bus):
    """One of the hub's gates, as its passengers meet it."""

    def __init__(self, scan: ScanModule, witness: Witness, process: asyncio.subprocess.Process) -> None:
        super().__init__(scan, witness, process)
        self.refused: list[float] = []  # Unix seconds at which somebody showed a code nobody opened for
        self._plugged = asyncio.Lock()

    async def visit(self, code: bytes, random: Random | None) -> int:
        """One person; with a `random` some show rubbish first, and some their code again."""
        async with self._plugged:
            if random is not None and random.randrange(7) == 0:
                await self._scan.show(random.randbytes(random.randint(3, 200)))
                await asyncio.sleep(0.05)
            shown_s = time.time()
            try:
                took = await self.tap(code)
            except TimeoutError:
                self.refused.append(shown_s)
                raise
            if random is not None and random.randrange(5) == 0:
                await self._scan.show(code)
            return took

    async def pull(self) -> None:
        """Pull the scan line's plug and put it back; people wait meanwhile."""
        async with self._plugged:
            self._scan.wire.unplug()
            await asyncio.sleep(0.5)
            self._scan.wire.plug()
            await asyncio.sleep(3.5)  # the terminal has noticed, and opened it again

    def _look(self, data: bytes, at_ns: int) -> None:
        if data[1:4] == ORDER and self._opened is not None and not self._opened.done():
            self._opened.set_result(at_ns)


class Hub:
    """All of them."""

    def __init__(self, gates: list[Gate], place: Path) -> None:
        self.gates = gates
        self.pid = gates[0].pid
        self._place = place

    def status(self) -> dict[str, dict[str, int]]:
        """What the terminal says of itself."""
        found: dict[str, dict[str, int]] = json.loads((self._place / "hub" / "status.json").read_bytes())
        return found


@asynccontextmanager
async def hub(place: Path, trouble: int = 0) -> AsyncIterator[Hub]:
    """Start everything under `place`, and end it."""
    far_ends = []
    for number in range(GATES):
        (folder := place / f"wires/{number}").mkdir(parents=True)
        board, scan = Board(), ScanModule(folder / "scan")
        await board.serve_serial(folder / "board")
        scan.wire.plug()
        far_ends.append((scan, board, Witness(board)))
    try:
        config = HEAD + "".join(GATE.format(number) for number in range(GATES))
        async with terminal_of(place, config, trouble=trouble) as terminal:
            yield Hub([Gate(scan, witness, terminal) for scan, _, witness in far_ends], place)
    finally:
        for scan, board, witness in far_ends:
            witness.leave()
            scan.wire.unplug()
            await board.close()
