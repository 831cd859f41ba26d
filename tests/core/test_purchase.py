"""Taking money from a purse: the whole transcript, every status word, and what became of a debit nobody heard of."""

from pathlib import Path

import msgspec
import pytest

from simulators.card import Left, SimulatedCard, Trouble, transcript
from simulators.purse import PurseApplication, PurseFiles
from simulators.purse_keys import Algorithm
from simulators.secure_module import SimulatedModule
from terminal.core import cards
from terminal.core.cards import purchase
from terminal.core.cards.apdu import Conversation
from terminal.core.cards.purchase import Begun, Made, Module, Order
from terminal.core.cards.reading import Refused
from terminal.core.cards.transit_purse import NAME, trip_of_record, trip_of_state
from terminal.core.debit import DebitKind, DebitProof, DebitState, PurseDebit
from terminal.core.model import Credential, Reason
from terminal.core.parameters import PurseRules
from tests.core.card_talk import ISSUER, PURSE, Scripted, talk, visit

WHEN = bytes.fromhex("20270115160000")
MODULE = Module(terminal=bytes.fromhex("510100000001"), serial=bytes.fromhex("00010000000000000001"))
KINDS = [DebitKind.RIDE, DebitKind.BOARD, DebitKind.ALIGHT, DebitKind.SETTLE]


def made_purse(**changes: object) -> tuple[SimulatedCard, PurseApplication]:
    purse = ISSUER.purse("amber", **changes)
    return ISSUER.card("amber", purse), purse


def order(kind: DebitKind = DebitKind.RIDE, amount_fen: int = 160, **changes: object) -> Order:
    values = {
        "kind": kind, "amount_fen": amount_fen, "when": WHEN, "public": ISSUER.purse("amber").public_file,
        "product": "purse", "fare_type": "flat", "line": "0007", "station": "0001",
    } | changes  # fmt: skip
    return Order(**values)  # type: ignore[arg-type]  # a test's shorthand


def begun(card: SimulatedCard, module: SimulatedModule | None, asked: Order, rules: PurseRules = PURSE) -> Begun:
    talk(cards.read((NAME,), card.uid, visit(rules)), card, module)
    return talk(purchase.begin(asked, rules, MODULE), card, module)


def bought(card: SimulatedCard, module: SimulatedModule, asked: Order, rules: PurseRules = PURSE) -> Made:
    return talk(purchase.commit(begun(card, module, asked, rules)), card, module)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("algorithm", list(Algorithm))
@pytest.mark.parametrize("short", [False, True])
def test_a_purchase(kind: DebitKind, algorithm: Algorithm, short: bool) -> None:
    """The card is debited, its counter moves by one, its logs and its TAC agree, and the module finds MAC2 right."""
    issuer = type(ISSUER)(algorithm=algorithm)
    purse = issuer.purse("amber")
    card = issuer.card("amber", purse, short=short)
    asked = order(kind, public=purse.public_file)
    made = bought(card, issuer.module(), asked)
    assert (made.state, made.why, made.reason) == (DebitState.DONE, "answer", None)
    assert made.proof is not None and made.proof.holds
    assert (purse.files.balance_fen, purse.files.counter) == (4840, 42)
    assert purse.files.log[0][5:9] == (160).to_bytes(4)
    trip = purse.files.trips[0] if purse.files.trips else None
    if kind is DebitKind.RIDE:
        assert trip is None
    else:
        assert trip is not None
        found = trip_of_record(trip)
        assert (found is not None) == (kind is DebitKind.BOARD)
        assert int.from_bytes(trip[21:25]) == 4840


def test_the_golden_transcript() -> None:
    """A whole composite purchase, command by command: boarding, then alighting two stops on."""
    card, _ = made_purse()
    module = ISSUER.module()
    lines: list[str] = []
    for kind, amount_fen, station in ((DebitKind.BOARD, 0, "0001"), (DebitKind.ALIGHT, 300, "0003")):
        card.power_on()
        module.commands.clear()
        module.answers.clear()
        made = bought(card, module, order(kind, amount_fen, station=station))
        assert made.state is DebitState.DONE
        lines += [f"# {kind.value}, card", *transcript(card), f"# {kind.value}, module"]
        pairs = zip(module.commands, module.answers, strict=True)
        lines += [text for command, answer in pairs for text in (f"> {command.hex()}", f"< {answer.hex()}")]
    golden = Path(__file__).parents[1] / "golden" / "composite_purchase.txt"
    assert "\n".join(lines) + "\n" == golden.read_text(encoding="utf-8")


def test_the_trip_may_be_kept_in_ef1a() -> None:
    """Boarding sets it, alighting ends it and keeps what the entry wrote."""
    rules = msgspec.structs.replace(PURSE, state_file="1a")
    card, purse = made_purse()
    module = ISSUER.module()
    assert bought(card, module, order(DebitKind.BOARD, 0), rules).state is DebitState.DONE
    trip = trip_of_state(purse.files.state)
    assert trip is not None
    assert (trip.station, trip.line, trip.at) == ("0001", "0007", WHEN.hex())
    assert trip.terminal == "0000510100000001"
    card.power_on()
    found = talk(cards.read((NAME,), card.uid, visit(rules)), card, module).claim
    assert isinstance(found, Credential) and found.card is not None and found.card.trip == trip
    leaves = order(DebitKind.ALIGHT, 300, state=found.card.state, station="0003")
    assert bought(card, module, leaves, rules).state is DebitState.DONE
    assert trip_of_state(purse.files.state) is None
    assert purse.files.state[67:74] == WHEN  # the entry's time is still there


def test_overdraft_is_not_told_as_balance() -> None:
    """A purse may go below nothing as far as its issuer lets it; people are told what is theirs."""
    card, purse = made_purse(overdraft_fen=500, files=PurseFiles(balance_fen=100))
    found = begun(card, ISSUER.module(), order(amount_fen=160))
    assert found.debit.balance_fen == 100
    card.power_on()
    assert bought(card, ISSUER.module(), order(amount_fen=160)).state is DebitState.DONE
    assert purse.files.balance_fen == -60


@pytest.mark.parametrize(
    ("sentence", "card", "asked", "rules", "reason"),
    [
        ("too little on it", made_purse(files=PurseFiles(balance_fen=159))[0], order(), PURSE, Reason.BALANCE_SHORT),
        (
            "too little to board",
            made_purse(files=PurseFiles(balance_fen=99))[0],
            order(DebitKind.BOARD, 0),
            msgspec.structs.replace(PURSE, least_balance_fen=100),
            Reason.BALANCE_SHORT,
        ),
        ("a counter below what was seen", made_purse()[0], order(counter_seen=42), PURSE, Reason.CARD_COUNTER_FELL),
        (
            "another key index",
            made_purse()[0],
            order(),
            msgspec.structs.replace(PURSE, key_index=7),
            Reason.CARD_UNREADABLE,
        ),
        ("locked since", Scripted(made_purse()[0], {2: "9303"}), order(), PURSE, Reason.PURSE_LOCKED),
        ("half an answer", Scripted(made_purse()[0], {2: "0102 9000"}), order(), PURSE, Reason.CARD_UNREADABLE),
        (
            "the trip is refused",
            Scripted(made_purse()[0], {3: "6985"}),
            order(DebitKind.BOARD),
            PURSE,
            Reason.CARD_REFUSED,
        ),
        (
            "the trip is refused without a word we know",
            Scripted(made_purse()[0], {3: "6a80"}),
            order(DebitKind.BOARD),
            PURSE,
            Reason.CARD_REFUSED,
        ),
        (
            "an algorithm the module does not know",
            Scripted(made_purse()[0], {2: "00001388 0029 000000 01 ff 00000001 9000"}),
            order(),
            PURSE,
            Reason.MODULE_UNAVAILABLE,
        ),
    ],
)
def test_nothing_is_taken(sentence: str, card: SimulatedCard, asked: Order, rules: PurseRules, reason: Reason) -> None:
    """Until DEBIT a refusal costs nobody anything."""
    with pytest.raises(Refused) as refused:
        begun(card, ISSUER.module(), asked, rules)
    assert refused.value.reason is reason, sentence


def test_a_silent_module() -> None:
    """It says who it is, or nothing is begun."""
    assert talk(purchase.identify(), None, ISSUER.module()) == MODULE
    for asked in (purchase.identify(), purchase.begin(order(), PURSE, MODULE)):
        card, _ = made_purse()
        talk(cards.read((NAME,), card.uid, visit()), card)
        with pytest.raises(Refused) as refused:
            talk(asked, card)
        assert refused.value.reason is Reason.MODULE_UNAVAILABLE


@pytest.mark.parametrize(
    ("sentence", "said", "state", "reason"),
    [
        ("a wrong MAC1", "9302", DebitState.NOT_DONE, Reason.CARD_NOT_GENUINE),
        ("not in this state", "6985", DebitState.NOT_DONE, Reason.CARD_REFUSED),
        ("too little after all", "9401", DebitState.NOT_DONE, Reason.BALANCE_SHORT),
        ("a word nobody knows", "6f00", DebitState.NOT_DONE, Reason.CARD_REFUSED),
        ("yes, without a proof", "9000", DebitState.UNKNOWN, None),
        ("no status word", "", DebitState.UNKNOWN, None),
        ("more to come for ever", "6110", DebitState.UNKNOWN, None),
        ("a proof of nothing", "0011223344556677 9000", DebitState.UNKNOWN, Reason.CARD_NOT_GENUINE),
    ],
)
def test_what_debit_may_answer(sentence: str, said: str, state: DebitState, reason: Reason | None) -> None:
    """Only 9000 with eight bytes the module finds right is money; only another status word is none."""
    card, _ = made_purse()
    module = ISSUER.module()
    made = replied(purchase.commit(begun(card, module, order())), bytes.fromhex(said), module)
    assert (made.state, made.reason) == (state, reason), sentence


def replied(conversation: Conversation[Made], said: bytes, module: SimulatedModule) -> Made:
    """What comes of one answer, as a driver hands it on, and of the module's word on it."""
    assert next(conversation).command[:4].hex() == "80540100"
    try:
        conversation.send(module.answer(conversation.send(said).command))
    except StopIteration as end:
        made: Made = end.value
        return made
    raise AssertionError("it asks for more")


# --------------------------------------------------------------------------- asked later


def torn(trouble: Trouble, kind: DebitKind = DebitKind.RIDE) -> tuple[SimulatedCard, PurseApplication, Begun]:
    """A card that left at DEBIT; it is back in the field, and selected."""
    card, purse = made_purse()
    module = ISSUER.module()
    found = begun(card, module, order(kind))
    card.troubles = {len(card.commands): trouble}
    with pytest.raises(Left):
        talk(purchase.commit(found), card, module)
    card.troubles = {}
    card.power_on()
    talk(cards.read((NAME,), card.uid, visit()), card)
    return card, purse, found


def settled(card: SimulatedCard, debit: PurseDebit, module: SimulatedModule | None, *, waits: bool = False) -> Made:
    public = ISSUER.purse("amber").public_file
    return talk(purchase.settle(debit, public, PURSE, module_waits=waits), card, module)


@pytest.mark.parametrize("kind", [DebitKind.RIDE, DebitKind.BOARD])
def test_it_was_debited_and_the_module_computes_the_same_tac(kind: DebitKind) -> None:
    """The answer was lost, not the money; another module of the operator can prove it too."""
    card, _, found = torn(Trouble.LEAVES_AFTER, kind)
    made = settled(card, found.debit, ISSUER.module())
    assert (made.state, made.why) == (DebitState.DONE, "prove")
    assert made.proof is not None and made.proof.holds and made.proof.tac is not None


def test_a_module_that_still_waits_checks_mac2() -> None:
    """The same module, asked for nothing else since."""
    card, purse = made_purse()
    module = ISSUER.module()
    found = begun(card, module, order())
    card.troubles = {len(card.commands): Trouble.LEAVES_AFTER}
    with pytest.raises(Left):
        talk(purchase.commit(found), card, module)
    card.troubles = {}
    card.power_on()
    talk(cards.read((NAME,), card.uid, visit()), card)
    module.commands.clear()
    made = settled(card, found.debit, module, waits=True)
    assert made.proof is not None and made.proof.holds
    assert [command.hex()[:4] for command in module.commands] == ["8072"]
    assert purse.files.counter == 42


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_the_tac_of_either_cipher(algorithm: Algorithm) -> None:
    """Known to the module by the algorithm INITIALIZE named."""
    issuer = type(ISSUER)(algorithm=algorithm)
    purse = issuer.purse("amber")
    card, module = issuer.card("amber", purse), issuer.module()
    found = begun(card, module, order(public=purse.public_file))
    talk(purchase.commit(found), card, module)
    made = talk(purchase.settle(found.debit, purse.public_file, PURSE, module_waits=False), card, issuer.module())
    assert made.proof is not None and made.proof.holds


def test_it_was_not_debited() -> None:
    """The command never reached it: no proof, nothing in its log, and its counter did not move."""
    card, purse, found = torn(Trouble.LEAVES_BEFORE)
    assert settled(card, found.debit, ISSUER.module()) == Made(state=DebitState.NOT_DONE, why="counter")
    assert purse.files.balance_fen == 5000


def test_a_counter_at_its_end() -> None:
    """A card that came so far is refused; an entry that names one is asked about all the same."""
    card, purse, found = torn(Trouble.LEAVES_BEFORE)
    last = msgspec.structs.replace(found.debit, counter=0xFFFF)
    assert settled(card, last, ISSUER.module()) == Made(state=DebitState.UNKNOWN, why="counter")
    purse.files.counter = 0xFFFF
    card.power_on()
    with pytest.raises(Refused) as refused:
        begun(card, ISSUER.module(), order())
    assert refused.value.reason is Reason.CARD_REFUSED


def test_it_was_debited_and_used_elsewhere_since() -> None:
    """The proof is gone, the log still knows it: told, and not opened for."""
    card, _, found = torn(Trouble.LEAVES_AFTER)
    elsewhere(card)
    made = settled(card, found.debit, ISSUER.module())
    assert (made.state, made.why, made.proof) == (DebitState.DONE, "log", DebitProof(how="log"))


def elsewhere(card: SimulatedCard, times: int = 1, terminal: str = "510100000009") -> None:
    """Another operator's vehicle takes ten fen, so many times."""
    other = Module(terminal=bytes.fromhex(terminal), serial=MODULE.serial)
    for _ in range(times):
        card.power_on()
        module = ISSUER.module(terminal)
        talk(cards.read((NAME,), card.uid, visit()), card)
        found = talk(purchase.begin(order(amount_fen=10), PURSE, other), card, module)
        assert talk(purchase.commit(found), card, module).state is DebitState.DONE


def test_somebody_else_took_its_counter() -> None:
    """It was not debited here; the counter this debit would have had went to another vehicle."""
    card, _, found = torn(Trouble.LEAVES_BEFORE)
    elsewhere(card)
    assert settled(card, found.debit, ISSUER.module()) == Made(state=DebitState.NOT_DONE, why="prove")


def test_too_long_ago_to_know() -> None:
    """Its log has forgotten, its counter has moved on: nobody can say."""
    card, _, found = torn(Trouble.LEAVES_AFTER)
    elsewhere(card, 11)
    assert settled(card, found.debit, ISSUER.module()) == Made(state=DebitState.UNKNOWN, why="counter")


def test_a_fake_card_that_says_it_was_debited() -> None:
    """Anybody can build a card that answers; its TAC is not what the module computes."""
    card, _, found = torn(Trouble.LEAVES_BEFORE)
    log = "002a000000000000a006510100000001" + WHEN.hex()
    fake = Scripted(card, {0: "00" * 8 + "9000", 1: log + "9000"})
    fake.power_on()
    fake._selected = card.applications[0]
    made = settled(fake, found.debit, ISSUER.module())
    assert (made.state, made.reason) == (DebitState.UNKNOWN, Reason.CARD_NOT_GENUINE)


def test_without_a_module_it_is_told_and_not_proven() -> None:
    """The card's word alone."""
    card, _, found = torn(Trouble.LEAVES_AFTER)
    made = settled(card, found.debit, None)
    assert made.state is DebitState.DONE
    assert made.proof is not None and made.proof.holds is None
