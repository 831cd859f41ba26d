"""The newest entries, not yet in the database's tables: they stand in the tail file, and here.

Laws of this file:
- A tap that is waited for writes its entry into the tail file (tail_file.py), one write and one flush. Tables follow
  for many entries at once, when nobody waits (writer.py). Tables and tail together are what the fold over all entries
  would give.
- Only what adds to the projection may wait here. An entry that changes what stands in the tables goes there at once.
- Whoever commits adds; the loop reads. A tail is never emptied: a new one takes its place, and whoever took hold
  of the old one before asking the tables misses nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import apsw

from drivers.store import tables, tail_file
from terminal.core import ledger, projection
from terminal.core.entries import Entry, StoredEntry
from terminal.core.ledger import Ledger
from terminal.core.model import EntryName, Ref, Use

# Entries that go into the tables at once: at the next quiet moment; as soon as the thread looks; with the entry that is
# one too many.
TAIL, LONG_TAIL, LONGEST_TAIL = 64, 128, 256


class Written(NamedTuple):
    """One entry behind those of the tables, and the use it begins."""

    row: int
    entry: Entry
    data: bytes
    digest: bytes
    begun: Use | None

    @property
    def stored(self) -> StoredEntry:
        """As a reader of the tables would find it."""
        return StoredEntry(row=self.row, name=self.entry.name, data=self.data, hash=self.digest)


class Tail:
    """Entries that were committed and are not in the tables, and what they began."""

    def __init__(self) -> None:
        self.entries: list[Written] = []
        self.ledgers: dict[Ref, Ledger] = {}  # as they stand after the newest entry
        self._uses: list[tuple[int, Use]] = []
        self._uses_of: dict[Ref, list[Use]] = {}

    def add(self, written: Sequence[Written], ledgers: Mapping[Ref, Ledger]) -> None:
        """More entries, and what they made of ledgers."""
        self.entries += written
        for one in written:
            if one.begun is not None:
                self._uses.append((one.row, one.begun))
                for key in projection.keys(one.begun):
                    self._uses_of.setdefault(key, []).append(one.begun)
        self.ledgers |= ledgers

    def stored(self, after_row: int) -> list[StoredEntry]:
        """The entries behind a row, oldest first."""
        return [one.stored for one in self.entries if one.row > after_row]

    def uses(self, stored: Sequence[Use], keys: Iterable[Ref], since_ms: int) -> list[Use]:
        """Uses under any of these keys: those the tables gave, and those still here."""
        found = {use.name: use for key in keys for use in self._uses_of.get(key, ()) if use.at_ms >= since_ms}
        return _joined(stored, found.values())

    def uses_from(self, stored: Sequence[Use], from_row: int) -> list[Use]:
        """Uses of entries from a row on: those the tables gave, and those still here."""
        return _joined(stored, (use for row, use in self._uses if row >= from_row))


def _joined(stored: Sequence[Use], here: Iterable[Use]) -> list[Use]:
    """What went into the tables a moment ago is in both; the tables' own is the newer."""
    names = {use.name for use in stored}
    return [*stored, *(use for use in here if use.name not in names)]


class Projector:
    """Keeps tables and tail together: what its writer tells it to, in its writer's transactions."""

    def __init__(self, db: apsw.Connection) -> None:
        self.tail = Tail()  # replaced whole when its entries went into the tables
        self._db = db
        self._next: Tail | None = None  # what the tail will be once the transaction is committed
        self._written: list[Written] = []  # in the transaction under way, not in the tables
        self._ledgers: dict[Ref, Ledger] = {}  # as they stand after those
        self._changes = False  # whether one of those changes what stands in the tables

    def written(self, row: int, entry: Entry, data: bytes, digest: bytes) -> None:
        """One entry was written in the transaction under way. What it means is worked out now: once the flush is done
        somebody waits, on a processor that has just been woken.
        """
        self._written.append(Written(row, entry, data, digest, projection.begins(entry)))
        self._changes |= projection.changes(entry) is not None
        for effect in projection.effects(entry):
            before = self._ledger(effect.party)
            self._ledgers[effect.party] = projection.ledger_after(before, effect, entry)

    def frames(self) -> bytes:
        """What the transaction under way wrote, as it stands in the tail file."""
        return b"".join(tail_file.frame(one.row, one.data, one.digest) for one in self._written)

    def waits(self) -> bool:
        """Whether an entry is not in the tables once the transaction under way is committed."""
        return bool(self._last_tail().entries or self._written)

    def waits_for(self, name: EntryName) -> bool:
        """Whether this entry is not in the tables."""
        return any(one.entry.name == name for one in self.tail.entries)

    def is_due(self) -> bool:
        """Whether this transaction goes into the tables: too much waits, or an entry changes what stands there."""
        return self._changes or len(self.tail.entries) + len(self._written) >= LONGEST_TAIL

    def into_tables(self, most: int | None = None) -> None:
        """Write entries and their projection in the transaction under way: the `most` oldest, once, or all."""
        if self._next is not None and not self._written:
            return
        waiting = [*self._last_tail().entries, *self._written]
        many = len(waiting) if most is None or self._written else most  # what was just written stands nowhere else
        now, later = waiting[:many], waiting[many:]
        for one in now:
            tables.insert(self._db, one.row, one.entry, one.data, one.digest)
            tables.project(self._db, one.row, one.entry)
        if now:
            tables.projected_up_to(self._db, now[-1].row)
        rest = Tail()
        rest.add(later, self._last_tail().ledgers if later else {})
        self._forget()
        self._next = rest

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
