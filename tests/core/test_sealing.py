"""Rider evidence can be opened by head office, and by nobody else."""

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from terminal.core import sealing
from terminal.core.parameters import OfficeKey, OfficeKeys

OFFICE = X25519PrivateKey.generate()
PUBLIC = OfficeKey(
    key_id="s1", use="sealing", suite=sealing.SUITE, public_key=OFFICE.public_key().public_bytes_raw().hex()
)
EPOCH = b"epoch--1"


def open_key(sealed: bytes, info: bytes) -> bytes:
    return Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM).decrypt(sealed, OFFICE, info=info)


def test_head_office_opens() -> None:
    """The content key opens with head office's private key, and with it the evidence."""
    key = bytes(range(32))
    fact = sealing.seal_content_key(key, PUBLIC, "T1", EPOCH, 7)
    assert (fact.number, fact.suite, fact.office_key) == (7, sealing.SUITE, "s1")
    assert open_key(fact.sealed_key, b"T1\x00" + EPOCH + (7).to_bytes(8)) == key
    sealed = sealing.Sealer(7, key).seal(b"raw code")
    assert AESGCM(key).decrypt(sealed.nonce.to_bytes(12), sealed.data, None) == b"raw code"
    assert sealed.key == 7 and b"raw code" not in sealed.data


@pytest.mark.parametrize("other", [("T2", EPOCH, 7), ("T1", b"epoch--2", 7), ("T1", EPOCH, 8)])
def test_key_is_bound(other: tuple[str, bytes, int]) -> None:
    """A content key moved to another terminal, epoch or number does not open."""
    fact = sealing.seal_content_key(bytes(32), PUBLIC, "T1", EPOCH, 7)
    with pytest.raises(InvalidTag):
        open_key(fact.sealed_key, sealing.info(*other))


def test_nonce_never_goes_back() -> None:
    """Each seal takes the next nonce, whatever becomes of the entry."""
    sealer = sealing.Sealer(1, bytes(32))
    assert [sealer.seal(b"x").nonce for _ in range(3)] == [1, 2, 3]


def test_choice_of_key() -> None:
    """Only a sealing key in a suite we know is taken."""
    receipt = OfficeKey(key_id="r", use="receipt", suite="ES256", public_key="00")
    future = OfficeKey(key_id="f", use="sealing", suite="SM2-SM4", public_key="00")
    assert sealing.sealing_key(OfficeKeys(keys=(receipt, future, PUBLIC))) == PUBLIC
    assert sealing.sealing_key(OfficeKeys(keys=(receipt, future))) is None
