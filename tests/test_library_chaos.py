"""Library systems through chaos, as far as every change must go; the long campaign is `make chaos-library`."""

import pytest

from tests.library_chaos.ends import NAMES
from tests.library_chaos.run import PLANTS, campaign

REQUESTS = 90


@pytest.mark.parametrize("name", NAMES)
async def test_no_answer_is_anothers_and_no_copy_is_lent_twice(name: str) -> None:
    """Each silence has its own name, and a loan in doubt is settled by the product's own replay."""
    found = await campaign(name, REQUESTS, seed=7)
    assert found["wrong"] == []
    assert found["requests"] >= REQUESTS and found["loans"] > 0
    assert len(found["faults"]) > 10


@pytest.mark.parametrize("plant", PLANTS)
async def test_a_planted_bug_is_noticed(plant: str) -> None:
    """A campaign that cannot fail proves nothing."""
    found = await campaign("pretend", REQUESTS, seed=7, plant=plant)
    assert found["wrong"]
