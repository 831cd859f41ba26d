"""A card reader through PC/SC.

Laws of this file:
- One thread and one context a reader: it watches for a card, takes hold of it in the same step, and talks to it. The
  event loop never waits for pcscd.
- A watch comes back at least once a second. When it does not, the reader is deaf: that is counted and told, and
  everything begins anew. A thread that is stuck is waited for, never doubled.
- A card is held exclusively, and let go without a reset (see `scard.disconnect`). One that fell silent and still lies
  there is restarted once by cutting its power.
- Arrivals are told by pcscd's own count, so that a card exchanged between two looks is a new one. A card whose link
  broke is a new arrival too, a few times, although pcscd says that it never left: it does not notice a quick hand.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

from drivers.card import scard
from drivers.card.apdu import Limits, t0_command
from drivers.card.channel import ThreadChannel
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
        self._last: Connection | None = None

    def status(self) -> dict[str, Any]:
        """How often what went wrong."""
        return {"deaf": self.deaf, "mute": self.mute, "missed": self.missed}

    async def cards(self) -> AsyncIterator[tuple[CardChannel, Reading]]:
        """See the port."""
        where = f"reader {self._settings.reader!r}"
        if self._last is not None and not await self._last.ended():
            raise DeviceError(f"{where}: stuck", hint="take the card away; replug the reader; restart pcscd")
        connection = self._last = Connection("card-reader")
        life = _Life(self, self._settings, self._clock, connection)
        try:
            await life.begin()
            while True:
                channel, at = await life.arrival()
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
            connection.close()


class _Seen(NamedTuple):
    """What one look at the reader found."""

    state: int  # pcscd's
    at: Reading
    atr: bytes
    taken: tuple[scard.Handle, bytes] | None = None  # a new card, and its UID
    missed: bool = False  # one was there, and could not be taken


class _Life:
    """One life of a connection, from its beginning to its loss."""

    def __init__(self, slot: PcscSlot, settings: Settings, clock: Clock, connection: Connection) -> None:
        self._slot = slot
        self._settings = settings
        self._clock = clock
        self._connection = connection
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
        await self._connection.open()
        self._reader = await reader_named(self._settings.reader, self._connection, LOOKS)

    async def arrival(self) -> tuple[ThreadChannel, Reading]:
        """A card that was not served yet, held, and the moment it was seen."""
        while True:
            if self._stuck:
                raise Stuck
            seen = await self._connection.ask(self._look)
            self._state = seen.state
            if seen.state & scard.ABSENT_READER:
                raise DeviceError(f"reader {self._reader!r} is gone", hint="look at the reader's plug")
            self._slot.on_alive()
            if seen.taken is not None:
                return self._held(*seen.taken, seen.atr), seen.at
            if seen.missed:
                self._slot.missed += 1
                self._failures += 1
                await self._try_again(self._failures <= AGAIN, AGAIN_S)

    def _held(self, handle: scard.Handle, uid: bytes, atr: bytes) -> ThreadChannel:
        self._handle = handle
        self._broken = self._silent = False
        self._failures = 0
        return ThreadChannel(uid, atr, self._run, self._exchange, self._settings.limits, self._clock)

    async def let_go(self, channel: ThreadChannel) -> None:
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
                await self._connection.worker.call(scard.disconnect, handle, within_s=DEAF_S)
            except Stuck:
                self._stuck = True

    async def _run(self, function: Callable[[], Any], within_s: float) -> Any:
        try:
            return await self._connection.worker.call(function, within_s=within_s)
        except Stuck:
            self._slot.mute += 1
            self._silent = True
            raise

    # ----------------------------------------------------------------------- on the thread

    def _look(self, context: int) -> _Seen:
        """Wait a while for something new; a card that was not served yet is taken."""
        state, atr = scard.wait(context, self._reader, self._state & ~scard.CHANGED, WATCH_MS)
        at = self._clock.read()
        if self._connection.closed or not self._is_new(state):
            return _Seen(state, at, atr)
        try:
            taken = scard.take(context, self._reader, restarted=self._silent, ask_uid=self._settings.contactless)
        except scard.PcscError as error:
            if not error.is_the_cards:
                raise
        except scard.NoAnswer:
            pass
        else:
            return _Seen(state, at, atr, taken)
        return _Seen(state, at, atr, missed=True)  # it has left already, or does not wake up

    def _is_new(self, state: int) -> bool:
        count = state >> 16
        if count != self._count:
            self._count, self._failures, self._breaks = count, 0, 0
        if state & scard.ABSENT_READER or not state & scard.PRESENT or state & scard.MUTE or count == self._served:
            return False
        self._served = count
        return True

    def _exchange(self, command: bytes) -> bytes:
        handle = self._handle
        if handle is None:
            raise CardGone("the card was let go")
        try:
            return scard.transmit(handle, t0_command(command) if handle.protocol == scard.T0 else command)
        except (scard.PcscError, scard.NoAnswer) as error:
            self._broken = True
            raise CardGone(str(error)) from error
