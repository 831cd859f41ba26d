"""The demo's library: its key and link table, and what its run came to.

Laws of this file:
- What was lent is counted from what the library system itself did, not from what the terminal says it was told.
- A loan is lost when it is in the journal, and neither the library system made it nor does it still wait, nor is it on
  the librarian's list, nor was it undone.
- A book that its reader holds out once more, not given back in between, is the loan it was: one was made.
"""

from collections import Counter
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import Any

from simulators.library_hall import READERS, reader_number, wallet
from terminal.core import accounts
from terminal.core.base import EntryName, Ref
from terminal.core.entries import Decided, Entry
from terminal.core.loans import Circulated, Circulation, Fate, Replayed
from terminal.core.parameters_load import load
from terminal.core.reader_links import Link, line

KEY = bytes(range(32))  # the demo's, and nobody else's


def library_files(directory: Path, ref: Callable[[str, bytes], Ref]) -> None:
    """The key and the link table, as the desk would have made them. `ref`: the keyed hash of a number."""
    (directory / "library.key").write_text(KEY.hex(), encoding="ascii")
    (directory / "library.key").chmod(0o600)
    with (directory / "readers.links").open("w", encoding="ascii") as file:
        for number in range(READERS):
            link = Link(number=reader_number(number), reader_class="adult")
            file.write(line(ref("tok", wallet(number).subject), link, KEY, number.to_bytes(12)))


def figures(directory: Path, written: Sequence[Entry], events: list[dict[str, Any]]) -> dict[str, Any]:
    """What the kiosks' run came to."""
    moved = [(entry, entry.fact) for entry in written if isinstance(entry.fact, Circulated)]
    told = [entry.fact for entry in written if isinstance(entry.fact, Replayed)]
    lent = [(entry, fact) for entry, fact in moved if fact.what is Circulation.LENT]
    return {
        "loans": len(lent),
        "loans_offline": sum(fact.waits for _, fact in lent),
        "returns": sum(fact.what is Circulation.RETURNED for _, fact in moved),
        "replayed": sum(fact.fate is not Fate.LISTED for fact in told),
        "librarian_list": sum(fact.fate is Fate.LISTED for fact in told),
        "loans_lost": _lost(directory, written, lent, events),
    }


def _lost(
    directory: Path, written: Sequence[Entry], lent: list[tuple[Entry, Circulated]], events: list[dict[str, Any]]
) -> int:
    """Loans of the journal that nobody knows of any more."""
    undone = {
        entry.fact.of
        for entry in written
        if isinstance(entry.fact, Circulated) and entry.fact.what is Circulation.UNDONE
    }
    settled = {entry.fact.of: entry.fact.fate for entry in written if isinstance(entry.fact, Replayed)}
    still = {entry.name for entry, fact in lent if fact.waits and settled.get(entry.name, Fate.LISTED) is Fate.LISTED}
    journal = _loans(written, undone | still)
    parameters = load({path.name: path.read_bytes() for path in (directory / "parameters").iterdir()})
    made = Counter(
        accounts.refs("book", event["book"].encode(), parameters)[0]
        for event in events
        if event["kind"] == "library_lent"
    )
    return sum((journal - made).values())


def _loans(written: Sequence[Entry], left_out: Container[EntryName | None]) -> Counter[Ref]:
    """How often each book was lent to somebody who did not have it already."""
    reader = {entry.name: entry.fact.medium_ref for entry in written if isinstance(entry.fact, Decided)}
    out, loans = dict[Ref, Ref | None](), Counter[Ref]()
    for entry in written:
        fact = entry.fact
        if not isinstance(fact, Circulated) or fact.book is None:
            continue
        if fact.what is Circulation.RETURNED:
            out.pop(fact.book, None)
        elif fact.what is Circulation.LENT and entry.name not in left_out:
            who = reader.get(fact.of) if fact.of is not None else None
            loans[fact.book] += who is None or out.get(fact.book) != who
            out[fact.book] = who
    return loans
