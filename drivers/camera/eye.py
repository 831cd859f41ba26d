"""One process that sees, from the daemon's side: begun by exec, listened to, ended when it is silent or talks nonsense.

Laws of this file:
- No pixel is touched here, and no library that touches one is loaded.
- It has said nothing for `hang_ms`: it hangs, and is killed. What it says is read as strictly as messages.py does, and
  no more than `MOST_A_SECOND` messages of it.
- It inherits no secret: a short list of variables, standard input and output, nothing else.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import StrEnum

import msgspec

from drivers.camera.messages import SHOW, Failed, Inbox, Message, Nonsense, Order

COMMAND = (sys.executable, "-m", "drivers.camera.child")
CHUNK = 1 << 16
START_S = 15.0  # until its first message: it loads its decoders, on a slow board from a slow card
MOST_A_SECOND = 400  # messages: a look for each of 60 pictures, beats and to spare
MEMORY = 71  # its exit code at the memory limit
KEPT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "HOME", "TMPDIR")
SET = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OPENCV_IO_MAX_IMAGE_PIXELS": str(1 << 25),  # a picture larger than that is an attack
    "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT": "1",
    "OPENCV_LOG_LEVEL": "SILENT",
    "MALLOC_ARENA_MAX": "2",
}


class Ending(StrEnum):
    """Why a process that sees came to its end."""

    CRASHED = "crashed"
    HUNG = "hung"
    OUT_OF_MEMORY = "out_of_memory"
    NONSENSE = "nonsense"


class Eye:
    """One such process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.pid = process.pid
        self.failure: Failed | None = None
        self._process = process

    @classmethod
    async def begin(cls, command: Sequence[str]) -> "Eye":
        """Start one; it loads its decoders and waits for its order."""
        return cls(
            await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={name: os.environ[name] for name in KEPT if name in os.environ} | SET,
                start_new_session=True,
            )
        )

    @property
    def lives(self) -> bool:
        """Whether it is still there, as far as anybody knows."""
        return self._process.returncode is None

    def order(self, order: Order) -> None:
        """Tell it what to see; it begins."""
        self._write(msgspec.json.encode(order) + b"\n")

    def show(self) -> None:
        """Ask for a picture."""
        self._write(SHOW)

    async def listen(self, hear: Callable[[Message], None], hang_s: float) -> Ending:
        """Hand on what it says until its end; why it came."""
        stdout = self._process.stdout
        assert stdout is not None
        inbox, patience_s = Inbox(), START_S
        loop = asyncio.get_running_loop()
        heard, second = 0, loop.time()
        try:
            while True:
                async with asyncio.timeout(patience_s):
                    data = await stdout.read(CHUNK)
                if not data:
                    return await self._why()
                if loop.time() - second >= 1.0:
                    heard, second = 0, loop.time()
                for message in inbox.feed(data):
                    patience_s, heard = hang_s, heard + 1
                    if heard > MOST_A_SECOND:
                        return Ending.NONSENSE
                    if isinstance(message, Failed):
                        self.failure = message
                    hear(message)
        except TimeoutError:
            return Ending.HUNG
        except Nonsense:
            return Ending.NONSENSE
        finally:
            await self.end()

    async def end(self) -> None:
        """Kill it, and see it gone."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
        await asyncio.shield(self._process.wait())

    async def _why(self) -> Ending:
        return Ending.OUT_OF_MEMORY if await self._process.wait() == MEMORY else Ending.CRASHED

    def _write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        with suppress(OSError, RuntimeError):  # gone: whoever listens hears of it
            self._process.stdin.write(data)
