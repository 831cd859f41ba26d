"""Words, tone and light: the table is whole, and keeps its laws."""

import re

import msgspec
import pytest

from terminal.core.model import Reason
from terminal.core.phrases import PHRASES, Light, Tone, display, recordings, speech, spoken
from tests.core.cases import yuan

TRY_AGAIN = (
    Reason.CODE_EXPIRED,
    Reason.CODE_USED,
    Reason.MALFORMED,
    Reason.TOO_SOON,
    Reason.GATE_BUSY,
    Reason.CODE_FROM_FUTURE,
)
CLASSES = ("学生", "老年", "老人", "优待", "免费", "残疾", "student", "senior", "elder", "disabled", "concession")


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_words(reason: Reason) -> None:
    """A new reason cannot be forgotten: both languages, tone and light."""
    phrase = PHRASES[reason]
    assert phrase.zh and phrase.en
    assert any("\u4e00" <= character <= "\u9fff" for character in phrase.zh)


@pytest.mark.parametrize("reason", [one for one in Reason if PHRASES[one].light.value.startswith("green")])
def test_after_a_debit_only_ok_tones(reason: Reason) -> None:
    """Nobody who may go hears a refusal; in an emergency it is the fire panel that sounds."""
    fine = (Tone.OK, Tone.OK_SOFT, Tone.OK_THEN_NOTICE)
    assert PHRASES[reason].tone in (fine if reason is not Reason.EMERGENCY else (Tone.EVACUATE,))


@pytest.mark.parametrize("reason", TRY_AGAIN)
def test_red_only_where_trying_again_cannot_help(reason: Reason) -> None:
    """What another try mends is amber."""
    assert PHRASES[reason].light is Light.AMBER


@pytest.mark.parametrize("reason", Reason)
def test_the_class_of_a_person_is_never_told(reason: Reason) -> None:
    """Neither spoken nor shown."""
    text = PHRASES[reason].zh + PHRASES[reason].en.lower()
    assert not any(word in text for word in CLASSES)


DISCREET = (
    Reason.BLOCKED,
    Reason.REPORTED_LOST,
    Reason.STATUS_REVOKED,
    Reason.STATUS_SUSPENDED,
    Reason.PURSE_LOCKED,
)


@pytest.mark.parametrize("reason", DISCREET)
def test_who_stands_by_learns_nothing_of_a_block(reason: Reason) -> None:
    """It looks and sounds exactly like a clock nobody is sure of, and no alarm is in it."""
    shown = display(reason, {"hotline": "12333"}, "7KD2XQ")
    other = display(Reason.CLOCK_UNSURE, {}, "7KD2XQ")
    assert msgspec.structs.replace(shown, reason=Reason.CLOCK_UNSURE, voice=other.voice) == other
    assert (shown.tone, shown.light, speech(reason)) == (Tone.NOTICE, Light.BLUE, speech(Reason.CLOCK_UNSURE))


BETRAYING = ("挂失", "暂停", "停用", "冻结", "锁", "lost", "hold", "block", "suspend", "revoke", "stolen")


@pytest.mark.parametrize("reason", Reason)
def test_no_display_says_why_somebody_is_blocked(reason: Reason) -> None:
    """But that the machine itself is out of service, and that a card is to be held still."""
    phrase = PHRASES[reason]
    text = (phrase.zh + phrase.en.lower()).replace("本机暂停服务", "").replace("hold still", "")
    assert not any(word in text for word in BETRAYING), text


@pytest.mark.parametrize(
    ("service", "zh", "en", "voice"),
    [
        ("fare", "乘车码已过期 请刷新", "Please show the ride code", "code_expired"),
        ("admission", "入园码已过期 请刷新", "Please show the code", "code_expired_admission"),
        ("loan", "二维码已过期 请刷新", "Please show the code", "code_expired_other"),
        ("check_in", "二维码已过期 请刷新", "Please show the code", "code_expired_other"),
    ],
)
def test_a_code_is_called_what_the_service_calls_it(service: str, zh: str, en: str, voice: str) -> None:
    """Nobody at a library is asked for a code to ride with; what is said aloud is what is shown."""
    expired = display(Reason.CODE_EXPIRED, {}, service=service)
    assert (expired.zh, expired.voice, spoken(expired)) == (zh, voice, speech(Reason.CODE_EXPIRED, service).zh)
    assert display(Reason.UNKNOWN_FORMAT, {}, service=service).en == en
    assert recordings()[voice] == speech(Reason.CODE_EXPIRED, service)


@pytest.mark.parametrize("reason", Reason)
def test_only_who_rides_hears_of_a_ride_code(reason: Reason) -> None:
    """Every other service has words of its own, and all of them are said aloud under a name of their own."""
    for service in ("admission", "loan", "inquiry"):
        shown = display(reason, {}, service=service)
        assert "乘车码" not in shown.zh and "ride code" not in shown.en
        assert recordings()[shown.voice] == speech(reason, service)
        ridden = display(reason, {})
        assert (shown.voice == ridden.voice) is ((shown.zh, shown.en) == (ridden.zh, ridden.en))


def test_placeholders_are_filled() -> None:
    """The fare is on the display and in the voice's screen part only."""
    shown = display(Reason.PAID, {"fare": yuan(200)})
    assert (shown.zh, shown.en) == ("扫码成功 2元", "Paid ¥2")
    assert spoken(shown) == "扫码成功"


@pytest.mark.parametrize("reason", Reason)
def test_a_missing_value_never_fails(reason: Reason) -> None:
    """Without values the phrase stands without them."""
    shown = display(reason, {})
    assert "{" not in shown.zh + shown.en and shown.zh and shown.en


@pytest.mark.parametrize("values", [{}, {"due": ""}])
def test_a_sentence_without_its_value_is_not_said(values: dict[str, str]) -> None:
    """A library system may lend without naming a day."""
    shown = display(Reason.BORROWED, values)
    assert (shown.zh, shown.en) == ("借书成功", "Borrowed")
    assert display(Reason.BORROWED, {"due": "2027-01-01"}).en == "Borrowed. Due 2027-01-01"


@pytest.mark.parametrize("reason", list(Reason))
def test_what_is_spoken_has_no_figure_and_no_placeholder(reason: Reason) -> None:
    """In both languages: figures differ from tap to tap, recordings do not."""
    said = speech(reason)
    assert said.zh and said.en
    assert not re.search(r"[{}0-9¥]", said.zh + said.en)
