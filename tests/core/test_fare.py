"""The judgement of a ride: a table of decisions, each row a sentence; what was tapped before, what this tap gets."""

import json
from typing import Any

import msgspec
import pytest

from terminal.core import tariff_check
from terminal.core.entries import EmergencyOrdered, Voided
from terminal.core.fares.trips import Role
from terminal.core.ledger import Ledger, Where
from terminal.core.model import (
    Charge,
    HeldProduct,
    Holder,
    Instant,
    Medium,
    OpenGate,
    Part,
    Reason,
    Tap,
    TimeSource,
    Verdict,
)
from terminal.core.parameters import Block, BlockScope, Policies, Tariff
from tests.core.cases import parameters, ref, yuan
from tests.core.riding import Riding, fen, local_ms

START = local_ms("2026-03-02 08:00")  # a Monday
MINUTE_MS = 60_000
DAY_MS = 86_400_000
STOPS = [{"id": f"s{n}", "at_m": n * 1000, "stage": n // 3} for n in range(10)]
CITY: dict[str, Any] = {
    "service_day_starts": "04:00",
    "lines": {
        "flat": {"mode": "flat", "stops": STOPS},
        "far": {"mode": "far", "stops": STOPS},
        "kind": {"mode": "kind", "stops": STOPS},
        "term": {"mode": "term", "stops": STOPS},
        "strict": {"mode": "strict", "stops": STOPS},
        "stages": {"mode": "stages", "stops": STOPS},
        "keys": {"mode": "keys", "stops": []},
        "gates": {"mode": "gates", "stops": STOPS},
    },
    "fares": {
        "flat": {"fare_fen": 200},
        "far": {
            "measure": "metres",
            "bands": [{"up_to": 2000, "fare_fen": 200}],
            "beyond": {"every": 1000, "add_fen": 50},
            "most_fen": 500,
            "tap_out": {"longest_s": 7200, "least_funds_fen": 100, "missing_entry": "farthest"},
        },
        "kind": {
            "measure": "metres",
            "bands": [{"up_to": 2000, "fare_fen": 200}, {"up_to": 5000, "fare_fen": 300}],
            "tap_out": {"longest_s": 7200, "unfinished": "later"},
        },
        "strict": {
            "measure": "metres",
            "bands": [{"up_to": 2000, "fare_fen": 200}],
            "tap_out": {"longest_s": 7200, "missing_entry": "refuse"},
        },
        "stages": {
            "measure": "stages",
            "bands": [{"up_to": 0, "fare_fen": 100}, {"up_to": 1, "fare_fen": 150}],
            "beyond": {"every": 1, "add_fen": 50},
            "tap_out": {"longest_s": 7200},
        },
        "gates": {
            "measure": "metres",
            "bands": [{"up_to": 2000, "fare_fen": 200}],
            "tap_out": {"longest_s": 7200, "overtime_fen": 300, "unfinished": "later"},
        },
        "keys": {"measure": "key", "keys": {"1": 200, "2": 300}},
    },
    "accumulations": {"day": {"period": "day", "scope": "account", "cap_fen": 500}},
    "transfers": {"soon": {"within_s": 1800, "since": "last", "off_fen": 100, "percent": 100}},
    "grace": {"rides": 1, "reasons": ["balance_short", "status_unknown"]},
    "products": [
        {
            "id": "student",
            "services": ["fare"],
            "modes": ["flat"],
            "fare": "flat",
            "fare_fen": 0,
            "percent": 50,
            "who": [{"card_type": "02"}],
            "scopes": ["payment", "identity"],
            "pass_back": {"window_s": 600},
        },
        {
            "id": "senior",
            "services": ["fare"],
            "modes": ["flat"],
            "fare_fen": 0,
            "reason": "concession",
            "who": [{"age_from": 65, "residency": ["510100"]}],
            "review": "review",
            "when": [{"start": "09:00", "end": "16:00"}],
            "counted": {"id": "counts", "period": "day", "allowance": 2},
            "scopes": ["identity"],
        },
        {
            "id": "flat",
            "services": ["fare"],
            "modes": ["flat"],
            "fare": "flat",
            "fare_fen": 0,
            "accumulates": ["day"],
            "transfers": ["soon"],
            "pass_back": {"window_s": 600, "companions": 2},
        },
        {  # for pupils only, until nine; from then on they ride free, with one tap
            "id": "early",
            "services": ["fare"],
            "modes": ["term"],
            "fare": "far",
            "fare_fen": 0,
            "who": [{"student": True}],
            "when": [{"start": "04:00", "end": "09:00"}],
        },
        {
            "id": "late",
            "services": ["fare"],
            "modes": ["term"],
            "fare_fen": 0,
            "who": [{"age_from": 10, "student": True}],
            "when": [{"start": "09:00", "end": "16:00"}],
        },
        *(
            {
                "id": name,
                "services": ["fare"],
                "modes": [name],
                "fare": name,
                "fare_fen": 0,
                "accumulates": ["day"],
                "pass_back": {"window_s": 600},
            }
            for name in ("far", "kind", "strict", "stages", "gates", "keys")
        ),
    ],
}
REVIEWED = {ref("amber"): (HeldProduct(product="review", from_ms=0, until_ms=START + 30 * 86_400_000),)}
SENIOR: dict[str, Any] = {"holder": Holder(age_from=65, residency="510100")}
OUT_OF_TOWN: dict[str, Any] = {"holder": Holder(age_from=65, residency="110000")}
STUDENT: dict[str, Any] = {"holder": Holder(card_type="02")}


def city(**changes: Any) -> Riding:
    tariff = msgspec.json.decode(json.dumps(CITY), type=Tariff)
    assert list(tariff_check.faults(tariff)) == []
    return Riding(tariff, **({"passes_of": REVIEWED} | changes))


def on(line: str, stop: str = "s0", **more: Any) -> Where:
    place: dict[str, Any] = {"vehicle": "bus-1", "line": line, "direction": "up", "stop": stop, "run": 1} | more
    return Where(**place)


def tap(minute: float, line: str = "flat", stop: str = "s0", *, key: str = "", **more: Any) -> dict[str, Any]:
    """A tap of the table: when, where, how."""
    place = {name: more.pop(name) for name in ("vehicle", "direction", "run") if name in more}
    return {"at_ms": START + int(minute * MINUTE_MS), "where": on(line, stop, key=key, **place), **more}


FAR = tap(0, "far", "s2")
KIND = tap(0, "kind", "s2")
PUPIL: dict[str, Any] = {"holder": Holder(student_until_ms=START + 65 * MINUTE_MS)}
CHILD: dict[str, Any] = {"holder": Holder(age_from=10, student_until_ms=START + 365 * DAY_MS)}
TERM = tap(50, "term", "s2", **PUPIL)
GATE_IN = tap(0, "gates", "s0", vehicle="", role=Role.ENTRY)

ROWS: list[tuple[str, list[dict[str, Any]], dict[str, Any], Reason, int | None]] = [
    # one tap is the ride
    ("a flat ride", [], tap(0), Reason.PAID, 200),
    ("a student pays half", [], tap(0, **STUDENT), Reason.PAID, 100),
    ("a line nobody knows", [], tap(0, "nowhere"), Reason.NOT_ACCEPTED_HERE, None),
    ("a ceiling below the fare", [], tap(0, ceiling_fen=199), Reason.OVER_CEILING, None),
    ("a ceiling of just the fare", [], tap(0, ceiling_fen=200), Reason.PAID, 200),
    ("the same code again", [tap(0, code="x")], tap(1, code="x"), Reason.ALREADY_PAID, 0),
    ("the same code at the rear door", [tap(0, code="x")], tap(1, code="x", lane="rear"), Reason.ALREADY_PAID, 0),
    ("a companion on the same phone pays a fare of its own", [tap(0)], tap(0.2), Reason.PAID, 200),
    ("so does the second one", [tap(0), tap(0.2)], tap(0.4), Reason.PAID, 200),
    ("at the rear door, too", [tap(0)], tap(0.2, lane="rear"), Reason.PAID, 200),
    ("one companion too many", [tap(0), tap(0.1), tap(0.2)], tap(0.3), Reason.COMPANIONS_USED, None),
    ("a student brings nobody", [tap(0, **STUDENT)], tap(1, **STUDENT), Reason.TOO_SOON, None),
    (
        "on the way back a student rides anew, however soon",
        [tap(0, **STUDENT)],
        tap(5, run=START + 4 * MINUTE_MS, **STUDENT),
        Reason.PAID,
        100,
    ),
    (
        "and brings nobody there either",
        [tap(0, **STUDENT), tap(5, run=START + 4 * MINUTE_MS, **STUDENT)],
        tap(6, run=START + 4 * MINUTE_MS, **STUDENT),
        Reason.TOO_SOON,
        None,
    ),
    (
        "companions of the way there take nobody's place on the way back",
        [tap(0), tap(0.1), tap(0.2)],
        tap(5, run=START + 4 * MINUTE_MS),
        Reason.TRANSFER,
        100,
    ),
    ("a student's next ride", [tap(0, **STUDENT)], tap(11, **STUDENT), Reason.PAID, 100),
    (
        "the other phone of the account rides along",
        [tap(0, account="zhang")],
        tap(1, who="phone", account="zhang"),
        Reason.PAID,
        200,
    ),
    ("on the way back it is a change, however soon", [tap(0)], tap(5, run=START + 4 * MINUTE_MS), Reason.TRANSFER, 100),
    (
        "the holder changes on the next bus, whoever came along",
        [tap(0), tap(0.1), tap(0.2)],
        tap(25, run=START + 20 * MINUTE_MS),
        Reason.TRANSFER,
        100,
    ),
    (
        "a companion there pays again",
        [tap(0), tap(0.1), tap(25, run=START + 20 * MINUTE_MS)],
        tap(25.1, run=START + 20 * MINUTE_MS),
        Reason.PAID,
        200,
    ),
    (
        "a companion does not make the holder's half hour longer",
        [tap(0), tap(9)],
        tap(31, run=START + 20 * MINUTE_MS),
        Reason.PAID,
        200,
    ),
    ("a companion's fare is none of the holder's cap", [tap(0), tap(0.1), tap(0.2)], tap(60), Reason.PAID, 200),
    ("nor does the cap pay for a companion", [tap(0), tap(60), tap(120)], tap(120.1), Reason.PAID, 200),
    (
        "who pays beside somebody whose ride was taken back is a holder",
        [tap(0), {"voided": 0.05}],
        tap(0.1),
        Reason.PAID,
        200,
    ),
    (
        "and changes as one",
        [tap(0), {"voided": 0.05}, tap(0.1)],
        tap(25, run=START + 20 * MINUTE_MS),
        Reason.TRANSFER,
        100,
    ),
    # transfers and caps
    ("a transfer half an hour after the last ride", [tap(0)], tap(30), Reason.TRANSFER, 100),
    ("a minute later it is a ride of its own", [tap(0)], tap(31), Reason.PAID, 200),
    ("a transfer counts from the last ride here", [tap(0), tap(25)], tap(50), Reason.TRANSFER, 100),
    (
        "another medium is no transfer",
        [tap(0, account="zhang")],
        tap(10, "flat", who="phone", account="zhang"),
        Reason.PAID,
        200,
    ),
    ("the cap cuts the ride that reaches it", [tap(0), tap(60)], tap(120), Reason.CAPPED, 100),
    ("after the cap rides are free", [tap(0), tap(60), tap(120)], tap(180), Reason.CAPPED, 0),
    (
        "the cap is the account's",
        [tap(0, account="zhang"), tap(60, account="zhang")],
        tap(120, who="phone", account="zhang"),
        Reason.CAPPED,
        100,
    ),
    ("without a link media stay apart", [tap(0), tap(60)], tap(120, who="phone"), Reason.PAID, 200),
    ("a new day begins at four", [tap(0), tap(60), tap(120)], tap(20 * 60), Reason.PAID, 200),
    ("a minute before it is still yesterday", [tap(0), tap(60), tap(120)], tap(20 * 60 - 1), Reason.CAPPED, 0),
    # concessions
    ("a senior between nine and four", [], tap(90, **SENIOR), Reason.CONCESSION, 0),
    ("a senior at eight", [], tap(0, **SENIOR), Reason.CONCESSION_NOT_NOW, 200),
    ("a senior at four in the afternoon", [], tap(480, **SENIOR), Reason.CONCESSION_NOT_NOW, 200),
    ("a senior from elsewhere", [], tap(90, **OUT_OF_TOWN), Reason.PAID, 200),
    ("a senior without this year's review", [], tap(90, who="birch", **SENIOR), Reason.CONCESSION_REVIEW_DUE, 200),
    ("both counts used", [tap(90, **SENIOR), tap(120, **SENIOR)], tap(150, **SENIOR), Reason.CONCESSION_USED_UP, 200),
    ("new counts tomorrow", [tap(90, **SENIOR), tap(120, **SENIOR)], tap(90 + 1440, **SENIOR), Reason.CONCESSION, 0),
    # the driver's key
    ("no fare chosen", [], tap(0, "keys"), Reason.FARE_NOT_CHOSEN, None),
    ("a key that costs three yuan", [], tap(0, "keys", key="2"), Reason.PAID, 300),
    # boarding and alighting
    ("boarding costs nothing yet", [], FAR, Reason.BOARDED, 0),
    ("two kilometres", [FAR], tap(9, "far", "s4"), Reason.ALIGHTED, 200),
    ("four and a half, begun", [FAR], tap(9, "far", "s7"), Reason.ALIGHTED, 350),
    ("backwards is as far", [tap(0, "far", "s7")], tap(9, "far", "s2"), Reason.ALIGHTED, 350),
    ("never above the table's most", [tap(0, "far", "s0")], tap(9, "far", "s9"), Reason.ALIGHTED, 500),
    (
        "the other door is the same vehicle",
        [FAR],
        tap(9, "far", "s4", lane="rear", role=Role.EXIT),
        Reason.ALIGHTED,
        200,
    ),
    ("am I on board?", [FAR], tap(0.4, "far", "s2"), Reason.BOARDED, 0),
    ("at the front door one only boards", [FAR], tap(9, "far", "s4", role=Role.ENTRY), Reason.BOARDED, 0),
    (
        "in with the card, out with the phone",
        [tap(0, "far", "s2", who="card", account="zhang")],
        tap(9, "far", "s7", who="phone", account="zhang"),
        Reason.ALIGHTED,
        350,
    ),
    ("a stranger's phone does not end it", [FAR], tap(9, "far", "s7", who="stranger"), Reason.BOARDED, 0),
    ("linked only after boarding", [FAR], tap(9, "far", "s4", account="zhang"), Reason.ALIGHTED, 200),
    ("a blocked rider is let off", [FAR], tap(9, "far", "s4", blocked=True), Reason.ALIGHTED, 200),
    ("a blocked rider does not board", [], tap(0, "far", "s4", blocked=True), Reason.BLOCKED, None),
    ("a pupil who is none any more is let off", [TERM], tap(70, "term", "s4", **PUPIL), Reason.ALIGHTED, 200),
    ("and boards no more", [], tap(70, "term", "s4", **PUPIL), Reason.NOT_ACCEPTED_HERE, None),
    (
        "nor is one kept whose entry is missing",
        [],
        tap(70, "term", "s4", role=Role.EXIT, **PUPIL),
        Reason.EXIT_UNPAIRED,
        0,
    ),
    (
        "unless the operator says no",
        [],
        tap(0, "strict", "s7", role=Role.EXIT, unsure=True),
        Reason.CLOCK_UNSURE,
        None,
    ),
    (
        "nobody gets off where nothing has two taps",
        [],
        tap(0, "nowhere", role=Role.EXIT),
        Reason.NOT_ACCEPTED_HERE,
        None,
    ),
    (
        "a clock nobody believes keeps nobody in at an exit",
        [FAR],
        tap(9, "far", "s4", role=Role.EXIT, unsure=True),
        Reason.EXIT_UNPAIRED,
        0,
    ),
    (
        "an exit without an entry, by a clock nobody believes",
        [],
        tap(9, "far", "s4", role=Role.EXIT, unsure=True),
        Reason.EXIT_UNPAIRED,
        0,
    ),
    ("but lets nobody on", [], tap(9, "far", "s4", unsure=True), Reason.CLOCK_UNSURE, None),
    (
        "whose one-tap concession began on the way pays for the way, not for the whole line",
        [tap(50, "term", "s2", **CHILD)],
        tap(70, "term", "s4", **CHILD),
        Reason.ALIGHTED,
        200,
    ),
    ("the issuer's ceiling cuts the exit", [FAR], tap(9, "far", "s9", ceiling_fen=300), Reason.ALIGHTED, 300),
    ("a stop nobody knows is settled later", [FAR], tap(9, "far", "s99"), Reason.EXIT_UNPAIRED, 0),
    ("a cap cuts an exit", [tap(-120), tap(-60), FAR], tap(9, "far", "s7"), Reason.ALIGHTED, 100),
    ("stages: within one", [tap(0, "stages", "s0")], tap(9, "stages", "s2"), Reason.ALIGHTED, 100),
    ("stages: two further", [tap(0, "stages", "s0")], tap(9, "stages", "s6"), Reason.ALIGHTED, 200),
    # what was not finished
    (
        "no tap-out: settled on the next vehicle",
        [FAR],
        tap(60, "far", "s0", vehicle="bus-2"),
        Reason.UNFINISHED_SETTLED,
        450,
    ),
    ("no tap-out: settled on a flat ride", [FAR], tap(60), Reason.UNFINISHED_SETTLED, 500),
    (
        "no tap-out: the same bus, on its way back",
        [FAR],
        tap(60, "far", "s5", direction="down", run=2),
        Reason.UNFINISHED_SETTLED,
        450,
    ),
    ("no tap-out: two hours and a minute later", [FAR], tap(121, "far", "s5"), Reason.UNFINISHED_SETTLED, 450),
    (
        "no tap-out, and a ceiling that leaves three yuan",
        [FAR],
        tap(60, ceiling_fen=500),
        Reason.UNFINISHED_SETTLED,
        500,
    ),
    ("no tap-out where head office settles", [KIND], tap(60, "kind", "s0", run=2), Reason.BOARDED, 0),
    ("no tap-in: from the farther end", [], tap(0, "far", "s7", role=Role.EXIT), Reason.ALIGHTED, 450),
    ("no tap-in: head office finds it", [], tap(0, "kind", "s7", role=Role.EXIT), Reason.EXIT_UNPAIRED, 0),
    ("no tap-in, and the operator says no", [], tap(0, "strict", "s7", role=Role.EXIT), Reason.ENTRY_MISSING, None),
    ("a station's gates", [GATE_IN], tap(20, "gates", "s2", vehicle="", role=Role.EXIT), Reason.ALIGHTED, 200),
    (
        "a station's gate after hours",
        [GATE_IN],
        tap(121, "gates", "s2", vehicle="", role=Role.EXIT),
        Reason.ALIGHTED,
        500,
    ),
    ("into the station again", [GATE_IN], tap(20, "gates", "s2", vehicle="", role=Role.ENTRY), Reason.BOARDED, 0),
    # on trust
    ("a purse that cannot pay rides on trust", [], tap(0, funds_fen=50), Reason.GRACE, 0),
    ("not twice", [tap(0, funds_fen=50)], tap(60, funds_fen=50), Reason.BALANCE_SHORT, None),
    ("settled kindly the next time", [tap(0, funds_fen=50)], tap(60), Reason.PAID, 400),
    ("and then trusted again", [tap(0, funds_fen=50), tap(60)], tap(120, funds_fen=0), Reason.GRACE, 0),
    ("a debt waits while the purse is short", [tap(0, funds_fen=50)], tap(60, funds_fen=300), Reason.PAID, 300),
    ("less than one yuan boards on trust", [], tap(0, "far", "s2", funds_fen=99), Reason.GRACE, 0),
    (
        "getting off with too little is owed",
        [tap(0, "far", "s2", funds_fen=150)],
        tap(9, "far", "s7", funds_fen=150),
        Reason.GRACE,
        150,
    ),
    ("a list that is missing", [], tap(0, status_index=("main", 4)), Reason.GRACE, 0),
    ("trust does not help a used code", [tap(0, code="x")], tap(1, code="x", funds_fen=0), Reason.ALREADY_PAID, 0),
    (
        "nor somebody who brings too many",
        [tap(0), tap(0.1), tap(0.2)],
        tap(0.3, funds_fen=0),
        Reason.COMPANIONS_USED,
        None,
    ),
]


def run(riding: Riding, one: dict[str, Any]) -> Any:
    one = dict(one)
    if "voided" in one:
        last = riding.entries[-1].name
        return riding.write(Voided(who="7", why="asked", of=last), _instant(START + int(one["voided"] * MINUTE_MS)))
    if one.pop("blocked", False):
        row = Block(ref=ref("amber").hex(), scopes=(BlockScope.PAYMENT,))
        riding.parameters = msgspec.structs.replace(riding.parameters, blocks_of={ref("amber"): (row,)})
    if one.pop("unsure", False):
        riding.parameters = msgspec.structs.replace(riding.parameters, policies=Policies(max_uncertainty_s=-1))
    return riding.tap(one.pop("at_ms"), **one)


@pytest.mark.parametrize(("sentence", "before", "now", "reason", "cost"), ROWS, ids=[row[0] for row in ROWS])
def test_decisions(
    sentence: str, before: list[dict[str, Any]], now: dict[str, Any], reason: Reason, cost: int | None
) -> None:
    """What was tapped before, what this tap is told, what it costs."""
    riding = city()
    for one in before:
        run(riding, one)
    outcome = run(riding, now)
    assert (outcome.decision.reason, fen(outcome)) == (reason, cost), sentence
    assert any(isinstance(act, OpenGate) for act in outcome.acts) is outcome.decision.granted


def test_a_clock_that_is_not_sure_decides_nothing() -> None:
    """No window and no trip would be right; only at an exit somebody is let out, and head office counts."""
    riding = city(policies=Policies(max_uncertainty_s=-1))
    assert run(riding, tap(0)).decision.reason is Reason.CLOCK_UNSURE


def test_there_are_enough_of_them() -> None:
    """Forty at least, no sentence twice."""
    assert len({row[0] for row in ROWS}) == len(ROWS) >= 40


def test_both_amounts_are_told_and_sum_up() -> None:
    """An unfinished trip and a flat ride: two parts, one charge; the display names both."""
    riding = city()
    run(riding, tap(0, "far", "s2"))
    outcome = run(riding, tap(60))
    assert outcome.charge == Charge(
        product="flat",
        fare_type="flat",
        amount_fen=500,
        parts=(Part(what="unfinished", fen=450), Part(what="ride", fen=50)),
    )
    assert outcome.acts[-1].values.items() >= {"fare": yuan(50), "settled": yuan(450), "n": "1"}.items()


def test_a_ceiling_that_made_it_less_is_written_down() -> None:
    """So that head office can count the same."""
    riding = city()
    run(riding, FAR)
    outcome = run(riding, tap(9, "far", "s9", ceiling_fen=300))
    assert outcome.charge is not None and outcome.charge.ceiling_fen == 300


def test_what_a_tap_was_stands_in_the_outcome() -> None:
    """Boarding, alighting, a whole ride; an exit in doubt says so."""
    riding = city()
    assert run(riding, FAR).tap is Tap.BOARD
    assert run(riding, tap(9, "far", "s4")).tap is Tap.ALIGHT
    assert run(riding, tap(90)).tap is Tap.RIDE
    doubtful = run(riding, tap(200, "kind", "s7", role=Role.EXIT))
    assert (doubtful.decision.verdict, doubtful.tap) == (Verdict.GRANT_IN_DOUBT, Tap.ALIGHT)


def test_a_trip_is_priced_by_what_one_boarded_on() -> None:
    """Another medium of the account, of another class, does not change the price of a trip begun."""
    riding = city()
    riding.tap(START, "card", account="zhang", where=on("far", "s2"), medium=Medium.CARD)
    gone = msgspec.structs.replace(riding.parameters.tariff, products=riding.parameters.tariff.products[:-6])
    riding.parameters = parameters(tariff=gone)
    known = riding.tap(START + 9 * MINUTE_MS, "phone", account="zhang", where=on("flat"))
    assert (known.decision.reason, fen(known)) == (Reason.PAID, 200)  # its product is no more: nothing to settle it by
    assert riding.ledgers[ref("zhang")].trip is None


def test_a_missing_exit_of_an_emergency_is_forgiven() -> None:
    """Everybody was let out: nobody owes the way to the end of the line."""
    riding = city()
    run(riding, FAR)
    riding.write(EmergencyOrdered(who="7", on=True, why="smoke"), _instant(START + 60_000))
    outcome = run(riding, tap(60))
    assert (outcome.decision.reason, fen(outcome)) == (Reason.PAID, 200)
    assert riding.ledgers[ref("amber")].trip is None


def test_a_voided_ride_is_no_ride() -> None:
    """The charge, its sum and its transfer are gone; the same code may be shown again."""
    riding = city()
    riding.tap(START, code="x", where=on("flat"))
    last = riding.entries[-1].name
    riding.write(Voided(who="7", why="wrong fare", of=last), _instant(START + 1000))
    assert riding.charged_fen == 0
    assert riding.ledgers[ref("amber")] == Ledger(sums=riding.ledgers[ref("amber")].sums)
    again = riding.tap(START + 60_000, code="x", where=on("flat"))
    assert (again.decision.reason, fen(again)) == (Reason.PAID, 200)


def test_what_is_on_its_way_to_the_disk_makes_its_party_wait() -> None:
    """Its sums are not known yet: the other door asks again in a moment."""
    riding = city()
    riding.tap(START, where=on("flat"))
    (name, use), *_ = riding.uses.items()
    riding.uses[name] = msgspec.structs.replace(use, name=None)
    assert riding.tap(START + 10, lane="rear", where=on("flat")).decision.reason is Reason.GATE_BUSY


def test_a_boarding_on_its_way_to_the_disk_makes_an_exit_wait() -> None:
    """Or one account's two media, held out at both doors in the same millisecond, would get off and stay on board."""
    riding = city()
    riding.tap(START, who="card", account="zhang", where=on("kind"))
    (name, use), *_ = riding.uses.items()
    riding.uses[name], held = msgspec.structs.replace(use, name=None), riding.ledgers
    riding.ledgers = {}
    leaves: dict[str, Any] = {"who": "phone", "account": "zhang", "where": on("kind"), "role": Role.EXIT}
    assert riding.tap(START, **leaves).decision.reason is Reason.GATE_BUSY
    riding.uses[name], riding.ledgers = use, held
    assert riding.tap(START + 60_000, **leaves).decision.reason is Reason.ALIGHTED


def _instant(at_ms: int) -> Instant:
    return Instant(utc_ms=at_ms, uncertainty_ms=0, source=TimeSource.SYSTEM, monotonic_ns=0)
