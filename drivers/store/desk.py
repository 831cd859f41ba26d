"""How jobs come to the journal's one connection, and how who handed them in hears.

Laws of this file:
- One at a time: whoever commits or keeps house holds the lock, be it the loop or the writer's thread.
- Waking a thread and being woken by it costs as much as a quick disk's flush. So what somebody at a gate waits for is
  committed by the loop itself: all of it that was handed in during one turn, together, in one commit.
- A slow disk holds up the loop once: for every BRIEF_S a commit took, the next PATIENCE entries are the thread's, up
  to LONGEST_PATIENCE.
- Entries keep the order they were handed in: while the thread has some, the next one goes to it as well.
- Whoever handed a job in hears once, on the loop; one who has stopped waiting is passed over.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any, NamedTuple

from terminal.ports import StoreBroken

GROUP = 512  # jobs in one commit at most
GROUP_HERE = 64  # … and on the loop: half of it would be a millisecond
QUIET_S = 0.1
BRIEF_S = 0.002  # twice a code's verification; beside a slower disk waking somebody costs little
PATIENCE, LONGEST_PATIENCE = 5, 100  # entries


class Job(NamedTuple):
    """One thing to do inside a transaction; `future` hears of it on its loop."""

    work: Callable[[], Any]
    future: "asyncio.Future[Any]"
    adds: bool  # whether it adds entries: refused while the disk is full
    beside: bool  # whether it works on the tables, and not by adding entries alone


class Outcome(NamedTuple):
    """What became of some jobs: durable when it is told."""

    jobs: list[Job]
    results: list[Any] | None  # one each
    failure: Exception | None  # … or this


class Pace:
    """Whether the disk is quick enough for the loop to stand and wait."""

    def __init__(self) -> None:
        self._away = 0  # entries for which the loop does not

    def is_quick(self) -> bool:
        """Whether the next commit is likely to take less than BRIEF_S."""
        return self._away == 0

    def took(self, entries: int, seconds: float) -> None:
        """So many entries took so long to become durable, wherever that was done."""
        if self._away or seconds >= BRIEF_S:
            away = max(0, self._away - entries) + int(seconds / BRIEF_S) * PATIENCE
            self._away = min(away, LONGEST_PATIENCE)


class Desk:
    """Between one loop and one connection with a thread of its own."""

    def __init__(
        self, commit: Callable[[list[Job]], list[Outcome]], told: Callable[[], None], is_tidy: Callable[[], bool]
    ) -> None:
        self.pace = Pace()
        self._lock = Lock()
        self._thread_comes = False  # and the loop lets it pass: a lock is not fair
        self._commit = commit
        self._told = told  # what is left to do once everybody was told
        self._is_tidy = is_tidy  # False: the thread has something to do after every commit, or before the next
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = False
        self._here: list[Job] = []  # urgent and handed in during this turn; the loop's own
        self._there = 0  # adding jobs the thread has and has not told of; the loop's own
        self._queue: SimpleQueue[list[Job] | None] = SimpleQueue()  # the thread's; None: nothing more comes

    # ----------------------------------------------------------------------- on the loop

    def hand_in(self, job: Job, *, urgent: bool) -> None:
        """A job is to be done; `urgent`: it adds an entry, and somebody may stand at a gate."""
        if self._ended:
            job.future.set_exception(StoreBroken("the journal was closed"))
            return
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        if not urgent:
            self._pass_on([job])
            return
        if not self._here:
            self._loop.call_soon(self._commit_here)
        self._here.append(job)

    def end(self) -> None:
        """Nothing comes any more."""
        self._ended = True
        self._pass_on(self._taken())
        self._queue.put(None)

    def _commit_here(self) -> None:
        jobs = self._taken()
        if not jobs:  # `end` was quicker: nothing here is ours any more
            return
        if not self._may_stand(len(jobs)) or not self._lock.acquire(blocking=False):
            self._pass_on(jobs)
            return
        assert self._loop is not None, "they came from it"
        try:
            _tell(self._timed(jobs, only_adding=True))
        finally:
            self._loop.call_soon(self._let_go)  # behind everybody who waited

    def _let_go(self) -> None:
        try:
            self._told()
        finally:
            self._lock.release()

    def _may_stand(self, jobs: int) -> bool:
        alone = self._there == 0 and not self._thread_comes
        return alone and jobs <= GROUP_HERE and self.pace.is_quick() and self._is_tidy()

    def _taken(self) -> list[Job]:
        jobs, self._here = self._here, []
        return jobs

    def _pass_on(self, jobs: list[Job]) -> None:
        self._there += sum(job.adds for job in jobs)
        self._queue.put(jobs)

    def _hear(self, outcomes: list[Outcome]) -> None:
        self._there -= sum(job.adds for outcome in outcomes for job in outcome.jobs)
        _tell(outcomes)

    # ----------------------------------------------------------------------- on the thread

    def waiting(self) -> tuple[list[Job], bool]:
        """What waits for the thread, none where that is nothing for QUIET_S; and whether more may come."""
        jobs: list[Job] = []
        try:
            handed = self._queue.get(timeout=QUIET_S)
            while handed is not None:
                jobs += handed
                if len(jobs) >= GROUP:
                    break
                handed = self._queue.get_nowait()
        except Empty:
            return jobs, True
        return jobs, handed is not None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """For as long as this lasts the loop touches nothing."""
        self._thread_comes = True
        with self._lock:
            self._thread_comes = False
            yield

    def commit_there(self, jobs: list[Job]) -> None:
        """Have these committed and told; the caller is alone."""
        # receipts and pruning take their time on any disk
        outcomes = self._timed(jobs, only_adding=all(job.adds for job in jobs))
        if outcomes:
            assert self._loop is not None, "they came from it"
            call(self._loop, self._hear, outcomes)
            self._told()

    # ----------------------------------------------------------------------- whoever holds the lock

    def _timed(self, jobs: list[Job], *, only_adding: bool) -> list[Outcome]:
        began = time.monotonic()
        outcomes = self._commit(jobs)
        if only_adding:
            self.pace.took(len(jobs), time.monotonic() - began)
        return outcomes


def call(loop: asyncio.AbstractEventLoop, told: Callable[..., None], *values: Any) -> None:
    """Have something called on a loop, from any thread. A loop that is gone hears nothing."""
    try:
        loop.call_soon_threadsafe(told, *values)
    except RuntimeError:  # closed
        return


def _tell(outcomes: list[Outcome]) -> None:
    for jobs, results, failure in outcomes:
        for number, job in enumerate(jobs):
            if job.future.done():  # its caller was cancelled; the entry stands all the same
                continue
            if results is not None:
                job.future.set_result(results[number])
            elif failure is not None:
                job.future.set_exception(failure)
