"""The rules gate services are made of, each once.

Laws of this file:
- A rule looks at a `Case` and returns an Outcome that ends the visit, or None to let the next rule look.
- No rule reads a clock, a file or another rule's mind: what it needs stands in the Case.
- A charge is decided here and nowhere else, after every rule that could refuse it.
"""

from collections.abc import Callable, Mapping, Sequence

from terminal.core import accounts, history, ledger, status, token_status
from terminal.core.card import Assurance, CardPlace
from terminal.core.fares.quote import Party, Payer, Step
from terminal.core.fares.trips import Role
from terminal.core.ledger import Effect, Ledger, Where
from terminal.core.model import (
    Act,
    Amount,
    Charge,
    Credential,
    Decision,
    EntryName,
    Evidence,
    HeldProduct,
    History,
    Instant,
    Medium,
    OpenGate,
    Outcome,
    PassageMode,
    Reason,
    Ref,
    Show,
    Tap,
    Use,
    Value,
    Values,
    Verdict,
)
from terminal.core.parameters import ParameterSet, Product
from terminal.core.services import pricing

RULES = "1"  # the version of the judging code, kept in every decision's evidence


class Case(Value, frozen=True):
    """Everything one judgement may look at."""

    service: str
    lane: str
    passage: PassageMode
    lane_busy: bool  # somebody who was let through has not walked yet
    credential: Credential
    account: Ref | None
    history: History
    parameters: ParameterSet
    at: Instant
    ledgers: Mapping[Ref, Ledger] = {}  # of every party this credential may pay as
    where: Where = Where()
    role: Role = Role.ANY
    zone: str = ""  # what the lane's gate leads into, or out of
    funds_fen: int | None = None  # what a purse holds; None: paid later
    place: CardPlace = CardPlace()
    lane_open: EntryName | None = None  # the grant somebody has not walked on yet


class Offer(Value, frozen=True):
    """What would be granted if no rule speaks: this product for so many people."""

    product: Product
    charge: Charge
    persons: int
    reason: Reason | None = None  # None: the product's own
    verdict: Verdict = Verdict.GRANT
    values: Values = {}
    tap: Tap = Tap.RIDE
    effects: tuple[Effect, ...] = ()
    steps: tuple[Step, ...] = ()  # how the price came about
    refused: Reason | None = None  # it could not be priced, or the operator refuses it


Rule = Callable[[Case, Offer], Outcome | None]


def chosen(case: Case) -> pricing.Choice | Outcome:
    """The product, or why there is none."""
    if is_unsure(case):
        return deny(case, Reason.CLOCK_UNSURE)
    tariff, payer = case.parameters.tariff, payer_of(case)
    choice = pricing.choose(case.service, case.credential, held(case), tariff, case.at, payer, case.where)
    return choice or deny(case, Reason.NOT_ACCEPTED_HERE)


def is_unsure(case: Case) -> bool:
    """Whether the clock is too unsure to decide anything."""
    return case.at.uncertainty_ms > case.parameters.policies.max_uncertainty_s * 1000


def first_to_speak(case: Case, offer: Offer, rules: "Sequence[Rule]") -> Outcome | None:
    """What the first rule says that says anything."""
    for rule in rules:
        outcome = rule(case, offer)
        if outcome is not None:
            return outcome
    return None


# --------------------------------------------------------------------------- rules, in the order they are asked


def within_ceiling(case: Case, offer: Offer) -> Outcome | None:
    """Check 15: the fare must not exceed what the issuer allows in one spend."""
    if pricing.over_ceiling(offer.charge.amount_fen, case.credential.ceiling_fen):
        return deny(case, Reason.OVER_CEILING)
    return None


def not_blocked(case: Case, offer: Offer) -> Outcome | None:
    """Check 16: neither the medium nor its account is blocked for what the product stands on."""
    reason = status.block_on(case.parameters, case.credential.medium_refs, case.account, offer.product.scopes)
    if reason is None and case.credential.status_index is not None:
        reason = token_status.refusal(case.parameters, *case.credential.status_index)
    return None if reason is None else deny(case, reason)


def not_used(case: Case, offer: Offer) -> Outcome | None:
    """Check 17: a used code is a question on the same vehicle or open gate, a refusal anywhere else."""
    use = history.used(case.credential, case.history)
    if use is None:
        return None
    if not history.repeat_is_question(use, case.lane):
        return deny(case, Reason.CODE_USED)
    return already_paid(case, use)


def sure_enough(case: Case, offer: Offer) -> Outcome | None:
    """A card that can be copied is taken where the site's policy says so; a bare number never where money moves."""
    policies, assurance = case.parameters.policies, case.credential.assurance
    static = assurance is Assurance.STATIC and case.service not in policies.static_cards
    weak = assurance is Assurance.WEAK and (case.service not in policies.weak_cards or offer.charge.amount_fen > 0)
    return deny(case, Reason.CARD_UNPROVEN) if static or weak else None


def same_card(case: Case, offer: Offer) -> Outcome | None:
    """The same card again on the same vehicle asks "did it work?", unless companions may ride on it."""
    if case.credential.medium is not Medium.CARD or offer.product.pass_back.companions:
        return None
    use = history.asked_again(case.credential, case.history, case.at, case.parameters.policies.card_repeat_s)
    return None if use is None else already_paid(case, use)


def is_offered(case: Case, offer: Offer) -> Outcome | None:
    """A ride that cannot be priced, or that the operator refuses."""
    return None if offer.refused is None else deny(case, offer.refused)


def party_is_free(case: Case, offer: Offer) -> Outcome | None:
    """What this party did a moment ago is still on its way to the disk: its sums and its trip are not known yet."""
    pending = any(use.name is None for use in case.history.same_party)
    remembers = bool(offer.product.accumulates or offer.product.transfers)  # a companion of it has no effects
    needs = bool(offer.effects) or remembers or offer.tap is Tap.ALIGHT
    return deny(case, Reason.GATE_BUSY) if pending and needs else None


def within_funds(case: Case, offer: Offer) -> Outcome | None:
    """A purse holds what the ride costs."""
    short = case.funds_fen is not None and offer.charge.amount_fen > case.funds_fen
    return deny(case, Reason.BALANCE_SHORT) if short else None


def gate_is_free(case: Case, offer: Offer) -> Outcome | None:
    """One open grant a gate: with two, whoever walks first would be charged to the wrong one."""
    return deny(case, Reason.GATE_BUSY) if case.lane_busy else None


def not_too_soon(case: Case, offer: Offer) -> Outcome | None:
    """Check 18: pass-back, by the product's own rule and on this run: so many companions, or own use only. Whoever
    was left outside comes again on the same code, unless the party entered on another one meanwhile.
    """
    pass_back, known = offer.product.pass_back, case.history
    if history.left_over(known) is not None:
        known = history.of_other_codes(known)
    if not history.too_soon(pass_back, case.credential, case.account, known, case.at, case.where.run):
        return None
    return deny(case, Reason.COMPANIONS_USED if pass_back.companions else Reason.TOO_SOON)


RULE_ORDER: Sequence[Rule] = (
    sure_enough,
    within_ceiling,
    not_blocked,
    not_used,
    same_card,
    gate_is_free,
    not_too_soon,
)


# --------------------------------------------------------------------------- outcomes


def grant(case: Case, offer: Offer) -> Outcome:
    """Let them through and charge."""
    reason = offer.reason or offer.product.reason
    fare = amount(case, offer.charge.amount_fen)
    values: Values = {"fare": fare, "n": str(offer.persons)}
    return Outcome(
        decision=decision(case, offer.verdict, reason),
        acts=(OpenGate(persons=offer.persons), Show(reason=reason, values=values | offer.values)),
        charge=offer.charge,
        persons=offer.persons,
        tap=offer.tap,
        where=case.where,
        effects=offer.effects,
    )


def answered(case: Case, reason: Reason, of: EntryName | None) -> Outcome:
    """A question is answered: the way is open, nothing is charged."""
    return Outcome(decision=decision(case, Verdict.GRANT, reason), acts=(OpenGate(), Show(reason=reason)), repeat_of=of)


def already_paid(case: Case, use: Use) -> Outcome:
    """The way is open for an earlier grant; nothing more is charged."""
    if use.name is None:  # its entry is still on the way to the disk, and may fail; the gate opens for that one
        return deny(case, Reason.GATE_BUSY)
    waiting = max(1, use.persons - use.passed)
    return Outcome(
        decision=decision(case, Verdict.GRANT, Reason.ALREADY_PAID),
        acts=(OpenGate(persons=waiting), Show(reason=Reason.ALREADY_PAID)),
        persons=waiting,
        repeat_of=use.name,
    )


def deny(case: Case, reason: Reason) -> Outcome:
    """Keep the gate shut and say why."""
    acts: tuple[Act, ...] = (Show(reason=reason, values={"hotline": case.parameters.policies.hotline}),)
    return Outcome(decision=decision(case, Verdict.DENY, reason), acts=acts)


def told(case: Case, reason: Reason, values: Values) -> Outcome:
    """A person asked: the answer is shown, nothing opens."""
    return Outcome(decision=decision(case, Verdict.REFER, reason), acts=(Show(reason=reason, values=values),))


def refuse(
    verdict: Verdict, reason: Reason, parameters: ParameterSet, at: Instant, key_ids: tuple[str, ...]
) -> Outcome:
    """The outcome of something that did not even verify."""
    return Outcome(
        decision=Decision(verdict=verdict, reason=reason, evidence=evidence(parameters, at, key_ids)),
        acts=(Show(reason=reason),),
    )


def payer_of(case: Case) -> Payer:
    """Who pays: one party a scope, with what is remembered of it."""
    medium = _party(case, case.credential.medium_refs)
    account = medium if case.account is None else _party(case, (case.account,))
    channel = accounts.channel_refs(case.credential.medium_refs, case.account, case.credential.issuer)
    return Payer(medium=medium, channel=_party(case, channel), account=account)


def _party(case: Case, names: Sequence[Ref]) -> Party:
    """A party under its newest name; what stands under an older link key counts too."""
    return Party(ref=names[0], ledger=ledger.merged([case.ledgers[name] for name in names if name in case.ledgers]))


def emergency_ms(case: Case) -> int:
    """When everybody was last let out; 0: never. A missing exit of before then is forgiven."""
    return max((one.last_ms for one in case.ledgers.get(ledger.EMERGENCY, ledger.NOTHING).anchors), default=0)


def held(case: Case) -> tuple[HeldProduct, ...]:
    """What the holder has bought: by the token's own claim, and by the pass table under any of its names."""
    table = case.parameters.passes_of
    names = case.credential.medium_refs if case.account is None else (*case.credential.medium_refs, case.account)
    return (*case.credential.products, *(item for name in names for item in table.get(name, ())))


def evidence(parameters: ParameterSet, at: Instant, key_ids: tuple[str, ...]) -> Evidence:
    """What the decision stood on."""
    return Evidence(
        parameter_version=parameters.version,
        versions=parameters.versions,
        parameter_age_s=max(0, at.utc_ms - parameters.issued_ms) // 1000,
        key_ids=key_ids,
        utc_ms=at.utc_ms,
        uncertainty_ms=at.uncertainty_ms,
        time_source=at.source,
        rules=RULES,
    )


def amount(case: Case, minor: int) -> Amount:
    """Money of this tariff, for a phrase."""
    return Amount(minor=minor, currency=case.parameters.tariff.currency)


def decision(case: Case, verdict: Verdict, reason: Reason) -> Decision:
    """A verdict with what it stood on."""
    return Decision(
        verdict=verdict, reason=reason, evidence=evidence(case.parameters, case.at, case.credential.key_ids)
    )
