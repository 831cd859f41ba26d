"""Rider evidence, sealed so that only head office can open it.

Laws of this file:
- A content key lives in memory only; it is sealed to head office's public key (HPKE, RFC 9180) with `info` =
  terminal ‖ 00 ‖ epoch ‖ key number, and written as an entry before anything it seals.
- One AES-256-GCM a field; the nonce is a counter of the key that never goes back, failed commits included.
- The suite is named, so that national algorithms can stand beside it.
"""

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from terminal.core.entries import ContentKey, Sealed
from terminal.core.parameters import OfficeKey, OfficeKeys

SUITE = "HPKE-X25519-SHA256-AES256GCM"
_HPKE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class Sealer:
    """One content key in use."""

    def __init__(self, number: int, key: bytes) -> None:
        self.number = number
        self._cipher = AESGCM(key)
        self._nonce = 0

    def seal(self, evidence: bytes) -> Sealed:
        """Seal one field under the next nonce."""
        self._nonce += 1
        data = self._cipher.encrypt(self._nonce.to_bytes(12), evidence, None)
        return Sealed(key=self.number, nonce=self._nonce, data=data)


def info(terminal: str, epoch: bytes, number: int) -> bytes:
    """What a sealed content key is bound to."""
    return terminal.encode() + b"\x00" + epoch + number.to_bytes(8)


def sealing_key(office: OfficeKeys) -> OfficeKey | None:
    """The first key of head office that evidence may be sealed to, in a suite we know."""
    return next((key for key in office.keys if key.use == "sealing" and key.suite == SUITE), None)


def check_key(public: bytes) -> None:
    """Raises ValueError for bytes nothing may be sealed to: another length, or a point of low order (RFC 7748, 6.1)."""
    X25519PrivateKey.from_private_bytes(b"\x01" * 32).exchange(X25519PublicKey.from_public_bytes(public))


def seal_content_key(key: bytes, office_key: OfficeKey, terminal: str, epoch: bytes, number: int) -> ContentKey:
    """The fact that carries a content key to head office."""
    public = X25519PublicKey.from_public_bytes(bytes.fromhex(office_key.public_key))
    sealed = _HPKE.encrypt(key, public, info=info(terminal, epoch, number))
    return ContentKey(number=number, suite=SUITE, office_key=office_key.key_id, sealed_key=sealed)
