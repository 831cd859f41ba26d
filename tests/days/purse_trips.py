"""Who rides a line with a purse: in by one tap, out by another; now and then by another vehicle.

Laws of this file:
- The card keeps the trip; its holder keeps in mind when to get off, or forgets it.
- Another vehicle's terminal is none of ours: what it writes on a card is there at once, and told as done elsewhere.
"""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from random import Random

from simulators.card import Trouble
from tests.days.people import ANSWER_S, People, Place, Visit
from tests.days.riders import FEWEST_COMMANDS, MOST_COMMANDS, Purse

BEIJING = timezone(timedelta(hours=8))
ELSEWHERE = bytes.fromhex("990900000009")  # another vehicle's secure module
SETTLED_FEN = 600  # what that one takes for a trip it does not know the end of
ENTRY, EXIT = 0x03, 0x04
DEBIT = 4  # which command it is: SELECT, the trip, INITIALIZE, the new trip, DEBIT
TORN = 0.25  # of those who board by purse
BY_THE_FRONT = 0.3  # of those who get off


async def rides_with_a_purse(people: People, place: Place) -> None:
    """Whoever wants to get off gets off, by the exit mostly; otherwise somebody gets on."""
    now_s = people.now_s()
    due = [one for one in people.with_purse if one[0] <= now_s]
    if due and (place.gets_off_only or people.random.random() < BY_THE_FRONT):
        people.with_purse.remove(due[0])
        await _gets_off(people, place, due[0][1])
        return
    purse = people.purse()
    if place.gets_off_only or any(purse is other for _, other in people.with_purse):
        return
    boards = await _tap(people, place, purse, torn=people.random.random() < TORN)
    if not boards:
        return
    match people.random.choices(("gets off", "forgets", "changes"), (70, 15, 15))[0]:
        case "gets off":
            people.with_purse.append((now_s + people.random.randint(200, 2400), purse))
        case "changes":
            rides_elsewhere(purse, now_s, goes_on=people.random.random() < 0.5)


async def _gets_off(people: People, place: Place, purse: Purse) -> None:
    opened = await _tap(people, place, purse)
    if not opened:  # once more, as people do
        await asyncio.sleep(people.random.uniform(1.0, 5.0))
        opened = await _tap(people, place, purse)
    if opened and place.gets_off_only:
        place.let_off(purse)


async def _tap(people: People, place: Place, purse: Purse, *, torn: bool = False) -> bool:
    """Hold it there; whether the way is open. Who pulled the card away too soon gets on all the same."""
    card = purse.card
    number = people.random.choice((DEBIT, people.random.randint(FEWEST_COMMANDS, MOST_COMMANDS)))
    card.troubles = {number: people.random.choice((Trouble.LEAVES_BEFORE, Trouble.LEAVES_AFTER))} if torn else {}
    place.tap(card)
    opened = await place.opening(ANSWER_S) is not None
    if torn and len(card.commands) > number:
        place.tell("card torn")
    card.troubles = {}
    card.remove()
    return opened or torn


# --------------------------------------------------------------------------- another vehicle


def rides_elsewhere(purse: Purse, now_s: int, *, goes_on: bool) -> None:
    """On another vehicle: a trip that is open is settled there, and perhaps one is begun that is not ended there."""
    files = purse.purse.files
    if files.trips and files.trips[0][0] == ENTRY:
        if files.balance_fen < SETTLED_FEN:
            return
        _write(purse, now_s, EXIT, SETTLED_FEN)
    if goes_on:
        _write(purse, now_s, ENTRY, 0)


def come_from_elsewhere(some: list[Purse], random: Random, now_s: int) -> None:
    """In the morning some have a trip open that they began elsewhere."""
    for purse in some:
        if random.random() < 0.3:
            purse.purse.files.trips.insert(0, _record(ENTRY, 0, now_s - random.randint(600, 7200), purse))


def _write(purse: Purse, now_s: int, kind: int, fen: int) -> None:
    record = _record(kind, fen, now_s, purse)
    purse.purse.debited_elsewhere(fen, ELSEWHERE, record[25:32], record)


def _record(kind: int, fen: int, at_s: int, purse: Purse) -> bytes:
    """EF1E as another operator's vehicle writes it: 48 bytes."""
    local = datetime.fromtimestamp(at_s, UTC).astimezone(BEIJING)
    when = bytes.fromhex(f"{local:%Y%m%d%H%M%S}")
    left = (purse.purse.files.balance_fen - fen).to_bytes(4)
    place = bytes.fromhex("02" + "0012" + "0001" + "0099" + "00")  # a line and a station of the same names as ours
    city = bytes.fromhex("5101" + "0000000051019999")
    return bytes((kind,)) + bytes(2) + ELSEWHERE + place + fen.to_bytes(4) + left + when + city + bytes(6)


PURSE_TRIPS: dict[str, tuple[int, Visit]] = {"rides with a purse": (40, rides_with_a_purse)}
