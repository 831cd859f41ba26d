"""One card in the field: what every kind of reader does with a command.

Laws of this file:
- Whatever goes wrong between a command and its whole answer is CardGone: nobody may believe to know its outcome.
- After CardGone the channel is dead. The same card comes again as a new arrival, with a new channel.
"""

from collections.abc import Awaitable, Callable

from drivers.card.apdu import Limits
from terminal.core.cards.apdu import Budget, Overrun, follow
from terminal.ports import CardGone, Clock

# Sends one command, waits so many seconds at most. Raises CardGone.
Exchange = Callable[[bytes, float], Awaitable[bytes]]


class Channel:
    """The CardChannel port over a reader's way to exchange one command."""

    def __init__(
        self, uid: bytes, atr: bytes, exchange: Exchange, limits: Limits, clock: Clock, *, alone: bool = True
    ) -> None:
        self.uid = uid
        self.atr = atr
        self.alone = alone
        self.lost = False  # whether a command's outcome is unknown
        self._closed = False
        self._exchange = exchange
        self._clock = clock
        self._budget = Budget(limits.commands, limits.bytes)
        self._ends_s = clock.monotonic_s() + limits.ms / 1000

    def close(self) -> None:
        """The lane wants the next card."""
        self._closed = True

    async def transmit(self, command: bytes) -> bytes:
        """See the port."""
        if self.lost or self._closed:
            raise CardGone("this card is no longer ours")
        self.lost = True  # until its answer is here
        try:
            whole = await self._carry(command)
        except Overrun as error:
            raise CardGone(str(error)) from error
        self.lost = False
        return whole

    async def _carry(self, command: bytes) -> bytes:
        steps = follow(command, self._budget)
        raw = next(steps)
        while True:
            left_s = self._ends_s - self._clock.monotonic_s()
            if left_s <= 0:
                raise Overrun("more time than a tap may have")
            answer = await self._exchange(raw, left_s)
            if len(answer) < 2:
                raise CardGone(f"an answer of {len(answer)} bytes")
            try:
                raw = steps.send(answer)
            except StopIteration as end:
                return bytes(end.value)
