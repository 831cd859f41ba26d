"""Send records through chaos and say what came of them.

    python -m tests.chaos --records 20000
    python -m tests.chaos --records 600 --plant "office without dedup"     # must be noticed

Laws of this file:
- The last line is one JSON object: records acknowledged faults kinds kills missing double different lost seconds.
- It exits with 1 if anything is missing, double, different or lost, or if the chaos was less than promised: of 20,000
  records 2,000 faults, every kind at least once, and each end killed 20 times; of fewer records a part of that.
"""

import argparse
import asyncio
import json
import shutil
import socket
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from drivers.store import recovery
from simulators import pki
from simulators.office import HeadOffice
from simulators.office_server import TROUBLES
from simulators.parameters import ParameterOffice
from terminal.core.entries import Commanded, decode
from tests.chaos.ends import TERMINAL
from tests.chaos.proxy import FAULTS, ChaosProxy

ROOT = Path(__file__).resolve().parents[2]
FULL = 20_000
FULL_FAULTS, FULL_KILLS = 2_000, 20
LINK_PERCENT, OFFICE_PERCENT = 25, 22
READY_S = 30.0


class End:
    """One end: started, watched, killed, started again."""

    def __init__(self, log: Path, *command: object) -> None:
        self.log = log
        self.command = command
        self.kills = 0
        self.lines: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    async def start(self, *more: object) -> None:
        """Start it, and wait until it says that it is ready."""
        self.lines = asyncio.Queue()
        words = [str(word) for word in (*self.command, *more)]
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.chaos.ends", *words, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=log
            )
        self._reader = asyncio.create_task(self._read(self._process, self.lines))
        async with asyncio.timeout(READY_S):
            while "ready" not in await self.lines.get():
                pass

    async def kill(self) -> None:
        """SIGKILL; what it said until then is still read."""
        assert self._process is not None and self._reader is not None
        if self._process.returncode is not None:
            told = self.log.read_text(encoding="utf-8")[-2000:]
            raise RuntimeError(f"{self.command[0]} ended by itself with {self._process.returncode}: {told}")
        self._process.kill()
        self.kills += 1
        await self._process.wait()
        await self._reader

    async def _read(self, process: asyncio.subprocess.Process, lines: "asyncio.Queue[dict[str, Any]]") -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            if line.endswith(b"\n"):
                lines.put_nowait(json.loads(line))
        lines.put_nowait({"ended": True})


class Chaos:
    """One run."""

    def __init__(self, directory: Path, records: int, seed: int, plant: str) -> None:
        self.directory, self.records, self.random, self.plant = directory, records, Random(seed), plant
        self.lives = max(2, round(FULL_KILLS * records / FULL)) + 1
        self.acknowledged: set[str] = set()
        self.office_faults: Counter[str] = Counter(dict.fromkeys(TROUBLES, 0))
        self.office_port = _free_port()
        self.proxy = ChaosProxy(lambda: self.office_port, self.random, LINK_PERCENT)
        self._done = asyncio.Event()

    def prepare(self) -> None:
        """Certificates, keys, parameters."""
        authority = pki.Authority(self.directory / "pki")
        authority.issue("office", server=True)
        authority.issue(TERMINAL)
        keys = pki.write_office_keys(self.directory / "office-keys")
        ParameterOffice(self.directory / "parameters", keys).publish(time.time_ns() // 1_000_000)

    async def run(self) -> None:
        """Until everything that was written has its receipt."""
        self.prepare()
        port = await self.proxy.start()
        log, plant = self.directory / "ends.log", ("--plant", self.plant)
        self.terminal = End(log, "terminal", self.directory, "--port", port, *plant)
        self.office = End(log, "office", self.directory, "--port", self.office_port, *plant)
        killing = asyncio.create_task(self._kill_office())
        try:
            for life in range(self.lives):
                await self._live(life)
        finally:
            self._done.set()
            await killing
            await self.proxy.stop()

    async def _live(self, life: int) -> None:
        """One life of the terminal: it writes its share; the last life ends when nothing is left to send."""
        until = self.records * (life + 1) // self.lives
        await self.terminal.start("--until", until)
        last = life == self.lives - 1
        try:
            async with asyncio.timeout(self._longest_s() if last else self.random.uniform(0.5, 4.0)):
                while True:
                    line = await self.terminal.lines.get()
                    self._heard(line)
                    if line.get("unsent") == 0 and last:
                        break
        except TimeoutError:
            assert not last, "the last records did not get through"
        await self.terminal.kill()
        while not self.terminal.lines.empty():
            self._heard(self.terminal.lines.get_nowait())

    def _longest_s(self) -> float:
        """When it is stuck rather than slow."""
        return 60.0 + self.records / 20

    def _heard(self, line: dict[str, Any]) -> None:
        self.acknowledged |= set(line.get("acked", ()))

    async def _kill_office(self) -> None:
        """Start head office, and kill it every second or so until the terminal is done; at least so often as asked."""
        seed = 0
        while not self._done.is_set() or self.office.kills < self.lives:
            seed += 1
            await self.office.start("--trouble", OFFICE_PERCENT, "--seed", seed)
            wait_s = 0.3 if self._done.is_set() else self.random.uniform(1.0, 6.0)
            await asyncio.sleep(wait_s)
            self._count_office_faults()
            await self.office.kill()

    def _count_office_faults(self) -> None:
        """What head office counted in this life, as its status said last."""
        path = self.directory / "office.json"
        if path.exists():
            self.office_faults.update(json.loads(path.read_text())["troubles"])
            path.unlink()

    # ----------------------------------------------------------------------- judging

    def judge(self) -> dict[str, Any]:
        """Head office's records against the journal's."""
        with recovery.reading(self.directory / "journal") as kept:
            journal = {(one.name.epoch, one.name.sequence): one.data for one in kept.entries()}
        receipt, sealing = pki.load_office_keys(self.directory / "office-keys")
        office = HeadOffice(self.directory / "office.db", receipt, sealing)
        rows = office.db.execute("SELECT epoch, sequence, data FROM records").fetchall()
        held = {(epoch, sequence): data for epoch, sequence, data in rows}
        written = [fact.what for data in held.values() if isinstance(fact := decode(data).fact, Commanded)]
        faults = self.proxy.faults + Counter({f"office: {kind}": n for kind, n in self.office_faults.items()})
        kinds = {kind: faults[kind] for kind in (*FAULTS, *(f"office: {one}" for one in TROUBLES))}
        return {
            "records": len(journal),
            "acknowledged": len(self.acknowledged),
            "faults": sum(kinds.values()),
            "kinds": kinds,
            "kills": {"terminal": self.terminal.kills, "office": self.office.kills},
            "missing": len(journal.keys() - held.keys()),
            "double": len(rows) - len(held) + len(written) - len(set(written)),
            "different": sum(journal.get(name) != data for name, data in held.items()),
            "aside": office.status()["aside"],
            "lost": len(self.acknowledged - set(written)),
        }


def verdict(found: dict[str, Any], records: int) -> int:
    """0 if nothing is wrong and the chaos was what it promises to be."""
    part = min(1.0, records / FULL)
    chaotic = (
        found["faults"] >= FULL_FAULTS * part
        and min(found["kills"].values()) >= FULL_KILLS * part
        and (part < 1.0 or all(found["kinds"].values()))
    )
    wrong = any(found[what] for what in ("missing", "double", "different", "aside", "lost"))
    return 0 if chaotic and not wrong else 1


def live(records: int, seed: int, plant: str) -> dict[str, Any]:
    """One whole run in a directory of its own; what was found."""
    directory = Path(tempfile.mkdtemp(prefix="onecard-chaos-"))
    began = time.monotonic()
    try:
        chaos = Chaos(directory, records, seed, plant)
        asyncio.run(chaos.run())
        return chaos.judge() | {"seconds": round(time.monotonic() - began, 1)}
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def main() -> int:
    """Run; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="records through chaos")
    parser.add_argument("--records", type=int, default=FULL)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plant", default="", help='such as "mark before receipt" or "office without dedup"')
    options = parser.parse_args()
    found = live(options.records, options.seed, options.plant)
    print(json.dumps(found))
    return verdict(found, options.records)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
