"""What head office finds by laying the records of all its terminals beside one another.

Laws of this file:
- Only what the records say is used; nothing is asked of a terminal.
- A finding names terminals and keyed hashes, never a rider: who acts on it has the lists to act with.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import cbor2

from simulators.office_records import carried


def used_at_several(db: sqlite3.Connection) -> dict[bytes, tuple[str, ...]]:
    """Code (keyed hash) → the terminals that each let somebody in by it: they shared no history at that moment."""
    places: defaultdict[bytes, set[str]] = defaultdict(set)
    for terminal, fact in _facts(db, "decision"):
        if fact["verdict"] in ("grant", "grant_in_doubt") and fact.get("repeat_of") is None and "code_key" in fact:
            places[fact["code_key"]].add(terminal)
    return {code: tuple(sorted(where)) for code, where in places.items() if len(where) > 1}


def boxes_opened(db: sqlite3.Connection) -> tuple[str, ...]:
    """Terminals whose box was ever opened: their keys are marked until a person knows who it was."""
    return tuple(sorted({terminal for terminal, fact in _facts(db, "alarm") if fact["kind"] == "box_opened"}))


def _facts(db: sqlite3.Connection, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(terminal, fact) of every record of a kind, each once whatever names it had."""
    for terminal, data in db.execute("SELECT terminal, data FROM records WHERE kind = ? GROUP BY counts_as", (kind,)):
        entry = carried(cbor2.loads(data))
        assert entry is not None
        yield terminal, entry["fact"]
