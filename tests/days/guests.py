"""Who comes to a park that is booked by the slot: so many people, at their time, on one phone.

Laws of this file:
- The list is made before the day and stands in the parameters: a gate that is offline knows it.
- A guest's slots lie so far apart that no two of them are open at once: which one a visit belongs to is plain.
"""

import asyncio
from random import Random
from typing import NamedTuple

from terminal.core.parameters import Booking, Slot
from tests.days.people import People, Place, Visit, wallet

GUESTS, SLOTS = 24, 8
HOURS_MS = 3_600_000
EARLY_S, LATE_S = 900, 600
PRODUCT = "park-slot"


class Guest(NamedTuple):
    """One phone, and what was booked with it; nothing, for a few."""

    number: int
    bookings: tuple[Booking, ...]

    def code(self, now_s: int) -> bytes:
        """A fresh one."""
        return wallet(self.number, PRODUCT).code(now_s)


def slots(morning_ms: int) -> dict[str, Slot]:
    """Every two hours from half an hour after the morning's beginning."""
    starts = [morning_ms + HOURS_MS // 2 + number * 2 * HOURS_MS for number in range(SLOTS)]
    return {f"slot {number}": Slot(start_ms=start, end_ms=start + 2 * HOURS_MS) for number, start in enumerate(starts)}


def guests(random: Random) -> list[Guest]:
    """The day's; every second slot at most."""
    found = []
    for number in range(GUESTS):
        mine = range(number % 2, SLOTS, 2)
        chosen = sorted(random.sample(mine, random.choice((0, 2, 3, 4))))
        bookings = tuple(Booking(slot=f"slot {one}", persons=random.randint(1, 4)) for one in chosen)
        found.append(Guest(number, bookings))
    return found


# --------------------------------------------------------------------------- at a turnstile


async def comes_for_their_slot(people: People, place: Place) -> None:
    """All of them, or one first and the others when the gate has given up on them; at times one too many."""
    guest, persons = _expected(people) if people.random.random() < 0.85 else (people.random.choice(people.guests), 1)
    first = people.random.choice((persons, persons, 1))
    walked = await people.enter(place, guest.code(people.now_s()), first)
    if 0 < walked < persons:
        place.tell("nobody walked")
        await asyncio.sleep(people.annulled_after_s)
        await people.enter(place, guest.code(people.now_s()), persons - walked)
    if people.random.random() < 0.3:
        await asyncio.sleep(people.random.uniform(3.0, 30.0))
        await people.enter(place, guest.code(people.now_s()), 1)


def _expected(people: People) -> tuple[Guest, int]:
    """Somebody whose slot is now, and how many they are; anybody, where none is."""
    open_now = f"slot {(people.now_s() * 1000 - people.morning_ms - HOURS_MS // 2) // (2 * HOURS_MS)}"
    mine = [(guest, one.persons) for guest in people.guests for one in guest.bookings if one.slot == open_now]
    return people.random.choice(mine or [(guest, 1) for guest in people.guests])


BOOKED: dict[str, tuple[int, Visit]] = {"comes for their slot": (22, comes_for_their_slot)}
