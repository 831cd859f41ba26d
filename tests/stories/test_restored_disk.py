"""A disk image from yesterday comes back: real files, the real uploader, head office behind real TLS.

The law: head office notices it, a new epoch begins with an alarm, what was written under names head office held already
is issued again, and every ride of every disk is counted once, with its evidence.
"""

import asyncio
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import cbor2
import msgspec
import pytest

from drivers.store.sqlite import SqliteStore
from simulators.office import HeadOffice
from simulators.phone import Phone
from terminal.core import batch as batches
from terminal.core.entries import Alarm, EpochBegan, Reissued, decode, entry_hash
from terminal.core.model import EntryName
from terminal.runtime.journal import Journal
from terminal.runtime.uploader import Uploader
from tests.journal_cases import TestClock, at, decided, walked
from tests.office_cases import QUICK, TERMINAL, Keys, serve

NOW_S = 1_800_000_000


class Box:
    """One terminal's journal and uploader, switched on."""

    def __init__(self, keys: Keys, directory: Path, port: int) -> None:
        self.store = SqliteStore(directory, TestClock())
        self.store.open(TERMINAL, at())
        self.journal = Journal(self.store, TestClock(), TERMINAL)
        self.journal.use_keys_of(keys.office)
        self.office = keys.driver(port)
        self.uploader = Uploader(self.journal, self.office, TestClock(), keys=lambda: keys.office, now=at, rules=QUICK)

    async def rides(self, *numbers: int) -> list[EntryName]:
        """So many people board and walk, each with a code of their own, kept as evidence."""
        names = []
        for number in numbers:
            fact = msgspec.structs.replace(decided(f"rider {number}"), format="ride_code")
            entry = await self.journal.append(fact, at(), evidence=Phone(f"rider {number}").code(NOW_S))
            await self.journal.append(walked(entry.name), at())
            names.append(entry.name)
        return names

    async def upload(self) -> None:
        """Until nothing is left."""
        assert await self.uploader.drain(20.0)

    async def switch_off(self) -> list[bytes]:
        """Stop; every entry that is on the disk now."""
        await self.office.close()
        await self.store.close()
        again = SqliteStore(self.store.directory, TestClock())
        again.open(TERMINAL, at())
        held: list[Any] = [row[0] for row in again._reader.execute("SELECT data FROM entries ORDER BY row").fetchall()]
        await again.close()
        return held


def riders(head_office: HeadOffice) -> Counter[bytes]:
    """How often head office counts each rider."""
    found: Counter[bytes] = Counter()
    for (data,) in head_office.db.execute("SELECT data FROM records GROUP BY counts_as"):
        fact = cbor2.loads(data)["fact"]
        if fact["type"] == "reissued":
            fact = cbor2.loads(fact["data"])["fact"]
        if fact["type"] == "decision":
            found[fact["medium_ref"]] += 1
    return found


@pytest.mark.parametrize("ahead", [True, False], ids=["head office is ahead", "the image ran past it"])
async def test_yesterdays_image(tmp_path: Path, ahead: bool) -> None:
    """Yesterday's image writes on without a network, then meets a head office that knows today."""
    keys = Keys(tmp_path)
    directory = tmp_path / "journal"
    today = await yesterday_and_today(keys, directory)
    box = Box(keys, directory, 1)  # nobody listens there
    await box.rides(*range(16, 20 if ahead else 30))
    server, port = await serve(keys)
    box.office = box.uploader._office = keys.driver(port)
    await box.upload()
    await box.rides(30)
    await box.upload()
    restored = await box.switch_off()
    await server.stop()

    facts = [decode(data).fact for data in restored]
    epochs = [fact for fact in facts if isinstance(fact, EpochBegan)]
    assert len(epochs) == 2 and "old disk" in epochs[1].why
    assert next(fact.kind for fact in facts if isinstance(fact, Alarm)) == "new_epoch"
    assert any(isinstance(fact, Reissued) for fact in facts)
    office = server.office
    assert office.counts.conflicts > 0
    assert_counted_once({*today, *restored}, office, 21 if ahead else 31)


@pytest.mark.parametrize("past", [0, 1, 5], ids=lambda past: f"restarted {past} entries behind head office's last")
async def test_an_image_restarted_where_head_office_stopped(tmp_path: Path, past: int) -> None:
    """Fresh entries go first: head office meets the next number before it meets the conflict in front of it."""
    keys = Keys(tmp_path)
    directory = tmp_path / "journal"
    today = await yesterday_and_today(keys, directory)
    box = Box(keys, directory, 1)  # nobody listens there
    await box.rides(*range(16, 22))
    for _ in range(past):
        await box.journal.append(walked(box.journal.head().name), at())
    assert box.journal.head().name.sequence == len(today) + past
    await box.switch_off()
    server, port = await serve(keys)
    box = Box(keys, directory, port)
    await box.rides(*range(22, 26))
    await box.upload()
    await box.rides(26)
    await box.upload()
    restored = await box.switch_off()
    await server.stop()
    refused = reasons(server.office)
    assert refused["conflict"] > 0 and refused["chain_broken"] == (past == 0)
    assert_counted_once({*today, *restored}, server.office, 27)


async def test_an_image_that_runs_up_to_what_overtook_its_backlog(tmp_path: Path) -> None:
    """Head office held today's fresh entries and not yet the backlog before them; the image writes over that edge."""
    keys = Keys(tmp_path)
    directory, image = tmp_path / "journal", tmp_path / "image"
    server, port = await serve(keys)
    box = Box(keys, directory, port)
    await box.rides(*range(5))
    await box.upload()
    await box.switch_off()
    shutil.copytree(directory, image)
    box = Box(keys, directory, 1)
    await box.rides(*range(5, 10))  # a backlog nobody will ever see
    edge = box.journal.head()
    await box.switch_off()
    box = Box(keys, directory, 1)
    await box.rides(*range(10, 14))
    fresh = box.journal.unsent(edge.row + 1, 500, 1 << 20)
    server.office.receive(TERMINAL, batches.encode(batches.cut(TERMINAL, fresh)))
    await box.switch_off()
    shutil.rmtree(directory)
    image.rename(directory)
    box = Box(keys, directory, 1)
    await box.rides(*range(20, 32))
    await box.switch_off()
    box = Box(keys, directory, port)
    await box.rides(32)
    await box.upload()
    restored = await box.switch_off()
    await server.stop()
    refused = reasons(server.office)
    assert refused["conflict"] > 0 and refused["chain_broken"] > 0
    assert_counted_once({stored.data for stored in fresh} | {*restored}, server.office, 5 + 4 + 13)


async def yesterday_and_today(keys: Keys, directory: Path) -> list[bytes]:
    """Two days of rides, all uploaded; then yesterday's image is back in its place. What today's disk held."""
    server, port = await serve(keys)
    image = directory.with_name("image")
    box = Box(keys, directory, port)
    await box.rides(*range(10))
    await box.upload()
    await box.switch_off()
    shutil.copytree(directory, image)
    box = Box(keys, directory, port)
    await box.rides(*range(10, 16))
    await box.upload()
    today = await box.switch_off()
    await server.stop()
    shutil.rmtree(directory)
    image.rename(directory)
    return today


def reasons(head_office: HeadOffice) -> Counter[str]:
    """Why head office kept records aside."""
    return Counter(reason for (reason,) in head_office.db.execute("SELECT reason FROM aside"))


def assert_counted_once(written: set[bytes], head_office: HeadOffice, rides: int) -> None:
    """Nothing double, nothing lost, and the evidence of every ride opens."""
    assert [type(decode(data).fact).__name__ for data in lost(written, head_office)] == []
    assert set(riders(head_office).values()) == {1} and len(riders(head_office)) == rides
    assert head_office.status()["duplicates"] == 0
    while head_office.audit(100):
        pass
    assert (head_office.counts.evidence_bad, head_office.status()["evidence_waiting"]) == (0, 0)


def lost(written: set[bytes], head_office: HeadOffice) -> list[bytes]:
    """Entries that were on a disk and that head office does not count."""
    counted = {row[0] for row in head_office.db.execute("SELECT counts_as FROM records")}
    return [data for data in written if entry_hash(data) not in counted and not _again(data)]


def _again(data: bytes) -> bool:
    """An entry that only carries another one counts as that one."""
    return isinstance(decode(data).fact, Reissued)


async def test_an_image_that_comes_back_every_night(tmp_path: Path) -> None:
    """However often: what is issued again is issued again whole, never wrapped twice."""
    keys = Keys(tmp_path)
    server, port = await serve(keys)
    directory, image = tmp_path / "journal", tmp_path / "image"
    box = Box(keys, directory, port)
    await box.rides(0)
    await box.upload()
    await box.switch_off()
    shutil.copytree(directory, image)
    for night in range(1, 4):
        shutil.rmtree(directory)
        shutil.copytree(image, directory)
        box = Box(keys, directory, port)
        await box.rides(2 * night)
        await asyncio.sleep(0)
        await box.upload()
        await box.rides(2 * night + 1)
        await box.upload()
        await box.switch_off()
    assert riders(server.office).total() == len(riders(server.office)) == 7
    carried = [cbor2.loads(data)["fact"] for (data,) in server.office.db.execute("SELECT data FROM records").fetchall()]
    inner = [decode(fact["data"]).fact for fact in carried if fact["type"] == "reissued"]
    assert inner and not any(isinstance(fact, Reissued) for fact in inner)
    await server.stop()
