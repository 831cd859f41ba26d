"""Lamps and a buzzer on a board's coils.

Laws of this file:
- Showing never holds up a lane: it starts here and goes on in the background; a new showing replaces the old.
- A light that blinks in the table blinks here; one that stays (`red_steady`) stays until something else is shown.
- Orders to the gate go first: lamps use whatever time the wire has left.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Protocol

from terminal.core.model import Value
from terminal.core.phrases import Display, Light, Tone
from terminal.ports import DeviceError

BLINK_S = 0.25

log = logging.getLogger(__name__)


class Coils(Protocol):
    """What a lamp needs of its board."""

    connected: bool

    async def write_coil(self, number: int, on: bool) -> None:
        """Switch one coil. Raises DeviceError."""


class LampWiring(Value, frozen=True):
    """`[[lanes.NAME.indicators]]` with `board = …`. A colour without a coil stays dark."""

    green: int | None = None
    amber: int | None = None
    red: int | None = None
    blue: int | None = None
    buzzer: int | None = None
    show_ms: int = 1500


# (on, off) seconds, repeated so many times: what the field calls these tones, as far as a buzzer can say it
TONES: dict[Tone, Sequence[tuple[float, float]]] = {
    Tone.OK: ((0.08, 0.0),),
    Tone.OK_SOFT: ((0.04, 0.0),),
    Tone.OK_THEN_NOTICE: ((0.08, 0.3), (0.15, 0.0)),
    Tone.NOTICE: ((0.12, 0.1), (0.12, 0.0)),
    Tone.AGAIN: ((0.06, 0.08), (0.06, 0.0)),
    Tone.STOP: ((0.4, 0.0),),
    Tone.SILENT: (),
    Tone.EVACUATE: (),  # the fire panel's signal, not ours
}
COLOUR = {
    Light.GREEN: "green",
    Light.GREEN_BLINK: "green",
    Light.AMBER: "amber",
    Light.AMBER_BLINK: "amber",
    Light.BLUE: "blue",
    Light.WHITE: "blue",
    Light.RED: "red",
    Light.RED_STEADY: "red",
}


BLINKING = frozenset({Light.GREEN_BLINK, Light.AMBER_BLINK})


class ModbusLamp:
    """The Indicator port over a lamp and a buzzer."""

    def __init__(self, board: Coils, wiring: LampWiring) -> None:
        self._board = board
        self._wiring = wiring
        self._lit: set[int] = set()
        self._playing: asyncio.Task[None] | None = None

    async def show(self, display: Display) -> None:
        """See the port."""
        if not self._board.connected:
            raise DeviceError("the lamp's board is not connected", hint="look at the board's plug and power")
        if self._playing is not None:
            self._playing.cancel()
        self._playing = asyncio.get_running_loop().create_task(self._play(display))

    async def _play(self, display: Display) -> None:
        coil = getattr(self._wiring, COLOUR[display.light])
        try:
            for other in self._lit - {coil}:
                await self._switch(other, False)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._sound(TONES[display.tone]))
                if coil is not None:
                    tasks.create_task(self._light(coil, display.light))
        except* DeviceError as errors:
            log.debug("lamp", extra={"what": str(errors.exceptions[0])})  # the board's own task says so, with a hint

    async def _light(self, coil: int, light: Light) -> None:
        await self._switch(coil, True)
        if light is Light.RED_STEADY:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._wiring.show_ms / 1000):
                while True:
                    await asyncio.sleep(BLINK_S)
                    if light in BLINKING:
                        await self._switch(coil, coil not in self._lit)
        await self._switch(coil, False)

    async def _sound(self, pattern: Sequence[tuple[float, float]]) -> None:
        buzzer = self._wiring.buzzer
        if buzzer is None:
            return
        for on_s, off_s in pattern:
            await self._switch(buzzer, True)
            await asyncio.sleep(on_s)
            await self._switch(buzzer, False)
            await asyncio.sleep(off_s)

    async def _switch(self, coil: int, on: bool) -> None:
        if on:
            self._lit.add(coil)  # before asking: if this is given up halfway, the next showing still puts it out
        await self._board.write_coil(coil, on)
        if not on:
            self._lit.discard(coil)
