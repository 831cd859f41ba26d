"""A secure module (PSAM) in a PC/SC slot of its own.

Laws of this file:
- One thread and one context: everything that blocks runs there, whether the loop asks or a card's thread does.
- It is connected when first asked, and kept: a module that was cut off has forgotten the purchase under way.
- After any error everything begins anew. A command that met a connection which had died is sent once more on a new one:
  a module begun anew has forgotten what it was asked before, so nothing is done twice.
"""

import contextlib

from drivers.card import connection, scard
from drivers.card.apdu import t0_command
from drivers.card.worker import Stuck, Worker
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
    """The WaitingModule port over one PC/SC slot."""

    def __init__(self, settings: Settings) -> None:
        self.failures = 0
        self._settings = settings
        self._worker = Worker("secure-module")
        self._context: int | None = None
        self._handle: scard.Handle | None = None
        self._given_up = False  # a command was not waited for: whatever it did, everything begins anew

    async def transmit(self, command: bytes) -> bytes:
        """See the port."""
        try:
            return await self._worker.call(self._ask, command, within_s=self._within_s())
        except (scard.PcscError, scard.NoAnswer, Stuck, Overrun, DeviceError) as error:
            raise self._failed(error) from error

    def answer(self, command: bytes) -> bytes:
        """See the port."""
        try:
            return self._worker.ask(self._ask, command, within_s=self._within_s())
        except (scard.PcscError, scard.NoAnswer, Stuck, Overrun, DeviceError) as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Let go of everything, as soon as the thread is free."""
        self._worker.later(self._drop)
        self._worker.close()

    def _within_s(self) -> float:
        """Connecting takes its own time."""
        return self._settings.answer_ms / 1000 + (connection.DEAF_S if self._handle is None else 0.0)

    def _failed(self, error: Exception) -> DeviceError:
        self.failures += 1
        self._given_up |= isinstance(error, Stuck)
        what = error.what if isinstance(error, DeviceError) else str(error) or "no answer in time"
        return DeviceError(f"secure module in {self._settings.reader!r}: {what}", hint=HINT)

    # ----------------------------------------------------------------------- on the thread

    def _ask(self, command: bytes) -> bytes:
        if self._given_up:
            self._given_up = False
            self._drop()
        kept = self._handle is not None
        try:
            try:
                return self._exchange(command)
            except scard.PcscError:
                if not kept:
                    raise
                self._drop()
                return self._exchange(command)  # what we had kept had died meanwhile
        except BaseException:
            self._drop()
            raise

    def _exchange(self, command: bytes) -> bytes:
        """Connect if need be, and ask."""
        handle = self._handle = self._handle or self._connected()
        steps = follow(command, Budget())
        raw = next(steps)
        while True:
            sent = t0_command(raw) if handle.protocol == scard.T0 else raw
            try:
                raw = steps.send(scard.transmit(handle, sent))
            except StopIteration as end:
                return bytes(end.value)

    def _connected(self) -> scard.Handle:
        self._context = scard.establish()
        reader = connection.choose(self._settings.reader, scard.readers(self._context))
        return scard.connect(self._context, reader, scard.ANY_PROTOCOL)

    def _drop(self) -> None:
        """Let go of everything."""
        handle, context = self._handle, self._context
        self._handle = self._context = None
        with contextlib.suppress(scard.PcscError):
            if handle is not None:
                scard.disconnect(handle)
            if context is not None:
                scard.release(context)
