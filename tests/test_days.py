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
FEW_SEEDS = range(1, 7)


@pytest.mark.parametrize("seed", range(len(TRADES)))
def test_nothing_is_violated_on_a_day(seed: int) -> None:
    assert live_planted(seed).violations == []


@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_bug_is_noticed_within_a_few_days(plant: str) -> None:
    assert any(live_planted(seed, plant).violations for seed in FEW_SEEDS)


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
