"""Random tariffs, random rides: what terminals charge, and what head office counts with code of its own.

The laws: no sum above its cap, no tap above the issuer's ceiling; head office comes to the same fen, ride by ride,
whatever the order in which the records arrive; and where several terminals did not know of each other, its own sums
keep the caps.
"""

import json
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module
from random import Random
from typing import Any, NamedTuple
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators import clearing
from simulators.clearing import clear
from simulators.tariff_file import Prices
from terminal.core import history, ledger, tariff_check
from terminal.core.entries import Fact, LatePassage, PassageAnnulled, Voided
from terminal.core.fares import calendar, quote, table
from terminal.core.fares.trips import Role
from terminal.core.ledger import Added, Sum, Where
from terminal.core.model import EntryName, Holder, Instant, Tap, TimeSource
from terminal.core.parameters import Tariff
from terminal.core.services import pricing, rules
from terminal.core.tariff import Accumulation, FareTable
from tests.core.cases import ref
from tests.core.riding import TARIFFS, Riding, channel, local_ms

START = local_ms("2026-03-30 00:00")  # two days before a month ends
MINUTE_MS = 60_000
STOPS = [{"id": f"s{n}", "at_m": n * n * 130, "stage": n // 2, "area": "out" if n > 5 else ""} for n in range(8)]
PERCENTS = st.sampled_from([0, 25, 33, 50, 80, 90, 100])


class Tapped(NamedTuple):
    """One tap of a random life."""

    after_min: int
    who: int
    line: str
    stop: int
    role: Role
    turned: bool  # another run has begun
    ceiling_fen: int | None
    voided: bool
    trusted: bool
    student: bool = False
    key: str = ""
    funds_fen: int | None = None
    late: bool = False  # nobody walked in time, and then somebody did


@st.composite
def tables(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """A fare table of any measure."""
    measure = draw(st.sampled_from(["none", "key", "metres", "stages"]))
    if measure == "key":
        return {"measure": "key", "keys": {key: draw(st.integers(0, 700)) for key in ("1", "2")}}
    if measure == "none":
        return {"fare_fen": draw(st.integers(0, 700))}
    ups = sorted(draw(st.sets(st.integers(0, 4000 if measure == "metres" else 3), min_size=1, max_size=3)))
    bands = [{"up_to": up, "fare_fen": draw(st.integers(0, 700))} for up in ups]
    every = draw(st.integers(1, 900 if measure == "metres" else 2))
    beyond = draw(st.sampled_from([None, {"every": every, "add_fen": 35}]))
    tap_out = {
        "longest_s": 7200,
        "overtime_fen": draw(st.sampled_from([None, 300])),
        "reminder_s": draw(st.sampled_from([0, 60])),
        "unfinished": draw(st.sampled_from(["farthest", "later"])),
        "missing_entry": draw(st.sampled_from(["farthest", "later", "refuse"])),
    }
    most = draw(st.sampled_from([None, 500]))
    return {"measure": measure, "bands": bands, "beyond": beyond, "tap_out": tap_out, "most_fen": most}


SCOPES = st.sampled_from(["medium", "channel", "account"])


@st.composite
def accumulations(draw: st.DrawFn) -> dict[str, Any]:
    """A sum of any period and scope, with a cap, discounts, both or neither."""
    by = draw(st.sampled_from(["from_fen", "from_count"]))
    froms = sorted(draw(st.sets(st.integers(1, 1500 if by == "from_fen" else 6), max_size=2)))
    return {
        "period": draw(st.sampled_from(["day", "week", "month"])),
        "scope": draw(SCOPES),
        "cap_fen": draw(st.one_of(st.none(), st.integers(0, 1500))),
        "discounts": [{by: reached, "percent": draw(PERCENTS)} for reached in froms],
    }


TRANSFERS = st.fixed_dictionaries(
    {
        "within_s": st.sampled_from([600, 3600]),
        "grace_s": st.just(60),
        "since": st.sampled_from(["first", "last"]),
        "most": st.sampled_from([None, 1]),
        "percent": PERCENTS,
        "off_fen": st.sampled_from([0, 100]),
        "other_line": st.booleans(),
        "debt_free": st.booleans(),
        "scope": SCOPES,
    }
)


PASS_BACKS = st.fixed_dictionaries(
    {
        "window_s": st.sampled_from([90, 90, 1200]),
        "companions": st.sampled_from([0, 1, 5]),
        "scope": st.just("account"),
    }
)


@st.composite
def concessions(draw: st.DrawFn, line: str, counted: dict[str, Any]) -> dict[str, Any]:
    """A cheaper product of a line: for some people, at some hours, for so many rides; or for everybody always."""
    return draw(products(line)) | {
        "id": f"{line} less",
        "who": draw(st.sampled_from([[], [{"card_type": "02"}]])),
        "when": draw(st.sampled_from([[], [{"start": "05:00", "end": "14:00"}], [{"days": ["workday"]}]])),
        "counted": draw(st.sampled_from([None, counted])),
    }


@st.composite
def counts(draw: st.DrawFn) -> dict[str, Any]:
    """Counts of any window and scope, which both lines may share."""
    return {
        "id": "counts",
        "period": draw(st.sampled_from(["day", "week", "month"])),
        "allowance": draw(st.integers(0, 4)),
        "weights": draw(st.sampled_from([{}, {"y": 2}])),
        "scope": draw(SCOPES),
    }


@st.composite
def products(draw: st.DrawFn, line: str) -> dict[str, Any]:
    """What everybody may ride a line on."""
    return {
        "id": line,
        "services": ["fare"],
        "modes": [line],
        "fare": line,
        "fare_fen": 0,
        "percent": draw(PERCENTS),
        "percent_in": draw(st.sampled_from([{}, {"out": 80}])),
        "accumulates": draw(st.lists(st.sampled_from(["a", "b"]), unique=True, max_size=2)),
        "transfers": draw(st.sampled_from([[], ["change"]])),
        "pass_back": draw(PASS_BACKS),
    }


@st.composite
def tariffs(draw: st.DrawFn) -> dict[str, Any]:
    """Two lines, each with its table and products; sums, caps, bands, transfers and concessions of every kind."""
    counted = draw(counts())
    tariff: dict[str, Any] = {
        "round_fen": draw(st.sampled_from([1, 5])),
        "service_day_starts": draw(st.sampled_from(["00:00", "04:30"])),
        "lines": {line: {"mode": line, "stops": STOPS} for line in ("x", "y")},
        "fares": {line: draw(tables(line)) for line in ("x", "y")},
        "accumulations": {name: draw(accumulations()) for name in ("a", "b")},
        "transfers": {"change": draw(TRANSFERS)},
        "grace": draw(st.sampled_from([None, {"rides": 1}, {"rides": 2, "least_funds_fen": 1}])),
        "products": [draw(one) for line in ("x", "y") for one in (concessions(line, counted), products(line))],
    }
    rules = (*tariff["accumulations"].values(), *tariff["transfers"].values())
    if all(rule["scope"] == "medium" for rule in rules) and draw(st.booleans()):
        for product in tariff["products"]:
            product["pass_back"]["scope"] = "medium"
    return tariff


TAPS = st.builds(
    Tapped,
    after_min=st.sampled_from([0, 0, 1, 5, 20, 50, 130, 700, 3000]),
    who=st.integers(0, 2),
    line=st.sampled_from(["x", "x", "y"]),
    stop=st.integers(0, 8),  # the last is not a stop of the line
    role=st.sampled_from([Role.ANY, Role.ANY, Role.ENTRY, Role.EXIT]),
    turned=st.sampled_from([False, False, True]),
    ceiling_fen=st.sampled_from([None, None, 300, 600]),
    voided=st.sampled_from([False] * 9 + [True]),
    trusted=st.sampled_from([False] * 9 + [True]),
    student=st.booleans(),
    key=st.sampled_from(["1", "2", "2", ""]),
    funds_fen=st.sampled_from([None, None, None, 0, 150, 400, 2000]),
    late=st.sampled_from([False] * 4 + [True]),
)
LIVES = st.lists(TAPS, min_size=8, max_size=30)
PEOPLE = (("card", "zhang"), ("phone", "zhang"), ("stranger", None))


def live(tariff: dict[str, Any], taps: list[Tapped], vehicles: int = 1) -> list[Riding]:
    """Everybody's taps on so many vehicles, each of which knows of itself only."""
    known = msgspec.json.decode(json.dumps(tariff), type=Tariff)
    assert list(tariff_check.faults(known)) == []
    ridings = [Riding(known, terminal=f"T{number}") for number in range(vehicles)]
    at_ms, runs = START, [START] * vehicles
    for number, one in enumerate(taps):
        at_ms += one.after_min * MINUTE_MS + 1
        vehicle = (number * 7 + one.stop) % vehicles
        riding, (who, account) = ridings[vehicle], PEOPLE[one.who]
        runs[vehicle] = at_ms if one.turned else runs[vehicle]
        where = Where(vehicle=f"bus-{vehicle}", line=one.line, stop=f"s{one.stop}", run=runs[vehicle], key=one.key)
        product = taken(tariff, riding, at_ms, who, account, one)
        unknown: dict[str, Any] = {"status_index": ("nowhere", 1)} if one.trusted else {}
        outcome = riding.tap(
            at_ms,
            who,
            account=account,
            where=where,
            role=one.role,
            ceiling_fen=one.ceiling_fen,
            funds_fen=one.funds_fen,
            holder=Holder(card_type="02" if one.student else "00"),
            **unknown,
        )
        if outcome.charge is not None:
            assert one.ceiling_fen is None or outcome.charge.amount_fen <= one.ceiling_fen
            assert one.funds_fen is None or outcome.charge.amount_fen <= one.funds_fen
            assert outcome.tap is Tap.ALIGHT or outcome.charge.product == product
            parts = outcome.charge.parts
            assert not parts or sum(part.fen for part in parts) == outcome.charge.amount_fen
            went_on(riding, one, at_ms)
    return ridings


def went_on(riding: Riding, tap: Tapped, at_ms: int) -> None:
    """What became of the ride of the newest entry."""
    of = riding.entries[-1].name
    at = Instant(utc_ms=at_ms, uncertainty_ms=0, source=TimeSource.SYSTEM, monotonic_ns=0)
    if tap.late:
        riding.write(PassageAnnulled(lane="front", of=of, passed=0), at)
        riding.write(LatePassage(lane="front", of=of, passed=1), at)
    if tap.voided:
        riding.write(Voided(who="7", why="asked", of=of), at)


def taken(tariff: dict[str, Any], riding: Riding, at_ms: int, who: str, account: str | None, tap: Tapped) -> str:
    """The product of this tap by the tariff's file, in another way than the judge's: counted over all that stands."""
    local = datetime.fromtimestamp(at_ms / 1000, UTC) + timedelta(hours=8)
    for product in tariff["products"]:
        if product["modes"] != [tap.line] or (product.get("who") and not tap.student):
            continue
        hours = product.get("when") or [{}]
        on_time = any(one.get("start", "00:00") <= f"{local:%H:%M}" < one.get("end", "24:00") for one in hours)
        if not on_time or ("days" in hours[0] and local.weekday() > 4):
            continue
        counted = product.get("counted")
        if counted is None:
            return str(product["id"])
        party = {"medium": ref(who), "account": ref(account or who), "channel": channel(who, account)}[counted["scope"]]
        window = Prices(tariff).window
        today = window(counted["period"], at_ms)
        used: list[int] = [
            effect.count
            for name, use in riding.uses.items()
            if use.persons_charged and window(counted["period"], use.at_ms) == today
            for effect in riding.entries[name.sequence - 1].fact.effects  # type: ignore[union-attr]  # a decision
            if isinstance(effect, Added) and (effect.id, effect.party) == (counted["id"], party)
        ]
        if sum(used) + counted["weights"].get(tap.line, 1) <= counted["allowance"]:
            return str(product["id"])
    raise AssertionError("every line has a product for everybody")


def capped_sums(riding: Riding) -> dict[tuple[bytes, str, int], int]:
    """What the entries added, by party, accumulation and window; voided ones taken away."""
    sums: dict[tuple[bytes, str, int], int] = defaultdict(int)
    for name, use in riding.uses.items():
        for effect in riding.entries[name.sequence - 1].fact.effects:  # type: ignore[union-attr]  # a decision
            if isinstance(effect, Added) and effect.id in ("a", "b") and use.persons_charged:
                sums[effect.party, effect.id, effect.window] += effect.fen
    return sums


@settings(max_examples=100, deadline=None)
@given(tariffs(), LIVES, st.integers(0, 1 << 30))
def test_one_terminal_and_head_office_come_to_the_same_fen(
    tariff: dict[str, Any], taps: list[Tapped], seed: int
) -> None:
    """Ride by ride, and in any order of arrival; no sum above its cap."""
    (riding,) = live(tariff, taps)
    for (_, name, _), fen in capped_sums(riding).items():
        cap = tariff["accumulations"][name]["cap_fen"]
        assert cap is None or fen <= cap
    records = riding.records()
    first = clear(records, tariff)
    assert [(ride.name[2], ride.due) for ride in first.rides] == [(ride.name[2], ride.charged) for ride in first.rides]
    assert first.due == first.charged == riding.charged_fen
    Random(seed).shuffle(records)
    assert clear([*records, *records[:5]], tariff).due == first.due


@settings(max_examples=50, deadline=None)
@given(tariffs(), LIVES, st.integers(0, 1 << 30))
def test_terminals_that_do_not_know_of_each_other(tariff: dict[str, Any], taps: list[Tapped], seed: int) -> None:
    """Head office's own sums keep the caps, whatever arrived first; each terminal's keep them too."""
    ridings = live(tariff, taps, vehicles=3)
    records = [record for riding in ridings for record in riding.records()]
    first = clear(records, tariff)
    Random(seed).shuffle(records)
    again = clear(records, tariff)
    assert [(ride.name, ride.due) for ride in first.rides] == [(ride.name, ride.due) for ride in again.rides]
    assert first.charged == sum(riding.charged_fen for riding in ridings)
    sums: dict[tuple[str, bytes, str], int] = defaultdict(int)
    for ride in first.rides:
        for name, (party, fen) in ride.into.items():
            if ride.stands:
                sums[name, party, first._prices.window(tariff["accumulations"][name]["period"], ride.at_ms)] += fen
    for (name, _, _), fen in sums.items():
        cap = tariff["accumulations"][name]["cap_fen"]
        assert cap is None or fen <= cap


def test_londons_hour_over_two_buses_and_a_station_that_do_not_know_of_each_other() -> None:
    """Each charges what it knows; head office gives the second bus back, and not the Tube."""
    tariff = json.loads((TARIFFS / "london-bus.json").read_bytes())
    tariff["lines"]["northern"] = {"mode": "tube", "stops": []}
    tariff["products"].append({"id": "tube", "services": ["fare"], "modes": ["tube"], "fare_fen": 290})
    known = msgspec.json.decode(json.dumps(tariff), type=Tariff)
    first_ms = local_ms("2026-03-02 08:00", "Europe/London")
    records = []
    for terminal, line, minute in (("bus-2", "38", 45), ("station", "northern", 20), ("bus-1", "24", 0)):
        riding = Riding(known, terminal=terminal)
        riding.tap(first_ms + minute * MINUTE_MS, where=Where(vehicle=terminal, line=line))
        records += riding.records()
    found = clear(records, tariff)
    assert [(ride.name[0], ride.charged, ride.due) for ride in found.rides] == [
        ("bus-1", 175, 175),
        ("station", 290, 290),
        ("bus-2", 175, 0),
    ]


def test_who_walks_after_the_annul_is_cleared_as_charged_once() -> None:
    """Too late, and then after all; what was paid because nobody knew of that ride meanwhile is given back."""
    tariff = json.loads((TARIFFS / "london-bus.json").read_bytes())
    known = msgspec.json.decode(json.dumps(tariff), type=Tariff)
    first_ms = local_ms("2026-03-02 08:00", "Europe/London")

    def at(second: int) -> Instant:
        return Instant(utc_ms=first_ms + second * 1000, uncertainty_ms=0, source=TimeSource.SYSTEM, monotonic_ns=0)

    def cleared(*happens: tuple[int, Fact | str]) -> clearing.Clearing:
        riding = Riding(known)
        for second, what in happens:
            if isinstance(what, str):
                riding.tap(first_ms + second * 1000, where=Where(vehicle=what, line=what))
            else:
                riding.write(what, at(second))
        return clear(riding.records(), tariff)

    gone = PassageAnnulled(lane="front", of=EntryName(epoch=b"epoch--1", sequence=1), passed=0)
    late = LatePassage(lane="front", of=gone.of, passed=1)
    known_then = cleared((0, "24"), (8, gone), (9, late), (700, "38"))
    known_later = cleared((0, "24"), (8, gone), (30, "38"), (40, late))
    assert [(ride.charged, ride.due) for ride in known_then.rides] == [(175, 175), (0, 0)]
    assert [(ride.charged, ride.due) for ride in known_later.rides] == [(175, 175), (175, 0)]
    assert all(ride.stands for ride in (*known_then.rides, *known_later.rides))
    assert not any(ride.stands for ride in cleared((0, "24"), (8, gone)).rides)


def test_in_at_one_station_out_at_another() -> None:
    """Neither knows of the other: the exit is let out and charged by head office, with any linked medium."""
    tariff = json.loads((TARIFFS / "beijing-metro.json").read_bytes())
    known = msgspec.json.decode(json.dumps(tariff), type=Tariff)
    into, out = Riding(known, terminal="A"), Riding(known, terminal="D")
    start_ms = local_ms("2026-03-02 08:00")
    into.tap(start_ms, "card", account="zhang", where=Where(line="network", stop="A"), role=Role.ENTRY)
    there = Where(line="network", stop="D")
    left = out.tap(start_ms + 30 * MINUTE_MS, "phone", account="zhang", where=there, role=Role.EXIT)
    assert left.decision.granted and left.charge is not None and left.charge.amount_fen == 0
    found = clear([*out.records(), *into.records()], tariff)
    assert [(ride.name[0], ride.due) for ride in found.rides] == [("A", 0), ("D", 500)]


# --------------------------------------------------------------------------- the rig first catches a planted bug

CAPPED: dict[str, Any] = {
    "lines": {line: {"mode": line, "stops": STOPS} for line in ("x", "y")},
    "fares": {"x": {"fare_fen": 201}, "y": {"fare_fen": 301}},
    "accumulations": {
        "a": {"period": "day", "cap_fen": 800},
        "b": {"period": "month", "discounts": [{"from_fen": 250, "from_count": 3, "percent": 50}]},
    },
    "transfers": {"change": {"within_s": 3600, "off_fen": 50, "percent": 100, "other_line": True}},
    "products": [
        {
            "id": line,
            "services": ["fare"],
            "modes": [line],
            "fare": line,
            "fare_fen": 0,
            "accumulates": ["a", "b"],
            "transfers": ["change"],
            "pass_back": {"window_s": 600, "companions": 3},
        }
        for line in ("x", "y")
    ],
}


def _by_fen_alone(rule: Accumulation, past: Sum) -> int:
    """A planted bug: `from_count` is not looked at."""
    return next((one.percent for one in reversed(rule.discounts) if past.fen >= one.from_fen), 100)


def _first_key(fares: FareTable, *where: Any) -> int | None:
    """A planted bug: whatever key was pressed, the first one's price."""
    return next(iter(fares.keys.values()), None) if fares.keys else FULL_PRICE(fares, *where)


def _for_good(kept: ledger.Ledger, effect: ledger.Effect, moment: ledger.Moment, persons: int, of: int) -> Any:
    """A planted bug: what was taken back is never given again, but for sums."""
    return UNDO(kept, effect, moment, persons, of) if persons > 0 or isinstance(effect, Added) else kept


UNDO = ledger.undo
FULL_PRICE = table.full_price
KINDS: dict[str, Any] = {
    "lines": {line: {"mode": line, "stops": STOPS} for line in ("x", "y", "far")},
    "fares": {
        "x": {"fare_fen": 200},
        "y": {"measure": "key", "keys": {"1": 150, "2": 250}},
        "far": {
            "measure": "metres",
            "bands": [{"up_to": 99_000, "fare_fen": 300}],
            "tap_out": {"longest_s": 7200},
        },
    },
    "grace": {"rides": 1},
    "products": [
        {
            "id": "x less",
            "services": ["fare"],
            "modes": ["x"],
            "fare": "x",
            "fare_fen": 0,
            "percent": 50,
            "who": [{"card_type": "02"}],
            "when": [{"start": "05:00", "end": "14:00"}],
            "counted": {"id": "counts", "period": "day", "allowance": 2, "weights": {}, "scope": "account"},
        },
        *(
            {"id": line, "services": ["fare"], "modes": [line], "fare": line, "fare_fen": 0}
            for line in ("x", "y", "far")
        ),
    ],
}

RIDE = Tapped(20, 2, "x", 1, Role.ANY, False, None, False, False)
ORDINARY = [RIDE._replace(line=line) for line in ("x", "y", "x", "y", "y")]
ORDINARY[2:2] = [RIDE._replace(after_min=0, line="y")]  # a companion
STUDENTS = [RIDE._replace(after_min=420, student=True, voided=True)]
STUDENTS += [RIDE._replace(after_min=after, student=True) for after in (20, 20, 20, 480)]  # the third finds no count
STUDENTS += [RIDE._replace(after_min=1, who=0, student=True), RIDE._replace(after_min=950)]  # in the evening; an adult
KEYS = [RIDE._replace(line="y", key=key) for key in ("1", "2", "")]
PURSES = [RIDE._replace(funds_fen=fen) for fen in (150, 150, 1000, 1000)]  # on trust, refused, settled, paid
PURSES += [RIDE._replace(line="far", stop=stop, funds_fen=120) for stop in (1, 3)]  # the exit takes what there is
LATE = [RIDE._replace(line=line, stop=stop, late=True) for line, stop in (("far", 1), ("far", 3), ("x", 0))]
LATE += [RIDE._replace(line="y", after_min=9, key="2", funds_fen=fen, late=True) for fen in (150, 1000)]  # a debt, paid
CHANGED = [RIDE._replace(line=line, late=True) for line in ("x", "y", "x")]
DAYS = ((CAPPED, ORDINARY), (KINDS, STUDENTS), (KINDS, KEYS), (KINDS, PURSES), (KINDS, LATE), (CAPPED, CHANGED))

FARE = import_module("terminal.core.services.fare")  # beside it stands a function of this name
PLANTS: dict[str, Callable[[], Any]] = {
    "counts are never used up": lambda: patch.object(quote, "counts_left", lambda *a: 1000),
    "a void gives no count back, nor any sum": lambda: patch.object(ledger, "undo", lambda kept, *a: kept),
    "everybody is a student": lambda: patch.object(pricing, "_eligible", lambda *a: True),
    "hours are not looked at": lambda: patch.object(calendar, "within", lambda *a: True),
    "the first key's price": lambda: patch.object(table, "full_price", _first_key),
    "a purse's debt is never settled": lambda: patch.object(FARE, "_room", lambda *a: 0),
    "a purse pays what it does not hold": lambda: patch.object(
        FARE, "RIDE_RULES", [rule for rule in FARE.RIDE_RULES if rule is not rules.within_funds]
    ),
    "what a purse held is not written down": lambda: patch.object(clearing, "FUNDS", "nothing"),
    "rides are not counted": lambda: patch.object(quote, "percent_of", _by_fen_alone),
    "no cap": lambda: patch.object(quote, "EVERY_RULE", [one for one in quote.EVERY_RULE if one is not quote.caps]),
    "rounds down": lambda: patch.object(quote, "share", lambda fen, percent, unit: fen * percent // 100),
    "companions ride on the holder's transfer": lambda: patch.object(quote, "COMPANIONS", quote.EVERY_RULE),
    "nobody is a companion": lambda: patch.object(history, "rides_along", lambda *a: False),
    "head office knows no companions": lambda: patch.object(clearing.Clearing, "_rides_along", lambda *a: False),
    "who walks late never rode, to head office": lambda: patch.object(clearing, "WALKED", ()),
    "a trip of somebody who walks late stays closed": lambda: patch.object(ledger, "undo", _for_good),
    "head office forgets transfers": lambda: patch.object(clearing.Clearing, "_transfer", lambda *a, **k: a[4]),
}


@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_bug_is_noticed(plant: str) -> None:
    """On an ordinary day, or on that of students, of driver's keys, or of purses."""

    def differs(tariff: dict[str, Any], day: list[Tapped]) -> bool:
        try:
            (riding,) = live(tariff, day)
        except AssertionError:  # another product than the file's, or more than a purse held
            return True
        found = clear(riding.records(), tariff)
        return found.charged != riding.charged_fen or any(one.due != one.charged for one in found.rides)

    assert not any(differs(*day) for day in DAYS)
    with PLANTS[plant]():
        assert any(differs(*day) for day in DAYS)
