"""The newest entries, not yet in the projection's tables: what they began is kept here until then.

Laws of this file:
- A tap that is waited for writes its entry, one page; the projection follows for many entries at once, when nobody
  waits (writer.py). Tables and tail together are what the fold over all entries would give.
- Only what adds to the projection may wait here. An entry that changes what stands there is projected at once.
- The writer's thread adds; the loop reads. A tail is never emptied: a new one takes its place, and whoever took hold
  of the old one before asking the tables misses nothing.
"""

from collections.abc import Iterable, Sequence

from terminal.core import projection
from terminal.core.entries import Entry
from terminal.core.ledger import Ledger
from terminal.core.model import Ref, Use


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


def waits(entry: Entry) -> bool:
    """Whether an entry only adds to the projection, so that its part may be written later."""
    return projection.changes(entry) is None


def _joined(stored: Sequence[Use], here: Iterable[Use]) -> list[Use]:
    """What was projected a moment ago is in both; the tables' own is the newer."""
    names = {use.name for use in stored}
    return [*stored, *(use for use in here if use.name not in names)]
