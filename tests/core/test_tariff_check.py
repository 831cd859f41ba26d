"""What keeps a tariff from being taken: each fault once, and where it stands."""

import copy
import json
from typing import Any

import msgspec
import pytest

from terminal.core import tariff_check
from terminal.core.fares import table
from terminal.core.ledger import Where
from terminal.core.parameters import PassBack, Product, Tariff
from terminal.core.tariff import Band, Counted, FareTable, Hours, Line, Measure, Period, Quota, Stop
from tests.core.test_fare import CITY


def _set(value: Any, *path: Any) -> Any:
    """The city with one place changed."""
    changed = copy.deepcopy(CITY)
    here: Any = changed
    for step in path[:-1]:
        here = here[step]
    here[path[-1]] = value
    return changed


FAULTS: list[tuple[str, str, Any]] = [
    ("time_zone or service_day_starts", "Nowhere", _set("Asia/Nowhere", "time_zone")),
    ("time_zone or service_day_starts", "HH:MM", _set("4:00", "service_day_starts")),
    ("currency", "ISO 4217", _set("£", "currency")),
    ("round_fen", "1 or more", _set(0, "round_fen")),
    ("products", "twice", _set("flat", "products", 0, "id")),
    ("products.student", "below its least", _set(-1, "products", 0, "fare_fen")),
    ("products.student", "above its most", _set(1 << 63, "products", 0, "fare_fen")),
    ("products.student", "above its most", _set(1 << 63, "products", 0, "persons")),
    ("fares.flat", "above", _set(1 << 63, "fares", "flat", "fare_fen")),
    ("products.student", "no fare table", _set("none", "products", 0, "fare")),
    ("products.flat", "no accumulation 'week'", _set(["week"], "products", 2, "accumulates")),
    ("products.flat", "no transfer 'never'", _set(["never"], "products", 2, "transfers")),
    ("products.flat", "needs pass_back", _set({"window_s": 0}, "products", 2, "pass_back")),
    (
        "products.flat",
        "pass_back by medium, 'day' by account",
        _set({"window_s": 60, "scope": "medium"}, "products", 2, "pass_back"),
    ),
    ("products.student", "per cent", _set(-5, "products", 0, "percent")),
    ("products.student", "per cent", _set({"outside": 5000}, "products", 0, "percent_in")),
    ("products.senior", "HH:MM", _set([{"start": "nine"}], "products", 1, "when")),
    ("products.senior", "not a date", _set([{"dates": ["13-01"]}], "products", 1, "when")),
    ("products.senior", "share a name", _set("day", "products", 1, "counted", "id")),
    ("products.senior", "less than one count", _set({"bus": 0}, "products", 1, "counted", "weights")),
    ("products.senior", "an allowance below 0", _set(-1, "products", 1, "counted", "allowance")),
    ("fares.far", "needs bands", _set([], "fares", "far", "bands")),
    ("fares.far", "needs tap_out", _set(None, "fares", "far", "tap_out")),
    ("fares.flat", "leave out tap_out", _set({"longest_s": 1}, "fares", "flat", "tap_out")),
    ("fares.keys", "needs keys", _set({}, "fares", "keys", "keys")),
    ("fares.kind", "ascend", _set(9000, "fares", "kind", "bands", 0, "up_to")),
    ("fares.far", "no length", _set(0, "fares", "far", "beyond", "every")),
    ("fares.flat", "below 0", _set(-1, "fares", "flat", "fare_fen")),
    ("fares.far", "not be negative", _set(-1, "fares", "far", "tap_out", "longest_s")),
    ("lines.flat.stops", "twice", _set([{"id": "s1"}, {"id": "s1"}], "lines", "flat", "stops")),
    (
        "lines.flat.stops' codes",
        "twice",
        _set([{"id": "s1", "code": "00070001"}, {"id": "s2", "code": "00070001"}], "lines", "flat", "stops"),
    ),
    ("lines.flat.stops", "eight hexadecimal", _set([{"id": "s1", "code": "0007000A"}], "lines", "flat", "stops")),
    ("lines.flat.apart_m", "STOP>STOP", _set({"s0>s99": 5}, "lines", "flat", "apart_m")),
    ("lines.flat.apart_m", "STOP>STOP", _set({"s0": 5}, "lines", "flat", "apart_m")),
    ("lines.flat.apart_m", "STOP>STOP", _set({"s0>s1": -5}, "lines", "flat", "apart_m")),
    ("accumulations.day", "a cap below 0", _set(-1, "accumulations", "day", "cap_fen")),
    ("accumulations.day", "ascend", _set([{"from_fen": 9, "percent": 80}] * 2, "accumulations", "day", "discounts")),
    (
        "accumulations.day",
        "ascend",
        _set(
            [{"from_count": 9, "percent": 80}, {"from_fen": 9, "from_count": 8, "percent": 70}],
            "accumulations",
            "day",
            "discounts",
        ),
    ),
    ("accumulations.day", "from_fen or from_count", _set([{"percent": 80}], "accumulations", "day", "discounts")),
    (
        "accumulations.day",
        "from_fen or",
        _set([{"from_count": -1, "percent": 80}], "accumulations", "day", "discounts"),
    ),
    ("accumulations.day", "per cent", _set([{"from_fen": 9, "percent": -1}], "accumulations", "day", "discounts")),
    ("transfers.soon", "per cent", _set(-1, "transfers", "soon", "percent")),
    ("transfers.soon", "below 0", _set(-1, "transfers", "soon", "within_s")),
    ("calendar", "not a date", _set({"holidays": ["2026-02-30"]}, "calendar")),
    ("calendar", "not a date", _set({"workdays": ["20260210"]}, "calendar")),
    ("zones.garden", "HH:MM", _set({"garden": {"open": [{"start": "9"}]}}, "zones")),
    ("zones.garden", "no zone 'lake'", _set({"garden": {"after": "lake"}}, "zones")),
    ("zones.garden", "no zone 'pool'", _set({"garden": {"before": "pool"}}, "zones")),
    ("products.senior", "lets in anybody", _set(True, "products", 1, "reentry")),
    ("zones.garden", "fewer than nobody", _set({"garden": {"most": -1}}, "zones")),
    ("products.student", "no zone 'garden'", _set(["garden"], "products", 0, "zones")),
    ("products.student", "a quota below 0", _set({"most": -1}, "products", 0, "quota")),
    ("grace", "no reason", _set(["poverty"], "grace", "reasons")),
]


@pytest.mark.parametrize(("where", "what", "city"), FAULTS, ids=[f"{where}: {what}" for where, what, _ in FAULTS])
def test_each_fault_is_named_with_its_place(where: str, what: str, city: Any) -> None:
    """One change, one complaint there."""
    tariff = msgspec.json.decode(json.dumps(city), type=Tariff)
    found = list(tariff_check.faults(tariff))
    assert any(place == where and what in told for place, told in found), found


PURSE = Product(id="purse", services=("fare",), fare_fen=160)
MISSES: list[tuple[str, dict[str, Any]]] = [
    ("leave out 'accumulates'", {"accumulates": ("day",)}),
    ("leave out 'transfers'", {"transfers": ("soon",)}),
    ("leave out 'percent'", {"percent": 50}),
    ("leave out 'percent_in'", {"percent_in": {"outside": 50}}),
    ("leave out 'fare'", {"fare": "flat"}),
    ("leave out 'counted'", {"counted": Counted(id="rides", period=Period.DAY, allowance=2)}),
    ("leave out 'quota'", {"quota": Quota(most=1)}),
    ("leave out 'reentry'", {"reentry": True}),
    ("leave out 'booked'", {"booked": True}),
    ("leave out 'persons'", {"persons": 5}),
    ("no transfer 'never'", {"transfers": ("never",)}),
    ("below its least", {"fare_fen": -1}),
    ("HH:MM", {"when": (Hours(start="nine"),)}),
]


@pytest.mark.parametrize(("what", "changes"), MISSES, ids=[what for what, _ in MISSES])
def test_a_purse_s_product_says_only_what_a_purse_does(what: str, changes: dict[str, Any]) -> None:
    """A cap or a transfer nobody would heed is refused with the set, not passed over at the door."""
    tariff = msgspec.json.decode(json.dumps(CITY), type=Tariff)
    found = list(tariff_check.purse_product(tariff, msgspec.structs.replace(PURSE, **changes)))
    assert any(place == "products.purse" and what in told for place, told in found), found


def test_hours_and_classes_of_vehicle_are_a_purse_s_too() -> None:
    """What needs no sum is not complained about."""
    tariff = msgspec.json.decode(json.dumps(CITY), type=Tariff)
    product = msgspec.structs.replace(
        PURSE, modes=("bus",), when=(Hours(end="09:00"),), review="proof", pass_back=PassBack(window_s=60)
    )
    assert list(tariff_check.purse_product(tariff, product)) == []


def test_a_good_calendar_and_good_dates_are_no_fault() -> None:
    """Nothing is complained about that is right."""
    city = _set({"holidays": ["2026-10-01"], "workdays": ["2026-10-10"]}, "calendar")
    city["zones"] = {"garden": {"open": [{"start": "09:00"}], "most": 3}, "lake": {"after": "garden"}}
    city["products"][0] |= {"zones": ["garden"], "quota": {"most": 1}}
    city["zones"]["garden"]["exit_tapped"] = True
    city["products"][1] |= {"zones": ["garden"], "reentry": True}
    city["products"][1]["when"] = [{"dates": ["02-29", "2026-10-01"]}]
    assert list(tariff_check.faults(msgspec.json.decode(json.dumps(city), type=Tariff))) == []


def test_a_slip_of_the_pen_is_refused() -> None:
    """A key nobody knows must not change a price in silence."""
    with pytest.raises(msgspec.ValidationError, match="pecent"):
        msgspec.json.decode(json.dumps(_set(50, "products", 0, "pecent")), type=Tariff)
    with pytest.raises(msgspec.ValidationError, match="cap"):
        msgspec.json.decode(json.dumps(_set(50, "accumulations", "day", "cap")), type=Tariff)


def test_what_is_not_known_is_never_guessed() -> None:
    """No line, no stop, another line at the other end: no price."""
    far = FareTable(measure=Measure.METRES, bands=(Band(up_to=9, fare_fen=100),))
    lines = {"1": Line(stops=(Stop(id="a"), Stop(id="b", at_m=20))), "empty": Line(stops=())}
    a, elsewhere = Where(line="1", stop="a"), Where(line="2", stop="b")
    assert table.full_price(far, lines, a, None) is None
    assert table.full_price(far, lines, a, elsewhere) is None
    assert table.full_price(far, lines, elsewhere, elsewhere) is None
    assert table.full_price(far, lines, a, Where(line="1", stop="z")) is None
    assert table.farthest_price(far, lines, elsewhere) is None
    assert table.farthest_price(far, lines, Where(line="empty", stop="a")) is None
    assert table.farthest_price(far, lines, Where(line="1", stop="z")) is None
    assert table.full_price(far, lines, a, Where(line="1", stop="b")) == 100  # above the last band, without more
    assert table.stop_of(None, "a") is None
