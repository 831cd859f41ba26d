"""A card token, explained: every field, and every check also after one has failed.

Laws of this file:
- Nothing is judged here: each row asks the function that `card_token.verify` asks.
"""

from typing import Any

from terminal.core.model import Credential, Instant, Reason
from terminal.core.parameters import CardTokenIssuer, ParameterSet
from terminal.core.tokens.card_token import (
    NAME,
    Claims,
    Refused,
    Token,
    binary,
    check_audience,
    check_holder,
    check_status,
    check_time,
    open_claims,
    parse,
    verify,
)
from terminal.core.tokens.explanation import CheckResult, Explanation, Field, Result, State


def explain(payload: bytes, parameters: ParameterSet, at: Instant, state: State | None = None) -> Explanation:
    """Every field, and every check also after one has failed."""
    verified = verify(payload, parameters, at)
    verdict = "verified" if isinstance(verified, Credential) else verified.reason.value
    token, reason = None, None
    try:
        token = parse(binary(payload))
    except Refused as refused:
        reason = refused.reason
    checks = [_result(1, "both layers in deterministic CBOR, headers understood", reason)]
    if token is None:
        return Explanation(format=NAME, checks=tuple(checks), verdict=verdict)
    row_claims: list[tuple[CardTokenIssuer, Claims]] = []
    checks.append(
        _asked(
            2,
            "issuer key known, alg its own, signature, claims",
            lambda: row_claims.append(open_claims(token, parameters)),
        )
    )
    row, claims = row_claims[0] if row_claims else (None, None)
    later = (
        ("holder key confirmed, alg its own, signature", lambda: check_holder(token, claims)),  # type: ignore[arg-type]
        ("within its life, and fresh", lambda: check_time(token, claims, row, at)),  # type: ignore[arg-type]
        ("made for this audience", lambda: check_audience(claims, row)),  # type: ignore[arg-type]
        ("not revoked or suspended", lambda: check_status(claims, parameters)),  # type: ignore[arg-type]
    )
    for number, (asks, ask) in enumerate(later, 3):
        checks.append(_asked(number, asks, ask) if claims else _result(number, asks, None, applies=False))
    return Explanation(
        format=NAME,
        fields=_fields(token, claims),
        checks=tuple(checks),
        verdict=verdict,
        credential=verified if isinstance(verified, Credential) else None,
    )


def _asked(number: int, asks: str, ask: Any) -> CheckResult:
    reason: Reason | None = None
    try:
        ask()
    except Refused as refused:
        reason = refused.reason
    return _result(number, asks, reason)


def _result(number: int, asks: str, reason: Reason | None, *, applies: bool = True) -> CheckResult:
    result = Result.NOT_APPLICABLE if not applies else Result.PASS if reason is None else Result.FAIL
    return CheckResult(number=number, asks=asks, result=result, reason=reason, judged_by=NAME)


def _fields(token: Token, claims: Claims | None) -> tuple[Field, ...]:
    fields = [
        Field(name="kid", value=token.kid.hex()),
        Field(name="issuer alg", value=str(token.issuer_alg)),
        Field(name="holder alg", value=str(token.holder_alg)),
        Field(name="generated", value=str(token.generated_s)),
    ]
    if claims is not None:
        fields += [
            Field(name="iss", value=claims.issuer),
            Field(name="sub", value=claims.subject.hex(), sensitive=True),
            Field(name="aud", value=claims.audience or "–"),
            Field(name="nbf", value=str(claims.not_before_s)),
            Field(name="exp", value=str(claims.expires_s)),
            Field(name="validity, s", value=str(claims.validity_s)),
            Field(name="account link", value=(claims.account_link or b"").hex(), sensitive=True),
            Field(name="age from", value=str(claims.holder.age_from or "–")),
            Field(name="residency", value=claims.holder.residency or "–"),
            Field(name="products", value=", ".join(item.product for item in claims.products) or "–"),
            Field(name="status", value="–" if claims.status is None else f"{claims.status[0]}[{claims.status[1]}]"),
        ]
    return tuple(fields)
