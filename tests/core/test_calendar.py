"""Windows and hours: by service day, by civil day, over midnight."""

from datetime import date
from typing import Any

import pytest

from terminal.core.fares import calendar
from terminal.core.tariff import Calendar, DayKind, Hours, Period
from tests.core.riding import local_ms

ZONE = "Asia/Shanghai"
GOLDEN_WEEK = Calendar(holidays=("2026-10-01",), workdays=("2026-10-10",))


@pytest.mark.parametrize(
    ("sentence", "period", "at", "first"),
    [
        ("a day after four", Period.DAY, "2026-03-02 04:00", date(2026, 3, 2)),
        ("a minute before four is yesterday", Period.DAY, "2026-03-02 03:59", date(2026, 3, 1)),
        ("a week begins on Monday", Period.WEEK, "2026-03-08 23:00", date(2026, 3, 2)),
        ("Monday before four is last week", Period.WEEK, "2026-03-09 03:00", date(2026, 3, 2)),
        ("a month begins on its first", Period.MONTH, "2026-03-31 12:00", date(2026, 3, 1)),
        ("the first before four is last month", Period.MONTH, "2026-04-01 03:00", date(2026, 3, 1)),
    ],
)
def test_window(sentence: str, period: Period, at: str, first: date) -> None:
    """A window is named by its first service day."""
    assert calendar.window(period, local_ms(at), ZONE, "04:00") == first.toordinal(), sentence


@pytest.mark.parametrize(
    ("day", "kind"),
    [
        ("2026-03-02", DayKind.WORKDAY),
        ("2026-03-01", DayKind.WEEKEND),
        ("2026-10-01", DayKind.HOLIDAY),
        ("2026-10-10", DayKind.WORKDAY),  # a Saturday that is worked
    ],
)
def test_day_kind(day: str, kind: DayKind) -> None:
    """The calendar overrules the weekday."""
    assert calendar.day_kind(date.fromisoformat(day), GOLDEN_WEEK) is kind


@pytest.mark.parametrize(
    ("sentence", "hours", "at", "expected"),
    [
        ("no hours are always", None, "2026-03-02 12:00", True),
        ("the first minute", {"start": "09:00", "end": "16:00"}, "2026-03-02 09:00", True),
        ("the end is outside", {"start": "09:00", "end": "16:00"}, "2026-03-02 16:00", False),
        ("the last minute of the day", {}, "2026-03-02 23:59", True),
        ("over midnight, late", {"start": "22:00", "end": "06:00"}, "2026-03-02 23:00", True),
        ("over midnight, early", {"start": "22:00", "end": "06:00"}, "2026-03-03 05:59", True),
        ("over midnight, by day", {"start": "22:00", "end": "06:00"}, "2026-03-02 12:00", False),
        (
            "a night belongs to the day it began",
            {"start": "22:00", "end": "06:00", "days": (DayKind.WEEKEND,)},
            "2026-03-02 05:00",
            True,
        ),
        (
            "and not to the next",
            {"start": "22:00", "end": "06:00", "days": (DayKind.WORKDAY,)},
            "2026-03-02 05:00",
            False,
        ),
        ("a kind of day", {"days": (DayKind.HOLIDAY,)}, "2026-10-01 12:00", True),
        ("a date every year", {"dates": ("10-01",)}, "2027-10-01 12:00", True),
        ("a date of one year", {"dates": ("2026-10-01",)}, "2027-10-01 12:00", False),
    ],
)
def test_within(sentence: str, hours: dict[str, Any] | None, at: str, expected: bool) -> None:
    """Hours are of the wall's clock."""
    given = () if hours is None else (Hours(**hours),)
    assert calendar.within(given, local_ms(at), ZONE, GOLDEN_WEEK) is expected, sentence


@pytest.mark.parametrize("text", ["9:00", "0900", "24:01", "12:60", "ab:cd", "", "12:3"])
def test_what_is_no_time_of_day(text: str) -> None:
    """HH:MM, up to 24:00."""
    with pytest.raises(ValueError, match="HH:MM"):
        calendar.minutes(text)


def test_the_end_of_the_day_is_a_time() -> None:
    assert calendar.minutes("24:00") == 1440
