"""Simulated days hold, come again exactly, and notice a bug.

The long run is `make days`; here a few seeds show that the rig works.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.days.planted import live_planted
from tests.days.trades import TRADES
from tests.plants import PLANTS

ROOT = Path(__file__).parent.parent
FEW = 6  # days in a row: every trade at least once
# The first day that can show a bug at all is that of its trade: two taps 1, purses 2, turnstiles 3, a library 4.
FIRST = {
    "annul ignored": 3,
    "boarding honoured at the exit": 6,  # needs a card torn at boarding: two days of its trade
    "slot not counted": 3,
    "slot at any hour": 3,
    "card debited for more": 2,
    "replay dropped": 4,
    "replayed unasked": 4,
}


@pytest.mark.parametrize("seed", range(len(TRADES)))
def test_nothing_is_violated_on_a_day(seed: int) -> None:
    assert live_planted(seed).violations == []


@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_bug_is_noticed_within_a_few_days(plant: str) -> None:
    first = FIRST.get(plant, 1)
    assert any(live_planted(seed, plant).violations for seed in range(first, first + FEW))


def test_a_seed_brings_the_same_day_in_every_process() -> None:
    digests = {_digest(hash_seed) for hash_seed in ("1", "2")}
    assert len(digests) == 1


def _digest(hash_seed: str) -> str:
    """Of one day, lived in a fresh process."""
    program = "from tests.days.planted import live_planted; print(live_planted(4).digest)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()
