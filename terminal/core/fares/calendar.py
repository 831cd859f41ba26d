"""Windows and hours of a tariff, in its own zone.

Laws of this file:
- A window is named by its first service day; a service day may begin after midnight.
- Hours and kinds of day are civil: they follow the clock on the wall and the date on the calendar.
"""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from terminal.core.tariff import Calendar, DayKind, Hours, Period
from terminal.core.time import service_day


@lru_cache(maxsize=256)
def minutes(text: str) -> int:
    """Minutes since midnight of "HH:MM", "24:00" included. Raises ValueError."""
    hours, _, rest = text.partition(":")
    if len(hours) != 2 or len(rest) != 2 or not (hours + rest).isdecimal():
        raise ValueError(f"{text!r} is not HH:MM")
    found = int(hours) * 60 + int(rest)
    if int(rest) > 59 or found > 24 * 60:
        raise ValueError(f"{text!r} is not HH:MM")
    return found


def window(period: Period, at_ms: int, time_zone: str, starts: str) -> int:
    """The window an instant falls into: the proleptic ordinal of its first service day."""
    return _window(period, at_ms // 60_000, time_zone, starts)


@lru_cache(maxsize=64)
def _window(period: Period, minute: int, time_zone: str, starts: str) -> int:
    """Windows begin at whole minutes, so one tap asks for each of them once."""
    day = service_day(minute * 60_000, time_zone, starts)
    if period is Period.WEEK:
        day -= timedelta(days=day.weekday())
    elif period is Period.MONTH:
        day = day.replace(day=1)
    return day.toordinal()


def day_kind(day: date, calendar: Calendar) -> DayKind:
    """What kind of day a civil date is."""
    name = day.isoformat()
    if name in calendar.holidays:
        return DayKind.HOLIDAY
    if day.weekday() < 5 or name in calendar.workdays:
        return DayKind.WORKDAY
    return DayKind.WEEKEND


def within(hours: tuple[Hours, ...], at_ms: int, time_zone: str, calendar: Calendar) -> bool:
    """Whether an instant falls into any of these hours; into none at all means always."""
    if not hours:
        return True
    local = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(ZoneInfo(time_zone))
    return any(_inside(one, local, calendar) for one in hours)


def _inside(one: Hours, local: datetime, calendar: Calendar) -> bool:
    start, end, now = minutes(one.start), minutes(one.end), local.hour * 60 + local.minute
    day = local.date()
    if start > end and now < end:
        day -= timedelta(days=1)  # the night that began yesterday
    on_time = start <= now < end if start <= end else now >= start or now < end
    on_day = not one.days or day_kind(day, calendar) in one.days
    name = day.isoformat()
    return on_time and on_day and (not one.dates or name in one.dates or name[5:] in one.dates)
