"""Power cuts and kill -9 under the whole running terminal.

    python -m tests.rigs.cuts --cuts 150
    python -m tests.rigs.cuts --cuts 20 --plant "gate before journal"     # must be noticed

Laws of this file:
- A power cut is EXT4_IOC_SHUTDOWN on the image the journal lies on, then SIGKILL; two of three cuts are such, the
  others are SIGKILL alone. At least a third fall within 5 ms of a tap's last byte.
- Acknowledged is what a board's coil did, told outside the image. Each must be a decision in the journal in the end;
  each opening a grant; and head office must hold the journal, once.
- The control is the same terminal with `synchronous=NORMAL`: it must lose something, or the rig proves nothing.
- The last line is one JSON object; anything lost exits with 1.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path
from random import Random

from drivers.store import recovery
from terminal.core.entries import Alarm, Decided, Entry, StoredEntry, decode
from terminal.core.model import Verdict
from tests.plants import PROCESS_PLANTS
from tests.rigs import image as images
from tests.rigs.image import Image
from tests.rigs.outside import Outside, Tap, TerminalProcess

NEAR_NS = 5_000_000
EARLY_NS = 2_000_000  # a reader may stamp before the far end does
CONTROL = "synchronous normal"


@dataclass
class Found:
    """What the cuts of one terminal came to."""

    cuts: int = 0
    power: int = 0
    near: int = 0  # within 5 ms of a tap
    acknowledged: int = 0
    lost: int = 0
    opened_without_record: int = 0
    office_missing: int = 0
    office_duplicates: int = 0
    alarms: int = 0  # of damage, or of a disk that came back: there was none

    @property
    def whole(self) -> bool:
        """Whether nothing was lost, doubled or wrongly told."""
        wrong = (self.lost, self.opened_without_record, self.office_missing, self.office_duplicates, self.alarms)
        return not any(wrong)


class Cuts:
    """One terminal on one image, cut again and again."""

    def __init__(self, directory: Path, seed: int, plant: str = "") -> None:
        self.found = Found()
        self._random = Random(seed)
        self._image = Image(directory)
        self._state_dir = self._image.mounted / "state"
        self._outside = Outside(directory, self._state_dir, seed)
        self._directory = directory
        self._plant = plant
        self._terminal: TerminalProcess

    async def run(self, cuts: int) -> Found:
        """So many cuts, then upload what is left, and compare."""
        self._image.mount()
        try:
            config = await self._outside.build()
            log = self._directory / "terminal.log"
            self._terminal = TerminalProcess(config, self._state_dir, log, plant=self._plant)
            for number in range(cuts):
                await self._live_until_cut(power=number % 3 != 2)
                if (number + 1) % 10 == 0:
                    print(f"{number + 1} cuts, {len(self._outside.taps())} taps", file=sys.stderr, flush=True)
            await self._finish()
        finally:
            await self._end()
        return self.found

    # ----------------------------------------------------------------------- one life

    async def _live_until_cut(self, *, power: bool) -> None:
        await self._start()
        riders = [asyncio.create_task(self._outside.serve(door)) for door in self._outside.doors]
        try:
            await asyncio.sleep(self._random.uniform(0.1, 0.6))
            at_ns = time.monotonic_ns()
            if self._random.random() < 0.6:
                riders.pop().cancel()
                at_ns = await self._tap_now()
            await asyncio.to_thread(self._cut, at_ns, power=power)  # the boards live on meanwhile
        finally:
            for task in riders:
                task.cancel()
        await self._terminal.gone()
        await asyncio.sleep(0.05)  # what is still on the wires arrives
        if power:
            await asyncio.to_thread(self._image.unmount)
            await asyncio.to_thread(self._image.mount)

    async def _start(self) -> None:
        await self._terminal.start()
        if not await self._terminal.ready():
            raise RuntimeError(f"the terminal did not start again: see {self._directory}/terminal.log")

    async def _tap_now(self) -> int:
        """Somebody taps; when the cut is to come, a moment after the last byte."""
        door = self._outside.doors[-1]
        await self._outside.answered(door)
        tap = await self._outside.tap(door)
        return tap.shown_ns + self._random.randrange(NEAR_NS)

    def _cut(self, at_ns: int, *, power: bool) -> None:
        while (left_ns := at_ns - time.monotonic_ns()) > 0:
            time.sleep(min(left_ns / 1e9, 0.0002))
        now_ns = time.monotonic_ns()
        if power:
            self._image.cut()
        self._terminal.kill()
        self.found.cuts += 1
        self.found.power += power
        self.found.near += any(abs(now_ns - tap.shown_ns) <= NEAR_NS for tap in self._outside.taps())

    # ----------------------------------------------------------------------- the end

    async def _finish(self) -> None:
        await self._start()
        await self._terminal.uploaded()
        await self._terminal.stop()
        entries = read_journal(self._state_dir / "journal")
        judge(self.found, self._outside.taps(), [decode(stored.data) for stored in entries])
        office = self._outside.office.office
        counted = {row[0] for row in office.db.execute("SELECT counts_as FROM records")}
        self.found.office_missing = sum(stored.hash not in counted for stored in entries)
        self.found.office_duplicates = office.status()["duplicates"]

    async def _end(self) -> None:
        terminal = getattr(self, "_terminal", None)
        if terminal is not None and terminal.process is not None:
            terminal.kill()
            await terminal.gone()
        await self._outside.close()
        self._image.unmount()


def read_journal(directory: Path) -> list[StoredEntry]:
    """Every entry, read-only."""
    with recovery.reading(directory) as journal:
        return list(journal.entries())


def judge(found: Found, taps: list[Tap], entries: list[Entry]) -> None:
    """Each effect that was seen needs its decision: at its door, stamped between this tap and the next."""
    for door in {tap.door for tap in taps}:
        decided = sorted(
            (entry.at.monotonic_ns, entry.fact.verdict)
            for entry in entries
            if isinstance(entry.fact, Decided) and entry.fact.lane == door
        )
        times = [at_ns for at_ns, _ in decided]
        shown = sorted((tap for tap in taps if tap.door == door and tap.shown_ns), key=lambda tap: tap.shown_ns)
        for tap, until_ns in zip(shown, [*(tap.shown_ns for tap in shown[1:]), 1 << 62], strict=True):
            first = bisect_left(times, tap.shown_ns - EARLY_NS)
            last = bisect_left(times, until_ns - EARLY_NS)
            verdicts = {verdict for _, verdict in decided[first:last]}
            found.acknowledged += tap.seen
            found.lost += tap.seen and not verdicts
            found.opened_without_record += tap.opened_ns is not None and Verdict.GRANT not in verdicts
    found.alarms = sum(
        isinstance(entry.fact, Alarm) and entry.fact.kind in ("journal_damage", "new_epoch") for entry in entries
    )


# --------------------------------------------------------------------------- as a command


async def cut(cuts: int, seed: int, plant: str = "") -> Found:
    """Cut a terminal so often, in a directory that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="onecard-cuts-") as directory:
        return await Cuts(Path(directory), seed, plant).run(cuts)


def main() -> int:
    """Cut, control, sum up."""
    parser = argparse.ArgumentParser(prog="python -m tests.rigs.cuts", description="power cuts and kill -9")
    parser.add_argument("--cuts", type=int, default=150)
    parser.add_argument("--control", type=int, help="cuts of the control (default: a tenth, five at least)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plant", default="", choices=["", *PROCESS_PLANTS])
    options = parser.parse_args()
    reason = images.why_not()
    if reason is not None:
        print(f"cuts: skipped: {reason}", file=sys.stderr)
        return 0
    if not images.is_in_a_namespace():
        return images.in_a_namespace("tests.rigs.cuts", *sys.argv[1:])
    found = asyncio.run(cut(options.cuts, options.seed, options.plant))
    print(json.dumps(vars(found)), flush=True)
    if options.plant:
        return 0 if found.whole else 1
    control = asyncio.run(cut(options.control or max(5, options.cuts // 10), options.seed, CONTROL))
    print(f"control: {json.dumps(vars(control))}", flush=True)
    sums = ("cuts", "acknowledged", "lost", "opened_without_record", "office_missing", "office_duplicates")
    print(json.dumps({name: getattr(found, name) for name in sums} | {"control_lost": control.lost}))
    return 0 if found.whole and control.lost and found.near * 3 >= found.cuts else 1


if __name__ == "__main__":
    sys.exit(main())
