"""The loop writes for a gate itself while the disk is quick; everything else is the thread's; nobody is forgotten."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from drivers.store import desk
from drivers.store.desk import BRIEF_S, GROUP_HERE, LONGEST_PATIENCE, PATIENCE, Pace, call
from drivers.store.head_file import HeadFile
from drivers.store.sqlite import SqliteStore
from terminal.ports import StoreBroken, StoreFull
from tests.journal_cases import NOON_MS, TestClock, at, draft

LOOP, THREAD = "MainThread", "journal"


def opened(place: Path, monkeypatch: pytest.MonkeyPatch, brief_s: float = 1000.0) -> SqliteStore:
    """A store whose disk passes for quick however busy this machine is."""
    monkeypatch.setattr(desk, "BRIEF_S", brief_s)
    store = SqliteStore(place, TestClock())
    store.open("T1", at())
    return store


def watched(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, before: Callable[[], object] = lambda: None
) -> list[str]:
    """By whom each of its transactions is committed from now on; `before` each of them."""
    transact, by = store._owner._transact, list[str]()

    def seen(*jobs: Any, **options: Any) -> list[Any]:
        by.append(threading.current_thread().name)
        before()
        return transact(*jobs, **options)

    monkeypatch.setattr(store._owner, "_transact", seen)
    return by


def only_on_the_thread(wait: threading.Event) -> Callable[[], object]:
    """What holds up the thread and not the loop."""
    return lambda: threading.current_thread().name == LOOP or wait.wait(10)


@pytest.mark.parametrize(("together", "by"), [(1, LOOP), (GROUP_HERE, LOOP), (GROUP_HERE + 1, THREAD)])
async def test_one_turn_is_one_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, together: int, by: str) -> None:
    """Whatever was handed in during one turn of the loop; more than that is not for the loop."""
    store = opened(tmp_path, monkeypatch)
    commits = watched(store, monkeypatch)
    entries = await asyncio.gather(*(store.append(draft()) for _ in range(together)))
    assert [entry.name.sequence for entry in entries] == [*range(2, together + 2)]
    assert commits == [by]
    await store.close()


async def test_a_slow_disk_is_the_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It held up the loop once."""
    store = opened(tmp_path, monkeypatch, 1e-9)  # no disk is as quick as that
    commits = watched(store, monkeypatch)
    for _ in range(5):
        await store.append(draft())
    assert commits == [LOOP, *[THREAD] * 4]
    await store.close()


def test_for_how_long_the_loop_stays_away() -> None:
    """The longer it was held up, the longer; what the thread then sees counts as well."""
    pace = Pace()
    pace.took(1, BRIEF_S * 0.9)
    assert pace.is_quick()
    pace.took(1, BRIEF_S * 2.5)
    for _ in range(2 * PATIENCE):
        assert not pace.is_quick()
        pace.took(1, BRIEF_S / 10)
    assert pace.is_quick()
    pace.took(1, BRIEF_S * 1.5)
    pace.took(PATIENCE, BRIEF_S * 1.5)  # as many as it was to stay away for, and slow again
    assert not pace.is_quick()
    pace.took(1, 3600.0)  # the machine slept
    pace.took(LONGEST_PATIENCE, 0.0)
    assert pace.is_quick()


async def test_while_the_thread_works_the_loop_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries wait for it, in their order, and the loop for nothing."""
    store, let_go = opened(tmp_path, monkeypatch), threading.Event()
    commits = watched(store, monkeypatch, only_on_the_thread(let_go))
    pruned = asyncio.ensure_future(store.prune(NOON_MS))
    async with asyncio.timeout(10):
        while not commits:
            await asyncio.sleep(0.01)
    waiting = []
    for _ in range(3):
        waiting.append(store.append(draft()))
        await asyncio.sleep(0.01)  # comes back although nothing is committed
    assert not any(future.done() for future in waiting)
    let_go.set()
    assert [entry.name.sequence for entry in await asyncio.gather(*waiting)] == [2, 3, 4]
    assert await pruned == 0
    async with asyncio.timeout(10):
        while commits[-1] == THREAD:  # until its house is kept
            await store.append(draft())
    await store.close()


async def test_without_ballast_the_thread_tidies_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each commit, as a full disk needs it."""
    store = opened(tmp_path, monkeypatch)
    store._owner.room.ballast.lies = False
    commits = watched(store, monkeypatch)
    await store.append(draft())
    await store.append(draft())
    assert commits == [THREAD, THREAD]
    await store.close()


async def test_what_a_full_disk_left_is_tidied_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop met it; receipts then find the log emptied, and not only the ballast's place."""
    store, done = opened(tmp_path, monkeypatch), list[str]()
    await store.append(draft())
    writer = store._owner
    transact, checkpoint = writer._transact, writer._checkpoint

    def full(*jobs: Any, **options: Any) -> list[Any]:
        if threading.current_thread().name == LOOP:
            raise apsw.FullError
        done.append("commit")
        return transact(*jobs, **options)

    def seen(mode: int) -> None:
        done.append("checkpoint")
        checkpoint(mode)

    monkeypatch.setattr(writer, "_transact", full)
    monkeypatch.setattr(writer, "_checkpoint", seen)
    with pytest.raises(StoreFull):
        await store.append(draft())
    await store.prune(NOON_MS)
    assert done[:2] == ["checkpoint", "commit"]
    await store.close()


async def test_what_comes_after_the_end_hears_so(tmp_path: Path) -> None:
    """It waits for nothing."""
    store = SqliteStore(tmp_path, TestClock())
    store.open("T1", at())
    ended = store._owner
    await store.close()
    for late in (ended.add(draft()), ended.do(lambda: None, adds=False)):
        with pytest.raises(StoreBroken):
            await late


async def test_who_no_longer_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is passed over; the entry stands, and the one behind it is told."""
    store = opened(tmp_path, monkeypatch)
    gone, waits = store.append(draft()), store.append(draft())
    gone.cancel()
    assert (await waits).name.sequence == 3
    await store.close()


async def test_handed_in_and_closed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written first; the turn that was to write it touches nothing any more."""
    store = opened(tmp_path, monkeypatch)
    wrote, write = list[int](), HeadFile.write
    monkeypatch.setattr(HeadFile, "write", lambda *a, **b: wrote.append(threading.get_ident()) or write(*a, **b))  # type: ignore[func-returns-value]
    waiting, counter = [store.append(draft()) for _ in range(3)], store._owner.desk
    await store.close()
    counter._commit_here()  # as it may come in a loop that has much to do
    assert wrote and threading.get_ident() not in wrote
    assert [entry.name.sequence for entry in await asyncio.gather(*waiting)] == [2, 3, 4]


async def test_a_bug_in_a_commit_reaches_everybody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the loop as on the thread it is the end of the journal, not of the loop."""
    store = opened(tmp_path, monkeypatch)

    def broken() -> None:
        raise OSError(5, "Input/output error")

    watched(store, monkeypatch, broken)
    told = await asyncio.gather(*(store.append(draft()) for _ in range(3)), store.broken(), return_exceptions=True)
    assert {str(one) for one in told} == {"OSError: [Errno 5] Input/output error"}
    await store.close()


def test_a_loop_that_is_gone_hears_nothing() -> None:
    """And nobody minds."""
    loop = asyncio.new_event_loop()
    loop.close()
    call(loop, pytest.fail, "told")
