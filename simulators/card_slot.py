"""A card slot and a PSAM in memory, at the ports themselves: for fast tests, stories and simulated days.

Laws of this file:
- No wire and no thread: a jumping loop may run it. pcscd and the serial module stand behind the real drivers instead.
- What a driver promises is kept here too: 61xx and 6Cxx are followed within a budget, a card that is silent for a
  second is gone, an answer of no known shape is handed on as it is.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from simulators.card import Left, Mute, SimulatedCard
from simulators.card_issuer import CardIssuer
from simulators.secure_module import SimulatedModule
from terminal.core.cards.apdu import Budget, Overrun, follow
from terminal.core.model import Medium, Reading, Value
from terminal.ports import CardGone, Clock, DeviceError

SILENCE_S = 1.0  # a card that says nothing for so long is gone


class Settings(Value, frozen=True):
    """`[[lanes.NAME.readers]]` with `driver = "sim.card"`: nothing to set."""


class ModuleSettings(Value, frozen=True):
    """`[lanes.NAME.cards.module]` with `driver = "sim.secure_module"`."""

    terminal: str = "510100000001"  # its 6-byte number
    seed: int = 0  # of the synthetic issuer


class MemoryChannel:
    """The CardChannel port over a simulated card."""

    def __init__(self, card: SimulatedCard, *, alone: bool) -> None:
        self.uid, self.alone = card.uid, alone
        self.atr = card.power_on()
        self.gone = False
        self._entered = card.entered
        self._card = card
        self._budget = Budget()

    async def transmit(self, command: bytes) -> bytes:
        """See the port."""
        if self.gone or self._card.entered != self._entered:  # it was taken away and held out again, here or elsewhere
            raise CardGone
        try:
            return await self._carry(command)
        except (Left, Mute, Overrun, TimeoutError) as error:
            self.gone = True
            if isinstance(error, Mute):
                await asyncio.sleep(SILENCE_S)
            raise CardGone from error

    async def _carry(self, command: bytes) -> bytes:
        steps = follow(command, self._budget)
        raw = next(steps)
        while True:
            answer = self._card.answer(raw)
            await asyncio.sleep(min(self._card.delay_s, SILENCE_S))
            if self._card.delay_s >= SILENCE_S:
                raise TimeoutError
            try:
                raw = steps.send(answer)
            except StopIteration as end:
                whole: bytes = end.value
                return whole


class MemorySlot:
    """The CardSlot port; `tap` is a hand holding a card to the reader."""

    medium = Medium.CARD

    def __init__(self, clock: Clock) -> None:
        self.powered = True
        self.listened = False  # somebody asks for cards
        self.on_card: Callable[[Reading], None] = lambda at: None  # one is handed to whoever listens
        self._clock = clock
        self._plugged = True
        self._waiting: deque[tuple[MemoryChannel, Reading]] = deque()
        self._news = asyncio.Event()
        self._channel: MemoryChannel | None = None

    def tap(self, card: SimulatedCard, *others: SimulatedCard) -> bool:
        """Hold a card there, others beside it; it is seen now. False: the reader is dark."""
        if not (self.powered and self._plugged):
            return False
        for one in (card, *others):
            self._waiting.append((MemoryChannel(one, alone=not others), self._clock.read()))
        self._news.set()
        return True

    def plug(self, plugged: bool) -> None:
        """Pull the plug, or put it back."""
        self._plugged = plugged
        if self._channel is not None:
            self._channel.gone = True
        self._news.set()

    async def cards(self) -> AsyncIterator[tuple[MemoryChannel, Reading]]:
        """See the port. What was held there while nobody listened is lost."""
        self._waiting.clear()
        self.listened = True
        try:
            while True:
                if not self._plugged:
                    raise DeviceError("the card reader is gone", hint="plug it in")
                if self._waiting:
                    self._channel, at = self._waiting.popleft()
                    self.on_card(at)
                    yield self._channel, at
                    self._channel.gone = True  # exclusive until the next one is asked for, and no longer
                else:
                    self._news.clear()
                    await self._news.wait()
        finally:
            self.listened = False


class MemoryModule:
    """The SecureModule port over a simulated PSAM."""

    def __init__(self, module: SimulatedModule) -> None:
        self.module = module
        self.plugged = True

    async def transmit(self, command: bytes) -> bytes:
        """See the port."""
        await asyncio.sleep(self.module.delay_s)
        if not self.plugged:
            raise DeviceError("the secure module does not answer", hint="push it into its slot")
        return self.module.answer(command)


def open_slot(settings: Settings, clock: Clock) -> MemorySlot:
    """A slot nobody has held a card to."""
    return MemorySlot(clock)


def open_module(settings: ModuleSettings, clock: Clock) -> MemoryModule:
    """A PSAM of the synthetic issuer."""
    return MemoryModule(CardIssuer(settings.seed).module(settings.terminal))
