"""What a tariff may say: tables of fares, lines, sums with caps and bands, transfers, hours, counted concessions.

Laws of this file:
- Data only. A city is a file of these; nothing in the code names a city, a line or an amount.
- Amounts are minor units (fen), distances metres, instants "HH:MM" of the tariff's own zone; a percentage is what is
  left to pay. A key nobody knows is refused: a slip of the pen must not change a price in silence.
- Tables are named, so that a product says which apply to it.
"""

from enum import StrEnum

from terminal.core.base import Value

# --------------------------------------------------------------------------- what a ride costs before any discount


class Measure(StrEnum):
    """What a table is looked up by."""

    NONE = "none"  # one price
    KEY = "key"  # the fare key the driver pressed
    STAGES = "stages"  # fare stages between boarding and alighting; 0: within one
    METRES = "metres"  # between boarding and alighting


class Band(Value, frozen=True, forbid_unknown_fields=True):
    """Up to and including so much, this fare."""

    up_to: int
    fare_fen: int


class Beyond(Value, frozen=True, forbid_unknown_fields=True):
    """Above the last band: so much more for each further piece begun."""

    every: int
    add_fen: int


class Unfinished(StrEnum):
    """What a trip costs that nobody tapped out of."""

    FARTHEST = "farthest"  # to the farther end of the line, without any discount
    LATER = "later"  # nothing here; head office pairs it with a tap elsewhere, or settles it


class MissingEntry(StrEnum):
    """What happens to somebody who taps out and never tapped in here."""

    LATER = "later"  # let out; head office pairs it with a tap elsewhere, or settles it
    FARTHEST = "farthest"  # let out; from the farther end of the line, without any discount
    REFUSE = "refuse"  # the operator says so


class TapOut(Value, frozen=True, forbid_unknown_fields=True):
    """Boarding and alighting are both tapped."""

    longest_s: int  # an older trip is unfinished, or overtime where that has a price
    overtime_fen: int | None = None
    reminder_s: int = 30  # the same party sooner than this only asks whether it is on board
    unfinished: Unfinished = Unfinished.FARTHEST
    missing_entry: MissingEntry = MissingEntry.LATER
    least_funds_fen: int = 0  # a purse must hold so much to board


class FareTable(Value, frozen=True, forbid_unknown_fields=True):
    """How a ride's full price is found."""

    measure: Measure = Measure.NONE
    fare_fen: int = 0  # measure none
    keys: dict[str, int] = {}  # measure key
    bands: tuple[Band, ...] = ()
    beyond: Beyond | None = None  # none: what is above the last band costs as much as the last band
    most_fen: int | None = None
    tap_out: TapOut | None = None


# --------------------------------------------------------------------------- lines


class Stop(Value, frozen=True, forbid_unknown_fields=True):
    """One stop, in the order of the line."""

    id: str
    at_m: int = 0  # metres from the line's first stop
    stage: int = 0
    area: str = ""  # a discount may differ by area; "" is the ordinary one
    lat_e6: int | None = None  # micro-degrees, WGS 84
    lon_e6: int | None = None
    code: str = ""  # as transit cards keep it: eight hexadecimal digits, line and station; "": no card's trip is here


class Line(Value, frozen=True, forbid_unknown_fields=True):
    """A line, or a network of stations."""

    stops: tuple[Stop, ...]
    mode: str = "bus"  # a class of vehicle of the operator's own: "bus", "bus-ac", "metro"
    apart_m: dict[str, int] = {}  # "A>B": metres where at_m does not tell them, as in a network; good both ways


# --------------------------------------------------------------------------- when


class DayKind(StrEnum):
    """What kind of day a civil date is."""

    WORKDAY = "workday"
    WEEKEND = "weekend"
    HOLIDAY = "holiday"


class Calendar(Value, frozen=True, forbid_unknown_fields=True):
    """Which dates are not what their weekday says; dates are "YYYY-MM-DD"."""

    holidays: tuple[str, ...] = ()
    workdays: tuple[str, ...] = ()  # weekends that are worked


class Hours(Value, frozen=True, forbid_unknown_fields=True):
    """A time of day on some days; everything left out means any."""

    start: str = "00:00"
    end: str = "24:00"  # not included; before `start`: over midnight
    days: tuple[DayKind, ...] = ()
    dates: tuple[str, ...] = ()  # "MM-DD" or "YYYY-MM-DD"


class Period(StrEnum):
    """The windows sums are kept over, in service days."""

    DAY = "day"
    WEEK = "week"  # Monday to Sunday
    MONTH = "month"


class Scope(StrEnum):
    """Whose sum it is."""

    MEDIUM = "medium"  # one card, one phone
    CHANNEL = "channel"  # all codes of one issuer's app on one account
    ACCOUNT = "account"  # every linked medium; without a link the medium itself


# --------------------------------------------------------------------------- sums


class Discount(Value, frozen=True, forbid_unknown_fields=True):
    """Once `from_fen` were paid and `from_count` rides ridden, whole rides cost `percent`."""

    percent: int
    from_fen: int = 0
    from_count: int = 0  # rides before this one: 15 is "from the 16th ride"


class Accumulation(Value, frozen=True, forbid_unknown_fields=True):
    """What a party has paid in a window, and what that does to the next ride."""

    period: Period
    scope: Scope = Scope.MEDIUM
    cap_fen: int | None = None  # the sum never exceeds this
    discounts: tuple[Discount, ...] = ()  # ascending; the last reached applies


class Since(StrEnum):
    """Which ride a transfer counts from."""

    FIRST = "first"
    LAST = "last"


class Transfer(Value, frozen=True, forbid_unknown_fields=True):
    """A ride soon after another costs less."""

    within_s: int
    grace_s: int = 0  # for readers' clocks; not promised to anybody
    since: Since = Since.FIRST
    most: int | None = None  # transfers counted from one first ride
    percent: int = 0
    off_fen: int = 0
    other_line: bool = False  # the same line again is no transfer
    debt_free: bool = False  # only for who owes nothing, or pays all of it with this very tap
    scope: Scope = Scope.MEDIUM


class Counted(Value, frozen=True, forbid_unknown_fields=True):
    """A concession of so many counts a window; a ride uses one, or as many as its mode says."""

    id: str
    period: Period
    allowance: int
    weights: dict[str, int] = {}  # mode → counts
    scope: Scope = Scope.ACCOUNT


class Quota(Value, frozen=True, forbid_unknown_fields=True):
    """So many people a window may enter on a product; no more than that."""

    most: int
    period: Period = Period.DAY
    scope: Scope = Scope.ACCOUNT


class Zone(Value, frozen=True, forbid_unknown_fields=True):
    """A part of a site behind a lane's gate."""

    closed: bool = False  # nobody enters, whatever the hours
    open: tuple[Hours, ...] = ()  # outside these hours nobody enters; empty: always open
    free: tuple[Hours, ...] = ()  # in these hours everybody enters, without a ticket
    most: int | None = None  # people inside at once; counted in by grants, out by taps at exits
    after: str = ""  # only for who has been in that zone today
    before: str = ""  # only for who has not been in that zone today: no way back
    exit_tapped: bool = False  # whoever leaves taps: who is inside cannot enter again


class Grace(Value, frozen=True, forbid_unknown_fields=True):
    """Rides taken on trust when balance or truth is missing; settled at the next tap that can pay."""

    rides: int = 1
    reasons: tuple[str, ...] = ("balance_short", "status_unknown")
    least_funds_fen: int = 0  # a purse that holds less is not trusted


class Source(Value, frozen=True, forbid_unknown_fields=True):
    """Where a published tariff was read."""

    what: str
    where: str
    as_of: str  # date, or month
    confidence: str = ""  # how good the source is
