"""A card reader through PC/SC.

Laws of this file:
- Two threads a reader, each with a context of its own: one watches for cards, one talks to them. The event loop never
  waits for pcscd.
- The watch comes back at least once a second. When it does not, the reader is deaf: that is counted and told, and
  everything begins anew. A thread that is stuck is waited for, never doubled.
- A card is held exclusively, and let go without a reset (see `scard.disconnect`). One that fell silent and still lies
  there is restarted once by cutting its power.
- Arrivals are told by pcscd's own count, so that a card exchanged between two looks is a new one. A card whose link
  broke is a new arrival too, a few times, although pcscd says that it never left: it does not notice a quick hand.
"""

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

from drivers.card import scard
from drivers.card.apdu import Limits, t0_command
from drivers.card.channel import Channel
from drivers.card.connection import DEAF_S, Connection, reader_named
from drivers.card.worker import Stuck
from terminal.core.model import Medium, Reading, Value
from terminal.ports import CardChannel, CardGone, CardSlot, Clock, DeviceError

WATCH_MS = 1000  # how long one look waits
LOOKS = 5  # for a reader that is not there, before it is told
AGAIN, AGAIN_S = 5, 0.15  # how often, and how soon, a card that went wrong is tried while pcscd says that it is there
NOTICED_S = 0.5  # pcscd has looked again: a card that it still sees has not left

log = logging.getLogger(__name__)


class Settings(Value, frozen=True):
    """`[[lanes.NAME.readers]]` with `driver = "card.pcsc"`."""

    reader: str = ""  # the reader's name, or how it begins; "": the only one there is
    contactless: bool = True  # whether the reader is asked for the card's UID
    limits: Limits = Limits()


def open(settings: Settings, clock: Clock) -> CardSlot:
    """A slot; pcscd is asked when cards are."""
    return PcscSlot(settings, clock)


class PcscSlot:
    """The CardSlot port over one PC/SC reader."""

    medium = Medium.CARD

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.deaf = 0  # how often the reader, or pcscd, did not answer in time
        self.mute = 0  # how often a card did not
        self.missed = 0  # how often a card could not be taken: gone already, or does not wake up
        self.on_alive: Callable[[], None] = lambda: None  # pcscd has told what is there
        self._settings = settings
        self._clock = clock
        self._last: list[Connection] = []

    def status(self) -> dict[str, Any]:
        """How often what went wrong."""
        return {"deaf": self.deaf, "mute": self.mute, "missed": self.missed}

    async def cards(self) -> AsyncIterator[tuple[CardChannel, Reading]]:
        """See the port."""
        where = f"reader {self._settings.reader!r}"
        for connection in self._last:
            if not await connection.ended():
                raise DeviceError(f"{where}: stuck", hint="take the card away; replug the reader; restart pcscd")
        watch, talk = self._last = [Connection("card-watch"), Connection("card-talk")]
        life = _Life(self, self._settings, self._clock, watch, talk)
        try:
            await life.begin()
            while True:
                at = await life.arrival()
                channel = await life.take()
                if channel is not None:
                    try:
                        yield channel, at
                    finally:
                        await life.let_go(channel)
        except Stuck as error:
            self.deaf += 1
            log.warning("deaf reader", extra={"reader": self._settings.reader, "times": self.deaf})
            hint = "replug the reader; restart pcscd"
            raise DeviceError(f"{where}: no answer in {DEAF_S:g} s", hint=hint) from error
        except scard.PcscError as error:
            raise error.as_device_error(where) from error
        finally:
            watch.close()
            talk.close()


class _Life:
    """One life of the two connections, from their beginning to their loss."""

    def __init__(self, slot: PcscSlot, settings: Settings, clock: Clock, watch: Connection, talk: Connection) -> None:
        self._slot = slot
        self._settings = settings
        self._clock = clock
        self._watch = watch
        self._talk = talk
        self._reader = ""
        self._state = scard.UNAWARE
        self._served: int | None = None  # pcscd's count when the last card was taken
        self._count = 0  # pcscd's, of comings and goings
        self._failures = 0  # to take a card since it counted on, or since one was taken
        self._breaks = 0  # of conversations with what lies there
        self._broken = False  # the card's link broke: it may have left, and may be back before pcscd looks
        self._silent = False  # the card took a command and did not answer
        self._stuck = False
        self._handle: scard.Handle | None = None

    async def begin(self) -> None:
        """Connect and find the reader. Raises DeviceError, PcscError, Stuck, as do the others."""
        await self._watch.open()
        await self._talk.open()
        self._reader = await reader_named(self._settings.reader, self._watch, LOOKS)

    async def arrival(self) -> Reading:
        """The moment a card that was not served yet was seen."""
        while True:
            if self._stuck:
                raise Stuck
            self._state = await self._watch.ask(scard.wait, self._reader, self._state & ~scard.CHANGED, WATCH_MS)
            at = self._clock.read()
            if self._state & scard.ABSENT_READER:
                raise DeviceError(f"reader {self._reader!r} is gone", hint="look at the reader's plug")
            self._slot.on_alive()
            if self._is_new():
                return at

    def _is_new(self) -> bool:
        count = self._state >> 16
        if count != self._count:
            self._count, self._failures, self._breaks = count, 0, 0
        if not self._state & scard.PRESENT or self._state & scard.MUTE or count == self._served:
            return False
        self._served = count
        return True

    async def take(self) -> Channel | None:
        """Hold the card; None if it has left already, or does not wake up."""
        hold = functools.partial(scard.take, restarted=self._silent, ask_uid=self._settings.contactless)
        try:
            self._handle, atr, uid = await self._talk.ask(hold, self._reader)
        except scard.PcscError as error:
            if not error.is_the_cards:
                raise
        except scard.NoAnswer:
            pass
        else:
            self._broken = self._silent = False
            self._failures = 0
            return Channel(uid, atr, self._exchange, self._settings.limits, self._clock)
        self._slot.missed += 1
        self._failures += 1
        await self._try_again(self._failures <= AGAIN, AGAIN_S)
        return None

    async def let_go(self, channel: Channel) -> None:
        """The lane is done with it: the card forgets what was begun."""
        channel.close()
        await self._drop()
        self._breaks = self._breaks + 1 if self._broken or self._silent else 0
        if self._silent:
            await self._try_again(self._breaks <= 1, NOTICED_S)
        elif self._broken:
            await self._try_again(self._breaks <= AGAIN, AGAIN_S)

    async def _try_again(self, worth_it: bool, after_s: float) -> None:
        """Let what lies there be an arrival once more; if it is not worth it, when pcscd counts on."""
        self._silent &= worth_it
        if worth_it:
            await asyncio.sleep(after_s)
            self._served, self._state = None, scard.UNAWARE

    async def _drop(self) -> None:
        """Let go. A card that does not answer holds the thread: then of the whole connection, sooner or later."""
        handle, self._handle = self._handle, None
        if handle is not None:
            try:
                await self._talk.worker.call(scard.disconnect, handle, within_s=DEAF_S)
            except Stuck:
                self._stuck = True

    async def _exchange(self, command: bytes, within_s: float) -> bytes:
        handle = self._handle
        if handle is None:
            raise CardGone("the card was let go")
        raw = t0_command(command) if handle.protocol == scard.T0 else command
        try:
            return await self._talk.worker.call(scard.transmit, handle, raw, within_s=within_s)
        except (scard.PcscError, scard.NoAnswer) as error:
            self._broken = True
            raise CardGone(str(error)) from error
        except Stuck as error:
            self._slot.mute += 1
            self._silent = True
            raise CardGone(f"no answer in {within_s:.1f} s") from error
