"""What goes into the journal's tables and comes out again: plain functions over one connection.

Laws of this file:
- Nothing here begins or ends a transaction; whoever calls owns it.
- The projection is written with the entries, in their order; `projected` says how far it reaches.
- A stored value of another type than was written is damage, and is raised as BadEntry.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from operator import attrgetter
from typing import Any

import apsw
import msgspec

from terminal.core import ledger, projection
from terminal.core.entries import NOTHING, BadEntry, Entry, EpochBegan, Head, StoredEntry, decode
from terminal.core.ledger import Ledger
from terminal.core.model import EntryName, PassageMode, Ref, Use, UseState
from terminal.core.projection import UseChange

USE_COLUMNS = (
    "epoch, sequence, lane, at_ms, code_key, twin_key, medium, account, product, fare_type, amount_fen, passage, "
    "state, persons, passed, annulled_persons"
)
_ENTRIES = (
    "SELECT e.row, p.epoch, e.row - p.first_row + 1, e.data, e.hash, e.at_ms, e.receipt FROM entries e JOIN epochs p "
    "ON p.first_row = (SELECT max(first_row) FROM epochs WHERE first_row <= e.row) "
)
RECEIPTS = (None, 1, 2)
_NOT_WAITING = (
    "SELECT min(row) - 1 + (SELECT ifnull(sum(last - first + 1), 0) FROM receipted) FROM entries"  # pruned, sent
)
REMEMBERED = ("key_number", "parameter_version", "lowered_row")
_remembered = attrgetter(*REMEMBERED)

# --------------------------------------------------------------------------- writing


def insert(
    db: apsw.Connection | apsw.Cursor, row: int, entry: Entry, data: bytes, digest: bytes, receipt: int | None = None
) -> None:
    """One entry; `project` it as well."""
    db.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", (row, entry.at.utc_ms, receipt, digest, data))
    if isinstance(entry.fact, EpochBegan):
        db.execute("INSERT INTO epochs VALUES (?, ?)", (entry.name.epoch, row))


def project(db: apsw.Connection, row: int, entry: Entry) -> None:
    """What one entry changes in the projection; call `projected_up_to` when done."""
    begun = projection.begins(entry)
    if begun is not None:
        _insert_use(db, row, begun)
    for effect in projection.effects(entry):
        _change_ledger(db, effect.party, entry.at.utc_ms, partial(projection.ledger_after, effect=effect, entry=entry))
    change = projection.changes(entry)
    if change is not None:
        _change_use(db, change, entry.at.utc_ms)


def project_the_rest(db: apsw.Connection) -> None:
    """What an older program left behind: entries whose projection was to follow. Raises BadEntry."""
    rest = list(entries(db, "WHERE e.row > ? ORDER BY e.row", projected(db)))
    for stored in rest:
        project(db, stored.row, decode(stored.data))
    if rest:
        projected_up_to(db, rest[-1].row)


def projected_up_to(db: apsw.Connection, row: int) -> None:
    """Remember how far the projection reaches."""
    db.execute("INSERT OR REPLACE INTO memory VALUES ('projected', ?)", (row,))


def remember(db: apsw.Connection, before: Head, after: Head) -> None:
    """Keep what must outlive pruning, where it changed."""
    was, now = _remembered(before), _remembered(after)
    if was != now:
        changed = [(name, new) for name, old, new in zip(REMEMBERED, was, now, strict=True) if new != old]
        db.executemany("INSERT OR REPLACE INTO memory VALUES (?, ?)", changed)


def remember_at_least(db: apsw.Connection, said: Head) -> None:
    """What the entries said outweighs what was remembered less of."""
    kept = memory(db)
    before = msgspec.structs.replace(NOTHING, **kept)
    larger = {name: max(kept.get(name, 0), getattr(said, name)) for name in REMEMBERED}
    remember(db, before, msgspec.structs.replace(NOTHING, **larger))


def anchor(db: apsw.Connection, head: Head) -> None:
    """Remember that the chain holds up to here. What pruning anchored stays."""
    db.execute("DELETE FROM anchors WHERE row >= (SELECT min(row) FROM entries)")
    db.execute(
        "INSERT OR REPLACE INTO anchors VALUES (?, ?, ?, ?)", (head.row, head.name.epoch, head.name.sequence, head.hash)
    )


def prune(db: apsw.Connection, before_ms: int, limit: int) -> int:
    """Forget the oldest receipted entries made before then, at most `limit`; an anchor stays. The number forgotten."""
    oldest: list[Any] = db.execute(
        "SELECT row, at_ms, receipt FROM entries ORDER BY row LIMIT ?", (limit + 1,)
    ).fetchall()
    # What stands before a lowered floor was written while the clock ran ahead: it is no newer than the lowering.
    lowered_row = memory(db).get("lowered_row", 0)
    lowered = number(db, "SELECT at_ms FROM entries WHERE row = ?", lowered_row)  # 0: it is still to come (tail.py)
    gone = 0
    for row, at_ms, receipt in oldest[:-1]:  # the newest entry always stays: it is the head
        made_ms = min(at_ms, lowered) if lowered and row < lowered_row else at_ms
        if receipt is None or made_ms >= before_ms:
            break
        gone = row
    if not gone:
        return 0
    last = next(entries(db, "WHERE e.row = ?", gone))
    _forget_ledgers(db, gone)
    db.execute("DELETE FROM anchors WHERE row < ?", (gone,))
    db.execute(
        "INSERT OR REPLACE INTO anchors VALUES (?, ?, ?, ?)", (gone, last.name.epoch, last.name.sequence, last.hash)
    )
    for use in db.execute(
        "SELECT row, at_ms, code_key, twin_key, medium, account FROM uses WHERE row <= ?", (gone,)
    ).fetchall():
        db.executemany(
            "DELETE FROM use_keys WHERE key = ? AND at_ms = ? AND row = ?", [(key, use[1], use[0]) for key in use[2:]]
        )
    db.execute("DELETE FROM uses WHERE row <= ?", (gone,))
    db.execute("DELETE FROM entries WHERE row <= ?", (gone,))
    db.execute("DELETE FROM receipted WHERE last <= ?", (gone,))
    db.execute("UPDATE receipted SET first = ? WHERE first <= ?", (gone + 1, gone))
    return int(gone - oldest[0][0] + 1)


def _insert_use(db: apsw.Connection, row: int, use: Use) -> None:
    marks = ",".join("?" * 17)
    db.execute(f"INSERT INTO uses (row, {USE_COLUMNS}) VALUES ({marks})", (row, *_columns(use)))
    db.executemany("INSERT INTO use_keys VALUES (?, ?, ?)", [(key, use.at_ms, row) for key in projection.keys(use)])


def _change_use(db: apsw.Connection, change: UseChange, at_ms: int) -> None:
    base = first_row(db, change.of.epoch)
    row = None if base is None else base + change.of.sequence - 1
    found = db.execute(f"SELECT {USE_COLUMNS} FROM uses WHERE row = ?", (row,)).fetchone()
    if found is None:  # its grant was pruned
        return
    before = _use(found)
    use = projection.apply(before, change)
    db.execute(
        "UPDATE uses SET state = ?, passed = ?, annulled_persons = ? WHERE row = ?",
        (use.state.value, use.passed, use.annulled_persons, row),
    )
    if use.persons_charged != before.persons_charged:
        _correct_ledgers(db, next(entries(db, "WHERE e.row = ?", row)).data, before, use, at_ms)


def _correct_ledgers(db: apsw.Connection, data: bytes, before: Use, use: Use, at_ms: int) -> None:
    """A grant stands for fewer people now, or for more again: so do its effects."""
    grant = decode(data)
    correct = partial(projection.ledger_corrected, grant=grant, use=before, corrected=use)
    for effect in projection.effects(grant):
        _change_ledger(db, effect.party, at_ms, partial(correct, effect=effect))


def _change_ledger(db: apsw.Connection, party: Ref, at_ms: int, change: Callable[[Ledger], Ledger]) -> None:
    found = db.execute("SELECT data FROM ledgers WHERE party = ?", (party,)).fetchone()
    after = change(ledger.NOTHING if found is None else ledger.decode(found[0]))
    kept = ledger.encode(after)
    db.execute("INSERT OR REPLACE INTO ledgers VALUES (?, ?, ?, ?)", (party, at_ms, kept, proof(party, at_ms, kept)))


def proof(party: bytes, at_ms: int, data: bytes) -> bytes:
    """What a ledger carries against flipped bits: eight bytes of SHA-256 over all it says."""
    return hashlib.sha256(party + at_ms.to_bytes(8) + data).digest()[:8]


def _forget_ledgers(db: apsw.Connection, gone: int) -> None:
    """Ledgers nobody touched since entries that are pruned now, and that say nothing any more."""
    now_ms = number(db, "SELECT at_ms FROM entries ORDER BY row DESC LIMIT 1")
    for stored in list(entries(db, "WHERE e.row <= ?", gone)):
        for effect in projection.effects(decode(stored.data)):
            found = db.execute("SELECT touched_ms, data FROM ledgers WHERE party = ?", (effect.party,)).fetchone()
            if found is not None and ledger.may_forget(ledger.decode(found[1]), found[0], now_ms):
                db.execute("DELETE FROM ledgers WHERE party = ?", (effect.party,))


# --------------------------------------------------------------------------- reading


def entries(db: apsw.Connection, where: str, *values: object) -> Iterator[StoredEntry]:
    """Stored entries, as bytes. `where` is our own text. Raises BadEntry or apsw.Error."""
    for stored, _, _ in rows(db, where, *values):
        yield stored


def rows(db: apsw.Connection, where: str, *values: object) -> Iterator[tuple[StoredEntry, int, int | None]]:
    """Stored entries with what stands beside them: the time by which they are pruned, and their receipt."""
    for row, epoch, sequence, data, digest, at_ms, receipt in db.execute(_ENTRIES + where, values):
        if not (isinstance(data, bytes) and isinstance(digest, bytes) and isinstance(epoch, bytes)):
            raise BadEntry(f"row {row} changed its type")
        name = EntryName(epoch=epoch, sequence=sequence)
        yield StoredEntry(row=row, name=name, data=data, hash=digest), at_ms, receipt


def uses(db: apsw.Connection, keys: Sequence[Ref], since_ms: int) -> list[Use]:
    """Uses under any of these keys."""
    marks = ",".join("?" * len(keys))
    query = (
        f"SELECT {USE_COLUMNS} FROM uses WHERE row IN "  # only question marks are put in
        f"(SELECT row FROM use_keys WHERE key IN ({marks}) AND at_ms >= ?)"
    )
    return [_use(row) for row in db.execute(query, (*keys, since_ms))]


def ledgers(db: apsw.Connection, parties: Sequence[Ref]) -> dict[Ref, Ledger]:
    """The ledgers there are of these parties."""
    marks = ",".join("?" * len(parties))
    query = f"SELECT party, data FROM ledgers WHERE party IN ({marks})"  # only question marks are put in
    return {Ref(party): ledger.decode(data) for party, data in db.execute(query, tuple(parties))}


def all_ledgers(db: apsw.Connection) -> dict[Ref, Ledger]:
    """The whole projection, for comparing it with the fold."""
    return {Ref(party): ledger.decode(data) for party, data in db.execute("SELECT party, data FROM ledgers")}


def row_of(db: apsw.Connection, name: EntryName) -> int:
    """The row of an entry, there or pruned; 0 for an epoch nobody knows."""
    base = first_row(db, name.epoch)
    return 0 if base is None else base + name.sequence - 1


def uses_from(db: apsw.Connection, row: int) -> list[Use]:
    """Uses begun in this row or a later one, oldest first."""
    return [_use(found) for found in db.execute(f"SELECT {USE_COLUMNS} FROM uses WHERE row >= ? ORDER BY row", (row,))]


def uses_behind(db: apsw.Connection, row: int) -> list[tuple[int, Use]]:
    """Uses begun behind a row, oldest first, with their rows."""
    query = f"SELECT {USE_COLUMNS}, row FROM uses WHERE row > ? ORDER BY row"
    return [(found[-1], _use(found)) for found in db.execute(query, (row,))]


def open_uses(db: apsw.Connection) -> list[Use]:
    """Uses nobody has walked on yet, oldest first."""
    return [_use(row) for row in db.execute(f"SELECT {USE_COLUMNS} FROM uses WHERE state = 'reserved' ORDER BY row")]


def all_uses(db: apsw.Connection) -> list[Use]:
    """The whole projection, for comparing it with the fold."""
    return [_use(row) for row in db.execute(f"SELECT {USE_COLUMNS} FROM uses ORDER BY row")]


def projected(db: apsw.Connection) -> int:
    """The row up to which entries are projected."""
    return number(db, "SELECT value FROM memory WHERE name = 'projected'")


def last_anchor(db: apsw.Connection) -> Head:
    """How far the chain was verified."""
    return _anchor_of(db.execute("SELECT row, epoch, sequence, hash FROM anchors ORDER BY row DESC LIMIT 1").fetchone())


def newest_row(db: apsw.Connection) -> int:
    """The newest entry's row; 0 where there is none."""
    return number(db, "SELECT max(row) FROM entries")


def owner(db: apsw.Connection) -> str | None:
    """The terminal that wrote the newest entry. Raises BadEntry."""
    newest = next(entries(db, "ORDER BY e.row DESC LIMIT 1"), None)
    return None if newest is None else decode(newest.data).terminal


def place_of(db: apsw.Connection, row: int) -> Head:
    """A place in the chain to verify from: this row, as far as it is there."""
    stored = next(entries(db, "WHERE e.row = ?", row), None)
    if stored is None:
        return base(db)
    return Head(name=stored.name, hash=stored.hash, floor_ms=0, unsent=0, row=row)


def bytes_in_use(db: apsw.Connection) -> int:
    """What the entries and their projection take; pages that pruning freed are not counted."""
    pages = int(db.pragma("page_count")) - int(db.pragma("freelist_count"))
    return pages * int(db.pragma("page_size"))


def base(db: apsw.Connection) -> Head:
    """What stands before the oldest entry: nothing, or the anchor pruning left."""
    before = "WHERE row < (SELECT min(row) FROM entries) ORDER BY row DESC LIMIT 1"
    query = f"SELECT row, epoch, sequence, hash FROM anchors {before}"
    return _anchor_of(db.execute(query).fetchone())


def head(db: apsw.Connection) -> Head:
    """The end of the chain, with what is remembered beside it."""
    remembered = memory(db)
    last = next(entries(db, "ORDER BY e.row DESC LIMIT 1"), None)
    if last is None:  # a new journal, or one that lost all behind its anchor
        return msgspec.structs.replace(last_anchor(db), **remembered)
    newest = "SELECT max(at_ms) FROM (SELECT at_ms FROM entries WHERE row >= ? ORDER BY row DESC LIMIT 1000)"
    lowered_row = remembered.get("lowered_row", 0)
    return Head(
        name=last.name,
        hash=last.hash,
        floor_ms=number(db, newest, lowered_row),
        unsent=last.row - number(db, _NOT_WAITING),
        row=last.row,
        key_number=remembered.get("key_number", 0),
        parameter_version=remembered.get("parameter_version", 0),
        lowered_row=lowered_row,
    )


def first_row(db: apsw.Connection, epoch: bytes) -> int | None:
    """The row of an epoch's first entry, or None."""
    found = db.execute("SELECT first_row FROM epochs WHERE epoch = ?", (epoch,)).fetchone()
    return None if found is None else int(found[0])


def hash_at(db: apsw.Connection, row: int) -> bytes | None:
    """The hash of the entry in this row, or of the anchor that stands for it."""
    query = "SELECT hash FROM entries WHERE row = ? UNION ALL SELECT hash FROM anchors WHERE row = ?"
    found = db.execute(query, (row, row)).fetchone()
    return None if found is None else found[0]


def memory(db: apsw.Connection) -> dict[str, int]:
    """What outlives pruning."""
    found: Any = db.execute("SELECT name, value FROM memory").fetchall()
    return {name: value for name, value in found if name in REMEMBERED}


def number(db: apsw.Connection, query: str, *values: Any) -> int:
    """What a query of one number finds; 0 where it finds nothing."""
    found = db.execute(query, values).fetchone()
    return int(found[0] or 0) if found else 0


def _anchor_of(found: tuple[Any, ...] | None) -> Head:
    if found is None:
        return NOTHING
    row, epoch, sequence, digest = found
    return Head(name=EntryName(epoch=epoch, sequence=sequence), hash=digest, floor_ms=0, unsent=0, row=row)


def _columns(use: Use) -> tuple[Any, ...]:
    assert use.name is not None
    refs = (use.code_key, use.twin_key, use.medium, use.account)
    price = (use.product, use.fare_type, use.amount_fen)
    walked = (use.passage.value, use.state.value, use.persons, use.passed, use.annulled_persons)
    return (use.name.epoch, use.name.sequence, use.lane, use.at_ms, *refs, *price, *walked)


def _use(row: Sequence[Any]) -> Use:
    return Use(
        name=EntryName(epoch=row[0], sequence=row[1]),
        lane=row[2],
        at_ms=row[3],
        code_key=Ref(row[4]),
        twin_key=Ref(row[5]),
        medium=Ref(row[6]),
        account=None if row[7] is None else Ref(row[7]),
        product=row[8],
        fare_type=row[9],
        amount_fen=row[10],
        passage=PassageMode(row[11]),
        state=UseState(row[12]),
        persons=row[13],
        passed=row[14],
        annulled_persons=row[15],
    )
