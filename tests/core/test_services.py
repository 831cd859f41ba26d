"""The judgement of gate services: tables of decisions, each row a sentence."""

import pytest

from terminal.core.model import (
    HeldProduct,
    History,
    Holder,
    OpenGate,
    PassageMode,
    Reason,
    UseState,
    Verdict,
)
from terminal.core.parameters import Block, BlockScope, Condition
from terminal.core.services import SERVICES, Case, pricing, refuse
from tests.core.cases import ADULT, GROUP, NOW_MS, STUDENT, credential, instant, parameters, ref, use

GROUP_TICKET = HeldProduct(product="group", from_ms=NOW_MS - 1000, until_ms=NOW_MS + 1000)
SENSOR = PassageMode.SENSOR


def case(**changes: object) -> Case:
    """One boarding at the front door, unless said otherwise."""
    values = {
        "service": "fare",
        "lane": "front",
        "passage": PassageMode.ASSUMED,
        "lane_busy": False,
        "credential": credential(),
        "account": None,
        "history": History(),
        "parameters": parameters(),
        "at": instant(),
    } | changes
    return Case(**values)  # type: ignore[arg-type]  # test shorthand


def blocked(name: str, *scopes: BlockScope, lost: bool = False) -> object:
    """Parameters in which `name` is blocked."""
    row = Block(ref=ref(name).hex(), scopes=scopes, reported_lost=lost)
    return parameters(blocks_of={ref(name): (row,)})


@pytest.mark.parametrize(
    ("sentence", "changes", "reason"),
    [
        ("an ordinary rider pays", {}, Reason.PAID),
        ("a clock that is not sure decides nothing", {"at": instant(uncertainty_ms=60_001)}, Reason.CLOCK_UNSURE),
        ("no product of this service", {"service": "admission"}, Reason.NOT_ACCEPTED_HERE),
        ("above the issuer's ceiling", {"credential": credential(ceiling_fen=199)}, Reason.OVER_CEILING),
        ("exactly the ceiling", {"credential": credential(ceiling_fen=200)}, Reason.PAID),
        ("a blocked medium", {"parameters": blocked("amber", BlockScope.PAYMENT)}, Reason.BLOCKED),
        ("a block of another scope", {"parameters": blocked("amber", BlockScope.PURSE)}, Reason.PAID),
        (
            "its account reported lost",
            {"account": ref("account"), "parameters": blocked("account", BlockScope.PAYMENT, lost=True)},
            Reason.REPORTED_LOST,
        ),
        ("an unknown status list", {"credential": credential(status_index=("main", 4))}, Reason.STATUS_UNKNOWN),
        ("the same code on the same vehicle", {"history": History(same_code=(use(),))}, Reason.ALREADY_PAID),
        (
            "a code used at another gate",
            {"history": History(same_code=(use(passage=SENSOR, lane="rear"),)), "passage": SENSOR},
            Reason.CODE_USED,
        ),
        (
            "the same code while its entry is still being written",
            {"history": History(same_code=(use(name=None, passage=SENSOR, state=UseState.RESERVED),))},
            Reason.GATE_BUSY,
        ),
        ("somebody else is still walking", {"lane_busy": True}, Reason.GATE_BUSY),
        ("companions used up", {"history": History(same_party=(use(),) * 3)}, Reason.COMPANIONS_USED),
        (
            "a student's second tap",
            {"credential": credential(holder=Holder(card_type="02")), "history": History(same_party=(use(),))},
            Reason.TOO_SOON,
        ),
    ],
)
def test_fare(sentence: str, changes: dict[str, object], reason: Reason) -> None:
    """Each rule speaks with its own reason; the first that speaks ends it."""
    assert SERVICES["fare"](case(**changes)).decision.reason is reason, sentence


def test_a_grant_opens_for_one_and_charges_the_fare() -> None:
    """A flat fare is one person, one charge, with its evidence."""
    outcome = SERVICES["fare"](case())
    assert outcome.decision.verdict is Verdict.GRANT
    assert outcome.charge is not None and outcome.charge.amount_fen == 200
    assert OpenGate(persons=1) in outcome.acts
    assert outcome.decision.evidence.versions == {"tariff": 3}
    assert outcome.decision.evidence.parameter_age_s == 60


def test_already_paid_opens_again_and_charges_nothing() -> None:
    """The question "did it work?" is answered with the earlier grant's name."""
    outcome = SERVICES["fare"](case(history=History(same_code=(use(),))))
    assert outcome.decision.granted
    assert outcome.charge is None
    assert outcome.repeat_of == use().name


def test_a_denial_opens_nothing() -> None:
    """Without a grant there is no opening among the acts."""
    outcome = SERVICES["fare"](case(credential=credential(ceiling_fen=1)))
    assert not outcome.decision.granted
    assert not any(isinstance(act, OpenGate) for act in outcome.acts)


def test_a_park_that_sells_nothing_to_somebody() -> None:
    """No product fits: not accepted here."""
    assert SERVICES["admission"](case(service="admission")).decision.reason is Reason.NOT_ACCEPTED_HERE


def test_a_group_ticket_is_so_many_counted_passages() -> None:
    """Five are let through and five are charged."""
    outcome = SERVICES["admission"](case(service="admission", credential=credential(products=(GROUP_TICKET,))))
    assert (outcome.persons, outcome.charge.amount_fen) == (5, 15000)  # type: ignore[union-attr]  # granted


def test_two_left_outside_come_again_as_two() -> None:
    """After an annul of a half-walked group the same code lets in those who stayed outside, and no more."""
    annulled = use(passage=SENSOR, state=UseState.ANNULLED, persons=5, passed=3, annulled_persons=2)
    past = History(same_code=(annulled,), same_party=(annulled,))
    outcome = SERVICES["admission"](
        case(service="admission", passage=SENSOR, credential=credential(products=(GROUP_TICKET,)), history=past)
    )
    assert (outcome.persons, outcome.charge.amount_fen) == (2, 6000)  # type: ignore[union-attr]  # granted


def test_a_pass_in_the_table_follows_the_account() -> None:
    """What an account holds serves every medium linked to it."""
    table = {ref("account"): (GROUP_TICKET,)}
    judged = case(service="admission", account=ref("account"), parameters=parameters(passes_of=table))
    assert SERVICES["admission"](judged).decision.granted


@pytest.mark.parametrize(
    ("sentence", "holder", "at_s", "product"),
    [
        ("a card type", Holder(card_type="02"), 0, "student"),
        ("student until later", Holder(student_until_ms=NOW_MS), 0, "student"),
        ("student until a second ago", Holder(student_until_ms=NOW_MS), 1, "adult"),
        ("old enough and resident", Holder(age_from=65, residency="510100"), 0, "senior"),
        ("old enough from elsewhere", Holder(age_from=65, residency="110000"), 0, "adult"),
        ("too young", Holder(age_from=60, residency="510100"), 0, "adult"),
        ("nothing known", Holder(), 0, "adult"),
    ],
)
def test_product_for(sentence: str, holder: Holder, at_s: int, product: str) -> None:
    """The first product whose conditions the holder meets is taken."""
    who = (Condition(age_from=65, residency=("510100",)),)
    senior = type(ADULT)(id="senior", services=("fare",), fare_fen=0, who=who)
    tariff = parameters(senior, STUDENT, ADULT, GROUP).tariff
    found = pricing.product_for("fare", credential(holder=holder), (), tariff, instant(at_s))
    assert found is not None and found.id == product, sentence


def test_a_pass_counts_only_between_its_days() -> None:
    """Before its first and after its last instant a held product is not held."""
    tariff = parameters().tariff
    holder = credential()
    for at_s, held in ((-2, False), (0, True), (2, False)):
        found = pricing.product_for("admission", holder, (GROUP_TICKET,), tariff, instant(at_s))
        assert (found is not None) is held


def test_a_refusal_becomes_an_outcome_with_evidence() -> None:
    """What did not verify is still decided, with reason and evidence."""
    outcome = refuse(Verdict.REFER, Reason.ONLINE_ONLY_MEDICAL, parameters(), instant(), ())
    assert outcome.decision.verdict is Verdict.REFER
    assert outcome.decision.evidence.parameter_version == 3
