"""What all lanes of one vehicle or site share: parameters, history, the journal.

Laws of this file:
- A reservation is part of history from the moment of judging until its entry is durable; it is withdrawn
  when the append fails. Between recall and reserve nothing awaits.
- One history for all lanes: a code at two lanes in the same millisecond opens one gate.
"""

import asyncio
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import msgspec

from terminal.core import history
from terminal.core.ledger import Ledger, Where
from terminal.core.model import Credential, EntryName, GateSignal, History, Instant, Reading, Ref, Use, UseState, Value
from terminal.core.parameters import ParameterSet
from terminal.ports import Clock
from terminal.runtime.journal import Journal

DAY_MS = 86_400_000
ORDERED = ""  # instead of a lane: an emergency a person ordered


class Honoured(NamedTuple):
    """A use that was paid before and is let through anew."""

    lane: str
    state: UseState  # what it counts as meanwhile
    until_s: float  # monotonic; infinite while its entry is on its way to the disk


class Latest(Value, frozen=True):
    """The newest tap, for whoever works here; it names no rider."""

    at_ms: int
    lane: str
    granted: bool
    reason: str
    zh: str  # what the rider was told
    en: str
    product: str = ""  # the class of who tapped
    persons: int = 1
    charge_zh: str = ""
    charge_en: str = ""


class Site:
    """The shared memory of a terminal's lanes."""

    def __init__(self, journal: Journal, parameters: ParameterSet, clock: Clock) -> None:
        self.journal = journal
        self.parameters = parameters  # swapped whole, by one assignment
        self.clock = clock
        self._emergencies: set[str] = set()  # lanes whose gate tells of one; ORDERED: a person said so
        self.stirred = asyncio.Event()  # an emergency began or ended
        self.on_emergency: list[Callable[[], None]] = []  # whoever has to show that it began, or is over
        self.closing = False  # the terminal is stopping: what was begun is finished, nothing new is begun
        self.where = Where()  # where the vehicle stands; replaced whole
        self.card_terminals: set[str] = set()  # of all secure modules here, as a purse's trip names them
        self.latest: Latest | None = None
        self.asked = ("", 0.0)  # what a person asked about the next card, until when
        self._pending: list[Use] = []
        self._honoured: dict[EntryName, Honoured] = {}

    def instant(self, reading: Reading) -> Instant:
        """The interval of UTC a reading stands for, never behind the journal."""
        return self.journal.instant(reading)

    def now(self) -> Instant:
        """The present, for facts that no device stamped."""
        return self.instant(self.clock.read())

    def recall(self, credential: Credential, account: Ref | None, at: Instant, *, whole_day: bool = False) -> History:
        """Durable uses and pending reservations of this code, medium and account; at least so far back."""
        asked = history.keys(credential, account)
        durable = self.journal.uses(asked, min(history.horizon_ms(self.parameters, at), at.utc_ms - DAY_MS * whole_day))
        return history.gather(credential, account, map(self._as_honoured, (*durable, *self._pending)))

    def ledgers(self, credential: Credential, account: Ref | None, zone: str = "") -> Mapping[Ref, Ledger]:
        """What is remembered of everybody this credential may pay as. Asked after `recall`: a use that was durable
        then is in them; one that was pending makes its party wait.
        """
        return self.journal.ledgers(history.parties(credential, account, zone))

    @property
    def question(self) -> str:
        """What the next presentation answers, "" nothing."""
        asked, until_s = self.asked
        return asked if self.clock.monotonic_s() <= until_s else ""

    def takes_question(self) -> str:
        """The same; a question is answered once, or forgotten."""
        asked, self.asked = self.question, ("", 0.0)
        return asked

    def newest_use(self, twin: Ref) -> EntryName | None:
        """The newest use of a code, by its account and second; None while its entry is on its way to the disk."""
        uses = [*self.journal.uses((twin,), 0), *(use for use in self._pending if use.twin_key == twin)]
        return max(uses, key=lambda use: use.at_ms).name if uses else None

    def is_granting(self, lane: str) -> bool:
        """Whether a grant of this lane is still on its way to the disk."""
        being_honoured = (one.lane for one in self._honoured.values() if one.until_s == math.inf)
        return lane in being_honoured or any(use.lane == lane for use in self._pending)

    def is_reserved(self, mediums: tuple[Ref, ...]) -> bool:
        """Whether a grant to one of these is still on its way to the disk."""
        return any(use.medium in mediums for use in self._pending)

    @contextmanager
    def reserved(self, use: Use | None) -> Iterator[None]:
        """Hold a reservation while its entry is on its way to the disk."""
        if use is None:
            yield
            return
        self._pending.append(use)
        try:
            yield
        finally:
            self._pending.remove(use)

    @contextmanager
    def honoured(self, grant: EntryName | None, lane: str, state: UseState, for_s: float) -> Iterator[None]:
        """An earlier use is let through at one lane: from judging until somebody walks, or for so long, at no other."""
        if grant is None:
            yield
            return
        held, after = Honoured(lane, state, math.inf), self._honoured.get(grant)
        self._honoured[grant] = held
        try:
            yield
            after = held._replace(until_s=self.clock.monotonic_s() + for_s)
        finally:  # where nothing was written, nothing changed
            del self._honoured[grant]
            now_s = self.clock.monotonic_s()
            self._honoured = {name: one for name, one in self._honoured.items() if one.until_s > now_s}
            self._honoured |= {} if after is None else {grant: after}

    def _as_honoured(self, use: Use) -> Use:
        found = None if use.name is None else self._honoured.get(use.name)
        unwalked = use.state in (UseState.ANNULLED, UseState.UNKNOWN)
        if found is None or not unwalked or found.until_s <= self.clock.monotonic_s():
            return use
        return msgspec.structs.replace(use, lane=found.lane, state=found.state)

    @property
    def emergency(self) -> bool:
        """Fire release: taps write nothing while it lasts, in every lane."""
        return bool(self._emergencies)

    @property
    def is_deaf(self) -> bool:
        """Whether nothing is decided now."""
        return self.emergency or self.closing

    def note_emergency(self, signal: GateSignal, of: str = ORDERED) -> None:
        """One began or ended, by the gate of a lane or a person's order. A gate ends its own; a person ends it all."""
        if signal in (GateSignal.EMERGENCY_ON, GateSignal.EMERGENCY_OFF):
            gone = {of} if of else self._emergencies
            self._emergencies = (
                self._emergencies | {of} if signal is GateSignal.EMERGENCY_ON else self._emergencies - gone
            )
            self.stirred.set()
            for told in self.on_emergency:
                told()
