"""Money is conserved: what people were told, what the journal charged and what head office counts are one sum.

Laws of this file:
- Head office's records are read as bytes, with nothing of the terminal's own reading; prices are counted again by
  `simulators/clearing.py`, which shares no code with the terminal's.
- A purse is its own truth: what was loaded is what is left and what was taken, to the fen.
- What nobody can know (power went in the middle of a debit) may be either; never more, never something else.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import cbor2
import msgspec

from simulators.clearing import clear
from terminal.core.entries import DebitIntended
from terminal.core.proof import proof_of
from tests.days.record import Committed, Debited, Recorded, Shown

if TYPE_CHECKING:
    from tests.checkers import Day

AMOUNT = re.compile(r"(Balance )?¥([0-9]+(?:\.[0-9]+)?)")
Name = tuple[str, bytes, int]


def told_is_charged(day: "Day") -> Iterator[str]:
    """The amounts on the display are those of the entry behind it."""
    shown = {event.proof: event for event in day.log if isinstance(event, Shown) and event.proof}
    settled = _settled_before(day)
    for decision in day.decisions.values():
        fact, told = decision.fact, shown.get(proof_of(decision.name))
        if told is None or fact.charge is None:
            continue
        amounts = [round(float(amount) * 100) for balance, amount in AMOUNT.findall(told.en) if not balance]
        charged = fact.charge.amount_fen + settled[fact.lane, decision.at.monotonic_ns]
        if amounts and sum(amounts) != charged:
            yield f"entry {decision.name.sequence} charges {charged}, the display said {told.en!r}"


def _settled_before(day: "Day") -> Counter[tuple[str, int]]:
    """Lane, stamp of a tap → fen taken from its card for an earlier trip."""
    found: Counter[tuple[str, int]] = Counter()
    for event in day.log:
        if isinstance(event, Committed) and isinstance(event.entry.fact, DebitIntended):
            fact = event.entry.fact
            found[fact.lane, event.entry.at.monotonic_ns] += 0 if fact.debit.grants else fact.debit.amount_fen
    return found


def head_office_counts_the_same_money(day: "Day") -> Iterator[str]:
    """Party by party: what stands charged in the journal is what head office makes of its records."""
    here: Counter[bytes] = Counter()
    for ride in day.rides.values():
        if ride.fact.charge is not None:
            party = ride.fact.account_ref or ride.fact.medium_ref or b""
            here[party] += ride.fact.charge.amount_fen * ride.standing // ride.fact.persons
    there = _charged(day.recorded)
    for party in sorted(here.keys() | there.keys()):
        if here[party] != there[party]:
            yield f"party {party.hex()[:10]}: {here[party]} fen in the journal, {there[party]} at head office"


def every_fare_is_right(day: "Day") -> Iterator[str]:
    """Head office counts each ride again from the tariff, in the order of riding; no cap is exceeded.

    Whoever was let off in doubt is left to head office: that ride, and what it counts for later ones.
    """
    tariff = plain(msgspec.to_builtins(day.recorded.tariff))
    records = [
        (terminal, data)
        for terminal, data in day.recorded.records
        if _fact(data).get("debit") is None and _fact(data).get("service", "fare") == "fare"
    ]
    found = clear(records, tariff)
    in_doubt = {name for name, entry in _entries(day.recorded) if entry["fact"].get("verdict") == "grant_in_doubt"}
    left = set()
    for ride in found.rides:
        if ride.name in in_doubt and ride.due:
            left.add(ride.party)
        if ride.party not in left and ride.stands and ride.due != ride.charged:
            yield f"ride {ride.name[2]} costs {ride.due} fen and was charged {ride.charged}"
    for name, rule in tariff.get("accumulations", {}).items():
        sums: Counter[bytes] = Counter()
        for ride in found.rides:
            party, fen = ride.into.get(name, (b"", 0))
            sums[party] += fen * ride.stands
        yield from (f"{fen} fen into {name}: above its cap" for fen in sums.values() if fen > rule.get("cap_fen", fen))


def purses_add_up(day: "Day") -> Iterator[str]:
    """Purse by purse: loaded = left + taken, here or elsewhere; a debit nobody knows the end of was taken or not."""
    debits = _debits(day.recorded)
    elsewhere: Counter[bytes] = Counter()
    for event in day.log:
        if isinstance(event, Debited) and event.terminal not in day.recorded.modules:
            elsewhere[event.purse] += event.fen
    for purse, loaded in day.recorded.loaded.items():
        own = [(fen, state) for party, fen, state in debits.values() if party == purse]
        taken = sum(fen for fen, state in own if state == "done")
        doubtful = [fen for fen, state in own if state not in ("done", "not_done")]
        gone = loaded - day.recorded.left[purse] - taken - elsewhere[purse]
        if gone not in _sums(doubtful):
            yield f"purse {purse.hex()[:10]}: {gone} fen are gone that no debit explains; in doubt: {doubtful}"


# --------------------------------------------------------------------------- head office's records, read anew


def _entries(recorded: Recorded) -> Iterable[tuple[Name, dict[str, Any]]]:
    """Every entry once, in the order of its chain; one that was issued again is the one it carries."""
    found: dict[Name, dict[str, Any]] = {}
    for terminal, data in recorded.records:
        entry = cbor2.loads(data)
        if entry["fact"]["type"] == "reissued":
            entry = cbor2.loads(entry["fact"]["data"])
        found[terminal, entry["name"]["epoch"], entry["name"]["sequence"]] = entry
    return sorted(found.items(), key=lambda one: one[1]["at"]["utc_ms"])


def _charged(recorded: Recorded) -> Counter[bytes]:
    """Party → fen, for as many people as a charge stands."""
    rides: dict[Name, tuple[bytes, int, int]] = {}  # party, fen a person, persons
    standing: dict[Name, int] = {}
    for name, entry in _entries(recorded):
        fact = entry["fact"]
        if fact["type"] == "decision" and "charge" in fact:
            persons = fact.get("persons", 1)
            party = fact.get("account_ref") or fact["medium_ref"]
            rides[name], standing[name] = (party, fact["charge"]["amount_fen"] // persons, persons), persons
    for name, entry in sorted(_entries(recorded), key=lambda one: one[0]):  # within a chain a use changes in order
        fact = entry["fact"]
        if fact["type"] in ("annulled", "late_passage", "voided"):
            of = name[0], fact["of"]["epoch"], fact["of"]["sequence"]
            standing[of] = fact.get("passed", 0)
    total: Counter[bytes] = Counter()
    for name, (party, fen, _) in rides.items():
        total[party] += fen * standing[name]
    return total


def _debits(recorded: Recorded) -> dict[Name, tuple[bytes, int, str]]:
    """Intention → purse, fen, state: "open" where nobody said more."""
    found: dict[Name, tuple[bytes, int, str]] = {}
    for name, entry in sorted(_entries(recorded), key=lambda one: one[0]):
        fact = entry["fact"]
        ended = fact.get("debit") if fact["type"] == "decision" else fact
        if fact["type"] == "debit_intended":
            found[name] = fact["medium_ref"], fact["debit"]["amount_fen"], "open"
        elif fact["type"] == "debit_settled" or (fact["type"] == "decision" and ended):
            of = name[0], ended["of"]["epoch"], ended["of"]["sequence"]
            state, before = fact.get("state", "done"), found.get(of)
            if before is not None and (state != "unknown" or before[2] == "open"):
                found[of] = *before[:2], state
    return found


def _fact(data: bytes) -> dict[str, Any]:
    """What an entry says, or the one it issues again."""
    found: dict[str, Any] = cbor2.loads(data)["fact"]
    return _fact(found["data"]) if found["type"] == "reissued" else found


def _sums(amounts: list[int]) -> set[int]:
    """Every sum some of these make."""
    sums = {0}
    for amount in amounts:
        sums |= {one + amount for one in sums}
    return sums


def plain(value: Any) -> Any:
    """A tariff as its file has it: what is not said is not there."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items() if one is not None}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


CHECKERS: tuple[Callable[["Day"], Iterator[str]], ...] = (
    told_is_charged,
    head_office_counts_the_same_money,
    every_fare_is_right,
    purses_add_up,
)
