"""How long does a commuter wait, from the last byte of the code to the order for the gate's coil?

- p50_ms, p99_ms: ours, through the whole terminal: framing, verification, history, sealing, a durable entry, Modbus.
- ratio_p50: against the least that must be done: two bare SM2 verifications and one append with fdatasync, in a process
  that waits on a line of its own and is shown every code in turn with the terminal, at the same pace (least.py).
- least_hot_p50_ms: the same least in this process, at once after each tap, on a processor that is awake: shown, because
  a virtual processor that has to be woken makes everything slower, the least as well.

The gate's line is polled for its inputs all the time, as in the field; an order may have to wait for an answer.
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.bus import bus
from benchmarks.least import Hot, least
from benchmarks.pairing import quantile_ms
from simulators.phone import Phone

LIMITS = {"ratio_p50": 2.0}
TAPS, WARM = 200, 20


def run(*, quick: bool = False) -> dict[str, float]:
    """Measure on the disk the working directory stands on."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as place:
        return asyncio.run(_measure(Path(place), 5 if quick else TAPS, 2 if quick else WARM))


async def _measure(place: Path, taps: int, warm: int) -> dict[str, float]:
    ours: list[int] = []
    limit: list[int] = []
    hot: list[int] = []
    here = Hot(place / "hot")
    async with bus(place) as terminal, least(place) as other:
        for number in range(warm + taps):
            code = Phone(f"holder {number}").code(int(time.time()))
            ours.append(await terminal.tap(code))
            hot.append(here.tap(code))
            limit.append(await other.tap(code))
    ours, limit, hot = ours[warm:], limit[warm:], hot[warm:]
    return {
        "p50_ms": quantile_ms(ours, 0.5),
        "p99_ms": quantile_ms(ours, 0.99),
        "limit_p50_ms": quantile_ms(limit, 0.5),
        "least_hot_p50_ms": quantile_ms(hot, 0.5),
        "ratio_p50": statistics.median(ours) / statistics.median(limit),
    }
