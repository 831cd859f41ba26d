"""One connection to pcscd: a thread and a context of its own.

Laws of this file:
- A call that does not return in time raises Stuck; its thread is left to it, and waited for before another is begun.
- Readers are found by how their name begins: pcscd numbers them in the order of plugging.
"""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from drivers.card import scard
from drivers.card.worker import Worker
from terminal.ports import DeviceError

DEAF_S = 3.0  # pcscd, or a reader, that takes longer for anything but a card's answer does not answer
STEP_S = 0.02
LOOK_MS = 200  # a reader that came just before we waited is not told

T = TypeVar("T")


class Connection:
    """A thread and a context."""

    def __init__(self, name: str) -> None:
        self.worker = Worker(name)
        self.closed = False
        self._context: int | None = None

    async def open(self) -> None:
        """Connect to pcscd. Raises PcscError and Stuck."""
        self._context = await self.worker.call(scard.establish, within_s=DEAF_S)

    async def ask(self, function: Callable[..., T], *arguments: Any) -> T:
        """One of scard's calls that want the context. Raises PcscError and Stuck."""
        return await self.worker.call(function, self._context, *arguments, within_s=DEAF_S)

    def close(self) -> None:
        """Let go as soon as the thread is free. Does not wait."""
        self.closed = True
        if self._context is not None:
            self.worker.later(scard.release, self._context)
        self.worker.close()

    async def ended(self) -> bool:
        """Whether the thread of a closed connection has ended; waits a while for it."""
        for _ in range(round(DEAF_S / STEP_S)):
            if not self.worker.alive:
                return True
            await asyncio.sleep(STEP_S)
        return False


async def reader_named(wanted: str, connection: Connection, looks: int = 1) -> str:
    """The reader whose name begins so; looks again when one is plugged in. Raises DeviceError."""
    names = await connection.ask(scard.readers)
    for _ in range(looks - 1):
        if _matching(wanted, names):
            break
        await connection.ask(scard.wait_for_readers, LOOK_MS)
        names = await connection.ask(scard.readers)
    return choose(wanted, names)


def choose(wanted: str, names: list[str]) -> str:
    """The one reader that is meant. Raises DeviceError."""
    found = _matching(wanted, names)
    if len(found) == 1:
        return found[0]
    there = ", ".join(names) or "none"
    if found:
        raise DeviceError(f"reader {wanted!r}: which of {', '.join(found)}?", hint="write more of its name")
    raise DeviceError(
        f"reader {wanted!r} is not there; there is: {there}", hint="look at the reader's plug; is libccid installed?"
    )


def _matching(wanted: str, names: list[str]) -> list[str]:
    if wanted in names:
        return [wanted]
    return [name for name in names if name.startswith(wanted)]
