"""Places to hold a simulated card to: in memory, before a serial module, before pcscd. One shape for all.

Laws of this file:
- pcscd runs once a test session: libpcsclite reads the name of its socket once a process.
- Whoever listens enters the slot again after each DeviceError, as the supervisor does.
"""

import asyncio
import atexit
import contextlib
import functools
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import pytest

from drivers.card import pn532
from drivers.card.pn532 import GONE_AFTER
from drivers.clock import SystemClock
from simulators.card import SimulatedCard
from simulators.card_slot import MemorySlot
from simulators.pcscd import GO, KILL, READER, Pcscd, missing
from simulators.pn532 import Pn532
from simulators.virtual_reader import VirtualSlot
from terminal.core.model import Reading
from terminal.ports import CardChannel, CardSlot, DeviceError
from tests.waiting import LIMIT_S, until


class Stand(Protocol):
    """A reader and the hand before it."""

    @property
    def slot(self) -> CardSlot:
        """What is listened to."""

    async def listened(self) -> None:
        """Wait until somebody listens: in memory what is held there before is lost."""

    def hold(self, *cards: SimulatedCard) -> None:
        """Hold cards there."""

    async def take_away(self) -> None:
        """Take them away, and wait until a reader must have seen it."""

    def unplug(self) -> None:
        """The reader is gone."""

    def plug(self) -> None:
        """It is back."""


class MemoryStand:
    """In process."""

    def __init__(self) -> None:
        self.slot = MemorySlot(SystemClock())
        self._cards: tuple[SimulatedCard, ...] = ()

    async def listened(self) -> None:
        """See Stand."""
        await until(lambda: self.slot.listened)

    def hold(self, *cards: SimulatedCard) -> None:
        """See Stand."""
        self._cards = cards
        self.slot.tap(*cards)

    async def take_away(self) -> None:
        """See Stand."""
        for card in self._cards:
            card.remove()

    def unplug(self) -> None:
        """See Stand."""
        self.slot.plug(False)

    def plug(self) -> None:
        """See Stand."""
        self.slot.plug(True)


class SerialStand:
    """A PN532 at the far end of a paced pty."""

    def __init__(self, directory: Path) -> None:
        self.module = Pn532(directory / "ttyCard")
        self.module.wire.plug()
        self.slot = pn532.Pn532Slot(pn532.Settings(link=f"serial:{directory / 'ttyCard'}?baud=115200"), SystemClock())

    async def listened(self) -> None:
        """See Stand."""
        await until(lambda: self.module.is_awake)

    def hold(self, *cards: SimulatedCard) -> None:
        """See Stand."""
        self.module.put(*cards)

    async def take_away(self) -> None:
        """See Stand."""
        self.module.take_away()
        seen = self.module.looks + GONE_AFTER + 1  # one may be under way
        await until(lambda: self.module.looks >= seen or not self.module.wire.plugged)
        assert self.module.failure is None

    def unplug(self) -> None:
        """See Stand."""
        self.module.wire.unplug()

    def plug(self) -> None:
        """See Stand."""
        self.module.sleep()  # it lost its power
        self.module.wire.plug()


class PcscStand:
    """pcscd and its virtual reader."""

    def __init__(self, service: Pcscd) -> None:
        from drivers.card import pcsc  # needs pyscard

        self.service = service
        self.hand = VirtualSlot(service, 0)
        self.slot = pcsc.PcscSlot(pcsc.Settings(reader=f"{READER} 00 00"), SystemClock())
        self._alive = asyncio.Event()
        self.slot.on_alive = self._alive.set

    async def listened(self) -> None:
        """See Stand."""
        async with asyncio.timeout(LIMIT_S):
            await self._alive.wait()

    def hold(self, *cards: SimulatedCard) -> None:
        """See Stand. vpcd takes one card a slot."""
        (card,) = cards
        self.hand.insert(card)

    async def take_away(self) -> None:
        """See Stand."""
        await self.hand.remove()
        await noticed(0, present=False)

    def unplug(self) -> None:
        """See Stand: with pcscd every reader is gone; it is started again by itself."""
        self.service.signal(KILL)

    def plug(self) -> None:
        """See Stand."""


@functools.cache
def service() -> Pcscd:
    """pcscd for this process; skips the test where it cannot run."""
    why = missing()
    if why is not None:
        pytest.skip(why)
    place = Path(tempfile.mkdtemp(prefix="onecard-pcscd-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    one = Pcscd(place)
    one.start()
    atexit.register(one.stop)
    return one


async def noticed(number: int, *, present: bool) -> None:
    """Wait until pcscd, which looks every 0.4 s, sees a card in this slot, or sees that there is none."""
    from drivers.card import scard  # needs pyscard

    def state() -> int:
        try:
            context = scard.establish()
        except scard.PcscError:
            return 0
        try:
            return scard.wait(context, f"{READER} 00 {number:02d}", scard.UNAWARE, 0)[0]
        except scard.PcscError:
            return 0
        finally:
            scard.release(context)

    wanted = scard.PRESENT if present else scard.EMPTY
    async with asyncio.timeout(LIMIT_S):
        while not state() & wanted:
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def stand_of(kind: str, directory: Path) -> AsyncIterator[Stand]:
    """A stand by name: memory, serial, pcsc."""
    if kind == "memory":
        yield MemoryStand()
    elif kind == "serial":
        serial = SerialStand(directory)
        try:
            yield serial
        finally:
            serial.module.wire.unplug()
    else:
        through = PcscStand(service())
        try:
            yield through
        finally:
            through.service.signal(GO)
            await through.hand.remove()


class Listener:
    """Whoever asks a slot for cards."""

    def __init__(self, slot: CardSlot) -> None:
        self.errors: list[DeviceError] = []
        self.arrivals = 0
        self._found: asyncio.Queue[tuple[CardChannel, Reading]] = asyncio.Queue()
        self._served = asyncio.Event()
        self._task = asyncio.create_task(self._listen(slot))

    async def _listen(self, slot: CardSlot) -> None:
        while True:
            try:
                async for channel, at in slot.cards():
                    self.arrivals += 1
                    self._found.put_nowait((channel, at))
                    await self._served.wait()
                    self._served.clear()
            except DeviceError as error:
                error.__cause__ = error.__context__ = error.__traceback__ = None  # they would hold whole lives
                self.errors.append(error)
            await asyncio.sleep(0.1)

    async def next(self, within_s: float = LIMIT_S) -> CardChannel:
        """The next card's channel."""
        async with asyncio.timeout(within_s):
            channel, at = await self._found.get()
        assert 0 <= time.monotonic_ns() - at.monotonic_ns < LIMIT_S * 1e9
        return channel

    def done(self) -> None:
        """The lane is done with the card; it asks for the next one."""
        self._served.set()

    async def nothing(self, for_s: float) -> None:
        """Nobody comes."""
        await asyncio.sleep(for_s)
        assert self._found.empty()

    async def close(self) -> None:
        """Stop listening."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@contextlib.asynccontextmanager
async def listening(kind: str, directory: Path) -> AsyncIterator[tuple[Stand, Listener]]:
    """A stand, and somebody who listens."""
    async with stand_of(kind, directory) as stand:
        listener = Listener(stand.slot)
        try:
            await stand.listened()
            yield stand, listener
        finally:
            await listener.close()
