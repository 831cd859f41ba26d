"""The SQLite journal while its world falls short: memory, descriptors, a disk that takes nothing, years of backlog."""

import asyncio
import contextlib
import gc
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from drivers.store.sqlite import SqliteStore
from terminal.core import batch as batches
from terminal.core.entries import Receipt
from terminal.ports import OfficeError, StoreBroken
from tests.drivers.test_store_sqlite import ROOT, WRITER
from tests.journal_cases import TestClock, at, decided, draft, ref
from tests.office_cases import TERMINAL, Keys, serve
from tests.rigs import image as images


async def test_a_use_is_remembered_after_a_kill_and_after_a_checkpoint(tmp_path: Path) -> None:
    """From the log, from the database, and from a journal whose log was folded in: the same use, the same state."""
    store = SqliteStore(tmp_path / "j", TestClock())
    store.open("T1", at())
    await store.append(draft(decided("anna")))
    shutil.copytree(tmp_path / "j", tmp_path / "killed")  # as a kill leaves it
    await store.close()  # checkpoints
    for place in ("killed", "j"):
        again = SqliteStore(tmp_path / place, TestClock())
        again.open("T1", at())
        (use,) = again.uses([ref("medium anna")], 0)
        assert use.persons_charged == 1
        await again.close()
        assert not list((tmp_path / place).glob("damaged-*"))


async def _steps(place: Path, count: int) -> dict[str, int]:
    """Steps SQLite takes for what a tap and the uploader ask, with so many entries waiting."""
    store = SqliteStore(place, TestClock())
    store.open("T1", at())
    for _ in range(count // 500):
        await asyncio.gather(*(store.append(draft(decided(f"rider {number}"))) for number in range(500)))
    await store.close()
    store = SqliteStore(place, TestClock())
    store.open("T1", at())
    steps, counted = {}, 0

    def step() -> bool:
        nonlocal counted
        counted += 1
        return False

    store._reader.set_progress_handler(step, 1)
    asked: dict[str, Callable[[], object]] = {
        "a stranger's history": lambda: store.uses([ref("medium nobody"), ref("code nobody")], 0),
        "the next batch": lambda: store.unsent(0, 50, 1 << 20),
        "the newest batch": lambda: store.unsent(count, 50, 1 << 20),
    }
    for what, ask in asked.items():
        counted = 0
        ask()
        steps[what] = counted
    await store.close()
    return steps


async def test_weeks_of_backlog_do_not_slow_a_tap(tmp_path: Path) -> None:
    """Twenty times the entries, about the same work: counted in SQLite's own steps, not in seconds."""
    few, many = await _steps(tmp_path / "few", 500), await _steps(tmp_path / "many", 10_000)
    assert all(many[what] <= 1.5 * few[what] + 60 for what in few), (few, many)


async def test_weeks_that_were_sent_do_not_slow_the_uploader(tmp_path: Path) -> None:
    """The three newest are found as quickly behind ten thousand receipts as behind five hundred."""
    steps = []
    for count in (500, 10_000):
        store = SqliteStore(tmp_path / str(count), TestClock())
        store.open("T1", at())
        for _ in range(count // 500):
            entries = await asyncio.gather(*(store.append(draft()) for _ in range(500)))
        (last,) = store.unsent(count - 2, 1, 1)
        name = entries[0].name
        assert await store.settle(Receipt("T1", name.epoch, 1, last.name.sequence, last.hash)) == count - 2
        steps.append(0)

        def step() -> bool:
            steps[-1] += 1
            return False

        store._reader.set_progress_handler(step, 1)
        assert [stored.row for stored in store.unsent(0, 50, 1 << 20)] == [count - 1, count, count + 1]
        await store.close()
    assert steps[1] <= 1.5 * steps[0] + 60, steps


# The writer, keeping something of every entry: it will not manage with what it has.
HUNGRY = WRITER.replace("    while True:", "    kept = []\n    while True:\n        kept.append(bytes(3000))")


async def test_out_of_memory_is_like_a_kill(tmp_path: Path) -> None:
    """A writer whose address space ends in the middle of its work: whatever dies, what was acknowledged is there."""
    with subprocess.Popen(
        [sys.executable, "-c", HUNGRY, str(tmp_path / "j")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, text=True,
    ) as child:  # fmt: skip
        assert child.stdout is not None and child.stderr is not None
        acknowledged = int(child.stdout.readline())
        for line in child.stdout:
            acknowledged = int(line)
            if acknowledged == 50:
                used = int(Path(f"/proc/{child.pid}/statm").read_text().split()[0]) * resource.getpagesize()
                resource.prlimit(child.pid, resource.RLIMIT_AS, (used, used))
                resource.prlimit(child.pid, resource.RLIMIT_DATA, (1 << 20, 1 << 20))
            if acknowledged == 20_000:
                child.kill()  # it found memory where there is none
        said = child.stderr.read()
    assert child.returncode not in (0, -signal.SIGKILL) and ("emory" in said or child.returncode < 0), said
    store = SqliteStore(tmp_path / "j", TestClock())
    assert store.open("T1", at()).name.sequence >= acknowledged >= 50
    await store.append(draft())
    await store.close()
    assert not list((tmp_path / "j").glob("damaged-*"))


@contextlib.contextmanager
def no_descriptors() -> Iterator[None]:
    """No file can be opened, no connection made."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    asyncio.new_event_loop().close()  # whatever is opened once is open now
    gc.collect()  # what earlier tests left is let go now, not in the middle
    held = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    with contextlib.suppress(OSError):
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
    try:
        yield
    finally:
        for one in held:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_without_a_free_descriptor_taps_go_on_and_the_upload_comes_later(tmp_path: Path) -> None:
    """The journal needs none for a tap; head office is an OfficeError like any other until there is one again."""
    keys = Keys(tmp_path)
    server, port = await serve(keys)
    office = keys.driver(port)
    store = SqliteStore(tmp_path / "j", TestClock())
    store.open("T1", at())
    await store.append(draft())
    assert len(store.open_uses()) == 1  # asked at every start: the reader's files are open from then on
    with no_descriptors():
        for number in range(20):
            await store.append(draft(decided(f"rider {number}")))
        with pytest.raises(OfficeError, match="Too many open files"):
            await office.last_held()
        assert store.uses([ref("medium rider 3")], 0)
    assert batches.read_statement(await office.last_held(), keys.office, TERMINAL)
    assert store.head().name.sequence == 22
    await office.close()
    await store.close()
    await server.stop()


ABORTED = """
import asyncio, subprocess, sys
from pathlib import Path
from drivers.store.sqlite import SqliteStore
from terminal.ports import StoreBroken
from tests.journal_cases import TestClock, at, decided, draft, ref
async def main():
    place = Path(sys.argv[1])
    store = SqliteStore(place / "disk" / "j", TestClock())
    store.open("T1", at())
    for number in range(20):
        await store.append(draft(decided(f"rider {number}")))
    subprocess.run(["mount", "-o", "remount,abort", str(place / "disk")], check=True)
    broken = 0
    for number in range(3):
        try:
            await store.append(draft())
        except StoreBroken:
            broken += 1
    seen = len(store.uses([ref("medium rider 7")], 0))
    await store.close()
    try:
        SqliteStore(place / "disk" / "j", TestClock()).open("T1", at())
    except StoreBroken:
        print("refused to start;", end=" ")
    print("broken", broken, "still read", seen, flush=True)
asyncio.run(main())
"""
MOUNTED = """
set -e
cd "$1"; truncate -s 32M image; mkfs.ext4 -q -F image; mkdir disk; mount -o loop image disk
"$2" -c "$3" "$1"
umount -l disk; mount -o loop image disk
"""


async def test_a_file_system_that_went_read_only_ends_the_journal_at_once(tmp_path: Path) -> None:
    """EROFS at the next write: StoreBroken for every waiter and every start; what was written is read again."""
    if (reason := images.why_not()) is not None:
        pytest.skip(reason)
    again = "from pathlib import Path; import asyncio, sys\n" + REOPENED
    script = MOUNTED + f'"$2" -c \'{again}\' "$1"; umount disk\n'
    command = [*images.NAMESPACE, "sh", "-c", script, "sh", str(tmp_path), sys.executable]
    done = subprocess.run([*command, ABORTED], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
    assert "refused to start; broken 3 still read 1" in done.stdout, done.stdout + done.stderr
    assert "reopened 21 damaged 0" in done.stdout, done.stdout + done.stderr


REOPENED = """
from drivers.store.sqlite import SqliteStore
from tests.journal_cases import TestClock, at
async def main():
    place = Path(sys.argv[1]) / "disk" / "j"
    store = SqliteStore(place, TestClock())
    print("reopened", store.open("T1", at()).name.sequence, "damaged", len(list(place.glob("damaged-*"))), flush=True)
    await store.close()
asyncio.run(main())
"""


async def test_every_second_start_at_once_ends_by_the_lock(tmp_path: Path) -> None:
    """Daemons started together on one directory: one writes, the others say why they do not."""
    children = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / "j")], cwd=ROOT, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(4)
    ]  # fmt: skip
    writing = []
    try:
        for child in children:
            assert child.stdout is not None and child.stderr is not None
            if child.stdout.readline():
                writing.append(child)
            else:
                assert "in use by another terminal" in child.stderr.read()
    finally:
        for child in children:
            child.kill()
            child.communicate()
    assert len(writing) == 1


def test_a_closed_journal_can_be_read_by_anybody_who_may(tmp_path: Path) -> None:
    """And by nobody else: the directory is its user's."""

    async def write() -> None:
        store = SqliteStore(tmp_path / "j", TestClock())
        store.open("T1", at())
        await store.close()

    asyncio.run(write())
    assert (tmp_path / "j").stat().st_mode & 0o777 == 0o700
    with contextlib.closing(apsw.Connection(str(tmp_path / "j" / "journal.db"), flags=apsw.SQLITE_OPEN_READONLY)) as db:
        assert db.execute("SELECT count(*) FROM entries").fetchone() == (1,)
    with pytest.raises(StoreBroken):
        SqliteStore(Path("/proc/nowhere"), TestClock()).open("T1", at())
