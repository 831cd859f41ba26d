"""A relay-and-input board with a turnstile behind it.

Laws of this file:
- The board is pymodbus' own server behind a paced serial cable, or on TCP; the turnstile is ours.
- The turnstile's controller has its own clock: a right that nobody uses lapses after `hold_s`, further pulses stack.
- Every rising edge of the gate coil is an opening, told with CLOCK_MONOTONIC.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from pymodbus.constants import ExcCodes
from pymodbus.framer import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from simulators.wire import Wire

POINTS = 16  # coils, and as many inputs
PULSE_S = 0.15  # how long a sensor's beam is broken
READ_INPUTS, WRITE_COIL, WRITE_REGISTER, WRITE_COILS = 2, 5, 6, 15


class Board:
    """Coils and inputs, at the far end of a wire or a socket."""

    def __init__(self, unit: int = 1) -> None:
        self.coils = [False] * POINTS
        self.inputs = [False] * POINTS
        self.mute = False
        self.delay_s = 0.0
        self.delayed: frozenset[int] | None = None  # function codes that the delay concerns; None: all
        self.requests = 0
        self.on_coil: Callable[[int, bool, int], None] = lambda number, on, at_ns: None
        bits = [SimData(0, values=[False] * POINTS, datatype=DataType.BITS)]
        registers = [SimData(0, values=[0] * POINTS, datatype=DataType.REGISTERS)]
        self._device = SimDevice(
            unit,
            simdata=(bits, [SimData(0, values=[False] * POINTS, datatype=DataType.BITS)], registers, registers),
            action=self._act,
        )
        self._server: ModbusSerialServer | ModbusTcpServer | None = None
        self._outer: Wire | None = None
        self._inner: Wire | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # ----------------------------------------------------------------------- wiring

    async def serve_serial(self, path: Path, baud: int = 115_200) -> None:
        """Stand behind a serial cable whose terminal end is `path`."""
        inner = path.with_name(path.name + ".board")
        self._outer, self._inner = Wire(path, baud), Wire(inner, baud)
        self._inner.plug()
        self._outer.plug()
        self._outer.on_bytes(self._inner.send_now)
        self._inner.on_bytes(self._answer)
        self._server = ModbusSerialServer(self._device, framer=FramerType.RTU, port=str(inner), baudrate=baud)
        await self._server.serve_forever(background=True)

    async def serve_tcp(self, port: int = 0) -> int:
        """Listen on loopback; returns the port."""
        self._server = ModbusTcpServer(self._device, address=("127.0.0.1", port))
        await self._server.serve_forever(background=True)
        listening: Any = self._server.transport  # an asyncio.Server, whatever its annotation says
        return int(listening.sockets[0].getsockname()[1])

    def unplug(self) -> None:
        """Pull the serial plug."""
        assert self._outer is not None
        self._outer.unplug()

    def plug(self) -> None:
        """Put it back."""
        assert self._outer is not None
        self._outer.plug()

    async def close(self) -> None:
        """Stop answering."""
        for task in self._tasks:
            task.cancel()
        if self._server is not None:
            await self._server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus leaves it bare
        for wire in (self._outer, self._inner):
            if wire is not None:
                wire.unplug()

    def _answer(self, data: bytes) -> None:
        """The board's answer goes out at the line's speed."""
        if not self.mute:
            assert self._outer is not None
            self._start(self._send(self._outer, data))

    async def _send(self, wire: Wire, data: bytes) -> None:
        if self.delay_s and (self.delayed is None or data[1] in self.delayed):
            await asyncio.sleep(self.delay_s)
        await wire.send(data)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ----------------------------------------------------------------------- what the server asks

    async def _act(
        self,
        function: int,
        start: int,
        address: int,
        count: int,
        registers: list[int],
        values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        self.requests += 1
        if function == READ_INPUTS:
            self._fill(registers)
        elif function in (WRITE_COIL, WRITE_COILS) and values is not None:
            for number, value in enumerate(values, address):
                self._set(number, bool(value))
        elif function == WRITE_REGISTER and values is not None:
            self._start(self._timed(address, values[0] / 10))
        return None

    def _fill(self, registers: list[int]) -> None:
        """Put the inputs where the server reads them: sixteen to a register, the first in the lowest bit."""
        registers[0] = sum(1 << number for number, on in enumerate(self.inputs) if on)

    def _set(self, number: int, on: bool) -> None:
        if self.coils[number] != on:
            self.coils[number] = on
            self.on_coil(number, on, round(asyncio.get_running_loop().time() * 1e9))

    async def _timed(self, number: int, seconds: float) -> None:
        """The board's own timed relay: tenths of a second in a register."""
        self._set(number, True)
        await asyncio.sleep(seconds)
        self._set(number, False)

    async def pulse(self, number: int, seconds: float = PULSE_S) -> None:
        """An input goes on and off: a beam broken, a contact closed."""
        self.inputs[number] = True
        await asyncio.sleep(seconds)
        self.inputs[number] = False


class Turnstile:
    """The rotor behind the board: rights granted by the coil, people who walk or do not."""

    def __init__(
        self,
        board: Board,
        *,
        open_coil: int = 0,
        passage: int = 0,
        reverse: int = 1,
        forced: int = 2,
        emergency: int = 3,
        hold_s: float = 5.0,
    ) -> None:
        self.board = board
        self.rights = 0
        self.openings: list[int] = []  # CLOCK_MONOTONIC nanoseconds
        self.walked = 0
        self._open_coil = open_coil
        self._inputs = {"passage": passage, "reverse": reverse, "forced": forced, "emergency": emergency}
        self._hold_s = hold_s
        self._lapse: asyncio.TimerHandle | None = None
        self._opened = asyncio.Event()
        self.on_opening: Callable[[int], None] = lambda at_ns: None
        board.on_coil = self._coil

    async def opens(self, within_s: float) -> bool:
        """Wait for the next opening."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._opened.wait()
        opened = self._opened.is_set()
        self._opened.clear()
        return opened

    async def walk(self) -> bool:
        """One person pushes through; False when the rotor is locked."""
        if not self.rights:
            return False
        self.rights -= 1
        self.walked += 1
        await self.board.pulse(self._inputs["passage"])
        return True

    async def walk_late(self) -> None:
        """Somebody slips through on a mechanical right the controller no longer counts."""
        self.walked += 1
        await self.board.pulse(self._inputs["passage"])

    async def walk_back(self) -> None:
        """Somebody comes the wrong way."""
        await self.board.pulse(self._inputs["reverse"])

    async def force(self) -> None:
        """Somebody breaks through."""
        await self.board.pulse(self._inputs["forced"])

    def emergency(self, on: bool) -> None:
        """The fire panel's contact."""
        self.board.inputs[self._inputs["emergency"]] = on

    def _coil(self, number: int, on: bool, at_ns: int) -> None:
        if number != self._open_coil or not on:
            return
        self.rights += 1
        self.openings.append(at_ns)
        self._opened.set()
        self.on_opening(at_ns)
        if self._lapse is not None:
            self._lapse.cancel()
        self._lapse = asyncio.get_running_loop().call_later(self._hold_s, self._lapsed)

    def _lapsed(self) -> None:
        self.rights = 0
