"""Instants, floors, service days, months."""

from datetime import UTC, date, datetime

import pytest

from terminal.core.model import Reading, TimeSource
from terminal.core.time import Floor, lowered_ms, month_end_ms, not_before, service_day, settle


def ms(text: str) -> int:
    """Unix milliseconds of an ISO time."""
    return int(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("floor_ms", "utc_ms", "source"),
    [(0, 1000, TimeSource.SYSTEM), (1000, 1000, TimeSource.SYSTEM), (1001, 1001, TimeSource.FLOOR)],
)
def test_time_never_falls_below_the_floor(floor_ms: int, utc_ms: int, source: TimeSource) -> None:
    """Behind the last journalled time that floor is used, and said so."""
    found = settle(Reading(utc_ms=1000, monotonic_ns=5, uncertainty_ms=7), floor_ms)
    assert (found.utc_ms, found.source, found.uncertainty_ms, found.monotonic_ns) == (utc_ms, source, 7, 5)
    assert found.utc_s == 1


def test_an_instant_is_brought_up_to_a_floor_found_later() -> None:
    """And says so; one that is not behind stays as it is."""
    at = settle(Reading(utc_ms=1000, monotonic_ns=5, uncertainty_ms=7), 0)
    assert not_before(at, 1000) is at
    found = not_before(at, 1001)
    assert (found.utc_ms, found.source, found.monotonic_ns) == (1001, TimeSource.FLOOR, 5)


@pytest.mark.parametrize(
    ("sentence", "utc_ms", "after_ms", "expected"),
    [
        ("the clock was set back: the floor has run on", 0, 90_000, (190_000, TimeSource.FLOOR)),
        ("a clock that lags within the slack is believed", 189_500, 90_000, (189_500, TimeSource.SYSTEM)),
        ("… but never below the floor itself", 99_900, 500, (100_000, TimeSource.FLOOR)),
        ("a clock ahead is believed", 500_000, 90_000, (500_000, TimeSource.SYSTEM)),
        ("a reading from before the floor was journalled", 0, -50, (100_000, TimeSource.FLOOR)),
    ],
)
def test_the_floor_runs_on(sentence: str, utc_ms: int, after_ms: int, expected: tuple[int, TimeSource]) -> None:
    """Ninety seconds after 100 s were journalled, by CLOCK_MONOTONIC."""
    since = Floor(utc_ms=100_000, monotonic_ns=7_000_000_000)
    at_ns = since.monotonic_ns + after_ms * 1_000_000
    found = settle(Reading(utc_ms=utc_ms, monotonic_ns=at_ns, uncertainty_ms=30_000), 100_000, since)
    assert (found.utc_ms, found.source) == expected, sentence


@pytest.mark.parametrize(
    ("sentence", "system_s", "floor_s", "office_s", "expected_s"),
    [
        ("both say the same, and the floor ran away", 10_000, 99_000, 10_001, 10_001),
        ("the later of the two", 10_200, 99_000, 10_000, 10_200),
        ("the floor is ahead by less than would matter", 10_000, 10_300, 10_000, None),
        ("the clock says otherwise", 9_000, 99_000, 10_000, None),
        ("the clock agrees with the floor", 99_000, 99_000, 10_000, None),
        ("the floor is behind", 10_000, 9_000, 10_000, None),
    ],
)
def test_two_witnesses_lower_the_floor(
    sentence: str, system_s: int, floor_s: int, office_s: int, expected_s: int | None
) -> None:
    """Within five minutes of each other, and the floor more than that ahead of both."""
    reading = Reading(utc_ms=system_s * 1000, monotonic_ns=0)
    expected = None if expected_s is None else expected_s * 1000
    assert lowered_ms(reading, floor_s * 1000, office_s * 1000) == expected, sentence


def test_a_synchronised_clock_is_believed_as_soon_as_it_has_caught_up() -> None:
    """Behind the floor it was the floor that was wrong: it stands, and does not run away from the clock."""
    since = Floor(utc_ms=100_000, monotonic_ns=0)
    for utc_ms, right_ms in ((40_000, 100_000), (99_999, 100_000), (100_001, 100_001)):
        reading = Reading(utc_ms=utc_ms, monotonic_ns=90_000_000_000, uncertainty_ms=20)
        assert settle(reading, 100_000, since).utc_ms == right_ms


@pytest.mark.parametrize(
    ("at", "day"),
    [
        ("2026-11-24T03:59:59+08:00", date(2026, 11, 23)),
        ("2026-11-24T04:00:00+08:00", date(2026, 11, 24)),
        ("2026-11-25T03:59:59+08:00", date(2026, 11, 24)),
    ],
)
def test_a_service_day_starts_when_the_tariff_says(at: str, day: date) -> None:
    """Half past three at night is still yesterday's service."""
    assert service_day(ms(at), "Asia/Shanghai", "04:00") == day


@pytest.mark.parametrize(
    ("month", "year", "end"), [(6, 2020, "2020-06-30T23:59:59.999+08:00"), (12, 2039, "2039-12-31T23:59:59.999+08:00")]
)
def test_a_month_ends_in_its_zone(month: int, year: int, end: str) -> None:
    """The last millisecond of the month at UTC+8."""
    assert month_end_ms(month, year, 480) == ms(end)
    assert datetime.fromtimestamp((month_end_ms(month, year, 0) + 1) / 1000, UTC).day == 1
