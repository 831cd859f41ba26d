"""Instants: from a reading of the clock to an interval of UTC that may be trusted.

Laws of this file:
- Time used for judging never falls behind the last journalled time. Behind it, that floor is used and flagged.
- While the process lives and the system's clock is not synchronised, the floor runs on with CLOCK_MONOTONIC: a clock
  that was set back, or died, stops nobody's validity and no gate. A synchronised clock behind the floor is the right
  one (it was the floor that was wrong): the floor stands until it has caught up.
- Only two witnesses together lower the floor: head office's signed time, and the system's clock.
- What was written before the floor came down may lie in the future: its age is unknown, so it is young for no window.
- A service day is named by the date on which it starts, in the tariff's own zone.
"""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from terminal.core.model import Instant, Reading, TimeSource, Value

UNSYNCHRONISED_MS = 16_000  # what the kernel itself takes for a clock nobody has set right (adjtimex(2))
AGREE_MS = 300_000  # two witnesses of the same time
CROSSING_MS = 60_000  # taps of two lanes are judged and written in another order than they were read in
UNKNOWN_AGE_MS = 1 << 53  # older than any window
SLACK_MS = 1000  # two readings of two clocks are never taken in one instant


class Floor(Value, frozen=True):
    """A time that was journalled, and when that was by CLOCK_MONOTONIC."""

    utc_ms: int
    monotonic_ns: int


def settle(reading: Reading, floor_ms: int, since: Floor | None = None) -> Instant:
    """The instant a reading stands for: the system's time, or the floor where the system's is behind it.

    `since`: a floor of this run; where nobody keeps the clock it has gone on since, and SLACK_MS behind it is behind.
    """
    if since is not None and reading.uncertainty_ms >= UNSYNCHRONISED_MS:
        ran_ms = since.utc_ms + max(0, reading.monotonic_ns - since.monotonic_ns) // 1_000_000
        if reading.utc_ms < ran_ms - SLACK_MS:
            floor_ms = max(floor_ms, ran_ms)
    behind = reading.utc_ms < floor_ms
    return Instant(
        utc_ms=floor_ms if behind else reading.utc_ms,
        uncertainty_ms=reading.uncertainty_ms,
        source=TimeSource.FLOOR if behind else TimeSource.SYSTEM,
        monotonic_ns=reading.monotonic_ns,
    )


def not_before(at: Instant, floor_ms: int) -> Instant:
    """The same instant, or the floor where it lies behind."""
    if at.utc_ms >= floor_ms:
        return at
    return msgspec.structs.replace(at, utc_ms=floor_ms, source=TimeSource.FLOOR)


def lowered_ms(reading: Reading, floor_ms: int, office_ms: int) -> int | None:
    """What a floor may come down to: where head office's signed time and the system's clock agree within AGREE_MS and
    the floor is ahead of both by more than that. None: it stays.
    """
    right_ms = max(reading.utc_ms, office_ms)
    agree = abs(reading.utc_ms - office_ms) <= AGREE_MS
    return right_ms if agree and floor_ms - right_ms > AGREE_MS else None


def age_ms(then_ms: int, now_ms: int) -> int:
    """How long ago that was; UNKNOWN_AGE_MS where it lies in the future: it was written while the clock ran ahead."""
    age = now_ms - then_ms
    return age if age > -CROSSING_MS else UNKNOWN_AGE_MS


def service_day(utc_ms: int, time_zone: str, starts: str) -> date:
    """The service day of an instant; `starts` is "HH:MM" local, such as "04:00"."""
    hours, minutes = map(int, starts.split(":"))
    local = datetime.fromtimestamp(utc_ms / 1000, UTC).astimezone(ZoneInfo(time_zone))
    return (local - timedelta(hours=hours, minutes=minutes)).date()


def month_end_ms(month: int, year: int, utc_offset_minutes: int) -> int:
    """The last millisecond of a month in a zone of fixed offset; month 1…12."""
    following = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return int(following.timestamp() * 1000) - utc_offset_minutes * 60_000 - 1
