"""A thread for calls that block and cannot be interrupted.

Laws of this file:
- One worker runs one call after another; whoever waits for one gives up in time, the call itself cannot be ended.
- The thread is a daemon: a call that never returns must not keep the process from ending.
"""

import asyncio
import contextlib
import functools
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Stuck(Exception):
    """The call did not return in time; its thread is still in it."""


class Worker:
    """One daemon thread and what waits for it."""

    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    async def call(self, function: Callable[..., T], *arguments: Any, within_s: float) -> T:
        """Run a blocking function; its result or its exception. Raises Stuck."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(lambda: _answer(loop, future, function, arguments))
        try:
            async with asyncio.timeout(within_s):
                return await future
        except TimeoutError:
            raise Stuck from None

    def later(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Run it when its turn comes; nobody waits, and nobody hears of a failure."""

        def run() -> None:
            with contextlib.suppress(Exception):  # nobody is left to hear of it
                function(*arguments)

        self._jobs.put(run)

    def close(self) -> None:
        """End after what is queued. Does not wait."""
        self._jobs.put(None)

    @property
    def alive(self) -> bool:
        """Whether the thread has not ended yet."""
        return self._thread.is_alive()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _answer(
    loop: asyncio.AbstractEventLoop, future: asyncio.Future[T], function: Callable[..., T], arguments: Any
) -> None:
    try:
        result = function(*arguments)
    except Exception as error:  # handed to whoever waits
        settle: Callable[[], None] = functools.partial(future.set_exception, error)
    else:
        settle = functools.partial(future.set_result, result)

    def tell() -> None:
        if not future.done():
            settle()

    with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
        loop.call_soon_threadsafe(tell)
