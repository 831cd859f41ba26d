"""What past entries say: tables of cases, each row a sentence."""

from typing import Any

import msgspec
import pytest

from terminal.core import history
from terminal.core.model import History, PassageMode, UseState
from terminal.core.parameters import PassBack, PassBackScope, Tariff
from tests.core.cases import ADULT, NOW_MS, STUDENT, credential, instant, parameters, ref, use

SENSOR = PassageMode.SENSOR


def test_the_keys_asked_for_are_code_twin_medium_and_account() -> None:
    """Everything a use can be found by is asked for, and nothing else."""
    held = credential()
    assert history.keys(held, None) == (ref("code-1"), ref("twin code-1"), ref("amber"))
    assert history.keys(held, ref("account"))[-1] == ref("account")


def test_the_look_back_covers_the_longest_window() -> None:
    """An hour for codes, or the longest pass-back window of the tariff."""
    assert history.horizon_ms(parameters(ADULT), instant()) == NOW_MS - 3_600_000
    long = PassBack(window_s=7200)
    product = type(ADULT)(id="slow", services=("fare",), fare_fen=1, pass_back=long)
    assert history.horizon_ms(parameters(product), instant()) == NOW_MS - 7_200_000


def test_the_look_back_is_bounded_whatever_the_tariff_says() -> None:
    """No product at all, or a window longer than time itself: still a moment a database can be asked for."""
    empty = msgspec.structs.replace(parameters(ADULT), tariff=Tariff(products=()))
    assert history.horizon_ms(empty, instant()) == NOW_MS - 3_600_000
    ages = type(ADULT)(id="ages", services=("fare",), fare_fen=1, pass_back=PassBack(window_s=1 << 70))
    assert history.horizon_ms(parameters(ages), instant()) == 0


def test_a_use_both_durable_and_pending_is_one_use() -> None:
    """For a moment the same grant is on the disk and still reserved: it counts once, by its durable self."""
    found = history.gather(credential(), None, [use(), use(name=None)])
    assert len(found.same_code) == 1
    assert found.same_code[0].name is not None


def test_gathering_sorts_by_code_and_by_party() -> None:
    """Another code of the same account is the same party, not the same code."""
    other = use("phone", "code-2", account=ref("account"), at_ms=NOW_MS - 5)
    found = history.gather(credential(), ref("account"), [use(at_ms=NOW_MS - 9), other, use("stranger", "code-3")])
    assert [item.medium for item in found.same_party] == [ref("phone"), ref("amber")]
    assert [item.code_key for item in found.same_code] == [ref("code-1")]


@pytest.mark.parametrize(
    ("sentence", "state", "expected"),
    [
        ("a committed use stands against its code", UseState.COMMITTED, True),
        ("a reserved one too", UseState.RESERVED, True),
        ("an unknown passage keeps its code used", UseState.UNKNOWN, True),
        ("an annulled one stands against nothing", UseState.ANNULLED, False),
    ],
)
def test_used(sentence: str, state: UseState, expected: bool) -> None:
    """A code is used unless its use was annulled."""
    assert (history.used(credential(), History(same_code=(use(state=state),))) is not None) is expected, sentence


def test_a_resigned_second_is_the_same_use() -> None:
    """Other bytes for the same account and second are caught by the twin key."""
    resigned = credential(code_keys=(ref("other bytes"),))
    assert history.used(resigned, history.gather(resigned, None, [use()])) is not None


@pytest.mark.parametrize(
    ("sentence", "earlier", "lane", "expected"),
    [
        ("on the same vehicle it is a question", {}, "rear", True),
        ("at the same gate before the passage too", {"passage": SENSOR, "state": UseState.RESERVED}, "front", True),
        ("at another gate it is a refusal", {"passage": SENSOR, "state": UseState.RESERVED}, "rear", False),
        ("after the passage it is a refusal", {"passage": SENSOR, "state": UseState.COMMITTED}, "front", False),
        ("an unknown passage is a refusal", {"passage": SENSOR, "state": UseState.UNKNOWN}, "front", False),
    ],
)
def test_repeat_is_question(sentence: str, earlier: dict[str, Any], lane: str, expected: bool) -> None:
    """Showing a used code again asks "did it work?" only where nobody else could use it."""
    assert history.repeat_is_question(use(**earlier), lane) is expected, sentence


DAY_MS = 86_400_000
OWN = PassBack(window_s=600)
THREE = PassBack(window_s=600, companions=2)
BY_MEDIUM = PassBack(window_s=600, companions=0, scope=PassBackScope.MEDIUM)
PHONE: dict[str, Any] = {"name": None, "medium": ref("phone"), "account": ref("account")}


@pytest.mark.parametrize(
    ("sentence", "pass_back", "earlier", "expected"),
    [
        ("no window, no rule", PassBack(window_s=0), [use()], False),
        ("own use: the second is too soon", OWN, [use()], True),
        ("own use: after the window it is fine", OWN, [use(at_ms=NOW_MS - 600_000)], False),
        ("two companions: the third tap passes", THREE, [use(), use()], False),
        ("two companions: the fourth does not", THREE, [use(), use(), use()], True),
        ("an unknown passage does not bar the account", OWN, [use(state=UseState.UNKNOWN)], False),
        ("a fully annulled one neither", OWN, [use(state=UseState.ANNULLED, annulled_persons=1)], False),
        ("a half-walked group does", OWN, [use(state=UseState.ANNULLED, persons=5, annulled_persons=2)], True),
        ("by account: the linked card counts", OWN, [use(**PHONE)], True),
        ("two lanes' taps cross: a moment later counts", OWN, [use(at_ms=NOW_MS + 2000)], True),
        ("a use of a clock that ran ahead bars nobody", OWN, [use(at_ms=NOW_MS + 86_400_000)], False),
        ("by medium: the linked card does not", BY_MEDIUM, [use(**PHONE)], False),
    ],
)
def test_too_soon(sentence: str, pass_back: PassBack, earlier: list[object], expected: bool) -> None:
    """Pass-back is a function of product, party and what stands charged."""
    past = History(same_party=tuple(earlier))  # type: ignore[arg-type]  # rows of the table
    assert history.too_soon(pass_back, credential(), ref("account"), past, instant(), 0) is expected, sentence


@pytest.mark.parametrize(
    ("sentence", "pass_back", "earlier", "run_ms", "expected"),
    [
        ("on the same run", OWN, [use(at_ms=NOW_MS - 5000)], NOW_MS - 60_000, True),
        ("in the moment in which it began", OWN, [use(at_ms=NOW_MS - 5000)], NOW_MS - 5000, True),
        ("before the bus turned round", OWN, [use(at_ms=NOW_MS - 5000)], NOW_MS - 4999, False),
        ("once on the way there, once on the way back", OWN, [use(), use(at_ms=NOW_MS - 5000)], NOW_MS - 1000, True),
        ("companions of the way there", THREE, [use(at_ms=NOW_MS - 5000)] * 3, NOW_MS - 1000, False),
        ("the other lane's tap crossed the driver's turn", OWN, [use(at_ms=NOW_MS - 5000)], NOW_MS + 2000, False),
        ("the run began while the clock ran ahead", OWN, [use(at_ms=NOW_MS - 5000)], NOW_MS + DAY_MS, True),
    ],
)
def test_pass_back_is_of_one_run(
    sentence: str, pass_back: PassBack, earlier: list[object], run_ms: int, expected: bool
) -> None:
    """Whoever rode before the vehicle turned round rides anew, however soon."""
    past = History(same_party=tuple(earlier))  # type: ignore[arg-type]  # rows of the table
    found = history.too_soon(pass_back, credential(), ref("account"), past, instant(), run_ms)
    assert found is expected, sentence


@pytest.mark.parametrize(
    ("sentence", "pass_back", "earlier", "run_ms", "expected"),
    [
        ("no window, nobody comes along", PassBack(window_s=0), [use()], 0, False),
        ("on board since a moment ago", THREE, [use(at_ms=NOW_MS - 5000)], NOW_MS - 60_000, True),
        ("on board before the bus turned round", THREE, [use(at_ms=NOW_MS - 5000)], NOW_MS - 1000, False),
        ("since the clock ran ahead", THREE, [use(at_ms=NOW_MS - 5000)], NOW_MS + DAY_MS, True),
        ("after the window", THREE, [use(at_ms=NOW_MS - 600_000)], 0, False),
        ("taken back", THREE, [use(state=UseState.ANNULLED, annulled_persons=1)], 0, False),
        ("by account: the linked card is on board", OWN, [use(**PHONE)], 0, True),
        ("by medium: it is somebody else's", BY_MEDIUM, [use(**PHONE)], 0, False),
    ],
)
def test_rides_along(sentence: str, pass_back: PassBack, earlier: list[object], run_ms: int, expected: bool) -> None:
    """A companion is somebody whose party is on board, as pass-back tells it."""
    past = History(same_party=tuple(earlier))  # type: ignore[arg-type]  # rows of the table
    found = history.rides_along(pass_back, credential(), ref("account"), past, instant(), run_ms)
    assert found is expected, sentence


@pytest.mark.parametrize("ahead_ms", [61_000, DAY_MS, 365 * DAY_MS])
def test_a_use_of_a_clock_that_ran_ahead_is_not_young(ahead_ms: int) -> None:
    """Once the floor is down again it is no free repeat and no paid way; what came since is; its code stays used."""
    ahead, code = use(at_ms=NOW_MS + ahead_ms), credential()
    unknown = msgspec.structs.replace(ahead, state=UseState.UNKNOWN)
    assert history.asked_again(code, History(same_party=(ahead,)), instant(), 60) is None
    assert history.unwalked(code, History(same_party=(unknown,)), "front", instant(), 60) is None
    since = use(at_ms=NOW_MS - 5000)
    assert history.asked_again(code, History(same_party=(ahead, since)), instant(), 60) == since
    assert history.used(code, history.gather(code, None, [ahead])) == ahead


def test_left_over_is_the_newest_annulled_use_only() -> None:
    """People left outside may come again until somebody used the code anew."""
    annulled = use(state=UseState.ANNULLED, persons=5, passed=3, annulled_persons=2)
    assert history.left_over(History(same_code=(annulled,))) == annulled
    assert history.left_over(History(same_code=(use(), annulled))) is None
    assert history.left_over(History()) is None


def test_student_products_are_listed_before_the_ordinary_one() -> None:
    """The shared tables put the narrower product first, as an operator does."""
    assert parameters().tariff.products[:2] == (STUDENT, ADULT)
