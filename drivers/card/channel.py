"""One card in the field: what every kind of reader does with a command.

Laws of this file:
- Whatever goes wrong between a command and its whole answer is CardGone: nobody may believe to know its outcome.
- After CardGone the channel is dead. The same card comes again as a new arrival, with a new channel.
- A reader with a thread of its own carries a whole conversation there: each way to the loop and back costs the tap a
  third of a millisecond. Whoever gives the conversation up has given up every command that was not sent yet.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

from drivers.card.apdu import Limits
from drivers.card.worker import Stuck
from terminal.core.cards.apdu import Budget, Overrun, follow
from terminal.ports import CardGone, Clock

T = TypeVar("T")

# Sends one command, waits so many seconds at most. Raises CardGone.
Exchange = Callable[[bytes, float], Awaitable[bytes]]
# Runs a function on the reader's own thread, waits so many seconds at most. Raises what it raises, and Stuck.
Run = Callable[[Callable[[], Any], float], Awaitable[Any]]


class Field:
    """A card and what it may still cost."""

    def __init__(self, uid: bytes, atr: bytes, limits: Limits, clock: Clock, *, alone: bool = True) -> None:
        self.uid = uid
        self.atr = atr
        self.alone = alone
        self.lost = False  # whether a command's outcome is unknown
        self._closed = False
        self._clock = clock
        self._budget = Budget(limits.commands, limits.bytes)
        self._ends_s = clock.monotonic_s() + limits.ms / 1000

    def close(self) -> None:
        """The lane wants the next card."""
        self._closed = True

    def _left_s(self) -> float:
        """Seconds this tap may still take. Raises CardGone."""
        left_s = self._ends_s - self._clock.monotonic_s()
        if self._closed or left_s <= 0:
            raise CardGone("this card is no longer ours")
        return left_s

    def _whole(self, command: bytes) -> Generator[bytes, bytes, bytes]:
        """One command's raw commands, sent raw answers, to its whole answer. Raises CardGone."""
        if self.lost:
            raise CardGone("it was lost")
        self.lost = True  # until its answer is here
        steps = follow(command, self._budget)
        try:
            raw = next(steps)
            while True:
                self._left_s()
                answer = yield raw
                if len(answer) < 2:
                    raise CardGone(f"an answer of {len(answer)} bytes")
                raw = steps.send(answer)
        except StopIteration as end:
            self.lost = False
            return bytes(end.value)
        except Overrun as error:
            raise CardGone(str(error)) from error


class Channel(Field):
    """The CardChannel port over a reader the loop itself talks to."""

    def __init__(
        self, uid: bytes, atr: bytes, exchange: Exchange, limits: Limits, clock: Clock, *, alone: bool = True
    ) -> None:
        super().__init__(uid, atr, limits, clock, alone=alone)
        self._exchange = exchange

    async def transmit(self, command: bytes) -> bytes:
        """See the port."""
        steps = self._whole(command)
        try:
            raw = next(steps)
            while True:
                raw = steps.send(await self._exchange(raw, self._left_s()))
        except StopIteration as end:
            whole: bytes = end.value
            return whole


class ThreadChannel(Field):
    """The CarryingChannel port over a reader whose calls block."""

    def __init__(
        self, uid: bytes, atr: bytes, run: Run, exchange: Callable[[bytes], bytes], limits: Limits, clock: Clock
    ) -> None:
        super().__init__(uid, atr, limits, clock)
        self._run = run
        self._exchange = exchange  # blocks; raises CardGone

    async def transmit(self, command: bytes) -> bytes:
        """See the port."""
        return await self.carry(_once(command))

    async def carry(self, steps: Generator[bytes, bytes, T]) -> T:
        """See the port."""
        left_s = self._left_s()
        try:
            result: T = await self._run(lambda: self._drive(steps), left_s)
        except Stuck as error:
            self.lost = self._closed = True  # the thread, once it is free, sends nothing more
            raise CardGone(f"no answer in {left_s:.1f} s") from error
        except asyncio.CancelledError:
            self._closed = True
            raise
        return result

    def _drive(self, steps: Generator[bytes, bytes, T]) -> T:
        """On the reader's thread."""
        try:
            command = next(steps)
            while True:
                command = steps.send(self._answer(command))
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            steps.close()

    def _answer(self, command: bytes) -> bytes:
        steps = self._whole(command)
        try:
            raw = next(steps)
            while True:
                raw = steps.send(self._exchange(raw))
        except StopIteration as end:
            whole: bytes = end.value
            return whole


def _once(command: bytes) -> Generator[bytes, bytes, bytes]:
    return (yield command)
