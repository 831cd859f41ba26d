"""Relay-and-input boards by Modbus, RTU over a serial line or TCP: the gate, its sensors, mains, the lid.

Laws of this file:
- An order is sent once. No answer within the time-out is `unknown`, never a retry: it could open for somebody else.
- An order older than half a second, counted from the tap, is never sent.
- After every connect all coils are switched off before anything else, but for those that hold a barrier open; until
  then no order is sent. When the terminal stops all are switched off.
- Orders go before polling, polling before lamps; an order waits for one short frame at most.
- An input counts once it stood for two polls; a level that stays is told once. What stands on an input when the
  board is first seen is told only of emergency and fault: nobody walked then.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, ClassVar

from drivers.gate import bus
from drivers.gate.barrier import GateWiring, ModbusGate
from drivers.gate.box import BoxWiring, ModbusBox
from drivers.gate.bus import Client, Job, Jobs, NotSent, Urgency
from drivers.gate.lamp import LampWiring, ModbusLamp
from drivers.gate.power import ModbusPower, PowerWiring
from terminal.core.model import Reading, Value
from terminal.ports import BoxSwitch, Clock, DeviceError, Indicator, PowerInput

DEBOUNCE_POLLS = 2
ALIVE_S = 1.0  # how often a board without inputs is asked whether it is there
OFF_TRIES = 3
GO_ON_S = 1.0  # how long stopping waits at most for a pulse to end


class Settings(Value, frozen=True):
    """`[boards.NAME]` with `driver = "board.modbus"`."""

    link: str  # serial:/dev/ttyS2?baud=9600, or tcp:host:port
    unit: int = 1
    coils: int = 8  # how many the board has: all are switched off at first
    inputs: int = 8
    inverted_inputs: tuple[int, ...] = ()  # contacts that are closed at rest: a fire panel's, as a rule
    poll_ms: int = 30
    timeout_ms: int = 300  # at most; a board on a short line answers within a few

    def __post_init__(self) -> None:
        if not 0 < self.timeout_ms <= 300:
            raise ValueError("timeout_ms is above 300: an answer that late is no answer")
        try:
            bus.check_link(self.link)
        except DeviceError as error:
            raise ValueError(str(error)) from error


def open(settings: Settings, clock: Clock) -> "Board":
    """A board; nothing is connected until `run`."""
    return Board(settings, clock)


class Board:
    """One board, shared by whatever is wired to it."""

    WIRINGS: ClassVar[dict[str, type[Any]]] = {
        "gate": GateWiring, "lamp": LampWiring, "power": PowerWiring, "box": BoxWiring
    }  # fmt: skip

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.inputs: list[bool] = [False] * settings.inputs
        self.connected = False
        self.settled = False  # whether the inputs were seen long enough since the last connect
        self.busy_until_s = 0.0  # until when a pulse is under way
        self.held: set[int] = set()  # coils that stay on until they are let go, over every reconnect
        self._jobs = Jobs()
        self._free: Client | None = None  # the wire, while nothing is on it
        self._aside: asyncio.Future[DeviceError | None] | None = None  # an order carried past the queue
        self._watchers: list[Callable[[int, bool, Reading], None]] = []
        self._candidate = [0] * settings.inputs
        self._polls = 0
        self._poll_due_s = 0.0

    def gate(self, wiring: GateWiring) -> ModbusGate:
        """The barrier wired to this board."""
        return ModbusGate(self, wiring)

    def lamp(self, wiring: LampWiring) -> Indicator:
        """The lamps and buzzer wired to this board."""
        return ModbusLamp(self, wiring)

    def power(self, wiring: PowerWiring) -> PowerInput:
        """The mains or ignition input wired to this board. Raises DeviceError where it has no such input."""
        self._check_input(wiring.input)
        return ModbusPower(self, wiring)

    def box(self, wiring: BoxWiring) -> BoxSwitch:
        """The switch under the box's lid, wired to this board. Raises DeviceError where it has no such input."""
        self._check_input(wiring.input)
        return ModbusBox(self, wiring)

    def watch(self, watcher: Callable[[int, bool, Reading], None]) -> None:
        """Tell of every input that changed: number, level, when."""
        self._watchers.append(watcher)

    async def run(self) -> None:
        """Connect, switch everything off, carry jobs and poll for ever. Raises DeviceError when the board is gone."""
        settings = self.settings
        client = bus.make_client(settings.link, settings.timeout_ms / 1000)
        try:
            await self._connect(client)
            me = asyncio.current_task()
            while not (me and me.cancelling()):  # wait_for in the library swallows a cancellation now and then
                await self._next(client)
            raise asyncio.CancelledError
        except asyncio.CancelledError:
            await self._switch_off(client)
            raise
        finally:
            self.connected = False
            client.close()
            self._jobs.refuse_all(self._not_connected())

    async def hold_coil(self, number: int, on: bool) -> None:
        """Keep one coil on, or let it go. Told at once, or on connecting. Raises DeviceError when not told yet."""
        (self.held.add if on else self.held.discard)(number)
        await self.write_coil(number, on, Urgency.ORDER)

    async def write_coil(self, number: int, on: bool, urgency: Urgency = Urgency.LAMP) -> None:
        """One coil. Raises NotSent (certainly not done) or DeviceError (unknown whether done)."""
        await self.ask(bus.coil(self.settings.unit, number, on), urgency)

    async def ask(self, request: Any, urgency: Urgency, not_after_ns: int | None = None) -> None:
        """One request, carried by `run`. Raises NotSent (certainly not done) or DeviceError (unknown whether done)."""
        if not self.connected:
            raise self._not_connected()
        free = self._free if urgency is Urgency.ORDER else None
        if free is None:
            await self._jobs.leave(request, urgency, not_after_ns).done
        else:
            await self._carry_aside(free, Job(request, urgency, 0, not_after_ns))

    # ----------------------------------------------------------------------- inside

    def _check_input(self, number: int) -> None:
        if not 0 <= number < self.settings.inputs:
            what = f"{self.settings.link}: no input {number}: the board has {self.settings.inputs}"
            raise DeviceError(what, hint="inputs count from 0; or raise the board's inputs")

    async def _connect(self, client: Client) -> None:
        if not await client.connect():
            hint = "look at the board's plug and power, and at the link in the configuration"
            raise DeviceError(f"{self.settings.link}: cannot be opened", hint=hint)
        bus.write_at_once(client)
        await bus.exchange(client, self._only(self.held), self.settings.link)
        self._polls, self._poll_due_s, self.settled = 0, 0.0, False
        self.connected = True

    async def _next(self, client: Client) -> None:
        """Carry what is most urgent now; wait if nothing is."""
        poll_is_due = self.clock.monotonic_s() >= self._poll_due_s
        job = self._jobs.take(orders_only=poll_is_due)
        if job is not None:
            await self._carry(client, job)
        elif poll_is_due:
            await self._poll(client)
        else:
            await self._wait(client)

    async def _wait(self, client: Client) -> None:
        """The wire is free until a job comes or a poll is due; an order carried meanwhile is waited for."""
        self._free = client
        await self._jobs.wait(self._poll_due_s)
        self._free = None
        aside, self._aside = self._aside, None
        if aside is not None and (lost := await aside) is not None:
            raise lost

    async def _carry_aside(self, client: Client, job: Job) -> None:
        """An order that finds the wire free is on it without a turn of the loop; `run` hears how it went."""
        self._free, self._aside = None, (aside := asyncio.get_running_loop().create_future())
        lost: DeviceError | None = self._stopped_asking()
        try:
            await self._carry(client, job)
            lost = None
        except DeviceError as error:
            lost = error
        finally:  # given up while it is on the wire: its late answer would be the next one's
            self.connected = self.connected and lost is None
            aside.set_result(lost)
        await job.done

    async def _carry(self, client: Client, job: Job) -> None:
        if job.not_after_ns is not None and self.clock.read().monotonic_ns > job.not_after_ns:
            hint = "the board or this machine is too busy; nothing opened"
            job.fail(NotSent(f"{self.settings.link}: an order grew stale", hint=hint))
            return
        unknown = self._stopped_asking()
        try:
            job.succeed(await bus.exchange(client, job.request, self.settings.link))
        except NotSent as refusal:
            job.fail(refusal)
        except DeviceError as error:
            self.connected = False
            unknown = error
            raise
        finally:
            job.fail(unknown)

    async def _poll(self, client: Client) -> None:
        settings = self.settings
        every_s = settings.poll_ms / 1000 if settings.inputs else ALIVE_S
        answer = await bus.exchange(client, bus.look(settings.unit, settings.inputs), settings.link)
        self._poll_due_s = self.clock.monotonic_s() + every_s
        at = self.clock.read()
        for number, level in enumerate(answer.bits[: settings.inputs]):
            self._level(number, level != (number in settings.inverted_inputs), at)
        self._polls += 1
        self.settled = self._polls >= DEBOUNCE_POLLS

    def _level(self, number: int, level: bool, at: Reading) -> None:
        """One input as one poll saw it: told once it stood for DEBOUNCE_POLLS."""
        self._candidate[number] = self._candidate[number] + 1 if level != self.inputs[number] else 0
        if self._candidate[number] >= DEBOUNCE_POLLS:
            self._candidate[number] = 0
            self.inputs[number] = level
            for watcher in self._watchers:
                watcher(number, level, at)

    async def _switch_off(self, client: Client) -> None:
        """The terminal stops: let a pulse end, leave nothing on."""
        if self.connected:
            self.connected = False
            await asyncio.sleep(min(GO_ON_S, max(0.0, self.busy_until_s - self.clock.monotonic_s())))
            for _ in range(OFF_TRIES):  # the answer to a look that was given up may come between; off stays off
                with contextlib.suppress(DeviceError):
                    await bus.exchange(client, self._only(set()), self.settings.link)
                    return

    def _only(self, on: set[int]) -> Any:
        return bus.coils(self.settings.unit, [number in on for number in range(self.settings.coils)])

    def _stopped_asking(self) -> DeviceError:
        return DeviceError(f"{self.settings.link}: stopped while asking", hint="nothing to do")

    def _not_connected(self) -> NotSent:
        return NotSent(f"{self.settings.link}: not connected", hint="look at the board's plug and power")
