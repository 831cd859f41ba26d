"""What a format can say of its own bytes: for `terminal inspect`, never for a decision.

Laws of this file:
- Every check is reported, also after one has failed; what cannot be judged for want of state is `n/a`.
- A sensitive field is marked by the format that knows it; who shows it masks it.
"""

from enum import StrEnum

from terminal.core.model import Credential, History, Reason, Ref, Value


class Result(StrEnum):
    """How one check went."""

    PASS = "pass"
    FAIL = "fail"
    NOT_APPLICABLE = "n/a"


class Field(Value, frozen=True):
    """One field of a payload, as text."""

    name: str
    value: str
    sensitive: bool = False


class CheckResult(Value, frozen=True):
    """One check: its number in the format's own table, what it asks, how it went."""

    number: int
    asks: str
    result: Result
    reason: Reason | None = None
    judged_by: str = ""


class State(Value, frozen=True):
    """What only a terminal in service knows; all of it may be absent."""

    service: str | None = None
    history: History | None = None
    account: Ref | None = None


class Explanation(Value, frozen=True):
    """A payload, field by field and check by check."""

    format: str
    fields: tuple[Field, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    verdict: str = ""
    credential: Credential | None = None
