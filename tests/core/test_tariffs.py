"""The published tariffs that ship, by worked examples; and a fourth city, which is data alone."""

import json
from typing import Any

import msgspec
import pytest

from terminal.core import tariff_check
from terminal.core.fares.trips import Role
from terminal.core.ledger import Where
from terminal.core.model import HeldProduct, Holder, Medium, Reason
from terminal.core.parameters import Tariff
from tests.core.cases import ref
from tests.core.riding import TARIFFS, Riding, channel, fen, local_ms, published

MINUTE_MS = 60_000
MORNING = local_ms("2026-03-02 08:00")


@pytest.mark.parametrize("path", sorted(TARIFFS.glob("*.json")), ids=lambda path: path.stem)
def test_what_ships_is_whole_and_says_where_it_was_read(path: Any) -> None:
    """Taken as it is, without a fault; every figure has a source and a date."""
    tariff = published(path.stem)
    assert list(tariff_check.faults(tariff)) == []
    assert tariff.name and tariff.sources
    assert all(source.where and source.as_of for source in tariff.sources)


# --------------------------------------------------------------------------- Beijing buses

CARD_RIDERS: dict[str, dict[str, Any]] = {
    "ordinary": {"medium": Medium.CARD},
    "student": {"medium": Medium.CARD, "holder": Holder(card_type="02")},
    "student's code": {"holder": Holder(card_type="02")},
}


@pytest.mark.parametrize(
    ("stop", "full", "ordinary", "student"),
    [
        ("5", 200, 100, 50),
        ("10", 200, 100, 50),
        ("10.1", 300, 150, 75),
        ("15", 300, 150, 75),
        ("15.1", 400, 200, 100),
        ("23", 500, 250, 125),
    ],
)
def test_beijing_bus_by_distance(stop: str, full: int, ordinary: int, student: int) -> None:
    """2 yuan up to 10 km, 1 more for each 5 km begun; cards half, student cards a quarter, student codes half."""
    for rider, expected in (("ordinary", ordinary), ("student", student), ("student's code", ordinary)):
        riding = Riding(published("beijing-bus"))
        holder = CARD_RIDERS[rider]
        on = riding.tap(MORNING, where=_at("0"), **holder)
        off = riding.tap(MORNING + 20 * MINUTE_MS, where=_at(stop), **holder)
        assert (on.decision.reason, fen(on), fen(off)) == (Reason.BOARDED, 0, expected), rider
        assert off.decision.reason is Reason.ALIGHTED


def test_beijing_bus_outside_the_city() -> None:
    """Boarded outside: 80 % for everybody."""
    riding = Riding(published("beijing-bus"))
    for who in ("ordinary", "student"):
        riding.tap(MORNING, who, where=_at("30"), **CARD_RIDERS[who])
        off = riding.tap(MORNING + 20 * MINUTE_MS, who, where=_at("40"), **CARD_RIDERS[who])
        assert fen(off) == 160


def test_beijing_bus_without_its_second_tap() -> None:
    """Settled at the next use, from the tapped stop to the farther end, without discount; then the new boarding."""
    riding = Riding(published("beijing-bus"))
    riding.tap(MORNING, where=_at("10"))
    evening = MORNING + 10 * 3_600_000
    on = riding.tap(evening, where=_at("0", run=2))
    assert on.decision.reason is Reason.UNFINISHED_SETTLED
    assert on.charge is not None and [(part.what, part.fen) for part in on.charge.parts] == [("unfinished", 600)]
    assert on.charge.amount_fen == 600  # 10 km to 40 km: 2 + 4 x 1 yuan
    assert fen(riding.tap(evening + 20 * MINUTE_MS, where=_at("5", run=2))) == 100


def test_beijing_bus_a_card_with_less_than_one_yuan_stays_outside() -> None:
    """At least 1 yuan to board."""
    riding = Riding(published("beijing-bus"))
    assert riding.tap(MORNING, where=_at("0"), funds_fen=99).decision.reason is Reason.BALANCE_SHORT
    assert riding.tap(MORNING, where=_at("0"), funds_fen=100).decision.reason is Reason.BOARDED


def _at(stop: str, run: int = 1) -> Where:
    return Where(vehicle="bus-1", line="example", direction="up", stop=stop, run=run)


# --------------------------------------------------------------------------- Beijing metro

STATION = {"3": "B", "4": "C", "5": "D", "6": "E", "7": "F", "8": "G"}  # yuan from station A


@pytest.mark.parametrize(("to", "expected"), [("B", 300), ("C", 400), ("D", 500), ("E", 600), ("F", 700), ("G", 800)])
def test_beijing_metro_by_distance(to: str, expected: int) -> None:
    """6 km 3 yuan, 12 km 4, 22 km 5, 32 km 6, then 1 more for each 20 km begun."""
    assert _metro_ride(Riding(published("beijing-metro")), MORNING, to) == expected


def test_beijing_metro_month_ride_by_ride() -> None:
    """Twenty rides of 5 yuan make 100.00: ride 21 is the first at 80 %; after 150 half; whole rides, never split."""
    riding = Riding(published("beijing-metro"))
    paid = [_metro_ride(riding, MORNING + ride * 30 * MINUTE_MS, "D") for ride in range(34)]
    assert paid == [500] * 20 + [400] * 13 + [250]
    assert riding.ledgers[channel("amber")].sums[0].fen == 10_000 + 5_200 + 250


@pytest.mark.parametrize(
    ("sentence", "before", "expected", "after"),
    [
        ("at 99.00 a ride still costs 5.00", 9_900, 500, 10_400),
        ("at 104.00 it costs 4.00", 10_400, 400, 10_800),
        ("at 148.00 it costs 4.00, not split at 150", 14_800, 400, 15_200),
        ("at 152.00 it costs 2.50", 15_200, 250, 15_450),
        ("at 398.50 it costs 2.50", 39_850, 250, 40_100),
        ("at 401.00 it costs 5.00 again", 40_100, 500, 40_600),
        ("at exactly 100.00 it costs 4.00", 10_000, 400, 10_400),
        ("at exactly 150.00 it costs 2.50", 15_000, 250, 15_250),
        ("at exactly 400.00 it costs 5.00", 40_000, 500, 40_500),
    ],
)
def test_beijing_metro_bands(sentence: str, before: int, expected: int, after: int) -> None:
    """The total counts what was paid; a ride is priced by the total before it."""
    riding = Riding(published("beijing-metro"))
    _metro_ride(riding, MORNING, "D")
    (so_far,) = riding.ledgers[channel("amber")].sums
    paid_before = msgspec.structs.replace(so_far, fen=before)
    riding.ledgers[channel("amber")] = msgspec.structs.replace(riding.ledgers[channel("amber")], sums=(paid_before,))
    assert _metro_ride(riding, MORNING + 3_600_000, "D") == expected, sentence
    assert riding.ledgers[channel("amber")].sums[0].fen == after


def test_beijing_metro_a_new_month_begins_at_nothing() -> None:
    """The calendar month, from midnight."""
    riding = Riding(published("beijing-metro"))
    for ride in range(20):
        _metro_ride(riding, MORNING + ride * 30 * MINUTE_MS, "D")
    assert _metro_ride(riding, local_ms("2026-03-31 23:00"), "D") == 400
    assert _metro_ride(riding, local_ms("2026-04-01 00:10"), "D") == 500


def test_beijing_metro_different_apps_do_not_add_up() -> None:
    """One card, or one app."""
    riding = Riding(published("beijing-metro"))
    for ride in range(20):
        _metro_ride(riding, MORNING + ride * 30 * MINUTE_MS, "D", account="zhang", issuer="31000001")
    later = MORNING + 20 * 3_600_000
    assert _metro_ride(riding, later, "D", account="zhang", issuer="31000002") == 500
    assert _metro_ride(riding, later + 3_600_000, "D", account="zhang", issuer="31000001") == 400


def test_beijing_metro_overtime() -> None:
    """More than four hours inside: 3 yuan besides."""
    assert _metro_ride(Riding(published("beijing-metro")), MORNING, "B", minutes=241) == 600


def _metro_ride(riding: Riding, at_ms: int, to: str, *, minutes: int = 20, **who: Any) -> int:
    riding.tap(at_ms, where=Where(line="network", stop="A"), role=Role.ENTRY, **who)
    off = riding.tap(at_ms + minutes * MINUTE_MS, where=Where(line="network", stop=to), role=Role.EXIT, **who)
    found = fen(off)
    assert found is not None
    return found


# --------------------------------------------------------------------------- London buses

LONDON = "Europe/London"


def test_london_hour() -> None:
    """Any number of buses within an hour of the first touch; 62 minutes by the readers' clocks."""
    riding = Riding(published("london-bus"))
    first = local_ms("2026-03-02 08:00", LONDON)
    assert [_london(riding, first + minute * MINUTE_MS) for minute in (0, 20, 40, 62)] == [175, 0, 0, 0]
    assert [_london(riding, first + late_s * 1000, "birch") for late_s in (0, 62 * 60 + 1)] == [175, 175]


def test_london_one_card_is_one_person() -> None:
    """Fresh codes of one phone on one bus: nobody rides along on the holder's free hour; the holder changes as ever."""
    riding = Riding(published("london-bus"))
    first = local_ms("2026-03-02 08:00", LONDON)
    bus = Where(vehicle="LTZ1", line="24")
    told = [riding.tap(first + second * 1000, where=bus).decision.reason for second in (0, 5, 10, 15)]
    assert told == [Reason.PAID, Reason.TOO_SOON, Reason.TOO_SOON, Reason.TOO_SOON]
    assert _london(riding, first + 20 * MINUTE_MS) == 0


def test_london_the_same_bus_on_its_way_back() -> None:
    """Two minutes after it turned round, nine after the first touch: another bus of the hour, once."""
    riding = Riding(published("london-bus"))
    first = local_ms("2026-03-02 08:00", LONDON)
    there = Where(vehicle="LTZ1", line="24", direction="up", run=first - 30 * MINUTE_MS)
    back = Where(vehicle="LTZ1", line="24", direction="down", run=first + 7 * MINUTE_MS)
    taps = ((0, there), (6, there), (9, back), (12, back))
    told = [riding.tap(first + minute * MINUTE_MS, where=where) for minute, where in taps]
    assert [one.decision.reason for one in told] == [Reason.PAID, Reason.TOO_SOON, Reason.TRANSFER, Reason.TOO_SOON]
    assert fen(told[2]) == 0


def test_london_a_ride_after_the_hour_begins_a_new_one() -> None:
    """From the first touch, not from the last."""
    riding = Riding(published("london-bus"))
    first = local_ms("2026-03-02 08:00", LONDON)
    assert [_london(riding, first + minute * MINUTE_MS) for minute in (0, 50, 70, 120)] == [175, 0, 175, 0]


def test_london_day_and_week() -> None:
    """5.25 a day from 04:30; 24.70 a week from Monday; the ride that reaches a cap is cut, later ones are free."""
    riding = Riding(published("london-bus"))
    days = [f"2026-03-{day:02d}" for day in range(2, 9)]  # Monday to Sunday
    totals = []
    for day in days:
        totals.append(sum(_london(riding, local_ms(f"{day} {hour:02d}:00", LONDON)) for hour in (6, 8, 10, 12, 14)))
    assert totals == [525, 525, 525, 525, 370, 0, 0]
    assert _london(riding, local_ms("2026-03-09 04:29", LONDON)) == 0
    assert _london(riding, local_ms("2026-03-09 05:40", LONDON)) == 175


def test_london_the_day_ends_at_half_past_four() -> None:
    """04:29 belongs to yesterday."""
    riding = Riding(published("london-bus"))
    for hour in (10, 12, 14):
        _london(riding, local_ms(f"2026-03-02 {hour}:00", LONDON))
    assert _london(riding, local_ms("2026-03-03 04:29", LONDON)) == 0
    assert _london(riding, local_ms("2026-03-03 05:40", LONDON)) == 175


def test_london_card_and_phone_of_one_person_do_not_add_up() -> None:
    """Even linked to one account."""
    riding = Riding(published("london-bus"))
    first = local_ms("2026-03-02 08:00", LONDON)
    assert [_london(riding, first + n * MINUTE_MS, who, account="jo") for n, who in enumerate(("card", "phone"))] == [
        175,
        175,
    ]


@pytest.mark.parametrize(
    ("sentence", "minute", "funds", "reason", "cost"),
    [
        ("not topped up: nobody rides below zero", 20, 0, Reason.BALANCE_SHORT, None),
        ("a pound is not the fare: no free hour, no ride", 20, 100, Reason.BALANCE_SHORT, None),
        ("a penny short of the debt", 20, 174, Reason.BALANCE_SHORT, None),
        ("topped up within the hour: the debt, and the hour", 40, 1000, Reason.TRANSFER, 175),
        ("topped up with just the debt", 40, 175, Reason.TRANSFER, 175),
        ("topped up after the hour: the debt, and a fare", 63, 1000, Reason.PAID, 350),
    ],
)
def test_london_below_zero(sentence: str, minute: int, funds: int, reason: Reason, cost: int | None) -> None:
    """One more journey with some credit, then a top-up; the free hour is given once nothing is owed."""
    riding = Riding(published("london-bus"))
    first = local_ms("2026-03-02 08:00", LONDON)
    where = Where(vehicle="LTZ1", line="24")
    assert riding.tap(first, "empty", where=where, funds_fen=0).decision.reason is Reason.BALANCE_SHORT
    assert riding.tap(first, where=where, funds_fen=100).decision.reason is Reason.GRACE
    later = riding.tap(first + minute * MINUTE_MS, where=where, funds_fen=funds)
    assert (later.decision.reason, fen(later)) == (reason, cost), sentence


def _london(riding: Riding, at_ms: int, who: str = "amber", **more: Any) -> int:
    outcome = riding.tap(at_ms, who, where=Where(vehicle="LTZ1", line="24"), **more)
    found = fen(outcome)
    assert found is not None
    return found


# --------------------------------------------------------------------------- a fourth city, without a line of code

FOURTH: dict[str, Any] = {
    "name": "a city by the river",
    "sources": [{"what": "100 counts a month from 70", "where": "facts of the trade", "as_of": "2025"}],
    "service_day_starts": "04:00",
    "lines": {
        "1": {"mode": "bus", "stops": []},
        "2": {"mode": "bus-ac", "stops": []},
        "m": {"mode": "metro", "stops": []},
    },
    "fares": {"bus": {"fare_fen": 200}, "metro": {"fare_fen": 400}},
    "transfers": {"two-hours": {"within_s": 7200, "most": 3, "percent": 0, "other_line": True}},
    "products": [
        {
            "id": "senior",
            "services": ["fare"],
            "fare_fen": 0,
            "fare_type": "concession",
            "reason": "concession",
            "who": [{"age_from": 70, "residency": ["510100"]}],
            "scopes": ["identity"],
            "review": "senior-review",
            "when": [
                {"start": "09:00", "end": "17:30"},
                {"start": "19:00", "end": "07:30"},
                {"days": ["weekend", "holiday"]},
            ],
            "counted": {"id": "counts", "period": "month", "allowance": 6, "weights": {"bus-ac": 2, "metro": 3}},
        },
        {"id": "metro", "services": ["fare"], "modes": ["metro"], "fare": "metro", "fare_fen": 0, "percent": 90},
        {
            "id": "bus",
            "services": ["fare"],
            "fare": "bus",
            "fare_fen": 0,
            "percent": 90,
            "transfers": ["two-hours"],
            "pass_back": {"window_s": 300, "companions": 4},
        },
    ],
}


def test_a_fourth_city_needs_data_only() -> None:
    """Counts by the class of vehicle, hours, yearly review, free transfers: all of it by writing a file."""
    tariff = msgspec.json.decode(json.dumps(FOURTH), type=Tariff)
    assert list(tariff_check.faults(tariff)) == []
    reviewed = {ref("amber"): (HeldProduct(product="senior-review", from_ms=0, until_ms=local_ms("2026-12-31 00:00")),)}
    riding = Riding(tariff, passes_of=reviewed)
    told = [
        _fourth(riding, f"2026-03-02 {clock}", line)
        for clock, line in (("10:00", "1"), ("11:00", "2"), ("12:00", "m"), ("13:00", "1"), ("18:00", "1"))
    ]
    assert told == [
        (Reason.CONCESSION, 0),
        (Reason.CONCESSION, 0),
        (Reason.CONCESSION, 0),  # 1 + 2 + 3 counts: all six
        (Reason.CONCESSION_USED_UP, 180),
        (Reason.CONCESSION_NOT_NOW, 180),
    ]
    assert _fourth(riding, "2026-04-01 10:00", "1") == (Reason.CONCESSION, 0)
    assert _fourth(riding, "2027-01-04 10:00", "1") == (Reason.CONCESSION_REVIEW_DUE, 180)


def test_a_fourth_city_transfers() -> None:
    """Three free transfers within two hours of the first ride, never on the same line."""
    riding = Riding(msgspec.json.decode(json.dumps(FOURTH), type=Tariff))
    rides = [("10:00", "1"), ("10:30", "2"), ("10:40", "2"), ("11:00", "1"), ("11:59", "2"), ("12:01", "1")]
    paid = []
    for clock, line in rides:
        at_ms = local_ms(f"2026-03-02 {clock}")
        outcome = riding.tap(at_ms, where=Where(vehicle="b", line=line, run=at_ms))
        paid.append((outcome.decision.reason, fen(outcome)))
    assert paid == [
        (Reason.PAID, 180),
        (Reason.TRANSFER, 0),
        (Reason.PAID, 180),  # the same line again: a new first ride
        (Reason.TRANSFER, 0),
        (Reason.TRANSFER, 0),
        (Reason.TRANSFER, 0),
    ]


def test_a_family_in_a_fourth_city() -> None:
    """Three on one phone: each pays on each bus, the holder alone changes for nothing."""
    riding = Riding(msgspec.json.decode(json.dumps(FOURTH), type=Tariff))
    paid = []
    for clock, line in (("10:00", "1"), ("10:20", "2")):
        began = local_ms(f"2026-03-02 {clock}")
        where = Where(vehicle="b", line=line, run=began - 1)
        paid.append([fen(riding.tap(began + second * 1000, where=where)) for second in (0, 4, 8)])
    assert paid == [[180, 180, 180], [0, 180, 180]]


FIFTH: dict[str, Any] = {
    "lines": {"1": {"mode": "bus", "stops": []}},
    "fares": {"bus": {"fare_fen": 200}},
    "accumulations": {
        "rides": {
            "period": "month",
            "discounts": [{"from_count": 15, "percent": 60}, {"from_count": 40, "percent": 40}],
        }
    },
    "products": [
        {
            "id": "evening",
            "services": ["fare"],
            "fare": "bus",
            "fare_fen": 0,
            "percent": 50,
            "when": [{"start": "20:00", "end": "24:00"}],
        },
        {
            "id": "first of the day",
            "services": ["fare"],
            "fare": "bus",
            "fare_fen": 0,
            "percent": 90,
            "counted": {"id": "first", "period": "day", "allowance": 1},
            "accumulates": ["rides"],
            "pass_back": {"window_s": 300},
        },
        {
            "id": "adult",
            "services": ["fare"],
            "fare": "bus",
            "fare_fen": 0,
            "accumulates": ["rides"],
            "pass_back": {"window_s": 300},
        },
    ],
}


def test_a_fifth_city_counts_rides() -> None:
    """From the 16th ride of a month 60 %, from the 41st 40 %; a new month begins at the full price."""
    tariff = msgspec.json.decode(json.dumps(FIFTH), type=Tariff)
    assert list(tariff_check.faults(tariff)) == []
    riding = Riding(tariff)
    rides = [
        riding.tap(local_ms(f"2026-03-{day:02d} {clock}"), where=Where(vehicle="b", line="1"))
        for day in range(1, 22)
        for clock in ("08:00", "17:00")
    ]
    paid = [fen(ride) for ride in rides]
    assert paid[:15] == [180, 200] * 7 + [180]
    assert paid[15:40] == [120, 108] * 12 + [120]
    assert paid[40:] == [72, 80]
    april = riding.tap(local_ms("2026-04-01 17:00"), where=Where(vehicle="b", line="1"))
    assert fen(april) == 180


def test_what_is_for_everybody_is_no_concession() -> None:
    """An evening fare is not told at noon, nor a cheaper first ride at the second: nobody was promised them."""
    riding = Riding(msgspec.json.decode(json.dumps(FIFTH), type=Tariff))
    told = [
        riding.tap(local_ms(f"2026-03-02 {clock}"), where=Where(vehicle="b", line="1")).decision.reason
        for clock in ("12:00", "13:00", "21:00")
    ]
    assert told == [Reason.PAID] * 3


def _fourth(riding: Riding, at: str, line: str) -> tuple[Reason, int | None]:
    holder = Holder(age_from=70, residency="510100")
    outcome = riding.tap(local_ms(at), where=Where(vehicle="b", line=line), holder=holder)
    return outcome.decision.reason, fen(outcome)
