"""Money on screens: every amount in its own currency, written by one function."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal.core.ledger import Where
from terminal.core.model import Amount, Reason, Show
from terminal.core.money import CURRENCIES, DIGITS, decimal, minor_of, money
from terminal.core.phrases import HINTS, PHRASES, display
from terminal.core.screen import Language
from terminal.core.screen_words import FIGURES
from tests.core.cases import yuan
from tests.core.riding import Riding, local_ms, published

WRITTEN = [
    ("nothing", 0, "CNY", "0元", "¥0"),
    ("whole yuan", 200, "CNY", "2元", "¥2"),
    ("half a yuan, as people say it", 250, "CNY", "2.5元", "¥2.5"),
    ("fen", 205, "CNY", "2.05元", "¥2.05"),
    ("less than one", 12, "CNY", "0.12元", "¥0.12"),
    ("pounds keep both digits", 350, "GBP", "3.50英镑", "£3.50"),
    ("whole pounds", 500, "GBP", "5英镑", "£5"),
    ("a currency without minor units", 230, "JPY", "230日元", "JP¥230"),
    ("a currency with three digits, by its code", 1250, "KWD", "1.250KWD", "KWD 1.250"),
    ("a currency nobody named here", 1999, "CHF", "19.99CHF", "CHF 19.99"),
]


@pytest.mark.parametrize(("sentence", "minor", "currency", "zh", "en"), WRITTEN)
def test_how_amounts_are_written(sentence: str, minor: int, currency: str, zh: str, en: str) -> None:
    """As people of that currency read them."""
    amount = Amount(minor=minor, currency=currency)
    assert (money(amount, Language.ZH), money(amount, Language.EN)) == (zh, en), sentence


@given(st.integers(0, 10**9), st.sampled_from(sorted({*CURRENCIES, *DIGITS, "CHF"})), st.sampled_from(Language))
def test_no_amount_is_lost(minor: int, currency: str, language: Language) -> None:
    """The figure read back is the amount, and it names its currency."""
    text = money(Amount(minor=minor, currency=currency), language)
    figure = "".join(character for character in text if character.isdecimal() or character == ".")
    digits = DIGITS.get(currency, 2)
    whole, _, fraction = figure.partition(".")
    assert int(whole + fraction.ljust(digits, "0")) == minor
    assert len(text) > len(figure)


@given(st.integers(0, 10**9 - 1), st.sampled_from(sorted({*CURRENCIES, *DIGITS, "CHF"})))
def test_what_is_written_is_read_back(minor: int, currency: str) -> None:
    """Every digit, whatever the currency has of them."""
    assert minor_of(decimal(minor, currency), currency) == minor


READ = [
    ("a whole amount", "12", "CNY", 1200),
    ("one digit", "12.5", "CNY", 1250),
    ("a comma", " 12,50 ", "CNY", 1250),
    ("finer than a fen, or thousands", "1.250", "CNY", None),
    ("yen", "320", "JPY", 320),
    ("yen of a system that writes hundredths", "320.00", "JPY", 320),
    ("a part of a yen", "3.20", "JPY", None),
    ("thousands of yen, or one and nothing", "1.000", "JPY", None),
    ("fils", "1.250", "KWD", 1250),
    ("no amount", "", "CNY", None),
    ("less than nothing", "-3", "CNY", None),
]


@pytest.mark.parametrize(("sentence", "text", "currency", "minor"), READ)
def test_what_may_mean_two_amounts_is_none(sentence: str, text: str, currency: str, minor: int | None) -> None:
    """Never a guess."""
    assert minor_of(text, currency) == minor, sentence


def test_signs_are_no_two_currencies() -> None:
    """Nobody takes one for another."""
    assert (
        len({one.sign for one in CURRENCIES.values()})
        == len({one.zh for one in CURRENCIES.values()})
        == len(CURRENCIES)
    )


def test_no_words_have_a_currency_of_their_own() -> None:
    """A sign in a phrase would stand beside every city's amounts."""
    words = [text for table in (PHRASES, HINTS, FIGURES) for one in table.values() for text in (one.zh, one.en)]
    signs = [sign for one in CURRENCIES.values() for sign in (one.sign, one.zh)]
    assert [text for text in words if any(sign in text for sign in signs)] == []


def test_london_is_told_in_pounds() -> None:
    """A real tariff, a real tap: what is paid and what is left to the cap."""
    outcome = Riding(published("london-bus")).tap(
        local_ms("2026-03-02 08:00", "Europe/London"), where=Where(vehicle="b", line="24")
    )
    told = next(act for act in outcome.acts if isinstance(act, Show))
    shown = display(told.reason, told.values)
    assert (shown.zh, shown.en) == ("扫码成功 1.75英镑", "Paid £1.75")
    assert "£3.50 to today's cap" in [hint.en for hint in shown.hints]
    assert "¥" not in repr(shown) and "元" not in repr(shown)


def test_beijing_is_told_in_yuan() -> None:
    """The same phrase."""
    assert display(Reason.PAID, {"fare": yuan(200)}).en == "Paid ¥2"
