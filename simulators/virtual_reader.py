"""One slot of the virtual reader: what a card in front of a real reader is to pcscd.

Laws of this file:
- It speaks vpcd's protocol: two bytes of length, then a body; a body of one byte is the reader's own (power, reset, the
  card's ATR), any other a command for the card.
- TCP_QUICKACK before every read: vpcd writes length and body apart, and what would be measured otherwise is Nagle's
  algorithm waiting for a delayed acknowledgement, 44 ms a command.
- The reader's own command for the UID is answered here and never reaches the card.
- A card that lies there is still there when pcscd comes back.
"""

import asyncio
import contextlib
import socket
from typing import Protocol

from simulators.card import Left, Mute
from simulators.pcscd import Pcscd

POWER_OFF, POWER_ON, RESET, ATR = 0, 1, 2, 4
GET_UID = bytes.fromhex("FFCA0000")
OK, UNSUPPORTED = b"\x90\x00", b"\x6a\x81"
AGAIN_S = 0.05
LONGEST = 65_535  # two bytes of length


class Insertable(Protocol):
    """A simulated card, or a PSAM."""

    delay_s: float

    def power_on(self) -> bytes:
        """Forget what was volatile; the answer to reset."""

    def answer(self, command: bytes) -> bytes:
        """Data ‖ status word. Raises Left and Mute."""


class VirtualSlot:
    """One slot; a card is put into it and taken out."""

    def __init__(self, pcscd: Pcscd, number: int, *, quick_ack: bool = True) -> None:
        self._pcscd = pcscd
        self._number = number
        self._quick_ack = quick_ack
        self._serving: asyncio.Task[None] | None = None

    @property
    def occupied(self) -> bool:
        """Whether a card lies there."""
        return self._serving is not None and not self._serving.done()

    def insert(self, card: Insertable) -> None:
        """Put a card in; what was there must have been taken out."""
        assert not self.occupied, "there is a card already"
        self._serving = asyncio.create_task(self._lie_there(card))

    async def remove(self) -> None:
        """Take the card out, if it is still there."""
        if self._serving is not None:
            self._serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._serving
            self._serving = None

    async def left(self) -> None:
        """Wait until the card has left by itself."""
        assert self._serving is not None
        await asyncio.shield(self._serving)

    async def _lie_there(self, card: Insertable) -> None:
        while True:
            try:
                line = self._pcscd.reach(self._number)
            except OSError:
                await asyncio.sleep(AGAIN_S)
                continue
            with line:
                line.setblocking(False)
                try:
                    await self._serve(line, card)
                except Left:
                    return
                except OSError:
                    continue

    async def _serve(self, line: socket.socket, card: Insertable) -> None:
        loop, atr = asyncio.get_running_loop(), card.power_on()
        while True:
            length = int.from_bytes(await self._read(line, 2))
            body = await self._read(line, length)
            answer = await self._answer(body, card, atr)
            if answer is not None:
                await loop.sock_sendall(line, len(answer).to_bytes(2) + answer)

    async def _answer(self, body: bytes, card: Insertable, atr: bytes) -> bytes | None:
        """What goes back; None: nothing does. Raises Left."""
        if len(body) == 1:
            if body[0] in (POWER_ON, RESET):
                card.power_on()
            return atr if body[0] == ATR else None
        if body[:4] == GET_UID:
            uid = getattr(card, "uid", b"")
            return uid + OK if uid else UNSUPPORTED
        try:
            answer = card.answer(body)
        except Mute:
            return None
        if card.delay_s:
            await asyncio.sleep(card.delay_s)
        return answer[:LONGEST]

    async def _read(self, line: socket.socket, size: int) -> bytes:
        """Exactly so many bytes. Raises ConnectionError when pcscd is gone."""
        data = b""
        while len(data) < size:
            if self._quick_ack:
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            part = await asyncio.get_running_loop().sock_recv(line, size - len(data))
            if not part:
                raise ConnectionError("pcscd closed the line")
            data += part
        return data
