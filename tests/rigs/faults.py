"""System calls that fail: the n-th flush, write or open of a tap, a receipt, a start; n = 1, 2, 3 … until none is left.

    python -m tests.rigs.faults
    python -m tests.rigs.faults --plant "opens on hope"      # must be noticed

Laws of this file:
- strace injects EIO, ENOSPC or SIGKILL into one call on the journal's files, in the running terminal; nothing is
  mocked.
- The terminal goes on, refuses, or ends as it says it does: exit code 5, or by the signal. It never hangs, never dies
  of a bug, and never opens a gate without a grant in its journal.
- After every case it starts again and serves; in the end head office holds the journal, once.
"""

import argparse
import asyncio
import itertools
import json
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Self

from drivers.store import recovery
from terminal.cli import exit_codes
from terminal.core.entries import decode
from tests.plants import PROCESS_PLANTS
from tests.rigs.cuts import Found, judge, read_journal
from tests.rigs.outside import Outside, TerminalProcess, signal_to

FAMILIES = {"flush": "fsync,fdatasync", "write": "write,pwrite64", "open": "openat"}
FAULTS = {  # a disk that is full stays so for a while
    "EIO": "error=EIO:when={}",
    "ENOSPC": "error=ENOSPC:when={}+",
    "kill": "signal=KILL:when={}",
}
PHASES = ("tap", "receipt", "start")
FILES = (
    "",
    recovery.DATABASE,
    recovery.LOG,
    recovery.SHARED,
    recovery.TAIL_FILE,
    recovery.HEAD,
    "ballast",
    "journal.lock",
)
EXPECTED = (exit_codes.OK, exit_codes.JOURNAL, -signal.SIGKILL)
MOST = 200  # calls of one kind in one phase; a start writes some seventy times. More are wrong: some were not failed
SETTLED_S = 20.0
LET_GO_S = 3.0


class Case(NamedTuple):
    """One call that is to fail."""

    family: str
    fault: str
    number: int

    def options(self, journal: Path, out: Path) -> list[str]:
        """What strace is told."""
        calls, paths = FAMILIES[self.family], [str(journal / name).rstrip("/") for name in FILES]
        inject = f"inject={calls}:{FAULTS[self.fault].format(self.number)}"
        trace = ["-f", "-o", str(out), "-e", f"trace={calls}", "-e", inject]
        return [*trace, *(word for path in paths for word in ("-P", path))]


def why_not() -> str | None:
    """Why no call can be made to fail here, or None."""
    if shutil.which("strace") is None:
        return "needs strace (Debian: apt-get install strace)"
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    allowed = os.geteuid() == 0 or not scope.exists() or scope.read_text().strip() == "0"
    return None if allowed else "needs the right to trace our own processes"


class Faults:
    """One terminal and its outside; case after case."""

    def __init__(
        self,
        directory: Path,
        plant: str = "",
        most: int = MOST,
        phases: Collection[str] = PHASES,
        families: Collection[str] = tuple(FAMILIES),
        faults: Collection[str] = tuple(FAULTS),
    ) -> None:
        self.found = Found()
        self.cases: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._state_dir = directory / "state"
        self._journal = self._state_dir / "journal"
        self._out = directory / "strace.out"
        self._outside = Outside(directory, self._state_dir)
        self._directory = directory
        self._plant = plant
        self._most = most
        self._phases, self._families, self._faults = phases, families, faults
        self._terminal: TerminalProcess

    async def run(self) -> None:
        """Every phase, family and fault, at every index."""
        config = await self._outside.build()
        self._terminal = TerminalProcess(config, self._state_dir, self._directory / "terminal.log", plant=self._plant)
        try:
            phases = {"tap": self._tap, "receipt": self._receipt, "start": self._start}
            for name, family, fault in itertools.product(self._phases, self._families, self._faults):
                await self._exhaust(name, phases[name], family, fault)
            await self._finish()
        finally:
            await self._end()

    async def _exhaust(self, name: str, phase: Callable[[Case], Awaitable[bool]], family: str, fault: str) -> None:
        for number in range(1, self._most + 1):
            case = Case(family, fault, number)
            if not await phase(case):
                return
            self.cases[name] += 1
            await self._look(f"{name}: {fault} at {family} {number}")
        if self._most == MOST:
            self.wrong.append(f"{name}: more than {MOST} of {family}: not every call was made to fail")

    # ----------------------------------------------------------------------- phases: whether the fault struck

    async def _tap(self, case: Case) -> bool:
        await self._up()
        async with _Strace(self._terminal, case.options(self._journal, self._out), self._out) as strace:
            await self._ride()
        return strace.struck

    async def _receipt(self, case: Case) -> bool:
        await self._up()
        await self._terminal.uploaded()
        server, as_it_was = self._outside.office, self._outside.office.meets
        server.meets = lambda: "busy"
        await self._ride()
        async with _Strace(self._terminal, case.options(self._journal, self._out), self._out) as strace:
            server.meets = as_it_was
            await self._terminal.uploaded(3.0)
        return strace.struck

    async def _start(self, case: Case) -> bool:
        await self._down()
        self._out.unlink(missing_ok=True)
        await self._terminal.start("strace", *case.options(self._journal, self._out))
        with suppress(TimeoutError):
            if await self._terminal.ready():
                await self._ride()
                _tell_child(self._terminal, signal.SIGTERM)
                await self._terminal.gone(SETTLED_S)
        if self._code() is None:
            self.wrong.append(f"start: {case.fault} at {case.family} {case.number}: it hangs")
            _tell_child(self._terminal, signal.SIGKILL)
            await self._terminal.gone()
        return _struck(self._out) or (case.fault == "kill" and self._code() == -signal.SIGKILL)

    async def _ride(self) -> None:
        door = self._outside.doors[0]
        await self._outside.tap(door)
        await self._outside.answered(door)
        await asyncio.sleep(0.02)

    # ----------------------------------------------------------------------- the terminal

    async def _up(self) -> None:
        process = self._terminal.process
        if process is not None and process.returncode is None:
            return
        await self._terminal.start()
        if not await self._terminal.ready():
            raise RuntimeError(f"the terminal did not start again: {self._code()}; see {self._directory}")

    async def _down(self) -> None:
        if self._terminal.process is not None and self._terminal.process.returncode is None:
            await self._terminal.stop()

    def _code(self) -> int | None:
        return None if self._terminal.process is None else self._terminal.process.returncode

    async def _look(self, what: str) -> None:
        """It lives, or ended as it says it does; one that says its journal is broken must end."""
        broken = any(line.get("event") == "journal broken" for line in self._terminal.lines())
        if self._code() is None and broken:
            with suppress(TimeoutError):
                await self._terminal.gone(SETTLED_S)
            if self._code() is None:
                said = [line.get("event") for line in self._terminal.lines()][-5:]
                self.wrong.append(f"{what}: it hangs; its last words: {said}; its threads: {_threads(self._terminal)}")
                self._terminal.kill()
                await self._terminal.gone()
        ending = broken and self._code() == -signal.SIGTERM  # told to stop when it had already begun to end
        if self._code() not in (None, *EXPECTED) and not ending:
            self.wrong.append(f"{what}: it ended with {self._code()}")

    async def _finish(self) -> None:
        await self._up()
        await self._ride()
        if not await self._terminal.uploaded():
            self.wrong.append("not everything was uploaded in the end")
        await self._terminal.stop()
        entries = read_journal(self._journal)
        taps = [replace(tap, lit_ns=None) for tap in self._outside.taps()]  # "out of service" is no decision
        judge(self.found, taps, [decode(stored.data) for stored in entries])
        office = self._outside.office.office
        counted = {row[0] for row in office.db.execute("SELECT counts_as FROM records")}
        self.found.office_missing = sum(stored.hash not in counted for stored in entries)
        self.found.office_duplicates = office.status()["duplicates"]

    async def _end(self) -> None:
        if self._terminal.process is not None and self._terminal.process.returncode is None:
            _tell_child(self._terminal, signal.SIGKILL)
            self._terminal.kill()
            await self._terminal.gone()
        await self._outside.close()


class _Strace:
    """strace attached to the terminal for a while."""

    def __init__(self, terminal: TerminalProcess, options: list[str], out: Path) -> None:
        self.struck = False
        self._terminal = terminal
        self._options = options
        self._out = out
        self._strace: asyncio.subprocess.Process

    async def __aenter__(self) -> Self:
        process = self._terminal.process
        assert process is not None
        self._out.unlink(missing_ok=True)
        self._strace = await asyncio.create_subprocess_exec(
            "strace", *self._options, "-p", str(process.pid), stderr=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(SETTLED_S):
            while not _is_traced(process.pid):  # another process
                await asyncio.sleep(0.005)
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._terminal.process
        assert process is not None
        signal_to(self._strace, signal.SIGINT)  # it lets go
        try:
            async with asyncio.timeout(LET_GO_S):
                await self._strace.wait()
        except TimeoutError:  # it waits for threads that died with the process it traced
            signal_to(self._strace, signal.SIGKILL)
            await self._strace.wait()
        killed, may_die = False, any("signal=KILL" in option for option in self._options)
        with suppress(TimeoutError):  # what strace says of a kill may be lost with it
            killed = await self._terminal.gone(1.0 if may_die else 0.05) == -signal.SIGKILL
        self.struck = killed or _struck(self._out)


def _is_traced(pid: int) -> bool:
    """Whether every thread has a tracer."""
    with suppress(OSError):
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return all("TracerPid:\t0\n" not in (thread / "status").read_text() for thread in threads)
    return True  # it ended


def _threads(terminal: TerminalProcess) -> list[str]:
    """What each of its threads waits for in the kernel."""
    assert terminal.process is not None
    found = []
    for thread in sorted(Path(f"/proc/{terminal.process.pid}/task").glob("*")):
        with suppress(OSError):
            words = [(thread / name).read_text().strip() for name in ("comm", "wchan", "syscall")]
            found.append(" ".join(words)[:60])
    return found


def _struck(out: Path) -> bool:
    return out.exists() and "(INJECTED)" in out.read_text(errors="replace")


def _tell_child(terminal: TerminalProcess, number: signal.Signals) -> None:
    """Signal the terminal that runs under strace, not strace."""
    assert terminal.process is not None
    pid = terminal.process.pid
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            os.kill(int(child), number)


async def stop_on_a_hung_disk(directory: Path) -> int:
    """Every flush of the journal takes minutes, a tap waits for one, then SIGTERM; the exit code."""
    outside = Outside(directory, directory / "state")
    config = await outside.build()
    config.write_text(config.read_text().replace("stop_upload_s = 10.0", "stop_upload_s = 0.1"))
    terminal = TerminalProcess(config, directory / "state", directory / "terminal.log")
    await terminal.start()
    try:
        assert await terminal.ready() and terminal.process is not None
        calls = "fdatasync,pwrite64"  # the tail file's writes are durable when they return
        hang = ["-f", "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={calls}:delay_enter=300000000"]
        async with _Strace(terminal, hang, directory / "strace.out"):
            await outside.tap(outside.doors[0])
            assert not await outside.answered(outside.doors[0])
            terminal.tell(signal.SIGTERM)
            async with asyncio.timeout(3 * SETTLED_S):
                while not _has_left(terminal.process.pid):  # strace keeps what is left of it
                    await asyncio.sleep(0.05)
        return await terminal.gone()
    finally:
        terminal.kill()
        await terminal.gone()
        await outside.close()


def _has_left(pid: int) -> bool:
    """Whether a process has ended, as far as its disk lets it."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


async def fail(**options: Any) -> Faults:
    """Every case, in a directory that is gone afterwards; options are those of Faults."""
    with tempfile.TemporaryDirectory(prefix="onecard-faults-") as directory:
        faults = Faults(Path(directory), **options)
        await faults.run()
        return faults


def main() -> int:
    """Fail, restart, sum up."""
    parser = argparse.ArgumentParser(prog="python -m tests.rigs.faults", description="system calls that fail")
    parser.add_argument("--most", type=int, default=MOST, help="of each kind in each phase, so many at most")
    parser.add_argument("--plant", default="", choices=["", *PROCESS_PLANTS])
    options = parser.parse_args()
    reason = why_not()
    if reason is not None:
        print(f"faults: skipped: {reason}", file=sys.stderr)
        return 0
    faults = asyncio.run(fail(plant=options.plant, most=options.most))
    for what in faults.wrong:
        print(what)
    found = faults.found
    sums = ("lost", "opened_without_record", "office_missing", "office_duplicates")
    print(
        json.dumps(
            {"cases": faults.cases.total(), **faults.cases, "opened": found.acknowledged}
            | {name: getattr(found, name) for name in sums}
            | {"wrong": len(faults.wrong)}
        )
    )
    return 1 if faults.wrong or any(getattr(found, name) for name in sums) else 0


if __name__ == "__main__":
    sys.exit(main())
