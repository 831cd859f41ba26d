"""Every way a purchase can be torn, on a vehicle; `make torn` lives through the gates as well."""

from pathlib import Path

import pytest

from simulators.card import Trouble
from terminal.core.model import PassageMode
from tests.rigs import torn


@pytest.mark.parametrize("flow", torn.FLOWS, ids=lambda flow: flow.name)
def test_card_entries_and_head_office_agree(
    flow: torn.Flow, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In every case, or it is told as unknown; nobody is charged twice, and whoever comes back gets through."""
    chosen = [case for case in torn.every((PassageMode.ASSUMED,)) if case.flow == flow]
    count, states, wrong = torn.live_all(chosen, tmp_path)
    assert wrong == []
    assert {"done", "not_done", "unknown"} <= set(states)
    with capsys.disabled():
        print(f" [{flow.name}: {count} cases]", end="")


@pytest.mark.parametrize("plant", torn.PLANTS)
def test_the_rig_finds_what_was_planted(plant: str, tmp_path: Path) -> None:
    """A rig that finds nothing proves nothing."""
    links = [None, (3, Trouble.LEAVES_BEFORE), (3, Trouble.LEAVES_AFTER)]
    chosen = [torn.Case(torn.FLOWS[0], link, power, True) for link in links for power in (None, (1, False))]
    with torn.PLANTS[plant]():
        assert torn.live_all(chosen, tmp_path)[2]
    assert torn.live_all(chosen, tmp_path)[2] == []
