"""A thread for calls that block and cannot be interrupted.

Laws of this file:
- One worker runs one call after another; whoever waits for one gives up in time, the call itself cannot be ended.
- A call that was given up before its turn came is never made.
- The thread is a daemon: a call that never returns must not keep the process from ending.
"""

import asyncio
import contextlib
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
        self._jobs.put(lambda: None if future.done() else _answer(loop, future, function, arguments))
        try:
            async with asyncio.timeout(within_s):
                return await future
        except TimeoutError:
            raise Stuck from None

    def ask(self, function: Callable[..., T], *arguments: Any, within_s: float) -> T:
        """As `call`, for another thread that may wait: no way round by the event loop."""
        answers: queue.SimpleQueue[tuple[T | None, Exception | None]] = queue.SimpleQueue()
        given_up = threading.Event()
        self._jobs.put(lambda: None if given_up.is_set() else answers.put(_outcome(function, arguments)))
        try:
            result, error = answers.get(timeout=within_s)
        except queue.Empty:
            given_up.set()
            raise Stuck from None
        if error is not None:
            raise error
        return result  # type: ignore[return-value]  # without an error it is the function's own

    def later(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Run it when its turn comes; nobody waits, and nobody hears of a failure."""

        def run() -> None:
            _outcome(function, arguments)

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
            del job  # what it holds is let go of before the next one comes


def _outcome(function: Callable[..., T], arguments: Any) -> tuple[T | None, Exception | None]:
    try:
        return function(*arguments), None
    except Exception as error:  # handed to whoever waits
        return None, error


def _answer(
    loop: asyncio.AbstractEventLoop, future: asyncio.Future[T], function: Callable[..., T], arguments: Any
) -> None:
    result, error = _outcome(function, arguments)

    def tell() -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]  # without an error it is the function's own
        else:
            future.set_exception(error)

    with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
        loop.call_soon_threadsafe(tell)
