"""A site to tell stories in: the real terminal over simulated ports, on the loop that jumps.

Laws of this file:
- The terminal is put together by `terminal.assemble`; nothing of it is replaced, unless the story plants a bug.
- Waiting costs nothing: a story may last for days.
- A story asks what people would see: what the display says, what opened, what was charged, what head office holds.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import TypeVar

from simulators import pki
from simulators.card import SimulatedCard
from simulators.card_issuer import CardIssuer
from simulators.card_slot import MemoryModule, MemorySlot
from simulators.clockwork import SimulatedClock, new_loop
from simulators.memory import MemoryGate, MemoryIndicator, MemoryParameters, MemoryReader
from simulators.office import HeadOffice
from simulators.parameters import ParameterOffice
from simulators.store import Disk, SimulatedStore
from terminal.assemble import LaneParts, Parts, Terminal
from terminal.core.card import CardRules
from terminal.core.entries import Decided, Entry, Fact
from terminal.core.fares.trips import Role
from terminal.core.ledger import Where
from terminal.core.model import GateSignal, PassageMode, Reason, Verdict
from terminal.core.parameters import Policies
from terminal.ports import OfficeError, Positions, RawParameters
from terminal.runtime.card_path import CardParts
from terminal.runtime.lane import LaneRules
from terminal.runtime.uploader import UploadRules

NOW_MS = 1_800_000_000_000
PASSAGE_S = 8
ANSWER_S = 0.4  # the terminal has long answered by then; a person has not moved yet


F = TypeVar("F", bound=Fact)


class Network:
    """The Office port: head office at the end of a network that may be away."""

    def __init__(self, terminal: str, office: HeadOffice) -> None:
        self.up = True
        self.arrived: list[bytes] = []  # entries in the order of their arrival
        self._terminal = terminal
        self._office = office

    async def last_held(self) -> bytes:
        """See the port."""
        self._reach()
        return self._office.last_held(self._terminal)

    async def send(self, batch: bytes) -> bytes:
        """See the port."""
        self._reach()
        held = {row[0] for row in self._office.db.execute("SELECT data FROM records")}
        receipt = self._office.receive(self._terminal, batch)
        self.arrived += [
            row[0] for row in self._office.db.execute("SELECT data FROM records ORDER BY rowid") if row[0] not in held
        ]
        return receipt

    async def close(self) -> None:
        """Nothing is open."""

    def _reach(self) -> None:
        if not self.up:
            raise OfficeError("no network")


class Ignition:
    """The PowerInput port: the engine's supply."""

    def __init__(self) -> None:
        self.off = asyncio.Event()

    async def lost(self) -> None:
        """See the port."""
        await self.off.wait()


class Lid:
    """The BoxSwitch port: the lid of the terminal's own box."""

    def __init__(self) -> None:
        self._open, self._shut = asyncio.Event(), asyncio.Event()
        self.put_on()

    def lift(self) -> None:
        """Somebody opens the box."""
        self._open.set()
        self._shut.clear()

    def put_on(self) -> None:
        """And shuts it."""
        self._open.clear()
        self._shut.set()

    async def opened(self) -> None:
        """See the port."""
        await self._open.wait()

    async def shut(self, for_s: float) -> None:
        """See the port."""
        while True:
            await self._shut.wait()
            try:
                async with asyncio.timeout(for_s):
                    await self._open.wait()
            except TimeoutError:
                return


class Door:
    """One lane, as people see it."""

    def __init__(self, name: str, clock: SimulatedClock, module: str) -> None:
        self.name = name
        self.slot, self.module = MemorySlot(clock), MemoryModule(CardIssuer().module(module))
        self.has_module = True
        self.cards = CardRules(accepts=("transit_purse", "social_security_card", "uid_card"))
        self.reader, self.gate, self.indicator = MemoryReader(clock), MemoryGate(clock), MemoryIndicator()
        self.opened: list[int] = []  # for how many, each time
        self.gate.on_open = lambda persons, ordered_at: self.opened.append(persons)

    @property
    def says(self) -> Reason | None:
        """What the display says."""
        return None if self.indicator.shown is None else self.indicator.shown.reason

    async def show(self, code: bytes) -> Reason | None:
        """Hold out a code; what the display says then, None where it stays silent."""
        self.indicator.shown = None
        self.reader.show(code)
        await asyncio.sleep(ANSWER_S)
        return self.says

    async def tap(self, card: SimulatedCard, *others: SimulatedCard) -> Reason | None:
        """Hold out a card, others beside it; what the display says then, None where it stays silent."""
        self.indicator.shown = None
        self.slot.tap(card, *others)
        await asyncio.sleep(ANSWER_S)
        return self.says

    def lane(self, rules: LaneRules) -> LaneParts:
        """This door, as the terminal is put together of it."""
        cards = CardParts([self.slot], self.module if self.has_module else None, self.cards)
        return LaneParts(rules, [self.reader], self.gate, [self.indicator], cards)

    async def walk(self, persons: int = 1) -> None:
        """So many walk through, one after the other."""
        for _ in range(persons):
            self.gate.signal(GateSignal.PASSAGE)
            await asyncio.sleep(ANSWER_S)


class World:
    """One vehicle or site, its terminal, and head office."""

    def __init__(
        self,
        place: Path,
        service: str,
        passage: PassageMode,
        roles: tuple[Role, Role] = (Role.ANY, Role.ANY),
        zone: str = "",
        office_db: Path | None = None,
        beside: "World | None" = None,
    ) -> None:
        self._zone = zone
        self.clock = SimulatedClock(NOW_MS)
        self.disk = Disk(seed=1)
        if beside is None:
            keys = pki.write_office_keys(place / "office-keys")
            self.office = HeadOffice(office_db or place / "office.db", *pki.load_office_keys(place / "office-keys"))
            self.office.now_ms = self.clock.true_ms
            policies = Policies(hotline="12333", passage_s=PASSAGE_S)
            self.head = ParameterOffice(place / "parameters", keys, policies=policies)
        else:  # another terminal of the same operator
            self.office, self.head = beside.office, beside.head
        self.name = "T1" if beside is None else "T2"
        self.parameters = MemoryParameters(self._files())
        self.network = Network(self.name, self.office)
        self.front = Door("front", self.clock, "510100000001")
        self.rear = Door("rear", self.clock, "510100000002")
        self.ignition, self.lid = Ignition(), Lid()
        self.positions: Positions | None = None
        self.open_when_unwritable = False
        self.boards: dict[str, Callable[[], Awaitable[None]]] = {}  # devices with a life of their own
        self._service, self._passage, self._roles = service, passage, roles
        self.terminal: Terminal | None = None
        self._running: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()

    @property
    def now_s(self) -> int:
        """Unix seconds, as everybody's phone has them."""
        return self.clock.true_ms() // 1000

    # ----------------------------------------------------------------------- the terminal's life

    async def start(self) -> None:
        """Switch the terminal on."""
        self._stop = asyncio.Event()
        self.terminal = Terminal(self._parts())
        self._running = asyncio.ensure_future(self.terminal.run(self._stop))
        ready = asyncio.ensure_future(self.terminal.ready.wait())
        await asyncio.wait([self._running, ready], return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._running.done():
            self._running.result()
        await asyncio.sleep(0.1)

    def _rules(self, door: str, role: Role) -> LaneRules:
        open_anyway = self.open_when_unwritable
        return LaneRules(
            door, self._service, self._passage, open_when_unwritable=open_anyway, role=role, zone=self._zone
        )

    def _parts(self) -> Parts:
        return Parts(
            terminal=self.name,
            clock=self.clock,
            store=SimulatedStore(self.disk),
            parameters=self.parameters,
            office=self.network,
            lanes=[
                door.lane(self._rules(door.name, role))
                for door, role in zip((self.front, self.rear), self._roles, strict=True)
            ],
            upload_rules=UploadRules(longest_wait_s=5.0),
            random=Random(1),
            power=self.ignition,
            box=self.lid,
            where=Where(vehicle="bus-1"),
            positions=self.positions,
            boards=self.boards,
        )

    async def stop(self) -> None:
        """Tell it to stop, and wait until it has."""
        assert self._running is not None
        self._stop.set()
        await self._running

    async def ended(self) -> None:
        """Wait until it has stopped by itself. Raises what ended it."""
        assert self._running is not None
        await self._running

    async def cut_power(self) -> None:
        """Now."""
        assert self._running is not None
        self.disk.cut_power()
        self._running.cancel()
        await asyncio.wait([self._running])

    async def restart(self) -> None:
        """A power cut, and on again."""
        await self.cut_power()
        await self.start()

    async def publish(self) -> None:
        """Head office's new parameters arrive."""
        self.head.version += 1
        await self.fetch()

    async def fetch(self) -> None:
        """The parameters that another terminal of this operator has already arrive here too."""
        self.parameters.put(self._files())
        await asyncio.sleep(2.0)

    def _files(self) -> RawParameters:
        self.head.version = max(1, self.head.version)
        return RawParameters(self.head.files(NOW_MS - 60_000))

    # ----------------------------------------------------------------------- what was written

    def written(self) -> list[Entry]:
        """The journal."""
        return self.disk.entries()

    def facts(self, kind: type[F]) -> list[F]:
        """Facts of one kind, in order."""
        return [entry.fact for entry in self.written() if isinstance(entry.fact, kind)]

    def charged_fen(self) -> int:
        """What all rides and tickets came to, before anything was annulled."""
        return sum(fact.charge.amount_fen for fact in self.decisions(Verdict.GRANT) if fact.charge is not None)

    def decisions(self, verdict: Verdict) -> list[Decided]:
        """Decisions of one verdict."""
        return [fact for fact in self.facts(Decided) if fact.verdict is verdict]

    async def settled(self) -> None:
        """Wait until head office holds everything."""
        assert self.terminal is not None and self.terminal.site is not None
        async with asyncio.timeout(3600):
            while self.terminal.site.journal.head().unsent:  # loop time: it jumps
                await asyncio.sleep(1.0)


Told = Callable[[World], Awaitable[None]]


def story(
    service: str, passage: PassageMode, roles: tuple[Role, Role] = (Role.ANY, Role.ANY), zone: str = ""
) -> Callable[[Told], Callable[[Path], None]]:
    """Make a story a test: told once, in a new world, on a loop that jumps; nothing is left running."""

    def make(told: Told) -> Callable[[Path], None]:
        async def tell(place: Path) -> None:
            world = World(place, service, passage, roles, zone)
            try:
                await world.start()
                await told(world)
            finally:
                await world.cut_power()
            assert asyncio.all_tasks() == {asyncio.current_task()}

        def test(tmp_path: Path) -> None:
            loop = new_loop()
            try:
                loop.run_until_complete(tell(tmp_path))
            finally:
                loop.close()

        test.__name__, test.__doc__, test.__module__ = told.__name__, told.__doc__, told.__module__
        return test

    return make


bus = story("fare", PassageMode.ASSUMED)
park = story("admission", PassageMode.SENSOR)
