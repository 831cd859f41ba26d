"""The library kiosk's visit, a sentence a row: what people do, what the page says, what is written of books."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from terminal.core.card import Assurance, CardState
from terminal.core.items import Pad, Securing, Tag, TagFault, pad_of
from terminal.core.library import Item, ReaderNumber, Silence
from terminal.core.model import Outcome, Reason, Refusal, Verdict
from terminal.core.parameters import Block, BlockScope
from terminal.core.screen import Button, Language, PageKind, Row, Touch, Word
from terminal.core.services.loan_rules import OfflinePolicy, day, standing
from terminal.core.visit import EndSession, Known, Laid, Lend, LookAt, LookUp, Renew, Secure
from tests.core.cases import NOW_MS, credential, instant, parameters, ref, yuan
from tests.core.visiting import (
    AMBER,
    ITEM,
    KIOSK,
    PATRON,
    POLICY,
    Visiting,
    answering,
    kindly,
    lent,
    presented,
    silent,
    taken_back,
)

Facts = list[tuple[str, str, bool, bool]]
Does = Callable[[Visiting], Visiting]
LENT: Facts = [("lent", "borrowed", False, False)]
BACK: Facts = [("returned", "returned", False, False)]
NO_PAD = msgspec.structs.replace(KIOSK, has_pad=False)
NO_OFFLINE = msgspec.structs.replace(KIOSK, offline=OfflinePolicy())
CHILD = msgspec.structs.replace(AMBER, reader_class="child")
OVER = msgspec.structs.replace(PATRON, may_borrow=False)


def refusal(reason: Reason) -> Refusal:
    """What was held out is nobody's."""
    return Refusal(verdict=Verdict.DENY, reason=reason)


JUNK = refusal(Reason.UNKNOWN_FORMAT)


def patron(**changes: Any) -> Callable[[Any], Any]:
    """A library system that says this of the reader."""
    return answering(LookUp=msgspec.structs.replace(PATRON, **changes))


def blocked(*why: str) -> Callable[[Any], Any]:
    """A reader that may not borrow, and why."""
    return patron(may_borrow=False, blocked_why=why)


def copy_of(status: int | None, title: str = "三体") -> Item:
    """A copy in that circulation status."""
    return msgspec.structs.replace(ITEM, circulation_status=status, title=title)


def quiet(silence: Silence, **kinds: Any) -> Callable[[Any], Any]:
    """A library system that is silent, but for these kinds."""

    def answer(request: Any) -> Any:
        said = kinds.get(type(request).__name__)
        if said is not None:
            return said(request) if callable(said) else said
        return silent(silence)(request)

    return answer


def once(*answers: Any) -> Callable[[Any], Any]:
    """These answers, one after the other."""
    left = list(answers)
    return lambda request: left.pop(0)


def fills(visit: Visiting) -> Visiting:
    """The disk is full from here on."""
    visit.full = True
    return visit


def test_the_rows_are_read_in_order() -> None:
    """`once` answers in turn, so that a row can say what comes back."""
    answer = once(1, 2)
    assert (answer(None), answer(None)) == (1, 2)


def lists(state: int) -> dict[str, Any]:
    """A site whose status list says this of the first token."""
    return {"held": parameters(status_lists={"list": (2, bytes([state]))})}


BLOCKED = parameters(blocks_of={ref("amber"): (Block(ref=ref("amber").hex(), scopes=(BlockScope.IDENTITY,)),)})
FIRST = ("list", 0)
ROWS: list[tuple[str, dict[str, Any], Does, PageKind, Reason | None, Facts]] = [
    ("nobody came", {}, lambda v: v, PageKind.REST, None, []),
    ("a card is held out", {}, lambda v: v.card(), PageKind.READER, Reason.SIGNED_IN, []),
    ("a book is lent to who is signed in", {}, lambda v: v.card().lays("B-1"), PageKind.READER, Reason.BORROWED, LENT),
    ("a book whose barcode was read, and that is not on the pad", {}, lambda v: v.card().scans("B-1"), PageKind.READER,
     Reason.BOOK_NOT_ON_PAD, []),
    ("it is put there", {}, lambda v: v.card().scans("B-1").lays("B-1"), PageKind.READER, Reason.BORROWED, LENT),
    ("a barcode given back without its book", {}, lambda v: v.press(Touch.RETURN).scans("B-1"), PageKind.RETURNING,
     Reason.BOOK_NOT_ON_PAD, []),
    ("a code no library knows", {}, lambda v: v.card(claim=JUNK), PageKind.REST, Reason.READER_CODE_WANTED, []),
    ("a payment code", {}, lambda v: v.card(claim=refusal(Reason.ONLINE_ONLY_PAYMENT)), PageKind.REST,
     Reason.READER_CODE_WANTED, []),
    ("a purse that has ended: topping it up would make nobody a reader", {},
     lambda v: v.card(claim=refusal(Reason.PURSE_EXPIRED)), PageKind.REST, Reason.CARD_UNPROVEN, []),
    ("such a code held out by who is signed in", {}, lambda v: v.card().card(claim=JUNK), PageKind.READER,
     Reason.READER_CODE_WANTED, []),
    ("a scanned book is lent just so", {"kiosk": NO_PAD}, lambda v: v.card().scans("B-1"), PageKind.READER,
     Reason.BORROWED, LENT),
    ("put down first, then the card", {}, lambda v: v.lays("B-1").card(), PageKind.READER, Reason.BORROWED, LENT),
    ("put down and left: nobody's, whoever comes next", {}, lambda v: v.lays("B-1").waits(31).card(), PageKind.READER,
     Reason.SIGNED_IN, []),
    ("lifted before the card came: not lent", {}, lambda v: v.lays("B-1").lays().card(), PageKind.READER,
     Reason.SIGNED_IN, []),
    ("the same book put down twice is lent once", {}, lambda v: v.card().lays("B-1").lays().lays("B-1"),
     PageKind.READER, Reason.BORROWED, LENT),
    ("nobody is linked to this card: the desk", {}, lambda v: v.card(known=None), PageKind.REST,
     Reason.READER_NOT_OPENED, []),
    ("the library does not know the number: the desk", {"answer": patron(valid=False)}, lambda v: v.card(),
     PageKind.REST, Reason.READER_NOT_OPENED, []),
    ("the library card has ended", {},
     lambda v: v.card(known=msgspec.structs.replace(AMBER, until_ms=NOW_MS - 1)), PageKind.REST,
     Reason.READER_EXPIRED, []),
    ("a card that cannot be read says why and signs nobody in", {},
     lambda v: v.card(claim=refusal(Reason.CARD_LEFT)), PageKind.REST, Reason.CARD_LEFT,
     []),
    ("a card that proved nothing, where the site wants more", {}, lambda v: v.card(assurance=Assurance.STATIC),
     PageKind.REST, Reason.CARD_UNPROVEN, []),
    ("a bare number, where the site wants more", {}, lambda v: v.card(assurance=Assurance.WEAK), PageKind.REST,
     Reason.CARD_UNPROVEN, []),
    ("a purse is money, not a reader", {}, lambda v: v.card(card=CardState()), PageKind.REST, Reason.CARD_UNPROVEN, []),
    ("a clock nobody can trust", {"uncertainty_ms": 61_000}, lambda v: v.card(), PageKind.REST, Reason.CLOCK_UNSURE,
     []),
    ("blocked for identity", {"held": BLOCKED}, lambda v: v.card(), PageKind.REST, Reason.BLOCKED, []),
    ("a token that was revoked", lists(1), lambda v: v.card(status_index=FIRST), PageKind.REST, Reason.STATUS_REVOKED,
     []),
    ("a token that is suspended", lists(2), lambda v: v.card(status_index=FIRST), PageKind.REST,
     Reason.STATUS_SUSPENDED, []),
    ("a token whose status nobody knows", {}, lambda v: v.card(status_index=FIRST), PageKind.REST,
     Reason.STATUS_UNKNOWN, []),
    ("too many overdue: said at once", {"answer": blocked("too_many_overdue")}, lambda v: v.card(), PageKind.READER,
     Reason.READER_OVERDUE, []),
    ("the limit is reached: said at once", {"answer": blocked("too_many_charged")}, lambda v: v.card(),
     PageKind.READER, Reason.LOAN_LIMIT, []),
    ("a fine to pay: said at once", {"answer": blocked("excessive_fines")}, lambda v: v.card(), PageKind.READER,
     Reason.READER_FINE, []),
    ("reported lost", {"answer": blocked("card_lost")}, lambda v: v.card(), PageKind.READER, Reason.REPORTED_LOST, []),
    ("on hold for what has no words", {"answer": blocked("charge_denied")}, lambda v: v.card(), PageKind.READER,
     Reason.READER_ON_HOLD, []),
    ("blocked by its flags, and the library lends all the same: lent",
     {"answer": blocked("charge_denied")}, lambda v: v.card().lays("B-1"), PageKind.READER, Reason.BORROWED, LENT),
    ("the library says no: obeyed, nothing is written",
     {"answer": answering(Lend=lent("B-1", ok=False, message="只能馆内阅览"))}, lambda v: v.card().lays("B-1"),
     PageKind.READER, Reason.LOAN_REFUSED, []),
    ("no answer: lent by the site's policy, in doubt", {"answer": silent(Silence.NO_ANSWER)},
     lambda v: v.card().lays("B-1"), PageKind.READER, Reason.BORROWED_OFFLINE,
     [("lent", "borrowed_offline", True, True)]),
    ("not reachable: lent, and certainly not told", {"answer": silent(Silence.UNREACHABLE)},
     lambda v: v.card().lays("B-1"), PageKind.READER, Reason.BORROWED_OFFLINE,
     [("lent", "borrowed_offline", True, False)]),
    ("not reachable, and nothing is lent offline", {"kiosk": NO_OFFLINE, "answer": silent(Silence.UNREACHABLE)},
     lambda v: v.card().lays("B-1"), PageKind.READER, Reason.OFFLINE_NOT_LENT, []),
    ("no answer, and nothing is lent offline: what may have counted is looked at later",
     {"kiosk": NO_OFFLINE, "answer": silent(Silence.NO_ANSWER)}, lambda v: v.card().lays("B-1"), PageKind.READER,
     Reason.LIBRARY_SILENT, [("undone", "library_silent", True, True)]),
    ("it asked to repeat too often, and nothing is lent offline: other words",
     {"kiosk": NO_OFFLINE, "answer": silent(Silence.ASKED_AGAIN)}, lambda v: v.card().lays("B-1"), PageKind.READER,
     Reason.LIBRARY_ASKS_AGAIN, [("undone", "library_asks_again", True, True)]),
    ("it hung up, and nothing is lent offline: other words again",
     {"kiosk": NO_OFFLINE, "answer": silent(Silence.CLOSED)}, lambda v: v.card().lays("B-1"), PageKind.READER,
     Reason.LIBRARY_HUNG_UP, [("undone", "library_hung_up", True, True)]),
    ("nothing offline and the disk is full: out of service",
     {"kiosk": NO_OFFLINE, "answer": silent(Silence.CLOSED)}, lambda v: fills(v.card()).lays("B-1"), PageKind.READER,
     Reason.JOURNAL_UNAVAILABLE, []),
    ("a class the offline policy does not name", {"answer": silent(Silence.UNREACHABLE)},
     lambda v: v.card(known=CHILD).lays("B-1"), PageKind.READER, Reason.OFFLINE_NOT_LENT, []),
    ("a reader the library was not lending to when it was last there", {"answer": silent(Silence.UNREACHABLE)},
     lambda v: v.card(known=msgspec.structs.replace(AMBER, may_borrow=False)).lays("B-1"), PageKind.READER,
     Reason.OFFLINE_NOT_LENT, []),
    ("two are lent offline and the third is not", {"answer": silent(Silence.UNREACHABLE)},
     lambda v: v.card().lays("B-1", "B-2", "B-3"), PageKind.READER, Reason.OFFLINE_LIMIT,
     [("lent", "borrowed_offline", True, False)] * 2),
    ("those of an earlier visit count", {"answer": silent(Silence.UNREACHABLE)},
     lambda v: v.card(known=msgspec.structs.replace(AMBER, waiting=2)).lays("B-1"), PageKind.READER,
     Reason.OFFLINE_LIMIT, []),
    ("a barcode no wire carries", {"answer": quiet(Silence.UNSAYABLE, LookUp=PATRON)}, lambda v: v.card().lays("B|1"),
     PageKind.READER, Reason.BOOK_NOT_RECOGNISED, []),
    ("the link has nobody at the other end at all", {"answer": answering(Lend=None)}, lambda v: v.card().lays("B-1"),
     PageKind.READER, Reason.LIBRARY_UNREACHABLE, []),
    ("its security stays on: undone at once", {"answer": answering(Secure=Securing.WRITE_FAILED)},
     lambda v: v.card().lays("B-1"), PageKind.READER, Reason.BOOK_NOT_RELEASED,
     [*LENT, ("undone", "book_not_released", False, False)]),
    ("the pad is gone: undone at once", {"answer": answering(Secure=None)}, lambda v: v.card().lays("B-1"),
     PageKind.READER, Reason.BOOK_NOT_RELEASED, [*LENT, ("undone", "book_not_released", False, False)]),
    ("undone, and the undoing is not answered: undone later",
     {"answer": answering(Secure=Securing.GONE, Lend=once(lent("B-1"), Silence.NO_ANSWER))},
     lambda v: v.card().lays("B-1"), PageKind.READER, Reason.BOOK_NOT_RELEASED,
     [*LENT, ("undone", "book_not_released", True, False)]),
    ("an offline loan that is not released is never told",
     {"answer": quiet(Silence.UNREACHABLE, Secure=Securing.GONE)}, lambda v: v.card().lays("B-1"), PageKind.READER,
     Reason.BOOK_NOT_RELEASED,
     [("lent", "borrowed_offline", True, False), ("undone", "book_not_released", False, False)]),
    ("one in doubt that is not released is looked at later",
     {"answer": quiet(Silence.NO_ANSWER, Secure=Securing.GONE)}, lambda v: v.card().lays("B-1"), PageKind.READER,
     Reason.BOOK_NOT_RELEASED,
     [("lent", "borrowed_offline", True, True), ("undone", "book_not_released", True, True)]),
    ("a book they had already: their loan stands though its security stays on",
     {"answer": answering(Secure=Securing.GONE, Lend=lent("B-1", renewed=True))}, lambda v: v.card().lays("B-1"),
     PageKind.READER, Reason.BOOK_NOT_RELEASED, LENT),
    ("called back and put down again: lent",
     {"answer": answering(Secure=once(Securing.GONE, Securing.DONE))},
     lambda v: v.card().lays("B-1").lays().lays("B-1"), PageKind.READER, Reason.BORROWED,
     [*LENT, ("undone", "book_not_released", False, False), *LENT]),
    ("half of a set: nothing is asked", {}, lambda v: v.card().lays("B-1", parts=2), PageKind.READER,
     Reason.BOOK_PARTS_MISSING, []),
    ("the disk is full: the loan is undone, the book stays locked", {}, lambda v: fills(v.card()).lays("B-1"),
     PageKind.READER, Reason.JOURNAL_UNAVAILABLE, []),
    ("the disk is full, offline: nothing is lent", {"answer": silent(Silence.UNREACHABLE)},
     lambda v: fills(v.card()).lays("B-1"), PageKind.READER, Reason.JOURNAL_UNAVAILABLE, []),
    ("the disk is full: nobody signs in", {}, lambda v: fills(v).card(), PageKind.REST, Reason.JOURNAL_UNAVAILABLE, []),
    ("given back without a card", {}, lambda v: v.press(Touch.RETURN).lays("B-1"), PageKind.RETURNING, Reason.RETURNED,
     BACK),
    ("given back by who is signed in", {}, lambda v: v.card().press(Touch.RETURN).lays("B-1"), PageKind.RETURNING,
     Reason.RETURNED, BACK),
    ("put down first, then \"return\"", {}, lambda v: v.lays("B-1").press(Touch.RETURN), PageKind.RETURNING,
     Reason.RETURNED, BACK),
    ("given back into a bin", {"answer": answering(TakeBack=taken_back("B-1", bin="3"))},
     lambda v: v.press(Touch.RETURN).lays("B-1"), PageKind.RETURNING, Reason.RETURN_ROUTED,
     [("returned", "return_routed", False, False)]),
    ("given back, and somebody waits for it", {"answer": answering(TakeBack=taken_back("B-1", alert=True))},
     lambda v: v.press(Touch.RETURN).lays("B-1"), PageKind.RETURNING, Reason.BOOK_ON_HOLD,
     [("returned", "book_on_hold", False, False)]),
    ("a return the library refuses", {"answer": answering(TakeBack=taken_back("B-1", ok=False))},
     lambda v: v.press(Touch.RETURN).lays("B-1"), PageKind.RETURNING, Reason.RETURN_REFUSED, []),
    ("given back while the library is away", {"answer": silent(Silence.UNREACHABLE)},
     lambda v: v.press(Touch.RETURN).lays("B-1"), PageKind.RETURNING, Reason.RETURNED_OFFLINE,
     [("returned", "returned_offline", True, False)]),
    ("given back, and the answer is lost", {"answer": silent(Silence.GARBLED)},
     lambda v: v.press(Touch.RETURN).lays("B-1"), PageKind.RETURNING, Reason.RETURNED_OFFLINE,
     [("returned", "returned_offline", True, True)]),
    ("a return no wire carries", {"answer": silent(Silence.UNSAYABLE)},
     lambda v: v.press(Touch.RETURN).lays("B|1"), PageKind.RETURNING, Reason.BOOK_NOT_RECOGNISED, []),
    ("a return with nobody at the other end", {"answer": answering(TakeBack=None)},
     lambda v: v.press(Touch.RETURN).lays("B-1"), PageKind.RETURNING, Reason.LIBRARY_UNREACHABLE, []),
    ("half of a set given back", {}, lambda v: v.press(Touch.RETURN).lays("B-1", parts=2), PageKind.RETURNING,
     Reason.BOOK_PARTS_MISSING, []),
    ("given back, its security does not go on: put down once more",
     {"answer": answering(Secure=Securing.DIFFERS)}, lambda v: v.press(Touch.RETURN).lays("B-1"), PageKind.RETURNING,
     Reason.BOOK_NOT_SECURED, BACK),
    ("put down once more: secured, and the library is not asked again",
     {"answer": answering(Secure=once(Securing.DIFFERS, Securing.DONE))},
     lambda v: v.press(Touch.RETURN).lays("B-1").lays().lays("B-1"), PageKind.RETURNING, Reason.RETURNED, BACK),
    ("a book somebody waits for is so still once it is secured at the second try",
     {"answer": answering(Secure=once(Securing.DIFFERS, Securing.DONE), TakeBack=taken_back("B-1", alert=True))},
     lambda v: v.press(Touch.RETURN).lays("B-1").lays().lays("B-1"), PageKind.RETURNING, Reason.BOOK_ON_HOLD,
     [("returned", "book_on_hold", False, False)]),
    ("a return offline with a full disk is not taken", {"answer": silent(Silence.UNREACHABLE)},
     lambda v: fills(v).press(Touch.RETURN).lays("B-1"), PageKind.RETURNING, Reason.JOURNAL_UNAVAILABLE, []),
    ("a return online with a full disk is the library's", {}, lambda v: fills(v).press(Touch.RETURN).lays("B-1"),
     PageKind.RETURNING, Reason.RETURNED, []),
    ("another reader's card ends the first one's visit", {}, lambda v: v.card().card("birch"), PageKind.READER,
     Reason.SIGNED_IN, []),
    ("the same card again changes nothing", {}, lambda v: v.card().lays("B-1").card(), PageKind.READER,
     Reason.BORROWED, LENT),
    ("a card that cannot be read in between: said, and the visit goes on", {},
     lambda v: v.card().card(claim=refusal(Reason.CARD_UNREADABLE)), PageKind.READER,
     Reason.CARD_UNREADABLE, []),
    ("a card held out while giving back without one signs in", {}, lambda v: v.press(Touch.RETURN).card(),
     PageKind.READER, Reason.SIGNED_IN, []),
    ("done", {}, lambda v: v.card().press(Touch.DONE), PageKind.REST, Reason.READER_SESSION_END, []),
    ("done giving back without a card: nothing is said", {}, lambda v: v.press(Touch.RETURN).press(Touch.DONE),
     PageKind.REST, None, []),
    ("what was said at the end is gone a moment later", {}, lambda v: v.card().press(Touch.DONE).waits(6),
     PageKind.REST, None, []),
    ("one loan is renewed", {}, lambda v: v.card().press(Touch.ACCOUNT).press(Touch.RENEW, "B-1"), PageKind.ACCOUNT,
     Reason.RENEWED, [("renewed", "renewed", False, False)]),
    ("the library does not renew", {"answer": answering(Renew=lent("B-1", ok=False, message="有人预约"))},
     lambda v: v.card().press(Touch.ACCOUNT).press(Touch.RENEW, "B-1"), PageKind.ACCOUNT, Reason.RENEW_REFUSED, []),
    ("an account while nobody is logged in to the library", {"answer": silent(Silence.NOT_LOGGED_IN)},
     lambda v: v.card().press(Touch.ACCOUNT), PageKind.ACCOUNT, Reason.LIBRARY_NOT_LOGGED_IN, []),
    ("an account whose answer is garbled", {"answer": silent(Silence.GARBLED)},
     lambda v: v.card().press(Touch.ACCOUNT), PageKind.ACCOUNT, Reason.LIBRARY_GARBLED, []),
    ("nobody acts: it ends", {}, lambda v: v.card().waits(31), PageKind.REST, Reason.READER_SESSION_END, []),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "how", "does", "kind", "says", "facts"), ROWS, ids=[row[0] for row in ROWS])
def test_visit(
    sentence: str, how: dict[str, Any], does: Does, kind: PageKind, says: Reason | None, facts: Facts
) -> None:
    """What people do → the page, its headline, and what was written of books."""
    visit = does(Visiting(**how))
    assert (visit.page.kind, visit.headline, visit.facts()) == (kind, says, facts), sentence


# --------------------------------------------------------------------------- the account


def test_the_account_shows_loans_and_figures() -> None:
    """Titles and dates are looked up one by one; figures the system does not say are not shown."""
    visit = Visiting().card().press(Touch.ACCOUNT)
    assert [(row.id, row.title, row.due) for row in visit.page.rows] == [
        ("B-9", "title of B-9", ""),
        ("B-1", "title of B-1", "2027-02-14"),
        ("B-2", "title of B-2", "2027-02-14"),
    ]
    assert [(one.word.value, one.value) for one in visit.page.figures] == [
        ("borrowed", "2"), ("overdue", "0"), ("holds", "1"), ("fines", yuan(1250)),
    ]  # fmt: skip
    silent_on = Visiting(answer=patron(charged=None, overdue=None, holds=None, fee_minor=None)).card()
    assert silent_on.press(Touch.ACCOUNT).page.figures == ()


def test_one_loan_is_renewed_or_all() -> None:
    """Each row says what came of it, and each is written."""
    visit = Visiting(answer=answering(Renew=lambda request: lent(request.barcode, ok=request.barcode == "B-1")))
    visit.card().press(Touch.ACCOUNT).press(Touch.RENEW, "B-1")
    assert [row.said and row.said.reason for row in visit.page.rows] == [None, Reason.RENEWED, None]
    visit.press(Touch.RENEW_ALL)
    assert [row.said and row.said.reason for row in visit.page.rows] == [None, Reason.RENEWED, Reason.RENEW_REFUSED]
    assert visit.headline is Reason.RENEW_REFUSED  # although another was renewed
    assert visit.page.rows[2].said is not None and visit.page.rows[2].said.values == {"due": "2027-02-14"}
    assert visit.facts() == [("renewed", "renewed", False, False)] * 2


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Silence.NO_ANSWER, Reason.LIBRARY_SILENT),
        (Silence.ASKED_AGAIN, Reason.LIBRARY_ASKS_AGAIN),
        (Silence.CLOSED, Reason.LIBRARY_HUNG_UP),
        (Silence.UNREACHABLE, Reason.LIBRARY_UNREACHABLE),
        (None, Reason.LIBRARY_UNREACHABLE),
    ],
)
def test_a_renewal_without_an_answer_says_which(answer: Any, says: Reason) -> None:
    """Nothing is renewed offline."""
    visit = Visiting(answer=answering(Renew=answer)).card().press(Touch.ACCOUNT).press(Touch.RENEW, "B-1")
    assert (visit.headline, visit.facts()) == (says, [])


def test_a_renewed_date_that_is_not_told_keeps_the_old_one() -> None:
    """Some systems say "renewed" and no date."""
    visit = Visiting(answer=answering(Renew=lent("B-1", due=""))).card().press(Touch.ACCOUNT).press(Touch.RENEW, "B-1")
    assert visit.page.rows[1].due == "2027-02-14"


def test_a_system_that_lists_titles_shows_them() -> None:
    """There is nothing to look up then, and nothing to renew."""
    answer = answering(LookUp=msgspec.structs.replace(PATRON, items=("三体",)), LookAt=ITEM)
    visit = Visiting(answer=answer).card().press(Touch.ACCOUNT)
    assert visit.page.rows == (Row(id="三体"), Row(id="三体", held=Word.RESERVED))
    assert Button(touch=Touch.RENEW_ALL) not in visit.page.buttons


@pytest.mark.parametrize(
    ("sentence", "listed", "copy", "rows"),
    [
        ("it waits on the shelf", ("B-9",), copy_of(status=8), [("B-9", "三体", Word.READY)]),
        ("it is on its way", ("B-9",), copy_of(status=10), [("B-9", "三体", Word.RESERVED)]),
        ("the system names titles", ("三体",), copy_of(status=None, title=""), [("三体", "", Word.RESERVED)]),
        ("it names none", (), copy_of(status=8), []),
        ("it falls silent over the copy", ("B-9",), Silence.NO_ANSWER, [("B-9", "", Word.RESERVED)]),
    ],
)  # fmt: skip
def test_what_is_reserved_is_shown(sentence: str, listed: tuple[str, ...], copy: Any, rows: list[Any]) -> None:
    """By title, and "ready" only where the copy's own status says so; nothing of it can be renewed."""

    def looked_up(request: LookUp) -> Any:
        return msgspec.structs.replace(PATRON, items=listed if request.listed == 0 else ())

    visit = Visiting(answer=answering(LookUp=looked_up, LookAt=copy)).card().press(Touch.ACCOUNT)
    assert [(row.id, row.title, row.held) for row in visit.page.rows] == rows, sentence
    assert Button(touch=Touch.RENEW_ALL) not in visit.page.buttons


def test_what_is_ready_stands_first() -> None:
    """Then what is lent, then what has to be waited for."""

    def looked_up(request: LookUp) -> Any:
        return msgspec.structs.replace(PATRON, items=("B-9", "B-8") if request.listed == 0 else ("B-1",))

    visit = Visiting(answer=answering(LookUp=looked_up)).card().press(Touch.ACCOUNT)
    assert [(row.id, row.held) for row in visit.page.rows] == [
        ("B-9", Word.READY), ("B-1", None), ("B-8", Word.RESERVED),
    ]  # fmt: skip


def test_who_reserved_nothing_is_not_asked_about() -> None:
    """One question less; a system that counts nothing is asked, and may not answer."""
    visit = Visiting(answer=patron(holds=0)).card().press(Touch.ACCOUNT)
    assert LookUp(reader=AMBER.number, listed=0) not in visit.asked
    silent_then = answering(LookUp=lambda request: Silence.CLOSED if request.listed == 0 else PATRON)
    assert len(Visiting(answer=silent_then).card().press(Touch.ACCOUNT).page.rows) == 2


def test_the_language_of_an_account_changes_without_a_question() -> None:
    """What was renewed still says so."""
    visit = Visiting().card().press(Touch.ACCOUNT).press(Touch.RENEW, "B-1")
    asked = len(visit.asked)
    visit.press(Touch.LANGUAGE)
    assert (visit.page.language, len(visit.asked)) == (Language.EN, asked)
    assert [row.said and row.said.reason for row in visit.page.rows] == [None, Reason.RENEWED, None]


@pytest.mark.parametrize(
    ("sentence", "flickers"),
    [
        ("a book that was dealt with comes and goes", lambda v: v.lays().lays("B-1")),
        ("something that is no card lies on the reader", lambda v: v.card(claim=JUNK)),
    ],
)
def test_an_account_is_not_kept_in_sight_by_what_nobody_does(sentence: str, flickers: Does) -> None:
    """It ends when it would have ended, and the library system is asked nothing anew."""
    visit = Visiting().card().lays("B-1").press(Touch.ACCOUNT)
    asked = len(visit.asked)
    for _ in range(3):
        flickers(visit.waits(9))
    assert (visit.page.kind, len(visit.asked)) == (PageKind.ACCOUNT, asked), sentence
    assert visit.waits(4).partings, sentence


# --------------------------------------------------------------------------- the same book twice


def test_a_book_borrowed_by_mistake_is_given_back_in_the_same_visit() -> None:
    """Lifted and put down on the page of returns; and it can be borrowed after all."""
    visit = Visiting().card().lays("B-1").press(Touch.RETURN)
    assert (visit.page.rows, visit.facts()) == ((), LENT)  # what was borrowed does not stand among returns
    visit.lays().lays("B-1")
    assert (visit.headline, visit.facts()) == (Reason.RETURNED, [*LENT, *BACK])
    assert visit.press(Touch.BORROW).page.rows == ()  # it is borrowed no more
    visit.lays().lays("B-1")
    assert (visit.headline, visit.facts()) == (Reason.BORROWED, [*LENT, *BACK, *LENT])


def test_a_book_that_was_called_back_is_still_called_back_after_a_look_at_the_account() -> None:
    """The page of returns is as it was."""
    visit = Visiting(answer=answering(Secure=Securing.DIFFERS)).card().press(Touch.RETURN).lays("B-1")
    assert visit.headline is Reason.BOOK_NOT_SECURED
    rows = visit.page.rows
    assert visit.press(Touch.ACCOUNT).press(Touch.RETURN).page.rows == rows


def test_what_was_renewed_is_due_later_on_the_page_of_loans_too() -> None:
    """A flicker of the pad does not borrow it again."""
    later = answering(Renew=lambda request: lent(request.barcode, due="20270316    235959"))
    visit = Visiting(answer=later).card().lays("B-1").press(Touch.ACCOUNT).press(Touch.RENEW_ALL).press(Touch.BORROW)
    assert [(row.id, row.due, row.buttons) for row in visit.page.rows] == [("B-1", "2027-03-16", ())]
    asked = len(visit.asked)
    assert len(visit.lays().lays("B-1").asked) == asked


def test_while_the_system_is_away_the_account_says_so() -> None:
    """And goes on."""
    visit = Visiting(answer=silent(Silence.NO_ANSWER)).card().press(Touch.ACCOUNT)
    assert (visit.headline, visit.page.rows, visit.page.offline) == (Reason.LIBRARY_SILENT, (), True)
    assert visit.press(Touch.BORROW).page.kind is PageKind.READER


def test_nobody_at_the_other_end_of_the_account() -> None:
    """An answer that is none shows nothing."""
    visit = Visiting(answer=answering(LookUp=None)).card().press(Touch.ACCOUNT)
    assert (visit.page.rows, visit.page.figures) == ((), ())


def test_a_book_put_down_on_the_account_page_is_lent() -> None:
    """The page turns back to lending."""
    visit = Visiting().card().press(Touch.ACCOUNT).lays("B-1")
    assert (visit.page.kind, visit.facts()) == (PageKind.READER, LENT)


def test_an_account_nobody_looks_at_ends() -> None:
    """Nobody sees the last one's account; the library system is told that the reader is done."""
    visit = Visiting().card().press(Touch.ACCOUNT)
    assert visit.page.private and not visit.waits(29).partings
    assert visit.waits(2).partings and not visit.pages[-1].private
    assert visit.asked[-1] == EndSession(reader=AMBER.number)


# --------------------------------------------------------------------------- pages


def test_the_other_language_and_back_to_the_sites_own() -> None:
    """At rest as in a visit; a visit ends in the site's language, and so does a rest page that is left alone."""
    visit = Visiting().press(Touch.LANGUAGE)
    assert visit.page.language is Language.EN
    assert visit.waits(31).page.language is Language.ZH
    visit.card().press(Touch.LANGUAGE).lays("B-1")
    assert visit.page.language is Language.EN
    assert visit.press(Touch.DONE).page.language is Language.ZH


def test_who_is_away_is_not_told_that_the_reader_is_done() -> None:
    """A library system that does not answer is not asked for a courtesy."""
    visit = Visiting(answer=silent(Silence.UNREACHABLE)).card().press(Touch.DONE)
    assert EndSession(reader=AMBER.number) not in visit.asked


def test_a_tag_that_says_nothing_is_told() -> None:
    """A book whose tag cannot be read is not lent, and its holder hears of it."""
    visit = Visiting().card()
    bad = pad_of([Tag(uid="E0" + "0" * 14, content=TagFault.EMPTY, secured=None)])
    visit._happens(Laid(pad=bad, at=instant()))
    assert (visit.headline, visit.facts()) == (Reason.BOOK_NOT_RECOGNISED, [])


def test_two_tags_that_say_they_are_one_book_are_nobodys() -> None:
    """A question for a librarian."""
    visit = Visiting().card()
    one = visit.lays("B-1")  # done already
    assert one.facts() == LENT
    twice = pad_of(
        Tag(uid=f"E0{number:014X}", content=tag.content, secured=True) for number in (1, 2) for tag in _pad("B-2").tags
    )
    visit._happens(Laid(pad=twice, at=instant()))
    assert (visit.headline, visit.facts()) == (Reason.BOOK_NOT_RECOGNISED, LENT)


def _pad(barcode: str) -> Pad:
    from tests.core.visiting import pad

    return pad(barcode)


def test_what_the_last_one_left_is_not_lent_to_the_next() -> None:
    """Not before it was lifted and put down again."""
    visit = Visiting().press(Touch.RETURN).lays("B-1").press(Touch.DONE).card()
    assert visit.facts() == BACK
    visit.lays("B-1", "B-2")
    assert visit.facts() == [*BACK, *LENT]
    visit.lays("B-2").lays("B-1", "B-2")
    assert visit.facts() == [*BACK, *LENT, *LENT]


def test_a_pad_that_flickers_keeps_no_page_alive() -> None:
    """Only what is new counts as somebody acting."""
    visit = Visiting().card().lays("B-1")
    for _ in range(31):
        visit.waits(0.5).lays()
        visit.waits(0.5).lays("B-1")
    assert visit.partings


# --------------------------------------------------------------------------- rules


@pytest.mark.parametrize(
    ("sentence", "claim", "changes", "says"),
    [
        ("a clock nobody can trust", {}, {"uncertainty": 61_000}, Reason.CLOCK_UNSURE),
        ("reported lost for identity", {}, {"block": (BlockScope.IDENTITY,)}, Reason.REPORTED_LOST),
        ("lost as money only: a library does not mind", {}, {"block": (BlockScope.PURSE,)}, Reason.SIGNED_IN),
        ("its status list is not there", {"status_index": ("list", 1)}, {}, Reason.STATUS_UNKNOWN),
    ],
)
def test_sign_in(sentence: str, claim: dict[str, Any], changes: dict[str, Any], says: Reason) -> None:
    """Who may sign in, besides what the table of visits shows."""
    from terminal.core.services.loan_rules import sign_in

    scopes = changes.get("block")
    block = {} if scopes is None else {
        ref("amber"): (Block(ref=ref("amber").hex(), scopes=scopes, reported_lost=True),)
    }  # fmt: skip
    at = instant(uncertainty_ms=changes.get("uncertainty", 0))
    one = msgspec.structs.replace(presented(credential(**claim), AMBER, at), parameters=parameters(blocks_of=block))
    outcome: Outcome = sign_in(one)
    assert outcome.decision.reason is says, sentence


def test_what_a_fine_comes_to() -> None:
    """In its own currency; a system that names a block and no amount shows none."""
    said = standing(msgspec.structs.replace(OVER, blocked_why=("excessive_fees",), fee_minor=None))
    assert said is not None and said.values == {"amount": yuan(0)}
    said = standing(msgspec.structs.replace(OVER, blocked_why=("too_many_charged",), charged=None))
    assert said is not None and said.values == {"n": ""}
    assert standing(PATRON) is None


@pytest.mark.parametrize(
    ("written", "shown"),
    [("20270214    235959", "2027-02-14"), ("14/02/2027", "14/02/2027"), (" 14 Feb ", "14 Feb"), ("", "")],
)
def test_due_dates_as_people_read_them(written: str, shown: str) -> None:
    """SIP2's own form is turned; anything else stays as the library wrote it."""
    assert day(written) == shown


def test_an_offline_loan_is_due_at_the_end_of_a_day() -> None:
    """Thirty days on, on the site's clocks."""
    visit = Visiting(answer=silent(Silence.UNREACHABLE)).card().lays("B-1")
    (fact,) = [one for one in visit.written if not isinstance(one, Outcome)]
    assert fact.due_ms == 1_802_620_799_000  # 2027-02-14 23:59:59 +08:00
    assert visit.page.rows[0].due == "2027-02-14"


def test_what_is_asked_of_the_library_system() -> None:
    """One question for the reader, one a book, and security only behind the entry."""
    visit = Visiting().card().lays("B-1")
    assert visit.asked == [
        LookUp(reader=AMBER.number),
        Lend(reader=AMBER.number, barcode="B-1"),
        Secure(barcode="B-1", on=False),
    ]
    assert all(kindly(one) for one in (*visit.asked, LookAt(barcode=""), Renew(reader=AMBER.number, barcode="")))


def test_the_policy_without_classes_takes_every_class() -> None:
    """An empty list names nobody out."""
    kiosk = msgspec.structs.replace(KIOSK, offline=msgspec.structs.replace(POLICY, classes=()))
    visit = Visiting(kiosk, silent(Silence.UNREACHABLE)).card(known=Known(number=ReaderNumber("R-9"))).lays("B-1")
    assert visit.headline is Reason.BORROWED_OFFLINE
