"""Debits nobody heard the end of: who is waited for, and what their card says when it comes back.

Laws of this file:
- What is doubted stands in the journal's ledgers, so a restart forgets none of it; here is only who is waited for now.
- While somebody is waited for, others are asked to be patient; after `torn_wait_s` they are served again.
- A proof the secure module finds right lets the card pass once, for the debit it proves. A card's word alone does not.
- What stays unknown is told once, and its card may then pay like any other.
"""

from typing import TYPE_CHECKING

from terminal.core import ledger
from terminal.core.cards import purchase, reading
from terminal.core.cards.apdu import Conversation
from terminal.core.cards.purchase import Made
from terminal.core.debit import Debit, DebitMade, DebitProof, DebitState
from terminal.core.entries import DebitSettled, Decided
from terminal.core.model import (
    Amount,
    Charge,
    Credential,
    Decision,
    Instant,
    OpenGate,
    Outcome,
    Presentation,
    Reading,
    Reason,
    Ref,
    Refusal,
    Show,
    Use,
    Values,
    Verdict,
)
from terminal.core.services import rules
from terminal.core.services.purse import holds
from terminal.core.time import age_ms
from terminal.ports import CardGone
from terminal.runtime.conversation import Talk
from terminal.runtime.decided import use_of

if TYPE_CHECKING:
    from terminal.runtime.lane import Lane

Earlier = tuple[Outcome, Decided, Use | None]


class Tap:
    """One card held out once."""

    def __init__(self, talk: Talk, presentation: Presentation, at: Instant, claim: Credential | Refusal) -> None:
        self.talk = talk
        self.presentation = presentation
        self.at = at
        self.claim = claim

    @property
    def credential(self) -> Credential:
        """The claim, where it was verified."""
        assert isinstance(self.claim, Credential)
        return self.claim

    def last_heard(self) -> Reading:
        """When the card was last heard: an order to open is as old as that, not as the whole conversation."""
        return self.talk.last_heard(self.presentation.at)


class Doubts:
    """One lane's torn cards."""

    def __init__(self, lane: "Lane") -> None:
        self._lane = lane
        self._site = lane.site
        self._waited_for: tuple[Ref, ...] = ()
        self._until_s = 0.0
        self._module_waits_for = b""

    # ----------------------------------------------------------------------- waiting

    def wait_for(self, credential: Credential) -> None:
        """This card left in the middle of its debit."""
        self._waited_for = credential.medium_refs
        self._until_s = self._site.clock.monotonic_s() + self._site.parameters.policies.torn_wait_s

    def waits_for_another(self, claim: Credential | Refusal) -> Refusal | None:
        """Why this card must wait, or None."""
        if not self._waited_for or self._site.clock.monotonic_s() >= self._until_s:
            return None
        if isinstance(claim, Refusal):
            return reading.refusal(Reason.PUT_CARD_BACK, claim.format or "card")
        if set(self._waited_for) & set(claim.medium_refs):
            return None
        return reading.refusal(Reason.WAIT_FOR_CARD, claim.format)

    def module_waits_for(self, transaction: bytes) -> None:
        """Which purchase the secure module can still check."""
        self._module_waits_for = transaction

    # ----------------------------------------------------------------------- settling

    def counter_seen(self, credential: Credential) -> int:
        """The least counter this card may have, by what the secure module proved here; anybody can name a number."""
        newest = self._newest(credential)
        return 0 if newest is None else newest.floor

    async def settle(self, tap: Tap) -> Earlier | None:
        """Ask a card that came back what became of its debit. A grant or a denial ends the tap; None: it goes on."""
        claim = tap.claim
        debit = self._newest(claim) if isinstance(claim, Credential) and claim.card is not None else None
        if debit is None or not (debit.is_doubt or self._is_owed(debit, tap.at)):
            return None
        if debit.state is DebitState.DONE:
            return self._busy(tap) or self._grant(tap, debit, DebitProof(how="earlier"))
        try:
            made = await tap.talk.carry(self._question(tap, debit), module_here=True)
        except CardGone:
            self.wait_for(tap.credential)
            return (*self._lane.cards.denied(tap, Reason.PUT_CARD_BACK), None)
        self._waited_for = ()
        if made.reason is not None:
            return (*self._lane.cards.denied(tap, made.reason), None)
        proven = made.state is DebitState.DONE and made.proof is not None and made.proof.holds
        passes = proven and debit.debit.grants and self._holds(debit, tap.at)
        busy = self._busy(tap)
        if passes and made.proof is not None and busy is None:
            return self._grant(tap, debit, made.proof)
        await self._tell(tap, debit, made)
        return busy if passes else None  # what was proven is written: it is owed, and the card passes when it is free

    def _question(self, tap: Tap, debit: Debit) -> Conversation[Made]:
        found = self._site.parameters.cards.purse
        assert found is not None
        waits = self._module_waits_for == debit.debit.transaction
        self._module_waits_for = b""
        return purchase.settle(debit.debit, tap.presentation.payload, found, module_waits=waits)

    async def _tell(self, tap: Tap, debit: Debit, made: Made) -> None:
        """Write what became of it; what was told as unknown is not told twice."""
        if made.state is debit.state:
            return
        fact = DebitSettled(
            lane=self._lane.rules.name,
            of=debit.of,
            medium_ref=tap.credential.medium_refs[0],
            state=made.state,
            why=made.why,
            proof=made.proof,
        )
        await self._lane.write(fact, tap.at)

    def _busy(self, tap: Tap) -> Earlier | None:
        """Somebody still walks here, or this very card is being let through elsewhere."""
        if self._lane.is_busy() or self._site.is_reserved(tap.credential.medium_refs):
            return (*self._lane.cards.denied(tap, Reason.GATE_BUSY), None)
        return None

    def _grant(self, tap: Tap, debit: Debit, proof: DebitProof) -> Earlier:
        """Somebody passes for a debit that was made before; nothing more is taken."""
        made, parameters = debit.debit, self._site.parameters
        evidence = rules.evidence(parameters, tap.at, tap.credential.key_ids)
        currency = parameters.tariff.currency
        values: Values = {
            "fare": Amount(minor=made.amount_fen, currency=currency),
            "balance": Amount(minor=max(0, made.balance_fen - made.amount_fen), currency=currency),
        }
        outcome = Outcome(
            decision=Decision(verdict=Verdict.GRANT, reason=Reason.PAID_BY_CARD, evidence=evidence),
            acts=(OpenGate(), Show(reason=Reason.PAID_BY_CARD, values=values)),
            charge=Charge(
                product=made.product, fare_type=made.fare_type, amount_fen=made.amount_fen, currency=currency
            ),
        )
        fact = self._lane.fact_of(
            outcome, tap.presentation, tap.credential, tap, debit=DebitMade(of=debit.of, proof=proof)
        )
        return outcome, fact, use_of(fact, tap.at)

    # ----------------------------------------------------------------------- what is known

    def _newest(self, credential: Credential) -> Debit | None:
        kept = self._site.journal.ledgers(credential.medium_refs)
        return ledger.merged([kept[name] for name in credential.medium_refs if name in kept]).debit if kept else None

    def _is_owed(self, debit: Debit, at: Instant) -> bool:
        """Done, and nobody passed for it."""
        done = debit.state is DebitState.DONE and debit.debit.grants and not debit.granted
        return done and self._holds(debit, at)

    def _holds(self, debit: Debit, at: Instant) -> bool:
        """Not long ago, and for a tap such as this one."""
        policies, ago_ms = self._site.parameters.policies, age_ms(debit.at_ms, at.utc_ms)
        here = holds(debit.debit.fare_type, ago_ms, self._lane.cards.place.stage, policies)
        return here and ago_ms < policies.card_honour_s * 1000
