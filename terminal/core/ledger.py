"""What is remembered of one party between taps: sums, an open trip, a transfer, a debt. A fold over effects.

Laws of this file:
- A party is a medium, an account, or a channel of an account; which one a sum belongs to is the tariff's business.
- A decision carries its effects; a ledger is what they add up to. Nothing else changes one, so it can be rebuilt.
- A ledger is bounded: of each sum only the newest window is kept, of each transfer only the newest.
- A window that lies in the future was begun while the clock ran ahead: today's takes its place.
- Taking a charge back undoes its effects person by person; what a newer effect replaced stays replaced. Somebody who
  walked after all rides again: the trip is open, the transfer counts, unless something newer took their place.
"""

from collections.abc import Mapping, Sequence

import msgspec

from terminal.core import loans
from terminal.core.base import EntryName, Ref, Value
from terminal.core.debit import Debit, DebitState, PurseDebit
from terminal.core.loans import Told, Tried, Waiting, Waits

DAY_MS, EASTERNMOST_MS = 86_400_000, 14 * 3_600_000  # no place's clocks stand further before UTC
FIRST_DAY = 719_163  # the proleptic ordinal of 1970-01-01
# No window is longer than a month: what was last touched before this says nothing any more.
MEMORY_MS = 32 * DAY_MS
FOR_EVER = 0  # a window that never ends
EMERGENCY = Ref(b"\x00" + b"emergency.......")  # the party under which a site remembers when everybody was let out
SHIFT = Ref(b"\x00" + b"driver's shift..")  # the party under which a vehicle remembers who drives it


class Where(Value, frozen=True):
    """Where a vehicle or gate stands. Every field is a name of the operator's own data; "" is not known."""

    vehicle: str = ""
    line: str = ""
    direction: str = ""
    stop: str = ""
    run: int = 0  # Unix milliseconds at which this run of the line began: a run goes from one end to the other
    key: str = ""  # the fare key the driver pressed


class Trip(Value, frozen=True):
    """Boarded, not yet alighted."""

    at_ms: int
    where: Where
    product: str
    of: EntryName | None = None  # the boarding


class Sum(Value, frozen=True):
    """What a party paid and how often it rode, in one window of one accumulation."""

    id: str
    window: int  # proleptic ordinal of the window's first service day
    fen: int = 0
    count: int = 0


class Anchor(Value, frozen=True):
    """The rides a transfer counts from."""

    id: str
    first_ms: int
    last_ms: int
    line: str = ""  # of the last ride
    transfers: int = 0


class Shift(Value, frozen=True):
    """Who drives, since when."""

    who: str
    at_ms: int
    where: Where
    of: EntryName | None = None


class Ledger(Value, frozen=True):
    """One party between taps."""

    sums: tuple[Sum, ...] = ()
    anchors: tuple[Anchor, ...] = ()
    trip: Trip | None = None
    owed_fen: int = 0
    graces: int = 0  # rides taken on trust and not settled yet
    shift: Shift | None = None
    debit: Debit | None = None  # of a purse: the newest one
    waiting: Waiting | None = None  # of a circulation: the library system is still to be told


NOTHING = Ledger()

# --------------------------------------------------------------------------- effects


class Added(Value, frozen=True, tag="added"):
    """So much, so often, into a window."""

    party: Ref
    id: str
    window: int
    fen: int = 0
    count: int = 0


class Anchored(Value, frozen=True, tag="anchored"):
    """A transfer counts from these rides now."""

    party: Ref
    anchor: Anchor


class Boarded(Value, frozen=True, tag="boarded"):
    """A trip is open; when and where stand in the decision."""

    party: Ref
    product: str


class Alighted(Value, frozen=True, tag="alighted"):
    """No trip is open any more."""

    party: Ref


class Owed(Value, frozen=True, tag="owed"):
    """A debt grew, or was settled where negative."""

    party: Ref
    fen: int
    graces: int = 0


class ShiftBegan(Value, frozen=True, tag="shift"):
    """A driver signed on; `who` empty: signed off."""

    who: str
    party: Ref = SHIFT


class DebitBegan(Value, frozen=True, tag="debit_began"):
    """A card is about to be asked for money."""

    party: Ref
    debit: PurseDebit


class DebitEnded(Value, frozen=True, tag="debit_ended"):
    """Something more is known of a debit."""

    party: Ref
    of: EntryName
    state: DebitState
    granted: bool = False
    proven: bool = False  # the secure module found MAC2 or TAC right


class ShiftMoved(Value, frozen=True, tag="moved"):
    """The vehicle stands elsewhere, or begins another run; where it stands is the entry's own."""

    party: Ref = SHIFT


Circulating = Waits | Tried | Told  # of a library's kiosk
Money = Added | Anchored | Boarded | Alighted | Owed
Effect = Money | ShiftBegan | ShiftMoved | DebitBegan | DebitEnded | Circulating


class Moment(Value, frozen=True):
    """When, where and by which entry an effect came about; the entry has no name before it is written."""

    at_ms: int
    where: Where = Where()
    of: EntryName | None = None


def apply(ledger: Ledger, effect: Effect, moment: Moment) -> Ledger:
    """The ledger after an effect."""
    change = msgspec.structs.replace
    match effect:
        case Added():
            sums = tuple(one for one in ledger.sums if not (one.id == effect.id and _is_ahead(one, moment.at_ms)))
            return change(ledger, sums=_added(sums, effect))
        case Anchored(anchor=anchor):
            others = (one for one in ledger.anchors if one.id != anchor.id)
            return change(ledger, anchors=(*others, anchor))
        case Boarded(product=product):
            trip = Trip(at_ms=moment.at_ms, where=moment.where, product=product, of=moment.of)
            return change(ledger, trip=trip)
        case Alighted():
            return change(ledger, trip=None)
        case Owed(fen=fen, graces=graces):
            return change(ledger, owed_fen=max(0, ledger.owed_fen + fen), graces=max(0, ledger.graces + graces))
        case DebitBegan(debit=debit):
            assert moment.of is not None  # it is an entry of its own
            floor = 0 if ledger.debit is None else ledger.debit.floor
            return change(ledger, debit=Debit(of=moment.of, at_ms=moment.at_ms, debit=debit, floor=floor))
        case DebitEnded():
            return change(ledger, debit=_ended(ledger.debit, effect))
        case Waits() | Tried() | Told():
            return change(ledger, waiting=loans.after(ledger.waiting, effect, moment.at_ms))
        case ShiftMoved():
            moved = None if ledger.shift is None else change(ledger.shift, where=moment.where)
            return change(ledger, shift=moved)
        case _:
            shift = Shift(who=effect.who, at_ms=moment.at_ms, where=moment.where, of=moment.of)
            return change(ledger, shift=shift if effect.who else None)


def undo(ledger: Ledger, effect: Effect, moment: Moment, persons: int, of: int) -> Ledger:
    """The ledger once `persons` of the `of` people an effect stood for were taken back; negative: given again."""
    change = msgspec.structs.replace
    match effect:
        case Added(fen=fen, count=count) if _stands(ledger.sums, effect):
            less = change(effect, fen=-fen * persons // of, count=-count * persons // of)
            return change(ledger, sums=_added(ledger.sums, less))
        case Anchored(anchor=anchor) if anchor in ledger.anchors and persons == of:
            return change(ledger, anchors=tuple(one for one in ledger.anchors if one != anchor))
        case Boarded() if ledger.trip is not None and ledger.trip.of == moment.of and persons == of:
            return change(ledger, trip=None)
        case Owed(fen=fen, graces=graces) if persons == of:
            return apply(ledger, Owed(party=effect.party, fen=-fen, graces=-graces), moment)
        case Anchored(anchor=anchor) if persons == -of and all(one.id != anchor.id for one in ledger.anchors):
            return apply(ledger, effect, moment)
        case Boarded() if persons == -of and ledger.trip is None:
            return apply(ledger, effect, moment)
        case Owed() if persons == -of:
            return apply(ledger, effect, moment)
        case _:
            return ledger


def merged(ledgers: Sequence[Ledger]) -> Ledger:
    """One party under several names (two link keys live side by side): sums add up, of the rest the first counts."""
    if len(ledgers) == 1:
        return ledgers[0]
    total = NOTHING
    for one in ledgers:
        sums = total.sums
        for item in one.sums:
            sums = _added(sums, Added(party=Ref(b""), id=item.id, window=item.window, fen=item.fen, count=item.count))
        total = Ledger(
            sums=sums,
            anchors=total.anchors + tuple(a for a in one.anchors if all(a.id != own.id for own in total.anchors)),
            trip=total.trip or one.trip,
            owed_fen=total.owed_fen + one.owed_fen,
            graces=total.graces + one.graces,
            shift=total.shift or one.shift,
            debit=max((d for d in (total.debit, one.debit) if d), key=lambda debit: debit.at_ms, default=None),
        )
    return total


def doubts(ledgers: Mapping[Ref, Ledger]) -> list[tuple[Ref, Debit]]:
    """Parties whose newest debit nobody heard the end of, and nobody told of yet."""
    debits = [(party, kept.debit) for party, kept in ledgers.items()]
    return [(party, debit) for party, debit in debits if debit is not None and debit.state is DebitState.OPEN]


def waiting(ledgers: Mapping[Ref, Ledger]) -> list[Waiting]:
    """Circulations the library system is still to be told of, or would not take, oldest first."""
    found = [kept.waiting for kept in ledgers.values() if kept.waiting is not None]
    return sorted(found, key=lambda one: (one.at_ms, one.of))


def may_forget(ledger: Ledger, touched_ms: int, now_ms: int) -> bool:
    """Whether nothing that may still matter is lost with a ledger last touched then."""
    doubt = ledger.debit is not None and ledger.debit.is_doubt
    kept = any(one.window == FOR_EVER for one in ledger.sums)
    open_still = (
        ledger.waiting is not None or ledger.trip is not None or ledger.owed_fen or ledger.shift or doubt or kept
    )
    return not open_still and now_ms - touched_ms > MEMORY_MS


def encode(ledger: Ledger) -> bytes:
    """A ledger as the projection keeps it: a cache, rebuilt whenever its form changes."""
    return msgspec.msgpack.encode(ledger)


def decode(data: bytes) -> Ledger:
    """The ledger of kept bytes. Raises ValueError."""
    return msgspec.msgpack.decode(data, type=Ledger)


def _ended(debit: Debit | None, effect: DebitEnded) -> Debit | None:
    """A later debit is not touched by what is learnt of an earlier one."""
    if debit is None or debit.of != effect.of:
        return debit
    granted, floor = debit.granted or effect.granted, debit.debit.counter + 1 if effect.proven else debit.floor
    return msgspec.structs.replace(debit, state=effect.state, granted=granted, floor=floor)


def _is_ahead(one: Sum, at_ms: int) -> bool:
    """Whether a window lies in the future wherever on Earth this is: it was begun while the clock ran ahead."""
    return (one.window - FIRST_DAY) * DAY_MS - EASTERNMOST_MS > at_ms


def _stands(sums: tuple[Sum, ...], effect: Added) -> bool:
    """Whether there still is what this effect added to."""
    return any((one.id, one.window) == (effect.id, effect.window) for one in sums)


def _added(sums: tuple[Sum, ...], effect: Added) -> tuple[Sum, ...]:
    """Into its window; a newer window replaces an older one, an older one is too late to matter."""
    here = next((one for one in sums if one.id == effect.id), None)
    if here is not None and here.window > effect.window:
        return sums
    old = here if here is not None and here.window == effect.window else Sum(id=effect.id, window=effect.window)
    new = msgspec.structs.replace(old, fen=max(0, old.fen + effect.fen), count=max(0, old.count + effect.count))
    return (*(one for one in sums if one.id != effect.id), new)
