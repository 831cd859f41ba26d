"""From positions to stops: a table, each row a sentence."""

import pytest

from terminal.core import route
from terminal.core.route import Fix
from terminal.core.tariff import Line, Stop


# Along a street to the east, 500 m apart; then back past the second stop on the other side of the same street.
def stop(name: str, lon_e6: int, lat_e6: int = 30_000_000) -> Stop:
    return Stop(id=name, lat_e6=lat_e6, lon_e6=lon_e6)


STREET = [stop(name, 104_000_000 + at * 5200) for at, name in enumerate("abcd")]
LINE = Line(stops=(*STREET, stop("e", 104_005_200, 30_000_200), Stop(id="nowhere")))


def fix(lon_e6: int, lat_e6: int = 30_000_000) -> Fix:
    return Fix(lat_e6=lat_e6, lon_e6=lon_e6, monotonic_ns=0)


@pytest.mark.parametrize(
    ("sentence", "direction", "position", "present", "expected"),
    [
        ("at the first stop", "up", fix(104_000_000), "", "a"),
        ("twenty metres past it", "up", fix(104_000_200), "a", "a"),
        ("between two stops it is the one behind", "up", fix(104_002_600), "a", "a"),
        ("at the next one", "up", fix(104_005_100), "a", "b"),
        ("far away from the line", "up", fix(104_005_100, 31_000_000), "a", "a"),
        ("on the way back past the second: ahead is believed", "up", fix(104_005_200), "d", "e"),
        ("on the way out: the nearest ahead", "up", fix(104_005_200), "a", "b"),
        ("down the line the order is turned round", "down", fix(104_005_200), "c", "b"),
        ("a stop behind is taken where none is ahead", "up", fix(104_010_400), "e", "c"),
        ("a stop nobody knows any more", "up", fix(104_015_600), "gone", "d"),
    ],
)
def test_stop_at(sentence: str, direction: str, position: Fix, present: str, expected: str) -> None:
    """The stop last reached."""
    assert route.stop_at(LINE, direction, position, present, 60) == expected, sentence


@pytest.mark.parametrize(
    ("direction", "present", "steps", "expected"),
    [
        ("up", "a", 1, "b"),
        ("up", "b", -1, "a"),
        ("up", "a", -1, None),
        ("down", "b", 1, "a"),
        ("down", "a", 1, None),
        ("up", "", 1, "a"),
        ("up", "", -1, None),
        ("down", "", 1, "nowhere"),
    ],
)
def test_neighbour(direction: str, present: str, steps: int, expected: str | None) -> None:
    """The next stop, or the one before; from nowhere one begins at the first."""
    assert route.neighbour(LINE, direction, present, steps) == expected


def test_a_line_without_stops_has_no_neighbours() -> None:
    assert route.neighbour(Line(stops=()), "up", "", 1) is None


def test_metres() -> None:
    """A thousandth of a degree of latitude is 111.2 m; of longitude, at 60 degrees, half of that."""
    assert route.metres_between(30_000_000, 104_000_000, 30_001_000, 104_000_000) == pytest.approx(111.2, abs=0.1)
    assert route.metres_between(60_000_000, 10_000_000, 60_000_000, 10_001_000) == pytest.approx(55.6, abs=0.1)
