"""A card's way through a lane: converse, recall, judge, record, act. The plot is `serve`, and `take` where money moves.

Laws of this file:
- An intention is durable before the command that takes money; only a debit known to be done opens, and nothing else.
- The same card back again is asked what became of its debit before anything else is done with it (card_doubts.py).
- One card at a time: a debit and its answer never stand between those of another.
- A bad card, a card that leaves, a module that is silent: each is a reason on the display, and the lane goes on.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from terminal.core import cards
from terminal.core.card import CardRules
from terminal.core.cards import locking, purchase, reading
from terminal.core.cards.apdu import Conversation
from terminal.core.cards.purchase import Begun, Made, Module, Order
from terminal.core.debit import OPENED, DebitMade, DebitProof, DebitState
from terminal.core.entries import DebitIntended, DebitSettled, Decided
from terminal.core.lock import LockEnded, LockIntended
from terminal.core.model import (
    Amount,
    Credential,
    DebitPurse,
    EntryName,
    Instant,
    LockPurse,
    Medium,
    Outcome,
    Presentation,
    Reading,
    Reason,
    Refusal,
    Show,
    Values,
    Verdict,
)
from terminal.core.services import refuse
from terminal.core.services.purse import local_time
from terminal.ports import CardChannel, CardGone, CardSlot, DeviceError, SecureModule
from terminal.runtime.card_doubts import Doubts, Tap
from terminal.runtime.conversation import Talk
from terminal.runtime.supervisor import DeviceHealth

if TYPE_CHECKING:
    from terminal.runtime.lane import Lane


class CardParts(NamedTuple):
    """What a lane takes cards with."""

    slots: Sequence[CardSlot] = ()
    module: SecureModule | None = None
    rules: CardRules = CardRules()


class CardPath:
    """What a lane does with cards."""

    def __init__(self, lane: "Lane", card_rules: CardRules, module: SecureModule | None) -> None:
        self.module_health = DeviceHealth(f"{lane.rules.name}/module")
        self._lane = lane
        self._site = lane.site
        self._rules = card_rules
        self._module = module
        self._identity: Module | None = None
        self._lost = asyncio.Event()
        self._doubts = Doubts(lane)
        self._turn = asyncio.Lock()
        began_ms = lane.site.now().utc_ms
        self.place = msgspec.structs.replace(card_rules.place, began_ms=began_ms)

    # ----------------------------------------------------------------------- the plot

    async def serve(self, channel: CardChannel, reader: str, seen: Reading) -> Outcome | None:
        """Decide one card, write it down, act. None: silence, or nothing is decided now."""
        async with self._turn:
            if self._site.is_deaf:
                return None
            at = self._site.instant(seen)
            talk = Talk(channel, self._module, self._site.clock, self._heard_module)
            read = await self._read(channel, talk, at)
            presentation = Presentation(
                lane=self._lane.rules.name, reader=reader, medium=Medium.CARD, payload=read.payload, at=seen
            )
            if self._lane.is_silent(presentation):
                return None
            tap = Tap(talk, presentation, at, self._looked_at(read.claim, talk))
            earlier = None if self._is_asked else await self._doubts.settle(tap)
            if earlier is not None:
                return await self._lane.carry_out(*earlier, presentation, at, tap)
            return await self._lane.decide(tap.claim, presentation, at, tap)

    async def take(self, tap: Tap, outcome: Outcome, fact: Decided) -> tuple[Outcome, Decided]:
        """Debit by debit: begin, write the intention, commit. What was not taken becomes a denial."""
        if any(isinstance(act, LockPurse) for act in outcome.acts):
            await self._lock(tap, fact)
        debits = [act for act in outcome.acts if isinstance(act, DebitPurse)]
        if not debits:
            return outcome, fact
        for number, debit in enumerate(debits, 1):
            self._doubts.module_waits_for(b"")  # asked for another MAC1 it checks no earlier debit
            try:
                begun = await tap.talk.carry(self._begin(tap, debit))
            except reading.Refused as error:
                return self.denied(tap, error.reason)
            except CardGone:
                return self.denied(tap, Reason.CARD_LEFT)
            self._doubts.module_waits_for(begun.debit.transaction)
            intention = self._intention(tap, fact, begun)
            intended = await self._site.journal.append(intention, tap.at, evidence=tap.presentation.payload)
            made = await self._commit(tap, begun)
            if made.state is not DebitState.DONE or number < len(debits):
                await self._lane.write(_settled(fact, intended.name, made.state, made.why, made.proof), tap.at)
            if made.state is not DebitState.DONE:
                return self._not_taken(tap, made)
        assert made.proof is not None
        left_fen = begun.debit.balance_fen - begun.debit.amount_fen
        outcome = with_balance(outcome, left_fen, self._site.parameters.tariff.currency)
        if not made.proof.holds:  # the module could not say; the card was debited all the same
            outcome = in_doubt(outcome)
        made_fact = DebitMade(of=intended.name, proof=made.proof)
        verdict = outcome.decision.verdict
        return outcome, msgspec.structs.replace(fact, debit=made_fact, card=tap.talk.facts(), verdict=verdict)

    async def _lock(self, tap: Tap, fact: Decided) -> None:
        """Lock a listed purse: the intention is durable first. Without a module it is only refused."""
        found, module = self._site.parameters.cards.purse, self._identity
        if module is None or found is None or fact.issuer is None or fact.medium_ref is None:
            return
        self._doubts.module_waits_for(b"")
        intention = LockIntended(
            lane=fact.lane, issuer=fact.issuer, medium_ref=fact.medium_ref, module=module.serial.hex()
        )
        intended = await self._site.journal.append(intention, tap.at, evidence=tap.presentation.payload)
        try:
            locked = await tap.talk.carry(locking.lock(tap.presentation.payload, found))
        except CardGone:
            locked = locking.Locked(state=DebitState.UNKNOWN, why="card left")
        ended = LockEnded(
            lane=fact.lane, of=intended.name, medium_ref=fact.medium_ref, state=locked.state, why=locked.why
        )
        await self._lane.write(ended, tap.at)

    def unwritten(self, fact: Decided, *, opened: bool) -> None:
        """A debit was made, and the disk is full: it is written once there is room, and owed if nothing opened."""
        if fact.debit is not None:
            why = OPENED if opened else "full"
            self._site.journal.note(_settled(fact, fact.debit.of, DebitState.DONE, why, fact.debit.proof))

    # ----------------------------------------------------------------------- reading

    async def _read(self, channel: CardChannel, talk: Talk, at: Instant) -> cards.CardRead:
        if not channel.alone and self._rules.two_cards == "refuse":
            return cards.CardRead(payload=channel.uid, claim=reading.refusal(Reason.TWO_CARDS, "card"))
        parameters = self._site.parameters
        visit = cards.Visit(
            parameters=parameters,
            at=at,
            today=local_time(at, parameters.tariff.time_zone).strftime("%Y%m%d"),
            has_module=self._module is not None,
            asks_balance=self._is_asked,
            own_terminals=tuple(sorted(self._site.card_terminals)),
        )
        try:
            return await talk.carry(cards.read(self._rules.accepts, channel.uid, visit))
        except CardGone:
            return cards.CardRead(payload=channel.uid, claim=reading.refusal(Reason.CARD_LEFT, "card"))

    @property
    def _is_asked(self) -> bool:
        """Whether somebody only wants to know what is on the card."""
        return "inquiry" in (self._site.question, self._lane.always_asked)

    def _looked_at(self, claim: Credential | Refusal, talk: Talk) -> Credential | Refusal:
        """What the lane itself has against a card: it is too slow to be here, or somebody else's is waited for."""
        policies = self._site.parameters.policies
        slow = bool(policies.slow_card_ms) and talk.facts().slowest_ms > policies.slow_card_ms
        if slow:
            talk.is_slow = True
        if slow and policies.slow_card_refused and isinstance(claim, Credential):
            claim = reading.refusal(Reason.CARD_TOO_SLOW, claim.format)
        return self._doubts.waits_for_another(claim) or claim

    # ----------------------------------------------------------------------- taking

    def _begin(self, tap: Tap, debit: DebitPurse) -> Conversation[Begun]:
        parameters, claim = self._site.parameters, tap.credential
        assert parameters.cards.purse is not None and claim.card is not None
        if self._identity is None:
            raise reading.Refused(Reason.MODULE_UNAVAILABLE)
        order = Order(
            kind=debit.kind,
            amount_fen=debit.amount_fen,
            when=bytes.fromhex(local_time(tap.at, parameters.tariff.time_zone).strftime("%Y%m%d%H%M%S")),
            public=tap.presentation.payload,
            product=debit.charge.product,
            fare_type=debit.charge.fare_type,
            line=debit.line,
            station=debit.station,
            counter_seen=self._doubts.counter_seen(claim),
            state=claim.card.state,
        )
        return purchase.begin(order, parameters.cards.purse, self._identity)

    def _intention(self, tap: Tap, fact: Decided, begun: Begun) -> DebitIntended:
        assert self._identity is not None and fact.issuer is not None and fact.medium_ref is not None
        return DebitIntended(
            lane=fact.lane,
            service=fact.service,
            issuer=fact.issuer,
            medium_ref=fact.medium_ref,
            account_ref=fact.account_ref,
            debit=begun.debit,
            evidence=fact.evidence,
            module=self._identity.serial.hex(),
        )

    async def _commit(self, tap: Tap, begun: Begun) -> Made:
        try:
            made = await tap.talk.carry(purchase.commit(begun), module_here=True)
        except CardGone:
            return Made(state=DebitState.UNKNOWN, why="card left")
        self._doubts.module_waits_for(b"")
        return made

    def _not_taken(self, tap: Tap, made: Made) -> tuple[Outcome, Decided]:
        if made.state is DebitState.UNKNOWN and made.reason is None:
            self._doubts.wait_for(tap.credential)
            return self.denied(tap, Reason.PUT_CARD_BACK)
        return self.denied(tap, made.reason or Reason.CARD_REFUSED)

    def denied(self, tap: Tap, reason: Reason) -> tuple[Outcome, Decided]:
        """The denial a conversation ended in."""
        values: Values = {"hotline": self._site.parameters.policies.hotline}
        outcome = refuse(Verdict.DENY, reason, self._site.parameters, tap.at, tap.credential.key_ids)
        outcome = msgspec.structs.replace(outcome, acts=(Show(reason=reason, values=values),))
        return outcome, self._lane.fact_of(outcome, tap.presentation, tap.credential, tap)

    # ----------------------------------------------------------------------- the module

    async def keep_module(self) -> None:
        """Ask the module who it is, and again whenever it was lost. Raises DeviceError."""
        while True:
            self._lost.clear()
            assert self._module is not None
            talk = Talk(_NOBODY, self._module, self._site.clock, self._heard_module)
            try:
                self._identity = await talk.carry(purchase.identify())
            except reading.Refused as error:
                raise DeviceError(
                    "the secure module does not say who it is", hint="push it into its slot; is it a PSAM?"
                ) from error
            self._site.card_terminals.add(self._identity.terminal.rjust(8, b"\x00").hex())
            self.module_health.works()
            await self._lost.wait()

    def _heard_module(self, error: DeviceError | None) -> None:
        if error is not None:
            self._identity = None
            self.module_health.failed(error)
            self._lost.set()


class _Nobody:
    """No card: a conversation with the module alone."""

    uid, atr, alone = b"", b"", True

    async def transmit(self, command: bytes) -> bytes:
        raise CardGone


_NOBODY = _Nobody()


def _settled(fact: Decided, of: EntryName, state: DebitState, why: str, proof: DebitProof | None) -> DebitSettled:
    assert fact.medium_ref is not None
    return DebitSettled(lane=fact.lane, of=of, medium_ref=fact.medium_ref, state=state, why=why, proof=proof)


def in_doubt(outcome: Outcome) -> Outcome:
    """The same grant, told as one that has to be looked at."""
    decision = msgspec.structs.replace(outcome.decision, verdict=Verdict.GRANT_IN_DOUBT)
    return msgspec.structs.replace(outcome, decision=decision)


def with_balance(outcome: Outcome, balance_fen: int, currency: str) -> Outcome:
    """The same outcome, telling what is left on the card."""
    balance: Values = {"balance": Amount(minor=max(0, balance_fen), currency=currency)}
    acts = [
        msgspec.structs.replace(act, values=act.values | balance) if isinstance(act, Show) else act
        for act in outcome.acts
    ]
    return msgspec.structs.replace(outcome, acts=tuple(acts))
