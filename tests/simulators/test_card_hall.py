"""Whoever stands at the card gate: a card the gate waits for is put back, whatever made it leave."""

from pathlib import Path
from random import Random

import pytest

from simulators.card import SimulatedCard
from simulators.card_hall import CardHall

SELECT = bytes.fromhex("00a4040008a00000063201010500")
BEGIN = bytes.fromhex("805001020b0100000064") + bytes(6) + b"\x0f"
BEGIN_TOO_MUCH = bytes.fromhex("805001020b0100ffffff") + bytes(6) + b"\x0f"
COMMIT = bytes.fromhex("805401000f") + bytes(15) + b"\x08"


@pytest.mark.parametrize(
    ("commands", "held", "why"),
    [
        ((), 1, "nobody asked it anything"),
        ((SELECT,), 1, "it was only read"),
        ((SELECT, BEGIN), 4, "patience ended between beginning and debit"),
        ((SELECT, BEGIN, COMMIT), 4, "patience ended in the debit"),
        ((SELECT, BEGIN_TOO_MUCH), 1, "there was too little on it"),
    ],
)
async def test_a_card_the_gate_waits_for_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commands: tuple[bytes, ...], held: int, why: str
) -> None:
    """Three times at most; any other is taken away for good."""
    monkeypatch.setattr("simulators.card_hall.BETWEEN_S", (0.0, 0.0))
    hall = CardHall(tmp_path, lambda kind, **what: None, Random(1))
    holds: list[str] = []

    async def hold(who: str, card: SimulatedCard) -> bool:
        holds.append(who)
        card.power_on()
        for command in commands:
            card.answer(command)
        return False

    monkeypatch.setattr(hall, "_hold", hold)
    await hall._visit("purse")
    assert len(holds) == held, why
