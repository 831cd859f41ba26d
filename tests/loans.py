"""No loan is lost: what readers carried out and put down is what the library system, or a librarian, knows in the end.

Laws of this file:
- Readers are the witnesses: a page told them, and they carried the book out or left it. The terminal is not asked.
- The librarian's list counts as known, and so does what waits behind it: later records of the same book. Books of
  which a dark page said nothing may be anywhere.
- Nothing is told twice: the library system made no more loans of a book to a reader than that reader carried out.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tests.days.record import CarriedOut, PutDown

if TYPE_CHECKING:
    from tests.checkers import Day


def no_loan_is_lost(day: "Day") -> Iterator[str]:
    """Each book a reader left with is lent in the library system, once, or on the librarian's list."""
    recorded = day.recorded
    carried = Counter((event.reader, event.book) for event in day.log if isinstance(event, CarriedOut))
    made = Counter(recorded.lent)
    listed = Counter((reader, book) for what, reader, book in recorded.listed if what == "lent")
    for (reader, book), times in sorted(carried.items()):
        if book not in recorded.unsure and made[reader, book] + listed[reader, book] < times:
            yield f"{reader} left with {book} {times} times; {made[reader, book]} loans are known"
        if book not in recorded.unsure and made[reader, book] > times:
            yield f"{reader} left with {book} {times} times; {made[reader, book]} loans were made"


def no_return_is_lost(day: "Day") -> Iterator[str]:
    """Each book a reader left there was taken back by the library system, or is on the librarian's list."""
    recorded = day.recorded
    put_down = Counter(event.book for event in day.log if isinstance(event, PutDown))
    listed = Counter(book for what, _, book in recorded.listed if what == "returned")
    for book, times in sorted(put_down.items()):
        known = recorded.taken_back[book] + listed[book]
        if book not in recorded.unsure and known < times:
            yield f"{book} was given back {times} times; {known} returns are known"


def books_are_where_they_are_believed_to_be(day: "Day") -> Iterator[str]:
    """In the evening the library system believes what the last reader did, unless a librarian has to look."""
    recorded = day.recorded
    last = {event.book: event for event in day.log if isinstance(event, CarriedOut | PutDown)}
    to_look_at = {book for _, _, book in recorded.listed} | recorded.unsure
    for book, event in sorted(last.items()):
        is_with = event.reader if isinstance(event, CarriedOut) else None
        if book not in to_look_at and recorded.lent_to[book] != is_with:
            yield f"{book} is with {is_with or 'nobody'}; the library system believes {recorded.lent_to[book]}"


CHECKERS: tuple[Callable[["Day"], Iterator[str]], ...] = (
    no_loan_is_lost,
    no_return_is_lost,
    books_are_where_they_are_believed_to_be,
)
