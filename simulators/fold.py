"""What a journal's projection holds, in memory: uses and ledgers, folded by the core's own rules, entry by entry.

Laws of this file:
- It lies on the disk beside the entries: what was pruned is still in it, as in the real store's tables.
- It knows up to which entry it goes; whoever finds other entries beside it folds them anew.
"""

from collections.abc import Callable

from terminal.core import ledger, projection
from terminal.core.entries import Entry
from terminal.core.ledger import Ledger
from terminal.core.model import EntryName, Ref, Use


class Fold:
    """Uses by name and by key, ledgers with the time of their last touch."""

    def __init__(self) -> None:
        self.last: EntryName | None = None
        self.uses: dict[EntryName, Use] = {}
        self.names_of: dict[Ref, list[EntryName]] = {}
        self.ledgers: dict[Ref, tuple[int, Ledger]] = {}

    def adopt(self, entry: Entry, grant_of: Callable[[EntryName], Entry]) -> None:
        """One more entry; `grant_of` finds the grant of a use that is still here."""
        begun, change = projection.begins(entry), projection.changes(entry)
        if begun is not None:
            self.uses[entry.name] = begun
            for key in projection.keys(begun):
                self.names_of.setdefault(key, []).append(entry.name)
        for effect in projection.effects(entry):
            before = self.ledgers.get(effect.party, (0, ledger.NOTHING))[1]
            self.ledgers[effect.party] = entry.at.utc_ms, projection.ledger_after(before, effect, entry)
        if change is not None and change.of in self.uses:
            self._change_use(change, entry.at.utc_ms, grant_of)
        self.last = entry.name

    def forget(self, entry: Entry, floor_ms: int) -> None:
        """An entry is pruned: its use goes, and ledgers that say nothing any more."""
        for effect in projection.effects(entry):
            touched_ms, kept = self.ledgers.get(effect.party, (0, ledger.NOTHING))
            if ledger.may_forget(kept, touched_ms, floor_ms):
                self.ledgers.pop(effect.party, None)
        use = self.uses.pop(name := entry.name, None)
        for key in () if use is None else projection.keys(use):
            self.names_of[key].remove(name)

    def _change_use(self, change: projection.UseChange, at_ms: int, grant_of: Callable[[EntryName], Entry]) -> None:
        before = self.uses[change.of]
        self.uses[change.of] = use = projection.apply(before, change)
        if use.persons_charged != before.persons_charged:
            grant = grant_of(change.of)
            for effect in projection.effects(grant):
                corrected = projection.ledger_corrected(self.ledgers[effect.party][1], effect, grant, before, use)
                self.ledgers[effect.party] = at_ms, corrected
