"""Instants: from a reading of the clock to an interval of UTC that may be trusted.

Laws of this file:
- Time used for judging never falls behind the last journalled time. Behind it, that floor is used and flagged.
- A service day is named by the date on which it starts, in the tariff's own zone.
"""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from terminal.core.model import Instant, Reading, TimeSource


def settle(reading: Reading, floor_ms: int) -> Instant:
    """The instant a reading stands for: the system's time, or the floor where the system's is behind it."""
    behind = reading.utc_ms < floor_ms
    return Instant(
        utc_ms=floor_ms if behind else reading.utc_ms,
        uncertainty_ms=reading.uncertainty_ms,
        source=TimeSource.FLOOR if behind else TimeSource.SYSTEM,
        monotonic_ns=reading.monotonic_ns,
    )


def service_day(utc_ms: int, time_zone: str, starts: str) -> date:
    """The service day of an instant; `starts` is "HH:MM" local, such as "04:00"."""
    hours, minutes = map(int, starts.split(":"))
    local = datetime.fromtimestamp(utc_ms / 1000, UTC).astimezone(ZoneInfo(time_zone))
    return (local - timedelta(hours=hours, minutes=minutes)).date()


def month_end_ms(month: int, year: int, utc_offset_minutes: int) -> int:
    """The last millisecond of a month in a zone of fixed offset; month 1…12."""
    following = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return int(following.timestamp() * 1000) - utc_offset_minutes * 60_000 - 1
