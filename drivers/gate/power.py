"""The mains or ignition input wired to a board.

Laws of this file:
- Power counts as there until the input was seen on once; a flicker, or a board that is away, is no loss.
"""

import asyncio
from typing import TYPE_CHECKING

from terminal.core.model import Value

if TYPE_CHECKING:
    from drivers.gate.modbus import Board


class PowerWiring(Value, frozen=True):
    """`[power]` with `board = …`: an input that is on while there is power."""

    input: int
    lost_after_ms: int = 300  # a flicker is not a loss


class ModbusPower:
    """The PowerInput port over one input."""

    def __init__(self, board: "Board", wiring: PowerWiring) -> None:
        self._board = board
        self._wiring = wiring

    async def lost(self) -> None:
        """See the port. Power counts as there until the input was seen on once."""
        seen = False
        off_since = 0.0
        while True:
            await asyncio.sleep(self._board.settings.poll_ms / 1000)
            now = self._board.clock.monotonic_s()
            if not self._board.connected or self._board.inputs[self._wiring.input]:
                seen = seen or self._board.inputs[self._wiring.input]
                off_since = now
            elif seen and (now - off_since) * 1000 >= self._wiring.lost_after_ms:
                return
