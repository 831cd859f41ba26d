"""One way through: presentation → decision → entry → gate. `serve` holds the whole plot.

Laws of this file:
- Journal before gate: `append` has returned before anything opens.
- Recall, judge and reserve run without an await between them.
- A presentation carries the only clock reading of its tap; an order older than half a second is never sent.
- A lane is never blocked by bad input: whatever cannot be read is a reason on the display.
"""

import asyncio
import functools
import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import msgspec

from terminal.core import accounts, tokens
from terminal.core.debit import DebitMade
from terminal.core.entries import Decided, Entry, Fact, GateUnanswered
from terminal.core.fares import stations
from terminal.core.fares.trips import Role
from terminal.core.model import (
    Credential,
    EntryName,
    GateAnswer,
    GateEvent,
    Instant,
    Medium,
    OpenGate,
    Outcome,
    PassageMode,
    Presentation,
    Reading,
    Reason,
    Ref,
    Refusal,
    Show,
    Use,
    UseState,
    Value,
)
from terminal.core.phrases import display
from terminal.core.proof import proof_of
from terminal.core.services import ASKED, Case, judge, refuse
from terminal.ports import (
    CardSlot,
    CodeReader,
    DeviceError,
    Gate,
    Indicator,
    StandsOpen,
    StoreFull,
    Watching,
    WatchingReader,
)
from terminal.runtime.attention import Attention
from terminal.runtime.card_doubts import Tap
from terminal.runtime.card_path import CardParts, CardPath
from terminal.runtime.decided import evidence_of, fact_of, note_latest, tell, unread, use_of
from terminal.runtime.denials import Denials
from terminal.runtime.passage import Passages, Right
from terminal.runtime.site import Site
from terminal.runtime.supervisor import DeviceHealth, supervise

log = logging.getLogger(__name__)


class LaneRules(Value, frozen=True):
    """What a site wrote down about one lane."""

    name: str
    service: str
    passage: PassageMode
    open_when_unwritable: bool = False
    role: Role = Role.ANY
    zone: str = ""


class Lane:
    """A lane with its readers, its gate and its indicators."""

    def __init__(
        self,
        rules: LaneRules,
        site: Site,
        readers: Sequence[CodeReader],
        gate: Gate,
        indicators: Sequence[Indicator],
        cards: "CardParts | None" = None,
    ) -> None:
        self.rules = rules
        self.site = site
        self._readers = {f"{rules.name}/{number}": reader for number, reader in enumerate(readers)}
        cards = cards or CardParts()
        self._slots = {f"{rules.name}/card{number}": slot for number, slot in enumerate(cards.slots)}
        self._module = cards.module
        self.cards = CardPath(self, cards.rules, cards.module)
        self._gate = gate
        self._indicators = indicators
        self._attention = {name: Attention() for name in (*self._readers, *self._slots)}
        self._right = Right(gate.hold_s)
        self._passages = Passages(rules.name, self.write, site.now, self._annulled, site.newest_use)
        self.health = [DeviceHealth(name) for name in (*self._readers, *self._slots, f"{rules.name}/gate")]
        self._gate_health = self.health[-1]
        if cards.module is not None:
            self.health.append(self.cards.module_health)
        self.decided = 0
        self._denials = Denials(rules.name)
        self._summing = asyncio.Event()  # something was counted: a sum is due within a second
        self._silent_told = 0
        self._serving = 0

    # ----------------------------------------------------------------------- the plot

    async def serve(self, presentation: Presentation) -> Outcome | None:
        """Decide one presentation, write it down, act. None: silence, or nothing is decided now."""
        if self.site.is_deaf or self.is_silent(presentation):
            return None
        at = self.site.instant(presentation.at)
        claim = unread(presentation) or tokens.verify(presentation.payload, self.site.parameters, at)
        return await self.decide(claim, presentation, at)

    async def decide(
        self, claim: Credential | Refusal, presentation: Presentation, at: Instant, tap: Tap | None = None
    ) -> Outcome | None:
        """Recall and judge, then carry it out. `tap`: the card this came from."""
        return await self.carry_out(*self._judge(claim, presentation, at, tap), presentation, at, tap)

    async def carry_out(
        self,
        outcome: Outcome,
        fact: Decided,
        use: Use | None,
        presentation: Presentation,
        at: Instant,
        tap: Tap | None = None,
    ) -> Outcome | None:
        """Record and act. Nothing awaits between judging and reserving; a card is debited in between, if it is."""
        site = self.site
        if not outcome.decision.granted and await self._is_summed(outcome, at):
            await self._show(outcome)
            note_latest(site, outcome, self.rules, at)
            return outcome
        with site.reserved(use):
            try:
                with self._honoured(outcome, tap):
                    if tap is not None:
                        outcome, fact = await self.cards.take(tap, outcome, fact)
                    entry = await site.journal.append(fact, at, evidence=evidence_of(fact, presentation))
            except StoreFull:
                self._ask_again(presentation.reader)
                self.cards.unwritten(fact, opened=await self._unwritable(outcome, presentation))
                site.latest = None  # what stands on the panel would be somebody else's
                return None
        self.decided += 1
        committed_s = site.clock.monotonic_s()
        heard = presentation if tap is None else msgspec.structs.replace(presentation, at=tap.last_heard())
        await self._act(outcome, entry, heard)
        tell(outcome, entry.name, presentation, committed_s, self.rules.service)
        note_latest(site, outcome, self.rules, at)
        return outcome

    def _honoured(self, outcome: Outcome, tap: Tap | None) -> AbstractContextManager[None]:
        """A card that passes for what it paid before passes here, and nowhere else meanwhile."""
        policies, assumed = self.site.parameters.policies, self.rules.passage is PassageMode.ASSUMED
        state = UseState.COMMITTED if assumed else UseState.RESERVED
        for_s = policies.card_honour_s if assumed else policies.passage_s + 1  # a second behind the annul
        return self.site.honoured(outcome.repeat_of if tap else None, self.rules.name, state, for_s)

    def is_silent(self, presentation: Presentation) -> bool:
        """Whether this is still the same thing lying there."""
        silence_s = self.site.parameters.policies.silence_s
        return self._attention[presentation.reader].is_still_there(presentation, silence_s)

    async def _is_summed(self, outcome: Outcome, at: Instant) -> bool:
        """Whether this denial is one of a flood, and only counted."""
        await self._write_sum(at)
        summed = self._denials.is_summed(outcome.decision.reason, at.monotonic_ns)
        if summed:
            self._summing.set()
        return summed

    async def _write_sum(self, at: Instant) -> None:
        silent = sum(attention.silent for attention in self._attention.values())
        summed = self._denials.due(at.monotonic_ns, silent - self._silent_told)
        if summed is None:
            return
        self._silent_told = silent
        if not await self.site.journal.written(summed, at):
            self._denials.restore(summed)

    async def _act(self, outcome: Outcome, entry: Entry, presentation: Presentation) -> None:
        """Perform what was written. What was not finished is forgotten: the same code is asked again at once."""
        if outcome.decision.granted:
            if not await self._open(outcome, entry, presentation):
                self._ask_again(presentation.reader)
                return
        elif outcome.decision.reason is Reason.GATE_BUSY or presentation.medium is Medium.CARD:
            self._ask_again(presentation.reader)  # a refused card left and came back, or it would not be seen again
        await self._show(outcome, proof_of(entry.name))

    def _ask_again(self, name: str) -> None:
        """What this reader still sees is neither silence nor done: let it be presented once more."""
        self._attention[name].forget()
        reader = self._readers.get(name)
        if isinstance(reader, WatchingReader):
            reader.again()

    def _judge(
        self, claim: Credential | Refusal, presentation: Presentation, at: Instant, tap: Tap | None = None
    ) -> tuple[Outcome, Decided, Use | None]:
        """The outcome, the fact to write and the use to reserve. Pure but for the shared history it reads."""
        if isinstance(claim, Refusal):
            outcome = refuse(claim.verdict, claim.reason, self.site.parameters, at, claim.key_ids)
            return outcome, self._fact(outcome, presentation, format=claim.format, tap=tap), None
        account = accounts.account_of(claim.medium_refs, claim.account_link, self.site.parameters)
        asked = self.site.takes_question() or self.always_asked
        outcome = judge(
            Case(
                service=self.rules.service,
                lane=self.rules.name,
                passage=self.rules.passage,
                lane_busy=self.is_busy(),
                credential=claim,
                account=account,
                history=self.site.recall(claim, account, at, whole_day=bool(asked)),
                parameters=self.site.parameters,
                at=at,
                ledgers=self.site.ledgers(claim, account, self.rules.zone),
                zone=self.rules.zone,
                where=self.site.where,
                role=self.rules.role,
                place=stations.here(self.cards.place, self.site.where, self.site.parameters.tariff.lines),
                lane_open=self._passages.open_grant,
            ),
            asked,
        )
        fact = self._fact(outcome, presentation, format=claim.format, credential=claim, account=account, tap=tap)
        return outcome, fact, use_of(fact, at) if outcome.charge is not None else None

    @property
    def always_asked(self) -> str:
        """What every presentation answers at a lane that serves nothing else, "" nothing."""
        return self.rules.service if self.rules.service in ASKED else ""

    def fact_of(
        self, outcome: Outcome, presentation: Presentation, claim: Credential, tap: Tap, debit: DebitMade | None = None
    ) -> Decided:
        """The fact of an outcome that a card's conversation ended in."""
        account = accounts.account_of(claim.medium_refs, claim.account_link, self.site.parameters)
        fact = self._fact(outcome, presentation, format=claim.format, credential=claim, account=account, tap=tap)
        return msgspec.structs.replace(fact, debit=debit)

    def is_busy(self) -> bool:
        """Whether somebody who was let through has not walked yet."""
        sensor = self.rules.passage is PassageMode.SENSOR
        return sensor and (self._passages.busy or self.site.is_granting(self.rules.name))

    def _fact(self, outcome: Outcome, presentation: Presentation, **of: Any) -> Decided:
        return fact_of(outcome, presentation, self.rules, self.site.parameters.policies.pay_by_s, **of)

    # ----------------------------------------------------------------------- acting

    async def _open(self, outcome: Outcome, entry: Entry, presentation: Presentation) -> bool:
        """Order the opening of a written grant; say so and write it down when it is not confirmed."""
        grant = outcome.repeat_of or entry.name
        assert isinstance(entry.fact, Decided) and entry.fact.twin_key is not None
        persons = next(act.persons for act in outcome.acts if isinstance(act, OpenGate))
        if self.rules.passage is PassageMode.SENSOR:
            await self._passages.expect(grant, entry.fact.twin_key, persons, self.site.parameters.policies.passage_s)
            if self._right.stands(grant, self.site.clock.monotonic_s()):
                return True
        self._right.given(grant, persons, self.site.clock.monotonic_s())
        answer = await self._order(persons, presentation.at)
        if answer is GateAnswer.OPENED:
            self._right.given(grant, persons, self.site.clock.monotonic_s())
            self._gate_health.works()
            return True
        self._right.lost()
        fact = GateUnanswered(lane=self.rules.name, of=grant, sent=answer is GateAnswer.UNKNOWN)
        await self.write(fact, self.site.now())
        await self.tell(Show(reason=Reason.GATE_UNANSWERED))
        return False

    async def release(self, persons: int, of: EntryName, ordered_at: Reading) -> GateAnswer:
        """Open for somebody a person let through; the entry that says so is written already."""
        if self.rules.passage is PassageMode.SENSOR:
            await self._passages.expect(of, Ref(b""), persons, self.site.parameters.policies.passage_s)
        return await self._order(persons, ordered_at)

    def forget_codes(self) -> None:
        """What lies in front of the readers is asked anew: a charge was taken back."""
        for name in self._attention:
            self._ask_again(name)

    @property
    def can_stand_open(self) -> bool:
        """Whether its barrier can be left open."""
        return isinstance(self._gate, StandsOpen) and self._gate.can_stand_open

    async def stand_open(self, is_open: bool) -> None:
        """Leave the barrier open, or shut it again. Raises DeviceError."""
        assert isinstance(self._gate, StandsOpen)
        await self._gate.stand_open(is_open)

    async def _order(self, persons: int, ordered_at: Reading) -> GateAnswer:
        try:
            return await self._gate.open(persons, ordered_at)
        except DeviceError as error:
            self._gate_health.failed(error)
            return GateAnswer.NOT_SENT

    async def _unwritable(self, outcome: Outcome, presentation: Presentation) -> bool:
        """The disk is full: shut, or open by the site's written policy; loud either way. Whether it may have opened."""
        log.error("journal full", extra={"lane": self.rules.name, "opens": self.rules.open_when_unwritable})
        if self.rules.open_when_unwritable and outcome.decision.granted:
            return await self._order(outcome.persons, presentation.at) is not GateAnswer.NOT_SENT
        await self.tell(Show(reason=Reason.JOURNAL_UNAVAILABLE))
        return False

    async def _annulled(self) -> None:
        self.forget_codes()
        await self.tell(Show(reason=Reason.PASSAGE_EXPIRED))

    async def _show(self, outcome: Outcome, proof: str = "") -> None:
        for act in (act for act in outcome.acts if isinstance(act, Show)):
            await self.tell(act, proof)

    async def tell(self, act: Show, proof: str = "") -> None:
        """A dark indicator never holds up the lane. `proof`: by which the entry is found again."""
        shown = display(act.reason, act.values, proof, self.rules.service)
        for indicator in self._indicators:
            try:
                await indicator.show(shown)
            except DeviceError as error:
                log.warning("indicator", extra={"lane": self.rules.name, "what": error.what, "hint": error.hint})

    async def write(self, fact: Fact, at: Instant) -> None:
        """What happened at the gate; on a full disk it follows once there is room."""
        if not await self.site.journal.written(fact, at):
            self.site.journal.note(fact, at)

    def status(self) -> dict[str, Any]:
        """Figures for the status."""
        watching = [(n, one) for n, one in (*self._readers.items(), *self._slots.items()) if isinstance(one, Watching)]
        return {
            "decided": self.decided,
            "busy": self._passages.busy,
            "silent": sum(attention.silent for attention in self._attention.values()),
            "readers": {name: one.status() for name, one in watching},
        }

    # ----------------------------------------------------------------------- running

    async def run(self) -> None:
        """Serve until cancelled. Only what is not a device's fault is raised."""
        async with asyncio.TaskGroup() as tasks:
            for health, (name, reader) in zip(self.health, self._readers.items(), strict=False):
                read = functools.partial(self._read, health, name, reader)
                tasks.create_task(supervise(health, read, self.site.clock))
            for health, (name, slot) in zip(self.health[len(self._readers) :], self._slots.items(), strict=False):
                read = functools.partial(self._read_cards, health, name, slot)
                tasks.create_task(supervise(health, read, self.site.clock))
            if self._module is not None:
                tasks.create_task(supervise(self.cards.module_health, self.cards.keep_module, self.site.clock))
            tasks.create_task(supervise(self._gate_health, self._watch_gate, self.site.clock))
            tasks.create_task(self._fail_with_passages())
            tasks.create_task(self._sum_denials())

    async def idle(self) -> None:
        """Return once no tap is under way: stopping finishes what was begun."""
        while self._serving:  # noqa: ASYNC110  # once in a run; an event would cost every tap
            await asyncio.sleep(0.01)

    async def _sum_denials(self) -> None:
        """A flood's last sum is written even when nobody comes any more; a lane at rest wakes nobody."""
        while True:
            await self._summing.wait()
            self._summing.clear()
            while self._denials.is_counting:  # a full disk puts a sum back
                await asyncio.sleep(1.0)
                await self._write_sum(self.site.now())

    async def _read_cards(self, health: DeviceHealth, name: str, slot: CardSlot) -> None:
        if isinstance(slot, Watching):
            slot.on_alive = health.works
        async for channel, seen in slot.cards():
            health.works()
            self._serving += 1
            try:
                await self.cards.serve(channel, name, seen)
            finally:
                self._serving -= 1

    async def _read(self, health: DeviceHealth, name: str, reader: CodeReader) -> None:
        if isinstance(reader, WatchingReader):
            reader.on_alive = health.works
        async for held_out, at in reader.payloads():
            health.works()
            unread = held_out if isinstance(held_out, Reason) else None
            payload = b"" if isinstance(held_out, Reason) else held_out
            self._serving += 1
            try:
                await self.serve(
                    Presentation(
                        lane=self.rules.name, reader=name, medium=reader.medium, payload=payload, at=at, unread=unread
                    )
                )
            finally:
                self._serving -= 1

    async def _watch_gate(self) -> None:
        async for event in self._gate.events():
            self._gate_health.works()
            await self._gate_event(event)

    async def _gate_event(self, event: GateEvent) -> None:
        before = self.site.emergency
        self.site.note_emergency(event.signal, self.rules.name)
        await self._passages.signal(event, self.site.instant(event.at))
        if self.site.emergency and not before:
            await self.tell(Show(reason=Reason.EMERGENCY))

    async def _fail_with_passages(self) -> None:
        try:
            await self._passages.failure
        finally:
            self._passages.close()
