"""What follows from a decision: the use it reserves, the evidence that is sealed with it, the line that tells of it.

Laws of this file:
- A log line names no rider.
- Evidence is what clearing needs to verify again, and nothing longer than any code we know.
"""

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from terminal.core.entries import Decided
from terminal.core.model import (
    Amount,
    Credential,
    EntryName,
    Instant,
    Outcome,
    PassageMode,
    Presentation,
    Ref,
    Refusal,
    Show,
    Use,
    UseState,
    Verdict,
)
from terminal.core.money import money
from terminal.core.phrases import Display, display
from terminal.core.screen import Language
from terminal.runtime.site import Latest, Site

if TYPE_CHECKING:
    from terminal.runtime.card_doubts import Tap
    from terminal.runtime.lane import LaneRules

EVIDENCE_LIMIT = 512  # bytes: no code we know is longer; anything longer is rubbish and is not kept

log = logging.getLogger("terminal.runtime.lane")


def use_of(fact: Decided, at: Instant) -> Use:
    """The reservation a grant makes, before its entry has a name."""
    assert fact.code_key and fact.twin_key and fact.medium_ref and fact.charge
    return Use(
        name=None,
        lane=fact.lane,
        at_ms=at.utc_ms,
        code_key=fact.code_key,
        twin_key=fact.twin_key,
        medium=fact.medium_ref,
        account=fact.account_ref,
        product=fact.charge.product,
        fare_type=fact.charge.fare_type,
        amount_fen=fact.charge.amount_fen,
        passage=fact.passage,
        state=UseState.COMMITTED if fact.passage is PassageMode.ASSUMED else UseState.RESERVED,
        persons=fact.persons,
    )


def fact_of(
    outcome: Outcome,
    presentation: Presentation,
    rules: "LaneRules",
    pay_by_s: int,
    *,
    format: str | None,
    credential: Credential | None = None,
    account: Ref | None = None,
    tap: "Tap | None" = None,
) -> Decided:
    """The fact that is written of an outcome at a lane."""
    decision = outcome.decision
    fact = Decided(
        lane=rules.name,
        service=rules.service,
        medium=presentation.medium,
        format=format,
        issuer=None,
        verdict=decision.verdict,
        reason=decision.reason,
        evidence=decision.evidence,
        account_ref=account,
        charge=outcome.charge,
        persons=outcome.persons,
        passage=rules.passage,
        repeat_of=outcome.repeat_of,
        pay_by_ms=decision.evidence.utc_ms + pay_by_s * 1000 if outcome.charge is not None else None,
        tap=outcome.tap,
        where=outcome.where,
        effects=outcome.effects,
        card=tap.talk.facts() if tap else None,
    )
    return fact if credential is None else _named(fact, credential)


def _named(fact: Decided, credential: Credential) -> Decided:
    """What a verified credential says of itself."""
    return msgspec.structs.replace(
        fact,
        medium=credential.medium,
        issuer=credential.issuer,
        code_key=credential.code_keys[0],
        twin_key=credential.twin_keys[0],
        medium_ref=credential.medium_refs[0],
        generated_ms=credential.generated_ms,
        assurance=credential.assurance,
    )


def tell(outcome: Outcome, entry: EntryName, presentation: Presentation, committed_s: float, service: str) -> None:
    """One log line a decision; it names no rider."""
    log.info(
        "decided",
        extra={
            "lane": presentation.lane,
            "verdict": outcome.decision.verdict.value,
            "reason": outcome.decision.reason.value,
            "says": [shown.zh for shown in _shown(outcome, service)],
            "epoch": entry.epoch.hex(),
            "sequence": entry.sequence,
            "at_ns": presentation.at.monotonic_ns,
            "committed_ns": round(committed_s * 1e9),
        },
    )


def _shown(outcome: Outcome, service: str) -> Iterator[Display]:
    return (display(act.reason, act.values, service=service) for act in outcome.acts if isinstance(act, Show))


def note_latest(site: Site, outcome: Outcome, rules: "LaneRules", at: Instant) -> None:
    """The same, for the panel of whoever works here."""
    told = next(_shown(outcome, rules.service), None)
    charge = outcome.charge
    currency = site.parameters.tariff.currency
    paid = None if charge is None else Amount(minor=charge.amount_fen, currency=currency)
    site.latest = Latest(
        at_ms=at.utc_ms,
        lane=rules.name,
        granted=outcome.decision.granted,
        reason=outcome.decision.reason.value,
        zh="" if told is None else told.zh,
        en="" if told is None else told.en,
        product="" if charge is None else charge.product,
        persons=outcome.persons,
        charge_zh="" if paid is None else money(paid, Language.ZH),
        charge_en="" if paid is None else money(paid, Language.EN),
    )


def evidence_of(fact: Decided, presentation: Presentation) -> bytes | None:
    """The raw code, or the number a card goes by, to be sealed: clearing verifies it again. Rubbish is not kept."""
    if fact.format is None or len(presentation.payload) > EVIDENCE_LIMIT:
        return None
    return presentation.payload


def unread(presentation: Presentation) -> Refusal | None:
    """What the reader itself could not take."""
    return None if presentation.unread is None else Refusal(verdict=Verdict.DENY, reason=presentation.unread)
