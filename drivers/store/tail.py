"""The newest entries, not yet in the projection's tables: what they began is kept here until then.

Laws of this file:
- A tap that is waited for writes its entry, one page; the projection follows for many entries at once, when nobody
  waits (writer.py). Tables and tail together are what the fold over all entries would give.
- Only what adds to the projection may wait here. An entry that changes what stands there is projected at once.
- Whoever commits adds; the loop reads. A tail is never emptied: a new one takes its place, and whoever took hold
  of the old one before asking the tables misses nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import apsw

from drivers.store import tables
from terminal.core import ledger, projection
from terminal.core.entries import Entry, decode
from terminal.core.ledger import Ledger
from terminal.core.model import Ref, Use

# Entries projected at once: at the next quiet moment; as soon as the thread looks; with the entry that is one too many.
TAIL, LONG_TAIL, LONGEST_TAIL = 64, 128, 256


class Tail:
    """Uses and ledgers of entries that were committed and not yet projected."""

    def __init__(self) -> None:
        self.entries: list[tuple[int, Entry]] = []  # with their rows
        self.ledgers: dict[Ref, Ledger] = {}  # as they stand after the newest entry
        self._uses: list[tuple[int, Use]] = []
        self._uses_of: dict[Ref, list[Use]] = {}

    def add(self, written: Sequence["Written"], ledgers: Mapping[Ref, Ledger]) -> None:
        """More entries, and what they made of ledgers."""
        for row, entry, begun in written:
            self.entries.append((row, entry))
            if begun is not None:
                self._uses.append((row, begun))
                for key in projection.keys(begun):
                    self._uses_of.setdefault(key, []).append(begun)
        self.ledgers |= ledgers

    def uses(self, stored: Sequence[Use], keys: Iterable[Ref], since_ms: int) -> list[Use]:
        """Uses under any of these keys: those the tables gave, and those still here."""
        found = {use.name: use for key in keys for use in self._uses_of.get(key, ()) if use.at_ms >= since_ms}
        return _joined(stored, found.values())

    def uses_from(self, stored: Sequence[Use], from_row: int) -> list[Use]:
        """Uses of entries from a row on: those the tables gave, and those still here."""
        return _joined(stored, (use for row, use in self._uses if row >= from_row))


def _joined(stored: Sequence[Use], here: Iterable[Use]) -> list[Use]:
    """What was projected a moment ago is in both; the tables' own is the newer."""
    names = {use.name for use in stored}
    return [*stored, *(use for use in here if use.name not in names)]


class Written(NamedTuple):
    """An entry of the transaction under way, and the use it begins."""

    row: int
    entry: Entry
    begun: Use | None


class Projector:
    """Keeps tables and tail together: what its writer tells it to, in its writer's transactions."""

    def __init__(self, db: apsw.Connection) -> None:
        self.tail = Tail()  # replaced whole when it was projected
        self._db = db
        self._next: Tail | None = None  # what the tail will be once the transaction is committed
        self._written: list[Written] = []  # in the transaction under way, not projected in it
        self._ledgers: dict[Ref, Ledger] = {}  # as they stand after those
        self._changes = False  # whether one of those changes what stands in the tables
        for stored in tables.entries(db, "WHERE e.row > ? ORDER BY e.row", tables.projected(db)):
            self.written(stored.row, decode(stored.data))
        self.committed()

    def written(self, row: int, entry: Entry) -> None:
        """One entry was written in the transaction under way. What it means is worked out now: once the flush is done
        somebody waits, on a processor that has just been woken.
        """
        self._written.append(Written(row, entry, projection.begins(entry)))
        self._changes |= projection.changes(entry) is not None
        for effect in projection.effects(entry):
            before = self._ledger(effect.party)
            self._ledgers[effect.party] = projection.ledger_after(before, effect, entry)

    def is_due(self) -> bool:
        """Whether this transaction must project: too much waits, or an entry changes what stands in the tables."""
        return self._changes or len(self.tail.entries) + len(self._written) >= LONGEST_TAIL

    def project(self, row: int) -> None:
        """Write, in the transaction under way, what all entries up to this row do to the projection."""
        for number, entry in self._last_tail().entries:
            tables.project(self._db, number, entry)
        for number, entry, _ in self._written:
            tables.project(self._db, number, entry)
        tables.projected_up_to(self._db, row)
        self._forget()
        self._next = Tail()

    def committed(self) -> None:
        """What was written holds."""
        self.tail, self._next = self._last_tail(), None
        self.tail.add(self._written, self._ledgers)
        self._forget()

    def rolled_back(self) -> None:
        """Nothing was written."""
        self._next = None
        self._forget()

    def _forget(self) -> None:
        self._written, self._ledgers, self._changes = [], {}, False

    def _last_tail(self) -> Tail:
        return self.tail if self._next is None else self._next

    def _ledger(self, party: Ref) -> Ledger:
        """As it stands after all that was written."""
        here = self._ledgers.get(party) or self._last_tail().ledgers.get(party)
        return here or tables.ledgers(self._db, (party,)).get(party) or ledger.NOTHING
