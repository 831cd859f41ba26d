"""Paying with a purse: a grant is a list of debits, and what was paid and not walked on holds."""

from typing import Any

import msgspec
import pytest

from simulators.parameters import CARDS, TARIFF
from terminal.core.card import Assurance, CardPlace, CardState, OpenTrip, Stage
from terminal.core.debit import COMPOSITE, Debit, DebitKind, PurseDebit
from terminal.core.fares import stations
from terminal.core.ledger import EMERGENCY, Anchor, Ledger, Where
from terminal.core.model import (
    Credential,
    DebitPurse,
    EntryName,
    History,
    LockPurse,
    Medium,
    OpenGate,
    Outcome,
    PassageMode,
    Reason,
    Ref,
    Show,
    Tap,
    UseState,
    Verdict,
)
from terminal.core.parameters import Block, BlockScope, Cards, PassBack, Product, PurseRules, TripFares
from terminal.core.services import SERVICES, Case, judge
from terminal.core.tariff import Band, FareTable, Hours, Line, Measure, Stop
from tests.core.card_talk import PURSE
from tests.core.cases import NOW_MS, credential, instant, parameters, ref, use, yuan
from tests.core.test_services import case as gate_case

SENSOR = PassageMode.SENSOR
HERE, SILENT, ELSEWHERE = "0000510100000001", "0000510100000002", "0000990900000009"
AT = "20270115155000"  # ten minutes before the tables' now, local
BOTH = CardPlace(stage=Stage.BOTH, line="0007", station="0003")


def trip(**changes: str) -> OpenTrip:
    values = {
        "at": AT, "terminal": HERE, "line": "0007", "station": "0001", "city": "5101", "acquirer": "0000000051010001",
    } | changes  # fmt: skip
    return OpenTrip(**values)


def purse(open_trip: OpenTrip | None = None) -> Credential:
    card = CardState(trip=open_trip, own_terminals=(HERE,))
    return credential(format="transit_purse", medium=Medium.CARD, card=card)


def rules(**changes: object) -> Any:
    """Parameters with these purse rules."""
    return parameters(tariff=TARIFF, cards=Cards(purse=msgspec.structs.replace(PURSE, **changes)))


def case(**changes: object) -> Case:
    return gate_case(
        **(
            {"credential": purse(), "parameters": parameters(tariff=TARIFF, cards=CARDS), "place": CardPlace()}
            | changes
        )
    )


def let_out(seconds_ago: int) -> dict[Ref, Ledger]:
    """Everybody was, by fire release."""
    at_ms = NOW_MS - 1000 * seconds_ago
    return {EMERGENCY: Ledger(anchors=(Anchor(id="emergency", first_ms=at_ms, last_ms=at_ms),))}


def debited_by(terminal: str) -> dict[Ref, Ledger]:
    """The purse's newest debit here."""
    made = PurseDebit(
        type=COMPOSITE, amount_fen=0, balance_fen=5000, counter=41, terminal=bytes.fromhex(terminal)[2:],
        transaction=bytes(4), when=bytes(7), algorithm=3, product="trip", fare_type="board", grants=True,
    )  # fmt: skip
    return {ref("amber"): Ledger(debit=Debit(of=EntryName(epoch=b"epoch--1", sequence=1), at_ms=NOW_MS, debit=made))}


def debits(outcome: Outcome) -> list[tuple[DebitKind, int]]:
    return [(act.kind, act.amount_fen) for act in outcome.acts if isinstance(act, DebitPurse)]


OWN_USE = Product(
    id="own", services=("fare",), fare_fen=80, scopes=(BlockScope.PURSE,), pass_back=PassBack(window_s=600)
)
EXIT = CardPlace(stage=Stage.EXIT, line="0007", station="0003")
ENTRY = CardPlace(stage=Stage.ENTRY, line="0007", station="0001")


@pytest.mark.parametrize(
    ("sentence", "changes", "expected"),
    [
        ("a plain ride", {}, [(DebitKind.RIDE, 160)]),
        ("boarding costs nothing yet", {"place": BOTH}, [(DebitKind.BOARD, 0)]),
        (
            "alighting costs what the two stops say",
            {"place": BOTH, "credential": purse(trip())},
            [(DebitKind.ALIGHT, 300)],
        ),
        (
            "a trip of another vehicle is ended for the maximum, then this one begins",
            {"place": BOTH, "credential": purse(trip(terminal=ELSEWHERE))},
            [(DebitKind.SETTLE, 600), (DebitKind.BOARD, 0)],
        ),
        (
            "also before a plain ride",
            {"credential": purse(trip(terminal=ELSEWHERE))},
            [(DebitKind.SETTLE, 600), (DebitKind.RIDE, 160)],
        ),
        (
            "a trip of this morning has no other end",
            {"place": BOTH, "credential": purse(trip(at="20270115110000"))},
            [(DebitKind.SETTLE, 600), (DebitKind.BOARD, 0)],
        ),
        (
            "nor has one from the future",
            {"place": BOTH, "credential": purse(trip(at="20270115190000"))},
            [(DebitKind.SETTLE, 600), (DebitKind.BOARD, 0)],
        ),
        (
            "nor one of no date",
            {"place": BOTH, "credential": purse(trip(at="20271399999999"))},
            [(DebitKind.SETTLE, 600), (DebitKind.BOARD, 0)],
        ),
        ("an exit gate takes the trip", {"place": EXIT, "credential": purse(trip())}, [(DebitKind.ALIGHT, 300)]),
        ("an exit without an entry costs the maximum", {"place": EXIT}, [(DebitKind.ALIGHT, 600)]),
        (
            "an exit with somebody else's entry settles that one too",
            {"place": EXIT, "credential": purse(trip(terminal=ELSEWHERE))},
            [(DebitKind.SETTLE, 600), (DebitKind.ALIGHT, 600)],
        ),
        (
            "a second entry settles the first",
            {"place": ENTRY, "credential": purse(trip())},
            [(DebitKind.SETTLE, 600), (DebitKind.BOARD, 0)],
        ),
        (
            "in a network a trip ends wherever the acquirer is ours",
            {
                "place": EXIT,
                "credential": purse(trip(terminal=ELSEWHERE)),
                "parameters": rules(trips=TripFares(network="acquirer", fare="trip")),
            },
            [(DebitKind.ALIGHT, 300)],
        ),
        (
            "a trip from before everybody was let out is forgiven",
            {"place": ENTRY, "credential": purse(trip()), "ledgers": let_out(300)},
            [(DebitKind.SETTLE, 0), (DebitKind.BOARD, 0)],
        ),
        (
            "one begun since is not",
            {"place": ENTRY, "credential": purse(trip()), "ledgers": let_out(900)},
            [(DebitKind.SETTLE, 600), (DebitKind.BOARD, 0)],
        ),
        (
            "nor one of another vehicle: nobody was let out there",
            {"place": BOTH, "credential": purse(trip(terminal=ELSEWHERE)), "ledgers": let_out(300)},
            [(DebitKind.SETTLE, 600), (DebitKind.BOARD, 0)],
        ),
        (
            "nor one of no date",
            {"place": BOTH, "credential": purse(trip(at="20271399999999")), "ledgers": let_out(300)},
            [(DebitKind.SETTLE, 600), (DebitKind.BOARD, 0)],
        ),
        (
            "a trip of a module that is silent today: this vehicle wrote it",
            {"place": EXIT, "credential": purse(trip(terminal=SILENT)), "ledgers": debited_by(SILENT)},
            [(DebitKind.ALIGHT, 300)],
        ),
    ],
)
def test_debits(sentence: str, changes: dict[str, object], expected: list[tuple[DebitKind, int]]) -> None:
    """What is asked of the card, in order."""
    outcome = judge(case(**changes))
    assert debits(outcome) == expected, sentence
    assert outcome.decision.granted and OpenGate() in outcome.acts
    assert outcome.charge is not None and outcome.charge.amount_fen == expected[-1][1]


def test_hours_and_class_of_vehicle_are_the_tariff_s() -> None:
    """Nine in the morning is nine where the tariff stands; the tables' now is four in the afternoon there."""
    early = msgspec.structs.replace(OWN_USE, id="early", when=(Hours(start="00:00", end="10:00"),))
    night = msgspec.structs.replace(OWN_USE, id="night", modes=("night",))
    lines = {"n1": Line(stops=(Stop(id="1"),), mode="night")}
    for zone, where, product in (
        ("Asia/Shanghai", Where(), "own"),
        ("Europe/London", Where(), "early"),
        ("Asia/Shanghai", Where(line="n1", stop="1"), "night"),
    ):
        tariff = msgspec.structs.replace(TARIFF, time_zone=zone, lines=lines)
        cards = Cards(purse=msgspec.structs.replace(PURSE, products=(early, night, OWN_USE)))
        outcome = judge(case(parameters=parameters(tariff=tariff, cards=cards), where=where))
        assert outcome.charge is not None and outcome.charge.product == product, zone
        assert outcome.where == where


def test_both_amounts_are_told() -> None:
    """What was left from before, and this ride."""
    outcome = judge(case(credential=purse(trip(terminal=ELSEWHERE))))
    show = next(act for act in outcome.acts if isinstance(act, Show))
    assert show.reason is Reason.SETTLED_BY_CARD
    assert (show.values["owed"], show.values["fare"]) == (yuan(600), yuan(160))


def paid(**changes: Any) -> History:
    """The same card's use, ten seconds ago."""
    return History(same_party=(use(**({"at_ms": NOW_MS - 10_000} | changes)),))


def boarded(state: UseState, seconds_ago: int = 40) -> History:
    """The same card's boarding."""
    return paid(fare_type="board", amount_fen=0, state=state, at_ms=NOW_MS - 1000 * seconds_ago)


@pytest.mark.parametrize(
    ("sentence", "changes", "reason"),
    [
        ("a purse pays", {}, Reason.PAID_BY_CARD),
        ("an unsure clock", {"at": instant(uncertainty_ms=60_001)}, Reason.CLOCK_UNSURE),
        ("no rules for purses", {"parameters": parameters()}, Reason.NOT_ACCEPTED_HERE),
        ("no product here", {"service": "loan"}, Reason.NOT_ACCEPTED_HERE),
        (
            "a concession of the purse's own",
            {"parameters": rules(products=(msgspec.structs.replace(OWN_USE, reason=Reason.CONCESSION),))},
            Reason.CONCESSION,
        ),
        ("somebody still walks", {"lane_busy": True}, Reason.GATE_BUSY),
        (
            "paid, nobody walked, and somebody else still walks",
            {"history": paid(passage=SENSOR, state=UseState.ANNULLED), "passage": SENSOR, "lane_busy": True},
            Reason.GATE_BUSY,
        ),
        (
            "its own grant is the open one",
            {
                "history": paid(passage=SENSOR, state=UseState.RESERVED),
                "passage": SENSOR,
                "lane_busy": True,
                "lane_open": use().name,
            },
            Reason.ALREADY_PAID,
        ),
        ("the same card again, for a companion", {"history": paid()}, Reason.PAID_BY_CARD),
        (
            "own use only: did it work?",
            {"history": paid(), "parameters": rules(products=(OWN_USE,))},
            Reason.ALREADY_PAID,
        ),
        (
            "own use only, later: too soon",
            {"history": paid(at_ms=NOW_MS - 61_000), "parameters": rules(products=(OWN_USE,))},
            Reason.TOO_SOON,
        ),
        (
            "own use only, on the way back: a new ride",
            {
                "history": paid(at_ms=NOW_MS - 61_000),
                "parameters": rules(products=(OWN_USE,)),
                "where": Where(vehicle="bus-1", run=NOW_MS - 30_000),
            },
            Reason.PAID_BY_CARD,
        ),
        (
            "and a minute has not gone by: did it work?",
            {
                "history": paid(),
                "parameters": rules(products=(OWN_USE,)),
                "where": Where(vehicle="bus-1", run=NOW_MS - 5_000),
            },
            Reason.ALREADY_PAID,
        ),
        (
            "companions used up",
            {"history": History(same_party=(use(at_ms=NOW_MS - 61_000),) * 4)},
            Reason.COMPANIONS_USED,
        ),
        (
            "paid before this run: its holder may not have heard",
            {"history": paid(), "place": CardPlace(began_ms=NOW_MS - 5_000)},
            Reason.ALREADY_PAID,
        ),
        (
            "boarded a moment ago: did it work?",
            {"history": paid(), "place": BOTH, "credential": purse(trip())},
            Reason.ALREADY_PAID,
        ),
        (
            "boarded before, and wants to get off",
            {"history": boarded(UseState.COMMITTED), "place": EXIT, "credential": purse(trip())},
            Reason.ALIGHTED_BY_CARD,
        ),
        (
            "boarded, whether they walked nobody knows, and wants to get off",
            {"history": boarded(UseState.UNKNOWN), "place": EXIT, "credential": purse(trip())},
            Reason.ALIGHTED_BY_CARD,
        ),
        (
            "the driver took the boarding back, and they ride on",
            {"history": boarded(UseState.ANNULLED, 600), "place": BOTH, "credential": purse(trip())},
            Reason.ALIGHTED_BY_CARD,
        ),
        (
            "boarded, nobody walked, and comes to the entry again",
            {"history": boarded(UseState.ANNULLED, 600), "place": ENTRY, "credential": purse(trip())},
            Reason.ALREADY_PAID,
        ),
        (
            "alighted, and asks at the exit",
            {"history": paid(fare_type="alight"), "place": EXIT},
            Reason.ALREADY_PAID,
        ),
        (
            "paid, and nobody walked",
            {"history": paid(passage=SENSOR, state=UseState.ANNULLED), "passage": SENSOR},
            Reason.ALREADY_PAID,
        ),
        (
            "paid, and nobody knows",
            {"history": paid(passage=SENSOR, state=UseState.UNKNOWN), "passage": SENSOR},
            Reason.ALREADY_PAID,
        ),
        (
            "paid, and still waiting here",
            {"history": paid(passage=SENSOR, state=UseState.RESERVED), "passage": SENSOR},
            Reason.ALREADY_PAID,
        ),
        (
            "paid at the other gate",
            {"history": paid(passage=SENSOR, state=UseState.RESERVED, lane="rear"), "passage": SENSOR},
            Reason.TOO_SOON,
        ),
        (
            "being written this moment",
            {"history": paid(passage=SENSOR, state=UseState.RESERVED, name=None), "passage": SENSOR},
            Reason.GATE_BUSY,
        ),
        (
            "annulled long ago",
            {"history": paid(passage=SENSOR, state=UseState.ANNULLED, at_ms=NOW_MS - 3_600_000), "passage": SENSOR},
            Reason.PAID_BY_CARD,
        ),
        (
            "walked, at a gate",
            {"history": paid(passage=SENSOR, state=UseState.COMMITTED), "passage": SENSOR},
            Reason.PAID_BY_CARD,
        ),
        (
            "another medium of the account",
            {"history": paid(who="birch", passage=SENSOR, state=UseState.ANNULLED), "passage": SENSOR},
            Reason.PAID_BY_CARD,
        ),
    ],
)
def test_reasons(sentence: str, changes: dict[str, object], reason: Reason) -> None:
    """Each row a sentence."""
    assert judge(case(**changes)).decision.reason is reason, sentence


@pytest.mark.parametrize(
    ("sentence", "scopes", "reason"),
    [
        ("the identity is blocked: the purse is bearer money", (BlockScope.IDENTITY,), Reason.PAID_BY_CARD),
        ("identity, pass and payment", (BlockScope.IDENTITY, BlockScope.PASS, BlockScope.PAYMENT), Reason.PAID_BY_CARD),
        ("the purse itself", (BlockScope.PURSE,), Reason.BLOCKED),
    ],
)
def test_blocks(sentence: str, scopes: tuple[BlockScope, ...], reason: Reason) -> None:
    """A block names what it stops."""
    row = Block(ref=ref("amber").hex(), scopes=scopes)
    outcome = judge(case(parameters=parameters(tariff=TARIFF, cards=CARDS, blocks_of={ref("amber"): (row,)})))
    assert outcome.decision.reason is reason, sentence


@pytest.mark.parametrize(
    ("sentence", "listed", "scope", "wanted", "locks"),
    [
        ("the operator does not want it", "amber", BlockScope.PURSE, False, False),
        ("the purse itself is listed", "amber", BlockScope.PURSE, True, True),
        ("only the account is", "account", BlockScope.PURSE, True, False),
    ],
)
def test_a_listed_purse_is_locked(sentence: str, listed: str, scope: BlockScope, wanted: bool, locks: bool) -> None:
    """Refused in every row; locked only by the operator's word, and for its own sake."""
    row = Block(ref=ref(listed).hex(), scopes=(scope,))
    found = msgspec.structs.replace(PURSE, lock_listed=wanted)
    outcome = judge(
        case(
            parameters=parameters(tariff=TARIFF, cards=Cards(purse=found), blocks_of={ref(listed): (row,)}),
            account=ref("account"),
        )
    )
    assert outcome.decision.reason is Reason.BLOCKED
    assert any(isinstance(act, LockPurse) for act in outcome.acts) is locks, sentence


@pytest.mark.parametrize(
    ("sentence", "changes", "reason"),
    [
        ("at an exit, on board", {"place": EXIT, "credential": purse(trip())}, Reason.EXIT_UNPAIRED),
        ("at an exit, and nobody knows from where", {"place": EXIT}, Reason.EXIT_UNPAIRED),
        ("at a door that is both, on board", {"place": BOTH, "credential": purse(trip())}, Reason.EXIT_UNPAIRED),
        ("at a door that is both, not on board", {"place": BOTH}, Reason.BLOCKED),
        (
            "at a door that is both, with another vehicle's trip",
            {"place": BOTH, "credential": purse(trip(terminal=ELSEWHERE))},
            Reason.BLOCKED,
        ),
        ("at an entry, on board", {"place": ENTRY, "credential": purse(trip())}, Reason.BLOCKED),
        ("a plain ride", {}, Reason.BLOCKED),
        (
            "let out a moment ago: did it work?",
            {"place": EXIT, "history": paid(fare_type="alight", amount_fen=0, passage=SENSOR, state=UseState.RESERVED)},
            Reason.ALREADY_PAID,
        ),
        ("somebody still walks out", {"place": EXIT, "lane_busy": True}, Reason.GATE_BUSY),
    ],
)
def test_a_listed_purse_keeps_nobody_in(sentence: str, changes: dict[str, object], reason: Reason) -> None:
    """Refused where one gets in. Where one gets out the way is open, and the card neither debited nor locked."""
    row = Block(ref=ref("amber").hex(), scopes=(BlockScope.PURSE,), reported_lost=False)
    cards = Cards(purse=msgspec.structs.replace(PURSE, lock_listed=True))
    known = parameters(tariff=TARIFF, cards=cards, blocks_of={ref("amber"): (row,)})
    outcome = judge(case(parameters=known, **changes))
    assert outcome.decision.reason is reason, sentence
    assert debits(outcome) == []
    assert any(isinstance(act, LockPurse) for act in outcome.acts) is (reason is Reason.BLOCKED)
    assert any(isinstance(act, OpenGate) for act in outcome.acts) is outcome.decision.granted
    if reason is Reason.EXIT_UNPAIRED:
        assert outcome.decision.verdict is Verdict.GRANT_IN_DOUBT
        assert outcome.tap is Tap.ALIGHT and outcome.charge is not None
        assert (outcome.charge.product, outcome.charge.fare_type, outcome.charge.amount_fen) == ("trip", "alight", 0)


@pytest.mark.parametrize(
    ("sentence", "balance_fen", "ridden_fen", "expected"),
    [
        ("on it, and not used today", 5000, [], (Reason.ON_THE_CARD, {"balance": yuan(5000), "fare": yuan(0)})),
        ("used twice", 4680, [160, 160], (Reason.ON_THE_CARD, {"balance": yuan(4680), "fare": yuan(320)})),
        ("it does not say", None, [160], (Reason.CHARGED_TODAY, {"fare": yuan(160), "n": "1"})),
        ("it says nothing, and was not used", None, [], (Reason.NOT_CHARGED_TODAY, {})),
    ],
)
def test_what_is_on_the_card(
    sentence: str, balance_fen: int | None, ridden_fen: list[int], expected: tuple[Reason, dict[str, str]]
) -> None:
    """Told at a panel as to the driver; nothing opens, nothing is debited."""
    asked = msgspec.structs.replace(purse(trip()), card=CardState(trip=trip(), balance_fen=balance_fen))
    ridden = History(same_party=tuple(use(at_ms=NOW_MS - 60_000, amount_fen=fen) for fen in ridden_fen))
    for outcome in (
        judge(case(credential=asked, history=ridden, service="inquiry"), "inquiry"),
        SERVICES["inquiry"](case(credential=asked, history=ridden)),
    ):
        (act,) = outcome.acts
        assert isinstance(act, Show)
        assert (outcome.decision.reason, act.values) == expected, sentence


NETWORK = Line(
    stops=(Stop(id="east", code="00010005"), Stop(id="west", code="00020007"), Stop(id="nowhere")),
    apart_m={"east>west": 4200},
)
METRES = FareTable(measure=Measure.METRES, bands=(Band(up_to=4000, fare_fen=200), Band(up_to=9000, fare_fen=400)))


@pytest.mark.parametrize(
    ("sentence", "fare", "one", "other", "fen"),
    [
        ("by stages of one line", "trip", "00070001", "00070002", 200),
        ("there and back costs the same", "trip", "00070003", "00070001", 300),
        ("in at a station and out again", "trip", "00070002", "00070002", 100),
        ("a network's stations stand on lines of their own", "metro", "00010005", "00020007", 400),
        ("no line has this station", "trip", "00070001", "00070009", 600),
        ("nor this one", "trip", "00070009", "00070001", 600),
        ("they share no line", "trip", "00070001", "00010005", 600),
        ("a stop without a name for cards is none", "trip", "00070001", "", 600),
        ("no fare is named", "", "00070001", "00070002", 600),
    ],
)
def test_a_trip_costs_what_the_tariff_says(sentence: str, fare: str, one: str, other: str, fen: int) -> None:
    """From where the card began to here; what nobody wrote down is the maximum."""
    tariff = msgspec.structs.replace(
        TARIFF, fares=TARIFF.fares | {"metro": METRES}, lines=TARIFF.lines | {"network": NETWORK}
    )
    trips = TripFares(fare=fare, max_fare_fen=600)
    there = CardPlace(stage=Stage.BOTH, line=other[:4], station=other[4:])
    tapped = case(
        parameters=parameters(tariff=tariff, cards=Cards(purse=msgspec.structs.replace(PURSE, trips=trips))),
        credential=purse(trip(line=one[:4], station=one[4:])),
        place=there,
    )
    assert debits(judge(tapped)) == [(DebitKind.ALIGHT, fen)], sentence


@pytest.mark.parametrize(
    ("sentence", "where", "expected"),
    [
        ("at the vehicle's stop", Where(line="7", stop="2"), ("0007", "0002")),
        ("where nobody knows the stop, at the lane's own", Where(line="7"), ("0000", "0000")),
        ("nor the line", Where(), ("0000", "0000")),
        ("at a stop without a name for cards, too", Where(line="network", stop="nowhere"), ("0000", "0000")),
    ],
)
def test_where_a_card_is_held_out(sentence: str, where: Where, expected: tuple[str, str]) -> None:
    """What the card will keep of it."""
    found = stations.here(CardPlace(), where, TARIFF.lines | {"network": NETWORK})
    assert (found.line, found.station) == expected, sentence


def test_purse_rules_are_the_demo_s() -> None:
    """The table above stands on what the simulated head office writes."""
    assert isinstance(CARDS.purse, PurseRules)


# --------------------------------------------------------------------------- cards that are no purse


def held_out(assurance: Assurance, service: str = "fare", **changes: object) -> Reason:
    policies = msgspec.structs.replace(parameters().policies, static_cards=("admission",), weak_cards=("fare", "free"))
    products = (
        Product(id="adult", services=("fare", "admission"), fare_fen=200),
        Product(id="free", services=("free",), fare_fen=0),
    )
    card = credential(medium=Medium.CARD, assurance=assurance)
    values: dict[str, object] = {"service": service, "credential": card}
    found = parameters(*products, policies=policies)
    return SERVICES["fare"](gate_case(**(values | {"parameters": found} | changes))).decision.reason


@pytest.mark.parametrize(
    ("sentence", "assurance", "service", "reason"),
    [
        ("it proved itself", Assurance.AUTHENTICATED, "fare", Reason.PAID),
        ("it can be copied: not for a fare", Assurance.STATIC, "fare", Reason.CARD_UNPROVEN),
        ("it can be copied, and the site takes it here", Assurance.STATIC, "admission", Reason.PAID),
        ("a bare number where money moves", Assurance.WEAK, "fare", Reason.CARD_UNPROVEN),
        ("a bare number where none does", Assurance.WEAK, "free", Reason.PAID),
        ("a bare number elsewhere", Assurance.WEAK, "admission", Reason.CARD_UNPROVEN),
    ],
)
def test_assurance(sentence: str, assurance: Assurance, service: str, reason: Reason) -> None:
    """The site's policy says which services take what."""
    assert held_out(assurance, service) is reason, sentence


def test_the_same_card_on_the_same_vehicle() -> None:
    """A question, unless companions may ride on it; later it is a new ride."""
    card = credential(medium=Medium.CARD)
    ridden = History(same_party=(use(at_ms=NOW_MS - 10_000),))
    single = Product(id="adult", services=("fare",), fare_fen=200, pass_back=PassBack(window_s=30))
    several = msgspec.structs.replace(single, pass_back=PassBack(window_s=600, companions=2))
    for product, reason in ((single, Reason.ALREADY_PAID), (several, Reason.PAID)):
        judged = gate_case(credential=card, history=ridden, parameters=parameters(product))
        assert judge(judged).decision.reason is reason
    walked = History(same_party=(use(at_ms=NOW_MS - 10_000, passage=SENSOR),))
    judged = gate_case(credential=card, history=walked, passage=SENSOR, parameters=parameters(single))
    assert judge(judged).decision.reason is Reason.TOO_SOON


@pytest.mark.parametrize(
    ("sentence", "place", "held_out", "reason"),
    [
        ("an exit, with a trip", EXIT, purse(trip()), Reason.ALIGHTED_BY_CARD),
        ("an exit, without one", EXIT, purse(), Reason.ALIGHTED_BY_CARD),
        ("a door that is both, with a trip", BOTH, purse(trip()), Reason.ALIGHTED_BY_CARD),
        (
            "a door that is both, with a trip of elsewhere",
            BOTH,
            purse(trip(terminal=ELSEWHERE)),
            Reason.NOT_ACCEPTED_HERE,
        ),
        ("a door that is both, without a trip", BOTH, purse(), Reason.NOT_ACCEPTED_HERE),
        ("an entry", ENTRY, purse(), Reason.NOT_ACCEPTED_HERE),
        ("a plain ride", CardPlace(), purse(), Reason.NOT_ACCEPTED_HERE),
    ],
)
def test_hours_that_ended_on_the_way_keep_nobody_in(
    sentence: str, place: CardPlace, held_out: Credential, reason: Reason
) -> None:
    """Until ten in the morning purses are taken; whoever boarded before gets off after."""
    early = msgspec.structs.replace(OWN_USE, when=(Hours(start="00:00", end="10:00"),))
    outcome = judge(case(place=place, credential=held_out, parameters=rules(products=(early,))))
    assert outcome.decision.reason is reason, sentence
