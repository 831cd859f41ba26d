"""A secure module (PSAM) in a PC/SC slot of its own.

Laws of this file:
- It is connected when first asked, and kept: a module that was cut off has forgotten the purchase under way.
- After any error everything begins anew. A command that met a connection which had died is sent once more on a new one:
  a module begun anew has forgotten what it was asked before, so nothing is done twice.
"""

import asyncio

from drivers.card import scard
from drivers.card.apdu import t0_command
from drivers.card.connection import Connection, reader_named
from drivers.card.worker import Stuck
from terminal.core.cards.apdu import Budget, Overrun, follow
from terminal.core.model import Value
from terminal.ports import Clock, DeviceError, SecureModule

HINT = "is the module in its slot, the right way round? look at pcscd's log"


class Settings(Value, frozen=True):
    """`[lanes.NAME.cards.module]` with `driver = "secure_module.pcsc"`."""

    reader: str  # the slot's name, or how it begins
    answer_ms: int = 1000  # for one command


def open(settings: Settings, clock: Clock) -> SecureModule:
    """A module; its slot is opened with the first command."""
    return PcscModule(settings)


class PcscModule:
    """The SecureModule port over one PC/SC slot."""

    def __init__(self, settings: Settings) -> None:
        self.failures = 0
        self._settings = settings
        self._turn = asyncio.Lock()  # one command at a time
        self._connection: Connection | None = None
        self._handle: scard.Handle | None = None

    async def transmit(self, command: bytes) -> bytes:
        """See the port."""
        async with self._turn:
            kept = self._handle is not None
            try:
                try:
                    return await self._exchange(command)
                except scard.PcscError:
                    if not kept:
                        raise
                    return await self._exchange(command)  # what we had kept had died meanwhile
            except (scard.PcscError, scard.NoAnswer, Stuck, Overrun) as error:
                self.failures += 1
                what = str(error) or "no answer in time"
                raise DeviceError(f"secure module in {self._settings.reader!r}: {what}", hint=HINT) from error

    async def _exchange(self, command: bytes) -> bytes:
        """Connect if need be, and ask. Whatever is raised, everything is let go of."""
        try:
            handle, connection = await self._connected()
            return await self._carry(connection, handle, command)
        except BaseException:
            self.close()
            raise

    async def _connected(self) -> tuple[scard.Handle, Connection]:
        if self._connection is not None and self._handle is not None:
            return self._handle, self._connection
        if self._connection is not None and not await self._connection.ended():
            raise Stuck
        self._connection = connection = Connection("secure-module")
        await connection.open()
        reader = await reader_named(self._settings.reader, connection)
        self._handle = await connection.ask(scard.connect, reader, scard.ANY_PROTOCOL)
        return self._handle, connection

    async def _carry(self, connection: Connection, handle: scard.Handle, command: bytes) -> bytes:
        steps = follow(command, Budget())
        raw = next(steps)
        while True:
            sent = t0_command(raw) if handle.protocol == scard.T0 else raw
            within_s = self._settings.answer_ms / 1000
            answer = await connection.worker.call(scard.transmit, handle, sent, within_s=within_s)
            try:
                raw = steps.send(answer)
            except StopIteration as end:
                return bytes(end.value)

    def close(self) -> None:
        """Let go of everything, as soon as the thread is free."""
        if self._connection is not None:
            if self._handle is not None:
                self._connection.worker.later(scard.disconnect, self._handle)
            self._connection.close()
        self._handle = None
