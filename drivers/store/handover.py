"""How the loop hears what the writer's thread has done.

Laws of this file:
- Waking a loop that sleeps costs as much as a quick disk's flush. So the loop itself waits a moment for what it handed
  over, once nothing else is ready to run: BRIEF_S at most, less than one code's verification takes twice.
- A slow disk holds up nobody for long: after one wait in vain the loop waits no more for the next PATIENCE jobs.
- What is told is told once, on the loop, in order.
"""

import asyncio
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

BRIEF_S = 0.002
PATIENCE = 100

Tell = Callable[[], None]


class Handover:
    """Between one loop and one thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._told: SimpleQueue[Tell] = SimpleQueue()
        self._lock = threading.Lock()
        self._loop_waits = False
        self._expected = 0  # jobs handed over and not yet told of; the loop's own
        self._scheduled = False
        self._in_vain = 0  # jobs for which the loop will not wait

    # ----------------------------------------------------------------------- on the loop

    def expect(self) -> None:
        """A job was handed over: wait for it as soon as nothing else is ready to run."""
        self._expected += 1
        if self._in_vain:
            self._in_vain -= 1
        elif not self._scheduled:
            self._scheduled = True
            self.loop.call_soon(self._wait)

    def heard(self, jobs: int) -> None:
        """So many jobs were told of."""
        self._expected -= jobs

    def _wait(self) -> None:
        self._scheduled = False
        with self._lock:
            self._loop_waits = self._expected > 0
        if not self._loop_waits:
            return
        try:
            tell = self._told.get(timeout=BRIEF_S)
        except Empty:
            self._in_vain = PATIENCE
        else:
            tell()
        with self._lock:
            self._loop_waits = False
        self._hear_all()

    def _hear_all(self) -> None:
        while not self._told.empty():
            self._told.get()()

    # ----------------------------------------------------------------------- on the thread

    def tell(self, tell: Tell) -> None:
        """Have this called on the loop, now if it waits. A loop that is gone hears nothing."""
        with self._lock:
            self._told.put(tell)
            if self._loop_waits:
                return
        try:
            self.loop.call_soon_threadsafe(self._hear_all)
        except RuntimeError:  # closed
            return
