"""A camera in a process of its own, a reader that sees it, and what a process has used of the processor."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from drivers.camera.reader import CameraReader, Settings
from drivers.clock import SystemClock

TICKS = os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def seeing(settings: Settings) -> AsyncIterator[CameraReader]:
    """A reader whose process has a picture."""
    reader, alive = CameraReader(settings, SystemClock()), asyncio.Event()
    reader.on_alive = alive.set

    async def read() -> None:
        async for _ in reader.payloads():
            pass

    reading = asyncio.create_task(read())
    try:
        async with asyncio.timeout(20):
            await alive.wait()
        yield reader
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


@asynccontextmanager
async def camera(shows: str, count: int = 0, seed: int = 0) -> AsyncIterator[str]:
    """The simulated camera, a process of its own."""
    command = (sys.executable, "-m", "simulators.camera", "--shows", shows, "--count", str(count), "--seed", str(seed))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.terminate()
        await process.wait()


def cpu_s(pid: int) -> float:
    """User and system seconds of a process, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
