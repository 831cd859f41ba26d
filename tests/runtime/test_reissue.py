"""What does not count under its own name: issued again until it counts, and not for ever.

Head office is the simulated one, called in process, on a loop that jumps.
"""

import asyncio
import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import cbor2
import msgspec
import pytest

from simulators.store import Disk
from terminal.core.entries import EpochBegan, Reissued, decode, entry_hash, kind_of
from terminal.core.model import EntryName
from tests.office_cases import DirectOffice, Keys, Site, journalled
from tests.office_cases import held as held_by
from tests.runtime.test_uploader import RULES, jumping, lost, site_of

HOUR_S = 3600.0


def misplacing(office: DirectOffice, refused: list[bytes] | None = None) -> None:
    """Head office finds no place for what it is sent: for these entries, or for everything."""

    def after(batch: Any, receipt: bytes) -> bytes:
        fields = cbor2.loads(cbor2.loads(receipt[1:])[2])
        numbered = enumerate(batch.entries, batch.first)
        fields[6] = [[number, "chain_broken"] for number, data in numbered if refused is None or data in refused]
        return office.head_office.sign(fields)

    office.after = after


def carried(disk: Disk) -> list[Reissued]:
    """What was issued again, in order."""
    return [entry.fact for entry in disk.entries() if isinstance(entry.fact, Reissued)]


@jumping
async def test_a_head_office_that_misplaces_everything_fills_no_journal(tmp_path: Path) -> None:
    """However long it lasts, an entry is issued again a few times; what is left waits for a person."""
    keys = Keys(tmp_path)
    office = DirectOffice(keys.head_office())
    misplacing(office)
    site = site_of(keys, office)
    uploading = asyncio.create_task(site.uploader.run())
    await site.write(50)
    await asyncio.sleep(4.5 * HOUR_S)
    first = {stored.data for stored in site.disk.stored[:51]}
    again = [fact for fact in carried(site.disk) if fact.data in first]
    assert len(again) == 51 * 3 and {fact.times for fact in again} == {1, 2, 3}
    before = len(site.disk.stored)
    await asyncio.sleep(100 * HOUR_S)
    an_hour = (len(site.disk.stored) - before) / 100
    assert an_hour <= 4 * 4, "an epoch, its alarms and their copies"
    uploading.cancel()


@jumping
async def test_power_is_cut_between_the_refusal_and_the_new_epoch(tmp_path: Path) -> None:
    """The next start begins it: nothing waits for the next refusal."""
    keys = Keys(tmp_path)
    office = DirectOffice(keys.head_office())
    disk = Disk()
    site = site_of(keys, office, disk)
    await site.write(6)
    misplacing(office, [disk.stored[3].data])
    cut = asyncio.Event()

    async def dark(*_: Any) -> Any:
        disk.cut_power()
        cut.set()
        await asyncio.Event().wait()

    site.store.begin_epoch = dark  # type: ignore[assignment,method-assign]  # power fails here
    uploading = asyncio.create_task(site.uploader.run())
    await cut.wait()
    uploading.cancel()
    again = site_of(keys, office, disk)
    assert await again.upload()
    assert [fact.data for fact in carried(disk)] == [disk.stored[3].data]
    assert sum(isinstance(entry.fact, EpochBegan) for entry in disk.entries()) == 2


@jumping
async def test_what_a_full_disk_would_not_issue_again_is_issued_once_there_is_room(tmp_path: Path) -> None:
    """A minute later, without another refusal, without a restart."""
    keys = Keys(tmp_path)
    office = DirectOffice(keys.head_office())
    site = site_of(keys, office)
    await site.write(6)
    misplacing(office, [site.disk.stored[3].data])
    uploading = asyncio.create_task(site.uploader.run())
    site.disk.full = True
    await asyncio.sleep(600.0)
    assert site.unsent() == 0 and carried(site.disk) == []
    site.disk.full = False
    await asyncio.sleep(120.0)
    assert [fact.data for fact in carried(site.disk)] == [site.disk.stored[3].data] and site.unsent() == 0
    uploading.cancel()


@jumping
async def test_a_second_conflict_within_the_hour_waits_for_its_end(tmp_path: Path) -> None:
    """One new epoch an hour; nothing is forgotten meanwhile."""
    keys = Keys(tmp_path)
    office = DirectOffice(keys.head_office())
    site = site_of(keys, office)
    uploading = asyncio.create_task(site.uploader.run())
    wrong = list[bytes]()
    misplacing(office, wrong)
    for number in (1, 2):
        await site.write(3, first=10 * number)
        wrong.append(site.disk.stored[-2].data)
        await asyncio.sleep(60.0)
        assert len(carried(site.disk)) == 1
    await asyncio.sleep(HOUR_S)
    assert [fact.data for fact in carried(site.disk)] == wrong
    uploading.cancel()


# --------------------------------------------------------------------------- disks that come back, at any moment


class Shaky(DirectOffice):
    """Head office behind a way that is there for a while, and loses some answers."""

    def __init__(self, keys: Keys, random: Random) -> None:
        super().__init__(keys.head_office())
        self.is_up, self.random = True, random
        self.planted: Callable[[bytes], bytes] = lambda receipt: receipt
        self.before = lambda batch: self._shake(0.1)
        self.after = self._answer

    async def last_held(self) -> bytes:
        self._shake(0.0)
        return await super().last_held()

    def ahead(self, name: EntryName) -> int:
        """How many entries are missing here up to an edge of what it holds: there a neighbour is not ours."""
        held = {sequence for epoch, sequence, _ in held_by(self.head_office) if epoch == name.epoch}
        edges = [one for one in held if one + 1 not in held] + [one - 1 for one in held if one - 1 not in held]
        return self.random.choice([edge - name.sequence for edge in edges if edge > name.sequence] or [0])

    def _answer(self, batch: Any, receipt: bytes) -> bytes:
        self._shake(0.1)
        return self.planted(receipt)

    def _shake(self, chance: float) -> None:
        if not self.is_up or self.random.random() < chance:
            raise lost()


async def stretch(site: Site, office: Shaky, random: Random, first: int) -> None:
    """One run of a terminal: it writes, perhaps uploads some of it, and is cut."""
    office.is_up = random.random() < 0.5
    uploading = asyncio.create_task(site.uploader.run())
    for number in range(random.randrange(8)):
        await site.write(random.randrange(1, 4), first=first + 10 * number)
        await asyncio.sleep(random.choice((0.0, 0.0, 0.15, 3.0)))
    if not office.is_up and random.random() < 0.5:
        await site.write(office.ahead(site.journal.head().name), first=first + 100)
    site.disk.cut_power()
    uploading.cancel()
    await asyncio.gather(uploading, return_exceptions=True)


async def restored_at_random(keys: Keys, seed: int, planted: Callable[[Shaky, bytes], bytes] | None = None) -> set[str]:
    """Fourteen runs, images taken and put back between them; the kinds of entries head office does not count."""
    random = Random(f"restored {seed}")
    office = Shaky(keys, random)
    if planted is not None:
        office.planted = partial(planted, office)
    rules = msgspec.structs.replace(RULES, batch_entries=random.choice((2, 5, 500)))
    disk, received = Disk(seed=seed), set[bytes]()
    images = [copy.deepcopy(disk)]
    for run in range(14):
        if random.random() < 0.3:
            received |= {one.data for one in disk.stored if disk.receipted.get(one.row) == ""}
            disk = copy.deepcopy(random.choice(images))
            disk.random.seed(100 * seed + run)  # chance is not on the image
        if random.random() < 0.3:
            images.append(copy.deepcopy(disk))
        await stretch(site_of(keys, office, disk, rules=rules, random=random), office, random, 1000 * run)
    office.is_up, office.before = True, lambda batch: None
    office.after = lambda batch, receipt: office.planted(receipt)
    site = site_of(keys, office, disk, rules=rules, random=random)
    assert await site.upload(86_400.0)
    await site.close()
    assert office.head_office.status()["duplicates"] == 0
    counted = {row[0] for row in office.head_office.db.execute("SELECT counts_as FROM records")}
    written = received | {data for _, _, data in journalled(disk)}
    facts = [decode(data).fact for data in written if entry_hash(data) not in counted]
    return {kind_of(fact) for fact in facts if not isinstance(fact, Reissued)}


@pytest.mark.parametrize("seed", range(40))
def test_images_restored_at_random_lose_nothing_and_double_nothing(tmp_path: Path, seed: int) -> None:
    """Every entry that head office said it has, and every one on the last disk, is counted once."""

    @jumping
    async def scenario() -> None:
        assert await restored_at_random(Keys(tmp_path), seed) == set()

    scenario()


def test_the_rig_finds_what_is_lost_beside_a_conflict(tmp_path: Path) -> None:
    """A terminal that issues again what met a conflict, and not what head office could not join."""

    def planted(office: Shaky, receipt: bytes) -> bytes:
        fields = cbor2.loads(cbor2.loads(receipt[1:])[2])
        told = [[number, reason.replace("chain_broken", "not_taken")] for number, reason in fields[6]]
        return office.head_office.sign(fields | {6: told})

    @jumping
    async def scenario() -> None:
        for seed in range(40):
            lost_kinds = await restored_at_random(Keys(tmp_path / f"{seed}"), seed, planted)
            if "command" in lost_kinds:
                return
        pytest.fail("nothing was lost in forty seeds")

    scenario()
