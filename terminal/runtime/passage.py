"""Who walked: matches the board's signals to the one open grant of a gate.

Laws of this file:
- One grant is open at a time; one that has to make room is told as unknown, never dropped. Walking counts towards the
  open one; nobody walking in time annuls what is left of it.
- Walking after an annul, within the late window, takes a person of that grant back: the charge stands again. Not if
  the code was granted anew meanwhile, here or at another gate: then nobody knows who walks, and nobody pays twice.
- State changes before the entry is awaited, so that two signals never count as one.
- A grant shown again while its right stands at the controller waits anew and orders nothing: two rights let two walk.
- With passage assumed there is nothing to wait for: the grant entry itself commits.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from terminal.core.entries import Fact, GateReported, LatePassage, PassageAnnulled, PassageUnknown, Passed
from terminal.core.model import EntryName, GateEvent, GateSignal, Instant, Ref

LATE_WINDOW_S = 60.0
PULSE_S = 1.0  # a further person's pulse and the gap before it

log = logging.getLogger(__name__)

Write = Callable[[Fact, Instant], Awaitable[object]]


class _Grant:
    """One grant on its way through the gate."""

    def __init__(self, name: EntryName, twin: Ref, persons: int) -> None:
        self.name = name
        self.twin = twin  # whose code, of which second
        self.persons = persons
        self.passed = 0


class Right:
    """The opening a controller was ordered last, while it keeps it: pulses stack, so it is not ordered twice."""

    def __init__(self, hold_s: float) -> None:
        self._hold_s = hold_s
        self._of: EntryName | None = None
        self._until_s = 0.0

    def given(self, of: EntryName, persons: int, now_s: float) -> None:
        """Ordered now. A controller counts from the last person's pulse."""
        self._of, self._until_s = of, now_s + self._hold_s + (persons - 1) * PULSE_S

    def lost(self) -> None:
        """The order was not confirmed: whoever asks again gets another."""
        self._of = None

    def stands(self, of: EntryName, now_s: float) -> bool:
        """Whether somebody may still walk on what was ordered for this grant."""
        return self._of == of and now_s < self._until_s


class Passages:
    """The gate's view of one lane with a passage sensor."""

    def __init__(
        self,
        lane: str,
        write: Write,
        now: Callable[[], Instant],
        on_annul: Callable[[], Awaitable[None]],
        newest_use: Callable[[Ref], EntryName | None],
    ) -> None:
        self._lane = lane
        self._write = write
        self._now = now
        self._on_annul = on_annul
        self._newest_use = newest_use
        self._open: _Grant | None = None
        self._annulled: _Grant | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._late_timer: asyncio.TimerHandle | None = None
        self._annulling: set[asyncio.Task[None]] = set()
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def busy(self) -> bool:
        """Whether somebody who was let through has not walked yet."""
        return self._open is not None

    @property
    def open_grant(self) -> EntryName | None:
        """Whose passage is waited for."""
        return None if self._open is None else self._open.name

    async def expect(self, name: EntryName, twin: Ref, persons: int, within_s: float) -> None:
        """A grant was written: wait for `persons` to walk. A repeat of the open grant waits anew."""
        replaced = self._open if self._open is not None and self._open.name != name else None
        if self._annulled is not None and self._annulled.name == name:
            self._open, self._annulled = self._annulled, None  # shown again while its annul was being written
        if self._open is None or self._open.name != name:
            self._open = _Grant(name, twin, persons)
        self._arm(within_s)
        if replaced is not None:  # let through beside it: who walks now is not known
            await self._write(PassageUnknown(of=replaced.name), self._now())

    async def signal(self, event: GateEvent, at: Instant) -> None:
        """One signal of the board, written as what it means here."""
        if event.signal is GateSignal.PASSAGE:
            await self._write(self._walked(), at)
        else:
            await self._write(GateReported(lane=self._lane, signal=event.signal), at)

    def close(self) -> None:
        """Stop waiting; an open grant is told as unknown by the next start."""
        for timer in (self._timer, self._late_timer):
            if timer is not None:
                timer.cancel()
        for task in self._annulling:
            task.cancel()

    # ----------------------------------------------------------------------- inside

    def _walked(self) -> Fact:
        if self._open is not None:
            grant = self._open
            grant.passed += 1
            if grant.passed == grant.persons:
                self._finish()
            return Passed(lane=self._lane, of=grant.name, passed=grant.passed)
        if self._annulled is not None and self._newest_use(self._annulled.twin) == self._annulled.name:
            grant = self._annulled
            grant.passed += 1
            if grant.passed == grant.persons:
                self._annulled = None
            return LatePassage(lane=self._lane, of=grant.name, passed=grant.passed)
        return GateReported(lane=self._lane, signal=GateSignal.PASSAGE)

    def _arm(self, within_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(within_s, self._expired)

    def _finish(self) -> None:
        self._open = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expired(self) -> None:
        grant = self._open
        if grant is None:
            return
        self._finish()
        self._annulled = grant
        if self._late_timer is not None:
            self._late_timer.cancel()
        self._late_timer = asyncio.get_running_loop().call_later(LATE_WINDOW_S, self._too_late, grant)
        fact = PassageAnnulled(lane=self._lane, of=grant.name, passed=grant.passed)
        task = asyncio.get_running_loop().create_task(self._annul(fact))
        self._annulling.add(task)
        task.add_done_callback(self._annulling.discard)

    async def _annul(self, fact: PassageAnnulled) -> None:
        try:
            await self._write(fact, self._now())
            await self._on_annul()
        except Exception as error:  # carried to the lane, which fails as a whole: nothing is swallowed
            if not self.failure.done():
                self.failure.set_exception(error)

    def _too_late(self, grant: _Grant) -> None:
        if self._annulled is grant:
            self._annulled = None
