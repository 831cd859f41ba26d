"""A PN532 card module at the far end of a serial line (UM0701-02).

Laws of this file:
- It sleeps until it is woken, acknowledges at once, answers one command at a time, and repeats an answer for a NACK.
- Everything crosses the line at its speed. What the field itself takes is `FIELD_S`, a card's own time is the card's.
- Trouble is a plain attribute: it does not answer at all, or the n-th answer from now is damaged on its way.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from simulators.card import Left, Mute, SimulatedCard
from simulators.wire import Wire

ACK, NACK = bytes.fromhex("0000ff00ff00"), bytes.fromhex("0000ffff0000")
SYNTAX_ERROR = bytes.fromhex("0000ff01ff7f8100")
WAKE = b"\x55\x55\x00\x00\x00"
FIELD_S = 0.004  # anti-collision and activation
CHUNK = 262  # data bytes of one answer; more is announced by a bit
OK, TIMEOUT, NOT_ACTIVE, MORE = 0x00, 0x01, 0x27, 0x40
SILENCE_S = 0.3  # after which the module gives a mute card up


class Pn532:
    """One module and the field in front of it."""

    def __init__(self, path: Path, baud: int = 115_200) -> None:
        self.wire = Wire(path, baud)
        self.wire.on_bytes(self._receive)
        self.field: list[SimulatedCard] = []
        self.dead = False
        self.looks = 0  # how often it was asked who is there
        self.damages: int | None = None  # how many answers pass before one is damaged
        self.failure: BaseException | None = None  # a command a card does not know: a mistake of the terminal
        self._held = bytearray()
        self._awake = False
        self._active: dict[int, SimulatedCard] = {}
        self._rest = b""
        self._last = b""
        self._work: asyncio.Task[None] | None = None

    @property
    def is_awake(self) -> bool:
        """Whether somebody has woken it since it slept."""
        return self._awake

    def put(self, *cards: SimulatedCard) -> None:
        """Hold cards into the field."""
        for card in cards:
            card.power_on()
        self.field.extend(cards)

    def take_away(self) -> None:
        """Nothing is in the field."""
        for card in self.field:
            card.remove()
        self.field.clear()

    def sleep(self) -> None:
        """The module was without power for a moment."""
        self._awake = False
        self._active.clear()
        self._held.clear()

    # ----------------------------------------------------------------------- the line

    def _receive(self, data: bytes) -> None:
        self._held += data
        if self.dead:
            self._held.clear()
            return
        if not self._awake:
            woken = self._held.find(WAKE)
            if woken < 0:
                return
            self._awake = True
            del self._held[: woken + len(WAKE)]
        while (command := self._next()) is not None:
            self._begin(command)

    def _next(self) -> bytes | None:
        """One frame's bytes from its start code to its end; None while there is no whole one."""
        start = self._held.find(b"\x00\x00\xff")
        if start < 0 or len(self._held) < start + 6:
            return None
        kind = bytes(self._held[start + 3 : start + 5])
        if kind in (b"\x00\xff", b"\xff\x00"):
            size = 6
        elif kind == b"\xff\xff":
            size = int.from_bytes(self._held[start + 5 : start + 7]) + 10
        else:
            size = kind[0] + 7
        if len(self._held) < start + size:
            return None
        one = bytes(self._held[start : start + size])
        del self._held[: start + size]
        return one

    def _begin(self, one: bytes) -> None:
        if one == ACK:  # give up what you are doing
            if self._work is not None:
                self._work.cancel()
        elif one == NACK:
            self._work = asyncio.create_task(self._say(self._last))
        else:
            self._work = asyncio.create_task(self._obey(one))

    async def _obey(self, one: bytes) -> None:
        extended = one[3:5] == b"\xff\xff"
        body = one[8:-2] if extended else one[5:-2]
        if sum(one[8:-1] if extended else one[5:-1]) & 0xFF or body[:1] != b"\xd4":
            await self._say(SYNTAX_ERROR)
            return
        await self.wire.send(ACK)
        command = self._commands().get(body[1])
        if command is None:
            await self._say(SYNTAX_ERROR)
            return
        await self._say(_frame(bytes((0xD5, body[1] + 1)) + await command(body[2:])))

    async def _say(self, whole: bytes) -> None:
        self._last = whole
        if self.damages is not None:
            self.damages -= 1
            if self.damages < 0:
                self.damages = None
                whole = whole[:-3] + bytes((whole[-3] ^ 0x10,)) + whole[-2:]
        await self.wire.send(whole)

    # ----------------------------------------------------------------------- commands

    def _commands(self) -> dict[int, Callable[[bytes], Awaitable[bytes]]]:
        return {
            0x02: self._version,
            0x14: self._configure,
            0x32: self._configure,
            0x40: self._exchange,
            0x4A: self._list,
            0x52: self._release,
        }

    async def _version(self, data: bytes) -> bytes:
        return bytes.fromhex("32010607")

    async def _configure(self, data: bytes) -> bytes:
        return b""

    async def _list(self, data: bytes) -> bytes:
        """Up to two cards of type A: Tg SENS_RES SEL_RES NFCIDLength NFCID1 [ATS]."""
        assert data[1] == 0, "type A only"
        await asyncio.sleep(FIELD_S)
        self.looks += 1
        self._active = dict(enumerate(self.field[: data[0]], 1))
        listed = bytes((len(self._active),))
        for number, card in self._active.items():
            speaks = bool(card.applications)
            listed += bytes((number, 0x00, 0x44 if len(card.uid) == 7 else 0x04, 0x20 if speaks else 0x08))
            listed += bytes((len(card.uid),)) + card.uid
            if speaks:
                historical = card.atr[4:-1]
                listed += bytes((len(historical) + 5, 0x78, 0x80, 0x70, 0x02)) + historical
        return listed

    async def _release(self, data: bytes) -> bytes:
        for card in self._active.values():
            card.power_on()
        self._active.clear()
        return bytes((OK,))

    async def _exchange(self, data: bytes) -> bytes:
        card = self._active.get(data[0])
        if card is None or card not in self.field:
            await asyncio.sleep(FIELD_S)
            return bytes((TIMEOUT if card else NOT_ACTIVE,))
        if len(data) > 1:
            await asyncio.sleep(card.delay_s)
            try:
                self._rest = card.answer(data[1:])
            except (Left, Mute) as error:
                return await self._silence(card, error)
            except AssertionError as error:
                self.failure = error
                raise
        part, self._rest = self._rest[:CHUNK], self._rest[CHUNK:]
        return bytes((MORE if self._rest else OK,)) + part

    async def _silence(self, card: SimulatedCard, why: Exception) -> bytes:
        if isinstance(why, Left):
            with contextlib.suppress(ValueError):
                self.field.remove(card)
        await asyncio.sleep(FIELD_S if isinstance(why, Left) else SILENCE_S)
        return bytes((TIMEOUT,))


def _frame(body: bytes) -> bytes:
    size = len(body)
    if size < 256:
        head = bytes((size, 256 - size if size else 0))
    else:
        high, low = size.to_bytes(2)
        head = bytes((0xFF, 0xFF, high, low, (256 - (high + low) % 256) % 256))
    return b"\x00\x00\xff" + head + body + bytes(((256 - sum(body) % 256) % 256, 0))
