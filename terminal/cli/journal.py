"""`terminal journal show|find|verify|export`: look into a journal without touching it.

Laws of this file:
- The journal is opened read-only; a running terminal is not disturbed.
- Sealed fields are shown as sealed: nothing on the terminal can open them.
- Verifying walks every link and says what is wrong and where; the exit code says whether the chain holds.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw
import msgspec

from drivers.store import receipts, recovery, tables
from drivers.store.head_file import peek
from drivers.store.recovery import Reading
from terminal.cli import exit_codes
from terminal.core import batch, proof
from terminal.core.entries import BadEntry, Entry, StoredEntry, decode, kind_of

RUN = 500  # entries of one exported batch at most
RUN_BYTES = 1 << 20


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The `journal` part of the command line."""
    parser = commands.add_parser("journal", help="show, verify or export a journal, read-only")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    show = actions.add_parser("show", help="print entries, oldest first")
    show.add_argument("--json", action="store_true", help="one JSON object a line")
    show.add_argument("--last", type=int, metavar="N", help="only the newest N entries")
    find = actions.add_parser("find", help="print the entry of a proof: the six characters a display showed")
    find.add_argument("proof", help="such as 7KD2XQ; small letters and spaces do not matter")
    find.add_argument("--json", action="store_true", help="one JSON object a line")
    verify = actions.add_parser("verify", help="walk the whole chain and compare it with the head file")
    verify.add_argument("--json", action="store_true", help="one JSON object")
    export = actions.add_parser("export", help="write what head office does not hold yet to a file it can import")
    export.add_argument("--all", action="store_true", help="also what is receipted already; head office counts it once")
    for action in (show, find, verify, export):
        action.add_argument("path", type=Path, help="the journal's directory, such as state/journal")
    export.add_argument("file", type=Path, help="the file to write")


def run(options: argparse.Namespace) -> int:
    """Run one action. A journal that cannot be read is told with what to try."""
    if not (options.path / recovery.DATABASE).is_file():
        return _complain(f"no journal in {options.path}", "name the directory that holds journal.db")
    try:
        with recovery.reading(options.path) as journal:
            action = {"show": _show, "find": _find, "verify": _verify, "export": _export}[options.action]
            return action(options, journal)
    except (BadEntry, ValueError, apsw.Error) as error:
        return _complain(
            f"{options.path}: {error}", "run `terminal journal verify` to see where it breaks", exit_codes.NO
        )
    except BrokenPipeError:
        raise
    except OSError as error:
        return _complain(str(error), "check the path, its permissions and the free space")


def _complain(what: str, hint: str, code: int = exit_codes.DEVICE) -> int:
    print(f"terminal journal: {what} ({hint})", file=sys.stderr)
    return code


# --------------------------------------------------------------------------- show


def _show(options: argparse.Namespace, journal: Reading) -> int:
    after = 0 if options.last is None else max(0, journal.newest_row() - options.last)
    for stored in journal.entries(after):
        entry = decode(stored.data)
        print(json.dumps(as_json(entry), ensure_ascii=False) if options.json else as_line(entry))
    return exit_codes.OK


def _find(options: argparse.Namespace, journal: Reading) -> int:
    """In each epoch a proof is one sequence. The exit code says whether there was an entry."""
    if not proof.is_proof(options.proof):
        return _complain(
            f"{options.proof!r} is no proof", f"six characters of {proof.ALPHABET}, as the display showed them"
        )
    found = 0
    for epoch, first_row in journal.db.execute("SELECT epoch, first_row FROM epochs ORDER BY first_row"):
        row = first_row + proof.sequence_of(options.proof, epoch) - 1
        stored = journal.at(row)
        if stored is not None and stored.name.epoch == epoch:
            entry = decode(stored.data)
            print(json.dumps(as_json(entry), ensure_ascii=False) if options.json else as_line(entry))
            found += 1
    if not found:
        print(f"no entry of {options.path} has the proof {proof.plain(options.proof)}", file=sys.stderr)
    return exit_codes.OK if found else exit_codes.NO


def as_line(entry: Entry) -> str:
    """One entry for a person: number, time, kind, by which parameters it was judged, what it says."""
    when = datetime.fromtimestamp(entry.at.utc_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    fields = as_json(entry)["fact"]
    fields.pop("type")
    evidence = fields.pop("evidence", None)
    by = "" if evidence is None else f"v{evidence['parameter_version']} "
    said = by + " ".join(f"{name}={_short(value)}" for name, value in fields.items())
    sealed = "" if entry.sealed is None else f" [sealed, {len(entry.sealed.data)} bytes, key {entry.sealed.key}]"
    return f"{entry.name.epoch.hex()}/{entry.name.sequence:<8} {when}  {kind_of(entry.fact):<12} {said}{sealed}"


def as_json(entry: Entry) -> dict[str, Any]:
    """One entry as JSON values: bytes in hexadecimal, the sealed part only named."""
    plain = _plain(msgspec.to_builtins(entry, builtin_types=(bytes,)))
    assert isinstance(plain, dict)
    if entry.sealed is not None:
        plain["sealed"] = {"key": entry.sealed.key, "bytes": len(entry.sealed.data)}
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return "/".join(f"{_short(item)}" for item in value.values())
    text = ",".join(value) if isinstance(value, list) else str(value)
    return text if len(text) <= 34 else f"{text[:31]}…"


# --------------------------------------------------------------------------- verify


def _verify(options: argparse.Namespace, journal: Reading) -> int:
    wrong, kept, tail = None, peek(options.path / recovery.HEAD), recovery.tail_of(options.path)  # before the database
    with journal.db:  # one view: a running terminal may prune meanwhile
        start = tables.base(journal.db)
        end = start
        try:
            for step, _ in recovery.steps(journal.db, start):
                end = step
            end, newest = recovery.behind(end, tail)
            wrong = recovery.missing(journal.db, end, newest, tail, kept)
        except Exception as error:  # a flipped bit can raise anything
            wrong = f"{error}"
    found: dict[str, Any] = {
        "ok": wrong is None,
        "entries": end.row - start.row,
        "pruned": start.row,
        "epoch": end.name.epoch.hex(),
        "sequence": end.name.sequence,
        "hash": end.hash.hex(),
        "wrong": wrong,
    }
    if options.json:
        print(json.dumps(found))
    else:
        place = (
            f"{found['entries']} entries hold, up to {found['epoch']}/{found['sequence']} (hash {found['hash'][:16]}…)"
        )
        print(place if wrong is None else f"{place}\nthen: {wrong}")
    return exit_codes.OK if wrong is None else exit_codes.NO


# --------------------------------------------------------------------------- export


def _export(options: argparse.Namespace, journal: Reading) -> int:
    terminal = next((decode(stored.data).terminal for stored in journal.entries()), "")
    count = 0

    def batches() -> Iterator[batch.Batch]:
        nonlocal count
        for one in _runs(journal, everything=options.all):
            count += len(one)
            yield batch.cut(terminal, one)

    part = options.file.with_name(options.file.name + ".part")
    with part.open("wb") as file:
        for piece in batch.encode_export(batches()):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    part.replace(options.file)
    print(f"{count} entries of {terminal or 'nobody'} written to {options.file}")
    return exit_codes.OK


def _runs(journal: Reading, *, everything: bool) -> Iterator[list[StoredEntry]]:
    """Runs of one epoch, oldest first, each small enough for one batch."""
    row = 0
    while run := receipts.unsent(journal.db, row, RUN, RUN_BYTES, journal.behind(row), receipted=everything):
        yield run
        row = run[-1].row + 1
