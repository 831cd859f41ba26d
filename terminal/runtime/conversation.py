"""Carry a pure generator of a card over its channel and the secure module.

Laws of this file:
- It knows no command. It waits, counts and measures.
- A card that leaves, or takes longer than a tap may, is CardGone: what the last command did is not known.
- A secure module that does not answer is an answer without a status word: the conversation says what that means.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import msgspec

from terminal.core.card import CardFacts
from terminal.core.cards.apdu import Conversation, Side
from terminal.core.model import Reading
from terminal.ports import CardChannel, CardGone, Clock, DeviceError, SecureModule

T = TypeVar("T")

STATUS_BYTES = 2  # whatever is shorter came from no card
TAP_S = 3.0  # no tap takes longer, whatever a card asks for


class Talk:
    """Everything said with one card while it is in the field."""

    def __init__(
        self,
        channel: CardChannel,
        module: SecureModule | None,
        clock: Clock,
        on_module: Callable[[DeviceError | None], None] = lambda error: None,
    ) -> None:
        self._channel = channel
        self._module = module
        self._clock = clock
        self._on_module = on_module
        self._began_s = clock.monotonic_s()
        self._commands = 0
        self._slowest_s = 0.0
        self._gone = False
        self._heard_s = 0.0  # until it answers, a card was heard when it was seen
        self.is_slow = False  # by the site's policy: perhaps the card is not here at all

    async def carry(self, conversation: Conversation[T]) -> T:
        """Run a conversation to its end. Raises CardGone, and whatever the conversation raises."""
        try:
            ask = next(conversation)
            while True:
                answer = await (self._ask_card if ask.to is Side.CARD else self._ask_module)(ask.command)
                ask = conversation.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            conversation.close()

    def facts(self) -> CardFacts:
        """How it went so far."""
        took_s = self._clock.monotonic_s() - self._began_s
        return CardFacts(
            commands=self._commands,
            took_ms=round(took_s * 1000),
            slowest_ms=round(self._slowest_s * 1000),
            slow=self.is_slow,
        )

    def last_heard(self, seen: Reading) -> Reading:
        """When the card answered last, on the clock it was seen by."""
        return msgspec.structs.replace(seen, monotonic_ns=max(seen.monotonic_ns, round(self._heard_s * 1e9)))

    async def _ask_card(self, command: bytes) -> bytes:
        """One command to the card. After it was gone once it is never asked again: another may lie there now."""
        began_s = self._clock.monotonic_s()
        left_s = self._began_s + TAP_S - began_s
        if self._gone or left_s <= 0:
            raise CardGone
        self._commands += 1
        try:
            async with asyncio.timeout(left_s):
                answer = await self._channel.transmit(command)
        except (TimeoutError, DeviceError) as error:
            self._gone = True
            raise CardGone from error
        except CardGone:
            self._gone = True
            raise
        ended_s = self._clock.monotonic_s()
        if len(answer) >= STATUS_BYTES:
            self._heard_s = ended_s
        self._slowest_s = max(self._slowest_s, ended_s - began_s)
        return answer

    async def _ask_module(self, command: bytes) -> bytes:
        if self._module is None:
            return b""
        try:
            answer = await self._module.transmit(command)
        except DeviceError as error:
            self._on_module(error)
            return b""
        self._on_module(None)
        return answer
