"""Who comes on a simulated day, and what they do at a lane.

Laws of this file:
- A visit is one coroutine at one lane; people queue, so a lane sees one visit at a time. Cheats come to two lanes.
- Whoever walks does so because a gate opened; how many, and when, is the person's own affair.
- Phones are few and come again: a signature costs more than a person. They are kept from day to day.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from simulators.card import SimulatedCard
from simulators.issuer import demo_issuer
from simulators.phone import FAULTS, Phone
from simulators.token_issuer import FAULTS as TOKEN_FAULTS
from simulators.token_issuer import Wallet, demo_token_issuers
from terminal.core.model import GateSignal, Ref

if TYPE_CHECKING:
    from tests.days.guests import Guest
    from tests.days.riders import Purse

PHONES = 60
WALLETS = 24
CARD_TYPES = ("00", "00", "00", "02", "03")
LIFE = (1_700_000_000, 2_200_000_000)
ANSWER_S = 1.5  # how long a person waits for the gate
GROUP = 5


class Opening(NamedTuple):
    """A gate opened: for how many, and for which presentation."""

    persons: int
    ordered_ns: int


class Place(Protocol):
    """One lane, as people see it."""

    name: str
    queue: asyncio.Lock  # held by whoever stands there
    gets_off_only: bool

    def show(self, payload: bytes) -> None:
        """Hold out a code."""

    def tap(self, card: SimulatedCard, *others: SimulatedCard) -> None:
        """Hold a card there, others beside it."""

    async def opening(self, within_s: float) -> Opening | None:
        """Wait for the gate."""

    def walk(self, ordered_ns: int) -> None:
        """One person walks through."""

    def tell(self, trouble: str) -> None:
        """This person was one of the day's troubles."""

    def let_off(self, purse: "Purse") -> None:
        """This person was let off by their purse."""


@cache
def phone(number: int) -> Phone:
    """One of the day's phones with ride codes."""
    return Phone(name=f"rider {number}", issuer=demo_issuer(), card_type=CARD_TYPES[number % len(CARD_TYPES)])


@cache
def wallet(number: int, product: str) -> Wallet:
    """One of the day's phones with card tokens."""
    issuers = demo_token_issuers()
    name, issuer = f"{product} {number}", issuers[number % len(issuers)]
    return Wallet(name=name, issuer=issuer, products=((product, *LIFE),))


@cache
def linked(number: int, account: Ref) -> tuple[Phone, Wallet]:
    """One rider's two media, linked to their account by both issuers."""
    name, card_type = f"linked {number}", CARD_TYPES[number % 4]
    issuers = demo_token_issuers()
    return (
        Phone(name=name, issuer=demo_issuer(), card_type=card_type, account_link=account),
        Wallet(name=name, issuer=issuers[number % len(issuers)], account_link=account),
    )


class Crowd(NamedTuple):
    """Who comes to one kind of site."""

    visits: Mapping[str, tuple[int, "Visit"]]  # weight, what somebody does
    token: str  # the product a card token holds here
    tokens: float  # how many of those who come hold one
    purses: "list[Purse]"
    account_of: Callable[[int], Ref]  # of a rider with several media
    cards: "list[SimulatedCard]"  # of those riders, by their number
    guests: "list[Guest]"


class People:
    """Everybody who may come to the lanes of one site."""

    def __init__(
        self, random: Random, places: dict[str, Place], now_s: Callable[[], int], passage_s: float, crowd: Crowd
    ) -> None:
        self.random = random
        self.now_s = now_s
        self.morning_ms = now_s() * 1000
        self.aboard: list[tuple[int, int]] = []  # when they want to get off, which rider
        self.with_purse: list[tuple[int, Purse]] = []  # the same, by purse
        self._places = places
        self._passage_s = passage_s
        self._crowd = crowd

    def visit(self, place: Place) -> Coroutine[Any, Any, None]:
        """Somebody comes."""
        visits = self._crowd.visits
        kind = self.random.choices(list(visits), weights=[weight for weight, _ in visits.values()])[0]
        return visits[kind][1](self, place)

    def other(self, place: Place) -> Place:
        """Another lane where nobody stands, else this one: queues that wait for each other never end."""
        free = [one for one in self._places.values() if one is not place and not one.queue.locked()]
        return self.random.choice(free) if free else place

    @asynccontextmanager
    async def standing_at(self, other: Place, place: Place) -> AsyncIterator[None]:
        """Also at a lane that is free."""
        if other is place:
            yield
            return
        async with other.queue:
            yield

    # ----------------------------------------------------------------------- codes and cards

    def medium_of(self, rider: int, which: int) -> bytes:
        """A fresh code of one of a rider's two phones."""
        return linked(rider, self._crowd.account_of(rider))[which].code(self.now_s())

    def card_of(self, rider: int) -> SimulatedCard:
        """A rider's physical card, linked to the account of their phones."""
        return self._crowd.cards[rider]

    @property
    def guests(self) -> "list[Guest]":
        """Whoever may have booked."""
        return self._crowd.guests

    @property
    def annulled_after_s(self) -> float:
        """When a gate gives up on whoever does not walk."""
        return self._passage_s + 1

    def purse(self) -> "Purse":
        """Somebody's card."""
        return self.random.choice(self._crowd.purses)

    def _ride_code(self) -> bytes:
        return phone(self.random.randrange(PHONES)).code(self.now_s())

    def _token(self, product: str) -> bytes:
        return wallet(self.random.randrange(WALLETS), product).code(self.now_s())

    def _gate_code(self) -> bytes:
        crowd = self._crowd
        return self._token(crowd.token) if self.random.random() < crowd.tokens else self._ride_code()

    # ----------------------------------------------------------------------- at a bus door

    async def boards(self, place: Place) -> None:
        """Tap and walk on."""
        place.show(self._ride_code())
        await place.opening(ANSWER_S)

    async def boards_with_companions(self, place: Place) -> None:
        """One phone, a fresh code for each of two to five people: one too many at times."""
        rider = phone(self.random.randrange(PHONES))
        for _ in range(self.random.randint(2, 5)):
            place.show(rider.code(self.now_s()))
            await place.opening(ANSWER_S)
            await asyncio.sleep(self.random.uniform(1.5, 3.0))

    async def asks_whether_it_worked(self, place: Place) -> None:
        """The same code again: silence at first, then the answer."""
        code = self._ride_code()
        for wait_s in (1.0, self.random.uniform(3.5, 20.0)):
            place.show(code)
            await place.opening(ANSWER_S)
            await asyncio.sleep(wait_s)
        place.show(code)

    async def cheats_at_two_doors(self, place: Place) -> None:
        """One code at two lanes in the same millisecond."""
        other, code = self.other(place), self._ride_code()
        async with self.standing_at(other, place):
            place.show(code)
            other.show(code)
            await place.opening(ANSWER_S)

    # ----------------------------------------------------------------------- at a turnstile

    async def enters(self, place: Place) -> None:
        """Show, walk."""
        await self.enter(place, self._gate_code(), 1)

    async def enters_as_a_group(self, place: Place) -> None:
        """Five on one ticket; some stay outside and come after it was annulled."""
        code, first = self._token("park-group"), self.random.choice((GROUP, GROUP, 3, 1))
        walked = await self.enter(place, code, first)
        if walked and first < GROUP:
            place.tell("nobody walked")
            await asyncio.sleep(self.annulled_after_s)
            await self.enter(place, code, GROUP - first)

    async def changes_their_mind(self, place: Place) -> None:
        """Nobody walks; after the annul the same code is shown again, here or at another gate."""
        code = self._gate_code()
        place.show(code)
        if await place.opening(ANSWER_S) is None:
            return
        place.tell("nobody walked")
        await asyncio.sleep(self.annulled_after_s)
        other = self.random.choice((place, self.other(place)))
        async with self.standing_at(other, place):
            await self.enter(other, code, 1)

    async def walks_late(self, place: Place) -> None:
        """The gate has given up on them; then they walk."""
        place.show(self._gate_code())
        opening = await place.opening(ANSWER_S)
        if opening is None:
            return
        await asyncio.sleep(self._passage_s + self.random.uniform(0.5, 20.0))
        place.walk(opening.ordered_ns)
        place.tell("late walker")

    async def replays_at_two_gates(self, place: Place) -> None:
        """One code at two turnstiles in the same millisecond; one person walks where one opens."""
        other, code = self.other(place), self._gate_code()
        async with self.standing_at(other, place):
            place.show(code)
            other.show(code)
            for one in {place.name: place, other.name: other}.values():
                await self._walk(one, await one.opening(ANSWER_S), 1)

    async def shows_it_again(self, place: Place) -> None:
        """The same code, after having walked: it is used."""
        code = self._gate_code()
        await self.enter(place, code, 1)
        await asyncio.sleep(self.random.uniform(3.5, 10.0))
        await self.enter(place, code, 1)

    async def enter(self, place: Place, code: bytes, walks: int) -> int:
        """Show a code, twice if need be, and walk; how many did."""
        place.show(code)
        opening = await place.opening(ANSWER_S)
        if opening is None:  # once more, as people do
            await asyncio.sleep(self.random.uniform(0.5, 4.0))
            place.show(code)
            opening = await place.opening(ANSWER_S)
        return await self._walk(place, opening, walks)

    async def _walk(self, place: Place, opening: Opening | None, walks: int) -> int:
        if opening is None:
            return 0
        for _ in range(min(walks, opening.persons)):
            await asyncio.sleep(self.random.uniform(0.3, 0.9))
            place.walk(opening.ordered_ns)
        return min(walks, opening.persons)

    # ----------------------------------------------------------------------- anywhere

    async def holds_out_rubbish(self, place: Place) -> None:
        """No code at all."""
        place.show(self.random.randbytes(self.random.randint(1, 400)))
        await place.opening(ANSWER_S)

    async def floods(self, place: Place) -> None:
        """Rubbish, ten times a second."""
        for _ in range(self.random.randint(8, 20)):
            place.show(self.random.randbytes(40))
            await asyncio.sleep(0.1)

    async def forges(self, place: Place) -> None:
        """Something made to look right."""
        number = self.random.randrange(PHONES)
        if self.random.random() < 0.5:
            fault = self.random.choice(("expired code", "code from the future", "forged user signature", "truncated"))
            place.show(FAULTS[fault](phone(number), self.now_s()))
        else:
            fault = self.random.choice(("unknown kid", "screenshot", "forged holder", "long integer"))
            place.show(TOKEN_FAULTS[fault](wallet(number % WALLETS, "park-annual"), self.now_s()))
        await place.opening(ANSWER_S)


Visit = Callable[[People, Place], Coroutine[Any, Any, None]]

# A vehicle's doors: nothing there sees who walks.
BUS: dict[str, tuple[int, Visit]] = {
    "boards": (45, People.boards),
    "boards with companions": (8, People.boards_with_companions),
    "asks whether it worked": (8, People.asks_whether_it_worked),
    "cheats at two doors": (8, People.cheats_at_two_doors),
}
# Turnstiles, of a park or an event.
GATE: dict[str, tuple[int, Visit]] = {
    "enters": (50, People.enters),
    "enters as a group": (8, People.enters_as_a_group),
    "changes their mind": (8, People.changes_their_mind),
    "walks late": (6, People.walks_late),
    "replays at two gates": (8, People.replays_at_two_gates),
    "shows it again": (6, People.shows_it_again),
}
ANYWHERE: dict[str, tuple[int, Visit]] = {
    "rubbish": (3, People.holds_out_rubbish),
    "floods": (2, People.floods),
    "forges": (6, People.forges),
}

# What a board notices that nobody paid for.
ODD_SIGNALS = {"forced": GateSignal.FORCED, "reverse": GateSignal.REVERSE, "gate fault": GateSignal.FAULT}
