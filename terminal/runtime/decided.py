"""What follows from a decision: the use it reserves, the evidence that is sealed with it, the line that tells of it.

Laws of this file:
- A log line names no rider.
- Evidence is what clearing needs to verify again, and nothing longer than any code we know.
"""

import logging

from terminal.core.entries import Decided
from terminal.core.model import (
    EntryName,
    Instant,
    Outcome,
    PassageMode,
    Presentation,
    Refusal,
    Show,
    Use,
    UseState,
    Verdict,
)
from terminal.core.phrases import display

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


def tell(outcome: Outcome, entry: EntryName, presentation: Presentation, committed_s: float) -> None:
    """One log line a decision; it names no rider."""
    log.info(
        "decided",
        extra={
            "lane": presentation.lane,
            "verdict": outcome.decision.verdict.value,
            "reason": outcome.decision.reason.value,
            "says": [display(act.reason, act.values).zh for act in outcome.acts if isinstance(act, Show)],
            "epoch": entry.epoch.hex(),
            "sequence": entry.sequence,
            "at_ns": presentation.at.monotonic_ns,
            "committed_ns": round(committed_s * 1e9),
        },
    )


def evidence_of(fact: Decided, presentation: Presentation) -> bytes | None:
    """The raw code, or the number a card goes by, to be sealed: clearing verifies it again. Rubbish is not kept."""
    if fact.format is None or len(presentation.payload) > EVIDENCE_LIMIT:
        return None
    return presentation.payload


def unread(presentation: Presentation) -> Refusal | None:
    """What the reader itself could not take."""
    return None if presentation.unread is None else Refusal(verdict=Verdict.DENY, reason=presentation.unread)
