"""The projection is the fold: what a table holds, a second way of counting finds too."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from terminal.core import ledger, projection
from terminal.core.debit import DebitMade, DebitProof, DebitState
from terminal.core.entries import (
    BoardedFree,
    DebitSettled,
    Decided,
    EmergencyOrdered,
    Entry,
    Fact,
    GateReported,
    LatePassage,
    Moved,
    PassageUnknown,
    SignedOff,
    SignedOn,
    Stopped,
    Voided,
)
from terminal.core.ledger import (
    EMERGENCY,
    NOTHING,
    SHIFT,
    Added,
    DebitBegan,
    DebitEnded,
    Ledger,
    Shift,
    ShiftBegan,
    Sum,
    Where,
)
from terminal.core.loans import Circulated, Circulation, Fate, ListSettled, Replayed, ReplayTried, party_of
from terminal.core.model import EntryName, GateSignal, Reason, Ref, Use, UseState
from tests.journal_cases import DEBIT, annulled, at, decided, intended, ref, walked

EPOCH = b"epoch--1"


def entry(fact: Fact, sequence: int = 1) -> Entry:
    return Entry(terminal="T1", name=EntryName(epoch=EPOCH, sequence=sequence), previous=bytes(32), at=at(), fact=fact)


def fold(facts: list[Fact]) -> dict[EntryName, Use]:
    uses: dict[EntryName, Use] = {}
    for sequence, fact in enumerate(facts, 1):
        one = entry(fact, sequence)
        begun, change = projection.begins(one), projection.changes(one)
        if begun is not None:
            uses[one.name] = begun
        if change is not None and change.of in uses:
            uses[change.of] = projection.apply(uses[change.of], change)
    return uses


def name(sequence: int = 1) -> EntryName:
    return EntryName(epoch=EPOCH, sequence=sequence)


def after(*facts: Fact, persons: int = 1) -> tuple[UseState, int, int]:
    use = fold([decided(persons=persons), *facts])[name()]
    return use.state, use.passed, use.persons_charged


def test_what_begins_a_use() -> None:
    """Only a charged grant of a known credential does; where walking is assumed it commits at once."""
    assert projection.begins(entry(Stopped(why=""))) is None
    assert projection.begins(entry(decided(charged=False))) is None
    grant = decided()
    for missing in ("code_key", "twin_key", "medium_ref"):
        assert projection.begins(entry(_without(grant, missing))) is None
    sensed, assumed = projection.begins(entry(grant)), projection.begins(entry(decided(sensor=False)))
    assert sensed is not None and sensed.state is UseState.RESERVED
    assert assumed is not None and assumed.state is UseState.COMMITTED


def _without(grant: Decided, field: str) -> Decided:
    return msgspec.structs.replace(grant, **{field: None})


def test_what_becomes_of_it() -> None:
    """The life of one use, row by row."""
    one, late = name(), LatePassage(lane="gate", of=name(), passed=1)
    assert after() == (UseState.RESERVED, 0, 1)
    assert after(walked(one)) == (UseState.COMMITTED, 1, 1)
    assert after(annulled(one)) == (UseState.ANNULLED, 0, 0)
    assert after(annulled(one), late) == (UseState.COMMITTED, 1, 1)
    assert after(PassageUnknown(of=one)) == (UseState.UNKNOWN, 0, 1)
    assert after(walked(one, 3), annulled(one, 3), persons=5) == (UseState.ANNULLED, 3, 3)
    assert after(annulled(one, 3), LatePassage(lane="gate", of=one, passed=4), persons=5) == (UseState.ANNULLED, 4, 4)


def test_a_driver_takes_a_charge_back() -> None:
    """Voided is annulled, with nobody walked."""
    assert after(walked(name()), Voided(who="7", why="wrong key", of=name())) == (UseState.ANNULLED, 0, 0)


def test_a_shift_is_a_ledger() -> None:
    """Signing on begins one, with empty sums; free boardings are counted in it; signing off ends it."""
    where = Where(vehicle="bus-1", line="12")
    ledger: Ledger = NOTHING
    facts: list[Fact] = [BoardedFree(who="7", why="child", lane="front", where=where), SignedOn(who="7", where=where)]
    facts += [BoardedFree(who="7", why="child", lane="front", where=where)] * 2
    for sequence, fact in enumerate(facts, 1):
        one = entry(fact, sequence)
        for effect in projection.effects(one):
            assert effect.party == SHIFT
            ledger = projection.ledger_after(ledger, effect, one)
    assert ledger.shift == Shift(who="7", at_ms=at().utc_ms, where=where, of=name(2))
    assert ledger.sums == (Sum(id=projection.FREE, window=0, count=2),)
    elsewhere = Where(vehicle="bus-1", line="12", stop="s4")
    one = entry(Moved(who="7", where=elsewhere), 9)
    (moved,) = projection.effects(one)
    assert projection.ledger_after(ledger, moved, one).shift == Shift(
        who="7", at_ms=at().utc_ms, where=elsewhere, of=name(2)
    )
    assert projection.ledger_after(NOTHING, moved, one) == NOTHING
    assert projection.effects(entry(SignedOff(who="7"))) == (ShiftBegan(who=""),)
    assert projection.effects(entry(Stopped(why=""))) == ()


def test_an_emergency_is_remembered_by_when_it_was() -> None:
    """A person's order, and a fire panel's signal; nothing else a gate reports."""
    facts: list[Fact] = [EmergencyOrdered(who="7", on=True, why="smoke")]
    facts += [GateReported(lane="gate", signal=one) for one in (GateSignal.EMERGENCY_ON, GateSignal.EMERGENCY_OFF)]
    for fact in facts:
        (effect,) = projection.effects(entry(fact))
        assert effect.party == EMERGENCY
        ledger = projection.ledger_after(NOTHING, effect, entry(fact))
        assert [one.last_ms for one in ledger.anchors] == [at().utc_ms]
    assert projection.effects(entry(GateReported(lane="gate", signal=GateSignal.REVERSE))) == ()


def test_what_stands_for_fewer_people_counts_for_fewer() -> None:
    """A use that changes without changing who is charged changes no ledger."""
    grant = entry(msgspec.structs.replace(decided(persons=5), effects=(FIVE,)))
    before = projection.begins(grant)
    assert before is not None
    ledger = projection.ledger_after(NOTHING, FIVE, grant)
    walking = projection.apply(before, projection.UseChange(of=name(), passed=3))
    assert projection.ledger_corrected(ledger, FIVE, grant, before, walking) is ledger
    gone = projection.apply(walking, projection.UseChange(of=name(), passed=3, state=UseState.ANNULLED))
    corrected = projection.ledger_corrected(ledger, FIVE, grant, walking, gone)
    assert corrected.sums == (Sum(id="day", window=3, fen=600, count=3),)


FIVE = Added(party=ref("medium anna"), id="day", window=3, fen=1000, count=5)


@given(st.lists(st.sampled_from(["walk", "annul"]), max_size=12), st.integers(1, 5))
def test_charge_follows_walking(steps: list[str], persons: int) -> None:
    """Whatever happens in whatever order: charged is who walked after an annul, everybody before it."""
    facts: list[Fact] = []
    passed, ended = 0, False
    for step in steps:
        if step == "walk" and passed < persons:
            passed += 1
            facts.append(LatePassage(lane="gate", of=name(), passed=passed) if ended else walked(name(), passed))
        elif step == "annul" and not ended and passed < persons:
            ended = True
            facts.append(annulled(name(), passed))
    state, counted, charged = after(*facts, persons=persons)
    assert counted == passed
    assert charged == (passed if ended else persons)
    assert (state is UseState.COMMITTED) == (passed == persons)


def test_debits_are_effects() -> None:
    """An intention begins one; a grant that stands on it, or what is learnt of it, ends it."""
    medium = ref("medium anna")
    assert projection.effects(entry(intended())) == (DebitBegan(party=medium, debit=DEBIT),)
    settled = DebitSettled(lane="gate", of=name(), medium_ref=medium, state=DebitState.UNKNOWN, why="card left")
    ended = DebitEnded(party=medium, of=name(), state=DebitState.UNKNOWN)
    assert projection.effects(entry(settled)) == (ended,)
    grant = msgspec.structs.replace(decided(), debit=DebitMade(of=name(), proof=DebitProof(how="answer")))
    done = DebitEnded(party=medium, of=name(), state=DebitState.DONE, granted=True)
    assert projection.effects(entry(grant)) == (done,)


def test_what_is_learnt_later_is_owed_only_where_it_is_proven() -> None:
    """Nobody passes for a card's own word; whoever was debited and could not be written down does."""
    medium = ref("medium anna")
    settled = DebitSettled(lane="gate", of=name(), medium_ref=medium, state=DebitState.UNKNOWN, why="card left")
    for how, holds, why, owes_nobody in (
        ("prove", True, "prove", False),  # the module found it right: its card passes once
        ("prove", None, "prove", True),  # a card's own word
        ("log", None, "log", True),
        ("answer", None, "full", False),  # the module could not say at the debit, and the disk was full
        ("earlier", None, "full", False),  # owed before, and the disk was full
        ("answer", True, "opened", True),  # the site's policy opened on a full disk
    ):
        done = msgspec.structs.replace(settled, state=DebitState.DONE, why=why, proof=DebitProof(how=how, holds=holds))
        (learnt,) = projection.effects(entry(done))
        assert isinstance(learnt, DebitEnded) and learnt.granted is owes_nobody, (how, holds, why)
        assert learnt.proven is (holds is True)
    bare = msgspec.structs.replace(settled, state=DebitState.DONE)
    (learnt,) = projection.effects(entry(bare))
    assert isinstance(learnt, DebitEnded) and learnt.granted


def test_what_a_kiosk_still_has_to_tell() -> None:
    """A record waits under a party of its own until it was told, or settled by a librarian; others are not touched."""
    loan = Circulated(lane="desk", what=Circulation.LENT, reason=Reason.BORROWED_OFFLINE, waits=True, due_ms=5)
    online = Circulated(lane="desk", what=Circulation.LENT, reason=Reason.BORROWED)
    undone = Circulated(lane="desk", what=Circulation.UNDONE, reason=Reason.BORROWED, of=name(1), cancels=True)
    facts: list[Fact] = [
        loan,
        online,
        loan,
        loan,
        ReplayTried(of=name(3), due="D"),
        Replayed(of=name(4), fate=Fate.LISTED, reason=Reason.LOAN_REFUSED, sealed=b"no"),
        undone,
        Replayed(of=name(9), fate=Fate.DONE, reason=Reason.BORROWED),
    ]
    ledgers = ledgers_of(facts)
    tried, listed = ledger.waiting(ledgers)
    assert (tried.of, tried.tried_ms, tried.tried_due, tried.due_ms) == (name(3), at().utc_ms, "D", 5)
    assert (listed.of, listed.listed, listed.words) == (name(4), Reason.LOAN_REFUSED, b"no")
    assert not ledger.may_forget(ledgers[party_of(name(3))], 0, 1 << 60)
    assert ledger.may_forget(ledgers[party_of(name(1))], 0, 1 << 60)
    more = ledgers_of([*facts, ListSettled(who="7", of=name(4), why="lent at the desk")])
    assert [one.of for one in ledger.waiting(more)] == [name(3)]


def ledgers_of(facts: list[Fact]) -> dict[Ref, Ledger]:
    """What all parties come to after these entries."""
    found: dict[Ref, Ledger] = {}
    for sequence, fact in enumerate(facts, 1):
        one = entry(fact, sequence)
        for effect in projection.effects(one):
            found[effect.party] = projection.ledger_after(found.get(effect.party, NOTHING), effect, one)
    return found
