"""The newest entries, not yet in the projection's tables: what they began is kept here until then.

Laws of this file:
- A tap that is waited for writes its entry, one page; the projection follows for many entries at once, when nobody
  waits (writer.py). Tables and tail together are what the fold over all entries would give.
- Only what adds to the projection may wait here. An entry that changes what stands there is projected at once.
- Whoever commits adds; the loop reads. A tail is never emptied: a new one takes its place, and whoever took hold
  of the old one before asking the tables misses nothing.
"""

from collections.abc import Iterable, Sequence

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

    def add(self, row: int, entry: Entry) -> None:
        """One more entry; whoever adds keeps `ledgers`."""
        self.entries.append((row, entry))
        begun = projection.begins(entry)
        if begun is not None:
            self._uses.append((row, begun))
            for key in projection.keys(begun):
                self._uses_of.setdefault(key, []).append(begun)

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


class Projector:
    """Keeps tables and tail together: what its writer tells it to, in its writer's transactions."""

    def __init__(self, db: apsw.Connection) -> None:
        self.tail = Tail()  # replaced whole when it was projected
        self._db = db
        self._written: list[tuple[int, Entry]] = []  # in the transaction under way, not projected in it
        self._next: Tail | None = None  # what the tail will be once the transaction is committed
        for stored in tables.entries(db, "WHERE e.row > ? ORDER BY e.row", tables.projected(db)):
            self._keep(stored.row, decode(stored.data))

    def written(self, row: int, entry: Entry) -> None:
        """One entry was written in the transaction under way."""
        self._written.append((row, entry))

    def is_due(self) -> bool:
        """Whether this transaction must project: too much waits, or an entry changes what stands in the tables."""
        changes = any(projection.changes(entry) is not None for _, entry in self._written)
        return changes or len(self.tail.entries) + len(self._written) >= LONGEST_TAIL

    def project(self, row: int) -> None:
        """Write, in the transaction under way, what all entries up to this row do to the projection."""
        tail = self.tail if self._next is None else self._next
        for number, entry in (*tail.entries, *self._written):
            tables.project(self._db, number, entry)
        tables.projected_up_to(self._db, row)
        self._written, self._next = [], Tail()

    def committed(self) -> None:
        """What was written holds."""
        if self._next is not None:
            self.tail, self._next = self._next, None
        written, self._written = self._written, []
        for row, entry in written:
            self._keep(row, entry)

    def rolled_back(self) -> None:
        """Nothing was written."""
        self._written, self._next = [], None

    def _keep(self, row: int, entry: Entry) -> None:
        kept = self.tail.ledgers
        for effect in projection.effects(entry):
            before = kept.get(effect.party) or tables.ledgers(self._db, (effect.party,)).get(effect.party)
            kept[effect.party] = projection.ledger_after(before or ledger.NOTHING, effect, entry)
        self.tail.add(row, entry)
