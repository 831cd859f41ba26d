"""Pages as data: every name has its words, and a press counts only where it is offered."""

import pytest

from terminal.core.screen import Button, Language, Page, PageKind, Press, Row, Touch, Word
from terminal.core.screen_words import BUTTONS, FIGURES, TITLES


@pytest.mark.parametrize(("names", "table"), [(PageKind, TITLES), (Touch, BUTTONS), (Word, FIGURES)])
def test_every_name_has_words_in_both_languages(names: type, table: dict[object, object]) -> None:
    """Nothing is drawn without words."""
    for name in names:  # type: ignore[attr-defined]  # an enum's members
        words = table[name]
        assert words.in_(Language.ZH) and words.in_(Language.EN)  # type: ignore[attr-defined]  # Words
        assert words.in_(Language.ZH) != words.in_(Language.EN)  # type: ignore[attr-defined]


def test_a_press_counts_only_where_it_is_offered() -> None:
    """Renewing one book is not renewing another, and a page without the button hears nothing."""
    renew = Button(touch=Touch.RENEW, of="B-1")
    page = Page(kind=PageKind.ACCOUNT, rows=(Row(id="B-1", buttons=(renew,)),), buttons=(Button(touch=Touch.DONE),))
    assert page.offers(Press(touch=Touch.DONE))
    assert page.offers(Press(touch=Touch.RENEW, of="B-1"))
    assert not page.offers(Press(touch=Touch.RENEW, of="B-2"))
    assert not page.offers(Press(touch=Touch.BORROW))
