"""The three signature suites of a card token: ES256, EdDSA, SM2.

Laws of this file:
- The suite is bound to the key, never taken from the message: what the message says is only compared.
- All signatures are r ‖ s or R ‖ S of 64 bytes; r, s outside 1…n-1 are refused.
- Points off the curve, infinity, and the low-order points of Ed25519 are no keys.
"""

from collections.abc import Callable
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from terminal.core import sm2
from terminal.core.parameters import TokenAlgorithm

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
# The y coordinates of the points of order 1, 2, 4 and 8, and their non-canonical forms (RFC 8032; eight encodings).
_LOW_ORDER = frozenset(
    bytes.fromhex(text)
    for text in (
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    )
)
_P25519 = (1 << 255) - 19


class InvalidKey(ValueError):
    """Not a key of this suite."""


class Key(Protocol):
    """A parsed public key."""

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Whether the 64-byte signature over `message` holds."""


def load(algorithm: TokenAlgorithm, public: bytes) -> Key:
    """Parse a public key: a point of 33 or 65 bytes, or 32 bytes of Ed25519. Raises InvalidKey."""
    try:
        return _LOADERS[algorithm](public)
    except (ValueError, sm2.InvalidKey) as error:
        raise InvalidKey(str(error)) from error


class _Es256:
    __slots__ = ("_key",)

    def __init__(self, public: bytes) -> None:
        self._key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)

    def verify(self, signature: bytes, message: bytes) -> bool:
        r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
        if not (0 < r < P256_ORDER and 0 < s < P256_ORDER):
            return False
        try:
            self._key.verify(encode_dss_signature(r, s), message, _ECDSA)
        except InvalidSignature:
            return False
        return True


class _EdDsa:
    __slots__ = ("_key",)

    def __init__(self, public: bytes) -> None:
        number = int.from_bytes(public, "little") & ((1 << 255) - 1)
        if public in _LOW_ORDER or number >= _P25519:
            raise ValueError("a point of low order, or not in its canonical form")
        self._key = ed25519.Ed25519PublicKey.from_public_bytes(public)

    def verify(self, signature: bytes, message: bytes) -> bool:
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


_ECDSA = ec.ECDSA(SHA256())
_LOADERS: dict[TokenAlgorithm, Callable[[bytes], Key]] = {
    TokenAlgorithm.ES256: _Es256,
    TokenAlgorithm.EDDSA: _EdDsa,
    TokenAlgorithm.SM2: sm2.PublicKey,
}
