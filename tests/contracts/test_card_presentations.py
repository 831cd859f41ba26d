"""The short form of `make cards`: nothing grows with cards held out and plugs pulled; a slot that leaks is noticed."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from terminal.core.model import Medium, Reading
from terminal.ports import CardChannel, CardSlot
from tests.card_stands import stand_of
from tests.presentations import FastSerialStand, present, unplug

SOME, FEW = {"memory": 300, "pcsc": 3}, 3


def assert_nothing_grew(found: dict[str, float]) -> None:
    """What other tests left open may be closed meanwhile."""
    assert max(found["descriptors"], found["threads"], found.get("pcscd_descriptors", 0)) <= 0
    assert found["rss_mib"] < 4


class LeakySlot:
    """The bug to be caught: one descriptor an arrival is never closed."""

    medium = Medium.CARD

    def __init__(self, slot: CardSlot) -> None:
        self.leaked: list[int] = []
        self._slot = slot

    async def cards(self) -> AsyncIterator[tuple[CardChannel, Reading]]:
        """See the port."""
        async for one in self._slot.cards():
            self.leaked.append(os.open("/dev/null", os.O_RDONLY))
            yield one


async def test_a_leak_is_noticed(tmp_path: Path) -> None:
    """The rig can fail."""
    leaky: list[LeakySlot] = []

    def wrap(slot: CardSlot) -> CardSlot:
        leaky.append(LeakySlot(slot))
        return leaky[0]

    async with stand_of("memory", tmp_path) as stand:
        found = await present(stand, 50, wrap)
    for descriptor in leaky[0].leaked:
        os.close(descriptor)
    assert found["descriptors"] >= 40  # fifty less those before the first count; others come and go by ones


@pytest.mark.parametrize("kind", SOME)
async def test_nothing_grows_with_presentations(kind: str, tmp_path: Path) -> None:
    """In memory, and through pcscd, whose descriptors count too."""
    async with stand_of(kind, tmp_path) as stand:
        found = await present(stand, SOME[kind])
    assert_nothing_grew(found)


async def test_nothing_grows_on_the_serial_line(tmp_path: Path) -> None:
    """Cards held out, then plugs pulled."""
    stand = FastSerialStand(tmp_path)
    try:
        assert_nothing_grew(await present(stand, 60))
        assert_nothing_grew(await unplug(stand, FEW))
    finally:
        stand.module.wire.unplug()


async def test_nothing_grows_when_pcscd_dies(tmp_path: Path) -> None:
    """It is back by itself, and so are we."""
    async with stand_of("pcsc", tmp_path) as stand:
        found = await unplug(stand, FEW)
    assert_nothing_grew(found)
    assert found["times"] == FEW
