"""Carry a pure generator of a card over its channel and the secure module.

Laws of this file:
- It knows no command. It waits, counts and measures.
- A card that leaves, or takes longer than a tap may, is CardGone: what the last command did is not known.
- A secure module that does not answer is an answer without a status word: the conversation says what that means.
- Where card and module can be asked on the card's own thread, the whole conversation goes on there: it is pure, and the
  loop is told once, at its end. One that was given up asks nobody any more, the module as little as the card.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Generator
from typing import NamedTuple, TypeGuard, TypeVar

import msgspec

from terminal.core.card import CardFacts
from terminal.core.cards.apdu import Ask, Conversation, Side
from terminal.core.model import Reading
from terminal.ports import CardChannel, CardGone, CarryingChannel, Clock, DeviceError, SecureModule, WaitingModule

T = TypeVar("T")

STATUS_BYTES = 2  # whatever is shorter came from no card
TAP_S = 3.0  # no tap takes longer, whatever a card asks for


class HandedBack(NamedTuple):
    """Where a conversation goes on on the loop."""

    ask: Ask


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
        self._waits = module if module is not None and _waits(module) else None
        self._there = channel if self._waits is module and _carries(channel) else None
        self._clock = clock
        self._on_module = on_module
        self._module_said: list[DeviceError | None] = []
        self._asking = False  # the module, on the card's thread
        self._began_s = clock.monotonic_s()
        self._commands = 0
        self._slowest_s = 0.0
        self._gone = False
        self._heard_s = 0.0  # until it answers, a card was heard when it was seen
        self.is_slow = False  # by the site's policy: perhaps the card is not here at all

    async def carry(self, conversation: Conversation[T], *, module_here: bool = False) -> T:
        """Run a conversation to its end. Raises CardGone, and whatever the conversation raises.

        `module_here`: from where the module is asked it goes on on the loop, so that what the card has answered by
        then outlives the module's silence.
        """
        steps = self._counted(conversation)
        try:
            if self._there is None:
                return await self._carry_here(steps)
            there = self._commands_of(steps, module_here=module_here)
            end = await self._from_card(functools.partial(self._there.carry, there))
            return await self._carry_here(steps, end.ask) if isinstance(end, HandedBack) else end
        except CardGone:
            if self._asking:
                hint = "look at the module's reader; the card was given up meanwhile"
                self._module_said.append(DeviceError("secure module: no answer while a card waited", hint=hint))
            raise
        finally:
            for said in self._module_said:
                self._on_module(said)
            self._module_said.clear()

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

    # ----------------------------------------------------------------------- carrying

    def _counted(self, conversation: Conversation[T]) -> Conversation[T]:
        """The same conversation, counted and measured."""
        try:
            ask = next(conversation)
            while True:
                began_s = self._clock.monotonic_s()
                self._commands += ask.to is Side.CARD
                answer = yield ask
                if ask.to is Side.CARD:
                    self._measure(began_s, answer)
                ask = conversation.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            conversation.close()

    def _measure(self, began_s: float, answer: bytes) -> None:
        ended_s = self._clock.monotonic_s()
        if len(answer) >= STATUS_BYTES:
            self._heard_s = ended_s
        self._slowest_s = max(self._slowest_s, ended_s - began_s)

    async def _from_card(self, asked: Callable[[], Awaitable[T]]) -> T:
        """What the card says. After it was gone once it is never asked again: another may lie there now."""
        left_s = self._began_s + TAP_S - self._clock.monotonic_s()
        if self._gone or left_s <= 0:
            raise CardGone
        try:
            async with asyncio.timeout(left_s):
                return await asked()
        except (TimeoutError, DeviceError) as error:
            self._gone = True
            raise CardGone from error
        except (CardGone, asyncio.CancelledError):
            self._gone = True
            raise

    async def _carry_here(self, steps: Conversation[T], first: Ask | None = None) -> T:
        """On the loop, a command at a time; `first` was yielded already."""
        try:
            ask = first or next(steps)
            while True:
                if ask.to is Side.CARD:
                    answer = await self._from_card(functools.partial(self._channel.transmit, ask.command))
                else:
                    answer = await self._from_module(ask.command)
                ask = steps.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            steps.close()

    async def _from_module(self, command: bytes) -> bytes:
        if self._module is None:
            return b""
        try:
            answer = await self._module.transmit(command)
        except DeviceError as error:
            self._module_said.append(error)
            return b""
        self._module_said.append(None)
        return answer

    # ----------------------------------------------------------------------- on the card's thread

    def _commands_of(
        self, steps: Conversation[T], *, module_here: bool = False
    ) -> Generator[bytes, bytes, T | HandedBack]:
        """The card's commands; the module is asked in between, or on the loop."""
        handed = None
        try:
            ask = next(steps)
            while True:
                if ask.to is Side.CARD:
                    answer = yield ask.command
                elif module_here:
                    handed = HandedBack(ask)
                    return handed
                else:
                    answer = self._asked_there(ask.command)
                ask = steps.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            if handed is None:
                steps.close()

    def _asked_there(self, command: bytes) -> bytes:
        if self._gone:
            raise CardGone("given up: the module is another card's by now")
        if self._waits is None:
            return b""
        self._asking = True
        try:
            answer = self._waits.answer(command)
        except DeviceError as error:
            self._module_said.append(error)
            return b""
        finally:
            self._asking = False
        self._module_said.append(None)
        return answer


# isinstance says the same of a protocol, and takes a tenth of a millisecond of every tap for it.
def _carries(channel: CardChannel) -> TypeGuard[CarryingChannel]:
    return hasattr(channel, "carry")


def _waits(module: SecureModule) -> TypeGuard[WaitingModule]:
    return hasattr(module, "answer")
