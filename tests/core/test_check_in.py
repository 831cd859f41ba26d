"""The judgement of check-in: a table of decisions, each row a sentence; who came before, what this one is told."""

from typing import Any

import msgspec
import pytest

from terminal.core.card import Assurance
from terminal.core.entries import PassageAnnulled
from terminal.core.model import HeldProduct, Instant, Medium, OpenGate, PassageMode, Reason, TimeSource, Verdict
from terminal.core.parameters import Block, BlockScope, Condition, Policies, Product, Tariff
from tests.core.cases import ref
from tests.core.riding import Riding, local_ms

NINE = local_ms("2026-03-02 09:00")
MINUTE_MS = 60_000
EVENT = Product(
    id="congress",
    services=("check_in",),
    fare_fen=0,
    fare_type="attendance",
    who=(Condition(held="congress"),),
    scopes=(BlockScope.IDENTITY,),
)
INVITED = {ref(name): (HeldProduct(product="congress", from_ms=0, until_ms=NINE * 2),) for name in ("amber", "zhang")}


def event() -> Riding:
    """A door where a congress is held."""
    return Riding(Tariff(products=(EVENT,)), passes_of=INVITED)


def shown(minute: float, who: str = "amber", **more: Any) -> dict[str, Any]:
    """Somebody at the door."""
    return {"at_ms": NINE + int(minute * MINUTE_MS), "who": who, "service": "check_in", **more}


STATIC: dict[str, Any] = {"medium": Medium.CARD, "assurance": Assurance.STATIC}
LOST = Block(ref=ref("amber").hex(), scopes=(BlockScope.IDENTITY,), reported_lost=True)
AMBER_LOST: dict[str, Any] = {"parameters": {"blocks_of": {ref("amber"): (LOST,)}}}
STATIC_TAKEN: dict[str, Any] = {"parameters": {"policies": Policies(static_cards=("check_in",))}}
UNSURE: dict[str, Any] = {"parameters": {"policies": Policies(max_uncertainty_s=-1)}}
SENSOR: dict[str, Any] = {"passage": PassageMode.SENSOR}

ROWS: list[tuple[str, list[dict[str, Any]], dict[str, Any], Reason]] = [
    ("somebody who is invited", [], shown(0), Reason.CHECKED_IN),
    ("somebody who is not", [], shown(0, "stranger"), Reason.NOT_INVITED),
    ("again after lunch, with a fresh code", [shown(0)], shown(200), Reason.CHECKED_IN_BEFORE),
    ("the same code: did it work?", [shown(0, code="x")], shown(1, code="x"), Reason.CHECKED_IN_BEFORE),
    ("at the other door", [shown(0, code="x")], shown(1, code="x", lane="rear"), Reason.CHECKED_IN_BEFORE),
    ("tomorrow is another day", [shown(0)], shown(1440), Reason.CHECKED_IN),
    ("by the card, then by the phone", [shown(0, "card", account="zhang")], shown(9, "phone", account="zhang"),
     Reason.CHECKED_IN_BEFORE),
    ("a picture of a code at a turnstile", [shown(0, code="x", **SENSOR)], shown(1, code="x", lane="west", **SENSOR),
     Reason.CODE_USED),
    ("nobody walked, the same code", [shown(0, code="x", **SENSOR), {"annul": True}], shown(1, code="x", **SENSOR),
     Reason.CHECKED_IN),
    ("a card reported lost", [], shown(0, **AMBER_LOST), Reason.REPORTED_LOST),
    ("a card that can be copied", [], shown(0, **STATIC), Reason.CARD_UNPROVEN),
    ("… where the organiser says it will do", [], shown(0, **STATIC, **STATIC_TAKEN), Reason.CHECKED_IN),
    ("a clock that is not sure which day it is", [], shown(0, **UNSURE), Reason.CLOCK_UNSURE),
    ("somebody stands in the turnstile", [], shown(0, lane_busy=True), Reason.GATE_BUSY),
]  # fmt: skip


def run(riding: Riding, one: dict[str, Any]) -> Any:
    one = dict(one)
    if "annul" in one:
        at = Instant(utc_ms=NINE + 8000, uncertainty_ms=0, source=TimeSource.SYSTEM, monotonic_ns=0)
        return riding.write(PassageAnnulled(lane="front", of=riding.entries[-1].name, passed=0), at)
    riding.parameters = msgspec.structs.replace(riding.parameters, **one.pop("parameters", {}))
    riding.passage = one.pop("passage", PassageMode.ASSUMED)
    return riding.tap(one.pop("at_ms"), **one)


@pytest.mark.parametrize(("sentence", "before", "now", "reason"), ROWS, ids=[row[0] for row in ROWS])
def test_decisions(sentence: str, before: list[dict[str, Any]], now: dict[str, Any], reason: Reason) -> None:
    """Who came before, what this one is told; nobody is ever charged."""
    riding = event()
    for one in before:
        run(riding, one)
    outcome = run(riding, now)
    assert outcome.decision.reason is reason, sentence
    assert any(isinstance(act, OpenGate) for act in outcome.acts) is outcome.decision.granted
    assert riding.charged_fen == 0


def test_who_is_not_invited_is_referred_not_refused() -> None:
    """The desk may know better: no red light, no stop."""
    assert run(event(), shown(0, "stranger")).decision.verdict is Verdict.REFER


def test_attendance_is_one_a_day_and_account() -> None:
    """However often, with whatever, somebody comes."""
    riding = event()
    for minute, who in ((0, "card"), (5, "phone"), (300, "card"), (1440, "phone")):
        run(riding, shown(minute, who, account="zhang"))
    assert [(one.id, one.count) for one in riding.ledgers[ref("zhang")].sums] == [("attended:congress", 1)]
    attended = [entry for entry in riding.entries if getattr(entry.fact, "effects", ())]
    assert len(attended) == 2
