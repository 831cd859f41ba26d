"""What a site must read again itself, sealed under a key of its own: reader numbers, and books still to be told of.

Laws of this file:
- AES-256-GCM under 32 bytes that the installer made and the site keeps; a nonce is 12 random bytes, stored in front.
- What is sealed says what for: a row of the link table is no loan, and no other row.
- Whoever holds the key and the box can read it (docs/limits.md); a copy of the journal or of the table alone says
  nothing.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES, NONCE_BYTES = 32, 12


class NotOurs(ValueError):
    """Sealed under another key, for something else, or changed."""


def key_of(text: str) -> bytes:
    """The key of a file's text: 64 hexadecimal digits. Raises ValueError."""
    key = bytes.fromhex(text.strip())
    if len(key) != KEY_BYTES:
        raise ValueError(f"a site's key has {KEY_BYTES} bytes, this one {len(key)}")
    return key


def seal(key: bytes, nonce: bytes, purpose: bytes, plain: bytes) -> bytes:
    """Nonce and ciphertext. `nonce`: 12 fresh random bytes."""
    return nonce + AESGCM(key).encrypt(nonce, plain, purpose)


def unseal(key: bytes, purpose: bytes, data: bytes) -> bytes:
    """The plain bytes. Raises NotOurs."""
    try:
        return AESGCM(key).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], purpose)
    except (InvalidTag, ValueError) as error:
        raise NotOurs("sealed under another key, or changed") from error
