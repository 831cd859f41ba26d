"""The checks of a card token, in one table (docs/card-token.md).

Laws of this file:
- One row, one question, one function that judges it, its own reasons. The order is the order of asking.
- Rows 1 to 13 need bytes, parameters and time; `verify` walks them and stops at the first refusal. Rows 14 to 17 need
  status, deny list or history: the service asks them through the functions named here; `terminal inspect` walks all.
- The issuer's key and suite are those of one lookup by `kid`; the phone's are those the issuer confirmed.
- What is claimed is shown also where a signature did not hold, and believed only where both did.
"""

from functools import cached_property

from terminal.core import token_status
from terminal.core.model import Credential, HeldProduct, Instant, Reason, Refusal, Verdict
from terminal.core.parameters import CardTokenIssuer, ParameterSet, Product
from terminal.core.tokens import card_token, signatures
from terminal.core.tokens.card_token import ALGORITHMS, Claims, Refused, Token
from terminal.core.tokens.explanation import (
    NOT_APPLICABLE,
    Check,
    Explanation,
    Field,
    Judged,
    State,
    not_blocked,
    not_too_soon,
    not_used,
    product_of,
    told,
    verdict_of,
)

KID_LONGEST = 16
SIGNATURE_BYTES = 64


class Examined:
    """A token under examination: cut apart and read at most once."""

    def __init__(self, payload: bytes, parameters: ParameterSet, at: Instant, state: State | None = None) -> None:
        self.parameters, self.at, self.state = parameters, at, state or State()
        self.unread: Reason | None = None  # why it could not be cut apart
        self._token: Token | None = None
        try:
            self._token = card_token.parse(card_token.binary(payload))
        except Refused as refused:
            self.unread = refused.reason

    @property
    def token(self) -> Token:
        """Both layers; only asked for once it was read."""
        assert self._token is not None
        return self._token

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The key that vouches for it."""
        return () if self.unread else (self.token.kid.hex(),)

    @cached_property
    def issuer(self) -> tuple[CardTokenIssuer, signatures.Key] | None:
        """The row and the parsed key of its `kid`, or None."""
        return _issuer(self.token.kid, self.parameters)

    @cached_property
    def claims(self) -> Claims | None:
        """What is claimed, if it is of the right shape; believed only after row 10."""
        try:
            return card_token.claims_of(self.token.claims)
        except Refused:
            return None

    def both(self) -> tuple[CardTokenIssuer, Claims] | None:
        """The issuer's row and the claims, where there are both."""
        return None if self.issuer is None or self.claims is None else (self.issuer[0], self.claims)

    def credential(self) -> Credential | None:
        """The claim, for the checks that look at lists and history."""
        both = self.both()
        return None if both is None else card_token.credential(self.token, both[1], both[0], self.parameters)

    def product(self, held: Credential) -> Product | None:
        """What the named service would charge."""
        return product_of(self.state, held, self.parameters, self.at)


def _issuer(kid: bytes, parameters: ParameterSet) -> tuple[CardTokenIssuer, signatures.Key] | None:
    """One lookup in what is kept with the parameter set; parsed the first time."""
    name = b"token issuer" + kid
    found: tuple[CardTokenIssuer, signatures.Key] | None = parameters.verified.get(name)
    if found is None and 0 < len(kid) <= KID_LONGEST:
        row = next((row for row in parameters.issuers.card_token if row.key_id == kid.hex()), None)
        if row is None:
            return None
        try:
            found = row, signatures.load(row.algorithm, bytes.fromhex(row.public_key))
        except signatures.InvalidKey:
            return None
        parameters.verified[name] = found
    return found


# --------------------------------------------------------------------------- 1 to 3: bytes


def shape(x: Examined) -> Judged:
    return x.unread if x.unread is Reason.MALFORMED else None


def canonical(x: Examined) -> Judged:
    if x.unread is Reason.MALFORMED:
        return NOT_APPLICABLE
    return x.unread if x.unread is Reason.NOT_CANONICAL else None


def headers(x: Examined) -> Judged:
    return NOT_APPLICABLE if x.unread in (Reason.MALFORMED, Reason.NOT_CANONICAL) else x.unread


# --------------------------------------------------------------------------- 4 to 10: who signed what


def issuer_key(x: Examined) -> Judged:
    return Reason.ISSUER_KEY_UNKNOWN if x.issuer is None else None


def issuer_algorithm(x: Examined) -> Judged:
    if x.issuer is None:
        return NOT_APPLICABLE
    return None if ALGORITHMS[x.issuer[0].algorithm] == x.token.issuer_alg else Reason.ALGORITHM_MISMATCH


def issuer_signature(x: Examined) -> Judged:
    if x.issuer is None:
        return NOT_APPLICABLE
    token = x.token
    return None if _holds(x.issuer[1], token.issuer_signature, token.issuer_signed) else Reason.ISSUER_SIGNATURE_BAD


def claims(x: Examined) -> Judged:
    return Reason.CLAIMS_MALFORMED if x.claims is None else None


def owner(x: Examined) -> Judged:
    both = x.both()
    if both is None:
        return NOT_APPLICABLE
    return None if both[0].issuer == both[1].issuer else Reason.ISSUER_NOT_ACCEPTED


def holder_algorithm(x: Examined) -> Judged:
    if x.claims is None:
        return NOT_APPLICABLE
    return None if ALGORITHMS[x.claims.holder_algorithm] == x.token.holder_alg else Reason.ALGORITHM_MISMATCH


def holder_signature(x: Examined) -> Judged:
    if x.claims is None:
        return NOT_APPLICABLE
    try:
        key = signatures.load(x.claims.holder_algorithm, x.claims.holder_key)
    except signatures.InvalidKey:
        return Reason.HOLDER_SIGNATURE_BAD
    return None if _holds(key, x.token.holder_signature, x.token.holder_signed) else Reason.HOLDER_SIGNATURE_BAD


def _holds(key: signatures.Key, signature: bytes, message: bytes) -> bool:
    return len(signature) == SIGNATURE_BYTES and key.verify(signature, message)


# --------------------------------------------------------------------------- 11 to 13: when and where


def alive(x: Examined) -> Judged:
    if x.claims is None:
        return NOT_APPLICABLE
    if x.at.utc_s < x.claims.not_before_s:
        return Reason.NOT_YET_VALID
    ended = x.at.utc_s > x.claims.expires_s or x.token.generated_s > x.claims.expires_s
    return Reason.TOKEN_EXPIRED if ended else None


def fresh(x: Examined) -> Judged:
    both = x.both()
    if both is None:
        return NOT_APPLICABLE
    row, claimed = both
    if x.at.utc_s < x.token.generated_s - row.skew_s:
        return Reason.CODE_FROM_FUTURE
    return None if x.at.utc_s <= card_token.fresh_until_s(x.token, claimed, row) else Reason.CODE_EXPIRED


def audience(x: Examined) -> Judged:
    both = x.both()
    if both is None:
        return NOT_APPLICABLE
    accepted = not both[0].audiences or both[1].audience in both[0].audiences
    return None if accepted else Reason.WRONG_AUDIENCE


# --------------------------------------------------------------------------- 14 to 17: lists and history


def on_status_list(x: Examined) -> Judged:
    if x.claims is None or x.claims.status is None:
        return NOT_APPLICABLE
    return token_status.refusal(x.parameters, *x.claims.status)


def blacklist(x: Examined) -> Judged:
    held = x.credential()
    return NOT_APPLICABLE if held is None else not_blocked(held, x.product(held), x.parameters)


def unused(x: Examined) -> Judged:
    held = x.credential()
    return NOT_APPLICABLE if held is None else not_used(held, x.state)


def late_enough(x: Examined) -> Judged:
    held = x.credential()
    return NOT_APPLICABLE if held is None else not_too_soon(held, x.product(held), x.state, x.at)


R = Reason
CHECKS: tuple[Check[Examined], ...] = (
    Check(1, "two signed layers, at most 1024 bytes", (R.MALFORMED,), shape, "card_token.parse"),
    Check(2, "every layer is deterministic CBOR", (R.NOT_CANONICAL,), canonical, "cbor.decode"),
    Check(3, "headers as specified, and no other", (R.HEADER_NOT_UNDERSTOOD,), headers, "card_token.parse"),
    Check(4, "issuer's key known by its kid", (R.ISSUER_KEY_UNKNOWN,), issuer_key, "issuer_key"),
    Check(5, "issuer's alg is its key's", (R.ALGORITHM_MISMATCH,), issuer_algorithm, "issuer_algorithm"),
    Check(6, "claims signed by the issuer", (R.ISSUER_SIGNATURE_BAD,), issuer_signature, "signatures.Key.verify"),
    Check(7, "claims of the right shape and range", (R.CLAIMS_MALFORMED,), claims, "card_token.claims_of"),
    Check(8, "iss is the key's owner", (R.ISSUER_NOT_ACCEPTED,), owner, "owner"),
    Check(9, "phone's alg is its key's", (R.ALGORITHM_MISMATCH,), holder_algorithm, "holder_algorithm"),
    Check(10, "code signed by the phone", (R.HOLDER_SIGNATURE_BAD,), holder_signature, "signatures.Key.verify"),
    Check(11, "within the token's life", (R.NOT_YET_VALID, R.TOKEN_EXPIRED), alive, "alive"),
    Check(12, "code fresh", (R.CODE_FROM_FUTURE, R.CODE_EXPIRED), fresh, "card_token.fresh_until_s"),
    Check(13, "made for this audience", (R.WRONG_AUDIENCE,), audience, "audience"),
    Check(
        14,
        "not revoked or suspended",
        (R.STATUS_REVOKED, R.STATUS_SUSPENDED, R.STATUS_UNKNOWN),
        on_status_list,
        "token_status.refusal",
    ),
    Check(15, "account not blocked", (R.BLOCKED, R.REPORTED_LOST), blacklist, "status.block_on"),
    Check(16, "code not used before", (R.CODE_USED,), unused, "history.used"),
    Check(17, "account not too soon again", (R.TOO_SOON,), late_enough, "history.too_soon"),
)
READING, BYTES_AND_TIME = CHECKS[:3], CHECKS[:13]


# --------------------------------------------------------------------------- the two walks


def verify(payload: bytes, parameters: ParameterSet, at: Instant) -> Credential | Refusal:
    """Rows 1 to 13; the first that fails is the reason."""
    return _verified(Examined(payload, parameters, at))


def _verified(x: Examined) -> Credential | Refusal:
    for check in BYTES_AND_TIME:
        reason = check.judge(x)
        if isinstance(reason, Reason):
            return Refusal(verdict=Verdict.DENY, reason=reason, format=card_token.NAME, key_ids=x.key_ids)
    held = x.credential()
    assert held is not None  # rows 4 and 7 passed
    return held


def explain(payload: bytes, parameters: ParameterSet, at: Instant, state: State | None = None) -> Explanation:
    """Every field and every check, also after one has failed."""
    x = Examined(payload, parameters, at, state)
    checks = tuple(told(row, row.judge(x) if row in READING or not x.unread else NOT_APPLICABLE) for row in CHECKS)
    verified = _verified(x)
    return Explanation(
        format=card_token.NAME,
        fields=() if x.unread else _fields(x.token, x.claims),
        checks=checks,
        verdict=verdict_of(checks),
        credential=verified if isinstance(verified, Credential) else None,
    )


def _held(product: HeldProduct) -> str:
    for_whom = "" if product.persons is None else f" for {product.persons}"
    return f"{product.product} {product.from_ms // 1000}–{product.until_ms // 1000}{for_whom}"


def _fields(token: Token, claims: Claims | None) -> tuple[Field, ...]:
    fields = [
        Field(name="kid", value=token.kid.hex()),
        Field(name="issuer alg", value=str(token.issuer_alg)),
        Field(name="holder alg", value=str(token.holder_alg)),
        Field(name="generated", value=str(token.generated_s)),
    ]
    if claims is not None:
        student_ms = claims.holder.student_until_ms
        fields += [
            Field(name="iss", value=claims.issuer),
            Field(name="sub", value=claims.subject.hex(), sensitive=True),
            Field(name="aud", value=claims.audience or "–"),
            Field(name="nbf", value=str(claims.not_before_s)),
            Field(name="exp", value=str(claims.expires_s)),
            Field(name="validity, s", value=str(claims.validity_s)),
            Field(name="account link", value=(claims.account_link or b"").hex(), sensitive=True),
            Field(name="age from", value=str(claims.holder.age_from or "–")),
            Field(name="student until", value="–" if student_ms is None else str(student_ms // 1000)),
            Field(name="residency", value=claims.holder.residency or "–"),
            Field(name="products", value=", ".join(map(_held, claims.products)) or "–"),
            Field(name="status", value="–" if claims.status is None else f"{claims.status[0]}[{claims.status[1]}]"),
        ]
    return tuple(fields)
