"""The judgement of admission: a table of decisions, each row a sentence; what was tapped before, what this tap gets."""

import json
from typing import Any

import msgspec
import pytest

from terminal.core import tariff_check
from terminal.core.accounts import zone_ref
from terminal.core.entries import EmergencyOrdered, PassageAnnulled
from terminal.core.fares.trips import Role
from terminal.core.ledger import may_forget
from terminal.core.model import HeldProduct, Holder, Instant, OpenGate, PassageMode, Reason, Ref, TimeSource
from terminal.core.parameters import Booking, Bookings, Slot, Tariff
from tests.core.cases import ref, yuan
from tests.core.riding import Riding, local_ms

NINE = local_ms("2026-03-02 09:00")  # a Monday
MINUTE_MS = 60_000
DAY_MS = 86_400_000
PARK: dict[str, Any] = {
    "calendar": {"holidays": ["2026-03-09"]},
    "zones": {
        "park": {"open": [{"start": "08:00", "end": "18:00"}], "free": [{"dates": ["03-12"]}]},
        "garden": {"exit_tapped": True},
        "hall": {"most": 3},
        "fair": {"most": 2, "free": [{"start": "09:00", "end": "10:00"}]},
        "lake": {"after": "pier"},
        "pier": {},
        "slide": {"before": "pool"},
        "porch": {"free": [{"start": "09:00", "end": "10:00"}]},
        "inner": {"after": "porch"},
        "pool": {},
        "shut": {"closed": True},
        "lawn": {"free": [{}]},
    },
    "products": [
        {
            "id": "senior",
            "services": ["admission"],
            "fare_fen": 0,
            "reason": "concession",
            "who": [{"age_from": 65}],
            "when": [{"days": ["workday"]}],
        },
        {
            "id": "annual",
            "services": ["admission"],
            "fare_fen": 0,
            "reason": "pass_held",
            "who": [{"held": "annual"}],
            "quota": {"most": 2},
            "activation": True,
            "activate_within_days": 90,
            "pass_back": {"window_s": 60},
        },
        {
            "id": "group",
            "services": ["admission"],
            "fare_fen": 3000,
            "persons": 5,
            "reason": "group",
            "who": [{"held": "group"}],
            "quota": {"most": 5, "scope": "medium"},
        },
        {
            "id": "family",
            "services": ["admission"],
            "fare_fen": 1000,
            "persons": 2,
            "reason": "group",
            "who": [{"held": "family"}],
            "quota": {"most": 4},
        },
        {
            "id": "slot",
            "services": ["admission"],
            "fare_fen": 0,
            "reason": "group",
            "who": [{"held": "slot"}],
            "booked": True,
        },
        {
            "id": "return",
            "services": ["admission"],
            "fare_fen": 5000,
            "who": [{"held": "return"}],
            "reentry": True,
            "pass_back": {"window_s": 60},
        },
        {
            "id": "club",
            "services": ["admission"],
            "fare_fen": 1000,
            "persons": 3,
            "reason": "group",
            "who": [{"held": "club"}],
            "reentry": True,
            "pass_back": {"window_s": 60},
        },
        {
            "id": "hour",
            "services": ["admission"],
            "fare_fen": 1000,
            "who": [{"held": "hour"}],
            "reentry": True,
            "booked": True,
            "pass_back": {"window_s": 60},
        },
        {
            "id": "pier",
            "services": ["admission"],
            "fare_fen": 100,
            "who": [{"held": "pier"}],
            "zones": ["pier", "park"],
        },
        {"id": "day", "services": ["admission"], "fare_fen": 2000, "reason": "admitted", "who": [{"card_type": "00"}]},
    ],
}
HELD = {
    "annual": ("annual", NINE - DAY_MS),
    "old": ("annual", NINE - 100 * DAY_MS),
    "group": ("group", 0),
    "slot": ("slot", 0),
    "twice": ("slot", 0),
    "unbooked": ("slot", 0),
    "night": ("slot", 0),
    "club": ("club", 0),
    "hour": ("hour", 0),
    "return": ("return", 0),
    "pier": ("pier", 0),
}
SLOTS = {
    "morning": Slot(start_ms=NINE, end_ms=NINE + 120 * MINUTE_MS),
    "noon": Slot(start_ms=NINE + 180 * MINUTE_MS, end_ms=NINE + 300 * MINUTE_MS),
    "night": Slot(start_ms=NINE - 360 * MINUTE_MS, end_ms=NINE - 240 * MINUTE_MS),  # over the day's end, at four
    "tomorrow": Slot(start_ms=NINE + DAY_MS, end_ms=NINE + DAY_MS + 120 * MINUTE_MS),
}
BOOKED = {
    ref("slot"): (Booking(slot="morning", persons=3),),
    ref("twice"): (Booking(slot="noon"), Booking(slot="morning")),
    ref("unbooked"): (Booking(slot="tomorrow"),),
    ref("night"): (Booking(slot="night", persons=2),),
    ref("hour"): (Booking(slot="morning"),),
}


FOR = {"three": (3,), "seven": (3, 7), "pair": (None,), "over": (3,)}  # tickets of one product, for so many


def park() -> Riding:
    tariff = msgspec.json.decode(json.dumps(PARK), type=Tariff)
    assert list(tariff_check.faults(tariff)) == []
    held: dict[Ref, tuple[HeldProduct, ...]] = {
        ref(who): (HeldProduct(product=product, from_ms=begins, until_ms=NINE + 365 * DAY_MS),)
        for who, (product, begins) in HELD.items()
    }
    for who, tickets in FOR.items():
        until_ms = NINE + (0 if who == "over" else DAY_MS)
        held[ref(who)] = tuple(HeldProduct(product="family", from_ms=0, until_ms=until_ms, persons=n) for n in tickets)
    bookings = Bookings(slots=SLOTS, early_s=900, late_s=900)
    return Riding(tariff, passes_of=held, bookings=bookings, bookings_of=BOOKED)


def tap(minute: float, who: str = "day", zone: str = "", **more: Any) -> dict[str, Any]:
    """A tap of the table."""
    return {"at_ms": NINE + int(minute * MINUTE_MS), "who": who, "zone": zone, "service": "admission", **more}


LOOKED = tap(0, "annual", asked="activation")
SENIOR: dict[str, Any] = {"holder": Holder(age_from=65)}
OUT: dict[str, Any] = {"role": Role.EXIT}

ROWS: list[tuple[str, list[dict[str, Any]], dict[str, Any], Reason, int | None]] = [
    ("a day ticket", [], tap(0), Reason.ADMITTED, 2000),
    ("nothing bought", [], tap(0, holder=Holder()), Reason.NOT_ACCEPTED_HERE, None),
    ("a senior on a working day", [], tap(0, **SENIOR), Reason.CONCESSION, 0),
    (
        "a senior on a holiday",
        [],
        tap(7 * 1440, holder=Holder(age_from=65, card_type="00")),
        Reason.CONCESSION_NOT_NOW,
        2000,
    ),
    # hours
    ("an hour before it opens", [], tap(-61, zone="park"), Reason.CLOSED, None),
    ("the minute it opens", [], tap(-60, zone="park"), Reason.ADMITTED, 2000),
    ("the minute it closes", [], tap(540, zone="park"), Reason.CLOSED, None),
    ("out after it closed", [], tap(541, zone="park", **OUT), Reason.EXITED, 0),
    ("a day everybody may enter", [], tap(10 * 1440, "stranger", zone="park", holder=Holder()), Reason.ADMITTED, 0),
    ("a place that is closed, at any hour", [], tap(0, zone="shut"), Reason.CLOSED, None),
    ("out of a place that is closed", [], tap(0, zone="shut", **OUT), Reason.EXITED, 0),
    ("a place open to everybody, at any hour", [], tap(-540, zone="lawn", holder=Holder()), Reason.ADMITTED, 0),
    # passes
    ("a pass nobody looked at", [], tap(0, "annual"), Reason.NOT_ACTIVATED, None),
    ("an attendant looks", [], LOOKED, Reason.ACTIVATED, None),
    ("a pass that was looked at", [LOOKED], tap(1, "annual"), Reason.PASS_HELD, 0),
    ("looked at a hundred days late", [], tap(0, "old", asked="activation"), Reason.NOT_ACCEPTED_HERE, None),
    ("nothing that needs a look", [], tap(0, asked="activation"), Reason.NOT_ACCEPTED_HERE, None),
    ("nothing at all to look at", [], tap(0, holder=Holder(), asked="activation"), Reason.NOT_ACCEPTED_HERE, None),
    ("a pass handed back over the gate", [LOOKED, tap(1, "annual")], tap(1.5, "annual"), Reason.TOO_SOON, None),
    ("twice a day", [LOOKED, tap(1, "annual")], tap(60, "annual"), Reason.PASS_HELD, 0),
    ("three times a day", [LOOKED, tap(1, "annual"), tap(60, "annual")], tap(120, "annual"), Reason.QUOTA_USED, None),
    ("tomorrow again", [LOOKED, tap(1, "annual"), tap(60, "annual")], tap(1440, "annual"), Reason.PASS_HELD, 0),
    # groups
    ("five on one code", [], tap(0, "group"), Reason.GROUP, 15000),
    ("five more on the same ticket", [tap(0, "group")], tap(60, "group"), Reason.QUOTA_USED, None),
    ("a ticket bought for three", [], tap(0, "three"), Reason.GROUP, 3000),
    ("its second time on the same day", [tap(0, "three")], tap(60, "three"), Reason.GROUP, 3000),
    ("its third", [tap(0, "three"), tap(60, "three")], tap(120, "three"), Reason.QUOTA_USED, None),
    ("of two tickets the larger", [], tap(0, "seven"), Reason.GROUP, 7000),
    ("a ticket that does not say for how many", [], tap(0, "pair"), Reason.GROUP, 2000),
    ("a ticket of yesterday", [], tap(1, "over"), Reason.NOT_ACCEPTED_HERE, None),
    (
        "one of three stayed outside and comes again",
        [tap(0, "three", code="t"), {"annul": 2}],
        tap(5, "three", code="t"),
        Reason.GROUP,
        1000,
    ),
    (
        "two of five stayed outside and come again",
        [tap(0, "group", code="g"), {"annul": 3}],
        tap(5, "group", code="g"),
        Reason.GROUP,
        6000,
    ),
    (
        "one of three stayed outside, and pays on a ticket with return",
        [tap(0, "club", code="c"), {"annul": 2}],
        tap(5, "club", code="c"),
        Reason.GROUP,
        1000,
    ),
    (
        "nobody of three walked: they come again",
        [tap(0, "club", code="c"), {"annul": 0}],
        tap(5, "club", code="c"),
        Reason.GROUP,
        3000,
    ),
    (
        "who came back and did not walk comes back",
        [tap(0, "club"), tap(60, "club", code="c"), {"annul": 0}],
        tap(61, "club", code="c"),
        Reason.REENTRY,
        0,
    ),
    (
        "who did not walk comes again on the same code",
        [LOOKED, tap(1, "annual", code="a"), {"annul": 0}],
        tap(1.5, "annual", code="a"),
        Reason.PASS_HELD,
        0,
    ),
    (
        "nobody enters on it once its holder is in on another",
        [LOOKED, tap(1, "annual", code="a"), {"annul": 0}, tap(1.3, "annual", code="b")],
        tap(1.5, "annual", code="a"),
        Reason.TOO_SOON,
        None,
    ),
    # slots
    ("three in their slot", [], tap(10, "slot"), Reason.GROUP, 0),
    ("a quarter of an hour early", [], tap(-15, "slot"), Reason.GROUP, 0),
    ("sixteen minutes early", [], tap(-16, "slot"), Reason.OUTSIDE_TIME_SLOT, None),
    ("too late for the slot", [], tap(136, "slot"), Reason.OUTSIDE_TIME_SLOT, None),
    ("everybody of it is in", [tap(10, "slot")], tap(20, "slot"), Reason.QUOTA_USED, None),
    ("everybody of it came before the day's end", [tap(-310, "night")], tap(-290, "night"), Reason.QUOTA_USED, None),
    ("a slot with return", [tap(0, "hour")], tap(60, "hour"), Reason.REENTRY, 0),
    ("back after the slot", [tap(0, "hour")], tap(200, "hour"), Reason.REENTRY, 0),
    ("of two slots the one that is now", [], tap(200, "twice"), Reason.GROUP, 0),
    ("booked for tomorrow", [], tap(0, "unbooked"), Reason.NOT_BOOKED, None),
    # coming back
    ("a ticket with return", [], tap(0, "return"), Reason.PAID, 5000),
    ("back on the same day", [tap(0, "return")], tap(60, "return"), Reason.REENTRY, 0),
    ("handed back over the fence", [tap(0, "return")], tap(0.5, "return"), Reason.TOO_SOON, None),
    ("back tomorrow", [tap(0, "return")], tap(1440, "return"), Reason.PAID, 5000),
    # zones
    ("in again without having left", [tap(0, zone="garden")], tap(60, zone="garden"), Reason.STILL_INSIDE, None),
    (
        "in, out, in",
        [tap(0, zone="garden"), tap(30, zone="garden", **OUT)],
        tap(60, zone="garden"),
        Reason.ADMITTED,
        2000,
    ),
    (
        "in, everybody let out, in",
        [tap(0, zone="garden"), {"emergency": 30}],
        tap(60, zone="garden"),
        Reason.ADMITTED,
        2000,
    ),
    (
        "let out by the phone of the same account",
        [tap(0, "card", "garden", account="li"), tap(30, "phone", "garden", account="li", **OUT)],
        tap(60, "card", "garden", account="li"),
        Reason.ADMITTED,
        2000,
    ),
    ("out without ever having come in", [], tap(0, zone="garden", **OUT), Reason.EXITED, 0),
    ("the lake before the pier", [], tap(0, "pier", "lake"), Reason.NOT_ACCEPTED_HERE, None),
    ("the lake without the pier", [], tap(0, zone="lake"), Reason.WRONG_WAY, None),
    ("the lake after the pier", [tap(0, zone="pier")], tap(5, zone="lake"), Reason.ADMITTED, 2000),
    ("the pool after the slide", [tap(0, zone="slide")], tap(5, zone="pool"), Reason.ADMITTED, 2000),
    ("the slide twice, and no pool yet", [tap(0, zone="slide")], tap(5, zone="slide"), Reason.ADMITTED, 2000),
    ("no way back from the pool", [tap(0, zone="pool")], tap(5, zone="slide"), Reason.WRONG_WAY, None),
    ("the slide on the day after the pool", [tap(0, zone="pool")], tap(1440, zone="slide"), Reason.ADMITTED, 2000),
    (
        "inside after an hour free of charge outside",
        [tap(0, zone="porch")],
        tap(5, zone="inner"),
        Reason.ADMITTED,
        2000,
    ),
    ("a ticket of this zone", [], tap(0, "pier", "pier"), Reason.PAID, 100),
    (
        "three in a hall for three",
        [tap(0, "a", "hall"), tap(1, "b", "hall")],
        tap(2, "c", "hall"),
        Reason.ADMITTED,
        2000,
    ),
    (
        "a fourth",
        [tap(0, "a", "hall"), tap(1, "b", "hall"), tap(2, "c", "hall")],
        tap(3, "d", "hall"),
        Reason.ZONE_FULL,
        None,
    ),
    (
        "a fourth after one left",
        [tap(0, "a", "hall"), tap(1, "b", "hall"), tap(2, "c", "hall"), tap(3, "a", "hall", **OUT)],
        tap(4, "d", "hall"),
        Reason.ADMITTED,
        2000,
    ),
    (
        "a fourth after everybody was let out",
        [tap(0, "a", "hall"), tap(1, "b", "hall"), tap(2, "c", "hall"), {"emergency": 30}],
        tap(60, "d", "hall"),
        Reason.ADMITTED,
        2000,
    ),
    (
        "a fourth of those who came back after it",
        [{"emergency": -30}, tap(0, "a", "hall"), tap(1, "b", "hall"), tap(2, "c", "hall")],
        tap(3, "d", "hall"),
        Reason.ZONE_FULL,
        None,
    ),
    (
        "a third where two may be, and nobody pays",
        [tap(0, "a", "fair"), tap(1, "b", "fair")],
        tap(2, "c", "fair"),
        Reason.ZONE_FULL,
        None,
    ),
    (
        "a third who would pay, after two who did not",
        [tap(0, "a", "fair"), tap(1, "b", "fair")],
        tap(61, "c", "fair"),
        Reason.ZONE_FULL,
        None,
    ),
    ("a group too large for the hall", [], tap(0, "group", "hall"), Reason.ZONE_FULL, None),
]


def run(riding: Riding, one: dict[str, Any]) -> Any:
    one = dict(one)
    if "annul" in one:
        fact = PassageAnnulled(lane="front", of=riding.entries[-1].name, passed=one["annul"])
        return riding.write(fact, _instant(riding.entries[-1].at.utc_ms + 8000))
    if "emergency" in one:
        ordered = EmergencyOrdered(who="7", on=True, why="smoke")
        return riding.write(ordered, _instant(NINE + one["emergency"] * MINUTE_MS))
    holder = (
        {"holder": Holder(card_type="00")} if one["who"] in ("day", "card", "phone", *"abcd") else {"holder": Holder()}
    )
    return riding.tap(one.pop("at_ms"), **(holder | one))


def _instant(at_ms: int) -> Instant:
    return Instant(utc_ms=at_ms, uncertainty_ms=0, source=TimeSource.SYSTEM, monotonic_ns=0)


@pytest.mark.parametrize(("sentence", "before", "now", "reason", "cost"), ROWS, ids=[row[0] for row in ROWS])
def test_decisions(
    sentence: str, before: list[dict[str, Any]], now: dict[str, Any], reason: Reason, cost: int | None
) -> None:
    """What was tapped before, what this tap is told, what it costs."""
    riding = park()
    riding.passage = PassageMode.SENSOR
    for one in before:
        run(riding, one)
    outcome = run(riding, now)
    fen = outcome.charge.amount_fen if outcome.charge else 0 if outcome.decision.granted else None
    assert (outcome.decision.reason, fen) == (reason, cost), sentence
    assert any(isinstance(act, OpenGate) for act in outcome.acts) is outcome.decision.granted


def test_there_are_enough_of_them() -> None:
    """Twenty-five at least, no sentence twice."""
    assert len({row[0] for row in ROWS}) == len(ROWS) >= 25


def test_a_slot_is_told_as_people_read_it() -> None:
    """From and to, by the clock on the wall."""
    outcome = run(park(), tap(-60, "slot"))
    assert outcome.acts[0].values == {"from": "09:00", "to": "11:00"}


def test_was_it_charged_today() -> None:
    """The driver's question, asked of the account: what this place knows of its day."""
    riding = park()
    asked: dict[str, Any] = {"account": "li", "asked": "inquiry"}
    assert run(riding, tap(0, "phone", **asked)).decision.reason is Reason.NOT_CHARGED_TODAY
    run(riding, tap(1, "card", account="li"))
    run(riding, tap(2, "card", account="li"))
    told = run(riding, tap(3, "phone", **asked))
    assert (told.decision.reason, told.acts[0].values) == (Reason.CHARGED_TODAY, {"fare": yuan(4000), "n": "2"})
    assert run(riding, tap(1441, "phone", **asked)).decision.reason is Reason.NOT_CHARGED_TODAY


def test_who_did_not_walk_is_not_counted() -> None:
    """Three of five walked: three are inside, and the ticket keeps two."""
    riding = park()
    riding.passage = PassageMode.SENSOR
    tariff = riding.parameters.tariff
    zones = {**tariff.zones, "hall": msgspec.structs.replace(tariff.zones["hall"], most=9)}
    riding.parameters = msgspec.structs.replace(riding.parameters, tariff=msgspec.structs.replace(tariff, zones=zones))
    run(riding, tap(0, "group", "hall"))
    run(riding, {"annul": 3})
    assert [one.count for one in riding.ledgers[zone_ref("hall")].sums] == [3]
    assert [(one.id, one.count) for one in riding.ledgers[ref("group")].sums] == [("quota:group", 3)]


def test_an_unsure_clock_opens_no_gate_but_the_way_out() -> None:
    """Hours, slots and days would all be guesses."""
    riding = park()
    policies = msgspec.structs.replace(riding.parameters.policies, max_uncertainty_s=-1)
    riding.parameters = msgspec.structs.replace(riding.parameters, policies=policies)
    assert run(riding, tap(0)).decision.reason is Reason.CLOCK_UNSURE
    assert run(riding, tap(0, **OUT)).decision.reason is Reason.EXITED


def test_a_pass_that_was_looked_at_is_never_forgotten() -> None:
    """However long its holder stays away."""
    riding = park()
    run(riding, LOOKED)
    assert not may_forget(riding.ledgers[ref("annual")], 0, 1 << 50)
