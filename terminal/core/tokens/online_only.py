"""Codes that only an online service can resolve: recognised, answered REFER, never granted offline.

Laws of this file:
- Nothing in these codes is signed, so nothing in them is believed; only their looks are told apart.
- A medical code (医保码) is 28 characters: a digit, then letters and digits [tokens: 2.6].
- A payment code of the 62 family is 16 to 49 digits beginning 62 [tokens: 2.1].
- The electronic social security code (电子社保卡) is an opaque string; its length and alphabet are not published,
  so whatever printable single-line token is left over and looks machine-made is taken for one.
"""

import re

from terminal.core.model import Instant, Reason, Refusal, Verdict
from terminal.core.parameters import ParameterSet
from terminal.core.tokens.explanation import Check, Explanation, Field, State, told, verdict_of

NAME = "online_only"
_PAYMENT = re.compile(rb"62[0-9]{14,47}\Z")
_MEDICAL = re.compile(rb"[0-9][0-9A-Za-z]{27}\Z")
_SOCIAL_SECURITY = re.compile(rb"(?=[^\n]*[0-9])[0-9A-Za-z+/=_:.-]{18,256}\Z")
KINDS = (
    (_PAYMENT, Reason.ONLINE_ONLY_PAYMENT),
    (_MEDICAL, Reason.ONLINE_ONLY_MEDICAL),
    (_SOCIAL_SECURITY, Reason.ONLINE_ONLY_SOCIAL_SECURITY),
)


def reason_for(payload: bytes) -> Reason | None:
    """Which online service could answer for this payload, or None."""
    return next((reason for looks, reason in KINDS if looks.match(payload)), None)


def recognise(payload: bytes) -> bool:
    """Whether it looks like a code of any online service."""
    return reason_for(payload) is not None


def looks_so(payload: bytes) -> Reason | None:
    """None where it does."""
    return None if recognise(payload) else Reason.UNKNOWN_FORMAT


def verify(payload: bytes, parameters: ParameterSet, at: Instant) -> Refusal:
    """Refer to the service that could answer."""
    reason = reason_for(payload)
    assert reason is not None  # asked only for what was recognised
    return Refusal(verdict=Verdict.REFER, reason=reason, format=NAME)


CHECKS: tuple[Check[bytes], ...] = (
    Check(1, "looks like a code of an online service", (Reason.UNKNOWN_FORMAT,), looks_so, "reason_for"),
    Check(2, "can be verified without that service", tuple(reason for _, reason in KINDS), reason_for, "reason_for"),
)


def explain(payload: bytes, parameters: ParameterSet, at: Instant, state: State | None = None) -> Explanation:
    """Its looks are all there is to tell; it is never verified here."""
    checks = tuple(told(row, row.judge(payload)) for row in CHECKS)
    fields = (
        Field(name="length", value=str(len(payload))),
        Field(name="code", value=payload.decode("ascii", "replace"), sensitive=True),
    )
    return Explanation(format=NAME, fields=fields, checks=checks, verdict=verdict_of(checks))
