"""Blocks, in their scopes."""

import pytest

from terminal.core.model import Reason
from terminal.core.parameters import Block, BlockScope
from terminal.core.status import block_on
from tests.core.cases import parameters, ref

PAYMENT = (BlockScope.PAYMENT,)


def blocked(name: str, *scopes: BlockScope, lost: bool = False) -> object:
    """Parameters in which `name` is blocked."""
    return parameters(blocks_of={ref(name): (Block(ref=ref(name).hex(), scopes=scopes, reported_lost=lost),)})


@pytest.mark.parametrize(
    ("sentence", "known", "expected"),
    [
        ("nothing blocked", parameters(), None),
        ("the medium is blocked", blocked("phone", BlockScope.PAYMENT), Reason.BLOCKED),
        ("the medium was reported lost", blocked("phone", BlockScope.PAYMENT, lost=True), Reason.REPORTED_LOST),
        ("its account is blocked", blocked("account", BlockScope.PAYMENT), Reason.BLOCKED),
        ("a block of another scope", blocked("account", BlockScope.IDENTITY, BlockScope.PURSE), None),
        ("somebody else's block", blocked("stranger", BlockScope.PAYMENT), None),
    ],
)
def test_block_on(sentence: str, known: object, expected: Reason | None) -> None:
    """A block counts for its medium and its account, in its scopes only."""
    assert block_on(known, [ref("phone")], ref("account"), PAYMENT) is expected, sentence  # type: ignore[arg-type]


def test_an_old_cards_block_does_not_reach_the_phone() -> None:
    """The replaced card's own name is blocked; the phone's account has moved on to the new card."""
    known = blocked("old card", BlockScope.PAYMENT)
    assert block_on(known, [ref("phone")], ref("new card"), PAYMENT) is None  # type: ignore[arg-type]
    assert block_on(known, [ref("old card")], None, PAYMENT) is Reason.BLOCKED  # type: ignore[arg-type]
