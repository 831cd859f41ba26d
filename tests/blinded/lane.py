"""A lane under a camera, with a second reader beside it: the real terminal on the real loop, head office away.

Laws of this file:
- The camera, its stream, the process that sees and the journal are real; the gate and the other reader are in memory.
- It writes down every opening with its moment; what was held out is the caller's to know.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from drivers.camera import reader
from drivers.camera.reader import CameraReader
from drivers.clock import SystemClock
from drivers.store.sqlite import SqliteStore
from simulators import pki
from simulators.camera import Camera
from simulators.memory import MemoryGate, MemoryIndicator, MemoryParameters, MemoryReader
from simulators.painting import Held
from simulators.parameters import ParameterOffice
from simulators.phone import Phone
from terminal.assemble import LaneParts, Parts, Terminal
from terminal.core.entries import Decided, Entry, GateUnanswered, decode
from terminal.core.model import PassageMode, Reason, Verdict
from terminal.core.parameters import Policies
from terminal.ports import OfficeError, RawParameters
from terminal.runtime.lane import LaneRules
from tests.blinded.far_camera import FarCamera

BOMBABLE = (sys.executable, "-m", "tests.blinded.bomb")
HELD = Held(code=0.75)
LONGEST_S = 10.0  # a machine may be busy with other things


class Away:
    """The Office port: nobody there."""

    async def last_held(self) -> bytes:
        raise OfficeError("no network")

    async def send(self, batch: bytes) -> bytes:
        raise OfficeError("no network")

    async def close(self) -> None:
        """Nothing is open."""


class CameraLane:
    """A bus door: a camera, a scan module, a gate."""

    def __init__(self, place: Path, camera: Camera | FarCamera, reader: CameraReader, silence_s: int) -> None:
        clock = SystemClock()
        self.camera, self.reader = camera, reader
        self.other, self.gate, self.indicator = MemoryReader(clock), MemoryGate(clock), MemoryIndicator()
        self.openings: list[float] = []
        self.gate.on_open = lambda persons, ordered_at: self.openings.append(time.monotonic())
        self.store = SqliteStore(place / "journal", clock)
        keys = pki.write_office_keys(place / "office-keys")
        policies = Policies(hotline="12333", passage_s=8, silence_s=silence_s)
        head = ParameterOffice(place / "parameters", keys, policies=policies)
        head.version = 1
        rules = LaneRules("front", "fare", PassageMode.ASSUMED)
        self.terminal = Terminal(
            Parts(
                terminal="T1",
                clock=clock,
                store=self.store,
                parameters=MemoryParameters(RawParameters(head.files(time.time_ns() // 10**6 - 60_000))),
                office=Away(),
                lanes=[LaneParts(rules, [self.reader, self.other], self.gate, [self.indicator])],
                stop_upload_s=0.0,
            )
        )
        self._riders = 0

    # ----------------------------------------------------------------------- people

    def code(self) -> bytes:
        """A new rider's code, made now."""
        self._riders += 1
        return Phone(f"rider {self._riders}").code(int(time.time()))

    async def opens(self, since: int, within_s: float = LONGEST_S) -> bool:
        """Whether the gate opens for somebody who waits; `since`: openings before."""
        until = time.monotonic() + within_s
        while len(self.openings) <= since and time.monotonic() < until:
            await asyncio.sleep(0.005)
        return len(self.openings) > since

    async def says(self, reason: Reason) -> bool:
        """Whether the display comes to say so."""
        until = time.monotonic() + LONGEST_S
        while time.monotonic() < until:
            if self.indicator.shown is not None and self.indicator.shown.reason is reason:
                return True
            await asyncio.sleep(0.005)
        return False

    # ----------------------------------------------------------------------- what sees

    @property
    def seeing(self) -> int:
        """The process that sees; 0 while there is none."""
        watch = self.reader._watch
        return watch._eye.pid if watch is not None and watch._eye is not None else 0

    async def sees(self, *, other_than: int = 0, within_s: float = LONGEST_S) -> float:
        """Wait until a process (not that one) has a picture; how long it took, seconds."""
        began = time.monotonic()
        while time.monotonic() - began < within_s:
            if self.seeing not in (0, other_than) and self.reader.beat.arrived_ns > began * 1e9:
                return time.monotonic() - began
            await asyncio.sleep(0.005)
        return within_s

    async def has_spare(self) -> None:
        """Wait until a spare stands by and has loaded what it needs."""
        async with asyncio.timeout(LONGEST_S):
            while self.reader._watch is None or self.reader._watch._spare is None:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)

    # ----------------------------------------------------------------------- what was written

    async def decided(self) -> Sequence[Decided]:
        """Every decision of the journal, read once it is closed."""
        return [entry.fact for entry in self.entries() if isinstance(entry.fact, Decided)]

    def entries(self) -> list[Entry]:
        """The journal."""
        from drivers.store import recovery

        with recovery.reading(self.store.directory) as journal:
            return [decode(stored.data) for stored in journal.entries()]


async def _camera(*, far: bool) -> Camera | FarCamera:
    if far:
        return await FarCamera.begin(width=640, height=480, rate=20, seed=5)
    camera = Camera(width=640, height=480, rate=20, seed=5)
    await camera.serve()
    return camera


@asynccontextmanager
async def camera_lane(
    place: Path, command: Sequence[str] = BOMBABLE, silence_s: int = 3, *, far: bool = False, **settings: Any
) -> AsyncIterator[CameraLane]:
    """A lane at work, and everything ended afterwards: every opening has its grant in the journal.

    `far`: the camera paints in a process of its own.
    """
    camera = await _camera(far=far)
    made = reader.Settings(source=camera.url, **settings)
    eyes = reader.CameraReader(made, SystemClock(), command)
    if not silence_s:  # a planted bug: nobody remembers what was handed over
        eyes.on_look = lambda read, score: eyes._watch.presence._held.clear() if eyes._watch else None
    lane = CameraLane(place, camera, eyes, silence_s)
    stop = asyncio.Event()
    running = asyncio.create_task(lane.terminal.run(stop))
    try:
        await lane.sees()
        yield lane
    finally:
        stop.set()
        await running
        await camera.close()
    granted = [fact for fact in await lane.decided() if fact.verdict is Verdict.GRANT]
    unsent = [entry for entry in lane.entries() if isinstance(entry.fact, GateUnanswered)]  # too old on a busy machine
    assert len(granted) == len(lane.openings) + len(unsent)
