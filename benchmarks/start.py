"""How long until a terminal serves, from the beginning of its process?

- empty_ready_s: with a new journal.
- backlog_ready_s: with a million paid rides in it that head office has not heard of; the newest are verified before the
  first gate opens, the rest while the terminal runs.

Ready is what the terminal says in its status file; the median of three starts, with no head office and no device there.
"""

import asyncio
import json
import shutil
import signal
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.backlog import fill
from benchmarks.bus import CONFIG, start, terminal_of

LIMITS = {"backlog_ready_s": 5.0}
RIDES, STARTS, WITHIN_S = 1_000_000, 3, 60.0


def run(*, quick: bool = False) -> dict[str, float]:
    """Measure on the disk the working directory stands on."""
    rides, starts = (2000, 1) if quick else (RIDES, STARTS)
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as name:
        place = Path(name)
        journal = place / "bus" / "journal"
        asyncio.run(_lay_out(place))
        empty = [_timed(place, lambda: shutil.rmtree(journal)) for _ in range(starts)]
        shutil.rmtree(journal)
        began = time.monotonic()
        fill(journal, "bus-0017", rides)
        made_s = time.monotonic() - began
        full = [_timed(place, lambda: None) for _ in range(starts)]
        size = (journal / "journal.db").stat().st_size
    return {
        "empty_ready_s": statistics.median(empty),
        "backlog_ready_s": statistics.median(full),
        "backlog_entries": rides,
        "backlog_mib": size / (1 << 20),
        "backlog_made_s": made_s,
    }


async def _lay_out(place: Path) -> None:
    async with terminal_of(place, CONFIG.read_text(encoding="utf-8")):
        """Certificates, parameters and configuration stay when it ends."""


def _timed(place: Path, prepare: Callable[[], None]) -> float:
    prepare()
    (place / "bus" / "status.json").unlink(missing_ok=True)
    return asyncio.run(_ready_after(place))


async def _ready_after(place: Path) -> float:
    """Seconds from the process to ready."""
    began, status = time.monotonic(), place / "bus" / "status.json"
    terminal = await start(place, "terminal", "run", str(place / "terminal.toml"))
    try:
        async with asyncio.timeout(WITHIN_S):
            while not (status.exists() and json.loads(status.read_bytes())["ready"]):
                await asyncio.sleep(0.01)
        return time.monotonic() - began
    finally:
        terminal.send_signal(signal.SIGTERM)
        await terminal.wait()
