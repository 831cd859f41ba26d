"""The loop waits a moment for its writer, and never longer."""

import asyncio
import threading
from pathlib import Path

import pytest

from drivers.store import handover
from drivers.store.handover import Handover
from drivers.store.sqlite import SqliteStore
from tests.journal_cases import TestClock, at, draft


async def test_a_slow_disk_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a commit stands still the loop goes on, and later jobs are not waited for at all."""
    store = SqliteStore(tmp_path, TestClock())
    store.open("T1", at())
    transact, let_go = store._owner._transact, threading.Event()

    def stuck(*jobs: object, **options: object) -> object:
        assert let_go.wait(10)
        return transact(*jobs, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(store._owner, "_transact", stuck)
    waiting = [asyncio.ensure_future(store.append(draft())) for _ in range(3)]
    await asyncio.sleep(0.05)  # comes back although nothing is committed
    assert not any(task.done() for task in waiting)
    link = store._owner._handover
    assert link is not None and link._in_vain == handover.PATIENCE
    waiting.append(asyncio.ensure_future(store.append(draft())))
    await asyncio.sleep(0)
    assert link._in_vain == handover.PATIENCE - 1 and not link._scheduled
    let_go.set()
    assert [entry.name.sequence for entry in await asyncio.gather(*waiting)] == [2, 3, 4, 5]
    await store.close()


@pytest.mark.parametrize("pause_s", [0.0, 0.0005, 0.0019, 0.0021, 0.004])
async def test_everything_is_told_once_and_in_order(pause_s: float) -> None:
    """Whether the loop waits, has just given up, or sleeps."""
    link, heard = Handover(asyncio.get_running_loop()), list[int]()
    done = asyncio.Event()

    def tell(number: int) -> None:
        link.heard(1)
        heard.append(number)
        if number == 49:
            done.set()

    def work() -> None:
        for number in range(50):
            threading.Event().wait(pause_s)
            link.tell(lambda number=number: tell(number))  # type: ignore[misc]  # bound early

    for _ in range(50):
        link.expect()
    thread = threading.Thread(target=work)
    thread.start()
    async with asyncio.timeout(10):
        while not done.is_set():
            link._in_vain = 0
            link.expect()
            await asyncio.sleep(0.0003)
            link.heard(1)
    thread.join()
    await asyncio.sleep(0.01)
    assert heard == list(range(50))
