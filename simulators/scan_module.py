"""A scan module at the far end of the serial line.

Laws of this file:
- It frames what it is shown as its maker's manual says, and sends it at the line's speed.
- Trouble comes from one seeded Random: noise before a code, a code split by a pause, bytes lost.
"""

import asyncio
import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from simulators.wire import Wire

FRAMES: dict[str, Callable[[bytes], bytes]] = {
    "length16": lambda payload: len(payload).to_bytes(2) + payload,
    "lines": lambda payload: payload + b"\r\n",
    "hex": lambda payload: payload.hex().upper().encode() + b"\r\n",
    "base64": lambda payload: base64.b64encode(payload) + b"\r\n",
    "gap": lambda payload: payload,
}


@dataclass
class Trouble:
    """How often, of a thousand codes, each thing goes wrong."""

    noise: int = 0
    split: int = 0
    lost_byte: int = 0


class ScanModule:
    """The window people hold their phone to."""

    def __init__(
        self,
        path: Path,
        *,
        framing: str = "length16",
        baud: int = 115_200,
        random: Random | None = None,
        trouble: Trouble | None = None,
    ) -> None:
        self.wire = Wire(path, baud)
        self._frame = FRAMES[framing]
        self._random = random or Random(0)
        self._trouble = trouble or Trouble()

    async def show(self, payload: bytes) -> int:
        """Read a code and send it; returns CLOCK_MONOTONIC nanoseconds after its last byte."""
        frame = self._frame(payload)
        if self._happens(self._trouble.noise):
            await self.wire.send(self._random.randbytes(self._random.randint(1, 40)))
            await asyncio.sleep(0.08)  # a module says nothing for a while before it sends a code
        if self._happens(self._trouble.lost_byte):
            at = self._random.randrange(len(frame))
            frame = frame[:at] + frame[at + 1 :]
        if self._happens(self._trouble.split):
            at = self._random.randrange(1, len(frame))
            await self.wire.send(frame[:at])
            await asyncio.sleep(0.01)
            frame = frame[at:]
        return await self.wire.send(frame)

    def _happens(self, of_a_thousand: int) -> bool:
        return self._random.randrange(1000) < of_a_thousand
