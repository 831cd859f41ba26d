"""Parameters that are good and do not fit the gates they come to: an annulled rider would walk in."""

import msgspec
import pytest

from terminal.core.entries import Alarm, ParametersChanged
from terminal.ports import DeviceError
from tests.stories.world import PASSAGE_S, World, park


@park
async def test_a_set_whose_annul_time_is_too_short_is_not_swapped_in(site: World) -> None:
    """The former set stays, an alarm says why, and the next set that fits is taken; a start takes none either."""
    terminal = site.terminal
    assert terminal is not None and terminal.site is not None
    usual, hold_s = site.head.policies, terminal.parts.lanes[0].gate.hold_s
    site.head.policies = msgspec.structs.replace(usual, passage_s=int(hold_s))
    await site.publish()
    assert terminal.site.parameters.policies.passage_s == PASSAGE_S
    (alarm,) = [fact for fact in site.facts(Alarm) if fact.kind == "parameters"]
    assert "passage_s" in alarm.detail and "front" in alarm.detail
    await site.cut_power()
    with pytest.raises(DeviceError, match="passage_s"):
        await site.start()
    site.head.policies = usual
    await site.publish()
    await site.start()
    await site.stop()
    assert [fact.version for fact in site.facts(ParametersChanged)] == [1, 3]
