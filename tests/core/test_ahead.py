"""What a rider is told to come: table of rides, each row a sentence; the hints are what stands beside the words."""

import json
from typing import Any

import msgspec
import pytest

from terminal.core.ledger import Where
from terminal.core.model import HeldProduct, Outcome, Reason, Show
from terminal.core.parameters import Tariff
from terminal.core.phrases import HINTS, MOST_HINTS, display
from tests.core.cases import ref
from tests.core.riding import Riding, local_ms, published

MORNING = local_ms("2026-03-02 08:00")
MINUTE_MS = 60_000


def hints(outcome: Outcome) -> list[str]:
    """What the display says beside its words, in Chinese."""
    acts = [act for act in outcome.acts if isinstance(act, Show)]
    return [line.zh for line in display(acts[0].reason, acts[0].values).hints]


def city(**product: Any) -> Riding:
    """A city with one product."""
    tariff = {
        "accumulations": {
            "month": {"period": "month", "discounts": [{"from_fen": 400, "percent": 80}]},
            "rides": {"period": "month", "discounts": [{"from_count": 2, "percent": 60}]},
            "week": {"period": "week", "cap_fen": 1000},
        },
        "transfers": {
            "cheaper": {"within_s": 1800, "since": "last", "most": 1, "percent": 50},
            "minus": {"within_s": 1800, "off_fen": 100, "percent": 100},
        },
        "products": [{"id": "adult", "services": ["fare"], "fare_fen": 200} | product],
    }
    return Riding(msgspec.json.decode(json.dumps(tariff), type=Tariff))


def london() -> Riding:
    return Riding(published("london-bus"))


def at(minutes: int) -> int:
    return MORNING + minutes * MINUTE_MS


def test_londons_day() -> None:
    """How far to the cap, until when changing is free, and that the cap is reached."""
    riding, bus = london(), Where(vehicle="b", line="24")
    assert hints(riding.tap(local_ms("2026-03-02 08:00", "Europe/London"), where=bus)) == [
        "09:00前换乘免费", "距今日封顶还差3.50英镑",
    ]  # fmt: skip
    riding.tap(local_ms("2026-03-02 10:00", "Europe/London"), where=bus)
    last = riding.tap(local_ms("2026-03-02 12:00", "Europe/London"), where=bus)
    assert hints(last) == ["13:00前换乘免费", "今日后续乘车免费"]
    assert hints(riding.tap(local_ms("2026-03-02 18:00", "Europe/London"), where=bus)) == [
        "19:00前换乘免费", "今日后续乘车免费",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sentence", "product", "rides", "expected"),
    [
        ("a plain ride has nothing to tell", {}, 1, []),
        ("a cap of a week is not a cap of today", {"accumulates": ["week"]}, 1, []),
        ("the ride before the discount does not know of it", {"accumulates": ["month"]}, 1, []),
        ("the ride that reaches the sum", {"accumulates": ["month"]}, 2, ["下次乘车8折"]),
        ("the ride before the one that counts", {"accumulates": ["rides"]}, 1, []),
        ("so many rides", {"accumulates": ["rides"]}, 2, ["下次乘车6折"]),
        ("the next ride changes for less", {"transfers": ["cheaper"]}, 1, ["08:31前换乘优惠"]),
        ("so many changes and no more", {"transfers": ["cheaper"]}, 2, []),
        ("an amount off is less, too", {"transfers": ["minus"]}, 1, ["08:31前换乘优惠"]),
        ("a window that has passed is not told", {"transfers": ["minus"]}, 31, []),
        ("rides left", {"counted": {"id": "c", "period": "month", "allowance": 5}}, 2, ["本期还剩3次"]),
    ],
)
def test_what_is_told(sentence: str, product: dict[str, Any], rides: int, expected: list[str]) -> None:
    """Each ride a minute after the other; the last one's hints."""
    riding = city(**product)
    found = [hints(riding.tap(at(minute))) for minute in range(1, rides + 1)]
    assert found[-1] == expected, sentence


def test_a_pass_says_how_long_it_is_good() -> None:
    """The last day of what is held, in the tariff's own zone; nothing where nothing is held."""
    products = [
        {"id": "annual", "services": ["admission"], "fare_fen": 0, "reason": "pass_held", "who": [{"held": "annual"}]},
        {"id": "day", "services": ["admission"], "fare_fen": 2000},
    ]
    held = {ref("anna"): (HeldProduct(product="annual", from_ms=0, until_ms=local_ms("2026-12-31 23:59")),)}
    park = Riding(msgspec.json.decode(json.dumps({"products": products}), type=Tariff), passes_of=held)
    outcome = park.tap(MORNING, "anna", service="admission")
    assert (outcome.decision.reason, hints(outcome)) == (Reason.PASS_HELD, ["有效至2026-12-31"])
    assert hints(park.tap(MORNING, "bert", service="admission")) == []


def test_hints_are_few_and_in_both_languages() -> None:
    """Whatever is known, two are told; each has its own value in both languages."""
    everything = dict.fromkeys((*HINTS, "next_fold"), "7")
    told = display(Reason.PAID, everything).hints
    assert len(told) == MOST_HINTS
    assert [line.zh for line in told] == ["有效至7", "本期还剩7次"]
    for name, line in HINTS.items():
        alone = display(Reason.PAID, {name: "7", "next_fold": "8"}).hints[0]
        assert "{" not in alone.zh + alone.en and line.zh and line.en
