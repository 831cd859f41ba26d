"""A booked slot lets in who booked it, so many, at its time; and nobody else on that ticket.

Laws of this file:
- The list is the booking office's own, as it was made before the day; the terminal's counting is not asked.
- Slots of one guest never overlap here: a time belongs to one of them or to none.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from terminal.core.model import Reason, Ref, UseState
from terminal.core.parameters import Booking
from tests.days.guests import PRODUCT

if TYPE_CHECKING:
    from tests.checkers import Day, Decision, Ride

NOT_LET_IN = (Reason.NOT_BOOKED, Reason.OUTSIDE_TIME_SLOT, Reason.QUOTA_USED)


def only_who_booked_enters(day: "Day") -> Iterator[str]:
    """Each grant on a booked ticket is inside a slot of its holder's, and together they are no more than booked."""
    inside: Counter[tuple[Ref, str]] = Counter()
    most: dict[tuple[Ref, str], int] = {}
    for ride in day.rides.values():
        if ride.fact.charge is None or ride.fact.charge.product != PRODUCT:
            continue
        booking = _open(day, ride.fact.medium_ref, ride.fact.evidence.utc_ms)
        if booking is None or ride.fact.medium_ref is None:
            yield f"entry {ride.name.sequence} lets somebody in who has no slot now"
            continue
        slot = ride.fact.medium_ref, booking.slot
        inside[slot] += ride.standing
        most[slot] = booking.persons
    for (guest, name), persons in inside.items():
        if persons > most[guest, name]:
            yield f"guest {guest.hex()[:10]}: {persons} came in on {name}, {most[guest, name]} had booked"


def who_booked_is_let_in(day: "Day") -> Iterator[str]:
    """Nobody hears "not booked", "another time" or "all of you are in" while it is not so."""
    for one in day.decisions.values():
        if one.fact.reason not in NOT_LET_IN or one.fact.medium_ref is None:
            continue
        booking = _open(day, one.fact.medium_ref, one.fact.evidence.utc_ms)
        left = 0 if booking is None else booking.persons - _inside(day, one, booking)
        told_right = {
            Reason.NOT_BOOKED: booking is None,
            Reason.OUTSIDE_TIME_SLOT: booking is None,
            Reason.QUOTA_USED: booking is not None and left <= 0,
        }
        if not told_right[one.fact.reason]:
            yield f"entry {one.name.sequence} refuses a guest, {one.fact.reason}, with {left} places left"


def _open(day: "Day", guest: Ref | None, at_ms: int) -> Booking | None:
    """The guest's booking whose slot is open then."""
    bookings = day.recorded.bookings
    for one in bookings.bookings.get((guest or b"").hex(), ()):
        slot = bookings.slots[one.slot]
        if slot.start_ms - 1000 * bookings.early_s <= at_ms < slot.end_ms + 1000 * bookings.late_s:
            return one
    return None


def _inside(day: "Day", decision: "Decision", booking: Booking) -> int:
    """How many of this booking were let in before, as far as was written then."""
    mine = [ride for ride in day.rides.values() if ride.fact.medium_ref == decision.fact.medium_ref]
    before = [ride for ride in mine if ride.written < decision.read]
    of_it = [one for one in before if _open(day, one.fact.medium_ref, one.fact.evidence.utc_ms) == booking]
    return sum(_counted(ride, decision.read) for ride in of_it)


def _counted(ride: "Ride", where: int) -> int:
    """For how many it stood there."""
    return ride.passed if ride.state_at(where) is UseState.ANNULLED else ride.fact.persons


CHECKERS: tuple[Callable[["Day"], Iterator[str]], ...] = (only_who_booked_enters, who_booked_is_let_in)
