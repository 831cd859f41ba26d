"""One simulated day: the terminal lives, dies and comes back; in the evening the record is judged.

Laws of this file:
- A terminal is assembled from parts, run as one task, and started again when it ends, as its parent does on a device.
- Power goes at once: the disk stops where it stands, every device is dark, the task is killed.
- The evening is quiet: people are home, every trouble is over, and what is left is uploaded before the end.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from random import Random
from typing import Any, NamedTuple

import cbor2

from simulators.clockwork import JumpingLoop, new_loop
from terminal.assemble import Terminal
from terminal.core.entries import Decided, DenialsSummed, kind_of
from terminal.core.model import EntryName, PassageMode, Verdict
from terminal.ports import DeviceError, StoreBroken, StoreFull
from terminal.runtime.commands import NotDone
from tests.checkers import violations
from tests.days.driver import attend, drive
from tests.days.library import Borrowers
from tests.days.people import People
from tests.days.record import Booted, Committed, Died, Opened, Recorded, Signalled, Walked
from tests.days.troubles import DAY_S, Troubles
from tests.days.world import PASSAGE_S, World

VISITS = 400
RUSH_S = (2.5 * 3600, 12.5 * 3600)  # after the morning's beginning
LEAST_PRESENTED, LEAST_CUTS, LEAST_TROUBLES, LEAST_KINDS = 300, 2, 10, 5
DRIVER, ANSWERED_S = "7", 10.0
EVENING_S = 6 * 3600  # a parked record is offered again within an hour or two
EXPECTED = (StoreBroken, StoreFull, DeviceError)  # what a trouble may end a terminal with


class Outcome(NamedTuple):
    """What a day came to."""

    seed: int
    presented: int
    granted: int
    denied: int
    cuts: int
    troubles: dict[str, int]
    resent: int
    violations: list[str]
    digest: str


def live(seed: int) -> Outcome:
    """Live one day, on a loop of its own."""
    loop = new_loop()
    try:
        return loop.run_until_complete(_Day(seed, loop).live())
    finally:
        loop.close()


class _Day:
    def __init__(self, seed: int, loop: JumpingLoop) -> None:
        self.seed = seed
        self.random = Random(f"day {seed}")
        self.world = World(Random(f"world {seed}"), seed)
        self.recorded = self.world.recorded
        self.cuts = 0
        self.resent = 0
        self._loop = loop
        self._terminal: Terminal | None = None
        self._running: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._is_over = False
        self._off_s = 0.0  # how long the power stays away
        self._rig: set[asyncio.Task[Any]] = set()
        loop.set_exception_handler(lambda _, context: self.recorded.leftovers.append(str(context["message"])))

    async def live(self) -> Outcome:
        """Morning to evening."""
        try:
            async with asyncio.timeout(DAY_S + 2 * EVENING_S):
                await self._until_evening()
        except TimeoutError:
            self.recorded.deaths.append("the day did not end")
        await _settle_down()
        self._look_for_leftovers()
        self._collect()
        found = violations(self.recorded)
        return self._outcome([*found, *self._too_quiet()])

    async def _until_evening(self) -> None:
        world = self.world
        troubles = Troubles(world, Random(f"troubles {self.seed}"), self.cut)
        work = [self._keep_running(), *troubles.all(), *self._queues(), self._evening()]
        if world.trade.where.vehicle:
            work.append(drive(world.road, Random(f"driver {self.seed}"), self.ask, self._loop.time))
        if world.trade.passage is PassageMode.SENSOR:
            gates = list(world.lanes.values())
            work.append(attend(gates, Random(f"attendant {self.seed}"), self.ask, self._loop.time))
        self._rig = {asyncio.create_task(one) for one in work}
        self._rig.add(_this_task())
        await asyncio.gather(*self._rig - {_this_task()})

    # ----------------------------------------------------------------------- people

    def _queues(self) -> list[Coroutine[Any, Any, None]]:
        """Everybody who comes today, at each lane and kiosk."""
        world, random = self.world, Random(f"people {self.seed}")
        if world.desks:
            readers = Borrowers(random, world)
            count = VISITS // len(world.desks) + 1
            return [self._queue(desk, readers.visit, count) for desk in world.desks.values()]
        people = People(random, dict(world.lanes), world.now_s, float(PASSAGE_S), crowd=world.crowd)
        count = VISITS // len(world.lanes) + 1
        return [self._queue(lane, people.visit, count) for lane in world.lanes.values()]

    async def _queue(self, lane: Any, visit: Callable[[Any], Coroutine[Any, Any, None]], visits: int) -> None:
        """Everybody of one lane, one after the other."""
        random = Random(f"queue {self.seed} {lane.name}")
        for at_s in sorted(_arrival_s(random) for _ in range(visits)):
            await asyncio.sleep(max(0.0, at_s - self._loop.time()))
            async with lane.queue:
                await visit(lane)
                await asyncio.sleep(random.uniform(0.5, 3.0))

    async def ask(self, command: str, *words: str) -> bool:
        """Somebody at the panel asks; whether it was done."""
        running, terminal = self._running, self._terminal
        if running is None or running.done() or terminal is None or terminal.commands is None:
            return False
        try:
            async with asyncio.timeout(ANSWERED_S):
                await terminal.commands.ask(DRIVER, command, words)
        except (NotDone, StoreBroken, TimeoutError):
            return False
        return True

    # ----------------------------------------------------------------------- the terminal's parent

    async def _keep_running(self) -> None:
        world = self.world
        backoff_s = 1.0
        while not self._is_over:
            world.power(True)
            self._stop, self._terminal = asyncio.Event(), Terminal(world.parts())
            world.tell(Booted(world.clock.true_ms()))
            began_s = self._loop.time()
            self._running = asyncio.create_task(self._terminal.run(self._stop))
            await asyncio.wait([self._running])
            self._died(self._running)
            await _settle_down()
            self._look_for_tasks()
            backoff_s = 1.0 if self._loop.time() - began_s > 60 else min(30.0, backoff_s * 2)
            if not self._is_over:
                await asyncio.sleep(self._off_s or backoff_s)
            self._off_s = 0.0

    def _died(self, task: asyncio.Task[None]) -> None:
        world, error = self.world, None if task.cancelled() else task.exception()
        if self._terminal is not None and self._terminal.uploader is not None:
            self.resent += self._terminal.uploader.resent
        causes = [] if error is None else list(_leaves(error))
        if any(isinstance(cause, StoreBroken) for cause in causes) and world.disk.failing:
            world.disk.failing = False
            world.troubles["flush failed"] += 1
        for cause in causes:
            if not isinstance(cause, EXPECTED):
                self.recorded.deaths.append(f"the terminal died of {cause!r}")
        if task.cancelled() and not self._off_s:
            self.recorded.deaths.append("the terminal ended as if it had been cancelled")
        world.tell(Died(world.clock.true_ms(), "; ".join(type(cause).__name__ for cause in causes)))

    def cut(self, kind: str) -> bool:
        """End the running terminal; False when none is running."""
        if self._running is None or self._running.done() or self._off_s or self._is_over:
            return False
        if kind == "told to stop":
            self._stop.set()
            return True
        self.cuts += 1
        self._off_s = self.random.uniform(2, 120)
        self.world.disk.cut_power()
        self.world.power(False)
        self._running.cancel()
        return True

    async def _evening(self) -> None:
        """Wait until everybody is home and everything is uploaded; then tell the terminal to stop."""
        await asyncio.sleep(DAY_S)
        others = self._rig - {_this_task()}
        for _ in range(EVENING_S // 30):
            await asyncio.sleep(30)
            terminal = self._terminal
            assert terminal is not None
            waiting = sum(not task.done() for task in others) > 2  # its parent and the day go on
            if terminal.ready.is_set() and not waiting and not self._is_left(terminal.status()):
                break
        await self._ask_for_the_list()
        self._is_over = True
        self._stop.set()

    def _is_left(self, status: dict[str, Any]) -> bool:
        """Whether something is still to be told, to head office or the library system."""
        return bool(status["journal"]["unsent"] or status.get("library", {}).get("waiting"))

    async def _ask_for_the_list(self) -> None:
        """The librarian looks at the list in the evening, and at what waits behind it: records of the same book."""
        if self.world.desks and self._terminal is not None and self._terminal.library is not None:
            replay = self._terminal.library.replay
            books = {content.barcode for _, content, _ in replay.listed() if content is not None}
            for name, one in replay._waiting.items():
                content = replay._content[name]
                if content is not None and content.barcode in books:
                    self.recorded.listed.append((one.what.value, str(content.reader), content.barcode))

    # ----------------------------------------------------------------------- looking back

    def _look_for_tasks(self) -> None:
        for task in asyncio.all_tasks() - self._rig:
            self.recorded.leftovers.append(f"a task is left: {task.get_coro()}")

    def _look_for_leftovers(self) -> None:
        self._rig = {_this_task()}
        self._look_for_tasks()
        timers = [handle for handle in vars(self._loop)["_scheduled"] if not handle.cancelled()]
        self.recorded.leftovers += [f"a timer is left: {handle}" for handle in timers]
        if len(self._loop._selector.get_map()) > 1:  # the loop's own wakeup is one
            self.recorded.leftovers.append("a transport is left")

    def _collect(self) -> None:
        """What head office holds in the end."""
        for table, into in (("records", self.recorded.held), ("aside", self.recorded.aside)):
            columns = f"epoch, sequence, hash, terminal, data, {'NULL' if table == 'records' else 'reason'}"
            rows = self.world.head_office.db.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2")
            for epoch, sequence, digest, terminal, data, reason in rows:
                one = EntryName(epoch=epoch, sequence=sequence), digest
                into.append(one)
                self.recorded.records.append((terminal, data))
                if reason in ("conflict", "chain_broken"):
                    self.recorded.misplaced.append(one)
                else:
                    self.recorded.counted.add(_own_hash(data))
        self.recorded.left = self.world.left_on_cards()
        if self.world.desks:
            library = self.world.books.library
            self.recorded.lent = library.lent
            self.recorded.taken_back = {name: len(copy.returned) for name, copy in library.copies.items()}
            self.recorded.lent_to = {name: copy.lent_to for name, copy in library.copies.items()}
            self.world.books.close()
        self.world.head_office.db.close()

    def _too_quiet(self) -> Iterator[str]:
        """A day on which little happened proves little."""
        kinds = sum(count > 0 for count in self.world.troubles.values())
        floors = {
            "presentations": (self.world.presented, LEAST_PRESENTED),
            "power cuts": (self.cuts, LEAST_CUTS),
            "troubles": (self.world.troubles.total(), LEAST_TROUBLES),
            "kinds of trouble": (kinds, LEAST_KINDS),
        }
        for what, (count, least) in floors.items():
            if count < least:
                yield f"the day was too quiet: {count} {what}"

    def _outcome(self, found: list[str]) -> Outcome:
        facts = [event.entry.fact for event in self.recorded.log if isinstance(event, Committed)]
        granted = (Verdict.GRANT, Verdict.GRANT_IN_DOUBT)
        verdicts = Counter(fact.verdict in granted for fact in facts if isinstance(fact, Decided))
        summed = sum(sum(fact.counts.values()) for fact in facts if isinstance(fact, DenialsSummed))
        return Outcome(
            seed=self.seed,
            presented=self.world.presented,
            granted=verdicts[True],
            denied=verdicts[False] + summed,
            cuts=self.cuts,
            troubles=dict(self.world.troubles),
            resent=self.resent,
            violations=found,
            digest=digest(self.recorded),
        )


def _own_hash(data: bytes) -> bytes:
    """Of the entry, or of the one it issues again."""
    fact = cbor2.loads(data)["fact"]
    return hashlib.sha256(fact["data"] if fact["type"] == "reissued" else data).digest()


def digest(recorded: Recorded) -> str:
    """SHA-256 over what a seed decides: times, lanes, verdicts, gates, and what head office holds."""
    lines: list[object] = []
    epochs: dict[bytes, int] = {}
    kinds: dict[EntryName, str] = {}
    for event in recorded.log:
        match event:
            case Committed(entry=entry):
                epochs.setdefault(entry.name.epoch, len(epochs))
                kinds[entry.name] = kind_of(entry.fact)
                if isinstance(entry.fact, Decided):
                    fact = entry.fact
                    fen = 0 if fact.charge is None else fact.charge.amount_fen
                    said = fact.verdict.value, fact.reason.value
                    lines.append((event.at_ms, entry.at.utc_ms, fact.lane, *said, fen))
            case Opened() | Walked():
                lines.append((type(event).__name__, *event))
            case Signalled():
                lines.append((event.at_ms, event.lane, event.signal.value))
            case _:
                pass
    for there in (recorded.held, recorded.aside):
        lines.append(sorted((epochs.get(name.epoch, -1), name.sequence, kinds.get(name, "?")) for name, _ in there))
    return hashlib.sha256("\n".join(map(repr, lines)).encode()).hexdigest()


def _arrival_s(random: Random) -> float:
    """Most people come at a rush hour."""
    if random.random() < 0.4:
        return random.uniform(0, DAY_S)
    return min(DAY_S, max(0.0, random.gauss(random.choice(RUSH_S), 2400)))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors inside a group."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


async def _settle_down() -> None:
    """A few turns of the loop: whatever was cancelled ends."""
    for _ in range(5):
        await asyncio.sleep(0)
