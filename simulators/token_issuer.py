"""Card tokens: the issuer's half, the phone's half, and every bad one the tests can name.

Laws of this file:
- CBOR is written by cbor2 and sorted here, signatures by `cryptography` and simulators/issuer.py: nothing of the
  terminal's own encoder or verifier is used, so that a shared mistake would show.
- Every key follows from a seed and a name.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from simulators import issuer as sm2
from terminal.core.parameters import CardTokenIssuer, TokenAlgorithm

P256_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ALG = {TokenAlgorithm.ES256: -7, TokenAlgorithm.EDDSA: -8, TokenAlgorithm.SM2: -65537}
BASE45 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"


def dumps(value: Any) -> bytes:
    """CBOR with maps sorted by their encoded keys."""
    if isinstance(value, dict):
        pairs = sorted((cbor2.dumps(key), dumps(item)) for key, item in value.items())
        return _head(5, len(pairs)) + b"".join(key + item for key, item in pairs)
    if isinstance(value, list):
        return _head(4, len(value)) + b"".join(map(dumps, value))
    return cbor2.dumps(value)


def _head(major: int, count: int) -> bytes:
    return bytes((major << 5 | count,)) if count < 24 else bytes((major << 5 | 24, count))


@dataclass(frozen=True)
class Signer:
    """A synthetic key of one suite."""

    algorithm: TokenAlgorithm
    seed: int
    name: str

    @cached_property
    def _secret(self) -> Any:
        digest = hashlib.sha512(f"onecard synthetic {self.seed} {self.name}".encode()).digest()
        if self.algorithm is TokenAlgorithm.SM2:
            return sm2.SigningKey.named(self.seed, self.name)
        if self.algorithm is TokenAlgorithm.EDDSA:
            return ed25519.Ed25519PrivateKey.from_private_bytes(digest[:32])
        return ec.derive_private_key(int.from_bytes(digest) % (P256_N - 1) + 1, ec.SECP256R1())

    @cached_property
    def public(self) -> bytes:
        """Compressed point, or 32 bytes of Ed25519."""
        if self.algorithm is TokenAlgorithm.SM2:
            key: bytes = self._secret.public
            return key
        public = self._secret.public_key()
        if self.algorithm is TokenAlgorithm.EDDSA:
            return bytes(public.public_bytes(Encoding.Raw, PublicFormat.Raw))
        return bytes(public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint))

    def cose_key(self) -> dict[int, Any]:
        """The public key as a COSE_Key with a compressed point."""
        if self.algorithm is TokenAlgorithm.EDDSA:
            return {1: 1, -1: 6, -2: self.public}
        curve = 1 if self.algorithm is TokenAlgorithm.ES256 else -65537
        return {1: 2, -1: curve, -2: self.public[1:], -3: self.public[0] == 3}

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        if self.algorithm is not TokenAlgorithm.ES256:
            return bytes(self._secret.sign(message))
        r, s = decode_dss_signature(self._secret.sign(message, ec.ECDSA(SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)


def sign1(
    signer: Signer, protected: dict[int, Any], payload: bytes, unprotected: dict[int, Any] | None = None
) -> bytes:
    """One COSE_Sign1, untagged."""
    head = dumps(protected)
    signature = signer.sign(dumps(["Signature1", head, b"", payload]))
    return dumps([head, unprotected or {}, payload, signature])


@dataclass
class TokenIssuer:
    """An issuer of card tokens."""

    algorithm: TokenAlgorithm = TokenAlgorithm.ES256
    seed: int = 0
    name: str = "city-510100"
    audiences: tuple[str, ...] = ()

    @cached_property
    def signer(self) -> Signer:
        """The issuer's key."""
        return Signer(self.algorithm, self.seed, f"token issuer {self.name} {self.algorithm}")

    @cached_property
    def kid(self) -> bytes:
        """Four bytes of the key's hash."""
        return hashlib.sha256(self.signer.public).digest()[:4]

    def row(self) -> CardTokenIssuer:
        """This issuer as the terminals' parameters name it."""
        return CardTokenIssuer(
            issuer=self.name,
            key_id=self.kid.hex(),
            algorithm=self.algorithm,
            public_key=self.signer.public.hex(),
            audiences=self.audiences,
        )


@dataclass
class Wallet:
    """One holder's phone with a card token."""

    name: str = "reader"
    issuer: TokenIssuer = field(default_factory=TokenIssuer)
    holder_algorithm: TokenAlgorithm | None = None
    audience: str | None = None
    life: tuple[int, int] = (1_700_000_000, 2_200_000_000)  # nbf, exp
    validity_s: int = 60
    account_link: bytes | None = None
    age_from: int | None = None
    residency: str | None = None
    student_until: int | None = None
    products: tuple[tuple[str | int, ...], ...] = ()  # product, from, until, perhaps for how many
    status: tuple[str, int] | None = None
    extra: dict[int, Any] = field(default_factory=dict)  # claims that should not be there
    _kept: bytes | None = field(default=None, repr=False)

    @cached_property
    def key(self) -> Signer:
        """The phone's key."""
        return Signer(self.holder_algorithm or self.issuer.algorithm, self.issuer.seed, f"wallet {self.name}")

    @property
    def subject(self) -> bytes:
        """An opaque name of the holder, 12 bytes."""
        return hashlib.sha256(f"subject {self.name}".encode()).digest()[:12]

    def claims(self) -> dict[int, Any]:
        """The CWT claims."""
        profile: dict[int, Any] = {6: self.validity_s}
        optional = {1: self.account_link, 2: self.age_from, 3: self.residency, 4: self.student_until}
        profile |= {label: value for label, value in optional.items() if value is not None}
        if self.products:
            profile[5] = [list(item) for item in self.products]
        if self.status:
            profile[7] = list(self.status)
        claims = {1: self.issuer.name, 2: self.subject, 4: self.life[1], 5: self.life[0], 8: {1: self.key.cose_key()}}
        if self.audience:
            claims[3] = self.audience
        return claims | {-65538: profile} | self.extra

    def token(self) -> bytes:
        """The issuer's half, made once."""
        if self._kept is None:
            self._kept = self.issue(self.claims())
        return self._kept

    def issue(self, claims: dict[int, Any], **header: Any) -> bytes:
        """Sign any claims."""
        protected = {1: ALG[self.issuer.algorithm], 4: self.issuer.kid} | header.get("protected", {})
        return sign1(header.get("signer", self.issuer.signer), protected, dumps(claims), header.get("unprotected"))

    def code(self, at_s: int) -> bytes:
        """A code generated at `at_s`, in its binary form."""
        return self.present(self.token(), at_s)

    def present(self, token: bytes, at_s: int, **header: Any) -> bytes:
        """Wrap any issuer's half."""
        protected = {1: ALG[self.key.algorithm]} | header.get("protected", {})
        payload = header.get("payload", dumps([token, at_s]))
        return b"\xd2" + sign1(header.get("signer", self.key), protected, payload, header.get("unprotected"))


def text(code: bytes) -> bytes:
    """The base45 form of a code."""
    out = "OC1:"
    for start in range(0, len(code), 2):
        pair = code[start : start + 2]
        number = int.from_bytes(pair)
        out += "".join(BASE45[number // 45**place % 45] for place in range(len(pair) + 1))
    return out.encode()


@cache
def demo_token_issuers(seed: int = 0) -> tuple[TokenIssuer, ...]:
    """The token issuers of the demo: one a suite."""
    return tuple(TokenIssuer(algorithm=algorithm, seed=seed) for algorithm in TokenAlgorithm)


# --------------------------------------------------------------------------- what can be wrong

Fault = Callable[[Wallet, int], bytes]


def _claims(**changes: Any) -> Fault:
    labels = {"iss": 1, "sub": 2, "aud": 3, "exp": 4, "nbf": 5, "cnf": 8, "profile": -65538}
    return lambda w, at_s: w.present(w.issue(w.claims() | {labels[k]: v for k, v in changes.items()}), at_s)


def _profile(**changes: Any) -> Fault:
    def fault(w: Wallet, at_s: int) -> bytes:
        claims = w.claims()
        claims[-65538] = claims[-65538] | {int(k[1:]): v for k, v in changes.items()}
        return w.present(w.issue(claims), at_s)

    return fault


def _other(w: Wallet, name: str) -> Signer:
    return Signer(w.key.algorithm, w.issuer.seed, name)


def _long_integer(w: Wallet, at_s: int) -> bytes:
    payload = b"\x82" + dumps(w.token()) + b"\x1b" + at_s.to_bytes(8)
    return w.present(b"", at_s, payload=payload)


def _duplicate_key(w: Wallet, at_s: int) -> bytes:
    claims = dumps(w.claims())
    doubled = bytes((claims[0] + 1,)) + claims[1:] + dumps(-65538) + dumps({6: 3600})
    head = dumps({1: ALG[w.issuer.algorithm], 4: w.issuer.kid})
    signature = w.issuer.signer.sign(dumps(["Signature1", head, b"", doubled]))
    return w.present(dumps([head, {}, doubled, signature]), at_s)


FAULTS: dict[str, Fault] = {
    "trailing byte": lambda w, at_s: w.code(at_s) + b"\x00",
    "long integer": _long_integer,
    "duplicate key": _duplicate_key,
    "indefinite length": lambda w, at_s: w.present(
        b"", at_s, payload=b"\x9f" + dumps(w.token()) + dumps(at_s) + b"\xff"
    ),
    "float for a time": lambda w, at_s: w.present(
        b"", at_s, payload=b"\x82" + dumps(w.token()) + cbor2.dumps(float(at_s))
    ),
    "critical header": lambda w, at_s: w.present(w.token(), at_s, protected={2: [99], 99: 1}),
    "unprotected header outside": lambda w, at_s: w.present(w.token(), at_s, unprotected={4: b"x"}),
    "unprotected header inside": lambda w, at_s: w.present(w.issue(w.claims(), unprotected={4: b"x"}), at_s),
    "alg of another suite, holder": lambda w, at_s: w.present(w.token(), at_s, protected={1: -35}),
    "alg of another suite, issuer": lambda w, at_s: w.present(w.issue(w.claims(), protected={1: -35}), at_s),
    "alg none": lambda w, at_s: w.present(w.token(), at_s, protected={1: 0}),
    "unknown kid": lambda w, at_s: w.present(w.issue(w.claims(), protected={4: b"none"}), at_s),
    "kid like a path": lambda w, at_s: w.present(w.issue(w.claims(), protected={4: b"../../etc/passwd"}), at_s),
    "long kid": lambda w, at_s: w.present(w.issue(w.claims(), protected={4: bytes(64)}), at_s),
    "forged issuer": lambda w, at_s: w.present(w.issue(w.claims(), signer=_other(w, "forger")), at_s),
    "forged holder": lambda w, at_s: w.present(w.token(), at_s, signer=_other(w, "forger")),
    "screenshot": lambda w, at_s: w.code(at_s - 600),
    "code from the future": lambda w, at_s: w.code(at_s + 60),
    "generated after expiry": _claims(exp=1_700_000_001),
    "expired": _claims(exp=1_700_000_001),
    "not yet valid": _claims(nbf=2_100_000_000),
    "backwards life": _claims(exp=1_600_000_000, nbf=1_700_000_000),
    "negative time": _claims(nbf=-1),
    "life of ages": _claims(exp=1 << 53),
    "other issuer's name": _claims(iss="city-999999"),
    "validity of a day": _profile(_6=86400),
    "link too short": _profile(_1=b"short"),
    "unknown profile member": _profile(_9=1),
    "subject as text": _claims(sub="someone"),
    "key of an unknown curve": _claims(cnf={1: {1: 2, -1: 3, -2: bytes(32), -3: True}}),
    "key off the curve": _claims(cnf={1: {1: 2, -1: 1, -2: bytes(31) + b"\x04", -3: True}}),
    "key of low order": _claims(cnf={1: {1: 1, -1: 6, -2: bytes(32)}}),
    "key of a kind that is true": lambda w, at_s: _claims(cnf={1: w.key.cose_key() | {1: True}})(w, at_s),
    "confirmation with more": lambda w, at_s: _claims(cnf={1: w.key.cose_key(), 3: b"kid"})(w, at_s),
    "confirmation as an array": lambda w, at_s: _claims(cnf=[0, w.key.cose_key()])(w, at_s),
    "profile as an array": _claims(profile=[7] * 7),
    "products as a map": _profile(_5={}),
    "a product as a map": _profile(_5=[{"park-annual": 0, 1: 0, 2: 0}]),
    "a ticket for nobody": _profile(_5=[["park-annual", 0, 1 << 33, 0]]),
    "a ticket for true": _profile(_5=[["park-annual", 0, 1 << 33, True]]),
    "a product of five": _profile(_5=[["park-annual", 0, 1 << 33, 1, 1]]),
    "a product of two": _profile(_5=[["park-annual", 0]]),
    "status as a map": _profile(_7={"main": 0, 5: 0}),
    "true for the generation time": lambda w, at_s: w.present(b"", at_s, payload=dumps([w.token(), True])),
    "longer than a token": _claims(sub=bytes(1024)),
    "empty": lambda w, at_s: b"\xd2\x84",
}
