"""A lane's devices and a parameter source in memory, at the ports themselves: for simulated days and stories.

Laws of this file:
- No wire and no thread: a jumping loop may run it. Whatever has a wire is simulated behind the real driver instead.
- A device outlives the terminal: without power nothing is read and nothing opens, and an order given then never ends.
- What is wrong with a device is a plain attribute; whoever drives the day sets it and hears what came of it.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from terminal.core.model import GateAnswer, GateEvent, GateSignal, Medium, Reading, Value
from terminal.core.phrases import Display
from terminal.ports import Clock, DeviceError, RawParameters

STALE_NS = 500_000_000  # an order older than this is never sent
ANSWER_S = 0.02  # a board's answer takes so long
SILENCE_S = 0.3  # how long is waited for a board that does not answer


class ReaderSettings(Value, frozen=True):
    """`[[lanes.NAME.readers]]` with `driver = "sim.reader"`: nothing to set."""


class GateSettings(Value, frozen=True):
    """`[lanes.NAME.gate]` with `driver = "sim.gate"`."""

    hold_s: float = 5.0  # how long the controller keeps a granted right


class IndicatorSettings(Value, frozen=True):
    """`[[lanes.NAME.indicators]]` with `driver = "sim.indicator"`: nothing to set."""


class MemoryReader:
    """The CodeReader port; `show` is a hand holding out a code."""

    medium = Medium.CODE

    def __init__(self, clock: Clock) -> None:
        self.powered = True
        self.on_read: Callable[[bytes, Reading], None] = lambda payload, at: None
        self._clock = clock
        self._plugged = True
        self._waiting: deque[tuple[bytes, Reading]] = deque()
        self._news = asyncio.Event()

    def show(self, payload: bytes) -> bool:
        """Hold out a code; its last byte arrives now. False: the reader is dark."""
        if not (self.powered and self._plugged):
            return False
        self._waiting.append((payload, self._clock.read()))
        self._news.set()
        return True

    def plug(self, plugged: bool) -> None:
        """Pull the plug, or put it back."""
        self._plugged = plugged
        self._news.set()

    async def payloads(self) -> AsyncIterator[tuple[bytes, Reading]]:
        """See the port. What was shown while nobody listened is lost."""
        self._waiting.clear()
        while True:
            if not self._plugged:
                raise DeviceError("the reader is gone", hint="plug it in")
            if self._waiting:
                payload, at = self._waiting.popleft()
                self.on_read(payload, at)
                yield payload, at
            else:
                self._news.clear()
                await self._news.wait()


class MemoryGate:
    """The Gate port: a turnstile, or the light of a bus door."""

    def __init__(self, clock: Clock, hold_s: float = 5.0) -> None:
        self.hold_s = hold_s
        self.powered = True
        self.can_stand_open = False  # whether something is wired for it
        self.stands_open = False
        self.answer = GateAnswer.OPENED  # to the next order; then it is well again
        self.moves_unheard = False  # whether an order without an answer opens all the same
        self.on_open: Callable[[int, Reading], None] = lambda persons, ordered_at: None
        self.on_answer: Callable[[GateAnswer], None] = lambda answer: None  # anything but OPENED
        self.on_event: Callable[[GateEvent], None] = lambda event: None
        self._clock = clock
        self._plugged = True
        self._emergency = False
        self._events: asyncio.Queue[GateEvent | None] | None = None  # None in it: the plug was pulled

    async def open(self, persons: int, ordered_at: Reading) -> GateAnswer:
        """See the port."""
        if not self.powered:
            await asyncio.Event().wait()  # nobody is left to hear an answer
        if not self._plugged:
            raise DeviceError("the board is gone", hint="plug it in")
        if self.stands_open:
            return GateAnswer.OPENED
        answer, self.answer = self.answer, GateAnswer.OPENED
        if round(self._clock.monotonic_s() * 1e9) - ordered_at.monotonic_ns > STALE_NS:
            answer = GateAnswer.NOT_SENT
        if answer is not GateAnswer.OPENED:
            self.on_answer(answer)
        if answer is GateAnswer.OPENED or (answer is GateAnswer.UNKNOWN and self.moves_unheard):
            self.on_open(persons, ordered_at)
        await asyncio.sleep(SILENCE_S if answer is GateAnswer.UNKNOWN else ANSWER_S)
        return answer

    async def stand_open(self, is_open: bool) -> None:
        """See the port."""
        if not (self.powered and self._plugged):
            raise DeviceError("the board is gone", hint="plug it in")
        self.stands_open = is_open

    def signal(self, signal: GateSignal) -> bool:
        """The board notices something now. False: nobody listens, and nobody will ever hear of it."""
        if signal in (GateSignal.EMERGENCY_ON, GateSignal.EMERGENCY_OFF):
            self._emergency = signal is GateSignal.EMERGENCY_ON
        if self._events is None or not (self.powered and self._plugged):
            return False
        self._events.put_nowait(GateEvent(signal=signal, at=self._clock.read()))
        return True

    def plug(self, plugged: bool) -> None:
        """Pull the board's plug, or put it back."""
        self._plugged = plugged
        if not plugged and self._events is not None:
            self._events.put_nowait(None)

    async def events(self) -> AsyncIterator[GateEvent]:
        """See the port. An emergency that lasts is told to whoever begins to listen."""
        if not self._plugged:
            raise DeviceError("the board is gone", hint="plug it in")
        queue = self._events = asyncio.Queue()
        if self._emergency:
            self.signal(GateSignal.EMERGENCY_ON)
        while (event := await queue.get()) is not None:
            self.on_event(event)
            yield event
        raise DeviceError("the board is gone", hint="plug it in")


class MemoryIndicator:
    """The Indicator port: remembers what it shows."""

    def __init__(self) -> None:
        self.shown: Display | None = None
        self.on_show: Callable[[Display], None] = lambda display: None

    async def show(self, display: Display) -> None:
        """See the port."""
        self.shown = display
        self.on_show(display)


class MemoryParameters:
    """The ParameterSource port: whatever was put there last."""

    def __init__(self, raw: RawParameters) -> None:
        self._raw = raw
        self._was_read = False

    def put(self, raw: RawParameters) -> None:
        """Another set lies there now."""
        self._raw, self._was_read = raw, False

    def read(self) -> RawParameters:
        """See the port."""
        self._was_read = True
        return self._raw

    def changed(self) -> bool:
        """See the port."""
        return not self._was_read


def open_reader(settings: ReaderSettings, clock: Clock) -> MemoryReader:
    """A reader nobody has shown anything."""
    return MemoryReader(clock)


def open_gate(settings: GateSettings, clock: Clock) -> MemoryGate:
    """A gate that is shut and well."""
    return MemoryGate(clock, settings.hold_s)


def open_indicator(settings: IndicatorSettings, clock: Clock) -> MemoryIndicator:
    """An indicator that shows nothing yet."""
    return MemoryIndicator()
