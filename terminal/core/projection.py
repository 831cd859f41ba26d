"""The fold from entries to uses and ledgers: what the projection tables hold, entry by entry.

Laws of this file:
- A charged grant begins a use; walking, annulling, voiding and not knowing change it; nothing else does.
- An effect of a decision changes one ledger; so does a driver who signs on. Whatever changes for how many people a
  charge stands changes its ledgers in the same step.
- The fold is pure: the table can be rebuilt from the entries, and a test compares the two.
"""

import msgspec

from terminal.core import ledger
from terminal.core.debit import OPENED, DebitState
from terminal.core.entries import (
    BoardedFree,
    DebitIntended,
    DebitSettled,
    Decided,
    EmergencyOrdered,
    Entry,
    GateReported,
    LatePassage,
    Moved,
    PassageAnnulled,
    PassageUnknown,
    Passed,
    SignedOff,
    SignedOn,
    Voided,
)
from terminal.core.ledger import (
    EMERGENCY,
    SHIFT,
    Added,
    Anchor,
    Anchored,
    DebitBegan,
    DebitEnded,
    Effect,
    Ledger,
    Moment,
    ShiftBegan,
    ShiftMoved,
    Where,
)
from terminal.core.loans import (
    Circulated,
    Fate,
    ListSettled,
    Replayed,
    ReplayTried,
    Told,
    Tried,
    Waits,
    party_of,
    waiting_of,
)
from terminal.core.model import EntryName, GateSignal, PassageMode, Ref, Use, UseState, Value


class UseChange(Value, frozen=True):
    """What becomes of an earlier use. None leaves a column as it is."""

    of: EntryName
    passed: int | None = None
    state: UseState | None = None


def begins(entry: Entry) -> Use | None:
    """The use a charged grant begins, or None."""
    fact = entry.fact
    if not isinstance(fact, Decided) or fact.charge is None:
        return None
    if fact.code_key is None or fact.twin_key is None or fact.medium_ref is None:
        return None
    return Use(
        name=entry.name,
        lane=fact.lane,
        at_ms=entry.at.utc_ms,
        code_key=fact.code_key,
        twin_key=fact.twin_key,
        medium=fact.medium_ref,
        account=fact.account_ref,
        product=fact.charge.product,
        fare_type=fact.charge.fare_type,
        amount_fen=fact.charge.amount_fen,
        passage=fact.passage,
        state=UseState.COMMITTED if fact.passage is PassageMode.ASSUMED else UseState.RESERVED,
        persons=fact.persons,
    )


def keys(use: Use) -> set[Ref]:
    """What a use is found by."""
    return {key for key in (use.code_key, use.twin_key, use.medium, use.account) if key is not None}


def changes(entry: Entry) -> UseChange | None:
    """What this entry changes of an earlier use, or None."""
    if isinstance(entry.fact, Decided):  # nearly all are
        return None
    match entry.fact:
        case Passed(of=of, passed=passed):
            return UseChange(of=of, passed=passed)
        case PassageAnnulled(of=of, passed=passed):
            return UseChange(of=of, passed=passed, state=UseState.ANNULLED)
        case Voided(of=of):
            return UseChange(of=of, passed=0, state=UseState.ANNULLED)
        case LatePassage(of=of, passed=passed):
            return UseChange(of=of, passed=passed)
        case PassageUnknown(of=of):
            return UseChange(of=of, state=UseState.UNKNOWN)
        case _:
            return None


def apply(use: Use, change: UseChange) -> Use:
    """The use after a change: complete once everybody walked, whatever came between."""
    passed = use.passed if change.passed is None else change.passed
    state = use.state if change.state is None else change.state
    if passed >= use.persons:
        state = UseState.COMMITTED
    left = use.persons - passed if state is UseState.ANNULLED else 0
    return msgspec.structs.replace(use, passed=passed, state=state, annulled_persons=left)


# --------------------------------------------------------------------------- ledgers


def effects(entry: Entry) -> tuple[Effect, ...]:
    """What an entry changes in ledgers."""
    match entry.fact:
        case Decided(debit=made, medium_ref=medium, effects=found) if made is not None and medium is not None:
            proven = made.proof.holds is True
            return (*found, DebitEnded(party=medium, of=made.of, state=DebitState.DONE, granted=True, proven=proven))
        case Decided(effects=found):
            return found
        case DebitIntended(medium_ref=medium, debit=debit):
            return (DebitBegan(party=medium, debit=debit),)
        case DebitSettled():
            return (_learnt(entry.fact),)
        case SignedOn(who=who):
            return (ShiftBegan(who=who),)
        case SignedOff():
            return (ShiftBegan(who=""),)
        case Moved():
            return (ShiftMoved(),)
        case EmergencyOrdered() | GateReported(signal=GateSignal.EMERGENCY_ON | GateSignal.EMERGENCY_OFF):
            return (Anchored(party=EMERGENCY, anchor=_emergency(entry)),)
        case BoardedFree(persons=persons):
            return (Added(party=SHIFT, id=FREE, window=0, count=persons),)
        case _:
            return _circulation(entry)


def _circulation(entry: Entry) -> tuple[Effect, ...]:
    """What is still to be told to a library system, each record under a party of its own."""
    match entry.fact:
        case Circulated(cancels=cancels, waits=waits, of=of) as fact:
            cancelled = (Told(party=party_of(of)),) if cancels and of is not None else ()
            begun = Waits(party=party_of(entry.name), waiting=waiting_of(entry.name, entry.at.utc_ms, fact))
            return (*cancelled, *((begun,) if waits else ()))
        case ReplayTried(of=of, due=due):
            return (Tried(party=party_of(of), due=due),)
        case Replayed(of=of, fate=Fate.LISTED, reason=reason, sealed=words):
            return (Told(party=party_of(of), listed=reason, words=words),)
        case Replayed(of=of) | ListSettled(of=of):
            return (Told(party=party_of(of)),)
        case _:
            return ()


def ledger_after(before: Ledger, effect: Effect, entry: Entry) -> Ledger:
    """A party's ledger after one effect of an entry."""
    if isinstance(effect, ShiftBegan):
        before = ledger.NOTHING  # a new shift begins with empty sums
    return ledger.apply(before, effect, _moment(entry))


def ledger_corrected(before: Ledger, effect: Effect, grant: Entry, use: Use, corrected: Use) -> Ledger:
    """A party's ledger after the use this effect came with stands for fewer people, or for more again."""
    gone = use.persons_charged - corrected.persons_charged
    return ledger.undo(before, effect, _moment(grant), gone, use.persons) if gone else before


def _learnt(fact: DebitSettled) -> DebitEnded:
    done, proof = fact.state is DebitState.DONE, fact.proof
    owed = proof is not None and proof.is_owed and fact.why != OPENED
    proven = done and proof is not None and proof.holds is True
    return DebitEnded(party=fact.medium_ref, of=fact.of, state=fact.state, granted=done and not owed, proven=proven)


def _emergency(entry: Entry) -> Anchor:
    """When it was told of last; `line` says that a person's order lasts, whatever a fire panel tells of its own."""
    ordered = isinstance(entry.fact, EmergencyOrdered)
    lasts = isinstance(entry.fact, EmergencyOrdered) and entry.fact.on
    return Anchor(
        id="emergency" if ordered else "panel",
        first_ms=entry.at.utc_ms,
        last_ms=entry.at.utc_ms,
        line=LASTS if lasts else "",
    )


LASTS = "lasts"  # an emergency a person ordered and nobody ended
FREE = "free"  # the sum of free boardings in a shift's ledger


def _moment(entry: Entry) -> Moment:
    where = entry.fact.where if isinstance(entry.fact, Decided | SignedOn | Moved) else Where()
    return Moment(at_ms=entry.at.utc_ms, where=where, of=entry.name)
