"""The steps of a price as sentences: each rule leaves one, with the figures it looked at."""

import json
from typing import Any

import msgspec
import pytest

from terminal.core.fares.quote import Step
from terminal.core.fares.sentences import SENTENCES, sentence
from terminal.core.fares.trips import Role
from terminal.core.parameters import Tariff
from terminal.core.services import SERVICES
from terminal.core.services.fare import explained
from tests.core.riding import Riding
from tests.core.test_fare import CITY, FAR, GATE_IN, SENIOR, STUDENT, city, run, tap

SHOWN = [
    ("a flat ride", [], tap(0), ["full"]),
    ("a student", [], tap(0, **STUDENT), ["full", "share"]),
    ("a transfer", [tap(0)], tap(30), ["full", "transfer"]),
    ("a cap", [tap(0), tap(60)], tap(120), ["full", "cap"]),
    ("a companion", [tap(0), tap(60)], tap(60.1), ["full", "companion"]),
    ("a ceiling", [FAR], tap(9, "far", "s9", ceiling_fen=300), ["full", "ceiling"]),
    ("a count", [], tap(90, **SENIOR), ["full", "counted"]),
    ("boarding", [], FAR, ["boarded"]),
    ("what was not finished", [FAR], tap(60), ["unfinished", "full", "cap"]),
    ("a debt", [tap(0, funds_fen=50)], tap(60), ["full", "owed"]),
    ("overtime", [GATE_IN], tap(121, "gates", "s2", vehicle="", role=Role.EXIT), ["full", "overtime"]),
    ("a refusal", [], tap(0, "nowhere"), []),
    ("a question", [FAR], tap(0.4, "far", "s2"), []),
]


@pytest.mark.parametrize(("sentence_", "before", "now", "rules"), SHOWN, ids=[row[0] for row in SHOWN])
def test_each_rule_leaves_its_step(
    sentence_: str, before: list[dict[str, Any]], now: dict[str, Any], rules: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order they were asked; each has a sentence."""
    steps: list[Step] = []

    def judged(case: Any) -> Any:
        outcome, found = explained(case)
        steps[:] = found
        return outcome

    monkeypatch.setitem(SERVICES, "fare", judged)
    riding = city()
    for one in (*before, now):
        run(riding, one)
    assert [step.rule for step in steps] == rules, sentence_
    assert all(sentence(step, "CNY") for step in steps)


def test_a_discount_by_sum_says_what_was_paid() -> None:
    """The figure it looked at, in the currency's units."""
    bands = Step(rule="discount", fen=400, figures=("month", 80, 10_000, 20))
    assert "month: 10000 paid so far" in sentence(bands, "JPY")
    assert sentence(bands, "CNY") == ("month: 100.00 paid so far on 20 rides, so this ride costs 80 %")
    assert sentence(Step(rule="share", fen=1, figures=(80, "outside")), "CNY") == "this product pays 80 % in outside"


def test_no_rule_is_without_words() -> None:
    """What a quote may leave behind is what has a sentence."""
    assert set(SENTENCES) == {
        "full",
        "overtime",
        "companion",
        "share",
        "transfer",
        "discount",
        "cap",
        "ceiling",
        "counted",
        "unfinished",
        "owed",
        "boarded",
    }


def test_a_discount_is_a_step() -> None:
    """Of a tariff with bands."""
    tariff = json.loads(json.dumps(CITY))
    tariff["accumulations"]["day"] = {"period": "day", "discounts": [{"from_fen": 200, "percent": 50}]}
    riding = Riding(msgspec.json.decode(json.dumps(tariff), type=Tariff))
    run(riding, tap(0))
    assert run(riding, tap(60)).charge.amount_fen == 100
