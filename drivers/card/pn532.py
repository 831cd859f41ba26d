"""A card module on a serial line: NXP PN532 (UM0701-02), ISO/IEC 14443 type A.

Laws of this file:
- We poll, every `poll_ms`: a card is seen when it is there, not when somebody else looks.
- The module is asked one thing at a time. It acknowledges within 0.1 s or it is deaf: counted, told, woken anew.
- A damaged answer is asked for again; a command is never sent twice.
- A card is one arrival while it lies there; one whose link broke is a new arrival, a few times.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NamedTuple

from drivers.card.apdu import Limits
from drivers.card.channel import Channel
from drivers.card.hsu import WAKE_UP, Decoder, Frame, Mark, frame
from drivers.link import open_link
from terminal.core.model import Medium, Reading, Value
from terminal.ports import ByteLink, CardChannel, CardGone, CardSlot, Clock, DeviceError

VERSION, SAM_CONFIGURATION, RF_CONFIGURATION = 0x02, 0x14, 0x32
DATA_EXCHANGE, LIST_PASSIVE_TARGET, RELEASE = 0x40, 0x4A, 0x52
NORMAL_MODE = b"\x01\x00\x00"  # no secure access module of its own, no interrupt line
ONE_TRY = b"\x05\xff\x01\x00"  # of passive activation: it answers at once, with or without a card
TWO_OF_TYPE_A = b"\x02\x00"
MORE, ERROR = 0x40, 0x3F  # bits of a status byte
SPEAKS_APDU = 0x20  # of SEL_RES: ISO/IEC 14443-4
NO_APDU = b"\x6a\x81"
ACK_S = 0.1
WAKE_S = 0.02
ANSWER_S = 1.0  # to anything but a card's command
GONE_AFTER = 2  # empty polls: one alone may be a card that was between two states
AGAIN = 5

log = logging.getLogger(__name__)


class Settings(Value, frozen=True):
    """`[[lanes.NAME.readers]]` with `driver = "card.pn532"`."""

    link: str  # serial:/dev/ttyS2?baud=115200
    poll_ms: int = 40
    limits: Limits = Limits()


def open(settings: Settings, clock: Clock) -> CardSlot:
    """A slot; the line is opened when cards are asked for."""
    return Pn532Slot(settings, clock)


class Target(NamedTuple):
    """A card as the module lists it."""

    number: int
    uid: bytes
    ats: bytes  # b"": speaks no commands
    alone: bool


class Pn532Slot:
    """The CardSlot port over one module."""

    medium = Medium.CARD

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.deaf = 0  # how often the module did not answer in time
        self.damaged = 0  # answers that were asked for again
        self.on_alive: Callable[[], None] = lambda: None  # the module answered a poll
        self._settings = settings
        self._clock = clock

    def status(self) -> dict[str, Any]:
        """How often what went wrong."""
        return {"deaf": self.deaf, "damaged": self.damaged}

    async def cards(self) -> AsyncIterator[tuple[CardChannel, Reading]]:
        """See the port."""
        module = _Module(self._settings.link, await open_link(self._settings.link), self._clock)
        try:
            await module.wake()
            field = _Field()
            while True:
                listed, at = await module.poll()
                self.on_alive()
                for target in field.arrived(listed):
                    channel = self._channel(module, target)
                    try:
                        yield channel, at
                    finally:
                        channel.close()
                    field.served(target, lost=channel.lost)
                if listed:
                    await module.ask(RELEASE, b"\x00")
                await asyncio.sleep(self._settings.poll_ms / 1000)
        except _DeafError as error:
            self.deaf += 1
            log.warning("deaf reader", extra={"reader": self._settings.link, "times": self.deaf})
            hint = "look at the module's power, its plug and its switches (HSU)"
            raise DeviceError(f"{self._settings.link}: {error}", hint=hint) from error
        finally:
            module.close()
            self.damaged += module.damaged

    def _channel(self, module: "_Module", target: Target) -> Channel:
        async def exchange(command: bytes, within_s: float) -> bytes:
            return await module.exchange(target, command, within_s)

        return Channel(target.uid, target.ats, exchange, self._settings.limits, self._clock, alone=target.alone)


class _Field:
    """Who lies there, and was served."""

    def __init__(self) -> None:
        self._there: set[bytes] = set()
        self._tries: dict[bytes, int] = {}
        self._empty = 0

    def arrived(self, listed: list[Target]) -> list[Target]:
        """Those not served yet."""
        self._empty = 0 if listed else self._empty + 1
        if self._empty >= GONE_AFTER:
            self._there.clear()
            self._tries.clear()
        if listed:
            self._there &= {target.uid for target in listed}
        return [target for target in listed if target.uid not in self._there]

    def served(self, target: Target, *, lost: bool) -> None:
        """A lost one comes again, a few times."""
        tries = self._tries[target.uid] = self._tries.get(target.uid, 0) + 1 if lost else 0
        if not lost or tries > AGAIN:
            self._there.add(target.uid)


class _DeafError(Exception):
    """The module does not answer, or not to this."""


class _Module:
    """The module on an open line, asked one thing at a time."""

    def __init__(self, where: str, link: ByteLink, clock: Clock) -> None:
        self.damaged = 0
        self._where = where
        self._link = link
        self._clock = clock
        self._decoder = Decoder()
        self._frames: asyncio.Queue[tuple[Frame, Reading] | DeviceError] = asyncio.Queue()
        link.on_bytes(self._receive, self._lost)

    def _receive(self, data: bytes) -> None:
        at = self._clock.read()
        for one in self._decoder.feed(data):
            self._frames.put_nowait((one, at))

    def _lost(self, error: Exception | None) -> None:
        what = f"{self._where}: the line is gone" + (f" ({error})" if error else "")
        self._frames.put_nowait(DeviceError(what, hint="look at the card module's plug and power"))

    def close(self) -> None:
        """Let go of the line."""
        self._link.close()

    async def wake(self) -> None:
        """Whatever it was doing, it listens to us now. Raises DeviceError, as do the others."""
        self._link.write(WAKE_UP)
        await asyncio.sleep(WAKE_S)
        await self.ask(SAM_CONFIGURATION, NORMAL_MODE)
        version, _ = await self.ask(VERSION, b"")
        if version[:1] != b"\x32":
            raise DeviceError(f"{self._where}: not a PN532, it says {version.hex()}", hint="which module is this?")
        await self.ask(RF_CONFIGURATION, ONE_TRY)

    async def poll(self) -> tuple[list[Target], Reading]:
        """Who is in the field, and the moment that was heard."""
        answer, at = await self.ask(LIST_PASSIVE_TARGET, TWO_OF_TYPE_A)
        return list(targets(answer)), at

    async def exchange(self, target: Target, command: bytes, within_s: float) -> bytes:
        """One command to a card. Raises CardGone."""
        if not target.ats:
            return NO_APDU
        whole, ends_s = b"", self._clock.monotonic_s() + within_s
        data = command
        while True:
            try:
                left_s = max(0.0, ends_s - self._clock.monotonic_s())
                answer, _ = await self.ask(DATA_EXCHANGE, bytes((target.number,)) + data, left_s)
            except (_DeafError, DeviceError) as error:
                raise CardGone(str(error)) from error
            if not answer or answer[0] & ERROR:
                raise CardGone(f"status {answer[:1].hex() or 'missing'}")
            whole += answer[1:]
            if not answer[0] & MORE or len(whole) > 65_536:
                return whole
            data = b""

    async def ask(self, code: int, data: bytes, within_s: float = ANSWER_S) -> tuple[bytes, Reading]:
        """One command of the module's own; its answer's data. Raises _DeafError."""
        while not self._frames.empty():  # late answers to what was given up
            self._take(self._frames.get_nowait())
        self._link.write(frame(bytes((code,)) + data))
        try:
            async with asyncio.timeout(ACK_S):
                while (await self._next())[0] is not Mark.ACK:
                    pass
            async with asyncio.timeout(within_s):
                return await self._answer(code)
        except TimeoutError:
            self._link.write(Mark.ACK.value)  # gives up whatever it is doing
            raise _DeafError(f"no answer to {code:02X}") from None

    async def _answer(self, code: int) -> tuple[bytes, Reading]:
        asked_again = False
        while True:
            one, at = await self._next()
            if one is Mark.ERROR:
                raise _DeafError(f"{code:02X} was not understood")
            if one is Mark.DAMAGED and not asked_again:
                asked_again = True
                self.damaged += 1
                self._link.write(Mark.NACK.value)
            if isinstance(one, bytes) and one[:1] == bytes((code + 1,)):
                return one[1:], at

    async def _next(self) -> tuple[Frame, Reading]:
        return self._take(await self._frames.get())

    def _take(self, one: "tuple[Frame, Reading] | DeviceError") -> tuple[Frame, Reading]:
        if isinstance(one, DeviceError):
            self._frames.put_nowait(one)  # for whoever asks next
            raise one
        return one


def targets(answer: bytes) -> Iterator[Target]:
    """Cards of a listing: Tg SENS_RES(2) SEL_RES NFCIDLength NFCID1 [ATSLength ATS]; what is cut short is not there."""
    count, rest = (answer[0], answer[1:]) if answer else (0, b"")
    for _ in range(count):
        if len(rest) < 5 or len(rest) < 5 + rest[4]:
            return
        number, select, size = rest[0], rest[3], rest[4]
        uid, rest = rest[5 : 5 + size], rest[5 + size :]
        ats = b""
        if select & SPEAKS_APDU and rest:
            ats, rest = rest[: rest[0]], rest[max(1, rest[0]) :]
        yield Target(number, uid, ats, alone=count == 1)
