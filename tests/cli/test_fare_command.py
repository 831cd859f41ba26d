"""`terminal fare`: explained by the functions a gate asks; a bad file or ride is told, never a traceback."""

import json
from pathlib import Path
from typing import Any

import pytest

from terminal.__main__ import main
from terminal.cli import exit_codes
from tests.core.test_fare import CITY

TARIFFS = Path(__file__).resolve().parents[2] / "config" / "tariffs"
LONDON, BEIJING = str(TARIFFS / "london-bus.json"), str(TARIFFS / "beijing-bus.json")


def test_a_day_in_london(capsys: pytest.CaptureFixture[str]) -> None:
    """Ride by ride, with the reason for each."""
    rides = [f"2026-03-02T{clock}=24" for clock in ("08:00", "08:40", "10:00", "12:00", "14:00")]
    assert main(["fare", "explain", LONDON, *rides]) == exit_codes.OK
    told = capsys.readouterr().out
    assert "40 minutes after the ride it counts from" in told
    assert "day: the cap is 5.25, 5.25 are paid already" in told
    assert told.splitlines()[-1] == "together 5.25 GBP"


def test_a_students_card_by_distance(capsys: pytest.CaptureFixture[str]) -> None:
    """Two taps a ride, as JSON: what each cost and why."""
    arguments = ["--medium", "card", "--card-type", "02", "--json", "2026-03-02T08:00=example:0:15.1:40"]
    assert main(["fare", "explain", BEIJING, *arguments]) == exit_codes.OK
    taps = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(tap["reason"], tap["fen"]) for tap in taps] == [("boarded", 0), ("alighted", 100)]
    assert [step["fen"] for step in taps[1]["steps"]] == [400, 100]


@pytest.mark.parametrize(
    "text",
    [
        "yesterday=24",
        "2026-03-02T08:00",
        "2026-03-02T08:00=24:a:b:soon",
        "2026-03-02T08:00=a:b:c:1:2",
        "2026-03-02T08:00=24@",
        "2026-03-02T08:00=24@a,b,c",
    ],
)
def test_a_ride_that_is_not_understood(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Said by the command line, with what to write."""
    with pytest.raises(SystemExit) as ended:
        main(["fare", "explain", LONDON, text])
    assert ended.value.code == exit_codes.USAGE
    assert "WHEN=LINE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "fare schema"),
        ("[]", "fare schema"),
        ('{"\udc80ame": "no UTF-8"}', "fare schema"),
        ('{"products": [], "pecent": 5}', "pecent"),
        ('{"products": [{"id": "a", "services": ["fare"], "fare_fen": -1}]}', "products.a"),
    ],
)
def test_a_tariff_that_cannot_be_taken(
    text: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every fault and its place; exit code 3."""
    path = tmp_path / "tariff.json"
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    assert main(["fare", "check", str(path)]) == exit_codes.SETTINGS
    assert main(["fare", "explain", str(path), "2026-03-02T08:00=24"]) == exit_codes.SETTINGS
    assert told in capsys.readouterr().err


def test_what_ships_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    """All three, by name; and the schema is JSON."""
    assert main(["fare", "check", *map(str, sorted(TARIFFS.glob("*.json")))]) == exit_codes.OK
    assert "Beijing metro" in capsys.readouterr().out
    assert main(["fare", "schema"]) == exit_codes.OK
    assert "Tariff" in json.loads(capsys.readouterr().out)["$defs"]


def explained(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    """What is told of each tap, as JSON."""
    assert main(["fare", "explain", *arguments, "--json"]) == exit_codes.OK
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def why(tap: dict[str, Any]) -> list[str]:
    return [step["why"] for step in tap["steps"]]


@pytest.fixture
def city(tmp_path: Path) -> str:
    """The city of the table of fares."""
    path = tmp_path / "city.json"
    path.write_text(json.dumps(CITY))
    return str(path)


def test_a_key_is_pressed_or_named(city: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Without one nobody knows the price, and is told which there are; with one it is priced."""
    (without,) = explained(capsys, city, "2026-03-02T08:00=keys")
    assert (without["reason"], without["fen"]) == ("fare_not_chosen", None)
    assert "--key: 1, 2" in why(without)[-1]
    (pressed,) = explained(capsys, city, "--key", "2", "2026-03-02T08:00=keys")
    assert (pressed["reason"], pressed["fen"]) == ("paid", 300)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["2026-03-02T08:00=Q9"], "no line 'Q9'; known: flat, far, "),
        (["2026-03-02T08:00=far:s0:s77"], "line far has no stop 's77'; known: s0, s1, "),
        (["2026-03-02T08:00=far:nowhere:s7"], "no stop 'nowhere'"),
        (["2026-03-02T08:00=keys:s0"], "known: none"),
        (["--key", "9", "2026-03-02T08:00=keys"], "no fare key '9'; known: 1, 2"),
    ],
)
def test_what_the_tariff_does_not_know(
    arguments: list[str], told: str, city: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A slip of the pen is no refusal: what is known is named, and the exit code says it was not understood."""
    assert main(["fare", "explain", city, *arguments]) == exit_codes.USAGE
    out, err = capsys.readouterr()
    assert told in err and not out


def test_a_tariff_without_lines_is_good_on_every_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One price for everything."""
    path = tmp_path / "flat.json"
    path.write_text('{"products": [{"id": "adult", "services": ["fare"], "fare_fen": 200}]}')
    assert [tap["fen"] for tap in explained(capsys, str(path), "2026-03-02T08:00=any")] == [200]


def test_products_passed_over_say_why(city: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Other people's, those of other hours, and those of other vehicles; a refusal tells the rider's words."""
    senior = ["--age-from", "65", "--residency", "510100"]
    (early,) = explained(capsys, city, *senior, "--held", "review", "2026-03-02T08:00=flat")
    assert why(early)[:2] == [
        "student is passed over: not for this rider",
        "senior is passed over: not at this hour or on this day",
    ]
    (unreviewed,) = explained(capsys, city, *senior, "2026-03-02T10:00=flat")
    assert why(unreviewed)[1] == "senior is passed over: the yearly review is due"
    (far,) = explained(capsys, city, "2026-03-02T08:00=far:s0")
    assert why(far)[0] == "student is passed over: not on this class of vehicle"
    (over,) = explained(capsys, city, "--ceiling", "100", "2026-03-02T08:00=flat")
    assert over["fen"] is None and over["steps"][-1]["rule"] == "refused"
    assert main(["fare", "explain", city, "--ceiling", "100", "2026-03-02T08:00=flat"]) == exit_codes.OK
    assert "over_ceiling" in capsys.readouterr().out


def test_a_purse_runs_dry(city: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One ride on trust, then none; a purse that can pay settles what is owed with the next."""
    rides = [f"2026-03-02T{hour}:00=flat" for hour in ("08", "10", "12", "14")]
    told = [(tap["reason"], tap["fen"]) for tap in explained(capsys, city, "--funds", "250", *rides)]
    assert told == [("paid", 200), ("grace", 0), ("balance_short", None), ("balance_short", None)]


def test_in_with_the_card_out_with_the_phone(city: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Where both are of one account it is one trip; where they are not, the phone never boarded."""
    ride = "2026-03-02T08:00=far:s2:s7:9@card,code"
    assert [(tap["reason"], tap["fen"]) for tap in explained(capsys, city, "--linked", ride)] == [
        ("boarded", 0),
        ("alighted", 350),
    ]
    held = ["--medium", "card", "--card-type", "02", "--linked", "2026-03-02T08:00=example:0:10:30@card,code"]
    off = explained(capsys, BEIJING, *held)[1]
    assert (off["product"], off["fen"]) == (
        "student-card",
        50,
    )  # boarded as that: what the phone could have is no matter
    assert [step["rule"] for step in off["steps"]] == ["full", "share"]
    assert explained(capsys, city, ride)[1]["fen"] == 450  # no tap-in: from the farther end


def test_a_student_until_a_day(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """That day included, in the tariff's zone."""
    products = [
        {"id": "student", "services": ["fare"], "fare_fen": 100, "who": [{"student": True}]},
        {"id": "adult", "services": ["fare"], "fare_fen": 200},
    ]
    path = tmp_path / "school.json"
    path.write_text(json.dumps({"products": products}))
    rides = ["2026-07-31T23:59=1", "2026-08-01T00:00=1"]
    taps = explained(capsys, str(path), "--student", "2026-07-31", *rides)
    assert [tap["fen"] for tap in taps] == [100, 200]


def test_a_companion_is_the_same_ride_again(city: str, capsys: pytest.CaptureFixture[str]) -> None:
    """On the same bus; the holder changes to the next, and London's card is one person's."""
    rides = ["2026-03-02T08:00=flat", "2026-03-02T08:00=flat", "2026-03-02T08:20=flat"]
    taps = explained(capsys, city, *rides)
    assert [tap["fen"] for tap in taps] == [200, 200, 100]
    assert any("companion" in told for told in why(taps[1]))
    assert [tap["reason"] for tap in explained(capsys, LONDON, *["2026-03-02T08:00=24"] * 2)] == ["paid", "too_soon"]
    on_the_way_back = explained(capsys, LONDON, "2026-03-02T08:00=24", "2026-03-02T08:09=24")
    assert [(tap["reason"], tap["fen"]) for tap in on_the_way_back] == [("paid", 175), ("transfer", 0)]
