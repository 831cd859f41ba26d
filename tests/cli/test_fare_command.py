"""`terminal fare`: explained by the functions a gate asks; a bad file or ride is told, never a traceback."""

import json
from pathlib import Path

import pytest

from terminal.__main__ import main
from terminal.cli import exit_codes

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
    "text", ["yesterday=24", "2026-03-02T08:00", "2026-03-02T08:00=24:a:b:soon", "2026-03-02T08:00=a:b:c:1:2"]
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
