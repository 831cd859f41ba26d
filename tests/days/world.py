"""One day's outside: lanes with their devices, head office and its ways to fail, the parameters' source.

Laws of this file:
- Everything here outlives the terminal: a power cut darkens it, and the next terminal finds it as it is.
- A trouble is counted when it did something, not when it was meant to.
"""

import asyncio
from collections import Counter
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, x25519

from simulators import pki
from simulators.card import SimulatedCard
from simulators.card_issuer import CardIssuer
from simulators.card_slot import MemoryModule, MemorySlot
from simulators.clockwork import SimulatedClock
from simulators.memory import MemoryGate, MemoryIndicator, MemoryParameters, MemoryReader
from simulators.parameters import CARDS, ParameterOffice
from simulators.store import Disk, SimulatedStore
from terminal.assemble import LaneParts, Parts
from terminal.core.card import CardPlace, CardRules, Stage
from terminal.core.entries import Draft, Entry
from terminal.core.fares.trips import Role
from terminal.core.model import GateAnswer, GateEvent, GateSignal, Instant, Reading, Ref, TimeSource
from terminal.core.parameters import Bookings, Cards, Policies
from terminal.core.phrases import Display
from terminal.ports import RawParameters, StoreFull
from terminal.runtime.card_path import CardParts
from terminal.runtime.lane import LaneRules
from tests.days.guests import EARLY_S, LATE_S, PRODUCT, guests, slots
from tests.days.library import READERS, Books, Desk
from tests.days.office import CapriciousHeadOffice, OfficeInProcess
from tests.days.people import PHONES, Crowd, Opening, linked, phone, wallet
from tests.days.purse_trips import ENTRY, come_from_elsewhere
from tests.days.record import (
    Committed,
    Debited,
    Drafted,
    GotOff,
    Opened,
    Read,
    Recorded,
    Shown,
    Signalled,
    Walked,
)
from tests.days.riders import RIDERS, Purse, holder_of, linked_cards, purses
from tests.days.road import Road
from tests.days.trades import PLACES, Trade, trade_of
from tests.days.yesterday import Yesterday

TERMINAL = "site-1"
MORNING_MS = 1_799_962_200_000  # half past five in the morning, in Beijing
PASSAGE_S, HOLD_S = 6, 5.0
STAGES = {Role.ANY: Stage.BOTH, Role.ENTRY: Stage.ENTRY, Role.EXIT: Stage.EXIT}
POLL_S = 20.0
NIGHT_MS = 6 * 3_600_000
RESTORED = 0.4  # of all days begin on an old disk image


class World:
    """Everything outside the terminal, and the record of the day."""

    def __init__(self, random: Random, seed: int) -> None:
        self.random = random
        self.trade = trade = trade_of(seed)
        self.clock = SimulatedClock(MORNING_MS)
        self.recorded = Recorded()
        self.troubles: Counter[str] = Counter()
        self.presented = 0
        self.taps: list[asyncio.Event] = []  # whoever waits for the next tap
        self.disk = Disk(seed=random.getrandbits(32))
        receipt, sealing = ec.generate_private_key(ec.SECP256R1()), x25519.X25519PrivateKey.generate()
        self.head_office = CapriciousHeadOffice(Path(":memory:"), receipt, sealing)
        self.parameters = ParameterOffice(
            Path(),
            pki.public_halves(receipt, sealing),
            policies=Policies(hotline="12333", passage_s=PASSAGE_S, static_cards=("loan",)),
            tariff=trade.tariff,
            cards=self._cards(trade),
        )
        self.crowd = self._crowd(trade)
        self.first = self.publish()  # an old set may come back one day
        self.source = MemoryParameters(self.first)
        self.office = OfficeInProcess(TERMINAL, self.head_office, random, self.troubles)
        self.road = Road(PLACES, self.clock)
        self.lanes = {name: LaneOutside(name, self, role) for name, role in trade.lanes.items()}
        self.desks = {name: Desk(name, self) for name in trade.desks}
        if trade.desks:
            self.books = Books(self)
        night = Random(f"yesterday {seed}")
        at = Instant(utc_ms=MORNING_MS - NIGHT_MS, uncertainty_ms=0, source=TimeSource.SYSTEM, monotonic_ns=0)
        self.yesterday = Yesterday(self, TERMINAL, at, night) if night.random() < RESTORED else None
        self.recorded.tariff = trade.tariff
        self.recorded.modules = frozenset(lane.module.module.terminal for lane in self.lanes.values())

    def _cards(self, trade: Trade) -> Cards:
        """How purses pay here."""
        rules = CARDS.purse
        assert rules is not None
        self.recorded.purses = rules if trade.trips is None else msgspec.structs.replace(rules, trips=trade.trips)
        return msgspec.structs.replace(CARDS, purse=self.recorded.purses)

    def _crowd(self, trade: Trade) -> Crowd:
        """Who may come; what their issuers and the booking office know of them stands in the parameters."""
        wallets, recorded = purses(self.random) if trade.cards else [], self.recorded
        come_from_elsewhere(wallets, self.random, MORNING_MS // 1000)
        for one in wallets:
            purse = self.ref("tu", one.purse.number)
            one.purse.on_debit = partial(self._debited, purse)
            recorded.loaded[purse] = one.loaded_fen
            recorded.riding.update((purse, trip) for trip in one.purse.files.trips)
        for rider in range(RIDERS if trade.linked else 0):
            a_phone, a_token = linked(rider, self.account(rider))
            card = self.ref("ssc", holder_of(rider).identification)
            self.parameters.links[card] = self.account(rider)
            own = card, self.ref("tu", a_phone.account), self.ref("tok", a_token.subject)
            recorded.account_of |= dict.fromkeys(own, self.account(rider))
        booked = guests(self.random) if trade.booked else []
        self.parameters.bookings = recorded.bookings = Bookings(
            slots=slots(MORNING_MS) if booked else {},
            bookings={self.ref("tok", wallet(one.number, PRODUCT).subject).hex(): one.bookings for one in booked},
            early_s=EARLY_S,
            late_s=LATE_S,
        )
        cards = linked_cards() if trade.linked else []
        return Crowd(trade.visits, trade.token, trade.tokens, wallets, self.account, cards, booked)

    def _debited(self, purse: Ref, terminal: bytes, fen: int, trip: bytes | None) -> None:
        self.tell(Debited(self.clock.true_ms(), purse, terminal, fen, trip))

    def now_s(self) -> int:
        """What people's phones say."""
        return self.clock.true_ms() // 1000

    def tell(self, event: Any) -> None:
        """Record what happened."""
        self.recorded.log.append(event)

    def publish(self) -> RawParameters:
        """The next version; somebody more is blocked in it, and somebody is forgiven."""
        office = self.parameters
        office.blocks = office.blocks[-3:]
        office.block(self._somebody(), lost=True)
        office.version += 1
        self.recorded.blocked[office.version] = frozenset(Ref(bytes.fromhex(one.ref)) for one in office.blocks)
        self.newest = RawParameters(office.files(self.issued_ms()))
        return self.newest

    def _somebody(self) -> Ref:
        if self.trade.desks:
            card = CardIssuer().social_security(f"reader {self.random.randrange(READERS)}")
            return self.ref("ssc", card.identification)
        if self.trade.linked:
            account = self.account(self.random.randrange(RIDERS))
            media = [medium for medium, its in self.recorded.account_of.items() if its == account]
            return self.random.choice([account, *media])
        return self.ref("tu", phone(self.random.randrange(PHONES)).account)

    def account(self, rider: int) -> Ref:
        """The account of a rider with several media."""
        return self.ref("ssc", f"rider {rider}".encode())

    def ref(self, namespace: str, number: bytes) -> Ref:
        """The keyed hash of a number; it is the same every day."""
        if (namespace, number) not in _REFS:
            _REFS[namespace, number] = self.parameters.ref(namespace, number)
        return _REFS[namespace, number]

    def left_on_cards(self) -> dict[Ref, int]:
        """What each purse holds now, by the card itself."""
        return {self.ref("tu", one.purse.number): one.purse.files.balance_fen for one in self.crowd.purses}

    def issued_ms(self) -> int:
        """Now; the first set was made before the day began."""
        return MORNING_MS if self.parameters.version == 1 else self.clock.true_ms()

    def parts(self) -> Parts:
        """What a terminal is made of today."""
        store, trade = RecordingStore(self.disk, self), self.trade
        lanes = [lane.parts(trade) for lane in self.lanes.values()]
        return Parts(
            terminal=TERMINAL,
            clock=self.clock,
            store=store,
            parameters=self.source,
            office=self.office,
            lanes=lanes,
            parameter_poll_s=POLL_S,
            clock_look_s=POLL_S,
            random=Random(self.random.getrandbits(32)),
            where=trade.where,
            positions=self.road if trade.where.vehicle else None,
            library=self.books.parts(list(self.desks.values())) if self.desks else None,
        )

    def power(self, on: bool) -> None:
        """Of every device."""
        for lane in self.lanes.values():
            lane.reader.powered = lane.gate.powered = lane.slot.powered = on
        for desk in self.desks.values():
            desk.reader.powered = desk.slot.powered = on


_REFS: dict[tuple[str, bytes], Ref] = {}


class LaneOutside:
    """One lane's devices and the people before them."""

    def __init__(self, name: str, world: World, role: Role) -> None:
        self.name = name
        self.role = role
        self.gets_off_only = role is Role.EXIT
        self.queue = asyncio.Lock()
        self.reader = MemoryReader(world.clock)
        self.gate = MemoryGate(world.clock, HOLD_S)
        self.indicator = MemoryIndicator()
        self.slot = MemorySlot(world.clock)
        self.module = MemoryModule(CardIssuer().module("510100000001" if name == "front" else "510100000002"))
        self.reader.on_read = self._read
        self.gate.on_open = self._opened
        self.gate.on_answer = self._unanswered
        self.gate.on_event = self._signalled
        self.indicator.on_show = self._shown
        self.slot.on_card = self._seen
        self._world = world
        self._openings: asyncio.Queue[Opening] = asyncio.Queue()

    def parts(self, trade: Trade) -> LaneParts:
        """This lane, as a terminal is put together of it."""
        place = CardPlace(stage=Stage.RIDE if trade.trips is None else STAGES[self.role])
        taken = CardParts([self.slot], self.module, CardRules(accepts=trade.cards, place=place))
        rules = LaneRules(self.name, trade.service, trade.passage, role=self.role)
        return LaneParts(rules, [self.reader], self.gate, [self.indicator], taken if trade.cards else CardParts())

    def show(self, payload: bytes) -> None:
        """Hold out a code; what opened before was for somebody else."""
        self._held_out(self.reader.show(payload))

    def tap(self, card: SimulatedCard, *others: SimulatedCard) -> None:
        """Hold a card there, others beside it."""
        self._held_out(self.slot.tap(card, *others))

    def _held_out(self, seen: bool) -> None:
        while not self._openings.empty():
            self._openings.get_nowait()
        for tapped in self._world.taps if seen else ():
            tapped.set()

    async def opening(self, within_s: float) -> Opening | None:
        """The gate's next opening, if it comes in time."""
        try:
            async with asyncio.timeout(within_s):
                return await self._openings.get()
        except TimeoutError:
            return None

    def walk(self, ordered_ns: int) -> None:
        """One person walks; written down where the board could tell the terminal."""
        if self.gate.signal(GateSignal.PASSAGE):
            self._world.tell(Walked(self._world.clock.true_ms(), self.name, ordered_ns))

    def tell(self, trouble: str) -> None:
        """Count a trouble that somebody was."""
        self._world.troubles[trouble] += 1

    def let_off(self, purse: Purse) -> None:
        """Somebody got off; what their card says of it is written down."""
        trips, who = purse.purse.files.trips, self._world.ref("tu", purse.purse.number)
        self._world.tell(GotOff(self._world.clock.true_ms(), self.name, who, bool(trips) and trips[0][0] == ENTRY))

    def _seen(self, at: Reading) -> None:
        self._world.presented += 1
        self._world.tell(Read(self._world.clock.true_ms(), self.name, at))

    def _shown(self, display: Display) -> None:
        self._world.tell(Shown(self._world.clock.true_ms(), self.name, display.en, display.proof))

    def _read(self, payload: bytes, at: Reading) -> None:
        self._seen(at)

    def _opened(self, persons: int, ordered_at: Reading) -> None:
        self._world.tell(Opened(self._world.clock.true_ms(), self.name, persons, ordered_at.monotonic_ns))
        self._openings.put_nowait(Opening(persons, ordered_at.monotonic_ns))

    def _unanswered(self, answer: GateAnswer) -> None:
        self._world.troubles["gate unanswered" if answer is GateAnswer.UNKNOWN else "gate not sent"] += 1

    def _signalled(self, event: GateEvent) -> None:
        self._world.tell(Signalled(self._world.clock.true_ms(), self.name, event.signal))


class RecordingStore(SimulatedStore):
    """The simulated store; tells what it was given and what came to the disk."""

    def __init__(self, disk: Disk, world: World) -> None:
        super().__init__(disk)
        self._world = world

    async def append(self, draft: Draft) -> Entry:
        """See the port."""
        self._world.tell(Drafted(self._world.clock.true_ms(), draft))
        try:
            return await super().append(draft)
        except StoreFull:
            self._world.troubles["disk full"] += 1
            raise

    def _insert(self, draft: Draft) -> Entry:
        entry = super()._insert(draft)
        self._world.tell(Committed(self._world.clock.true_ms(), entry, self.disk.stored[-1].hash))
        return entry
