"""Chaos between the two ends loses nothing and doubles nothing, and a planted bug is noticed.

The long run is `make chaos`; here some records show that the rig works.
"""

import pytest

from tests.chaos.run import live, verdict

RECORDS = 150


def test_chaos_loses_nothing_and_doubles_nothing() -> None:
    """Both ends killed at least twice, and what was acknowledged is at head office, once."""
    found = live(RECORDS, seed=3, plant="")
    assert verdict(found, RECORDS) == 0, found
    assert found["records"] >= RECORDS and found["acknowledged"] > 0
    assert min(found["kills"].values()) >= 2


@pytest.mark.parametrize(
    ("plant", "symptom"), [("mark before receipt", "missing"), ("office without dedup", "double")], ids=str
)
def test_chaos_notices_a_planted_bug(plant: str, symptom: str) -> None:
    """A rig that cannot fail proves nothing."""
    found = live(RECORDS, seed=4, plant=plant)
    assert found[symptom] > 0
    assert verdict(found, RECORDS) == 1
