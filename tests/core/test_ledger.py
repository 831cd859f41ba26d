"""What a party's ledger comes to: each effect, its undoing, and what may be forgotten."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal.core import ledger
from terminal.core.debit import DebitState, PurseDebit
from terminal.core.ledger import (
    MEMORY_MS,
    Added,
    Alighted,
    Anchor,
    Anchored,
    Boarded,
    DebitBegan,
    DebitEnded,
    Effect,
    Ledger,
    Moment,
    Owed,
    Shift,
    ShiftBegan,
    Sum,
    Trip,
    Where,
)
from terminal.core.model import EntryName
from tests.core.cases import NOW_MS, ref

PARTY = ref("amber")
HERE = Where(vehicle="bus-1", line="12", stop="s3")
MOMENT = Moment(at_ms=NOW_MS, where=HERE, of=EntryName(epoch=b"epoch--1", sequence=4))
TRIP = Trip(at_ms=NOW_MS, where=HERE, product="adult", of=MOMENT.of)
ANCHOR = Anchor(id="hour", first_ms=NOW_MS, last_ms=NOW_MS)


def added(fen: int = 200, window: int = 10, count: int = 1, sum_id: str = "day") -> Added:
    return Added(party=PARTY, id=sum_id, window=window, fen=fen, count=count)


@pytest.mark.parametrize(
    ("sentence", "effects", "expected"),
    [
        ("nothing happened", [], Ledger()),
        ("a fare adds up", [added()], Ledger(sums=(Sum(id="day", window=10, fen=200, count=1),))),
        ("two fares add up", [added(), added(50)], Ledger(sums=(Sum(id="day", window=10, fen=250, count=2),))),
        (
            "a newer window begins anew",
            [added(), added(70, 11)],
            Ledger(sums=(Sum(id="day", window=11, fen=70, count=1),)),
        ),
        (
            "an older window comes too late",
            [added(70, 11), added()],
            Ledger(sums=(Sum(id="day", window=11, fen=70, count=1),)),
        ),
        (
            "other sums stay apart",
            [added(), added(sum_id="week")],
            Ledger(sums=(Sum(id="day", window=10, fen=200, count=1), Sum(id="week", window=10, fen=200, count=1))),
        ),
        ("a trip is open", [Boarded(party=PARTY, product="adult")], Ledger(trip=TRIP)),
        ("and is closed", [Boarded(party=PARTY, product="adult"), Alighted(party=PARTY)], Ledger()),
        ("a transfer counts from here", [Anchored(party=PARTY, anchor=ANCHOR)], Ledger(anchors=(ANCHOR,))),
        ("of a transfer the newest is kept", [Anchored(party=PARTY, anchor=ANCHOR)] * 2, Ledger(anchors=(ANCHOR,))),
        ("a debt grows", [Owed(party=PARTY, fen=200, graces=1)], Ledger(owed_fen=200, graces=1)),
        (
            "and is settled, never below nothing",
            [Owed(party=PARTY, fen=200, graces=1), Owed(party=PARTY, fen=-300, graces=-2)],
            Ledger(),
        ),
        (
            "a driver signs on",
            [ShiftBegan(who="7")],
            Ledger(shift=Shift(who="7", at_ms=NOW_MS, where=HERE, of=MOMENT.of)),
        ),
        ("and off", [ShiftBegan(who="7"), ShiftBegan(who="")], Ledger()),
    ],
)
def test_apply(sentence: str, effects: list[Effect], expected: Ledger) -> None:
    """Row by row: what the ledger says afterwards."""
    here = ledger.NOTHING
    for effect in effects:
        here = ledger.apply(here, effect, MOMENT)
    assert here == expected, sentence


@pytest.mark.parametrize(
    ("sentence", "effect", "persons", "of", "left"),
    [
        ("a fare is taken back", added(), 1, 1, Ledger(sums=(Sum(id="day", window=10),))),
        ("two of five people", added(500, count=5), 2, 5, Ledger(sums=(Sum(id="day", window=10, fen=300, count=3),))),
        (
            "one of five came after all",
            added(500, count=5),
            -1,
            5,
            Ledger(sums=(Sum(id="day", window=10, fen=600, count=6),)),
        ),
        ("a boarding is no boarding", Boarded(party=PARTY, product="adult"), 1, 1, Ledger()),
        ("a transfer begins nowhere", Anchored(party=PARTY, anchor=ANCHOR), 1, 1, Ledger()),
        ("nobody was trusted", Owed(party=PARTY, fen=200, graces=1), 1, 1, Ledger()),
        ("an alighting stays", Alighted(party=PARTY), 1, 1, Ledger()),
    ],
)
def test_undo(sentence: str, effect: Effect, persons: int, of: int, left: Ledger) -> None:
    """What was taken back leaves no trace; what cannot be undone stays."""
    assert ledger.undo(ledger.apply(ledger.NOTHING, effect, MOMENT), effect, MOMENT, persons, of) == left, sentence


def test_a_window_of_a_clock_that_ran_ahead_does_not_stop_todays() -> None:
    """It gives way to today's, and taking its charge back touches nothing."""
    today = NOW_MS // 86_400_000 + ledger.FIRST_DAY
    ahead, now = added(900, today + 365), added(200, today)
    here = ledger.apply(ledger.apply(ledger.NOTHING, ahead, MOMENT), now, MOMENT)
    assert here.sums == (Sum(id="day", window=today, fen=200, count=1),)
    assert ledger.undo(here, ahead, MOMENT, 1, 1) == here
    week = ledger.apply(ledger.NOTHING, added(900, today + 365, sum_id="week"), MOMENT)
    assert len(ledger.apply(week, now, MOMENT).sums) == 2


def test_what_was_replaced_is_not_undone() -> None:
    """A newer trip, or a newer transfer, is not touched by taking back an older one."""
    newer = Moment(at_ms=NOW_MS + 1, where=HERE, of=EntryName(epoch=b"epoch--1", sequence=5))
    board, anchored = Boarded(party=PARTY, product="adult"), Anchored(party=PARTY, anchor=ANCHOR)
    trip = ledger.apply(ledger.NOTHING, board, newer)
    assert ledger.undo(trip, board, MOMENT, 1, 1) == trip
    later = Ledger(anchors=(Anchor(id="hour", first_ms=NOW_MS, last_ms=NOW_MS + 5),))
    assert ledger.undo(later, anchored, MOMENT, 1, 1) == later


@pytest.mark.parametrize(
    ("sentence", "effect", "expected"),
    [
        ("the fare counts again", added(), Ledger(sums=(Sum(id="day", window=10, fen=200, count=1),))),
        ("the trip is open again", Boarded(party=PARTY, product="adult"), Ledger(trip=TRIP)),
        ("the transfer counts from here", Anchored(party=PARTY, anchor=ANCHOR), Ledger(anchors=(ANCHOR,))),
        ("the debt stands", Owed(party=PARTY, fen=200, graces=1), Ledger(owed_fen=200, graces=1)),
    ],
)
def test_who_walked_after_all(sentence: str, effect: Effect, expected: Ledger) -> None:
    """The ride was taken back and then given again: all is as it was."""
    taken = ledger.undo(ledger.apply(ledger.NOTHING, effect, MOMENT), effect, MOMENT, 1, 1)
    assert ledger.undo(taken, effect, MOMENT, -1, 1) == expected, sentence


def test_who_walked_after_all_takes_no_newer_rides_place() -> None:
    """A trip that was begun meanwhile, or a transfer that counts from another ride, stays."""
    newer = Moment(at_ms=NOW_MS + 1, where=HERE, of=EntryName(epoch=b"epoch--1", sequence=5))
    board, anchored = Boarded(party=PARTY, product="adult"), Anchored(party=PARTY, anchor=ANCHOR)
    trip = ledger.apply(ledger.NOTHING, board, newer)
    assert ledger.undo(trip, board, MOMENT, -1, 1) == trip
    later = Ledger(anchors=(Anchor(id="hour", first_ms=NOW_MS + 5, last_ms=NOW_MS + 5),))
    assert ledger.undo(later, anchored, MOMENT, -1, 1) == later


def test_two_names_of_one_party() -> None:
    """Through a rotation of the link key a party stands under two names: its sums are one sum."""
    one = Ledger(sums=(Sum(id="day", window=10, fen=200, count=1),), trip=TRIP, owed_fen=5, anchors=(ANCHOR,))
    other = Ledger(sums=(Sum(id="day", window=10, fen=300, count=1),), graces=1, anchors=(ANCHOR,))
    both = ledger.merged((one, other))
    assert both.sums == (Sum(id="day", window=10, fen=500, count=2),)
    assert (both.trip, both.owed_fen, both.graces, both.anchors) == (TRIP, 5, 1, (ANCHOR,))
    assert ledger.merged(()) == ledger.NOTHING
    assert ledger.merged((one,)) is one


@pytest.mark.parametrize(
    ("sentence", "kept", "age_ms", "expected"),
    [
        ("sums of a window that is over", Ledger(sums=(Sum(id="day", window=1),)), MEMORY_MS + 1, True),
        ("a window may still run", Ledger(sums=(Sum(id="day", window=1),)), MEMORY_MS, False),
        ("an open trip", Ledger(trip=TRIP), MEMORY_MS + 1, False),
        ("a debt", Ledger(owed_fen=1), MEMORY_MS + 1, False),
        ("a driver", Ledger(shift=Shift(who="7", at_ms=1, where=HERE)), MEMORY_MS + 1, False),
    ],
)
def test_may_forget(sentence: str, kept: Ledger, age_ms: int, expected: bool) -> None:
    """Only what can say nothing any more is forgotten."""
    assert ledger.may_forget(kept, NOW_MS - age_ms, NOW_MS) is expected, sentence


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(0, 3), st.sampled_from(["day", "week"])), max_size=30))
def test_a_ledger_is_bounded_and_comes_back_from_its_bytes(rides: list[tuple[int, int, str]]) -> None:
    """However many rides: one sum an accumulation, and the same after encoding."""
    here = ledger.NOTHING
    for fen, window, sum_id in rides:
        here = ledger.apply(here, added(fen, window, sum_id=sum_id), MOMENT)
    assert len(here.sums) <= 2
    assert ledger.decode(ledger.encode(here)) == here
    for one in here.sums:
        newest = max(window for _, window, sum_id in rides if sum_id == one.id)
        late = False
        expected, seen = 0, -1
        for fen, window, sum_id in rides:
            if sum_id == one.id:
                seen = max(seen, window)
                late = window < newest or window < seen
                expected += 0 if late else fen
        assert (one.window, one.fen) == (newest, expected)


# --------------------------------------------------------------------------- debits of a purse


def test_a_debit_from_its_intention_to_what_is_known_of_it() -> None:
    """The newest one is kept; what is learnt of an earlier one does not touch it; a doubt is not forgotten."""
    first, second = EntryName(epoch=b"epoch--1", sequence=7), EntryName(epoch=b"epoch--1", sequence=9)
    kept = ledger.apply(ledger.NOTHING, DebitBegan(party=ref("amber"), debit=DEBIT), Moment(at_ms=1, of=first))
    assert kept.debit is not None and kept.debit.is_doubt
    assert not ledger.may_forget(kept, 0, 1 << 50)
    unknown = ledger.apply(kept, ended(first, DebitState.UNKNOWN), Moment(at_ms=2))
    assert unknown.debit is not None and unknown.debit.is_doubt
    done = ledger.apply(unknown, ended(first, DebitState.DONE, granted=True), Moment(at_ms=3))
    assert done.debit is not None and done.debit.granted and not done.debit.is_doubt
    assert ledger.may_forget(done, 0, 1 << 50)
    again = ledger.apply(done, DebitBegan(party=ref("amber"), debit=DEBIT), Moment(at_ms=4, of=second))
    assert ledger.apply(again, ended(first, DebitState.UNKNOWN), Moment(at_ms=5)) == again
    assert ledger.apply(ledger.NOTHING, ended(first, DebitState.DONE), Moment(at_ms=5)) == ledger.NOTHING
    assert ledger.merged([done, again]).debit == again.debit
    assert ledger.merged([ledger.NOTHING, done]).debit == done.debit
    assert ledger.decode(ledger.encode(again)) == again


DEBIT = PurseDebit(
    type=6, amount_fen=160, balance_fen=5000, counter=41, terminal=bytes(6), transaction=bytes(4), when=bytes(7),
    algorithm=0, product="purse", fare_type="flat", grants=True,
)  # fmt: skip


def ended(of: EntryName, state: DebitState, *, granted: bool = False) -> DebitEnded:
    return DebitEnded(party=ref("amber"), of=of, state=state, granted=granted)


def test_only_what_the_module_proved_raises_the_least_counter() -> None:
    """Anybody can name a card's number and a counter; the floor stays where a proof put it."""

    def told(before: Ledger, counter: int, *, proven: bool) -> Ledger:
        of, debit = EntryName(epoch=b"epoch--1", sequence=counter), msgspec.structs.replace(DEBIT, counter=counter)
        began = ledger.apply(before, DebitBegan(party=ref("anna"), debit=debit), Moment(at_ms=1, of=of))
        ended = DebitEnded(party=ref("anna"), of=of, state=DebitState.DONE, proven=proven)
        return ledger.apply(began, ended, Moment(at_ms=2))

    def floor(kept: Ledger) -> int:
        assert kept.debit is not None
        return kept.debit.floor

    named = told(ledger.NOTHING, 60_000, proven=False)
    assert floor(named) == 0
    proven = told(named, 41, proven=True)
    assert floor(proven) == 42
    assert floor(told(proven, 60_000, proven=False)) == 42
