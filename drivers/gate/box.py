"""The switch under the lid of the terminal's own box, wired to a board.

Laws of this file:
- An opening is told however short it was, if the board saw it for two looks; a board that is away tells nothing, and
  what it told last stands.
"""

import asyncio
from typing import TYPE_CHECKING

from terminal.core.model import Reading, Value

if TYPE_CHECKING:
    from drivers.gate.modbus import Board


class BoxWiring(Value, frozen=True):
    """`[box]` with `board = …`: an input that is on while the box is open."""

    input: int


class ModbusBox:
    """The BoxSwitch port over one input."""

    def __init__(self, board: "Board", wiring: BoxWiring) -> None:
        self._wiring = wiring
        self._open, self._shut = asyncio.Event(), asyncio.Event()
        self._note(board.inputs[wiring.input])
        board.watch(self._changed)

    async def opened(self) -> None:
        """See the port."""
        await self._open.wait()

    async def shut(self, for_s: float) -> None:
        """See the port."""
        while True:
            await self._shut.wait()
            try:
                async with asyncio.timeout(for_s):
                    await self._open.wait()
            except TimeoutError:
                return

    def _changed(self, number: int, level: bool, at: Reading) -> None:
        if number == self._wiring.input:
            self._note(level)

    def _note(self, is_open: bool) -> None:
        now, before = (self._open, self._shut) if is_open else (self._shut, self._open)
        now.set()
        before.clear()
