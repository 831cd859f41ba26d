"""Who rides a bus with a card, and who rides a line from stop to stop.

Laws of this file:
- Somebody on board gets off later, at whatever door, with their phone, their card token or their physical card: all
  are one account.
- Some never tap out, some never tapped in. A card that leaves in the middle comes back, most often.
"""

import asyncio
from random import Random
from typing import NamedTuple

from simulators.card import SimulatedCard, Trouble
from simulators.card_issuer import CardIssuer
from simulators.purse import PurseApplication
from simulators.social_security import SocialSecurityApplication
from tests.days.people import ANSWER_S, People, Place, Visit

RIDERS = 36
PURSES = 30
FEWEST_COMMANDS, MOST_COMMANDS = 1, 9  # of a purse's conversation


class Purse(NamedTuple):
    """A card in somebody's hand, and what was loaded on it."""

    card: SimulatedCard
    purse: PurseApplication
    loaded_fen: int


def linked_cards() -> list[SimulatedCard]:
    """The physical cards of riders with several media, by the rider's number."""
    issuer = CardIssuer()
    return [issuer.card(f"linked {number}", holder_of(number)) for number in range(RIDERS)]


def holder_of(rider: int) -> SocialSecurityApplication:
    """What a rider's physical card is known by."""
    return CardIssuer().social_security(f"linked {rider}")


def purses(random: Random) -> list[Purse]:
    """The day's cards, as their holders loaded them; a few hold too little."""
    issuer, found = CardIssuer(), []
    for number in range(PURSES):
        purse = issuer.purse(f"purse {number}")
        purse.files.balance_fen = random.choice((500, 2000, 5000, 5000))
        card = issuer.card(f"purse {number}", purse)
        found.append(Purse(card, purse, purse.files.balance_fen))
    return found


# --------------------------------------------------------------------------- cards


async def pays_by_card(people: People, place: Place) -> None:
    """Hold it there, hear the tone, take it away."""
    card = people.purse().card
    place.tap(card)
    await place.opening(ANSWER_S)
    card.remove()


async def pays_for_companions(people: People, place: Place) -> None:
    """One card, held out for each of two to five people."""
    card = people.purse().card
    for _ in range(people.random.randint(2, 5)):
        place.tap(card)
        await place.opening(ANSWER_S)
        card.remove()
        await asyncio.sleep(people.random.uniform(1.5, 3.0))


async def tears_the_card_away(people: People, place: Place) -> None:
    """Gone before it had answered; held out again a moment later, or never."""
    card = people.purse().card
    number = people.random.randint(FEWEST_COMMANDS, MOST_COMMANDS)
    card.troubles = {number: people.random.choice((Trouble.LEAVES_BEFORE, Trouble.LEAVES_AFTER))}
    place.tap(card)
    await place.opening(ANSWER_S)
    if len(card.commands) > number:
        place.tell("card torn")
    card.troubles = {}
    card.remove()
    if people.random.random() < 0.8:
        await asyncio.sleep(people.random.uniform(0.5, 15.0))
        place.tap(card)
        await place.opening(ANSWER_S)
        card.remove()


async def holds_two_cards(people: People, place: Place) -> None:
    """A wallet with two of them in it."""
    one, other = people.purse().card, people.purse().card
    if one is other:
        return
    place.tap(one, other)
    await place.opening(ANSWER_S)
    one.remove()
    other.remove()


# --------------------------------------------------------------------------- a line


async def rides(people: People, place: Place) -> None:
    """Whoever wants to get off gets off here; otherwise somebody gets on."""
    now_s = people.now_s()
    due = [one for one in people.aboard if one[0] <= now_s]
    if due:
        people.aboard.remove(due[0])
        await _tap(people, place, due[0][1])
        return
    rider = people.random.randrange(RIDERS)
    if place.gets_off_only or any(rider == other for _, other in people.aboard):
        return
    await _tap(people, place, rider)
    if people.random.random() < 0.85:  # the others forget to tap out
        people.aboard.append((now_s + people.random.randint(200, 2400), rider))


async def gets_off_unseen(people: People, place: Place) -> None:
    """Somebody taps who may never have tapped in."""
    await _tap(people, place, people.random.randrange(RIDERS))


async def asks_am_i_on_board(people: People, place: Place) -> None:
    """Twice within a few seconds."""
    rider = people.random.randrange(RIDERS)
    for _ in range(2):
        await _tap(people, place, rider)
        await asyncio.sleep(people.random.uniform(4.0, 20.0))


async def two_doors_at_once(people: People, place: Place) -> None:
    """One account, one phone at each door, in the same millisecond."""
    other, rider = people.other(place), people.random.randrange(RIDERS)
    async with people.standing_at(other, place):
        place.show(people.medium_of(rider, 0))
        if other is not place:
            other.show(people.medium_of(rider, 1))
        await place.opening(ANSWER_S)


async def _tap(people: People, place: Place, rider: int) -> None:
    which = people.random.randrange(3)
    if which < 2:
        place.show(people.medium_of(rider, which))
        await place.opening(ANSWER_S)
        return
    card = people.card_of(rider)
    place.tap(card)
    await place.opening(ANSWER_S)
    card.remove()


CARDS: dict[str, tuple[int, Visit]] = {
    "pays by card": (22, pays_by_card),
    "pays for companions by card": (3, pays_for_companions),
    "tears the card away": (10, tears_the_card_away),
    "holds two cards": (2, holds_two_cards),
}
LINE: dict[str, tuple[int, Visit]] = {
    "rides": (80, rides),
    "gets off unseen": (5, gets_off_unseen),
    "am I on board?": (6, asks_am_i_on_board),
    "two doors at once": (6, two_doors_at_once),
}
