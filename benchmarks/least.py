"""The least that anybody must do for a tap: python -m benchmarks.least LINE FILE.

Laws of this file:
- A process of its own that sleeps on a serial line as a terminal does, so that it meets what a terminal meets: a code
  at the line's pace, a processor that went to sleep, caches that others used meanwhile.
- What counts is the sum of two bare SM2 verifications (the issuer's key is loaded; the holder's comes with the code
  and is parsed) and of one append with fdatasync. Reading, framing and answering are not counted.
"""

import asyncio
import os
import sys
import time
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from simulators.scan_module import ScanModule
from terminal.core.sm2 import PublicKey
from terminal.core.tokens import ride_code

ENTRY_BYTES = 1200  # of a sealed grant with a ride code of 332 bytes


def main(line: str, file: str) -> None:
    """For every frame (length, payload) on the line, the nanoseconds the least took, on standard output."""
    wire = os.open(line, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(wire)
    doing = Hot(Path(file))
    print("ready", flush=True)
    while True:
        print(doing.tap(_exactly(wire, int.from_bytes(_exactly(wire, 2)))), flush=True)


class Hot:
    """The least, done at once where it is called."""

    def __init__(self, file: Path) -> None:
        self._raw = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self._entry = os.urandom(ENTRY_BYTES)
        self._issuers: dict[bytes, PublicKey] = {}

    def tap(self, code: bytes) -> int:
        """Nanoseconds of two bare verifications and one durable append."""
        fields = ride_code.parse(code)
        assert fields is not None
        point = fields.certificate.public_key
        if point not in self._issuers:
            self._issuers[point] = PublicKey(point)
        issuer_key = self._issuers[point]
        began = time.perf_counter_ns()
        user_key = PublicKey(fields.user_key)
        held = issuer_key.verify(fields.issuer_signature[1:], fields.issuer_signed)
        held = held and user_key.verify(fields.user_signature[1:], fields.user_signed)
        os.write(self._raw, self._entry)
        os.fdatasync(self._raw)
        took = time.perf_counter_ns() - began
        assert held
        return took


def _exactly(wire: int, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += os.read(wire, count - len(data))
    return data


class Least:
    """That process, as its passengers meet it."""

    def __init__(self, scan: ScanModule, answers: asyncio.StreamReader) -> None:
        self._scan = scan
        self._answers = answers

    async def tap(self, code: bytes) -> int:
        """Show a code; the nanoseconds the least took."""
        await self._scan.show(code)
        return int(await self._answers.readline())


@asynccontextmanager
async def least(place: Path) -> AsyncIterator[Least]:
    """Start the process with its files under `place`, and end it."""
    scan = ScanModule(place / "least-scan")
    scan.wire.plug()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.least",
        str(scan.wire.path),
        str(place / "raw"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        await process.stdout.readline()
        await asyncio.sleep(0.1)  # the wire notices its opener
        yield Least(scan, process.stdout)
    finally:
        process.kill()
        await process.wait()
        scan.wire.unplug()


if __name__ == "__main__":
    main(*sys.argv[1:])
