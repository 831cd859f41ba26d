"""A card is in one place: held out anew, it answers nobody who still holds on to its earlier visit."""

import pytest

from simulators.card_issuer import CardIssuer
from simulators.card_slot import MemoryChannel
from terminal.ports import CardGone

SELECT_PURSE = bytes.fromhex("00A4040008A00000063201010500")


async def test_whoever_talked_with_it_before_hears_that_it_is_gone() -> None:
    """Two slots, one card: the first conversation ends, the second one is whole."""
    card = CardIssuer().card("amber")
    before = MemoryChannel(card, alone=True)
    assert (await before.transmit(SELECT_PURSE))[-2:] == b"\x90\x00"
    now = MemoryChannel(card, alone=True)
    with pytest.raises(CardGone):
        await before.transmit(SELECT_PURSE)
    assert (await now.transmit(SELECT_PURSE))[-2:] == b"\x90\x00"
