"""Cards at a bus door and a park gate: what the card says is the truth, and money that was taken is honoured.

The law: nothing opens before a debit is known and written; nobody is charged twice; a card that left in the middle is
asked when it comes back, and what nobody can know is told as unknown.
"""

from simulators.card import SimulatedCard
from simulators.card_issuer import CardIssuer
from simulators.purse import PurseApplication
from terminal.core.card import CardPlace, CardRules, Stage
from terminal.core.entries import DebitIntended, Decided
from terminal.core.model import Reason, Verdict
from tests.stories.world import Door, World, bus

ISSUER = CardIssuer()


def purse_card(name: str = "amber", **changes: object) -> tuple[SimulatedCard, PurseApplication]:
    purse = ISSUER.purse(name, **changes)
    return ISSUER.card(name, purse), purse


def trips(door: Door, station: str = "0001", stage: Stage = Stage.BOTH) -> None:
    """This door takes trips: boarding and alighting."""
    place = CardPlace(stage=stage, line="0007", station=station)
    door.cards = CardRules(accepts=("transit_purse",), place=place)


@bus
async def test_a_purse_pays_and_the_balance_is_told(bus: World) -> None:
    """One debit, one intention before it, one grant behind it."""
    card, purse = purse_card()
    assert await bus.front.tap(card) is Reason.PAID_BY_CARD
    assert bus.front.indicator.shown is not None
    assert bus.front.indicator.shown.zh == "刷卡成功 1.6元 余额48.4元"
    assert purse.files.balance_fen == 4840
    assert bus.front.opened == [1]
    (intended,), (granted,) = bus.facts(DebitIntended), bus.decisions(Verdict.GRANT)
    assert granted.debit is not None and granted.debit.proof.holds
    assert intended.debit.counter == 41 and intended.debit.amount_fen == 160
    kinds = [type(entry.fact) for entry in bus.written()]
    assert kinds.index(DebitIntended) < kinds.index(Decided)
