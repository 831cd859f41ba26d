"""The table of abuse cases is whole, and every test it names is really collected."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.abuse_cases import CASES, WANTED, Case

ROOT = Path(__file__).resolve().parents[1]


def missing(cases: dict[int, Case], collected: set[str]) -> dict[int, list[str]]:
    """Case → the tests it names that pytest does not collect."""
    lost = {number: [test for test in case.tests if test not in collected] for number, case in cases.items()}
    return {number: tests for number, tests in lost.items() if tests}


@pytest.fixture(scope="module")
def collected() -> set[str]:
    """Every test of the files the table names, as pytest names it, without parameters."""
    files = sorted({test.split("::")[0] for case in CASES.values() for test in case.tests})
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:randomly", *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return {line.split("[")[0] for line in done.stdout.splitlines() if "::" in line}


def test_the_table_is_whole() -> None:
    """Every case is there, in order, with a sentence and a test."""
    assert list(CASES) == WANTED
    assert all("→" in case.sentence for case in CASES.values())
    assert [number for number, case in CASES.items() if not case.tests] == []


def test_every_test_of_the_table_is_collected(collected: set[str]) -> None:
    """By its name, in its file; a test that was renamed or skipped at import is noticed here."""
    assert missing(CASES, collected) == {}


def test_a_row_that_names_nothing_is_noticed(collected: set[str]) -> None:
    """A rule that cannot fail proves nothing."""
    row = Case(
        "a → b", ("tests/test_logs.py::test_that_nobody_wrote", "tests/test_canary.py::test_a_traceback_names_nobody")
    )
    assert missing({1: row}, collected) == {1: ["tests/test_logs.py::test_that_nobody_wrote"]}
