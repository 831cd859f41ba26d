"""Relay-and-input boards by Modbus, RTU over a serial line or TCP: the gate, its lamps, its sensors, the mains input.

Laws of this file:
- An order is sent once. No answer within the time-out is `unknown`, never a retry: it could open for somebody else.
- An order older than half a second, counted from the tap, is never sent.
- After every connect all coils are switched off before anything else; until then no order is sent.
- Orders go before polling and lamps: each of these is one short frame, and an order waits for one at most.
- An input counts once it stood for two polls; a level that stays is told once.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from pymodbus import FramerType, ModbusException
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient

from drivers.link import serial_options
from terminal.core.model import GateAnswer, GateEvent, GateSignal, Reading, Value
from terminal.core.phrases import Display, Light, Tone
from terminal.ports import Clock, DeviceError, Gate, Indicator, PowerInput

STALE_NS = 500_000_000
DEBOUNCE_POLLS = 2

log = logging.getLogger(__name__)


class Settings(Value, frozen=True):
    """`[boards.NAME]` with `driver = "board.modbus"`."""

    link: str  # serial:/dev/ttyS2?baud=9600, or tcp:host:port
    unit: int = 1
    coils: int = 8  # how many the board has: all are switched off at first
    inputs: int = 8
    poll_ms: int = 30
    timeout_ms: int = 300  # at most; a board on a short line answers within a few


class GateWiring(Value, frozen=True):
    """`[lanes.NAME.gate]` with `board = …`. Coils and inputs count from 0."""

    open_coil: int
    open_ms: int = 400  # how long the pulse is
    hold_s: float = 5.0  # how long the controller keeps a granted right: read its manual
    pulse: str = "coil"  # "coil": we switch on and off; "register": the board's own timed relay
    pulse_register: int | None = None  # for "register": where tenths of a second are written
    group_gap_ms: int = 300  # between the pulses for the people of a group
    passage_input: int | None = None
    reverse_input: int | None = None
    forced_input: int | None = None
    emergency_input: int | None = None
    fault_input: int | None = None


class LampWiring(Value, frozen=True):
    """`[[lanes.NAME.indicators]]` with `board = …`. A colour without a coil stays dark."""

    green: int | None = None
    amber: int | None = None
    red: int | None = None
    blue: int | None = None
    buzzer: int | None = None
    show_ms: int = 1500


class PowerWiring(Value, frozen=True):
    """`[power]` with `board = …`: an input that is on while there is power."""

    input: int
    lost_after_ms: int = 300  # a flicker is not a loss


def open(settings: Settings, clock: Clock) -> "Board":
    """A board; nothing is connected until `run`. Raises DeviceError for a line that cannot be understood."""
    return Board(settings, clock)


class Board:
    """One board, shared by whatever is wired to it."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.inputs: list[bool] = [False] * settings.inputs
        self.connected = False
        self._client: AsyncModbusSerialClient | AsyncModbusTcpClient | None = None
        self._watchers: list[Callable[[int, bool, Reading], None]] = []
        self._candidate = [0] * settings.inputs
        self._lost = asyncio.Event()

    def gate(self, wiring: GateWiring) -> Gate:
        """The barrier wired to this board."""
        return ModbusGate(self, wiring)

    def lamp(self, wiring: LampWiring) -> Indicator:
        """The lamps and buzzer wired to this board."""
        return ModbusLamp(self, wiring)

    def power(self, wiring: PowerWiring) -> PowerInput:
        """The mains or ignition input wired to this board."""
        return ModbusPower(self, wiring)

    def watch(self, watcher: Callable[[int, bool, Reading], None]) -> None:
        """Tell of every input that changed: number, level, when."""
        self._watchers.append(watcher)

    async def run(self) -> None:
        """Connect, switch everything off, poll for ever. Raises DeviceError when the board is gone."""
        self._lost.clear()
        self._client = client = self._make_client()
        try:
            if not await client.connect():
                raise self._gone("does not answer")
            await self._call(client.write_coils(0, [False] * self.settings.coils, device_id=self.settings.unit))
            self.connected = True
            while not self._lost.is_set():
                await self._poll(client)
                await asyncio.sleep(self.settings.poll_ms / 1000)
            raise self._gone("left an order unanswered")
        finally:
            self.connected = False
            client.close()

    async def write_coil(self, number: int, on: bool) -> None:
        """One coil. Raises DeviceError; an unanswered write is the end of this connection."""
        if self._client is None or not self.connected:
            raise self._gone("is not connected")
        try:
            await self._call(self._client.write_coil(number, on, device_id=self.settings.unit))
        except DeviceError:
            self._lost.set()
            raise

    async def write_register(self, number: int, value: int) -> None:
        """One register: a board's own timed relay. Raises DeviceError."""
        if self._client is None or not self.connected:
            raise self._gone("is not connected")
        try:
            await self._call(self._client.write_register(number, value, device_id=self.settings.unit))
        except DeviceError:
            self._lost.set()
            raise

    # ----------------------------------------------------------------------- inside

    def _make_client(self) -> AsyncModbusSerialClient | AsyncModbusTcpClient:
        scheme, _, rest = self.settings.link.partition(":")
        # Never retried, and reconnected by `run` alone: pymodbus' defaults of 3 × 3 s would open for somebody else.
        common: dict[str, Any] = {"retries": 0, "timeout": self.settings.timeout_ms / 1000, "reconnect_delay": 0}
        if scheme == "serial":
            path, baud, parity = serial_options(rest)
            return AsyncModbusSerialClient(path, framer=FramerType.RTU, baudrate=baud, parity=parity, **common)
        host, _, port = rest.rpartition(":")
        if scheme == "tcp" and port.isdecimal():
            return AsyncModbusTcpClient(host, port=int(port), **common)
        raise DeviceError(f"{self.settings.link}: unknown kind of line", hint="write serial:/dev/… or tcp:host:port")

    async def _poll(self, client: AsyncModbusSerialClient | AsyncModbusTcpClient) -> None:
        count = self.settings.inputs
        answer = await self._call(client.read_discrete_inputs(0, count=count, device_id=self.settings.unit))
        for number, level in enumerate(answer.bits[:count]):
            if level == self.inputs[number]:
                self._candidate[number] = 0
                continue
            self._candidate[number] += 1
            if self._candidate[number] >= DEBOUNCE_POLLS:
                self._candidate[number] = 0
                self.inputs[number] = level
                at = self.clock.read()
                for watcher in self._watchers:
                    watcher(number, level, at)

    async def _call(self, request: Any) -> Any:
        try:
            answer = await request
        except (ModbusException, OSError, asyncio.InvalidStateError) as error:
            raise self._gone(str(error)) from error
        if answer.isError():
            raise self._gone(f"refused: {answer}")
        return answer

    def _gone(self, what: str) -> DeviceError:
        return DeviceError(
            f"{self.settings.link}: the board {what}", hint=f"look at its plug, power, baud rate and unit {self.settings.unit}"
        )


class ModbusGate:
    """The Gate port over a coil and some inputs."""

    def __init__(self, board: Board, wiring: GateWiring) -> None:
        self.hold_s = wiring.hold_s
        self._board = board
        self._wiring = wiring
        self._events: asyncio.Queue[GateEvent] = asyncio.Queue(256)
        self._tasks: set[asyncio.Task[None]] = set()
        rising = {
            wiring.passage_input: GateSignal.PASSAGE,
            wiring.reverse_input: GateSignal.REVERSE,
            wiring.forced_input: GateSignal.FORCED,
            wiring.emergency_input: GateSignal.EMERGENCY_ON,
            wiring.fault_input: GateSignal.FAULT,
        }
        falling = {wiring.emergency_input: GateSignal.EMERGENCY_OFF, wiring.fault_input: GateSignal.FAULT_CLEARED}
        self._signal_of = {True: rising, False: falling}
        board.watch(self._changed)

    async def open(self, persons: int, ordered_at: Reading) -> GateAnswer:
        """See the port."""
        stale = self._board.clock.read().monotonic_ns - ordered_at.monotonic_ns > STALE_NS
        if stale or not self._board.connected:
            return GateAnswer.NOT_SENT
        try:
            await self._pulse_on()
        except DeviceError as error:
            log.warning("gate unknown", extra={"what": error.what})
            return GateAnswer.UNKNOWN
        self._later(self._finish(persons))
        return GateAnswer.OPENED

    async def events(self) -> AsyncIterator[GateEvent]:
        """See the port. The board's own task fails when the board is gone; here events just pause."""
        while True:
            yield await self._events.get()

    async def _pulse_on(self) -> None:
        if self._wiring.pulse == "register" and self._wiring.pulse_register is not None:
            await self._board.write_register(self._wiring.pulse_register, max(1, self._wiring.open_ms // 100))
        else:
            await self._board.write_coil(self._wiring.open_coil, True)

    async def _finish(self, persons: int) -> None:
        """End the pulse; one more for each further person of a group: the controller stacks them."""
        try:
            for left in range(persons, 0, -1):
                await asyncio.sleep(self._wiring.open_ms / 1000)
                if self._wiring.pulse != "register":
                    await self._board.write_coil(self._wiring.open_coil, False)
                if left > 1:
                    await asyncio.sleep(self._wiring.group_gap_ms / 1000)
                    await self._pulse_on()
        except DeviceError as error:
            log.warning("gate pulse", extra={"what": error.what})  # after reconnecting every coil is switched off

    def _changed(self, number: int, level: bool, at: Reading) -> None:
        signal = self._signal_of[level].get(number)
        if signal is None:
            return
        if self._events.full():
            log.error("gate events overflow", extra={"signal": signal.value})
            return
        self._events.put_nowait(GateEvent(signal=signal, at=at))

    def _later(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


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


class ModbusLamp:
    """The Indicator port over a lamp and a buzzer."""

    def __init__(self, board: Board, wiring: LampWiring) -> None:
        self._board = board
        self._wiring = wiring
        self._lit: set[int] = set()
        self._playing: asyncio.Task[None] | None = None

    async def show(self, display: Display) -> None:
        """See the port. The lamp goes on in the background: it never holds up a lane."""
        if self._playing is not None:
            self._playing.cancel()
        self._playing = asyncio.get_running_loop().create_task(self._play(display))

    async def _play(self, display: Display) -> None:
        coil = getattr(self._wiring, COLOUR[display.light])
        try:
            for lit in self._lit - {coil}:
                await self._switch(lit, False)
            if coil is not None:
                await self._switch(coil, True)
            await self._sound(TONES[display.tone])
            if display.light is not Light.RED_STEADY and coil is not None:
                await asyncio.sleep(self._wiring.show_ms / 1000)
                await self._switch(coil, False)
        except DeviceError as error:
            log.debug("lamp", extra={"what": error.what})  # the board's own task says so, once and with a hint

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
        (self._lit.add if on else self._lit.discard)(coil)
        await self._board.write_coil(coil, on)


class ModbusPower:
    """The PowerInput port over one input."""

    def __init__(self, board: Board, wiring: PowerWiring) -> None:
        self._board = board
        self._wiring = wiring

    async def lost(self) -> None:
        """See the port. Power counts as there until the input was seen on once."""
        seen = False
        off_since = 0.0
        while True:
            await asyncio.sleep(self._board.settings.poll_ms / 1000)
            now = self._board.clock.monotonic_s()
            if not self._board.connected or self._board.inputs[self._wiring.input]:
                seen = seen or self._board.inputs[self._wiring.input]
                off_since = now
            elif seen and (now - off_since) * 1000 >= self._wiring.lost_after_ms:
                return
