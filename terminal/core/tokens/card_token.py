"""The card token: our profile of a city token bound to a social security account (docs/card-token.md).

Laws of this file:
- Two COSE_Sign1 (RFC 9052), one in the other: the issuer's over the claims, the holder's phone's over
  (issuer's token, generation time). The holder's key is the one the issuer confirmed in `cnf`.
- Deterministic CBOR only, at every level; protected headers hold `alg` and, inside, `kid`, and nothing else;
  unprotected maps are empty.
- `alg` is compared with the key's own suite; it never chooses one.
- No claim is believed before both signatures held; the validity is the issuer's word, clamped by ours.
- The name of one use is what was signed, not the signature: a second signature of the same bytes is the same use.
"""

import functools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from terminal.core import accounts, cbor
from terminal.core.model import Credential, HeldProduct, Holder, Instant, Medium, Reason, Ref, Refusal, Value, Verdict
from terminal.core.parameters import CardTokenIssuer, ParameterSet, TokenAlgorithm
from terminal.core.token_status import refusal as status_refusal
from terminal.core.tokens import base45, signatures
from terminal.core.tokens.explanation import CheckResult, Explanation, Field, Result, State

NAME = "card_token"
TEXT_MARK = b"OC1:"  # before the base45 form
TAG = 0xD2  # CBOR tag 18: COSE_Sign1
LONGEST = 1024  # bytes; a QR code of version 15-M holds 412
KID_LONGEST = 16

# COSE header labels and algorithms (RFC 9052, 9053); SM2 has none, ours is of the private-use range.
ALG, KID = 1, 4
ALGORITHMS = {TokenAlgorithm.ES256: -7, TokenAlgorithm.EDDSA: -8, TokenAlgorithm.SM2: -65537}
# CWT claims (RFC 8392, 8747) and our one private claim, a map.
ISS, SUB, AUD, EXP, NBF, CNF, PROFILE = 1, 2, 3, 4, 5, 8, -65538
# Members of the private claim.
LINK, AGE_FROM, RESIDENCY, STUDENT_UNTIL, PRODUCTS, VALIDITY, STATUS = 1, 2, 3, 4, 5, 6, 7
# COSE_Key parameters and values (RFC 9053; the SM2 curve is of the private-use range).
KTY, CRV, X, Y, OKP, EC2 = 1, -1, -2, -3, 1, 2
CURVES = {(EC2, 1): TokenAlgorithm.ES256, (OKP, 6): TokenAlgorithm.EDDSA, (EC2, -65537): TokenAlgorithm.SM2}


class Claims(Value, frozen=True):
    """What the issuer signed, checked for shape."""

    issuer: str
    subject: bytes
    audience: str | None
    expires_s: int
    not_before_s: int
    validity_s: int
    holder_algorithm: TokenAlgorithm
    holder_key: bytes
    account_link: Ref | None
    holder: Holder
    products: tuple[HeldProduct, ...]
    status: tuple[str, int] | None


class Token(Value, frozen=True):
    """Both layers, cut apart; nothing verified yet."""

    holder_alg: int
    holder_signed: bytes  # Sig_structure of the outer layer
    holder_signature: bytes
    payload: bytes  # of the outer layer: [issuer's token, generation time]
    generated_s: int
    issuer_alg: int
    kid: bytes
    issuer_signed: bytes
    issuer_signature: bytes
    claims: bytes


class _Refused(Exception):
    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


def recognise(payload: bytes) -> bool:
    """Whether these bytes claim to be a card token: tag 18 and an array of four, or the text mark."""
    return payload[:2] == bytes((TAG, 0x84)) or payload.startswith(TEXT_MARK)


def verify(payload: bytes, parameters: ParameterSet, at: Instant) -> Credential | Refusal:
    """The claim of a token, or the first reason against it."""
    key_ids: tuple[str, ...] = ()
    try:
        token = parse(binary(payload))
        key_ids = (token.kid.hex(),)
        row, claims = open_claims(token, parameters)
        check_holder(token, claims)
        check_time(token, claims, row, at)
        check_audience(claims, row)
        return _credential(token, claims, row, parameters, key_ids)
    except _Refused as refused:
        return Refusal(verdict=Verdict.DENY, reason=refused.reason, format=NAME, key_ids=key_ids)


# --------------------------------------------------------------------------- bytes


def binary(payload: bytes) -> bytes:
    """The binary form of either form."""
    if not payload.startswith(TEXT_MARK):
        return payload
    data = base45.decode(payload[len(TEXT_MARK) :])
    if data is None:
        raise _Refused(Reason.MALFORMED)
    return data


def parse(data: bytes) -> Token:
    """Cut both layers apart; only the shape is checked."""
    if data[:1] != bytes((TAG,)):
        raise _Refused(Reason.MALFORMED)
    outer_protected, outer_payload, outer_signature = _layer(data[1:])
    outer = _headers(outer_protected, frozenset({ALG}))
    match _decode(outer_payload):
        case [bytes(inner), int(generated_s)] if 0 <= generated_s < 1 << 40:
            pass
        case _:
            raise _Refused(Reason.MALFORMED)
    protected, claims, signature = _layer(inner)
    headers = _headers(protected, frozenset({ALG, KID}))
    kid = headers[KID]
    if type(kid) is not bytes or not 0 < len(kid) <= KID_LONGEST:
        raise _Refused(Reason.ISSUER_KEY_UNKNOWN)
    return Token(
        holder_alg=outer[ALG],
        holder_signed=_sig_structure(outer_protected, outer_payload),
        holder_signature=outer_signature,
        payload=outer_payload,
        generated_s=generated_s,
        issuer_alg=headers[ALG],
        kid=kid,
        issuer_signed=_sig_structure(protected, claims),
        issuer_signature=signature,
        claims=claims,
    )


def _layer(data: bytes) -> tuple[bytes, bytes, bytes]:
    """protected, payload and signature of one COSE_Sign1."""
    match _decode(data):
        case [bytes(protected), dict(unprotected), bytes(payload), bytes(signature)]:
            if unprotected:
                raise _Refused(Reason.HEADER_NOT_UNDERSTOOD)
            return protected, payload, signature
    raise _Refused(Reason.MALFORMED)


@functools.lru_cache(maxsize=256)  # an issuer writes the same few bytes into all its tokens
def _headers(protected: bytes, expected: frozenset[int]) -> Mapping[Any, Any]:
    """The protected map: exactly the labels we understand, so that nothing critical is passed over."""
    headers = _decode(protected)
    if not isinstance(headers, dict) or set(headers) != expected or type(headers[ALG]) is not int:
        raise _Refused(Reason.HEADER_NOT_UNDERSTOOD)
    return MappingProxyType(headers)


def _decode(data: bytes) -> Any:
    try:
        return cbor.decode(data, LONGEST)
    except cbor.NotDeterministic as error:
        raise _Refused(Reason.NOT_CANONICAL) from error


def _sig_structure(protected: bytes, payload: bytes) -> bytes:
    """RFC 9052, 4.4, without external data."""
    return cbor.encode(["Signature1", protected, b"", payload])


# --------------------------------------------------------------------------- who signed


def open_claims(token: Token, parameters: ParameterSet) -> tuple[CardTokenIssuer, Claims]:
    """The claims once the issuer's signature held."""
    row, key = _issuer(token.kid, parameters)
    if ALGORITHMS[row.algorithm] != token.issuer_alg:
        raise _Refused(Reason.ALGORITHM_MISMATCH)
    if len(token.issuer_signature) != 64 or not key.verify(token.issuer_signature, token.issuer_signed):
        raise _Refused(Reason.ISSUER_SIGNATURE_BAD)
    claims = _claims(_decode(token.claims))
    if claims.issuer != row.issuer:
        raise _Refused(Reason.ISSUER_NOT_ACCEPTED)
    return row, claims


def _issuer(kid: bytes, parameters: ParameterSet) -> tuple[CardTokenIssuer, signatures.Key]:
    """One lookup in what is kept with the parameter set; parsed the first time."""
    name = b"token issuer" + kid
    found: tuple[CardTokenIssuer, signatures.Key] | None = parameters.verified.get(name)
    if found is None:
        row = next((row for row in parameters.issuers.card_token if row.key_id == kid.hex()), None)
        if row is None:
            raise _Refused(Reason.ISSUER_KEY_UNKNOWN)
        try:
            found = row, signatures.load(row.algorithm, bytes.fromhex(row.public_key))
        except signatures.InvalidKey as error:
            raise _Refused(Reason.ISSUER_KEY_UNKNOWN) from error
        parameters.verified[name] = found
    return found


def check_holder(token: Token, claims: Claims) -> None:
    """The phone's signature, by the key and suite the issuer confirmed."""
    if ALGORITHMS[claims.holder_algorithm] != token.holder_alg:
        raise _Refused(Reason.ALGORITHM_MISMATCH)
    try:
        key = signatures.load(claims.holder_algorithm, claims.holder_key)
    except signatures.InvalidKey as error:
        raise _Refused(Reason.HOLDER_SIGNATURE_BAD) from error
    if len(token.holder_signature) != 64 or not key.verify(token.holder_signature, token.holder_signed):
        raise _Refused(Reason.HOLDER_SIGNATURE_BAD)


# --------------------------------------------------------------------------- what is claimed


def _claims(raw: Any) -> Claims:
    """Claims of the right shape and range, or CLAIMS_MALFORMED."""
    try:
        profile = raw[PROFILE]
        if set(raw) - {ISS, SUB, AUD, EXP, NBF, CNF, PROFILE} or set(profile) - set(range(1, 8)):
            raise _Refused(Reason.CLAIMS_MALFORMED)
        algorithm, key = _holder_key(raw[CNF][1])
        claims = Claims(
            issuer=_text(raw[ISS]),
            subject=_bytes(raw[SUB], 8, 32),
            audience=_text(raw[AUD]) if AUD in raw else None,
            expires_s=_number(raw[EXP]),
            not_before_s=_number(raw[NBF]),
            validity_s=_number(profile[VALIDITY], 1, 3600),
            holder_algorithm=algorithm,
            holder_key=key,
            account_link=Ref(_bytes(profile[LINK], 17, 17)) if LINK in profile else None,
            holder=_holder(profile),
            products=tuple(_product(item) for item in profile.get(PRODUCTS, ())),
            status=_status(profile[STATUS]) if STATUS in profile else None,
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise _Refused(Reason.CLAIMS_MALFORMED) from error
    if claims.expires_s <= claims.not_before_s:
        raise _Refused(Reason.CLAIMS_MALFORMED)
    return claims


def _holder_key(key: Any) -> tuple[TokenAlgorithm, bytes]:
    """A COSE_Key: EC2 with a compressed point (Y a boolean), or OKP."""
    algorithm = CURVES[key[KTY], key[CRV]]
    x = _bytes(key[X], 32, 32)
    if key[KTY] == OKP:
        if set(key) != {KTY, CRV, X}:
            raise ValueError("unknown key parameter")
        return algorithm, x
    if set(key) != {KTY, CRV, X, Y} or type(key[Y]) is not bool:
        raise ValueError("a point is given compressed")
    return algorithm, bytes((2 + key[Y],)) + x


def _holder(profile: dict[int, Any]) -> Holder:
    return Holder(
        age_from=_number(profile[AGE_FROM], 0, 130) if AGE_FROM in profile else None,
        residency=_text(profile[RESIDENCY], 6) if RESIDENCY in profile else None,
        student_until_ms=_number(profile[STUDENT_UNTIL]) * 1000 if STUDENT_UNTIL in profile else None,
    )


def _product(item: Any) -> HeldProduct:
    name, from_s, until_s = item
    return HeldProduct(product=_text(name), from_ms=_number(from_s) * 1000, until_ms=_number(until_s) * 1000)


def _status(item: Any) -> tuple[str, int]:
    name, index = item
    return _text(name), _number(index)


def _number(value: Any, low: int = 0, high: int = 1 << 40) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError("a number out of its range")
    return value


def _text(value: Any, longest: int = 32) -> str:
    if type(value) is not str or not 0 < len(value) <= longest or not value.isprintable():
        raise ValueError("not a short printable text")
    return value


def _bytes(value: Any, shortest: int, longest: int) -> bytes:
    if type(value) is not bytes or not shortest <= len(value) <= longest:
        raise ValueError("not so many bytes")
    return value


# --------------------------------------------------------------------------- when and where


def check_time(token: Token, claims: Claims, row: CardTokenIssuer, at: Instant) -> None:
    """The token's own life, then the freshness of this code."""
    if at.utc_s < claims.not_before_s:
        raise _Refused(Reason.NOT_YET_VALID)
    if at.utc_s > claims.expires_s or token.generated_s > claims.expires_s:
        raise _Refused(Reason.TOKEN_EXPIRED)
    if at.utc_s < token.generated_s - row.skew_s:
        raise _Refused(Reason.CODE_FROM_FUTURE)
    if at.utc_s > fresh_until_s(token, claims, row):
        raise _Refused(Reason.CODE_EXPIRED)


def fresh_until_s(token: Token, claims: Claims, row: CardTokenIssuer) -> int:
    """The last second the code may be taken."""
    return token.generated_s + min(claims.validity_s, row.clamp_s) + row.skew_s


def check_audience(claims: Claims, row: CardTokenIssuer) -> None:
    """A site that names audiences takes no token made for another."""
    if row.audiences and claims.audience not in row.audiences:
        raise _Refused(Reason.WRONG_AUDIENCE)


def _credential(
    token: Token, claims: Claims, row: CardTokenIssuer, parameters: ParameterSet, key_ids: tuple[str, ...]
) -> Credential:
    return Credential(
        format=NAME,
        medium=Medium.PHONE,
        issuer=claims.issuer,
        medium_refs=accounts.refs("tok", claims.subject, parameters),
        code_keys=accounts.refs("code", token.payload, parameters),
        twin_keys=accounts.refs("twin", claims.subject + token.generated_s.to_bytes(8), parameters),
        generated_ms=token.generated_s * 1000,
        fresh_until_ms=fresh_until_s(token, claims, row) * 1000 + 999,
        account_link=claims.account_link,
        holder=claims.holder,
        products=claims.products,
        status_index=claims.status,
        key_ids=key_ids,
    )


# --------------------------------------------------------------------------- explaining


def explain(payload: bytes, parameters: ParameterSet, at: Instant, state: State | None = None) -> Explanation:
    """Every field, and every check also after one has failed."""
    verified = verify(payload, parameters, at)
    verdict = "verified" if isinstance(verified, Credential) else verified.reason.value
    token: Token | None = None
    reason: Reason | None = None
    try:
        token = parse(binary(payload))
    except _Refused as refused:
        reason = refused.reason
    checks = [_result(1, "both layers in deterministic CBOR, headers understood", reason)]
    if token is None:
        return Explanation(format=NAME, checks=tuple(checks), verdict=verdict)
    row_claims: list[tuple[CardTokenIssuer, Claims]] = []
    checks.append(
        _asked(2, "issuer key known, alg its own, signature, claims", lambda: _open(token, parameters, row_claims))
    )
    row, claims = row_claims[0] if row_claims else (None, None)
    later = (
        ("holder key confirmed, alg its own, signature", lambda: check_holder(token, claims)),  # type: ignore[arg-type]
        ("within its life, and fresh", lambda: check_time(token, claims, row, at)),  # type: ignore[arg-type]
        ("made for this audience", lambda: check_audience(claims, row)),  # type: ignore[arg-type]
        ("not revoked or suspended", lambda: _check_status(claims, parameters)),  # type: ignore[arg-type]
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


def _open(token: Token, parameters: ParameterSet, found: list[tuple[CardTokenIssuer, Claims]]) -> None:
    found.append(open_claims(token, parameters))


def _check_status(claims: Claims, parameters: ParameterSet) -> None:
    reason = None if claims.status is None else status_refusal(parameters, *claims.status)
    if reason is not None:
        raise _Refused(reason)


def _asked(number: int, asks: str, ask: Any) -> CheckResult:
    try:
        ask()
    except _Refused as refused:
        return _result(number, asks, refused.reason)
    return _result(number, asks, None)


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
