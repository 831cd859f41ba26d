"""The eighteen checks of a ride code, in one table.

Laws of this file:
- One row, one question, one function that judges it, its own reason. The order is the order of asking.
- A check returns its reason, None for a pass, or NOT_APPLICABLE where what it needs is not there.
- Rows 1 to 14 need bytes, parameters and time; `verify` walks them and stops at the first refusal.
  Rows 15 to 18 need fare, deny list or history: the service asks them through the functions named here, and
  `terminal inspect` walks all eighteen.
"""

from terminal.core.model import Credential, Instant, Reason, Refusal, Verdict
from terminal.core.parameters import ParameterSet, Product, RideCodeIssuer
from terminal.core.services import pricing
from terminal.core.sm2 import InvalidKey, PublicKey
from terminal.core.time import month_end_ms
from terminal.core.tokens import ride_code
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
from terminal.core.tokens.ride_code import RideCode

MARK = 0x15  # before r ‖ s in fields 15 and 17
VERIFIED_LIMIT = 256  # issuer certificates and keys kept for one parameter set


class Examined:
    """A code under examination: parsed at most once, keys loaded at most once."""

    def __init__(
        self, code: RideCode | None, parameters: ParameterSet, at: Instant, state: State | None = None
    ) -> None:
        self._code = code
        self.parameters = parameters
        self.at = at
        self.state = state or State()
        self._row = None if code is None else ride_code.row_for(code, parameters)

    @property
    def whole(self) -> bool:
        """Whether there are fields to look at."""
        return self._code is not None

    @property
    def known(self) -> bool:
        """Whether there is a row of parameters for it."""
        return self._row is not None

    @property
    def code(self) -> RideCode:
        """The parsed code; only asked for once `whole`."""
        assert self._code is not None
        return self._code

    @property
    def row(self) -> RideCodeIssuer:
        """Its row of parameters; only asked for once `known`."""
        assert self._row is not None
        return self._row

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The keys that vouch for it: root index and certificate serial."""
        if self._code is None:
            return ()
        certificate = self._code.certificate
        return (f"root {certificate.root_index:02x}", f"certificate {certificate.issuer}/{certificate.serial.hex()}")

    def root_key(self) -> PublicKey | None:
        """The root key of this row and index, or None."""
        point = self.row.roots.get(f"{self.code.certificate.root_index:02x}")
        return None if point is None else _key(bytes.fromhex(point), self.parameters)

    def credential(self) -> Credential:
        """The claim, for the checks that look at history; believed only after row 11."""
        return ride_code.credential(self.code, self.row, self.parameters, self.key_ids)

    def product(self) -> Product | None:
        """What the named service would charge, if a service is named."""
        return product_of(self.state, self.credential(), self.parameters, self.at) if self.known else None


# --------------------------------------------------------------------------- 1 to 14: bytes, parameters, time


def length(x: Examined) -> Judged:
    return None if x.whole else Reason.LENGTH_WRONG


def version(x: Examined) -> Judged:
    allowed = any(x.code.version in row.versions for row in x.parameters.issuers.ride_code)
    return None if allowed else Reason.VERSION_NOT_ALLOWED


def certificate_form(x: Examined) -> Judged:
    certificate = x.code.certificate
    formed = (
        certificate.header == 0x24
        and certificate.format == 0x12
        and certificate.algorithms == b"\x04\x04\x00\x21"
        and certificate.month is not None
    )
    return None if formed else Reason.CERTIFICATE_MALFORMED


def root_key(x: Examined) -> Judged:
    if not x.known:
        return NOT_APPLICABLE
    return None if x.root_key() is not None else Reason.ROOT_KEY_UNKNOWN


def certificate_signature(x: Examined) -> Judged:
    root = x.root_key() if x.known else None
    if root is None:
        return NOT_APPLICABLE
    certificate, (user_id, _, _) = x.code.certificate, ride_code.user_ids(x.code, x.row.id_rule)
    name = b"certificate" + user_id + certificate.data
    verified = x.parameters.verified
    if name not in verified:
        if not root.verify(certificate.signature, certificate.signed, user_id):
            return Reason.CERTIFICATE_SIGNATURE_BAD
        _keep(verified, name, True)
    return None


def certificate_month(x: Examined) -> Judged:
    month = x.code.certificate.month
    if month is None or not x.known:
        return NOT_APPLICABLE
    ends_ms = month_end_ms(month[1], month[0], x.row.utc_offset_minutes)
    return None if x.at.utc_ms <= ends_ms else Reason.CERTIFICATE_EXPIRED


def certificate_issuer(x: Examined) -> Judged:
    if x.known and x.row.certificate_issuer_may_differ:
        return None
    return None if x.code.certificate.issuer == x.code.issuer else Reason.CERTIFICATE_ISSUER_MISMATCH


def white_list(x: Examined) -> Judged:
    accepted = x.known and x.code.platform in x.row.platforms
    return None if accepted else Reason.ISSUER_NOT_ACCEPTED


def marks(x: Examined) -> Judged:
    marked = x.code.issuer_signature[0] == MARK and x.code.user_signature[0] == MARK
    return None if marked else Reason.SIGNATURE_MARK_WRONG


def issuer_signature(x: Examined) -> Judged:
    if not x.known:
        return NOT_APPLICABLE
    _, user_id, _ = ride_code.user_ids(x.code, x.row.id_rule)
    key = _key(x.code.certificate.public_key, x.parameters)
    held = key is not None and key.verify(x.code.issuer_signature[1:], x.code.issuer_signed, user_id)
    return None if held else Reason.ISSUER_SIGNATURE_BAD


def user_signature(x: Examined) -> Judged:
    if not x.known:
        return NOT_APPLICABLE
    _, _, user_id = ride_code.user_ids(x.code, x.row.id_rule)
    try:
        held = PublicKey(x.code.user_key).verify(x.code.user_signature[1:], x.code.user_signed, user_id)
    except InvalidKey:
        held = False
    return None if held else Reason.HOLDER_SIGNATURE_BAD


def authorised(x: Examined) -> Judged:
    return None if x.at.utc_s <= x.code.authorised_until_s else Reason.AUTHORISATION_EXPIRED


def generated_while_authorised(x: Examined) -> Judged:
    late = x.code.generated_s > x.code.authorised_until_s
    return Reason.GENERATED_AFTER_AUTHORISATION if late else None


def fresh(x: Examined) -> Judged:
    if not x.known:
        return NOT_APPLICABLE
    if x.at.utc_s < ride_code.fresh_from_s(x.code, x.row):
        return Reason.CODE_FROM_FUTURE
    return None if x.at.utc_s <= ride_code.fresh_until_s(x.code, x.row) else Reason.CODE_EXPIRED


# --------------------------------------------------------------------------- 15 to 18: fare, status, history


def ceiling(x: Examined) -> Judged:
    product = x.product()
    if product is None:
        return NOT_APPLICABLE
    return Reason.OVER_CEILING if pricing.over_ceiling(product.fare_fen, x.code.ceiling_fen) else None


def blacklist(x: Examined) -> Judged:
    return not_blocked(x.credential(), x.product(), x.parameters) if x.known else NOT_APPLICABLE


def unused(x: Examined) -> Judged:
    return not_used(x.credential(), x.state) if x.known else NOT_APPLICABLE


def late_enough(x: Examined) -> Judged:
    return not_too_soon(x.credential(), x.product(), x.state, x.at) if x.known else NOT_APPLICABLE


R = Reason
CHECKS: tuple[Check[Examined], ...] = (
    Check(1, "length 332 to 364, and field 2 is total − 3", (R.LENGTH_WRONG,), length, "ride_code.parse"),
    Check(2, "version allowed", (R.VERSION_NOT_ALLOWED,), version, "version"),
    Check(
        3, "certificate header, format, algorithms", (R.CERTIFICATE_MALFORMED,), certificate_form, "certificate_form"
    ),
    Check(4, "root key present for (version, index)", (R.ROOT_KEY_UNKNOWN,), root_key, "root_key"),
    Check(5, "certificate signed by the root", (R.CERTIFICATE_SIGNATURE_BAD,), certificate_signature, "sm2.verify"),
    Check(6, "certificate month not past", (R.CERTIFICATE_EXPIRED,), certificate_month, "time.month_end_ms"),
    Check(
        7, "certificate issuer is field 6", (R.CERTIFICATE_ISSUER_MISMATCH,), certificate_issuer, "certificate_issuer"
    ),
    Check(8, "issuer and platform on the white list", (R.ISSUER_NOT_ACCEPTED,), white_list, "white_list"),
    Check(9, "both signatures begin with 15", (R.SIGNATURE_MARK_WRONG,), marks, "marks"),
    Check(10, "field 15 signed by the issuer", (R.ISSUER_SIGNATURE_BAD,), issuer_signature, "sm2.verify"),
    Check(11, "field 17 signed by the user", (R.HOLDER_SIGNATURE_BAD,), user_signature, "sm2.verify"),
    Check(12, "now not after field 11", (R.AUTHORISATION_EXPIRED,), authorised, "authorised"),
    Check(
        13,
        "field 16 not after field 11",
        (R.GENERATED_AFTER_AUTHORISATION,),
        generated_while_authorised,
        "generated_while_authorised",
    ),
    Check(
        14, "now within field 12 of field 16", (R.CODE_EXPIRED, R.CODE_FROM_FUTURE), fresh, "ride_code.fresh_until_s"
    ),
    Check(15, "fare within field 9", (R.OVER_CEILING,), ceiling, "services.pricing.over_ceiling"),
    Check(16, "account not blocked", (R.BLOCKED, R.REPORTED_LOST), blacklist, "status.block_on"),
    Check(17, "code not used before", (R.CODE_USED,), unused, "history.used"),
    Check(18, "account not too soon again", (R.TOO_SOON,), late_enough, "history.too_soon"),
)
BYTES_AND_TIME = CHECKS[:14]


# --------------------------------------------------------------------------- the two walks


def verify(payload: bytes, parameters: ParameterSet, at: Instant) -> Credential | Refusal:
    """Rows 1 to 14; the first that fails is the reason."""
    examined = Examined(ride_code.parse(payload), parameters, at)
    for check in BYTES_AND_TIME:
        reason = check.judge(examined)
        if isinstance(reason, Reason):
            return Refusal(verdict=Verdict.DENY, reason=reason, format=ride_code.NAME, key_ids=examined.key_ids)
    return examined.credential()


def explain(payload: bytes, parameters: ParameterSet, at: Instant, state: State | None = None) -> Explanation:
    """Every field and every check, also after one has failed."""
    x = Examined(ride_code.parse(payload), parameters, at, state)
    checks = tuple(told(row, row.judge(x) if x.whole or row.number == 1 else NOT_APPLICABLE) for row in CHECKS)
    verified = verify(payload, parameters, at)
    return Explanation(
        format=ride_code.NAME,
        fields=_fields(x.code) if x.whole else (),
        checks=checks,
        verdict=verdict_of(checks),
        credential=verified if isinstance(verified, Credential) else None,
    )


def _fields(code: RideCode) -> tuple[Field, ...]:
    certificate = code.certificate
    return (
        Field(name="1 version", value=f"{code.version:02x}"),
        Field(name="2 data length", value=str(code.length)),
        Field(name="3 certificate root index", value=f"{certificate.root_index:02x}"),
        Field(name="3 certificate issuer", value=certificate.issuer),
        Field(name="3 certificate expiry MMYY", value=certificate.expiry.hex()),
        Field(name="3 certificate serial", value=certificate.serial.hex()),
        Field(name="3 certificate issuer key", value=certificate.public_key.hex()),
        Field(name="4 payment account", value=code.payment_account.hex(), sensitive=True),
        Field(name="5 transit account", value=code.account.hex(), sensitive=True),
        Field(name="6 issuer", value=code.issuer),
        Field(name="7 platform", value=code.platform),
        Field(name="8 card type", value=code.card_type),
        Field(name="9 ceiling, fen", value=str(code.ceiling_fen)),
        Field(name="10 user key", value=code.user_key.hex(), sensitive=True),
        Field(name="11 authorised until", value=str(code.authorised_until_s)),
        Field(name="12 validity, s", value=str(code.validity_s)),
        Field(name="13 custom length", value=str(len(code.custom))),
        Field(name="14 custom", value=code.custom.hex(), sensitive=True),
        Field(name="15 issuer signature", value=code.issuer_signature.hex(), sensitive=True),
        Field(name="16 generated", value=str(code.generated_s)),
        Field(name="17 user signature", value=code.user_signature.hex(), sensitive=True),
    )


def _key(point: bytes, parameters: ParameterSet) -> PublicKey | None:
    """A root's or issuer's parsed key, kept with the parameter set; None where the point is none."""
    kept: PublicKey | None = parameters.verified.get(point)
    if kept is None:
        try:
            kept = PublicKey(point)
        except InvalidKey:
            return None
        _keep(parameters.verified, point, kept)
    return kept


def _keep(verified: dict[bytes, object], name: bytes, value: object) -> None:
    if len(verified) >= VERIFIED_LIMIT:
        verified.clear()
    verified[name] = value
