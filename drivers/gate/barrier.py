"""A barrier wired to a board: one coil opens it for a person, one may hold it open, inputs tell what happened.

Laws of this file:
- An order is sent once and ends by itself; while the barrier stands open none is sent: the right would outlast it.
- A signal that is a state is told also when it stands at the first look, an event never is.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Coroutine
from typing import TYPE_CHECKING, Any, Literal

from drivers.gate import bus
from drivers.gate.bus import NotSent, Urgency
from terminal.core.model import GateAnswer, GateEvent, GateSignal, Reading, Value
from terminal.ports import DeviceError

if TYPE_CHECKING:
    from drivers.gate.modbus import Board

STALE_NS = 500_000_000
LASTING = frozenset(
    {GateSignal.EMERGENCY_ON, GateSignal.EMERGENCY_OFF, GateSignal.FAULT, GateSignal.FAULT_CLEARED}
)  # a state, not an event

log = logging.getLogger(__name__)


class GateWiring(Value, frozen=True):
    """`[lanes.NAME.gate]` with `board = …`. Coils and inputs count from 0."""

    open_coil: int
    hold_open_coil: int | None = None  # while it is on the barrier stands open: the controller's input for free passage
    open_ms: int = 400  # how long the pulse is
    hold_s: float = 5.0  # how long the controller keeps a granted right: read its manual
    # "coil": we switch on and off. The board's own timed relay, where it has one, ends the pulse even if we die:
    # "register": tenths of a second written to `pulse_register`, after the values of `pulse_prefix` if there are any
    # "flash": tenths of a second sent as the value of coil number `pulse_register`
    pulse: Literal["coil", "register", "flash"] = "coil"
    pulse_register: int | None = None
    pulse_prefix: tuple[int, ...] = ()
    group: Literal["pulse", "hold"] = "pulse"  # one stacked pulse a person; or held on until all have walked
    group_gap_ms: int = 300  # between the pulses for the people of a group
    passage_input: int | None = None
    reverse_input: int | None = None
    forced_input: int | None = None
    opened_input: int | None = None  # a door contact: opening with no order in `hold_s` is forced
    emergency_input: int | None = None
    fault_input: int | None = None

    def __post_init__(self) -> None:
        if self.pulse != "coil" and self.pulse_register is None:
            raise ValueError(f"pulse = {self.pulse!r} needs pulse_register")
        if self.group == "hold" and (self.pulse != "coil" or self.passage_input is None):
            raise ValueError('group = "hold" needs pulse = "coil" and passage_input')


class ModbusGate:
    """The Gate port over a coil and some inputs."""

    def __init__(self, board: "Board", wiring: GateWiring) -> None:
        self.hold_s = wiring.hold_s
        self._board = board
        self._wiring = wiring
        self._events: asyncio.Queue[GateEvent] = asyncio.Queue(256)
        self._tasks: set[asyncio.Task[None]] = set()
        self._walked = 0
        self._stands_open = False
        self._somebody = asyncio.Event()
        self._expected_until_s = float("-inf")  # until when the door may open by our order
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
        if self._stands_open:
            return GateAnswer.OPENED
        try:
            await self._pulse_on(ordered_at.monotonic_ns + STALE_NS)
        except NotSent as error:
            log.warning("gate not opened", extra={"what": error.what, "hint": error.hint})
            return GateAnswer.NOT_SENT
        except DeviceError as error:
            log.warning("gate unknown", extra={"what": error.what, "hint": error.hint})
            return GateAnswer.UNKNOWN
        self._later(self._hold(persons) if self._wiring.group == "hold" else self._pulses(persons))
        return GateAnswer.OPENED

    @property
    def can_stand_open(self) -> bool:
        """See the port."""
        return self._wiring.hold_open_coil is not None

    async def stand_open(self, is_open: bool) -> None:
        """See the port."""
        assert self._wiring.hold_open_coil is not None
        self._stands_open = is_open
        await self._board.hold_coil(self._wiring.hold_open_coil, is_open)

    async def events(self) -> AsyncIterator[GateEvent]:
        """See the port. The board's own task fails when the board is gone; here events just pause."""
        while True:
            yield await self._events.get()

    def _order(self) -> Any:
        """The request that opens for one person, by the way this board does it."""
        wiring, unit = self._wiring, self._board.settings.unit
        tenths = max(1, round(wiring.open_ms / 100))
        if wiring.pulse == "coil" or wiring.pulse_register is None:
            return bus.coil(unit, wiring.open_coil, True)
        if wiring.pulse == "flash":
            return bus.FlashCoilRequest(wiring.pulse_register, tenths, unit)
        return bus.registers(unit, wiring.pulse_register, [*wiring.pulse_prefix, tenths])

    async def _pulse_on(self, not_after_ns: int) -> None:
        now_s = self._board.clock.monotonic_s()
        self._expected_until_s = now_s + self.hold_s
        await self._board.ask(self._order(), Urgency.ORDER, not_after_ns)
        self._board.busy_until_s = max(self._board.busy_until_s, now_s + self._wiring.open_ms / 1000)

    async def _pulses(self, persons: int) -> None:
        """End the pulse; one more for each further person of a group: the controller stacks them."""
        for left in range(persons, 0, -1):
            await asyncio.sleep(self._wiring.open_ms / 1000)
            await self._pulse_off()
            if left > 1:
                await asyncio.sleep(self._wiring.group_gap_ms / 1000)
                await self._pulse_on(self._board.clock.read().monotonic_ns + STALE_NS)

    async def _hold(self, persons: int) -> None:
        """Stay open until so many walked, or nobody did for `hold_s`."""
        goal = self._walked + persons
        while self._walked < goal:
            before = self._walked
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.hold_s):
                    self._somebody.clear()
                    await self._somebody.wait()
            if self._walked == before:
                break
        await self._pulse_off()

    async def _pulse_off(self) -> None:
        if self._wiring.pulse == "coil":
            await self._board.write_coil(self._wiring.open_coil, False, Urgency.ORDER)

    def _changed(self, number: int, level: bool, at: Reading) -> None:
        signal = self._meaning(number, level)
        if signal is None or not (self._board.settled or signal in LASTING):
            return
        if signal is GateSignal.PASSAGE:
            self._walked += 1
            self._somebody.set()
        self._tell(GateEvent(signal=signal, at=at))

    def _tell(self, event: GateEvent) -> None:
        if self._events.full():
            log.error("gate events overflow", extra={"signal": event.signal.value})
            return
        self._events.put_nowait(event)

    def _meaning(self, number: int, level: bool) -> GateSignal | None:
        if level and number == self._wiring.opened_input:
            unexpected = self._board.clock.monotonic_s() > self._expected_until_s
            return GateSignal.FORCED if unexpected else None
        return self._signal_of[level].get(number)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        """Go on in the background. Should the board be lost meanwhile, every coil is switched off on reconnecting."""

        async def go_on() -> None:
            try:
                await work
            except DeviceError as error:
                log.warning("gate pulse", extra={"what": error.what, "hint": error.hint})
                self._tell(GateEvent(signal=GateSignal.FAULT, at=self._board.clock.read()))

        task = asyncio.get_running_loop().create_task(go_on())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
