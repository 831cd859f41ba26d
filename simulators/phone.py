"""A phone with a ride code: good ones, and every bad one the tests can name.

Laws of this file:
- Fields 1 to 15 come from the issuer as one authorisation and are kept; the phone adds 16 and 17 each time.
- A fault is a named way of doing one thing wrong while everything else stays right: FAULTS is the whole list.
- Offsets are written from the field table, not from the terminal's parser.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from simulators.issuer import DEFAULT_ID, Issuer, SigningKey, demo_issuer
from terminal.core.parameters import IdRule

AUTHORISATION_S = 7 * 86400
N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123


@dataclass
class Phone:
    """One holder's phone."""

    name: str = "commuter"
    issuer: Issuer = field(default_factory=demo_issuer)
    version: int = 0x80
    card_type: str = "00"
    ceiling_fen: int = 2000
    validity_s: int = 60
    account_link: bytes | None = None  # 17 bytes: the account its issuer linked it to
    custom: bytes | None = None
    authorised_from_s: int | None = None
    _authorised: dict[int, bytes] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.key = SigningKey.named(self.issuer.seed, f"user {self.name}")

    @property
    def account(self) -> bytes:
        """Field 5: 19 digits and F, made from the name; belongs to nobody."""
        number = int.from_bytes(self.name.encode()[:32].rjust(8, b"\0")) % 10**10
        return bytes.fromhex(f"310487000{number:010d}f")

    def code(self, at_s: int, again: int = 0) -> bytes:
        """A code generated at `at_s` (Unix seconds). `again`: another signature of the same second."""
        return self.sign(self.authorisation(at_s) + at_s.to_bytes(4), again=again)

    def sign(self, unsigned: bytes, key: SigningKey | None = None, again: int = 0) -> bytes:
        """Append field 17 over fields 1 to 16."""
        user_id = DEFAULT_ID if self.issuer.id_rule is IdRule.DEFAULT else self.account
        return unsigned + b"\x15" + (key or self.key).sign(unsigned, user_id, again)

    def authorisation(self, at_s: int) -> bytes:
        """Fields 1 to 15, valid for the week that holds `at_s`."""
        began = self.authorised_from_s if self.authorised_from_s is not None else at_s // 86400 * 86400
        if began not in self._authorised:
            self._authorised = {began: self.authorise(began + AUTHORISATION_S)}
        return self._authorised[began]

    def authorise(self, until_s: int, certificate: bytes | None = None, issuer_key: SigningKey | None = None) -> bytes:
        """Fields 1 to 15, signed by the issuer, or by whoever is named."""
        custom = self.custom if self.custom is not None else b"\x4c" + self.account_link if self.account_link else b""
        fields = (
            (certificate or self.issuer.certificate)
            + b"PAY"
            + self.name.encode()[:13].rjust(13, b"0")
            + self.account
            + bytes.fromhex(self.issuer.number + self.issuer.platform + self.card_type)
            + self.ceiling_fen.to_bytes(3)
            + self.key.public
            + until_s.to_bytes(4)
            + self.validity_s.to_bytes(2)
            + bytes((len(custom),))
            + custom
        )
        head = bytes((self.version,)) + (len(fields) + 65 + 4 + 65).to_bytes(2)
        return head + fields + self.issuer.sign(fields, issuer_key)


# --------------------------------------------------------------------------- what can be wrong

Fault = Callable[[Phone, int], bytes]


def _changed(offset: int, value: bytes) -> Fault:
    """Overwrite bytes of a good code and sign nothing again."""

    def fault(phone: Phone, at_s: int) -> bytes:
        code = bytearray(phone.code(at_s))
        code[offset : offset + len(value)] = value
        return bytes(code)

    return fault


def _phone(**changes: object) -> Fault:
    """A phone that differs in one respect, with everything properly signed."""
    return lambda phone, at_s: replace(phone, _authorised={}, **changes).code(at_s)  # type: ignore[arg-type]


def _resigned(offset: int, value: bytes) -> Fault:
    """Change bytes of fields 1 to 16 and let the phone, but not the issuer, sign them."""

    def fault(phone: Phone, at_s: int) -> bytes:
        unsigned = bytearray(phone.code(at_s)[:-65])
        unsigned[offset : offset + len(value)] = value
        return phone.sign(bytes(unsigned))

    return fault


def _issuer(**changes: object) -> Fault:
    """The code of an issuer that differs in one respect."""
    return lambda phone, at_s: replace(phone, _authorised={}, issuer=replace(phone.issuer, **changes)).code(at_s)  # type: ignore[arg-type]


def _self_signed(phone: Phone, at_s: int) -> bytes:
    """A certificate signed with the key inside the same certificate."""
    forger = SigningKey.named(phone.issuer.seed, "forger")
    certificate = phone.issuer.certify(forger, forger)
    return phone.sign(phone.authorise(at_s + AUTHORISATION_S, certificate, forger) + at_s.to_bytes(4))


def _forged_issuer(phone: Phone, at_s: int) -> bytes:
    """The right certificate, but field 15 by somebody else."""
    forger = SigningKey.named(phone.issuer.seed, "forger")
    return phone.sign(phone.authorise(at_s + AUTHORISATION_S, None, forger) + at_s.to_bytes(4))


def _forged_user(phone: Phone, at_s: int) -> bytes:
    """A copied authorisation, field 17 by another phone."""
    forger = SigningKey.named(phone.issuer.seed, "forger")
    return phone.sign(phone.authorisation(at_s) + at_s.to_bytes(4), forger)


def _twin(phone: Phone, at_s: int) -> bytes:
    """(r, n − s): valid for ECDSA, never for SM2."""
    code = phone.code(at_s)
    return code[:-32] + (N - int.from_bytes(code[-32:])).to_bytes(32)


def _after_authorisation(phone: Phone, at_s: int) -> bytes:
    """Generated after its authorisation ended, on a phone whose clock is a little ahead."""
    return phone.sign(phone.authorise(at_s + 2) + (at_s + 5).to_bytes(4))


def _swapped(phone: Phone, at_s: int) -> bytes:
    """A local dialect: issuer signature before the custom field."""
    whole = replace(phone, custom=b"\x01" * 8, _authorised={}).authorisation(at_s)
    end = len(whole) - 65
    return phone.sign(whole[: end - 8] + whole[end:] + whole[end - 8 : end] + at_s.to_bytes(4))


FAULTS: dict[str, Fault] = {
    "self-signed certificate": _self_signed,
    "forged issuer signature": _forged_issuer,
    "forged user signature": _forged_user,
    "negated s": _twin,
    "expired code": lambda phone, at_s: phone.code(at_s - 600),
    "code from the future": lambda phone, at_s: phone.code(at_s + 60),
    "eight hours early": lambda phone, at_s: phone.code(at_s - 8 * 3600),
    "eight hours late": lambda phone, at_s: phone.code(at_s + 8 * 3600),
    "epoch of the year 2000": lambda phone, at_s: phone.code(at_s - 946_656_000),
    "authorisation expired": lambda phone, at_s: phone.sign(phone.authorise(at_s - 3600) + at_s.to_bytes(4)),
    "generated after authorisation": _after_authorisation,
    "certificate expired": _issuer(expiry="0120"),
    "unknown root": _issuer(root_index=0x33),
    "unknown issuer": _issuer(number="99999999"),
    "unknown platform": _issuer(platform="99999999"),
    "certificate of another issuer": lambda phone, at_s: phone.sign(
        phone.authorise(at_s + 1000, replace(phone.issuer, number="31000002").certificate) + at_s.to_bytes(4)
    ),
    "version not allowed": _phone(version=0x90),
    "certificate header": _resigned(3, b"\x21"),
    "certificate format": _resigned(9, b"\x11"),
    "certificate month thirteen": _resigned(14, b"\x13"),
    "issuer mark": _resigned(198, b"\x14"),
    "user mark": _changed(267, b"\x16"),
    "ceiling raised": _resigned(155, b"\xff\xff\xff"),
    "validity raised": _resigned(195, b"\xff\xff"),
    "ceiling of two bytes": _phone(ceiling_fen=0x010000),
    "length as decimal text": _resigned(197, b"\x10"),
    "custom field swapped": _swapped,
    "length wrong": _resigned(1, b"\x01\x00"),
    "truncated": lambda phone, at_s: phone.code(at_s)[:-1],
    "trailing byte": lambda phone, at_s: phone.code(at_s) + b"\x00",
    "user key off the curve": _resigned(158, b"\x02" + bytes(31) + b"\x05"),
    "zero signature": lambda phone, at_s: phone.code(at_s)[:-64] + bytes(64),
}
