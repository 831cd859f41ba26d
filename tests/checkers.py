"""What must hold of every day, whatever happened on it. Pure functions over what was recorded.

Laws of this file:
- A checker reads the record and nothing else; each sentence it yields is one violation.
- Nothing of the terminal's own folding, history or rules is used: a shared mistake would hide.
- A presentation is judged at the moment its payload is read, so what was known then is what was recorded before it.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from terminal.core.entries import (
    NO_HASH,
    BoardedFree,
    ContentKey,
    Decided,
    Entry,
    EpochBegan,
    Fact,
    LatePassage,
    ParametersChanged,
    PassageAnnulled,
    PassageUnknown,
    Passed,
    Reissued,
    Voided,
)
from terminal.core.model import EntryName, GateSignal, Instant, PassageMode, Reason, Ref, Tap, UseState, Verdict
from tests import bookings, loans, money, trips
from tests.days.record import Booted, Committed, Died, Drafted, Opened, Read, Recorded, Signalled, Walked

GRANTED = (Verdict.GRANT, Verdict.GRANT_IN_DOUBT)
ORDER_NS = 5_000_000_000  # an order to open is given so soon behind its grant at most
HEARD_MS = 5_000  # what a board saw so long before the terminal died may be lost with it

Checker = Callable[["Day"], Iterator[str]]


@dataclass
class Ride:
    """One charged grant and what became of it."""

    fact: Decided
    name: EntryName
    read: int  # where in the record it was judged
    written: int  # where it became durable
    states: list[tuple[int, UseState]] = field(default_factory=list)
    passed: int = 0
    left: int = 0  # people outside when it was annulled
    standing: int = 0  # people the charge stands for

    def state_at(self, where: int) -> UseState:
        """Its state as far as it was durable there."""
        begun = UseState.COMMITTED if self.fact.passage is PassageMode.ASSUMED else UseState.RESERVED
        return next((state for since, state in reversed(self.states) if since < where), begun)

    def is_of(self, fact: Decided) -> bool:
        """Whether this is the same code, or its twin."""
        return fact.code_key == self.fact.code_key or fact.twin_key == self.fact.twin_key


@dataclass
class Decision:
    """One written decision."""

    fact: Decided
    name: EntryName
    at: Instant
    read: int
    written: int


class Day:
    """A record with its index: who was judged where, and what became of every ride."""

    def __init__(self, recorded: Recorded) -> None:
        self.recorded = recorded
        self.log = recorded.log
        self.reads: dict[tuple[str, int], int] = {}
        self.decisions: dict[tuple[str, int], Decision] = {}
        self.rides: dict[EntryName, Ride] = {}
        for where, event in enumerate(self.log):
            if isinstance(event, Read):
                self.reads[event.lane, event.reading.monotonic_ns] = where
            elif isinstance(event, Committed):
                self._written(where, event.entry)

    def _written(self, where: int, entry: Entry) -> None:
        match entry.fact:
            case Decided() as fact:
                key = fact.lane, entry.at.monotonic_ns
                read = self.reads.get(key, where)  # without a reader's stamp: `time_never_falls` tells
                self.decisions[key] = Decision(fact, entry.name, entry.at, read, where)
                if fact.charge is not None:
                    self.rides[entry.name] = Ride(fact, entry.name, read, where, standing=fact.persons)
            case Passed(of=of) | PassageAnnulled(of=of) | LatePassage(of=of) | PassageUnknown(of=of) | Voided(of=of):
                if of in self.rides:  # somebody let through for nothing is no ride
                    self._changed(where, self.rides[of], entry.fact)
            case _:
                pass

    def _changed(self, where: int, ride: Ride, fact: Fact) -> None:
        match fact:
            case Passed(passed=passed):
                ride.passed = passed
                if passed == ride.fact.persons:
                    ride.states.append((where, UseState.COMMITTED))
            case PassageAnnulled(passed=passed):
                ride.passed, ride.standing, ride.left = passed, passed, ride.fact.persons - passed
                ride.states.append((where, UseState.ANNULLED))
            case LatePassage(passed=passed):
                ride.passed, ride.standing, ride.left = passed, passed, ride.fact.persons - passed
                if passed == ride.fact.persons:
                    ride.states.append((where, UseState.COMMITTED))
            case PassageUnknown():
                ride.states.append((where, UseState.UNKNOWN))
            case Voided():
                ride.passed, ride.standing, ride.left = 0, 0, ride.fact.persons
                ride.states.append((where, UseState.ANNULLED))
            case _:
                pass

    def earlier(self, decision: Decision) -> list[Ride]:
        """Rides of the same code that were judged before this decision, newest first."""
        found = [ride for ride in self.rides.values() if ride.read < decision.read and ride.is_of(decision.fact)]
        return sorted(found, key=lambda ride: -ride.read)

    def ride_of(self, lane: str, ordered_ns: int) -> Ride | None:
        """The ride an opening served: its own, or the one it repeats."""
        decision = self.decisions.get((lane, ordered_ns))
        return None if decision is None else self.rides.get(decision.fact.repeat_of or decision.name)


# --------------------------------------------------------------------------- journal and gate


def journal_before_gate(day: Day) -> Iterator[str]:
    """No gate opens without an earlier durable grant, and none opens twice for one.

    A code's order carries the stamp of its tap. A card's is as old as the last word of the card, a free passage's as
    the order of whoever was asked: those belong to the oldest such grant of their lane a moment ago.
    """
    durable: set[tuple[str, int]] = set()
    loose: list[tuple[str, int]] = []
    for event in day.log:
        if isinstance(event, Committed):
            match event.entry.fact:
                case Decided(verdict=verdict, lane=lane, card=card) if verdict in GRANTED:
                    stamp = lane, event.entry.at.monotonic_ns
                    durable.add(stamp) if card is None else loose.append(stamp)
                case BoardedFree(lane=lane):
                    loose.append((lane, event.entry.at.monotonic_ns))
                case _:
                    pass
        elif isinstance(event, Opened):
            stamp = event.lane, event.ordered_ns
            late = [one for one in loose if one[0] == event.lane and abs(one[1] - event.ordered_ns) < ORDER_NS]
            if stamp in durable:
                durable.remove(stamp)
            elif late:
                loose.remove(late[0])
            else:
                yield f"{event.lane} opened at {event.at_ms} without a durable entry"


def whole_chain(day: Day) -> Iterator[str]:
    """Every entry follows the one before: no gap, no fork; an epoch names its predecessor."""
    last, digest = EntryName(epoch=bytes(8), sequence=0), NO_HASH
    for event in day.log:
        if not isinstance(event, Committed):
            continue
        entry = event.entry
        if isinstance(entry.fact, EpochBegan):
            if entry.name.sequence != 1 or (entry.fact.previous or last) != last:
                yield f"an epoch begins at {entry.name.sequence} and does not follow {last.sequence}"
        elif (entry.name.epoch, entry.name.sequence, entry.previous) != (last.epoch, last.sequence + 1, digest):
            yield f"entry {entry.name.sequence} does not follow {last.sequence}"
        last, digest = entry.name, event.digest


def head_office_holds_the_journal_once(day: Day) -> Iterator[str]:
    """Head office counts every entry once, but for those it refused and kept aside."""
    journal = {(event.entry.name, event.digest) for event in day.log if isinstance(event, Committed)}
    held, aside = Counter(day.recorded.held), Counter(day.recorded.aside)
    there = held + aside
    for (name, _), count in there.items():
        if count > 1:
            yield f"head office has entry {name.sequence} {count} times"
    missing = journal - there.keys()
    if missing:
        yield f"head office lacks {len(missing)} entries, from {min(name.sequence for name, _ in missing)} on"
    stray = there.keys() - journal - day.recorded.yesterday
    if stray:
        yield f"head office has {len(stray)} entries no journal holds"
    reissued = {event.digest for event in day.log if isinstance(event, Committed) and _carries(event.entry)}
    for name, digest in day.recorded.misplaced:
        if digest not in day.recorded.counted | reissued:
            yield f"entry {name.sequence} stands beside others at head office and was not issued again"


def _carries(entry: Entry) -> bool:
    return isinstance(entry.fact, Reissued)


# --------------------------------------------------------------------------- codes, passages, charges


def no_code_used_twice(day: Day) -> Iterator[str]:
    """A code opens one gate: a second charge needs an annul before it, a repeat needs the rule's leave."""
    for decision in day.decisions.values():
        fact = decision.fact
        if fact.verdict not in GRANTED:
            continue
        if fact.charge is None:
            yield from _answer_not_allowed(day, decision) if fact.reason is not Reason.SIGNED_IN else ()
            continue
        before = day.earlier(decision)
        if any(ride.state_at(decision.read) is not UseState.ANNULLED for ride in before):
            yield f"entry {decision.name.sequence}: the code was used before"
        if before and fact.persons > before[0].left:
            yield f"entry {decision.name.sequence}: more people than were left outside"


def _answer_not_allowed(day: Day, decision: Decision) -> Iterator[str]:
    """Who passes for nothing asks about a use of the same code, or, where that is the question, of the same party."""
    fact = decision.fact
    if fact.card is None and fact.reason is Reason.ALREADY_PAID:
        yield from _repeat_not_allowed(day, decision)
        return
    before = [ride for ride in _of_party(day, decision) if ride.state_at(decision.read) is not UseState.ANNULLED]
    if fact.card is not None or fact.reason is Reason.BOARDED:
        before = [ride for ride in _of_party(day, decision) if ride.name == fact.repeat_of]
    if not before:
        yield f"entry {decision.name.sequence} lets somebody pass, {fact.reason}, who has no use to ask about"


def _of_party(day: Day, decision: Decision) -> list[Ride]:
    """Rides of this medium or account that were written before this decision was judged, newest first."""
    parties = {decision.fact.medium_ref, decision.fact.account_ref} - {None}
    until = decision.written if decision.fact.card is not None else decision.read
    rides = [ride for ride in day.rides.values() if ride.written < until]
    found = [ride for ride in rides if parties & {ride.fact.medium_ref, ride.fact.account_ref}]
    return sorted(found, key=lambda ride: -ride.written)


def _repeat_not_allowed(day: Day, decision: Decision) -> Iterator[str]:
    """A repeat asks about a ride of the same code: on a vehicle always, at a gate only while it is open there."""
    fact = decision.fact
    rides = [ride for ride in day.earlier(decision) if fact.repeat_of in (ride.name, None)]
    if not rides:
        yield f"entry {decision.name.sequence} lets somebody pass for a ride that was never written"
        return
    ride = rides[0]
    open_here = ride.fact.lane == fact.lane and ride.state_at(decision.read) is UseState.RESERVED
    if ride.fact.passage is PassageMode.SENSOR and not open_here:
        yield f"entry {decision.name.sequence} repeats a ride that is {ride.state_at(decision.read)}"


def refused_for_a_reason(day: Day) -> Iterator[str]:
    """A used code was used and not annulled; who comes too soon has travelled."""
    for decision in day.decisions.values():
        fact = decision.fact
        if fact.reason is Reason.CODE_USED:
            states = [ride.state_at(decision.read) for ride in day.earlier(decision)]
            if all(state is UseState.ANNULLED for state in states):
                yield f"entry {decision.name.sequence}: a code nobody used is refused as used"
        if fact.reason in (Reason.TOO_SOON, Reason.COMPANIONS_USED) and not _has_travelled(day, decision):
            yield f"entry {decision.name.sequence}: somebody who never travelled is refused as too soon"


def _has_travelled(day: Day, decision: Decision) -> bool:
    parties = {decision.fact.medium_ref, decision.fact.account_ref} - {None}
    until = decision.written if decision.fact.card is not None else decision.read  # a card is talked with meanwhile
    for ride in day.rides.values():
        same = ride.read < until and parties & {ride.fact.medium_ref, ride.fact.account_ref}
        state = ride.state_at(decision.read)
        annulled = state is UseState.ANNULLED and ride.left == ride.fact.persons
        if same and state is not UseState.UNKNOWN and not annulled:
            return True
    return False


def one_charge_a_ride(day: Day) -> Iterator[str]:
    """Whoever walked is charged once, late walkers too; who did not walk is not."""
    walked: Counter[EntryName] = Counter()
    heard_ms: dict[EntryName, int] = {}
    deaths = [event.at_ms for event in day.log if isinstance(event, Died)]
    for event in day.log:
        if isinstance(event, Walked):
            ride = day.ride_of(event.lane, event.ordered_ns)
            if ride is not None:
                walked[ride.name] += 1
                heard_ms[ride.name] = event.at_ms
    for ride in day.rides.values():
        if ride.fact.passage is PassageMode.ASSUMED:
            continue
        began_ms = day.log[ride.written].at_ms
        until_ms = heard_ms.get(ride.name, began_ms) + HEARD_MS
        if any(began_ms <= death <= until_ms for death in deaths):
            continue  # nobody can know; it is told as unknown
        if ride.passed != walked[ride.name]:
            yield f"ride {ride.name.sequence}: {walked[ride.name]} walked, {ride.passed} written"
        annulled = any(state is UseState.ANNULLED for _, state in ride.states)
        if annulled and ride.standing != walked[ride.name]:
            yield f"ride {ride.name.sequence}: {walked[ride.name]} walked, {ride.standing} charged"


def no_ride_left_open(day: Day) -> Iterator[str]:
    """Every ride ends: walked, annulled, or told as unknown before anything is decided after a start."""
    for ride in day.rides.values():
        if ride.state_at(len(day.log)) is UseState.RESERVED:
            yield f"ride {ride.name.sequence} is still open at the end of the day"
    starts = [where for where, event in enumerate(day.log) if isinstance(event, Booted)]
    for start, end in zip(starts, [*starts[1:], len(day.log)], strict=True):
        judged = min((one.read for one in day.decisions.values() if start < one.read < end), default=None)
        for ride in day.rides.values():
            open_before = ride.written < start and ride.state_at(start) is UseState.RESERVED
            if judged is not None and open_before and ride.state_at(judged) is UseState.RESERVED:
                yield f"ride {ride.name.sequence} is open although the terminal has started again"


# --------------------------------------------------------------------------- parameters, time, keys, emergency


def parameters_never_go_back(day: Day) -> Iterator[str]:
    """Versions only grow, and a decision stands on nothing older than what was in force."""
    newest, in_force = 0, []
    for event in day.log:
        if isinstance(event, Committed) and isinstance(event.entry.fact, ParametersChanged):
            if event.entry.fact.version < newest:
                yield f"parameters went back from {newest} to {event.entry.fact.version}"
            newest = max(newest, event.entry.fact.version)
        in_force.append(newest)
    for one in day.decisions.values():
        if one.fact.evidence.parameter_version < in_force[one.read]:
            yield f"entry {one.name.sequence} was judged by parameters {one.fact.evidence.parameter_version}"


def nobody_blocked_passes(day: Day) -> Iterator[str]:
    """Whom the parameters in force block is not let through."""
    for one in day.decisions.values():
        blocked: frozenset[Ref] = day.recorded.blocked[one.fact.evidence.parameter_version]
        asks = one.fact.charge is None and one.fact.reason is not Reason.SIGNED_IN
        gets_in = one.fact.verdict in GRANTED and one.fact.tap is not Tap.ALIGHT and not asks
        if gets_in and blocked & {one.fact.medium_ref, one.fact.account_ref}:
            yield f"entry {one.name.sequence} lets somebody pass who is blocked"


def time_never_falls(day: Day) -> Iterator[str]:
    """A tap is judged at the moment its last byte arrived, or at the journal's time where that is later.

    The journal's time runs on where nobody keeps the clock: any moment up to there is right.
    """
    floor, floors = (0, 0), []
    for event in day.log:
        if isinstance(event, Committed):
            floor = max(floor, (event.entry.at.utc_ms, -event.entry.at.monotonic_ns))
        floors.append(floor)
    for one in day.decisions.values():
        read = day.log[one.read]
        if not isinstance(read, Read):
            yield f"entry {one.name.sequence} carries a time no reader stamped"
            continue
        floor_ms, minus_ns = floors[one.read]
        used, right = one.fact.evidence.utc_ms, max(read.reading.utc_ms, floor_ms)
        ran_ms = floor_ms + (read.reading.monotonic_ns + minus_ns) // 1_000_000
        unkept = read.reading.uncertainty_ms >= 16_000 and read.reading.utc_ms < ran_ms - 1000
        latest = ran_ms if unkept else right
        if one.fact.card is not None:  # it waited for the card before it
            latest = max(latest, floors[one.written - 1][0])
        if not right <= used <= latest or one.at.utc_ms != used:
            yield f"entry {one.name.sequence} was judged {right - used} ms before its time"


def no_nonce_twice(day: Day) -> Iterator[str]:
    """A content key seals once under each nonce, entries that never reached the disk included."""
    seen: set[tuple[int, int]] = set()
    for event in day.log:
        sealed = event.draft.sealed if isinstance(event, Drafted) else None
        if sealed is None:
            continue
        if (sealed.key, sealed.nonce) in seen:
            yield f"key {sealed.key} sealed twice under nonce {sealed.nonce}"
        seen.add((sealed.key, sealed.nonce))


def evidence_follows_its_key(day: Day) -> Iterator[str]:
    """The key that seals an entry was written before it."""
    written: set[int] = set()
    for event in day.log:
        if isinstance(event, Committed):
            fact, sealed = event.entry.fact, event.entry.sealed
            if isinstance(fact, ContentKey):
                written.add(fact.number)
            if sealed is not None and sealed.key not in written:
                yield f"entry {event.entry.name.sequence} is sealed under a key that was never written"


def nothing_is_decided_in_an_emergency(day: Day) -> Iterator[str]:
    """While fire release lasts, taps write nothing."""
    read_at = {one.read for one in day.decisions.values()}
    emergency = False
    for where, event in enumerate(day.log):
        if isinstance(event, Signalled) and event.signal is GateSignal.EMERGENCY_ON:
            emergency = True
        elif isinstance(event, Died) or (isinstance(event, Signalled) and event.signal is GateSignal.EMERGENCY_OFF):
            emergency = False
        elif emergency and where in read_at:
            yield f"something was decided at {event.at_ms}, in an emergency"


# --------------------------------------------------------------------------- the terminal itself


def nothing_is_left_open(day: Day) -> Iterator[str]:
    """No task, timer or transport outlives the terminal, and no error goes unheard."""
    yield from day.recorded.leftovers


def dies_only_of_troubles(day: Day) -> Iterator[str]:
    """A terminal ends when it is told to, cut, or its disk fails; never of a presentation."""
    yield from day.recorded.deaths


CHECKERS: tuple[Checker, ...] = (
    journal_before_gate,
    whole_chain,
    head_office_holds_the_journal_once,
    no_code_used_twice,
    refused_for_a_reason,
    one_charge_a_ride,
    no_ride_left_open,
    parameters_never_go_back,
    nobody_blocked_passes,
    time_never_falls,
    no_nonce_twice,
    evidence_follows_its_key,
    nothing_is_decided_in_an_emergency,
    nothing_is_left_open,
    dies_only_of_troubles,
    *money.CHECKERS,
    *trips.CHECKERS,
    *bookings.CHECKERS,
    *loans.CHECKERS,
)


def violations(recorded: Recorded) -> list[str]:
    """Everything wrong with a day, each with the name of the law it breaks."""
    day = Day(recorded)
    return [f"{check.__name__}: {what}" for check in CHECKERS for what in check(day)]
