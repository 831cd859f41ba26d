"""Fuzzing as far as every change must go: the kept corpus, some hundred inputs a target, and a planted crash.

The long run is `make fuzz SECONDS=60`.
"""

import pytest

from tests.fuzz import run
from tests.fuzz.one import one_round
from tests.fuzz.targets import PLANTED, TARGETS

EXAMPLES = 100


@pytest.mark.parametrize("name", TARGETS)
def test_the_kept_corpus_goes_through(name: str) -> None:
    """Every input that was ever worth keeping, and the seeds."""
    inputs = [*run.kept(name), *TARGETS[name].seeds()]
    assert run.kept(name)
    for data in inputs:
        TARGETS[name].run(data)


@pytest.mark.parametrize("name", TARGETS)
def test_a_hundred_others_go_through(name: str) -> None:
    """Made by chance from the corpus."""
    count, crash = one_round(TARGETS[name].run, run.kept(name), 1, EXAMPLES)
    assert crash is None
    assert count >= EXAMPLES / 2


def test_chance_finds_the_planted_crash() -> None:
    """A campaign that cannot fail proves nothing."""
    rounds = (one_round(PLANTED.run, PLANTED.seeds(), number, 500) for number in range(20))
    assert any(crash is not None for _, crash in rounds)


def test_a_campaign_finds_the_planted_crash() -> None:
    """In a process of its own, by the better engine that is installed."""
    found = run.campaign("planted", 4, run.best_engine())
    assert found["crashes"] == 1 and found["executions"] > 0
