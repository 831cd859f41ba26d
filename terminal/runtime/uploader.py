"""Pending entries → batches → head office: at least once, fresh first, counted once.

Laws of this file:
- Nothing is marked without a verified receipt for exactly that batch.
- Today's tap never waits for last week's: entries of this run go first, the backlog follows behind in order, and both
  make progress.
- Before the first batch after a start, head office is asked what it holds last; if that is ahead of ours or another
  chain, an old disk came back: a new epoch begins, with an alarm.
- One batch is under way at a time. A failure waits with backoff and jitter, never longer than `longest_wait_s`, unless
  head office asks for longer, clamped to an hour.
"""

import asyncio
import logging
from collections.abc import Callable
from random import Random
from typing import Any

from terminal.core import batch as batches
from terminal.core.batch import Batch, NotAReceipt, Statement
from terminal.core.entries import Alarm, BadEntry, Decided, Receipt, decode
from terminal.core.model import Instant, Value
from terminal.core.parameters import OfficeKeys
from terminal.ports import Clock, Office, OfficeError
from terminal.runtime.journal import Journal

log = logging.getLogger(__name__)


class UploadRules(Value, frozen=True):
    """How patient and how greedy."""

    batch_entries: int = 500
    batch_bytes: int = 512 * 1024
    gather_s: float = 0.1  # a tap waits so long for company
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    least_retry_after_s: float = 1.0
    longest_retry_after_s: float = 3600.0


class Uploader:
    """One journal, one head office."""

    def __init__(
        self,
        journal: Journal,
        office: Office,
        clock: Clock,
        *,
        keys: Callable[[], OfficeKeys],
        now: Callable[[], Instant],
        rules: UploadRules | None = None,
        random: Random | None = None,
    ) -> None:
        self._journal = journal
        self._office = office
        self._clock = clock
        self._keys = keys
        self._now = now
        self._rules = rules or UploadRules()
        self._random = random or Random()
        self._limit = self._rules.batch_entries
        self._fresh_row = journal.head().row + 1
        self._asked = False
        self._backlog_next = False
        self._tried: set[tuple[bytes, int]] = set()
        self._failures = 0
        self._alarmed = ""
        self.uploaded = 0
        self.resent = 0
        self.late = 0
        self.last_error = ""

    async def run(self) -> None:
        """Upload until cancelled."""
        while True:
            await self._journal.grown.wait()
            await asyncio.sleep(self._rules.gather_s)
            await self._empty()

    async def drain(self, within_s: float) -> bool:
        """Upload what is left, for so long at most; whether nothing is left."""
        try:
            async with asyncio.timeout(within_s):
                while self._journal.head().unsent:
                    await self._empty()
        except TimeoutError:
            return False
        return True

    def status(self) -> dict[str, Any]:
        """Figures for the status."""
        return {
            "uploaded": self.uploaded,
            "resent": self.resent,
            "late": self.late,
            "unsent": self._journal.head().unsent,
            "last_error": self.last_error,
        }

    # ----------------------------------------------------------------------- one round

    async def _empty(self) -> None:
        """Send until nothing is unsent; wait after each failure."""
        while True:
            try:
                if not await self._round():
                    return
                self._failures, self.last_error = 0, ""
            except OfficeError as error:
                await self._failed(error)

    async def _round(self) -> bool:
        """One batch. False: nothing is left. Raises OfficeError."""
        await self._ask_once()
        batch = self._next()
        if batch is None:
            return False
        names = {(batch.epoch, sequence) for sequence in range(batch.first, batch.last + 1)}
        self.resent += len(names & self._tried)
        self._tried |= names
        try:
            receipt = batches.read_receipt(await self._office.send(batches.encode(batch)), self._keys(), batch)
        except NotAReceipt as error:
            raise OfficeError(f"no receipt: {error}", alarm="receipt_bad") from error
        self._tried -= names
        await self._receipted(batch, receipt)
        self._limit = min(self._limit * 2, self._rules.batch_entries)
        return True

    def _next(self) -> Batch | None:
        """Fresh first; but after each fresh batch the backlog gets one."""
        self._journal.grown.clear()
        fresh = self._journal.unsent(self._fresh_row, self._limit, self._rules.batch_bytes)
        backlog = self._journal.unsent(0, self._limit, self._rules.batch_bytes)
        run = backlog if self._backlog_next or not fresh else fresh
        self._backlog_next = run is fresh
        return batches.cut(self._journal.terminal, run) if run else None

    async def _receipted(self, batch: Batch, receipt: Receipt) -> None:
        self.uploaded += await self._journal.settle(receipt)
        self.late += self._late_in(batch)
        for refused in receipt.refused:
            detail = f"entry {batch.epoch.hex()}/{refused.sequence}: {refused.reason}"
            await self._alarm("record_refused", detail)

    def _late_in(self, batch: Batch) -> int:
        """How many rides of the batch arrived after they should have been paid."""
        now_ms = self._now().utc_ms
        return sum(_pay_by_ms(data) < now_ms for data in batch.entries)

    # ----------------------------------------------------------------------- the question

    async def _ask_once(self) -> None:
        if self._asked:
            return
        try:
            held = batches.read_statement(await self._office.last_held(), self._keys(), self._journal.terminal)
        except NotAReceipt as error:
            raise OfficeError(f"no statement: {error}", alarm="receipt_bad") from error
        self._asked = True
        if not self._knows(held):
            why = "head office holds entries this journal does not: an old disk came back"
            log.error("new epoch", extra={"why": why})
            await self._journal.begin_epoch(why, self._now())

    def _knows(self, held: Statement) -> bool:
        return held.name is None or self._journal.holds(held.name, held.hash)

    # ----------------------------------------------------------------------- failures

    async def _failed(self, error: OfficeError) -> None:
        self.last_error = str(error)
        if error.alarm is not None and error.alarm != self._alarmed:
            self._alarmed = error.alarm
            await self._alarm(error.alarm, str(error))
        if error.too_large and self._limit > 1:
            self._limit = max(1, self._limit // 2)
            return
        self._failures += 1
        log.info("upload", extra={"what": str(error), "failures": self._failures})
        await asyncio.sleep(self._wait_s(error))

    def _wait_s(self, error: OfficeError) -> float:
        rules = self._rules
        wait_s: float = min(rules.first_wait_s * 2.0 ** min(self._failures - 1, 20), rules.longest_wait_s)
        if error.retry_after_s is not None:
            wait_s = max(rules.least_retry_after_s, min(error.retry_after_s, rules.longest_retry_after_s))
        return wait_s * self._random.uniform(1.0, 1.25)

    async def _alarm(self, kind: str, detail: str) -> None:
        log.error("alarm", extra={"kind": kind, "detail": detail})
        await self._journal.append(Alarm(kind=kind, detail=detail), self._now())


def _pay_by_ms(data: bytes) -> int:
    """When a ride should be at head office; for anything else, never too late."""
    try:
        fact = decode(data).fact
    except BadEntry:
        return 1 << 62
    return fact.pay_by_ms if isinstance(fact, Decided) and fact.pay_by_ms is not None else 1 << 62
