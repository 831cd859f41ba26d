"""What an installer may write about cards, and what is told of a mistake."""

from pathlib import Path

import msgspec
import pytest

from drivers.clock import SystemClock
from terminal import opening
from terminal.core.card import CardPlace, CardRules, Stage
from terminal.settings import SettingsError, load

METRO = Path(__file__).parents[1] / "config" / "demo" / "metro.toml"


def test_a_lane_with_cards() -> None:
    """Slots, a module, and what is taken, likeliest first."""
    (lane, *_) = [lane for lane in load(METRO).lanes if lane.slots]
    assert lane.module is not None
    assert lane.cards == CardRules(
        accepts=("transit_purse", "social_security_card", "uid_card"),
        place=CardPlace(stage=Stage.RIDE, line="0007", station="0001"),
    )


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('stage = "ride"', 'stage = "rides"', "lanes.metro/north.cards"),
        ('stage = "ride"', 'two_cards = "both"', "lanes.metro/north.cards"),
        ('stage = "ride"', "speed = 1", "unknown key speed"),
        ('line = "0007"', 'line = "7"', "lanes.metro/north.cards.line"),
        ('station = "0001"', 'station = "00x1"', "lanes.metro/north.cards.station"),
    ],
)
def test_a_mistake_is_told_with_its_section(old: str, new: str, told: str, tmp_path: Path) -> None:
    """File, section, key."""
    site = tmp_path / "site.toml"
    site.write_text(METRO.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(SettingsError, match=told):
        load(site)


@pytest.mark.parametrize(
    ("accepts", "told"),
    [(("oyster",), "no application 'oyster'"), (("transit_purse",), "a purse without a secure module")],
)
def test_what_cannot_be_served(accepts: tuple[str, ...], told: str) -> None:
    """Found at the start, not at the first card."""
    settings = load(METRO)
    lane = msgspec.structs.replace(settings.lanes[0], module=None, cards=CardRules(accepts=accepts))
    with pytest.raises(SettingsError, match=told):
        opening.open_cards(settings, lane, SystemClock())
