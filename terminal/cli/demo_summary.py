"""What the demo's run came to: counted from what each process wrote down by itself.

Laws of this file:
- The journal is read from its file, head office's set from its own database, openings from the boards' events.
- An opening needs an earlier durable grant of its own: openings are paired with grants in order, by CLOCK_MONOTONIC.
- Latency runs from the last byte on the line to the coil, both clocked outside the terminal. A camera's own, from a
  picture's arrival to its payload, is what the terminal's status says.
"""

import itertools
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
from rich.table import Table

from drivers.store import recovery
from terminal.cli import demo_library
from terminal.core.entries import Decided, Entry, decode
from terminal.core.model import Verdict

NEVER = ("missing", "office_duplicates", "openings_without_entry", "loans_lost")  # what must be 0

Names = set[tuple[str, bytes, int]]


def summary(
    directory: Path, terminals: list[str], events: list[dict[str, Any]], decisions: list[dict[str, Any]]
) -> dict[str, Any]:
    """One JSON object's worth of figures."""
    written = [entry for name in terminals for entry in _entries(directory / name / "journal")]
    names = {(entry.terminal, entry.name.epoch, entry.name.sequence) for entry in written}
    decided = [entry for entry in written if isinstance(entry.fact, Decided)]
    granted = [entry for entry in decided if _fact(entry).verdict is Verdict.GRANT]
    office, office_status = _office(directory)
    held = Counter(office)
    took_ms = latencies_ms(events)
    openings = [event for event in events if event["kind"] == "opened"]
    return (
        {
            "presented": sum(event["kind"] == "presented" for event in events),
            "granted": len(granted),
            "denied": dict(
                Counter(_fact(entry).reason.value for entry in decided if entry not in granted).most_common()
            ),
            "entries": len(names),
            "uploaded": len(names & set(office)),
            "resent": office_status.get("absorbed", 0),
            "office_records": len(office),
            "office_duplicates": sum(count - 1 for count in held.values()),
            "missing": len(names - set(office)),
            "evidence_verified": office_status.get("evidence_verified", 0),
            "evidence_bad": office_status.get("evidence_bad", 0),
            "office_troubles": office_status.get("troubles", {}),
            "gate_openings": len(openings),
            "openings_without_entry": openings_without_entry(openings, granted, decisions),
            "p50_ms": quantile(took_ms, 0.50),
            "p99_ms": quantile(took_ms, 0.99),
        }
        | _cameras(directory, terminals, events)
        | _cards(events)
        | demo_library.figures(directory, written, events)
    )


def openings_without_entry(
    openings: list[dict[str, Any]], granted: list[Entry], decisions: list[dict[str, Any]]
) -> int:
    """How many openings have no durable grant of their own from before.

    A group's grant stands for as many openings as people. Where a terminal told when the commit returned, that is the
    earliest moment; where it was killed before it could tell, the tap itself is.
    """
    committed = {(line["epoch"], line["sequence"]): line["committed_ns"] for line in decisions}
    rights: list[tuple[int, str]] = []
    for entry in granted:
        fact = _fact(entry)
        earliest = committed.get((entry.name.epoch.hex(), entry.name.sequence), entry.at.monotonic_ns)
        rights += [(earliest, fact.lane)] * fact.persons
    without = 0
    for opening in sorted(openings, key=lambda event: event["opened_ns"]):
        before = [right for right in rights if right[1] == opening["lane"] and right[0] <= opening["opened_ns"]]
        if before:
            rights.remove(max(before))
        else:
            without += 1
    return without


def latencies_ms(events: list[dict[str, Any]]) -> list[float]:
    """From the last byte on the line to the coil, for every presentation that opened."""
    took = []
    shown: dict[str, int] = {}
    for event in sorted(events, key=lambda event: event.get("opened_ns", event.get("last_byte_ns", event["t_ns"]))):
        if event["kind"] == "presented" and not (event.get("camera") or event.get("card")):
            shown[event["lane"]] = event["last_byte_ns"]
        elif event["kind"] == "opened" and event["lane"] in shown:
            took.append((event["opened_ns"] - shown.pop(event["lane"])) / 1e6)
    return took


def _cards(events: list[dict[str, Any]]) -> dict[str, Any]:
    """How many held a card there, and how long until the gate opened: pcscd's looking, every 0.4 s, is part of it."""
    held = [event for event in events if event["kind"] == "presented" and event.get("card")]
    lanes = {event["lane"] for event in held}
    moments = sorted(
        [(event["last_byte_ns"], False) for event in held]
        + [(event["opened_ns"], True) for event in events if event["kind"] == "opened" and event["lane"] in lanes]
    )
    took = [
        (moment - before) / 1e6
        for (before, earlier), (moment, opened) in itertools.pairwise(moments)
        if opened and not earlier
    ]
    return {"card_presented": len(held), "card_opened": len(took), "card_p50_ms": quantile(took, 0.5)}


def _cameras(directory: Path, terminals: list[str], events: list[dict[str, Any]]) -> dict[str, Any]:
    """How many held out a phone to a camera, and what the cameras' own status says."""
    statuses = [msgspec.json.decode((directory / name / "status.json").read_bytes()) for name in terminals]
    readers = [one for status in statuses for lane in status["lanes"].values() for one in lane["readers"].values()]
    return {
        "camera_presented": sum(event["kind"] == "presented" and bool(event.get("camera")) for event in events),
        "camera_restarts": sum(sum(one.get("restarts", {}).values()) for one in readers),
        "camera_p50_ms": max((one.get("latency_ms", {}).get("p50", 0.0) for one in readers), default=0.0),
        "camera_p99_ms": max((one.get("latency_ms", {}).get("p99", 0.0) for one in readers), default=0.0),
    }


def quantile(values: list[float], part: float) -> float | None:
    """The value below which `part` of all values lie."""
    if not values:
        return None
    return round(sorted(values)[min(len(values) - 1, int(len(values) * part))], 2)


def table(figures: dict[str, Any]) -> Table:
    """The summary as a person reads it."""
    grid = Table(title="what it came to", show_header=False)
    for name, value in figures.items():
        text = ", ".join(f"{key} {number}" for key, number in value.items()) if isinstance(value, dict) else str(value)
        grid.add_row(name.replace("_", " "), text)
    return grid


def _entries(journal: Path) -> list[Entry]:
    """Every entry of a journal, read-only."""
    with recovery.reading(journal) as written:
        return [decode(stored.data) for stored in written.entries()]


def _fact(entry: Entry) -> Decided:
    assert isinstance(entry.fact, Decided)
    return entry.fact


def _office(directory: Path) -> tuple[list[tuple[str, bytes, int]], dict[str, Any]]:
    """Head office's own set and its status."""
    db = sqlite3.connect(f"file:{directory / 'office.db'}?mode=ro", uri=True)
    rows = db.execute("SELECT terminal, epoch, sequence FROM records").fetchall()
    db.close()
    return [(row[0], row[1], row[2]) for row in rows], msgspec.json.decode((directory / "office.json").read_bytes())
