"""Telling a library system later, a sentence a row: how things stand there, what it is told, what comes of it."""

from typing import Any

import msgspec
import pytest

from terminal.core.base import EntryName
from terminal.core.library import Payment, ReaderNumber, Silence
from terminal.core.loans import Circulation, Fate, Waiting
from terminal.core.model import Reason
from terminal.core.services.loan_replay import SURE_MS, End, Record, Trying, replay
from terminal.core.visit import Heard, Lend, Pay, Request, TakeBack
from tests.core.cases import NOW_MS, instant
from tests.core.visiting import ITEM, PATRON, lent, taken_back

NAME = EntryName(epoch=b"epoch--1", sequence=9)
PATIENCE_MS = 3_600_000
EARLIER_MS = NOW_MS - 60_000
LOAN = Waiting(of=NAME, at_ms=EARLIER_MS, lane="desk", what=Circulation.LENT, due_ms=NOW_MS + 1)
RETURN = Waiting(of=NAME, at_ms=EARLIER_MS, lane="desk", what=Circulation.RETURNED)
UNDONE = Waiting(of=NAME, at_ms=EARLIER_MS, lane="desk", what=Circulation.UNDONE)
HAS = {"LookUp": msgspec.structs.replace(PATRON, items=("B-1",)), "LookAt": ITEM}
HAS_BY_TITLE = {
    "LookUp": msgspec.structs.replace(PATRON, items=("三体",)),
    "LookAt": msgspec.structs.replace(ITEM, title="三体"),
}
ANOTHER = {"LookUp": msgspec.structs.replace(PATRON, items=()), "LookAt": ITEM}
FREE = {
    "LookUp": msgspec.structs.replace(PATRON, items=()),
    "LookAt": msgspec.structs.replace(ITEM, circulation_status=3),
}
FEE = Waiting(of=NAME, at_ms=EARLIER_MS, lane="", what=Circulation.PAID, fee_minor=320, cash=True)
OWES, OWES_LESS = ({"LookUp": msgspec.structs.replace(PATRON, fee_minor=owed)} for owed in (1250, 930))
TAKEN, NOT_TAKEN = Payment(accepted=True, message=""), Payment(accepted=False, message="more than is owed")
LONG_AGO_MS = NOW_MS - PATIENCE_MS - 1
NO_LOAN, NO_RETURN = lent("B-1", ok=False, message="blocked"), taken_back("B-1", ok=False, message="no such copy")


def since(waiting: Waiting, **changes: Any) -> Waiting:
    return msgspec.structs.replace(waiting, **changes)


def told(waiting: Waiting, system: dict[str, Any]) -> tuple[End, list[Request | Trying]]:
    """How it ends, and everything that was said on the way."""
    reader = None if waiting.what is Circulation.RETURNED else ReaderNumber("R-1")
    barcode = "" if waiting.what is Circulation.PAID else "B-1"
    steps = replay(Record(waiting=waiting, barcode=barcode, reader=reader), instant(), PATIENCE_MS)
    said: list[Request | Trying] = []
    answer: Heard | None = None
    try:
        while True:
            step = steps.send(answer) if said else next(steps)
            said.append(step)
            answer = None if isinstance(step, Trying) else Heard(said=system[type(step).__name__], at=instant())
    except StopIteration as end:
        return end.value, said


ROWS: list[tuple[str, Waiting, dict[str, Any], Fate | None, Reason, bool]] = [
    ("a loan of a free book is told", LOAN, FREE | {"Lend": lent("B-1")}, Fate.DONE, Reason.BORROWED, True),
    ("one the reader has already is known", LOAN, HAS, Fate.ALREADY, Reason.BORROWED, False),
    ("also where the system lists titles", LOAN, HAS_BY_TITLE, Fate.ALREADY, Reason.BORROWED, False),
    ("a book that is with somebody else: its return is waited for", LOAN, ANOTHER, None, Reason.BOOK_WITH_ANOTHER,
     False),
    ("… not for ever", since(LOAN, at_ms=LONG_AGO_MS), ANOTHER, Fate.LISTED, Reason.BOOK_WITH_ANOTHER, False),
    ("refused: the list, in the system's words", LOAN, FREE | {"Lend": NO_LOAN}, Fate.LISTED, Reason.LOAN_REFUSED,
     True),
    ("no answer at all to that one: the list", LOAN, FREE | {"Lend": None}, Fate.LISTED, Reason.LOAN_REFUSED, True),
    ("in doubt, a moment ago, and not there: told", since(LOAN, doubtful=True), FREE | {"Lend": lent("B-1")},
     Fate.DONE, Reason.BORROWED, True),
    ("in doubt, long ago, and not there: it may have come back since",
     since(LOAN, doubtful=True, at_ms=NOW_MS - SURE_MS - 1), FREE, Fate.LISTED, Reason.LOAN_UNSURE, False),
    ("tried a moment ago, and not there: told again", since(LOAN, tried_ms=EARLIER_MS), FREE | {"Lend": lent("B-1")},
     Fate.DONE, Reason.BORROWED, True),
    ("tried long ago, and not there: a librarian", since(LOAN, tried_ms=NOW_MS - SURE_MS - 1), FREE, Fate.LISTED,
     Reason.LOAN_UNSURE, False),
    ("silent when asked: not now", LOAN, {"LookUp": Silence.NO_ANSWER}, None, Reason.LIBRARY_SILENT, False),
    ("silent when told: not now", LOAN, FREE | {"Lend": Silence.CLOSED}, None, Reason.LIBRARY_HUNG_UP, True),
    ("a barcode no wire carries: the list", LOAN, {"LookUp": Silence.UNSAYABLE}, Fate.LISTED,
     Reason.BOOK_NOT_RECOGNISED, False),
    ("a system that knows nothing of the book is told", LOAN,
     {"LookUp": None, "LookAt": None, "Lend": lent("B-1")}, Fate.DONE, Reason.BORROWED, True),
    ("a return is told", RETURN, ANOTHER | {"TakeBack": taken_back("B-1")}, Fate.DONE, Reason.RETURNED, True),
    ("also of a book the system believes to be in", RETURN, FREE | {"TakeBack": taken_back("B-1")}, Fate.DONE,
     Reason.RETURNED, True),
    ("refused: the list", RETURN, ANOTHER | {"TakeBack": NO_RETURN}, Fate.LISTED, Reason.RETURN_REFUSED, True),
    ("nothing understood of it: the list", RETURN, {"LookAt": None, "TakeBack": None}, Fate.LISTED,
     Reason.RETURN_REFUSED, True),
    ("in doubt, and in: known", since(RETURN, doubtful=True), FREE, Fate.ALREADY, Reason.RETURNED, False),
    ("in doubt a moment ago, and out: told", since(RETURN, doubtful=True), ANOTHER | {"TakeBack": taken_back("B-1")},
     Fate.DONE, Reason.RETURNED, True),
    ("in doubt long ago, and out: whose loan is that?", since(RETURN, doubtful=True, at_ms=NOW_MS - SURE_MS - 1),
     ANOTHER, Fate.LISTED, Reason.RETURN_UNSURE, False),
    ("tried, and the same loan is still open: told again", since(RETURN, tried_ms=EARLIER_MS, tried_due=ITEM.due),
     ANOTHER | {"TakeBack": taken_back("B-1")}, Fate.DONE, Reason.RETURNED, True),
    ("tried, and another loan is open: not ended", since(RETURN, tried_ms=EARLIER_MS, tried_due="another"), ANOTHER,
     Fate.LISTED, Reason.RETURN_UNSURE, False),
    ("a loan that was never released is undone", UNDONE, HAS | {"Lend": lent("B-1")}, Fate.DONE,
     Reason.BOOK_NOT_RELEASED, True),
    ("one that is not there needs nothing", UNDONE, FREE, Fate.ALREADY, Reason.BOOK_NOT_RELEASED, False),
    ("one in doubt that is there may be an older loan of theirs", since(UNDONE, doubtful=True), HAS, Fate.LISTED,
     Reason.LOAN_UNSURE, False),
    ("undoing refused: the list", UNDONE, HAS | {"Lend": NO_LOAN}, Fate.LISTED, Reason.LOAN_UNSURE, True),
    ("undoing not understood: the list", UNDONE, HAS | {"Lend": None}, Fate.LISTED, Reason.LOAN_UNSURE, True),
    ("a fee that was paid is told", FEE, OWES | {"Pay": TAKEN}, Fate.DONE, Reason.PAID, True),
    ("a system that says nothing of what is owed is told", FEE, {"LookUp": None, "Pay": TAKEN}, Fate.DONE, Reason.PAID,
     True),
    ("a payment refused: the list", FEE, OWES | {"Pay": NOT_TAKEN}, Fate.LISTED, Reason.PAYMENT_REFUSED, True),
    ("a payment not understood: the list", FEE, OWES | {"Pay": None}, Fate.LISTED, Reason.PAYMENT_REFUSED, True),
    ("silent over the payment: not now", FEE, OWES | {"Pay": Silence.NO_ANSWER}, None, Reason.LIBRARY_SILENT, True),
    ("tried, and just so much less is owed: known", since(FEE, tried_ms=EARLIER_MS, tried_due="1250"), OWES_LESS,
     Fate.ALREADY, Reason.PAID, False),
    ("tried, and as much is owed as before: never told twice", since(FEE, tried_ms=EARLIER_MS, tried_due="1250"), OWES,
     Fate.LISTED, Reason.PAYMENT_UNSURE, False),
    ("tried, and nobody knows what was owed", since(FEE, tried_ms=EARLIER_MS), OWES_LESS, Fate.LISTED,
     Reason.PAYMENT_UNSURE, False),
    ("tried, and nobody knows what is owed", since(FEE, tried_ms=EARLIER_MS, tried_due="1250"), {"LookUp": None},
     Fate.LISTED, Reason.PAYMENT_UNSURE, False),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "waiting", "system", "fate", "reason", "tried"), ROWS, ids=[r[0] for r in ROWS])
def test_replay(
    sentence: str, waiting: Waiting, system: dict[str, Any], fate: Fate | None, reason: Reason, tried: bool
) -> None:
    """How things stand → what comes of it, and whether it was written first that the system is about to be told."""
    end, said = told(waiting, system)
    assert (end.fate, end.reason, any(isinstance(one, Trying) for one in said)) == (fate, reason, tried), sentence
    changes = [number for number, one in enumerate(said) if isinstance(one, Lend | TakeBack | Pay)]
    assert all(isinstance(said[number - 1], Trying) for number in changes)


def test_what_is_told_carries_its_true_time_and_our_due_date() -> None:
    """No-block, with the day it happened."""
    _, said = told(LOAN, FREE | {"Lend": lent("B-1")})
    (made,) = [one for one in said if isinstance(one, Lend)]
    assert made.happened is not None and (made.happened.at_ms, made.happened.due_ms) == (EARLIER_MS, NOW_MS + 1)
    _, said = told(RETURN, ANOTHER | {"TakeBack": taken_back("B-1")})
    (back,) = [one for one in said if isinstance(one, TakeBack)]
    assert back.happened is not None and back.happened.at_ms == EARLIER_MS
    assert Trying(due=ITEM.due) in said
    _, said = told(FEE, OWES | {"Pay": TAKEN})
    (paid,) = [one for one in said if isinstance(one, Pay)]
    assert (paid.fee_minor, paid.currency, paid.cash, paid.at_ms) == (320, "CNY", True, EARLIER_MS)
    assert paid.name == f"{NAME.epoch.hex()}/9" and Trying(due="1250") in said


def test_the_systems_own_words_are_kept() -> None:
    """A librarian reads them."""
    assert told(LOAN, FREE | {"Lend": NO_LOAN})[0].words == "blocked"
    assert told(RETURN, ANOTHER | {"TakeBack": NO_RETURN})[0].words == "no such copy"
