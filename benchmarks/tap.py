"""How long does a commuter wait, from the last byte of the code to the order for the gate's coil?

- p50_ms, p99_ms: ours, through the whole terminal: framing, verification, history, sealing, a durable entry, Modbus.
- ratio_p50: against the least that must be done, measured in turn with every tap on the same file system: the two
  bare SM2 verifications of the same code (the issuer's key is loaded; the holder's comes with the code and is parsed),
  and its entry's bytes appended to a file and flushed by fdatasync.

The gate's line is polled for its inputs all the time, as in the field; an order may have to wait for an answer.
"""

import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.bus import bus
from benchmarks.pairing import quantile_ms
from simulators.phone import Phone
from terminal.core.sm2 import PublicKey
from terminal.core.tokens import ride_code

LIMITS = {"ratio_p50": 2.0}
TAPS, WARM = 200, 20
ENTRY_BYTES = 1200  # of a sealed grant with a ride code of 332 bytes


def run(*, quick: bool = False) -> dict[str, float]:
    """Measure on the disk the working directory stands on."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as place:
        return asyncio.run(_measure(Path(place), 5 if quick else TAPS, 2 if quick else WARM))


async def _measure(place: Path, taps: int, warm: int) -> dict[str, float]:
    ours: list[int] = []
    limit: list[int] = []
    raw = os.open(place / "raw", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    try:
        async with bus(place) as terminal:
            for number in range(warm + taps):
                code = Phone(f"holder {number}").code(int(time.time()))
                took = await terminal.tap(code)
                least = _least(code, raw)
                if number >= warm:
                    ours.append(took)
                    limit.append(least)
    finally:
        os.close(raw)
    return {
        "p50_ms": quantile_ms(ours, 0.5),
        "p99_ms": quantile_ms(ours, 0.99),
        "limit_p50_ms": quantile_ms(limit, 0.5),
        "ratio_p50": statistics.median(ours) / statistics.median(limit),
    }


def _least(code: bytes, raw: int) -> int:
    """Nanoseconds of bare verification, and one append with fdatasync."""
    fields = ride_code.parse(code)
    assert fields is not None
    issuer_key, entry = PublicKey(fields.certificate.public_key), os.urandom(ENTRY_BYTES)
    began = time.perf_counter_ns()
    user_key = PublicKey(fields.user_key)
    held = issuer_key.verify(fields.issuer_signature[1:], fields.issuer_signed)
    held = held and user_key.verify(fields.user_signature[1:], fields.user_signed)
    os.write(raw, entry)
    os.fdatasync(raw)
    took = time.perf_counter_ns() - began
    assert held
    return took
