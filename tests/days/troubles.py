"""What goes wrong on a simulated day, and when.

Laws of this file:
- Each kind strikes most days once or twice; kinds of one device take turns, devices fail independently.
- Troubles pass: whoever set one takes it back, and by evening everything works again.
- Power is cut within five milliseconds of a tap, or at any moment.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from random import Random
from typing import Any

from simulators.item_tag import Trouble as TagTrouble
from terminal.core.library import Silence
from terminal.core.model import GateAnswer, GateSignal
from terminal.ports import RawParameters
from tests.days.library import SILENCES, Desk
from tests.days.office import MODES
from tests.days.people import ODD_SIGNALS
from tests.days.world import LaneOutside, World
from tests.days.yesterday import DISK_RESTORED

DAY_S = 16 * 3600.0
QUIET_S = 1800.0  # before the evening nothing new goes wrong
NEAR_S = 0.005

Trouble = Callable[["Troubles"], Coroutine[Any, Any, None]]


class Troubles:
    """One day's troubles."""

    def __init__(self, world: World, random: Random, cut: Callable[[str], bool]) -> None:
        self._world = world
        self._random = random
        self._cut = cut  # "power cut", "flush failed", …: ends the running terminal; False when none is running
        self._evening_s = DAY_S - QUIET_S

    def all(self) -> list[Coroutine[Any, Any, None]]:
        """The whole day's; each ends when its troubles have passed."""
        trade = self._world.trade
        others = (*OTHERS, *(VEHICLE if trade.where.vehicle else ()), *(MODULE if trade.cards else ()))
        kinds: list[tuple[str, ...]] = [MODES, tuple(DISK), tuple(GATE), others]
        if self._world.desks:
            kinds[2:] = [tuple(DESK), tuple(LIBRARY), tuple(kind for kind in OTHERS if kind != "emergency")]
        devices = [self._take_turns(one) for one in kinds]
        if self._world.yesterday is not None:
            devices.append(self._world.yesterday.come_back(lambda: self._cut("told to stop")))
        return devices + [self._cut_power() for _ in range(self._random.choice((2, 2, 3, 4)))]

    async def _take_turns(self, kinds: Sequence[str]) -> None:
        """Each kind of a device in its turn, with quiet between them; most kinds come, some twice."""
        plan = [kind for kind in kinds if self._random.random() < 0.9] + [self._random.choice(kinds)]
        self._random.shuffle(plan)
        every_s = self._evening_s / len(plan)
        for number, kind in enumerate(plan):
            await self._until(every_s * (number + 0.6 * self._random.random()))
            trouble = (DISK | GATE | OTHERS | VEHICLE | MODULE | DESK | LIBRARY).get(kind)
            if trouble is None:
                await self._office(kind, every_s)
            else:
                await trouble(self)

    async def _until(self, at_s: float) -> None:
        await asyncio.sleep(max(0.0, at_s - self._world.clock.monotonic_s()))

    def _lane(self) -> LaneOutside:
        return self._random.choice(list(self._world.lanes.values()))

    def _count(self, kind: str) -> None:
        self._world.troubles[kind] += 1

    async def _tap(self) -> None:
        """The next tap anywhere."""
        tapped = asyncio.Event()
        self._world.taps.append(tapped)
        await tapped.wait()
        self._world.taps.remove(tapped)

    # ----------------------------------------------------------------------- power

    async def _cut_power(self) -> None:
        await self._until(self._random.uniform(0, self._evening_s - 3600))
        at_a_tap = self._random.random() < 0.7
        while True:
            if at_a_tap:
                await self._tap()
                await asyncio.sleep(self._random.uniform(0, NEAR_S))
            if self._cut("power cut"):
                return
            await asyncio.sleep(60)

    # ----------------------------------------------------------------------- head office

    async def _office(self, mode: str, every_s: float) -> None:
        self._world.office.mode = mode
        await asyncio.sleep(self._random.uniform(200, every_s * 0.3))
        self._world.office.mode = None

    # ----------------------------------------------------------------------- the disk

    async def _slow_disk(self) -> None:
        disk, usual_s = self._world.disk, self._world.disk.latency_s
        disk.latency_s = self._random.choice((0.06, 0.2, 0.5, 1.2))
        before = len(disk.stored)
        await asyncio.sleep(self._random.uniform(300, 1800))
        disk.latency_s = usual_s
        if len(disk.stored) > before:
            self._count("disk slow")

    async def _full_disk(self) -> None:
        self._world.disk.full = True
        await asyncio.sleep(self._random.uniform(200, 900))
        self._world.disk.full = False

    async def _failing_flush(self) -> None:
        self._world.disk.failing = True  # until it was met: the terminal's next start finds a disk that works

    # ----------------------------------------------------------------------- gates and readers

    async def _unanswered(self) -> None:
        gate = self._lane().gate
        gate.moves_unheard = self._random.random() < 0.5
        gate.answer = GateAnswer.UNKNOWN

    async def _not_sent(self) -> None:
        self._lane().gate.answer = GateAnswer.NOT_SENT

    async def _board_unplugged(self) -> None:
        gate = self._lane().gate
        gate.plug(False)
        await asyncio.sleep(self._random.uniform(1, 200))
        gate.plug(True)
        self._count("board unplugged")

    async def _reader_unplugged(self) -> None:
        reader = self._lane().reader
        reader.plug(False)
        await asyncio.sleep(self._random.uniform(1, 200))
        reader.plug(True)
        self._count("reader unplugged")

    async def _receiver_unplugged(self) -> None:
        self._world.road.plugged = False
        await asyncio.sleep(self._random.uniform(300, 1200))
        self._world.road.plugged = True
        self._count("receiver unplugged")

    async def _module_unplugged(self) -> None:
        module, asked = self._lane().module, self._world.presented
        module.plugged = False
        await asyncio.sleep(self._random.uniform(300, 3600))
        module.plugged = True
        if self._world.presented > asked:
            self._count("module unplugged")

    # ----------------------------------------------------------------------- a library

    def _desk(self) -> Desk:
        return self._random.choice(list(self._world.desks.values()))

    async def _card_reader_unplugged(self) -> None:
        slot = self._desk().slot
        slot.plug(False)
        await asyncio.sleep(self._random.uniform(1, 200))
        slot.plug(True)
        self._count("card reader unplugged")

    async def _pad_unplugged(self) -> None:
        pad = self._desk().pad
        pad.lay()
        pad.plug(False)
        await asyncio.sleep(self._random.uniform(1, 200))
        pad.plug(True)
        self._count("pad unplugged")

    async def _security_stays(self) -> None:
        self._desk().pad.next_write = self._random.choice((TagTrouble.LIES, TagTrouble.DEAF))
        self._count("security not written")

    async def _library_silent(self) -> None:
        system = self._world.books.system
        system.silence = self._random.choice(SILENCES)
        await asyncio.sleep(self._random.uniform(300, 4000))
        system.silence = None
        self._count("library silent")

    async def _library_does_it_silently(self) -> None:
        system = self._world.books.system
        system.silence, system.does_it_all_the_same = Silence.NO_ANSWER, True
        await asyncio.sleep(self._random.uniform(60, 900))
        system.silence, system.does_it_all_the_same = None, False
        self._count("library silent, and did it")

    async def _library_refuses(self) -> None:
        """Readers are blocked while it is away, and it does not heed no-block."""
        library, system = self._world.books.library, self._world.books.system
        library.dialect.ignores_no_block = True
        system.silence = Silence.UNREACHABLE
        await asyncio.sleep(self._random.uniform(600, 3000))
        library.blocked = set(self._random.sample(sorted(library.readers), 8))
        system.silence = None
        await asyncio.sleep(600)
        library.blocked = set()
        self._count("library refuses")

    # ----------------------------------------------------------------------- parameters, clock, people

    async def _new_parameters(self) -> None:
        self._world.source.put(self._world.publish())
        self._count("parameters swapped")

    async def _broken_parameters(self) -> None:
        good = self._world.publish()
        broken = RawParameters(good)
        name = self._random.choice(sorted(broken))
        broken[name] = broken[name][: len(broken[name]) // 2]
        self._world.source.put(broken)
        await asyncio.sleep(self._random.uniform(60, 600))
        self._world.source.put(good)
        self._count("parameters broken")

    async def _old_parameters(self) -> None:
        self._world.source.put(self._world.first)
        await asyncio.sleep(self._random.uniform(60, 600))
        self._world.source.put(self._world.newest)
        self._count("parameters old")

    async def _clock_steps(self) -> None:
        clock = self._world.clock
        clock.error_ms = self._random.choice((-3_600_000, -90_000, -2_000, 3_000, 40_000, 600_000))
        self._count("clock jump")
        await asyncio.sleep(self._random.uniform(300, 1500))
        clock.error_ms = 0

    async def _clock_unsure(self) -> None:
        clock = self._world.clock
        clock.uncertainty_ms = self._random.choice((5_000, 70_000))
        await asyncio.sleep(self._random.uniform(200, 900))
        clock.uncertainty_ms = 0
        self._count("clock unsure")

    async def _emergency(self) -> None:
        gate = self._lane().gate
        gate.signal(GateSignal.EMERGENCY_ON)
        await asyncio.sleep(self._random.uniform(60, 400))
        gate.signal(GateSignal.EMERGENCY_OFF)
        self._count("emergency")

    async def _told_to_stop(self) -> None:
        while not self._cut("told to stop"):
            await asyncio.sleep(30)
        self._count("told to stop")


def _notices(kind: str) -> Trouble:
    """The board tells of something nobody paid for."""

    async def trouble(self: Troubles) -> None:
        lane = self._lane()
        while not lane.gate.signal(ODD_SIGNALS[kind]):
            await asyncio.sleep(30)
        self._count(kind)

    return trouble


DISK: dict[str, Trouble] = {
    "disk slow": Troubles._slow_disk,
    "disk full": Troubles._full_disk,
    "flush failed": Troubles._failing_flush,
}
GATE: dict[str, Trouble] = {
    "gate unanswered": Troubles._unanswered,
    "gate not sent": Troubles._not_sent,
    "board unplugged": Troubles._board_unplugged,
    "reader unplugged": Troubles._reader_unplugged,
    **{kind: _notices(kind) for kind in ODD_SIGNALS},
}
OTHERS: dict[str, Trouble] = {
    "parameters swapped": Troubles._new_parameters,
    "parameters broken": Troubles._broken_parameters,
    "parameters old": Troubles._old_parameters,
    "clock jump": Troubles._clock_steps,
    "clock unsure": Troubles._clock_unsure,
    "emergency": Troubles._emergency,
    "told to stop": Troubles._told_to_stop,
}
VEHICLE: dict[str, Trouble] = {"receiver unplugged": Troubles._receiver_unplugged}
MODULE: dict[str, Trouble] = {"module unplugged": Troubles._module_unplugged}
DESK: dict[str, Trouble] = {
    "card reader unplugged": Troubles._card_reader_unplugged,
    "pad unplugged": Troubles._pad_unplugged,
    "security not written": Troubles._security_stays,
}
LIBRARY: dict[str, Trouble] = {
    "library silent": Troubles._library_silent,
    "library silent, and did it": Troubles._library_does_it_silently,
    "library refuses": Troubles._library_refuses,
}
PEOPLE = ("nobody walked", "late walker", "card torn", "dark page")
# A run in which one of these never struck proves nothing about it.
KINDS = (*MODES, DISK_RESTORED, *DISK, *GATE, *OTHERS, *VEHICLE, *MODULE, *DESK, *LIBRARY, *PEOPLE)
