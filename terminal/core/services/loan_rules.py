"""What a library kiosk decides by itself: who may sign in, and what may be done while the library system is away.

Laws of this file:
- Whether a book may be lent is the library system's to say; a rule of ours speaks only where it cannot.
- "Not ok", no answer, a request to repeat and a closed line are four things, each with its own words.
- An offline loan has a limit, a class and a due date that the site wrote down; without those nothing is lent offline.
"""

import datetime
from zoneinfo import ZoneInfo

import msgspec

from terminal.core import status, token_status
from terminal.core.card import Assurance
from terminal.core.library import Patron, Silence
from terminal.core.model import (
    Amount,
    Credential,
    Decision,
    Instant,
    Outcome,
    Reason,
    Refusal,
    Show,
    Value,
    Values,
    Verdict,
)
from terminal.core.parameters import BlockScope, ParameterSet
from terminal.core.screen import Said
from terminal.core.services.rules import evidence, refuse
from terminal.core.visit import Known, Presented

SERVICE = "loan"


class OfflinePolicy(Value, frozen=True, forbid_unknown_fields=True):
    """`[library.offline]`: what is done while the library system is away, and told to it later."""

    loans: int = 0  # per reader, until the library system was told of them; 0: nothing is lent
    days: int = 30  # due date of ours: the end of that day
    classes: tuple[str, ...] = ()  # of readers, by the link table; empty: every class


# --------------------------------------------------------------------------- signing in


def sign_in(presented: Presented) -> Outcome:
    """Who is it, and may they use the kiosk? No money moves, so no code is used up."""
    claim, parameters, at = presented.claim, presented.parameters, presented.at
    if isinstance(claim, Refusal):
        refused = refuse(claim.verdict, claim.reason, parameters, at, claim.key_ids)
        return msgspec.structs.replace(refused, acts=(Show(reason=unread(claim.reason)),))
    reason = _refused(claim, presented)
    if reason is not None:
        return _outcome(Verdict.DENY, reason, claim, parameters, at)
    known = presented.known
    if known is None:
        return _outcome(Verdict.REFER, Reason.READER_NOT_OPENED, claim, parameters, at)
    if known.until_ms is not None and known.until_ms < at.utc_ms:
        return _outcome(Verdict.DENY, Reason.READER_EXPIRED, claim, parameters, at)
    return _outcome(Verdict.GRANT, Reason.SIGNED_IN, claim, parameters, at)


def _refused(claim: Credential, presented: Presented) -> Reason | None:
    """Why this medium may not sign anybody in."""
    parameters, policies = presented.parameters, presented.parameters.policies
    if presented.at.uncertainty_ms > policies.max_uncertainty_s * 1000:
        return Reason.CLOCK_UNSURE
    static = claim.assurance is Assurance.STATIC and SERVICE not in policies.static_cards
    weak = claim.assurance is Assurance.WEAK and SERVICE not in policies.weak_cards
    if static or weak or claim.card is not None:
        return Reason.CARD_UNPROVEN
    blocked = status.block_on(parameters, claim.medium_refs, presented.account, (BlockScope.IDENTITY,))
    if blocked is None and claim.status_index is not None:
        return token_status.refusal(parameters, *claim.status_index)
    return blocked


def _outcome(verdict: Verdict, reason: Reason, claim: Credential, parameters: ParameterSet, at: Instant) -> Outcome:
    decision = Decision(verdict=verdict, reason=reason, evidence=evidence(parameters, at, claim.key_ids))
    values: Values = {"hotline": parameters.policies.hotline}
    return Outcome(decision=decision, acts=(Show(reason=reason, values=values),))


# --------------------------------------------------------------------------- words


NOT_A_READERS = {
    Reason.UNKNOWN_FORMAT: Reason.READER_CODE_WANTED,
    Reason.ONLINE_ONLY_SOCIAL_SECURITY: Reason.READER_CODE_WANTED,
    Reason.ONLINE_ONLY_MEDICAL: Reason.READER_CODE_WANTED,
    Reason.ONLINE_ONLY_PAYMENT: Reason.READER_CODE_WANTED,
    Reason.PURSE_EXPIRED: Reason.CARD_UNPROVEN,
    Reason.PURSE_NOT_ACTIVE: Reason.CARD_UNPROVEN,
    Reason.PURSE_LOCKED: Reason.CARD_UNPROVEN,
    Reason.PURSE_NOT_ROAMING: Reason.CARD_UNPROVEN,
}


def unread(reason: Reason) -> Reason:
    """What a library says of a code or card that it could not take.

    It knows no ride codes to ask for, and no money would make a purse a reader's card.
    """
    return NOT_A_READERS.get(reason, reason)


WORDS_OF = {
    Silence.UNSAYABLE: Reason.BOOK_NOT_RECOGNISED,
    Silence.UNREACHABLE: Reason.LIBRARY_UNREACHABLE,
    Silence.NOT_LOGGED_IN: Reason.LIBRARY_NOT_LOGGED_IN,
    Silence.NO_ANSWER: Reason.LIBRARY_SILENT,
    Silence.ASKED_AGAIN: Reason.LIBRARY_ASKS_AGAIN,
    Silence.CLOSED: Reason.LIBRARY_HUNG_UP,
    Silence.GARBLED: Reason.LIBRARY_GARBLED,
}
NOTHING_SENT = (Silence.UNSAYABLE, Silence.UNREACHABLE, Silence.NOT_LOGGED_IN)


def is_doubtful(silence: Silence) -> bool:
    """Whether the library system may have done what it did not answer to."""
    return silence not in NOTHING_SENT


def standing(patron: Patron) -> Said | None:
    """What keeps this reader from borrowing, as the library system sees them; None: nothing."""
    if patron.may_borrow:
        return None
    why = patron.blocked_why
    if "card_lost" in why:
        return Said(reason=Reason.REPORTED_LOST)
    if "excessive_fines" in why or "excessive_fees" in why:
        owed = Amount(minor=patron.fee_minor or 0, currency=patron.currency)
        return Said(reason=Reason.READER_FINE, values={"amount": owed})
    if "too_many_overdue" in why or "recall_overdue" in why:
        return Said(reason=Reason.READER_OVERDUE)
    if "too_many_charged" in why:
        return Said(reason=Reason.LOAN_LIMIT, values={"n": "" if patron.charged is None else str(patron.charged)})
    return Said(reason=Reason.READER_ON_HOLD)


def day(written: str) -> str:
    """A due date for the screen: SIP2's YYYYMMDD becomes YYYY-MM-DD, anything else stays as the library wrote it."""
    digits = written[:8]
    if len(digits) == 8 and digits.isdecimal():
        return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}"
    return written.strip()


# --------------------------------------------------------------------------- while the library system is away


def why_not_offline(policy: OfflinePolicy, known: Known, waiting: int) -> Said | None:
    """Why this reader, with so many loans that wait to be told, gets no book offline; None: they do."""
    if not policy.loans or not known.may_borrow or (policy.classes and known.reader_class not in policy.classes):
        return Said(reason=Reason.OFFLINE_NOT_LENT)
    if waiting >= policy.loans:
        return Said(reason=Reason.OFFLINE_LIMIT, values={"n": str(policy.loans)})
    return None


def offline_due_ms(policy: OfflinePolicy, at: Instant, time_zone: str) -> int:
    """The last second of the day on which an offline loan is due, Unix milliseconds."""
    local = datetime.datetime.fromtimestamp(at.utc_s, ZoneInfo(time_zone)) + datetime.timedelta(days=policy.days)
    return int(local.replace(hour=23, minute=59, second=59).timestamp()) * 1000


def local_day(utc_ms: int, time_zone: str) -> str:
    """The day in that zone, YYYY-MM-DD."""
    return datetime.datetime.fromtimestamp(utc_ms / 1000, ZoneInfo(time_zone)).strftime("%Y-%m-%d")
