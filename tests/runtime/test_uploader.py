"""The uploader's laws, on a loop that jumps: fresh first, at least once, counted once, and never stuck.

Head office is the simulated one, called in process; nothing here sleeps for real.
"""

import asyncio
import copy
import functools
from collections.abc import Callable, Coroutine
from contextlib import suppress
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import cbor2
import msgspec
import pytest

from simulators.clockwork import SimulatedClock, new_loop
from simulators.office import HeadOffice
from simulators.store import Disk
from terminal.core.entries import Alarm, Decided, EpochBegan
from terminal.core.model import Instant
from terminal.core.time import settle
from terminal.ports import OfficeError
from terminal.runtime.uploader import UploadRules
from tests.journal_cases import NOON_MS, decided
from tests.office_cases import DirectOffice, Keys, Site, command, decoded, held, journalled

RULES = UploadRules()


def jumping(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on a fresh jumping loop."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        loop = new_loop()
        try:
            loop.run_until_complete(test(*arguments, **named))
        finally:
            loop.close()

    return run


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


@pytest.fixture
def office(keys: Keys) -> DirectOffice:
    return DirectOffice(keys.head_office())


def site_of(keys: Keys, office: DirectOffice, disk: Disk | None = None, **options: Any) -> Site:
    """A terminal on the loop's own time."""
    clock = SimulatedClock(NOON_MS)

    def now() -> Instant:
        return settle(clock.read(), 0)

    return Site(keys.office, office, disk=disk or Disk(), clock=clock, now=now, **{"rules": RULES, **options})


def numbers(office: DirectOffice) -> list[tuple[int, int]]:
    """(first, last) of each batch, in the order they came."""
    return [(batch.first, batch.last) for batch in office.sent]


def seconds() -> float:
    """The loop's time."""
    return asyncio.get_running_loop().time()


class Fails:
    """The way fails so often, then it does not."""

    def __init__(self, times: int, error: Callable[[], OfficeError]) -> None:
        self.left, self.error = times, error

    def __call__(self, *_: Any) -> None:
        if self.left:
            self.left -= 1
            raise self.error()


def lost() -> OfficeError:
    """The link broke."""
    return OfficeError("connection lost")


# --------------------------------------------------------------------------- order


@jumping
async def test_fresh_goes_first_and_the_backlog_follows_in_order(keys: Keys, office: DirectOffice) -> None:
    """After a restart with 1,500 unsent, today's three taps are in the first batch; then the backlog, oldest first."""
    disk = Disk()
    before = site_of(keys, office, disk)
    await before.write(1500)
    await before.close()
    site = site_of(keys, office, disk)
    await site.write(3, first=9000)
    assert await site.upload()
    assert numbers(office) == [(1502, 1504), (1, 500), (501, 1000), (1001, 1500), (1501, 1501)]
    assert held(office.head_office) == journalled(disk)


@jumping
async def test_backlog_and_fresh_both_make_progress(keys: Keys, office: DirectOffice) -> None:
    """While taps keep coming faster than a batch takes, every second batch is of the backlog."""
    disk = Disk()
    before = site_of(keys, office, disk)
    await before.write(99)
    await before.close()
    site = site_of(keys, office, disk, rules=msgspec.structs.replace(RULES, batch_entries=20))
    await site.write(100)
    assert await site.upload()
    assert numbers(office) == [
        (101, 120), (1, 20), (121, 140), (21, 40), (141, 160), (41, 60), (161, 180), (61, 80), (181, 200), (81, 100),
    ]  # fmt: skip


@jumping
async def test_a_tap_waits_a_moment_for_company(keys: Keys, office: DirectOffice) -> None:
    """What comes within `gather_s` goes in one batch, and later taps wake the uploader again."""
    site = site_of(keys, office)
    task = asyncio.create_task(site.uploader.run())
    await site.write(1)
    await asyncio.sleep(60.0)
    office.sent.clear()
    for number in range(5):
        await site.write(1, first=number)
        await asyncio.sleep(0.015)
    await asyncio.sleep(10.0)
    assert office.sizes() == [5]
    task.cancel()
    assert site.unsent() == 0


# --------------------------------------------------------------------------- counted once


@jumping
async def test_what_is_sent_again_is_counted_as_such_and_held_once(keys: Keys, office: DirectOffice) -> None:
    """Three receipts are lost after head office has stored."""
    fails = Fails(3, lost)

    def after(batch: Any, receipt: bytes) -> bytes:
        fails()
        return receipt

    office.after = after
    site = site_of(keys, office, rules=msgspec.structs.replace(RULES, batch_entries=10))
    await site.write(10)
    assert await site.upload(600.0)
    status = site.uploader.status()
    assert (status["uploaded"], status["unsent"], status["refused"]) == (11, 0, 0)
    assert office.head_office.counts.absorbed == status["resent"] == sum(office.sizes()) - 11 > 0
    assert held(office.head_office) == journalled(site.disk)
    assert status["last_error"] == ""
    assert site.uploader._tried == set(), "what has its receipt is remembered for ever"


@jumping
async def test_a_batch_lost_on_the_way_is_cut_smaller_and_grows_again(keys: Keys, office: DirectOffice) -> None:
    """On a slow link only a small batch fits its time."""

    def slow(batch: Any) -> None:
        if slow_link and len(batch.entries) > 60:
            raise lost()

    slow_link = [1]
    office.before = slow
    site = site_of(keys, office)
    await site.write(1000)
    await site.upload_until_sent(200)
    assert office.sizes()[:4] == [500, 250, 125, 62]
    assert all(size <= 124 for size in office.sizes()[4:])
    slow_link.clear()
    assert await site.upload(600.0)
    assert office.sizes()[-1] > 124
    assert held(office.head_office) == journalled(site.disk)


# --------------------------------------------------------------------------- waiting


@pytest.mark.parametrize("seed", range(5))
def test_failures_wait_ever_longer_with_jitter_and_never_too_long(keys: Keys, office: DirectOffice, seed: int) -> None:
    """Doubling from half a second to half a minute, each between half and whole of it; a success starts again."""

    @jumping
    async def scenario() -> None:
        site = site_of(keys, office, random=Random(seed))
        await site.write(3)
        for _ in range(2):
            office.before = Fails(10, lost)
            assert await site.upload(3600.0)
            await site.write(1)
        attempts = office.times_s[:11]
        waits = [later - sooner - 0.01 for sooner, later in pairwise(attempts)]
        for failures, wait_s in enumerate(waits):
            whole_s = min(0.5 * 2**failures, 30.0)
            assert whole_s / 2 <= wait_s <= whole_s + 1e-6
        assert len({round(wait_s / min(0.5 * 2**n, 30.0), 6) for n, wait_s in enumerate(waits)}) == len(waits)

    scenario()
    sizes = office.sizes()
    assert sizes[0] == 3


@pytest.mark.parametrize(
    ("asked_s", "least_s"), [(0.0, 1.0), (-1.0, 1.0), (45.0, 45.0), (1e9, 3600.0), (float("inf"), 3600.0)]
)
def test_retry_after_is_clamped_and_answered_a_little_late(
    keys: Keys, office: DirectOffice, asked_s: float, least_s: float
) -> None:
    """Between a second and an hour, and up to a quarter more; busy does not make batches smaller."""

    @jumping
    async def scenario() -> None:
        office.before = Fails(4, lambda: OfficeError("busy", retry_after_s=asked_s))
        site = site_of(keys, office)
        await site.write(99)
        assert await site.upload(100_000.0)
        times = office.times_s[:5]
        for sooner, later in pairwise(times):
            assert least_s <= later - sooner - 0.01 <= least_s * 1.25 + 1e-6
        assert office.sizes() == [99] * 5 + [1]

    scenario()


@jumping
async def test_after_a_day_without_a_network_it_recovers_within_a_minute(keys: Keys, office: DirectOffice) -> None:
    """However long it lasted, the next try is never further away than `longest_wait_s`."""
    gone = [1]

    def network(batch: Any) -> None:
        if gone:
            raise lost()

    office.before = network
    site = site_of(keys, office)
    task = asyncio.create_task(site.uploader.run())
    await site.write(100)
    await asyncio.sleep(86_400.0)
    assert len(site.disk.stored) == 101, "a day without a network fills no journal"
    gone.clear()
    await asyncio.sleep(60.0)
    assert site.unsent() == 0
    task.cancel()


# --------------------------------------------------------------------------- refused, too large


def refusing(office: DirectOffice, refuses: Callable[[Any, int], bool]) -> None:
    """Head office signs a receipt that refuses some sequences."""

    def after(batch: Any, receipt: bytes) -> bytes:
        fields = cbor2.loads(cbor2.loads(receipt[1:])[2])
        names = range(batch.first, batch.last + 1)
        fields[6] = [[n, "unreadable"] for n in names if refuses(batch, n)]
        return office.head_office.sign(fields)

    office.after = after


@jumping
async def test_a_refused_record_goes_to_quarantine_with_an_alarm_and_blocks_nothing(
    keys: Keys, office: DirectOffice
) -> None:
    """Its reason is kept, a person hears of it, and what comes behind it arrives."""
    refusing(office, lambda batch, sequence: sequence == 7)
    site = site_of(keys, office)
    await site.write(20)
    assert await site.upload()
    assert {name.sequence: reason for name, reason in site.disk.quarantine.items()} == {7: "unreadable"}
    (alarm,) = [entry.fact for entry in site.disk.entries() if isinstance(entry.fact, Alarm)]
    epoch = site.disk.stored[0].name.epoch.hex()
    assert (alarm.kind, alarm.detail) == ("record_refused", f"entries {epoch}/7: unreadable")
    assert (site.uploader.refused, site.unsent()) == (1, 0)


@jumping
async def test_a_head_office_that_refuses_everything_fills_no_journal(keys: Keys, office: DirectOffice) -> None:
    """One alarm a receipt, however many it refuses; and none about the refusal of an alarm."""
    refusing(office, lambda batch, sequence: True)
    site = site_of(keys, office)
    await site.write(100)
    assert await site.upload()
    alarms = [entry.fact for entry in site.disk.entries() if isinstance(entry.fact, Alarm)]
    assert len(alarms) == 2  # fresh entries; the epoch's first
    assert "and 97 more" in alarms[0].detail
    assert len(site.disk.quarantine) == len(site.disk.stored) == 103


@jumping
async def test_too_large_halves_at_once_and_recovers(keys: Keys, office: DirectOffice) -> None:
    """No waiting between the halves; after each success the next batch is twice as large again."""

    def proxy(batch: Any) -> None:
        if len(batch.entries) > 100 and narrow:
            raise OfficeError("too large", too_large=True)

        narrow.clear()

    narrow = [1]
    office.before = proxy
    site = site_of(keys, office)
    await site.write(1000)
    assert await site.upload()
    assert office.sizes() == [500, 250, 125, 62, 1, 248, 496, 194]
    assert office.times_s[3] - office.times_s[0] == pytest.approx(0.03)


@jumping
async def test_a_single_too_large_record_is_parked_and_offered_ever_more_seldom(
    keys: Keys, office: DirectOffice
) -> None:
    """Nothing waits for it; it is tried alone, with waits up to an hour; and taken in the end, nothing is left."""

    def proxy(batch: Any) -> None:
        if narrow and any(b"number 3" in data for data in batch.entries):
            offered.append((seconds(), len(batch.entries)))
            raise OfficeError("too large", too_large=True)

    narrow, offered = [1], list[tuple[float, int]]()
    office.before = proxy
    site = site_of(keys, office)
    task = asyncio.create_task(site.uploader.run())
    await site.write(8)
    await asyncio.sleep(10.0)
    assert site.unsent() == 1
    offered.clear()
    office.times_s.clear()
    await asyncio.sleep(6 * 3600.0)
    waits = [later - sooner for (sooner, _), (later, _) in pairwise(offered)]
    assert {size for _, size in offered} == {1}
    assert 8 <= len(offered) <= 40
    assert max(waits) <= 3600.0 + 60.0
    assert waits[-1] > 1000.0
    began = seconds()
    await site.write(1, first=50)
    await asyncio.sleep(1.0)
    assert site.unsent() == 1, "a fresh tap does not wait for a parked record"
    assert office.times_s[-1] - began < 0.5
    assert site.uploader.status()["parked"] == 1
    narrow.clear()
    await asyncio.sleep(2 * 3600.0)
    assert (site.unsent(), site.uploader.status()["parked"]) == (0, 0)
    assert held(office.head_office) == journalled(site.disk)
    assert set(site.alarms()) == {"record_too_large"}
    task.cancel()


# --------------------------------------------------------------------------- alarms


@jumping
async def test_a_lasting_trouble_is_told_once_an_hour(keys: Keys, office: DirectOffice) -> None:
    """A portal on the way for three hours and a half: four alarms, not one a try."""

    def portal(batch: Any) -> None:
        raise OfficeError("a portal", alarm="office_portal")

    office.before = portal
    site = site_of(keys, office)
    task = asyncio.create_task(site.uploader.run())
    await site.write(1)
    await asyncio.sleep(3.5 * 3600.0)
    task.cancel()
    assert site.alarms() == ["office_portal"] * 4
    assert len(office.sent) > 300


@jumping
async def test_no_receipt_is_an_alarm_and_marks_nothing(keys: Keys, office: DirectOffice) -> None:
    """Nor is a statement that cannot be verified: no batch leaves before it."""
    office.after = lambda batch, receipt: receipt[:-1]
    site = site_of(keys, office)
    await site.write(3)
    assert not await site.upload(60.0)
    assert site.disk.receipted == {}
    assert site.alarms() == ["receipt_bad"]
    stranger = Keys(keys.directory / "stranger")
    office.sent.clear()
    other = site_of(stranger, office)
    assert not await other.upload(60.0)
    assert (office.sent, other.alarms()) == ([], ["receipt_bad"])


@jumping
async def test_a_full_disk_stops_no_upload(keys: Keys, office: DirectOffice) -> None:
    """Alarms are then only logged; receipts are still recorded."""
    site = site_of(keys, office)
    await site.write(30)
    office.before = Fails(2, lambda: OfficeError("a portal", alarm="office_portal"))
    site.disk.full = True
    assert await site.upload(600.0)
    assert (site.unsent(), site.alarms()) == (0, [])


# --------------------------------------------------------------------------- an old disk


def restored(image: Disk) -> Disk:
    """The image written to a disk again."""
    return copy.deepcopy(image)


async def yesterday_and_today(keys: Keys, office: DirectOffice) -> tuple[Disk, Disk]:
    """An image taken yesterday, and the disk as it was today when it was lost; head office holds all of it."""
    disk = Disk()
    site = site_of(keys, office, disk)
    await site.write(20)
    assert await site.upload()
    await site.close()
    image = restored(disk)
    site = site_of(keys, office, disk)
    await site.write(10, first=100)
    assert await site.upload()
    await site.close()
    image.random.seed(99)  # chance is not on the image
    return image, disk


@jumping
async def test_an_old_disk_image_begins_a_new_epoch_and_nothing_is_double_or_lost(
    keys: Keys, office: DirectOffice
) -> None:
    """Head office is asked before the first batch; what the image wrote before it knew is kept aside, with an alarm."""
    image, today = await yesterday_and_today(keys, office)
    office.sent.clear()
    site = site_of(keys, office, image)
    await site.write(4, first=200)
    assert await site.upload()
    await site.write(5, first=300)
    assert await site.upload()
    epochs = [entry.fact for entry in image.entries() if isinstance(entry.fact, EpochBegan)]
    assert [fact.previous is None for fact in epochs] == [True, False]
    assert epochs[1].previous is not None
    assert epochs[1].previous.sequence == 25
    assert "old disk" in epochs[1].why
    assert site.alarms()[0] == "new_epoch"
    rows = office.head_office.db.execute("SELECT epoch, sequence, data FROM aside").fetchall()
    everywhere = {*held(office.head_office), *((row[0], row[1], row[2]) for row in rows)}
    assert set(journalled(image)) | set(journalled(today)) == everywhere
    assert office.head_office.counts.conflicts == 4
    assert office.head_office.status()["duplicates"] == 0
    assert site.unsent() == 0


@jumping
async def test_the_question_is_asked_once_a_start_and_before_every_batch(keys: Keys, office: DirectOffice) -> None:
    """Until it is answered nothing is sent; a journal head office knows begins no new epoch."""
    site = site_of(keys, office)
    await site.write(3)
    unanswered = Fails(5, lost)

    async def last_held() -> bytes:
        unanswered()
        assert office.sent == []
        return await DirectOffice.last_held(office)

    office.last_held = last_held  # type: ignore[method-assign]  # the question meets trouble
    assert await site.upload(600.0)
    await site.write(3)
    assert await site.upload()
    assert (unanswered.left, office.asked) == (0, 1)
    disk = site.disk
    await site.close()
    again = site_of(keys, office, disk)
    del office.last_held  # and no more
    await again.write(3)
    assert await again.upload()
    assert office.asked == 2
    assert sum(isinstance(entry.fact, EpochBegan) for entry in disk.entries()) == 1


@jumping
async def test_a_new_epoch_that_finds_the_disk_full_is_begun_later(keys: Keys, office: DirectOffice) -> None:
    """Nothing is sent under the old one meanwhile."""
    image, _ = await yesterday_and_today(keys, office)
    office.sent.clear()
    site = site_of(keys, office, image)
    await site.write(2, first=200)
    image.full = True
    assert not await site.upload(300.0)
    assert office.sent == []
    assert "disk is full" in site.uploader.last_error
    image.full = False
    assert await site.upload(300.0)
    assert sum(isinstance(entry.fact, EpochBegan) for entry in image.entries()) == 2


# --------------------------------------------------------------------------- lateness, stopping


@jumping
async def test_lateness_is_visible(keys: Keys, office: DirectOffice) -> None:
    """Rides that arrive after they should have been paid are counted; others, and what is no ride, are not."""
    site = site_of(keys, office)
    for who, pay_by_s in (("anna", 10), ("bert", 20), ("cleo", 7200), ("dora", None)):
        fact: Decided = decided(who)
        pay_by_ms = None if pay_by_s is None else NOON_MS + pay_by_s * 1000
        await site.journal.append(msgspec.structs.replace(fact, pay_by_ms=pay_by_ms), site.now())
    await site.journal.append(command(1), site.now())
    office.head_office.now_ms = lambda: site.now().utc_ms
    assert site.uploader.status()["overdue_s"] == 0
    await asyncio.sleep(3600.0)
    status = site.uploader.status()
    assert (status["late"], status["overdue_s"]) == (0, 3590)
    image = restored(site.disk)
    image.holder = None
    again = site_of(keys, office, image)
    assert again.uploader.status()["overdue_s"] == 3590, "a start forgets what is overdue"
    assert await site.upload()
    status = site.uploader.status()
    assert (status["late"], status["overdue_s"]) == (2, 0) and office.head_office.counts.late == 2


@jumping
async def test_what_is_overdue_is_found_behind_other_entries_and_cheaply(keys: Keys, office: DirectOffice) -> None:
    """Alarms and commands may wait before it; while the oldest stays, one entry is read a status."""
    site = site_of(keys, office)
    await site.write(120)
    assert site.uploader.overdue_s() == 0
    ride = msgspec.structs.replace(decided("anna"), pay_by_ms=NOON_MS + 10_000)
    await site.journal.append(ride, site.now())
    await site.write(300)
    await asyncio.sleep(70.0)
    assert site.uploader.overdue_s() == 60
    asked = list[int]()
    unsent = site.journal.unsent
    site.journal.unsent = lambda row, limit, size: asked.append(limit) or unsent(row, limit, size)  # type: ignore[method-assign,assignment,func-returns-value]
    assert site.uploader.overdue_s() == 60 and asked == [1]


@jumping
async def test_a_ride_that_arrived_is_overdue_no_more(keys: Keys, office: DirectOffice) -> None:
    """Though something older still waits: a record that head office finds too large is stepped over, at once."""

    def proxy(batch: Any) -> None:
        if away:
            raise OfficeError("gone")
        if any(b"number 0" in data for data in batch.entries):
            raise OfficeError("too large", too_large=True)

    away = list[int]()
    office.before = proxy
    site = site_of(keys, office)
    task = asyncio.create_task(site.uploader.run())
    await site.write(1)
    await asyncio.sleep(10.0)
    away.append(1)
    now_ms = site.now().utc_ms
    await site.journal.append(msgspec.structs.replace(decided("anna"), pay_by_ms=now_ms + 10_000), site.now())
    await asyncio.sleep(70.0)
    assert site.uploader.overdue_s() == 60
    away.clear()
    await asyncio.sleep(60.0)
    assert site.unsent() == 1 and site.uploader.overdue_s() == 0
    task.cancel()


@jumping
async def test_what_is_no_ride_is_looked_at_once(keys: Keys, office: DirectOffice) -> None:
    """A park's gate has none: however many of its entries wait, a status reads what is new; and a ride is found."""
    site = site_of(keys, office)
    await site.write(1000)
    for _ in range(3):
        assert site.uploader.overdue_s() == 0
    asked = list[int]()
    unsent = site.journal.unsent
    site.journal.unsent = lambda row, limit, size: asked.append(row) or unsent(row, limit, size)  # type: ignore[method-assign,assignment,func-returns-value]
    assert site.uploader.overdue_s() == 0 and set(asked) == {site.disk.stored[-1].row + 1}
    await site.journal.append(msgspec.structs.replace(decided("anna"), pay_by_ms=NOON_MS - 5000), site.now())
    assert site.uploader.overdue_s() == 5


@jumping
async def test_draining_is_bounded(keys: Keys, office: DirectOffice) -> None:
    """A head office that never answers costs a stop no more than its bound; nothing left costs nothing."""

    async def never(batch: bytes) -> bytes:
        office.sent.append(decoded(batch))
        await asyncio.sleep(1e9)
        return b""

    site = site_of(keys, office)
    await site.write(3)
    office.send = never  # type: ignore[method-assign]  # it hangs
    began = seconds()
    assert not await site.upload(5.0)
    assert seconds() - began == pytest.approx(5.0)
    assert len(office.sent) == 1
    del office.send  # it answers again
    assert await site.upload(5.0)
    began = seconds()
    assert await site.upload(5.0)
    assert seconds() == began


@jumping
async def test_draining_with_a_parked_record_ends_too(keys: Keys, office: DirectOffice) -> None:
    """It waits for the record's next turn, not in circles, and not for ever."""
    office.before = Fails(10**9, lambda: OfficeError("too large", too_large=True))
    site = site_of(keys, office)
    began = seconds()
    assert not await site.upload(30.0)
    assert seconds() - began == pytest.approx(30.0)
    assert 3 < len(office.sent) < 20


# --------------------------------------------------------------------------- both ends killed at random

RECORDS = 2000


class ForgetfulOffice(HeadOffice):
    """A planted bug: it acknowledges now and then what it did not store."""

    forgets = Random(5)

    def receive(self, terminal: str, body: bytes) -> bytes:
        if self.forgets.random() > 0.02:
            return super().receive(terminal, body)
        batch = decoded(body)
        digest = sha256(batch.entries[-1]).digest()
        return self.sign({0: "receipt", 1: terminal, 2: batch.epoch, 3: batch.first, 4: batch.last, 5: digest, 6: []})


class ShakyOffice(DirectOffice):
    """Head office on a way that fails, and that is killed and started again on its own disk."""

    def __init__(self, keys: Keys, random: Random, start: Callable[[], HeadOffice]) -> None:
        super().__init__(start())
        self.random, self.start = random, start
        self.kills = 0
        self.before = lambda batch: self._shake("before")
        self.after = self._shake_after

    def _shake_after(self, batch: Any, receipt: bytes) -> bytes:
        self._shake("after")
        return receipt

    def _shake(self, when: str) -> None:
        chance = self.random.random()
        if chance < 0.10:
            raise lost()
        if chance < 0.13:
            self.kills += 1
            self.head_office.db.close()
            self.head_office = self.start()
            raise OfficeError(f"killed {when} storing")


async def live(keys: Keys, office: ShakyOffice, random: Random) -> tuple[Disk, int]:
    """Write 2,000 records while both ends are killed again and again; then let everything arrive."""
    disk, written, cuts = Disk(seed=random.randrange(1 << 30)), 0, 0
    rules = msgspec.structs.replace(RULES, batch_entries=random.choice([7, 20, 50]))
    while written < RECORDS:
        site = site_of(keys, office, disk, rules=rules, random=random)
        task = asyncio.create_task(site.uploader.run())
        until_s = seconds() + random.uniform(0.2, 2.0)
        while seconds() < until_s and written < RECORDS:
            count = random.randrange(1, 12)
            writing = asyncio.ensure_future(site.write(count, first=written))
            written += count
            await asyncio.sleep(random.uniform(0.0, 0.06))
            if random.random() < 0.9:
                with suppress(asyncio.CancelledError):
                    await writing
        disk.cut_power()
        cuts += 1
        task.cancel()
        writing.cancel()
        await asyncio.gather(task, writing, return_exceptions=True)
    site = site_of(keys, office, disk, rules=rules, random=random)
    assert await site.upload(86_400.0)
    await site.close()
    return disk, cuts


@pytest.mark.parametrize("seed", range(4))
def test_both_ends_killed_at_random_lose_nothing_and_double_nothing(keys: Keys, seed: int) -> None:
    """Head office holds exactly the journal, once."""

    @jumping
    async def scenario() -> None:
        random = Random(seed)
        office = ShakyOffice(keys, random, keys.head_office)
        disk, cuts = await live(keys, office, random)
        assert held(office.head_office) == journalled(disk)
        status = office.head_office.status()
        assert (status["duplicates"], status["aside"]) == (0, 0)
        assert [one["missing"] for one in status["terminals"].values()] == [0]
        assert cuts >= 5
        assert office.kills >= 2

    scenario()


@pytest.mark.parametrize("plant", ["no dedup", "acknowledged before it was stored"])
def test_the_rig_finds_a_planted_bug(keys: Keys, plant: str) -> None:
    """A rig that cannot fail proves nothing."""

    def start() -> HeadOffice:
        if plant == "no dedup":
            return keys.head_office(deduplicates=False)
        plain = keys.head_office()
        plain.db.close()
        return ForgetfulOffice(plain.path, plain.receipt_key, plain.sealing_key)

    @jumping
    async def scenario() -> None:
        random = Random(7)
        office = ShakyOffice(keys, random, start)
        disk, _ = await live(keys, office, random)
        status = office.head_office.status()
        missing = len(journalled(disk)) - len(set(held(office.head_office)))
        assert (status["duplicates"] > 0) == (plant == "no dedup")
        assert (missing > 0) == (plant != "no dedup")

    scenario()
