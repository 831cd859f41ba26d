"""How many loans a second a kiosk's visit decides: signed in, asked, noted, released, shown; nobody answers slowly.

A visit of four books, put on the pad one by one; everything the visit asks is answered at once, so what is measured is
the judgement alone.
"""

import gc
import time
from typing import Any

from terminal.core.base import EntryName
from terminal.core.items import Content, Pad, Securing, Tag
from terminal.core.library import Loan, Patron, ReaderNumber
from terminal.core.model import Credential, Instant, Medium, Reading
from terminal.core.parameters import ParameterSet
from terminal.core.screen import Press, Touch
from terminal.core.services.loan import loan
from terminal.core.services.loan_session import Kiosk
from terminal.core.visit import (
    Ask,
    Heard,
    Known,
    Laid,
    Lend,
    LookUp,
    Note,
    Noted,
    Presented,
    Pressed,
    Secure,
    Show,
    SignIn,
    Tick,
)

BOOKS = 4
PATRON = Patron(
    valid=True,
    password_valid=None,
    may_borrow=True,
    may_renew=True,
    blocked_why=(),
    holds=0,
    overdue=0,
    charged=0,
    fines=0,
    fee_minor=None,
    currency="CNY",
    items=(),
    message="",
)
MADE = Loan(
    ok=True, renewed=False, desensitise=True, barcode="", title="", due="20270214    235959", fee_minor=None, message=""
)


def loans_per_s(claim: Credential, parameters: ParameterSet, at: Instant, visits: int) -> float:
    """Loans a second over so many visits."""
    presented = Presented(
        claim=claim,
        account=None,
        known=Known(number=ReaderNumber("R-1")),
        medium=Medium.CARD,
        reader="desk/0",
        payload=b"",
        seen=Reading(utc_ms=at.utc_ms, monotonic_ns=at.monotonic_ns),
        parameters=parameters,
        at=at,
    )
    done = Pressed(press=Press(touch=Touch.DONE), at=at)
    books = tuple(Tag(uid=f"E00401{n:010X}", content=Content(item=f"B-{n}"), secured=True) for n in range(BOOKS))
    laid = [Laid(pad=Pad(tags=books[: n + 1]), at=at) for n in range(BOOKS)]
    events = [presented, *laid, done]
    gc.collect()
    gc.disable()
    try:
        began = time.perf_counter()
        lent = sum(_visit(events, at) for _ in range(visits))
        took_s = time.perf_counter() - began
    finally:
        gc.enable()
    assert lent == visits * BOOKS
    return lent / took_s


def _visit(events: list[Any], at: Instant) -> int:
    """One visit to its end; how many books were lent."""
    visit, left, lent = loan(Kiosk(lane="desk")), list(events), 0
    try:
        step: Any = next(visit)
        while True:
            match step:
                case Show(wait_s=0.0):
                    step = visit.send(Tick(at=at))
                case Show():
                    step = visit.send(left.pop(0))
                case Ask(request=request):
                    step = visit.send(Heard(said=_answer(request), at=at))
                case Note() | SignIn():
                    lent += isinstance(step, Note)
                    step = visit.send(Noted(name=EntryName(epoch=b"epoch--1", sequence=1), at=at))
    except StopIteration:
        return lent


def _answer(request: Any) -> Any:
    match request:
        case LookUp():
            return PATRON
        case Lend():
            return MADE
        case Secure():
            return Securing.DONE
        case _:
            return True
