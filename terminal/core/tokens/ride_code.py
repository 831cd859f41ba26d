"""The ride code of JT/T 1179-2018: 17 fields, three SM2 signatures in a chain root → issuer → user.

Laws of this file:
- Every signature holds before any field is believed; the claimed (version, issuer) only selects the row of
  parameters under which the signatures are then demanded.
- The judging itself stands in one table, ride_code_checks.CHECKS; here are the bytes and what they mean.
- Byte layout: all big-endian; offsets of an empty custom field in brackets. Source: four public implementations and
  one written field table that agree; the text of the standard was not available.
"""

from terminal.core import accounts
from terminal.core.model import Credential, Holder, Medium, Ref, Value
from terminal.core.parameters import CustomField, IdRule, ParameterSet, RideCodeIssuer
from terminal.core.sm2 import DEFAULT_ID

NAME = "ride_code"
SHORTEST, LONGEST_CUSTOM = 332, 32
LINK_MARK = 0x4C  # our custom-field dialect: 4C ‖ account Ref


class Certificate(Value, frozen=True):
    """The 117-byte issuer certificate (field 3): a PBOC 3.0 SM2 certificate of format 12, compressed key."""

    data: bytes
    header: int
    service_id: bytes
    root_index: int
    format: int
    issuer: str  # 8 hexadecimal digits
    expiry: bytes  # MMYY in BCD
    serial: bytes
    algorithms: bytes  # signature, encryption, curve, key length: 04 04 00 21
    public_key: bytes  # 33 bytes, compressed
    signature: bytes  # r ‖ s by the root, without a mark

    @property
    def signed(self) -> bytes:
        """What the root signed: certificate fields 4 to 12."""
        return self.data[6:53]

    @property
    def month(self) -> tuple[int, int] | None:
        """(year, month) of the expiry, or None where the BCD names no month."""
        digits = self.expiry.hex()
        if not digits.isdecimal() or not 1 <= int(digits[:2]) <= 12:
            return None
        return 2000 + int(digits[2:]), int(digits[:2])


class RideCode(Value, frozen=True):
    """One code, cut into its fields."""

    data: bytes
    version: int  # 1
    length: int  # 2: of fields 3 to 17
    certificate: Certificate  # 3
    payment_account: bytes  # 4, 16 bytes
    account: bytes  # 5, 10 bytes BCD: the transit number
    issuer: str  # 6
    platform: str  # 7
    card_type: str  # 8
    ceiling_fen: int  # 9, three bytes
    user_key: bytes  # 10, compressed
    authorised_until_s: int  # 11
    validity_s: int  # 12
    custom: bytes  # 14; its length is field 13
    issuer_signature: bytes  # 15: 15 ‖ r ‖ s
    generated_s: int  # 16
    user_signature: bytes  # 17: 15 ‖ r ‖ s

    @property
    def issuer_signed(self) -> bytes:
        """Fields 3 to 14: not the version, not the length."""
        return self.data[3 : 198 + len(self.custom)]

    @property
    def user_signed(self) -> bytes:
        """Fields 1 to 16."""
        return self.data[:-65]


def recognise(payload: bytes) -> bool:
    """Whether these bytes claim to be a ride code: a version from 80 on, then the certificate or the right length."""
    if len(payload) < 4 or payload[0] < 0x80:
        return False
    return payload[3] == 0x24 or int.from_bytes(payload[1:3]) == len(payload) - 3


def parse(data: bytes) -> RideCode | None:
    """Cut a code into its fields, or None where its lengths do not fit together."""
    if not SHORTEST <= len(data) <= SHORTEST + LONGEST_CUSTOM:
        return None
    custom = len(data) - SHORTEST
    if data[197] != custom or int.from_bytes(data[1:3]) != len(data) - 3:
        return None
    end = 198 + custom
    return RideCode(
        data=data,
        version=data[0],
        length=int.from_bytes(data[1:3]),
        certificate=parse_certificate(data[3:120]),
        payment_account=data[120:136],
        account=data[136:146],
        issuer=data[146:150].hex(),
        platform=data[150:154].hex(),
        card_type=data[154:155].hex(),
        ceiling_fen=int.from_bytes(data[155:158]),
        user_key=data[158:191],
        authorised_until_s=int.from_bytes(data[191:195]),
        validity_s=int.from_bytes(data[195:197]),
        custom=data[198:end],
        issuer_signature=data[end : end + 65],
        generated_s=int.from_bytes(data[end + 65 : end + 69]),
        user_signature=data[end + 69 :],
    )


def parse_certificate(data: bytes) -> Certificate:
    """Cut the 117 bytes of a certificate into its fields."""
    return Certificate(
        data=data,
        header=data[0],
        service_id=data[1:5],
        root_index=data[5],
        format=data[6],
        issuer=data[7:11].hex(),
        expiry=data[11:13],
        serial=data[13:16],
        algorithms=data[16:20],
        public_key=data[20:53],
        signature=data[53:117],
    )


def row_for(code: RideCode, parameters: ParameterSet) -> RideCodeIssuer | None:
    """The row of parameters for the claimed (version, issuer), or None."""
    for row in parameters.issuers.ride_code:
        if code.version in row.versions and row.issuer == code.issuer:
            return row
    return None


def user_ids(code: RideCode, rule: IdRule) -> tuple[bytes, bytes, bytes]:
    """The SM2 user IDs of certificate, issuer signature and user signature under one rule."""
    if rule is IdRule.DEFAULT:
        return DEFAULT_ID, DEFAULT_ID, DEFAULT_ID
    certificate = code.certificate
    return (
        certificate.service_id + bytes((certificate.root_index,)),
        bytes.fromhex(code.issuer + code.platform),
        code.account,
    )


def fresh_from_s(code: RideCode, row: RideCodeIssuer) -> int:
    """The first second the code may be taken."""
    return code.generated_s - row.skew_s


def fresh_until_s(code: RideCode, row: RideCodeIssuer) -> int:
    """The last second the code may be taken: the issuer's validity, clamped by ours, and the skew."""
    return code.generated_s + min(code.validity_s, row.clamp_s) + row.skew_s


def account_link(code: RideCode, row: RideCodeIssuer) -> Ref | None:
    """The account an issuer of our dialect linked this medium to."""
    linked = (
        row.custom_field is CustomField.ACCOUNT_LINK
        and len(code.custom) == 1 + accounts.REF_BYTES
        and code.custom[0] == LINK_MARK
    )
    return Ref(code.custom[1:]) if linked else None


def credential(code: RideCode, row: RideCodeIssuer, parameters: ParameterSet, key_ids: tuple[str, ...]) -> Credential:
    """What a verified code claims."""
    return Credential(
        format=NAME,
        medium=Medium.CODE,
        issuer=code.issuer,
        medium_refs=accounts.refs("tu", code.account, parameters),
        account_link=account_link(code, row),
        code_keys=accounts.refs("code", code.data, parameters),
        twin_keys=accounts.refs("twin", code.account + code.generated_s.to_bytes(4), parameters),
        generated_ms=code.generated_s * 1000,
        fresh_until_ms=fresh_until_s(code, row) * 1000 + 999,
        holder=Holder(card_type=code.card_type),
        ceiling_fen=code.ceiling_fen,
        key_ids=key_ids,
    )
