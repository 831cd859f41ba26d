"""The line to a library system, for whoever asks: kiosks and the replay.

Laws of this file:
- It never raises LibraryError: silence is an answer, and says which.
- After a silence that lasts (nothing sent, no answer, hung up, not logged in) nobody else waits for it: it is away
  until it answers a question of our own, asked every few seconds. A dead library system holds up no kiosk.
- A system that asks to repeat, or garbles one answer, is there.
"""

import asyncio
import logging
from typing import Any

from terminal.core.library import ReaderNumber, Silence
from terminal.core.visit import EndSession, Lend, LookAt, LookUp, Pay, Renew, Request, TakeBack
from terminal.ports import Clock, DeviceError, LibraryError, LibrarySystem
from terminal.runtime.supervisor import DeviceHealth

AWAY = (Silence.UNREACHABLE, Silence.NOT_LOGGED_IN, Silence.NO_ANSWER, Silence.CLOSED)
HINTS = {
    Silence.UNREACHABLE: "look at its host and port, and at the network",
    Silence.NOT_LOGGED_IN: "look at login_user and login_password",
}
HINT = "ask whoever runs the library system"

log = logging.getLogger(__name__)


class LibraryLink:
    """One library system."""

    def __init__(self, system: LibrarySystem, clock: Clock, retry_s: float = 5.0) -> None:
        self.health = DeviceHealth("library")
        self.answers = asyncio.Event()  # set while it is believed to answer
        self.answers.set()
        self.asked = 0
        self._system = system
        self._clock = clock
        self._retry_s = retry_s
        self._away = asyncio.Event()

    async def ask(self, request: Request, at_ms: int) -> Any:
        """The answer, or the Silence there was. At once while the system is away."""
        if not self.answers.is_set():
            return Silence.UNREACHABLE
        self.asked += 1
        try:
            answer = await _call(self._system, request, at_ms)
        except LibraryError as error:
            if error.silence in AWAY:
                self._lost(error)
            return error.silence
        self.health.works()
        return answer

    async def run(self) -> None:
        """While it is away, ask it how it is, until cancelled."""
        while True:
            await self._away.wait()
            await asyncio.sleep(self._retry_s)
            try:
                status = await self._system.status()
            except LibraryError as error:
                self._lost(error)
                continue
            if status.online:
                self.health.works()
                self._away.clear()
                self.answers.set()

    async def close(self) -> None:
        """Let go of the line."""
        await self._system.close()

    def _lost(self, error: LibraryError) -> None:
        hint = HINTS.get(error.silence, HINT)
        self.health.failed(DeviceError(str(error), hint=hint))
        self.answers.clear()
        self._away.set()


async def _call(system: LibrarySystem, request: Request, at_ms: int) -> Any:
    """A request as the port's own question."""
    match request:
        case LookUp(reader=reader, listed=listed):
            return await system.patron(reader, at_ms, listed=listed)
        case LookAt(barcode=barcode):
            return await system.item(barcode, at_ms)
        case Renew(reader=reader, barcode=barcode):
            return await system.renew(reader, barcode, at_ms)
        case Pay(reader=reader, fee_minor=fee, currency=currency, at_ms=paid_ms, cash=cash, name=name):
            return await system.pay(reader, fee, currency, paid_ms, cash=cash, name=name)
        case EndSession(reader=reader):
            return await system.end_session(reader, at_ms)
        case TakeBack(barcode=barcode, happened=happened):
            when_ms = at_ms if happened is None else happened.at_ms
            return await system.checkin(barcode, when_ms, when_ms, no_block=happened is not None)
        case Lend(reader=reader, barcode=barcode):
            return await _lend(system, request, reader, barcode, at_ms)
        case _:
            raise AssertionError(f"{type(request).__name__} is no question for a library system")


async def _lend(system: LibrarySystem, request: Lend, reader: ReaderNumber, barcode: str, at_ms: int) -> Any:
    happened = request.happened
    if happened is None:
        return await system.checkout(reader, barcode, at_ms, undo=request.undo)
    return await system.checkout(reader, barcode, happened.at_ms, no_block=True, due_ms=happened.due_ms)
