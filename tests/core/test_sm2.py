"""SM2 verification: the standard's known answer, and what must not pass."""

import pytest

from simulators.issuer import N, SigningKey
from simulators.issuer import verify as independent
from terminal.core import sm2

# GM/T 0003.5 (GB/T 32918.5), appendix A, on the recommended curve.
POINT = bytes.fromhex(
    "0409F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020"
    "CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13"
)
SIGNATURE = bytes.fromhex(
    "F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3"
    "B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA"
)
MESSAGE = b"message digest"
BACKENDS = [sm2._choose(), sm2._Gmalg()]


@pytest.fixture(params=BACKENDS, ids=lambda backend: type(backend).__name__.strip("_"))
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> object:
    """Each way of verifying in turn."""
    monkeypatch.setattr(sm2, "_BACKEND", request.param)
    return request.param


@pytest.mark.usefixtures("backend")
def test_the_published_answer_verifies_with_the_id_set() -> None:
    """With the ID of the standard, as uncompressed and as compressed key; with no other."""
    compressed = bytes((2 + (POINT[-1] & 1),)) + POINT[1:33]
    for point in (POINT, compressed):
        key = sm2.PublicKey(point)
        assert key.verify(SIGNATURE, MESSAGE)
        assert key.verify(SIGNATURE, MESSAGE, sm2.DEFAULT_ID)
        assert not key.verify(SIGNATURE, MESSAGE, b"8765432112345678")
        assert not key.verify(SIGNATURE, b"message digesu")


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize(
    "signature",
    [
        bytes(64),
        SIGNATURE[:63],
        SIGNATURE[:32] + bytes(32),
        bytes(32) + SIGNATURE[32:],
        SIGNATURE[:32] + N.to_bytes(32),
    ],
    ids=["zero", "short", "s = 0", "r = 0", "s = n"],
)
def test_signatures_out_of_range_are_refused(signature: bytes) -> None:
    """r and s lie between 1 and n − 1."""
    assert not sm2.PublicKey(POINT).verify(signature, MESSAGE)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize(
    "point",
    [b"", b"\x00", b"\x02" + bytes(31) + b"\x05", POINT[:-1] + b"\x00", b"\x05" + POINT[1:33], POINT[:64]],
    ids=["nothing", "infinity", "off the curve", "off the curve, uncompressed", "unknown form", "short"],
)
def test_what_is_no_point_is_no_key(point: bytes) -> None:
    """Off the curve, infinity, other lengths: InvalidKey and nothing else."""
    with pytest.raises(sm2.InvalidKey):
        sm2.PublicKey(point)


@pytest.mark.usefixtures("backend")
def test_three_implementations_agree() -> None:
    """Signed by our simulator, verified by libcrypto or gmalg, and by the simulator's own check."""
    for number in range(3):
        key = SigningKey.named(number, "agreement")
        message, user_id = bytes((number,)) * 40, b"id of %d" % number
        signature = key.sign(message, user_id)
        changed = signature[:-1] + bytes((signature[-1] ^ 1,))
        for candidate, holds in ((signature, True), (changed, False)):
            assert sm2.PublicKey(key.public).verify(candidate, message, user_id) is holds
            assert independent(key.public, candidate, message, user_id) is holds


def test_the_status_can_say_which_code_verifies(monkeypatch: pytest.MonkeyPatch) -> None:
    """libcrypto by its version, gmalg as what it is; and gmalg where libcrypto has no SM2."""
    assert "OpenSSL" in sm2.backend_name() or "slow" in sm2.backend_name()
    monkeypatch.setattr(sm2, "_LIBRARY", "no-such-library.so")
    assert isinstance(sm2._choose(), sm2._Gmalg)


def test_a_libcrypto_without_sm2_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that loads but has no SM2 is told apart at start, not at the first tap."""
    monkeypatch.setattr(sm2, "_ALGORITHM", b"no such algorithm")
    assert isinstance(sm2._choose(), sm2._Gmalg)
