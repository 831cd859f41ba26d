"""How much memory does a running bus terminal hold?

- rss_mib: VmRSS of its process as the kernel tells it from outside, after 200 taps uploaded to a real head office.
- pss_mib: its fair share of what it shares with other processes.
"""

import asyncio
import tempfile
import time
from pathlib import Path

from benchmarks.bus import bus
from simulators.phone import Phone

LIMITS = {"rss_mib": 64.0}
TAPS = 200


def run(*, quick: bool = False) -> dict[str, float]:
    """Measure in the working directory."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as place:
        return asyncio.run(_measure(Path(place), 3 if quick else TAPS))


async def _measure(place: Path, taps: int) -> dict[str, float]:
    async with bus(place) as terminal:
        for number in range(taps):
            await terminal.tap(Phone(f"holder {number}").code(int(time.time())))
        await asyncio.sleep(1.0)
        return {
            "rss_mib": _kib(terminal.pid, "status", "VmRSS:") / 1024,
            "pss_mib": _kib(terminal.pid, "smaps_rollup", "Pss:") / 1024,
        }


def _kib(pid: int, file: str, name: str) -> int:
    text = Path(f"/proc/{pid}/{file}").read_text()
    return int(text.split(name)[1].split()[0])
