"""Damage to the journal's files: is it noticed before the first gate opens, or did it change nothing?

    python -m tests.rigs.damage --flips 200
    python -m tests.rigs.damage --flips 200 --plant "sqlite alone"      # must be noticed to miss something

Laws of this file:
- Two journals are damaged: one stopped clean, one as a killed process leaves it, with a live write-ahead log over older
  frames, and entries that are in the tail file only. Six flips of ten hit a live byte of an entry, the others any byte
  of database, log, head file or what was ever written of the tail file.
- Noticed: the start refuses, or begins a new epoch and keeps a copy. Harmless: everything a terminal knows from its
  journal still reads back as before: entries byte for byte up to the head, receipts, uses, ledgers, what is remembered.
  Missed is the rest, and none may be.
- Once noticed, nothing that is not what was written may be left in the chain.
"""

import argparse
import asyncio
import json
import logging
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import apsw

from drivers.store import receipts, recovery, tables
from drivers.store.sqlite import SqliteStore
from terminal.core import projection
from terminal.core.entries import ContentKey, Draft, Fact, ParametersChanged, Receipt, Refused, Sealed
from terminal.ports import StoreBroken
from tests.journal_cases import NOON_MS, TestClock, annulled, at, decided, walked
from tests.plants import STORE_PLANTS

TERMINAL = "bus-1"
FILES = (recovery.DATABASE, recovery.LOG, recovery.HEAD, recovery.TAIL_FILE)
LIVE_OF_TEN = 6
LOG_HEADER, FRAME = 32, 24 + 4096  # sqlite.org/fileformat2.html, 4: pages of 4096 bytes


class Sample(NamedTuple):
    """An undamaged journal's files, those of an hour before, and what a terminal knows from them."""

    name: str
    directory: Path
    earlier: Path
    known: dict[str, Any]


class Damage(NamedTuple):
    """One damage done: what, and whether it hit a live byte of an entry."""

    what: str
    live: bool = False


Do = Callable[[Path], Damage]


# --------------------------------------------------------------------------- two journals


async def samples(place: Path, terminal: str = TERMINAL) -> list[Sample]:
    """A journal stopped clean, and one as a killed process leaves it."""
    made = []
    for name in ("stopped", "killed"):
        directory = place / terminal / name
        store = SqliteStore(directory, TestClock())
        store.open(terminal, at())
        earlier = place / terminal / f"{name}, earlier"
        await _fill(store, earlier)
        if name == "killed":
            await asyncio.sleep(0.05)  # the head file is written a moment after the waiter has heard
            shutil.copytree(directory, place / terminal / "running")
        await store.close()
        if name == "killed":
            shutil.rmtree(directory)
            (place / terminal / "running").rename(directory)
        with suppress(OSError):
            (directory / (recovery.DATABASE + "-shm")).unlink()  # a power cut leaves none that counts
        made.append(Sample(name, directory, earlier, await _after_a_start(directory, place / "reference", terminal)))
    return made


async def _after_a_start(directory: Path, work: Path, terminal: str) -> dict[str, Any]:
    """What is known once an undamaged copy was opened and stopped: the projection has caught up."""
    shutil.copytree(directory, work)
    store = SqliteStore(work, TestClock())
    store.open(terminal, at())
    await store.close()
    found = known(work)
    shutil.rmtree(work)
    return found


async def _fill(store: SqliteStore, earlier: Path) -> None:
    """A morning: rides, passages, keys, parameters, receipts, a refusal; checkpointed once on the way."""
    await _write(store, ParametersChanged(version=3, versions={"tariff": 2}))
    await _write(store, ContentKey(number=1, suite="test", office_key="k", sealed_key=bytes(80)))
    for number in range(110):
        ride = await _write(store, decided(f"rider {number}", persons=1 + number % 2), number)
        if number % 3:
            await _write(store, walked(ride.name) if number % 5 else annulled(ride.name), number)
        if number == 90:
            await asyncio.sleep(0.05)
            shutil.copytree(store.directory, earlier)
        if number == 70:
            run = store.unsent(0, 60, 1 << 20)
            refused = (Refused(sequence=9, reason="unreadable"),)
            last = run[-1]
            await store.settle(Receipt(TERMINAL, last.name.epoch, 1, last.name.sequence, last.hash, refused))
            store._owner._since_checkpoint = 10_000  # it is due at the next quiet moment …
            await asyncio.sleep(0.3)  # … and the log begins anew over its older frames
    for number in range(110, 140):  # nobody has walked yet: they wait in the tail file
        await _write(store, decided(f"rider {number}"), number)


async def _write(store: SqliteStore, fact: Fact, number: int = 0) -> Any:
    sealed = Sealed(key=1, nonce=number + 1, data=bytes((number + place) % 256 for place in range(220)))
    return await store.append(Draft(fact=fact, at=at(NOON_MS + number * 1000), sealed=sealed))


def known(directory: Path) -> dict[str, Any]:
    """Everything a terminal knows from its journal. Raises whatever damage raises."""
    db = recovery.connect(directory / recovery.DATABASE, apsw.SQLITE_OPEN_READONLY)
    try:
        unsent = []
        row = 0
        while run := receipts.unsent(db, row, 500, 1 << 30):
            unsent += [stored.name for stored in run]
            row = run[-1].row + 1
        return {
            "entries": [(stored.name, stored.data) for stored in tables.entries(db, "ORDER BY e.row")],
            "receipts": db.execute("SELECT row, receipt FROM entries ORDER BY row").fetchall(),
            "unsent": unsent,
            "uses": tables.all_uses(db),
            "found": [tables.uses(db, [key], 0) for use in tables.all_uses(db) for key in sorted(projection.keys(use))],
            "open": tables.open_uses(db),
            "ledgers": tables.all_ledgers(db),
            "head": tables.head(db),
        }
    finally:
        db.close()


# --------------------------------------------------------------------------- damage


def flip(random: Random, sample: Sample) -> Do:
    """One bit."""
    live = random.randrange(10) < LIVE_OF_TEN
    entry = random.choice(sample.known["entries"])[1]
    bit, fraction = random.randrange(8), random.random()
    file = random.choice(_files(sample))

    def do(directory: Path) -> Damage:
        if live:
            name, start = _where(directory, entry)
            place = start + int(fraction * len(entry))
        else:
            name = file
            place = int(fraction * len((directory / name).read_bytes().rstrip(b"\0")))
        data = bytearray((directory / name).read_bytes())
        data[place] ^= 1 << bit
        (directory / name).write_bytes(data)
        return Damage(f"bit {bit} of byte {place} of {name}", live)

    return do


def _files(sample: Sample) -> list[str]:
    return [name for name in FILES if (sample.directory / name).exists() and (sample.directory / name).stat().st_size]


def _where(directory: Path, entry: bytes) -> tuple[str, int]:
    """The file and place of an entry's bytes that count: the newest live frame of the log, else the database; of what
    stands in neither the tail file.
    """
    with suppress(FileNotFoundError):
        place = live_log((directory / recovery.LOG).read_bytes()).rfind(entry)
        if place >= 0:
            return recovery.LOG, place
    place = (directory / recovery.DATABASE).read_bytes().find(entry)
    if place >= 0:
        return recovery.DATABASE, place
    return recovery.TAIL_FILE, (directory / recovery.TAIL_FILE).read_bytes().index(entry)


def live_log(data: bytes) -> bytes:
    """The frames of a write-ahead log that count: those that carry its header's salts; older ones may lie behind."""
    end = LOG_HEADER
    while data[end + 8 : end + 16] == data[16:24] and end + FRAME <= len(data):  # salts, as in the header
        end += FRAME
    return data[:end]


def truncate(random: Random, sample: Sample) -> Do:
    """A file loses its end."""
    file, fraction = random.choice(_files(sample)), random.random()

    def do(directory: Path) -> Damage:
        data = (directory / file).read_bytes()
        (directory / file).write_bytes(data[: int(fraction * len(data))])
        return Damage(f"{file} cut to {int(fraction * len(data))}")

    return do


def swap(names: tuple[str, ...], other: Path, whose: str) -> Do:
    """Some files are another journal's: an older state of this one, or another terminal's."""

    def do(directory: Path) -> Damage:
        for name in names:
            (directory / name).unlink(missing_ok=True)
            if (other / name).exists():
                shutil.copy(other / name, directory / name)
        return Damage(f"{whose} {', '.join(names)}")

    return do


# --------------------------------------------------------------------------- judging


def judge(sample: Sample, do: Do, work: Path) -> tuple[str, Damage]:
    """Damage a copy and start on it: "noticed", "harmless" or "missed"."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(sample.directory, work)
    damage = do(work)
    store = SqliteStore(work, TestClock())
    try:
        store.open(TERMINAL, at())
    except StoreBroken:
        return "noticed", damage
    finally:
        _let_go(store)
    try:
        now = known(work)
    except Exception:  # what a start let pass must be readable
        return "missed", damage
    if list(work.glob("damaged-*")):
        return "noticed" if _is_honest(sample, now) else "missed", damage
    return "harmless" if now == sample.known else "missed", damage


def _let_go(store: SqliteStore) -> None:
    """End the process, as it were: no clean stop."""
    if store._writer is not None:
        asyncio.run(store.close())


def _is_honest(sample: Sample, now: dict[str, Any]) -> bool:
    """What is left of the old epoch is a beginning of what was written, and the new epoch stands behind it."""
    epoch = sample.known["entries"][0][0].epoch
    left = [entry for entry in now["entries"] if entry[0].epoch == epoch]
    written: list[Any] = sample.known["entries"]
    return bool(left == written[: len(left)] and now["entries"][: len(left)] == left)


def run(flips: int, others: int, seed: int, place: Path) -> tuple[Counter[str], list[str]]:
    """All damage; how it was taken, and what was missed."""
    random, counts, missed = Random(seed), Counter[str](), list[str]()
    made = asyncio.run(samples(place))
    strange = asyncio.run(samples(place, "another"))
    for sample, kind, do in _all(random, made, strange, flips, others):
        result, damage = judge(sample, do, place / "work")
        if kind == "flip":
            counts[result] += 1
            counts["live"] += damage.live
        counts[f"{kind} {result}"] += 1
        if result == "missed":
            missed.append(f"{sample.name}: {damage.what}")
    return counts, missed


def _all(
    random: Random, made: list[Sample], strange: list[Sample], flips: int, others: int
) -> Iterator[tuple[Sample, str, Do]]:
    for _ in range(flips):
        sample = random.choice(made)
        yield sample, "flip", flip(random, sample)
    for _ in range(others):
        sample = random.choice(made)
        yield sample, "truncated", truncate(random, sample)
    one: list[tuple[str, ...]] = [(name,) for name in FILES]
    for sample, other in zip(made, strange, strict=True):
        # A head file of an hour before, and the log or the tail file with it, make the whole disk an hour old: head
        # office notices that, nobody here.
        for names in (*one, FILES[:2], FILES[:3:2], (FILES[0], FILES[3])):
            yield sample, "stale", swap(names, sample.earlier, "an hour old")
        for names in (*one, FILES[:2], FILES[1:3], FILES[:3:2], FILES[1:], FILES[2:], FILES):
            yield sample, "swapped", swap(names, other.directory, "another terminal's")


def main() -> int:
    """Damage, judge, sum up."""
    parser = argparse.ArgumentParser(prog="python -m tests.rigs.damage", description="damage to the journal's files")
    parser.add_argument("--flips", type=int, default=200)
    parser.add_argument("--others", type=int, default=40, help="truncations; files of another terminal come besides")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plant", default="", choices=["", *STORE_PLANTS])
    options = parser.parse_args()
    logging.disable(logging.ERROR)  # each damage that is noticed is an alarm
    with (
        tempfile.TemporaryDirectory(prefix="onecard-damage-") as place,
        STORE_PLANTS[options.plant]() if options.plant else nullcontext(),
    ):
        counts, missed = run(options.flips, options.others, options.seed, Path(place))
    for what in missed:
        print(f"missed: {what}")
    print(json.dumps({name: count for name, count in sorted(counts.items()) if " " in name}))
    print(json.dumps({name: counts[name] for name in ("live", "noticed", "harmless", "missed")}))
    return (
        1 if missed or 2 * counts["live"] < options.flips else 0
    )  # half of the flips hit what counts, or it proves little


if __name__ == "__main__":
    sys.exit(main())
