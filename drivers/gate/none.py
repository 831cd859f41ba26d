"""No barrier at all: a bus whose light is the answer.

Laws of this file:
- There is nothing to open, so every order is done at once, and nothing is ever reported.
"""

import asyncio
from collections.abc import AsyncIterator

from terminal.core.model import GateAnswer, GateEvent, Reading, Value
from terminal.ports import Clock, Gate


class Settings(Value, frozen=True):
    """`[lanes.NAME.gate]` with `driver = "gate.none"`: nothing to set."""


def open(settings: Settings, clock: Clock) -> Gate:
    """A gate that is not there."""
    return NoGate()


class NoGate:
    """The Gate port over nothing."""

    hold_s = 0.0

    async def open(self, persons: int, ordered_at: Reading) -> GateAnswer:
        """See the port."""
        return GateAnswer.OPENED

    async def events(self) -> AsyncIterator[GateEvent]:
        """See the port: none ever come."""
        await asyncio.Event().wait()
        return
        yield  # makes this an iterator
