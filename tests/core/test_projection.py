"""The projection is the fold: what a table holds, a second way of counting finds too."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from terminal.core import projection
from terminal.core.entries import Decided, Entry, Fact, LatePassage, PassageUnknown, Stopped
from terminal.core.model import EntryName, Use, UseState
from tests.journal_cases import annulled, at, decided, walked

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
