"""The event loop that jumps to the next deadline, and the clock that goes with it.

Laws of this file:
- When every task waits, time jumps: sixteen hours pass in seconds, in the same order every time.
- A jumping loop never meets a thread, an executor or another process: each jump would be a false timeout.
  `run_in_executor` and `call_soon_threadsafe` from elsewhere are refused, loudly.
- The clock shown to the terminal may be wrong on purpose: it can step and be unsure. The loop's own time cannot.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import looptime

from terminal.core.model import Reading


class JumpingLoop(looptime.LoopTimeEventLoop, asyncio.SelectorEventLoop):
    """An asyncio loop whose waiting costs nothing."""

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]  # refused
        """Refused: a thread's time is not this loop's time."""
        raise RuntimeError("a jumping loop meets no thread: do this work inline, or behind a port")


def new_loop() -> JumpingLoop:
    """A loop that starts at its own zero; with nothing outside to hear from, it jumps without looking around first."""
    return JumpingLoop(start=0, noop_cycles=0)


class SimulatedClock:
    """The Clock of a simulated terminal: the loop's time, plus what is wrong with this terminal's clock."""

    def __init__(self, epoch_ms: int) -> None:
        self._epoch_ms = epoch_ms  # UTC at the loop's zero
        self.error_ms = 0  # how far this terminal's clock stands from the truth
        self.uncertainty_ms = 0

    def monotonic_s(self) -> float:
        """Seconds since the loop's zero."""
        return asyncio.get_running_loop().time()

    def true_ms(self) -> int:
        """UTC as it really is, for the far ends and the checkers."""
        return self._epoch_ms + round(self.monotonic_s() * 1000)

    def read(self) -> Reading:
        """What the terminal's clock says now."""
        return Reading(
            utc_ms=self.true_ms() + self.error_ms,
            monotonic_ns=round(self.monotonic_s() * 1e9),
            uncertainty_ms=self.uncertainty_ms,
        )
