"""Signature suites: what is no key, and what is no signature."""

import pytest

from simulators.token_issuer import Signer
from terminal.core.parameters import TokenAlgorithm
from terminal.core.tokens import signatures


@pytest.mark.parametrize("algorithm", TokenAlgorithm)
def test_a_suite_verifies_its_own(algorithm: TokenAlgorithm) -> None:
    """A good signature holds, a changed message does not, zeros never."""
    signer = Signer(algorithm, 0, "signer")
    key = signatures.load(algorithm, signer.public)
    assert key.verify(signer.sign(b"message"), b"message")
    assert not key.verify(signer.sign(b"message"), b"massage")
    assert not key.verify(bytes(64), b"message")


@pytest.mark.parametrize("part", [0, signatures.P256_ORDER], ids=["0", "n"])
def test_r_and_s_lie_between_one_and_n(part: int) -> None:
    """An r or s outside the range is refused before anything is computed."""
    signer = Signer(TokenAlgorithm.ES256, 0, "signer")
    key, good = signatures.load(TokenAlgorithm.ES256, signer.public), signer.sign(b"m")
    assert not key.verify(part.to_bytes(32) + good[32:], b"m")
    assert not key.verify(good[:32] + part.to_bytes(32), b"m")


@pytest.mark.parametrize("point", sorted(signatures._LOW_ORDER), ids=lambda point: point.hex()[:8])
def test_ed25519_points_of_low_order_are_no_keys(point: bytes) -> None:
    """Under such a key a signature of zeros would hold for many messages."""
    with pytest.raises(signatures.InvalidKey):
        signatures.load(TokenAlgorithm.EDDSA, point)


@pytest.mark.parametrize("point", [b"\xff" * 32, b"\xee" + b"\xff" * 30 + b"\x7f", bytes(31), b""])
def test_ed25519_keys_are_canonical(point: bytes) -> None:
    """A coordinate at or above the field's prime, or of another length, is refused."""
    with pytest.raises(signatures.InvalidKey):
        signatures.load(TokenAlgorithm.EDDSA, point)
