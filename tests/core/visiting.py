"""Walking through a kiosk's visits without a kiosk: people, books and a library system's answers in turn."""

from collections.abc import Callable
from typing import Any

import msgspec

from terminal.core.base import EntryName
from terminal.core.items import Content, Pad, Securing, Tag, pad_of
from terminal.core.library import Item, Loan, Patron, ReaderNumber, Return, Silence
from terminal.core.loans import Circulated
from terminal.core.model import Credential, Instant, Medium, Outcome, Reading, Reason, Refusal
from terminal.core.parameters import ParameterSet
from terminal.core.screen import Page, Press, Touch
from terminal.core.services.loan import Parting, loan
from terminal.core.services.loan_rules import OfflinePolicy
from terminal.core.services.loan_session import Kiosk
from terminal.core.visit import (
    EndSession,
    Event,
    Heard,
    Known,
    Laid,
    Lend,
    LookAt,
    LookUp,
    Note,
    Noted,
    Presented,
    Pressed,
    Renew,
    Request,
    Scanned,
    Secure,
    Show,
    SignIn,
    TakeBack,
    Tick,
)
from tests.core.cases import NOW_MS, credential, instant, parameters

AMBER = Known(number=ReaderNumber("R-1"), reader_class="adult")
POLICY = OfflinePolicy(loans=2, days=30, classes=("adult",))
KIOSK = Kiosk(lane="desk", offline=POLICY)
DUE = "20270214    235959"
PATRON = Patron(
    valid=True,
    password_valid=None,
    may_borrow=True,
    may_renew=True,
    blocked_why=(),
    holds=1,
    overdue=0,
    charged=2,
    fines=0,
    fee_minor=1250,
    currency="CNY",
    items=("B-1", "B-2"),
    message="",
)


ITEM = Item(barcode="", title="", circulation_status=4, security_marker=2, due=DUE, message="")


def lent(barcode: str, **changes: Any) -> Loan:
    """The library system lends."""
    made = Loan(
        ok=True, renewed=False, desensitise=True, barcode=barcode, title="三体", due=DUE, fee_minor=None, message=""
    )
    return msgspec.structs.replace(made, **changes)


def taken_back(barcode: str, **changes: Any) -> Return:
    """The library system takes a book back."""
    made = Return(ok=True, resensitise=True, alert=False, barcode=barcode, title="三体", home="", bin="", message="")
    return msgspec.structs.replace(made, **changes)


def pad(*barcodes: str, parts: int = 1) -> Pad:
    """Books on the pad, each with one tag."""
    return pad_of(
        Tag(uid=f"E0{number:014X}", content=Content(item=barcode, parts=parts), secured=True)
        for number, barcode in enumerate(barcodes)
    )


def kindly(request: Request) -> Any:
    """A library system, and a pad, that do everything."""
    match request:
        case LookUp(listed=0):
            return msgspec.structs.replace(PATRON, items=("B-9",))
        case LookUp():
            return PATRON
        case LookAt(barcode=barcode):
            return Item(
                barcode=barcode,
                title=f"title of {barcode}",
                circulation_status=8 if barcode == "B-9" else 4,
                security_marker=2,
                due=DUE,
                message="",
            )
        case Lend(barcode=barcode) | Renew(barcode=barcode):
            return lent(barcode)
        case TakeBack(barcode=barcode):
            return taken_back(barcode)
        case Secure():
            return Securing.DONE
        case EndSession():
            return True


def answering(**by_kind: Any) -> Callable[[Request], Any]:
    """As `kindly`, but for these kinds of requests; a callable is asked, an Exception's place is taken by None."""

    def answer(request: Request) -> Any:
        said = by_kind.get(type(request).__name__, kindly)
        return said(request) if callable(said) else said

    return answer


def silent(silence: Silence) -> Callable[[Request], Any]:
    """A library system that says nothing, and a pad that works."""
    return lambda request: kindly(request) if isinstance(request, Secure) else silence


class Visiting:
    """One kiosk, visit after visit."""

    def __init__(
        self,
        kiosk: Kiosk = KIOSK,
        answer: Callable[[Request], Any] = kindly,
        held: ParameterSet | None = None,
        uncertainty_ms: int = 0,
    ) -> None:
        self.kiosk, self.answer = kiosk, answer
        self.held = held or parameters()
        self.uncertainty_ms = uncertainty_ms  # of the clock
        self.full = False  # the disk
        self.s = self._shown_s = 0.0
        self.pages: list[Page] = []
        self.asked: list[Request] = []
        self.written: list[Circulated | Outcome] = []
        self.partings: list[Parting] = []
        self._visit = loan(kiosk)
        self._step: Any = next(self._visit)
        self._on()

    # ----------------------------------------------------------------------- what happens

    def card(self, who: str = "amber", known: Known | None = AMBER, **changes: Any) -> "Visiting":
        """A card is held out."""
        claim = changes.pop("claim", None) or credential(who, **changes)
        shown = presented(claim, known, self._at())
        return self._happens(msgspec.structs.replace(shown, parameters=self.held))

    def lays(self, *barcodes: str, parts: int = 1) -> "Visiting":
        """This lies on the pad now."""
        return self._happens(Laid(pad=pad(*barcodes, parts=parts), at=self._at()))

    def scans(self, barcode: str) -> "Visiting":
        """A barcode is read."""
        return self._happens(Scanned(barcode=barcode, at=self._at()))

    def press(self, touch: Touch, of: str = "") -> "Visiting":
        """A button that the page offers is touched."""
        press = Press(touch=touch, of=of)
        assert self.page.offers(press), f"{touch} is not offered on {self.page}"
        return self._happens(Pressed(press=press, at=self._at()))

    def waits(self, seconds: float) -> "Visiting":
        """Nobody acts for so long."""
        until = self.s + seconds
        while isinstance(self._step, Show) and self._step.wait_s is not None:
            if self._shown_s + self._step.wait_s > until:
                break
            self.s = self._shown_s + self._step.wait_s
            self._happens(Tick(at=self._at()))
        self.s = until
        return self

    # ----------------------------------------------------------------------- what is seen

    @property
    def page(self) -> Page:
        """What is on the screen."""
        return self.pages[-1]

    @property
    def headline(self) -> Reason | None:
        """What it says."""
        return None if self.page.said is None else self.page.said.reason

    def facts(self) -> list[tuple[str, str, bool, bool]]:
        """What was written of books: what, why, whether it waits, whether it is doubtful."""
        return [
            (one.what.value, one.reason.value, one.waits, one.doubtful)
            for one in self.written
            if isinstance(one, Circulated)
        ]

    # ----------------------------------------------------------------------- inside

    def _at(self) -> Instant:
        return instant(self.s, monotonic_ns=round(self.s * 1e9), uncertainty_ms=self.uncertainty_ms)

    def _happens(self, event: Event) -> "Visiting":
        self._send(event)
        self._on()
        return self

    def _send(self, value: Any) -> None:
        try:
            self._step = self._visit.send(value)
        except StopIteration as end:
            self.partings.append(end.value)
            self._visit = loan(self.kiosk, end.value)
            self._step = next(self._visit)

    def _on(self) -> None:
        """Answer until somebody has to act."""
        while True:
            match self._step:
                case Show(page=page, wait_s=wait_s):
                    self.pages.append(page)
                    self._shown_s = self.s
                    if wait_s != 0.0:
                        return
                    self._send(Tick(at=self._at()))
                case Note(fact=fact):
                    self._send(self._noted(fact))
                case SignIn(outcome=outcome):
                    self._send(self._noted(outcome))
                case ask:
                    self.asked.append(ask.request)
                    self._send(Heard(said=self.answer(ask.request), at=self._at()))

    def _noted(self, one: Circulated | Outcome) -> Noted:
        if self.full:
            return Noted(name=None, at=self._at())
        self.written.append(one)
        return Noted(name=EntryName(epoch=b"epoch--1", sequence=len(self.written)), at=self._at())


def presented(claim: Credential | Refusal, known: Known | None, at: Instant) -> Presented:
    """A card that was verified, with whoever is linked to it."""
    return Presented(
        claim=claim,
        account=None,
        known=known,
        medium=Medium.CARD,
        reader="desk/card0",
        payload=b"number",
        seen=Reading(utc_ms=NOW_MS, monotonic_ns=0),
        parameters=parameters(),
        at=at,
    )
