"""What a screen shows: every outcome has a colour, a shape and words for it; at rest it shows what is true."""

from typing import Any

import pytest

from terminal.console.picture import SHAPES, out_of_service, picture_of, resting
from terminal.console.touch import drawn
from terminal.core.model import Reason
from terminal.core.phrases import PROMPTS, Light, display
from terminal.core.screen import Language, Page, PageKind, Said
from tests.core.cases import yuan

UP, DOWN = {"up": True}, {"up": False}
READY = PROMPTS["fare"].zh.split(" ")[0]


@pytest.mark.parametrize("reason", Reason)
def test_every_outcome_has_a_picture(reason: Reason) -> None:
    """Words in both languages, and it goes by itself."""
    picture = picture_of(display(reason, {"fare": "2"}, "7KD2XQ"))
    assert picture.zh.title and picture.en.title and picture.proof == "7KD2XQ"
    assert 2 <= picture.stays_s <= 8


def test_nothing_is_told_by_colour_alone() -> None:
    """Lights of another colour have another shape."""
    assert set(SHAPES) == set(Light)
    colours = {light.value.split("_")[0]: shape for light, shape in SHAPES.items() if light is not Light.RED_STEADY}
    assert len(set(colours.values())) == len(colours)


def test_the_first_words_are_the_huge_ones() -> None:
    """What is spoken stands first, amounts under it."""
    picture = picture_of(display(Reason.PAID_BY_CARD, {"fare": yuan(200), "balance": yuan(4850), "to_cap": yuan(300)}))
    assert (picture.zh.title, picture.zh.detail, picture.zh.hints) == (
        "刷卡成功", "2元 余额48.5元", ("距今日封顶还差3元",),
    )  # fmt: skip
    assert (picture.en.title, picture.en.detail) == ("Paid ¥2", "Balance ¥48.5")


@pytest.mark.parametrize(
    ("sentence", "status", "title"),
    [
        ("nothing is known yet", {}, READY),
        ("a reader works", {"devices": {"front/0": UP, "front/gate": DOWN}}, READY),
        ("one of two readers works", {"devices": {"front/0": DOWN, "front/card0": UP}}, READY),
        ("no reader works", {"devices": {"front/0": DOWN, "front/card0": DOWN, "front/gate": UP}}, "本机暂停服务"),
        ("another lane's reader is down", {"devices": {"rear/0": DOWN, "front/0": UP}}, READY),
        ("a lane whose name begins alike", {"devices": {"front/b/0": DOWN, "front/0": UP}}, READY),
        ("an emergency", {"emergency": True, "devices": {"front/0": UP}}, "紧急疏散"),
    ],
)
def test_at_rest(sentence: str, status: dict[str, Any], title: str) -> None:
    """A screen that nobody stands before."""
    assert resting(status, "front", "fare").zh.title == title, sentence


@pytest.mark.parametrize(("language", "title"), [(Language.ZH, "二维码已过期"), (Language.EN, "Code expired")])
def test_a_kiosk_asks_for_no_ride_code(language: Language, title: str) -> None:
    """Its pages say, and name the recording of, a library's words."""
    said = drawn(Page(kind=PageKind.REST, language=language, said=Said(reason=Reason.CODE_EXPIRED)))["said"]
    assert (said["title"], said["voice"]) == (title, "code_expired_other")


def test_every_service_has_a_prompt() -> None:
    """One that is not named gets the general words."""
    assert resting({}, "x", "loan").zh.title and resting({}, "x", "admission").zh.title


def test_a_page_that_hears_nothing_says_so() -> None:
    """In both languages."""
    assert (out_of_service().zh.title, out_of_service().en.title) == ("本机暂停服务", "Out of service")
