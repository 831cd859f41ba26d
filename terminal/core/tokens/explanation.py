"""The rows of a format's table of checks, and what a format can say of its own bytes.

Laws of this file:
- One row, one question, one function that judges it, its own reasons; the order is the order of asking.
- A check returns its reason, None for a pass, or NOT_APPLICABLE where what it needs is not there.
- `terminal inspect` is told every check, also after one has failed; the verdict is the first that did.
- A sensitive field is marked by the format that knows it; who shows it masks it.
- The last rows of every table need fare, deny list or history: a service asks them through the functions they name.
"""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Final, Generic, Literal, NamedTuple, TypeVar

from terminal.core import accounts, history, status
from terminal.core.model import Credential, History, Instant, Reason, Ref, Value
from terminal.core.parameters import BlockScope, ParameterSet, Product
from terminal.core.services import pricing

NOT_APPLICABLE: Final = "n/a"
Judged = Reason | Literal["n/a"] | None
X = TypeVar("X")


class Check(NamedTuple, Generic[X]):
    """One row of a format's table; X is a code of it under examination."""

    number: int
    asks: str
    reasons: tuple[Reason, ...]
    judge: Callable[[X], Judged]
    judged_by: str  # the one function that holds the rule


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


def told(check: Check[X], judged: Judged) -> CheckResult:
    """How this row went."""
    reason = judged if isinstance(judged, Reason) else None
    result = Result.NOT_APPLICABLE if judged == NOT_APPLICABLE else Result.FAIL if reason else Result.PASS
    return CheckResult(number=check.number, asks=check.asks, result=result, reason=reason, judged_by=check.judged_by)


def verdict_of(checks: Iterable[CheckResult]) -> str:
    """The reason of the first check that failed, or "verified"."""
    return next((check.reason.value for check in checks if check.reason is not None), "verified")


class State(Value, frozen=True):
    """What only a terminal in service knows; all of it may be absent."""

    service: str | None = None
    history: History | None = None
    account: Ref | None = None
    run_ms: int = 0  # when this run of the line began; 0: on none


class Explanation(Value, frozen=True):
    """A payload, field by field and check by check."""

    format: str
    fields: tuple[Field, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    verdict: str = ""
    credential: Credential | None = None


# --------------------------------------------------------------------------- deny list and history, of any format


def product_of(state: State, held: Credential, parameters: ParameterSet, at: Instant) -> Product | None:
    """What the named service would charge, if a service is named."""
    if state.service is None:
        return None
    return pricing.product_for(state.service, held, held.products, parameters.tariff, at)


def not_blocked(held: Credential, product: Product | None, parameters: ParameterSet) -> Judged:
    """By the scopes the product stands on; where no service is named, by any scope."""
    account = accounts.account_of(held.medium_refs, held.account_link, parameters)
    scopes = tuple(BlockScope) if product is None else product.scopes
    return status.block_on(parameters, held.medium_refs, account, scopes)


def not_used(held: Credential, state: State) -> Judged:
    """Whether a use stands against this code."""
    if state.history is None:
        return NOT_APPLICABLE
    return None if history.used(held, state.history) is None else Reason.CODE_USED


def not_too_soon(held: Credential, product: Product | None, state: State, at: Instant) -> Judged:
    """By the product's pass-back."""
    if state.history is None or product is None:
        return NOT_APPLICABLE
    soon = history.too_soon(product.pass_back, held, state.account, state.history, at, state.run_ms)
    return Reason.TOO_SOON if soon else None
