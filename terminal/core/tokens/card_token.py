"""The card token: our profile of a city token bound to a social security account (docs/card-token.md).

Laws of this file:
- Two COSE_Sign1 (RFC 9052), one in the other: the issuer's over the claims, the holder's phone's over
  (issuer's token, generation time). The holder's key is the one the issuer confirmed in `cnf`.
- Deterministic CBOR only, at every level; protected headers hold `alg` and, inside, `kid`, and nothing else;
  unprotected maps are empty.
- `alg` is compared with the key's own suite; it never chooses one.
- Cut apart and read here, judged in card_token_checks.py: no claim is believed before both signatures held. The
  validity is the issuer's word, clamped by ours.
- The name of one use is what was signed, not the signature: a second signature of the same bytes is the same use.
"""

import functools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from terminal.core import accounts, cbor
from terminal.core.model import MOST_PERSONS, Credential, HeldProduct, Holder, Medium, Reason, Ref, Value
from terminal.core.parameters import CardTokenIssuer, ParameterSet, TokenAlgorithm
from terminal.core.tokens import base45

NAME = "card_token"
TEXT_MARK = b"OC1:"  # before the base45 form
TAG = 0xD2  # CBOR tag 18: COSE_Sign1
LONGEST = 1024  # bytes; a QR code of version 15-M holds 412

# COSE header labels and algorithms (RFC 9052, 9053); SM2 has none, ours is of the private-use range.
ALG, KID = 1, 4
ALGORITHMS = {TokenAlgorithm.ES256: -7, TokenAlgorithm.EDDSA: -8, TokenAlgorithm.SM2: -65537}
# CWT claims (RFC 8392, 8747) and our one private claim, a map.
ISS, SUB, AUD, EXP, NBF, CNF, PROFILE = 1, 2, 3, 4, 5, 8, -65538
# Members of the private claim.
LINK, AGE_FROM, RESIDENCY, STUDENT_UNTIL, PRODUCTS, VALIDITY, STATUS = 1, 2, 3, 4, 5, 6, 7
# COSE_Key parameters and values (RFC 9053; the SM2 curve is of the private-use range).
KTY, CRV, X, Y, OKP, EC2 = 1, -1, -2, -3, 1, 2
CLAIMS, MAY_CLAIM = frozenset({ISS, SUB, EXP, NBF, CNF, PROFILE}), frozenset({AUD})
MEMBERS, MAY_MEMBER = frozenset({VALIDITY}), frozenset({LINK, AGE_FROM, RESIDENCY, STUDENT_UNTIL, PRODUCTS, STATUS})
CONFIRMATION, KEY_PARAMETERS = frozenset({1}), frozenset({KTY, CRV, X})
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
    claims: Any  # decoded, of any shape


class Refused(Exception):
    """The first reason against a token; only raised inside this package."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


def recognise(payload: bytes) -> bool:
    """Whether these bytes claim to be a card token: tag 18 and an array of four, or the text mark."""
    return payload[:2] == bytes((TAG, 0x84)) or payload.startswith(TEXT_MARK)


# --------------------------------------------------------------------------- bytes


def binary(payload: bytes) -> bytes:
    """The binary form of either form."""
    if not payload.startswith(TEXT_MARK):
        return payload
    data = base45.decode(payload[len(TEXT_MARK) :])
    if data is None:
        raise Refused(Reason.MALFORMED)
    return data


def parse(data: bytes) -> Token:
    """Cut both layers apart; only the shape is checked."""
    if data[:1] != bytes((TAG,)) or len(data) > LONGEST:
        raise Refused(Reason.MALFORMED)
    outer_protected, outer_payload, outer_signature = _layer(data[1:])
    outer = _headers(outer_protected, frozenset({ALG}))
    match _decode(outer_payload):
        case [bytes(inner), int(generated_s)] if _is_number(generated_s):
            pass
        case _:
            raise Refused(Reason.MALFORMED)
    protected, claims, signature = _layer(inner)
    headers = _headers(protected, frozenset({ALG, KID}))
    kid = headers[KID] if type(headers[KID]) is bytes else b""  # no key has that name
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
        claims=_decode(claims),
    )


def _layer(data: bytes) -> tuple[bytes, bytes, bytes]:
    """protected, payload and signature of one COSE_Sign1."""
    match _decode(data):
        case [bytes(protected), dict(unprotected), bytes(payload), bytes(signature)]:
            if unprotected:
                raise Refused(Reason.HEADER_NOT_UNDERSTOOD)
            return protected, payload, signature
    raise Refused(Reason.MALFORMED)


@functools.lru_cache(maxsize=256)  # an issuer writes the same few bytes into all its tokens
def _headers(protected: bytes, expected: frozenset[int]) -> Mapping[Any, Any]:
    """The protected map: exactly the labels we understand, so that nothing critical is passed over."""
    headers = _decode(protected)
    if not isinstance(headers, dict) or set(headers) != expected or type(headers[ALG]) is not int:
        raise Refused(Reason.HEADER_NOT_UNDERSTOOD)
    return MappingProxyType(headers)


def _decode(data: bytes) -> Any:
    try:
        return cbor.decode(data, LONGEST)
    except cbor.NotDeterministic as error:
        raise Refused(Reason.NOT_CANONICAL) from error


def _sig_structure(protected: bytes, payload: bytes) -> bytes:
    """RFC 9052, 4.4, without external data."""
    return cbor.encode(["Signature1", protected, b"", payload])


# --------------------------------------------------------------------------- what is claimed


def claims_of(raw: Any) -> Claims:
    """Claims of the right shape and range. Raises Refused, CLAIMS_MALFORMED."""
    try:
        raw = _map(raw, CLAIMS, MAY_CLAIM)
        profile = _map(raw[PROFILE], MEMBERS, MAY_MEMBER)
        algorithm, key = _holder_key(_map(raw[CNF], CONFIRMATION)[1])
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
            products=tuple(_product(item) for item in _array(profile.get(PRODUCTS, []))),
            status=_status(profile[STATUS]) if STATUS in profile else None,
        )
    except ValueError as error:
        raise Refused(Reason.CLAIMS_MALFORMED) from error
    if claims.expires_s <= claims.not_before_s:
        raise Refused(Reason.CLAIMS_MALFORMED)
    return claims


def _holder_key(key: Any) -> tuple[TokenAlgorithm, bytes]:
    """A COSE_Key: EC2 with a compressed point (Y a boolean), or OKP."""
    key = _map(key, KEY_PARAMETERS, frozenset({Y}))
    kind, curve, x = key[KTY], key[CRV], _bytes(key[X], 32, 32)
    algorithm = CURVES.get((kind, curve)) if type(kind) is int and type(curve) is int else None
    if algorithm is None:
        raise ValueError("a curve not understood")
    if kind == OKP and Y not in key:
        return algorithm, x
    if kind == OKP or type(odd := key.get(Y)) is not bool:
        raise ValueError("a point is given compressed")
    return algorithm, bytes((2 + odd,)) + x


def _holder(profile: dict[int, Any]) -> Holder:
    return Holder(
        age_from=_number(profile[AGE_FROM], 0, 130) if AGE_FROM in profile else None,
        residency=_text(profile[RESIDENCY], 6) if RESIDENCY in profile else None,
        student_until_ms=_number(profile[STUDENT_UNTIL]) * 1000 if STUDENT_UNTIL in profile else None,
    )


def _product(item: Any) -> HeldProduct:
    name, from_s, until_s, *more = _array(item)
    return HeldProduct(
        product=_text(name),
        from_ms=_number(from_s) * 1000,
        until_ms=_number(until_s) * 1000,
        persons=_number(_array(more, 1)[0], 1, MOST_PERSONS) if more else None,
    )


def _status(item: Any) -> tuple[str, int]:
    name, index = _array(item, 2)
    return _text(name), _number(index)


def _map(value: Any, needs: frozenset[int], may: frozenset[int] = frozenset()) -> dict[int, Any]:
    """A map with all labels of `needs`, perhaps some of `may`, and no other."""
    if type(value) is not dict or not needs <= value.keys() <= needs | may:
        raise ValueError("not a map of the labels that are understood")
    return value


def _array(value: Any, size: int | None = None) -> list[Any]:
    if type(value) is not list or (size is not None and len(value) != size):
        raise ValueError("not an array of so many")
    return value


def _is_number(value: Any, low: int = 0, high: int = 1 << 40) -> bool:
    return type(value) is int and low <= value <= high


def _number(value: Any, low: int = 0, high: int = 1 << 40) -> int:
    if not _is_number(value, low, high):
        raise ValueError("a number out of its range")
    return int(value)


def _text(value: Any, longest: int = 32) -> str:
    if type(value) is not str or not 0 < len(value) <= longest or not value.isprintable():
        raise ValueError("not a short printable text")
    return value


def _bytes(value: Any, shortest: int, longest: int) -> bytes:
    if type(value) is not bytes or not shortest <= len(value) <= longest:
        raise ValueError("not so many bytes")
    return value


# --------------------------------------------------------------------------- the claim


def fresh_until_s(token: Token, claims: Claims, row: CardTokenIssuer) -> int:
    """The last second the code may be taken."""
    return token.generated_s + min(claims.validity_s, row.clamp_s) + row.skew_s


def credential(token: Token, claims: Claims, row: CardTokenIssuer, parameters: ParameterSet) -> Credential:
    """What a lane's service is asked about, once every signature held."""
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
        key_ids=(token.kid.hex(),),
    )
