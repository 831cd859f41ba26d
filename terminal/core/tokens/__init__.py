"""Bytes with a format → a verified claim. One file a format; the table FORMATS joins them.

Laws of this package:
- A format is recognised by content, never by length alone; the size is bounded before anything is parsed.
- Every signature is checked before any field is believed.
- Whatever the bytes are, the answer is a Credential or a Refusal with a reason: nothing is raised.
"""

from collections.abc import Callable
from typing import NamedTuple

from terminal.core.model import Credential, Instant, Reason, Refusal, Verdict
from terminal.core.parameters import ParameterSet
from terminal.core.tokens import card_token, card_token_checks, online_only, ride_code, ride_code_checks
from terminal.core.tokens.explanation import Check, Explanation, State, told

LONGEST = 2953  # bytes: QR version 40-L, the largest code there is


class Format(NamedTuple):
    """One format of codes."""

    name: str
    recognise: Callable[[bytes], bool]
    verify: Callable[[bytes, ParameterSet, Instant], Credential | Refusal]
    explain: Callable[[bytes, ParameterSet, Instant, State | None], Explanation]


FORMATS: tuple[Format, ...] = (
    Format(ride_code.NAME, ride_code.recognise, ride_code_checks.verify, ride_code_checks.explain),
    Format(card_token.NAME, card_token.recognise, card_token_checks.verify, card_token_checks.explain),
    Format(online_only.NAME, online_only.recognise, online_only.verify, online_only.explain),
)


def recognise(payload: bytes) -> Format | None:
    """The format these bytes claim, or None."""
    return next((found for found in FORMATS if found.recognise(payload)), None)


def verify(payload: bytes, parameters: ParameterSet, at: Instant) -> Credential | Refusal:
    """The claim of a payload, or why there is none."""
    if not 2 < len(payload) <= LONGEST:
        return Refusal(verdict=Verdict.DENY, reason=Reason.MALFORMED)
    found = recognise(payload)
    if found is None:
        return Refusal(verdict=Verdict.DENY, reason=Reason.UNKNOWN_FORMAT)
    return found.verify(payload, parameters, at)


def explain(payload: bytes, parameters: ParameterSet, at: Instant, state: State | None = None) -> Explanation:
    """Every field and every check of a payload; an unknown one has none."""
    found = recognise(payload) if 2 < len(payload) <= LONGEST else None
    if found is None:
        refusal = verify(payload, parameters, at)
        assert isinstance(refusal, Refusal)  # without a format there is no credential
        check = Check(1, "a format that is known", (refusal.reason,), lambda reason: reason, "tokens.recognise")
        return Explanation(format="unknown", checks=(told(check, refusal.reason),), verdict=refusal.reason.value)
    return found.explain(payload, parameters, at, state)
