"""Pending entries → batches → head office: at least once, fresh first, counted once.

Laws of this file:
- Nothing is marked without a verified receipt for exactly that batch.
- Today's tap never waits for last week's: entries of this run go first, the backlog follows behind in order, and both
  make progress.
- Before the first batch after a start, head office is asked what it holds last; if that is ahead of ours or another
  chain, an old disk came back: a new epoch begins, with an alarm.
- One batch is under way at a time. A failure waits with backoff and jitter, never longer than `longest_wait_s`, unless
  head office asks for longer: that is clamped to an hour, and answered up to a quarter late, so that a whole fleet does
  not come back at once.
- A batch that was too large, or was lost on the way, is cut smaller; each success cuts the next one larger again.
- What head office will not take blocks nothing: a refused record goes to quarantine; a single record it finds too large
  is parked, stepped over, and offered again ever more seldom, behind everything else.
- What does not count under its own name — head office holds another entry there or beside it, or it stood behind
  damage — is issued again whole, in another epoch, a few times at most: who refuses everything fills no journal.
- A lasting trouble is told once an hour, and the refusal of an alarm is never told: no circle fills the journal.
- A full disk stops no upload: what cannot be written down is logged.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

from terminal.core import batch as batches
from terminal.core.batch import Batch, NotAReceipt, Statement
from terminal.core.entries import Alarm, BadEntry, Decided, Entry, Receipt, StoredEntry, decode
from terminal.core.model import Instant, Value
from terminal.core.parameters import OfficeKeys
from terminal.core.reissuing import MISPLACED
from terminal.core.time import AGREE_MS, lowered_ms
from terminal.ports import Clock, Office, OfficeError, StoreFull
from terminal.runtime.journal import Journal

ASK_AGAIN_S = 60.0  # where the journal's time is in doubt
NEVER_MS = 1 << 62
RUNS_LOOKED_AT, ENTRIES_LOOKED_AT = 8, 50  # in one status, for the oldest unsent ride
REISSUE_AGAIN_S = 60.0  # where the disk was full
ALARM_AGAIN_S = 3600.0  # a trouble that lasts is told again after so long

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


class Parked(Value, frozen=True):
    """A single record head office finds too large."""

    tries: int
    due_s: float  # by the loop's time; offered again from then on


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
        self._asked_s = -ASK_AGAIN_S
        self._backlog_next = False
        self._tried: set[int] = set()  # rows sent at least once, without a receipt
        self._parked: dict[int, Parked] = {}  # by row
        self._failures = 0
        self._reissue_s: float | None = clock.monotonic_s()  # when something may be issued again
        self._next_fork_s = 0.0
        self._oldest_ride = 0, NEVER_MS  # its row, and when it was due; before it nothing waits but what is no ride
        self._told_s: dict[str, float] = {}  # alarm → when it was last told
        self.uploaded = 0
        self.refused = 0
        self.resent = 0
        self.late = 0
        self.last_error = ""

    async def run(self) -> None:
        """Upload until cancelled."""
        if self._journal.head().unsent:
            self._journal.grown.set()  # left by the run before
        while True:
            await self._something_to_send()
            await asyncio.sleep(self._rules.gather_s)
            await self._empty()

    async def drain(self, within_s: float) -> bool:
        """Upload what is left, for so long at most; whether nothing is left."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._empty()
                while self._journal.head().unsent:
                    await self._something_to_send()
                    await self._empty()
        return not self._journal.head().unsent

    def status(self) -> dict[str, Any]:
        """Figures for the status."""
        return {
            "uploaded": self.uploaded,
            "refused": self.refused,
            "resent": self.resent,
            "late": self.late,
            "overdue_s": self.overdue_s(),
            "parked": len(self._parked),
            "unsent": self._journal.head().unsent,
            "last_error": self.last_error,
        }

    def overdue_s(self) -> int:
        """For how long the oldest unsent ride should have been paid already; 0 where none should.

        No entry is looked at twice, some at a time: however many wait, a status reads what it has not seen.
        """
        row, pay_by_ms = self._oldest_ride
        waits = self._journal.unsent(row, 1, 1)
        if pay_by_ms == NEVER_MS or not waits or waits[0].row != row:
            self._oldest_ride = _, pay_by_ms = self._next_ride(row)
        return max(0, self._now().utc_ms - pay_by_ms) // 1000

    def _next_ride(self, row: int) -> tuple[int, int]:
        """The row of the oldest unsent ride from `row` on, and when it was due; else where to look on, and NEVER_MS."""
        for _ in range(RUNS_LOOKED_AT):
            run = self._journal.unsent(row, ENTRIES_LOOKED_AT, self._rules.batch_bytes)
            for stored in run:
                if (pay_by_ms := _pay_by_ms(stored.data)) < NEVER_MS:
                    return stored.row, pay_by_ms
            row = run[-1].row + 1 if run else row
        return row, NEVER_MS

    # ----------------------------------------------------------------------- one round

    async def _something_to_send(self) -> None:
        """Wait for a new entry, or until a parked one, or the question for the time, is due."""
        dues_s = [parked.due_s for parked in self._parked.values()]
        if self._reissue_s is not None:
            dues_s.append(self._reissue_s)
        if self._is_behind():
            dues_s.append(self._asked_s + ASK_AGAIN_S)
        due_s = min(dues_s, default=None)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(due_s):
                await self._journal.grown.wait()

    async def _empty(self) -> None:
        """Send until nothing can be sent; wait after each failure."""
        while True:
            try:
                if not await self._round():
                    return
                self._failures, self.last_error = 0, ""
            except OfficeError as error:
                await self._failed(error)

    async def _round(self) -> bool:
        """One batch. False: nothing can be sent now. Raises OfficeError."""
        await self._reissue()  # not only after an answer: where the modem is dead, what is exported has it
        await self._ask_once()
        await self._reissue()
        run = self._next()
        if not run:
            return False
        rows = {stored.row for stored in run}
        self.resent += len(rows & self._tried)
        self._tried |= rows
        batch = batches.cut(self._journal.terminal, run)
        try:
            receipt = batches.read_receipt(await self._office.send(batches.encode(batch)), self._keys(), batch)
        except NotAReceipt as error:
            raise OfficeError(f"no receipt: {error}", alarm="receipt_bad") from error
        except OfficeError as error:
            raise self._in_vain(run, error) from error
        await self._receipted(batch, receipt)
        self._tried -= rows
        self._parked.pop(run[0].row, None)
        self._backlog_next = run[0].row >= self._fresh_row and not self._backlog_next
        self._limit = min(self._limit * 2, self._rules.batch_entries)
        return True

    def _next(self) -> list[StoredEntry]:
        """Fresh first; but after each fresh batch that arrived the backlog gets one. A parked record goes last."""
        self._journal.grown.clear()
        fresh = [] if self._backlog_next else self._run_from(self._fresh_row)
        return fresh or self._run_from(0) or self._parked_turn()

    def _run_from(self, row: int) -> list[StoredEntry]:
        """The oldest run from `row` on without a parked record."""
        while run := self._journal.unsent(row, self._limit, self._rules.batch_bytes):
            whole = next((n for n, stored in enumerate(run) if stored.row in self._parked), len(run))
            if whole:
                return run[:whole]
            row = run[0].row + 1
        return []

    def _parked_turn(self) -> list[StoredEntry]:
        """A parked record that is due, alone: it may fail again, and whatever else there is went before it."""
        now_s = self._clock.monotonic_s()
        row = min((row for row, parked in self._parked.items() if parked.due_s <= now_s), default=None)
        return [] if row is None else self._journal.unsent(row, 1, self._rules.batch_bytes)

    def _in_vain(self, run: list[StoredEntry], error: OfficeError) -> OfficeError:
        """Halve what was too large, or was lost on a slow or shaky way; park what cannot be halved."""
        lost = error.alarm is None and error.retry_after_s is None
        if error.too_large and len(run) == 1:
            return self._park(run[0])
        if error.too_large or lost:
            self._limit = max(1, len(run) // 2)
        return error

    def _park(self, stored: StoredEntry) -> OfficeError:
        tries = self._parked[stored.row].tries + 1 if stored.row in self._parked else 1
        due_s = self._clock.monotonic_s() + self._backoff_s(tries, self._rules.longest_retry_after_s)
        self._parked[stored.row] = Parked(tries=tries, due_s=due_s)
        name = f"{stored.name.epoch.hex()}/{stored.name.sequence}"
        return OfficeError(f"entry {name} alone is too large for head office", alarm="record_too_large")

    async def _receipted(self, batch: Batch, receipt: Receipt) -> None:
        try:
            self.uploaded += await self._journal.settle(receipt)
        except StoreFull as error:
            raise OfficeError("the disk has no room left for a receipt") from error
        self.late += self._late_in(batch)
        self.refused += len(receipt.refused)
        refused = [
            f"{one.sequence}: {one.reason}"
            for one in receipt.refused
            if not _is_alarm(batch.entries[one.sequence - batch.first])
        ]
        if refused:
            more = f" and {len(refused) - 3} more" if len(refused) > 3 else ""
            await self._alarm("record_refused", f"entries {batch.epoch.hex()}/{', '.join(refused[:3])}{more}")
        if any(one.reason in MISPLACED for one in receipt.refused):
            self._reissue_s = self._clock.monotonic_s()

    def _late_in(self, batch: Batch) -> int:
        """How many rides of the batch arrived after they should have been paid."""
        now_ms = self._now().utc_ms
        return sum(_pay_by_ms(data) < now_ms for data in batch.entries)

    async def _reissue(self) -> None:
        """Issue again, when it is due, what does not count under its own name; what forked this epoch, in a new one."""
        now_s = self._clock.monotonic_s()
        if self._reissue_s is None or now_s < self._reissue_s:
            return
        self._reissue_s = None
        try:
            issued = await self._journal.reissue(self._now())
            if self._asked and self._journal.needs_new_epoch():
                if now_s < self._next_fork_s:  # whoever sees conflicts everywhere does not fill the journal
                    self._reissue_s = self._next_fork_s
                else:
                    await self._begin_epoch("head office holds other entries under these names: an old disk came back")
                    self._next_fork_s = now_s + ALARM_AGAIN_S
                    issued += await self._journal.reissue(self._now())
        except StoreFull:
            log.warning("not issued again", extra={"what": "the disk is full"})  # it waits in quarantine
            self._reissue_s = now_s + REISSUE_AGAIN_S
            return
        if issued:
            log.warning("issued again", extra={"entries": issued})

    async def _begin_epoch(self, why: str) -> None:
        log.error("new epoch", extra={"why": why})
        await self._journal.begin_epoch(why, self._now())

    # ----------------------------------------------------------------------- the question

    async def _ask_once(self) -> None:
        if self._asked and not (self._is_behind() and self._clock.monotonic_s() >= self._asked_s + ASK_AGAIN_S):
            return
        self._asked_s = self._clock.monotonic_s()
        try:
            held = batches.read_statement(await self._office.last_held(), self._keys(), self._journal.terminal)
        except NotAReceipt as error:
            raise OfficeError(f"no statement: {error}", alarm="receipt_bad") from error
        await self._mind_time(held)
        if self._asked:
            return
        if not self._knows(held):
            try:
                await self._begin_epoch("head office holds entries this journal does not: an old disk came back")
            except StoreFull as error:
                raise OfficeError("a new epoch is needed, and the disk is full") from error
        self._asked = True
        self._reissue_s = self._clock.monotonic_s()

    def _is_behind(self) -> bool:
        """Whether the clock stands far behind the journal: then head office is asked again, once a minute."""
        return self._journal.behind_ms(self._clock.read()) > AGREE_MS

    async def _mind_time(self, held: Statement) -> None:
        """Where head office and the clock agree that the journal's time ran ahead, it comes down."""
        reading = self._clock.read()
        to_ms = None if held.at_ms is None else lowered_ms(reading, self._journal.head().floor_ms, held.at_ms)
        if to_ms is not None:
            log.error("floor lowered", extra={"to_ms": to_ms})
            with suppress(StoreFull):  # asked again in a minute
                await self._journal.lower_floor(to_ms, reading)

    def _knows(self, held: Statement) -> bool:
        return held.name is None or self._journal.holds(held.name, held.hash)

    # ----------------------------------------------------------------------- failures

    async def _failed(self, error: OfficeError) -> None:
        self.last_error = str(error)
        if error.alarm is not None:
            await self._alarm_hourly(error.alarm, str(error))
        if error.too_large:
            return  # the smaller batch goes at once
        self._failures += 1
        log.info("upload", extra={"what": str(error), "failures": self._failures})
        await asyncio.sleep(self._wait_s(error))

    def _wait_s(self, error: OfficeError) -> float:
        rules = self._rules
        if error.retry_after_s is None:
            return self._backoff_s(self._failures, rules.longest_wait_s)
        asked_s = max(rules.least_retry_after_s, min(error.retry_after_s, rules.longest_retry_after_s))
        return asked_s * self._random.uniform(1.0, 1.25)

    def _backoff_s(self, failures: int, longest_s: float) -> float:
        """Doubling from `first_wait_s` to `longest_s`, between half and whole of it."""
        whole_s: float = min(self._rules.first_wait_s * 2.0 ** min(failures - 1, 20), longest_s)
        return whole_s * self._random.uniform(0.5, 1.0)

    async def _alarm_hourly(self, kind: str, detail: str) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._told_s.get(kind, -ALARM_AGAIN_S) >= ALARM_AGAIN_S:
            self._told_s[kind] = now_s
            await self._alarm(kind, detail)

    async def _alarm(self, kind: str, detail: str) -> None:
        log.error("alarm", extra={"kind": kind, "detail": detail})
        with suppress(StoreFull):  # it stands in the log
            await self._journal.append(Alarm(kind=kind, detail=detail), self._now())


def _entry(data: bytes) -> Entry | None:
    try:
        return decode(data)
    except BadEntry:
        return None


def _is_alarm(data: bytes) -> bool:
    entry = _entry(data)
    return entry is not None and isinstance(entry.fact, Alarm)


def _pay_by_ms(data: bytes) -> int:
    """When a ride should be at head office; for anything else, never too late."""
    entry = _entry(data)
    fact = None if entry is None else entry.fact
    return fact.pay_by_ms if isinstance(fact, Decided) and fact.pay_by_ms is not None else NEVER_MS
