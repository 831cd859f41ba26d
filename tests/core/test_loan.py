"""The library kiosk's visit, a sentence a row."""

import pytest

from terminal.core.library import Silence
from terminal.core.model import Reason
from terminal.core.screen import PageKind, Touch
from tests.core.visiting import Visiting, silent


def test_a_reader_borrows_two_books_and_is_done() -> None:
    """Card, books, done: each loan is written before its page."""
    visit = Visiting().card().lays("B-1", "B-2")
    assert [row.id for row in visit.page.rows] == ["B-1", "B-2"]
    assert visit.headline is Reason.BORROWED and visit.page.rows[0].due == "2027-02-14"
    visit.press(Touch.DONE)
    assert (visit.page.kind, visit.headline) == (PageKind.REST, Reason.READER_SESSION_END)
    assert visit.facts() == [("lent", "borrowed", False, False)] * 2


def test_a_book_is_given_back_without_a_card() -> None:
    """Nobody signs in."""
    visit = Visiting().press(Touch.RETURN).lays("B-1").press(Touch.DONE)
    assert visit.facts() == [("returned", "returned", False, False)]
    assert (visit.page.kind, visit.headline) == (PageKind.REST, None)


@pytest.mark.parametrize("silence", [one for one in Silence if one is not Silence.UNSAYABLE])
def test_while_the_library_system_is_away_the_site_lends(silence: Silence) -> None:
    """Whatever kind of silence it is; what may have counted is doubtful."""
    visit = Visiting(answer=silent(silence)).card().lays("B-1")
    doubtful = silence not in (Silence.UNREACHABLE, Silence.NOT_LOGGED_IN)
    assert visit.facts() == [("lent", "borrowed_offline", True, doubtful)]
    assert visit.page.offline and visit.headline is Reason.BORROWED_OFFLINE


def test_nobody_sees_the_last_readers_account() -> None:
    """An account that nobody touches ends by itself."""
    visit = Visiting().card().press(Touch.ACCOUNT)
    assert visit.page.kind is PageKind.ACCOUNT and visit.page.private and len(visit.page.rows) == 2
    assert not visit.waits(29).partings
    assert visit.waits(2).partings
    assert visit.pages[-1].kind is PageKind.REST and not visit.pages[-1].private
