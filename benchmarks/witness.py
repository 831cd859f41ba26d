"""Who stands at the board's end of the wire and looks at the clock.

Laws of this file:
- A thread that sleeps on nothing but that wire: when the benchmark's own loop gets round to it is no part of a tap.
- It looks at the clock once it holds the bytes, never before; then the board gets them.
"""

import asyncio
import os
import select
import threading
import time
from collections.abc import Callable

from simulators.gate import Board

LOOK_UP_MS = 100
NOBODY_S = 0.02  # between two looks at a wire whose other end nobody has opened
CHUNK = 4096


class Witness:
    """Reads a board's wire in its place; `sees` is told, on the loop, what came and when (CLOCK_MONOTONIC)."""

    def __init__(self, board: Board) -> None:
        assert board._outer is not None and board._inner is not None, "serve_serial first"
        self.sees: Callable[[bytes, int], None] = lambda data, at_ns: None
        self._wire, self._board = board._outer.lend(), board._inner
        self._loop = asyncio.get_running_loop()
        self._leaves = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="witness")
        self._thread.start()

    def leave(self) -> None:
        """Read no more."""
        self._leaves.set()
        self._thread.join()

    def _watch(self) -> None:
        coming = select.poll()
        coming.register(self._wire, select.POLLIN)
        while not self._leaves.is_set():
            if not coming.poll(LOOK_UP_MS):
                continue
            try:
                data = os.read(self._wire, CHUNK)
            except OSError:  # EIO
                self._leaves.wait(NOBODY_S)
                continue
            at_ns = time.monotonic_ns()
            self._loop.call_soon_threadsafe(self._pass_on, data, at_ns)

    def _pass_on(self, data: bytes, at_ns: int) -> None:
        self.sees(data, at_ns)
        self._board.send_now(data)
