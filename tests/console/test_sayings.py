"""What a kiosk can say is complete, and each of it is said by a real visit."""

from collections.abc import Callable

import pytest

from terminal.core.model import Reason
from terminal.core.screen import Language, PageKind
from tests.console.sayings import DISPLAY_SAYS, HELD_OUT, KIOSK_SAYS, LISTED, page_saying, said_from
from tests.core.test_loan import ROWS

TABLE: dict[str, object] = {"one": (Reason.PAID,)}


def _inner(given: "Callable[[], Reason]") -> Reason:
    return given()


def _uses_a_table() -> object:
    return TABLE["one"]


class _Thing:
    """Says one thing itself, and calls a function that is handed another."""

    annotated: "Reason | None" = None

    @property
    def says(self) -> Reason:
        return Reason.GRACE

    def calls(self) -> Reason:
        return _inner(lambda: Reason.CLOSED)


@pytest.mark.parametrize(
    ("sentence", "begins", "said"),
    [
        ("a function says what it names in a table", _uses_a_table, {Reason.PAID}),
        ("a class what its properties, methods and their lambdas name", _Thing, {Reason.GRACE, Reason.CLOSED}),
        ("a function that is handed everything says nothing itself", _inner, set()),
    ],
)
def test_what_code_can_say(sentence: str, begins: object, said: set[Reason]) -> None:
    """Read off its names."""
    assert said_from(begins) == said, sentence


def test_every_outcome_has_its_place() -> None:
    """On a display, at a kiosk or in the librarian's list; what a visit was seen to say is known to be said."""
    assert set(Reason) == DISPLAY_SAYS | KIOSK_SAYS | LISTED
    assert {row[4] for row in ROWS} - {None} <= KIOSK_SAYS
    assert not {Reason.LOAN_REFUSED, Reason.SIGNED_IN} & DISPLAY_SAYS
    assert {Reason.PAID, Reason.PASS_HELD, Reason.TWO_CODES, Reason.OUT_OF_SERVICE} <= DISPLAY_SAYS
    assert not {Reason.PAID, Reason.PASS_HELD, Reason.BALANCE_SHORT, Reason.CODE_USED} & KIOSK_SAYS


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("reason", sorted(KIOSK_SAYS))
def test_a_kiosk_comes_to_say_it(reason: Reason, language: Language) -> None:
    """As a headline, in the language of the page; what was held out by nobody who is signed in, at rest."""
    page = page_saying(reason, language)
    assert page.said is not None and (page.said.reason, page.language) == (reason, language)
    assert reason not in HELD_OUT or page.kind is PageKind.REST
