"""How much does deciding that a code is genuine cost beyond its signatures?

- ride_code_ratio: the whole verification of a fresh ride code against its two SM2 verifications on parsed keys.
- card_token_ratio: the whole verification of fresh card tokens, as many of each suite (ES256, EdDSA, SM2), against
  their two signatures on parsed keys; each suite's own ratio stands beside it.
- gmssl_speedup: the same two verifications by PyPI's gmssl, in pure Python, against our whole verification.

Issuer keys are loaded, as in a terminal that runs; holders, codes and tokens are all different and no result is kept.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from gmssl.sm2 import CryptSM2

from benchmarks.pairing import interleaved, medians_us
from simulators import issuer, pki
from simulators.parameters import ParameterOffice
from simulators.phone import Phone
from simulators.token_issuer import Wallet, demo_token_issuers
from terminal.core import tokens
from terminal.core.model import Credential, Instant, TimeSource
from terminal.core.parameters import ParameterSet, TokenAlgorithm
from terminal.core.parameters_load import load
from terminal.core.sm2 import PublicKey
from terminal.core.tokens import card_token, ride_code, signatures

LIMITS = {"ride_code_ratio": 1.3, "card_token_ratio": 1.5}
HOLDERS, GMSSL = 240, 6


def run(*, quick: bool = False) -> dict[str, float]:
    """Microseconds a verification, and the ratios."""
    holders = 12 if quick else HOLDERS
    at = Instant(utc_ms=time.time_ns() // 1_000_000, uncertainty_ms=1, source=TimeSource.SYSTEM, monotonic_ns=0)
    parameters = _parameters()
    figures = _ride_codes(parameters, at, holders)
    for algorithm in TokenAlgorithm:
        figures |= _card_tokens(parameters, at, holders, algorithm)
    suites = [f"card_token_{algorithm.value.lower()}" for algorithm in TokenAlgorithm]
    ours, bare = (sum(figures[f"{suite}_{what}"] for suite in suites) for what in ("us", "bare_us"))
    return figures | {"card_token_ratio": ours / bare}


def _parameters() -> ParameterSet:
    with tempfile.TemporaryDirectory() as place:
        office = ParameterOffice(Path(place) / "parameters", pki.write_office_keys(Path(place) / "keys"))
        office.publish(time.time_ns() // 1_000_000)
        files = {path.name: path.read_bytes() for path in (Path(place) / "parameters").iterdir()}
        return load(files)


def _ride_codes(parameters: ParameterSet, at: Instant, holders: int) -> dict[str, float]:
    codes = [Phone(f"holder {number}").code(at.utc_ms // 1000) for number in range(holders + 1)]
    assert isinstance(tokens.verify(codes.pop(), parameters, at), Credential)  # issuer keys are loaded now
    parsed = []
    for code in codes:
        fields = ride_code.parse(code)
        assert fields is not None
        keys = PublicKey(fields.certificate.public_key), PublicKey(fields.user_key)
        parsed.append((fields, keys))

    def ours(number: int) -> None:
        assert isinstance(tokens.verify(codes[number], parameters, at), Credential)

    def bare(number: int) -> None:
        fields, (issuer_key, user_key) = parsed[number]
        assert issuer_key.verify(fields.issuer_signature[1:], fields.issuer_signed)
        assert user_key.verify(fields.user_signature[1:], fields.user_signed)

    us = medians_us(interleaved({"ours": ours, "bare": bare}, holders))
    peer = [_gmssl(fields) for fields, _ in parsed[:GMSSL]]
    gmssl_us = medians_us(interleaved({"gmssl": lambda number: peer[number]()}, len(peer)))["gmssl"]
    return {
        "ride_code_us": us["ours"],
        "ride_code_bare_us": us["bare"],
        "ride_code_gmssl_us": gmssl_us,
        "ride_code_ratio": us["ours"] / us["bare"],
        "gmssl_speedup": gmssl_us / us["ours"],
    }


def _gmssl(fields: ride_code.RideCode) -> Callable[[], None]:
    """Both verifications, as its documentation shows them."""
    asked = (
        (fields.certificate.public_key, fields.issuer_signature, fields.issuer_signed),
        (fields.user_key, fields.user_signature, fields.user_signed),
    )
    checks = []
    for key, signature, message in asked:
        point = issuer._decompress(key)
        assert point is not None
        public = (point[0].to_bytes(32) + point[1].to_bytes(32)).hex()
        checks.append((CryptSM2(private_key="", public_key=public), signature[1:].hex(), message))

    def ask() -> None:
        for check, signature, message in checks:
            assert check.verify_with_sm3(signature, message)

    return ask


def _card_tokens(parameters: ParameterSet, at: Instant, holders: int, algorithm: TokenAlgorithm) -> dict[str, float]:
    by = next(one for one in demo_token_issuers() if one.algorithm is algorithm)
    wallets = [Wallet(f"holder {number}", issuer=by) for number in range(holders + 1)]
    codes = [wallet.code(at.utc_ms // 1000) for wallet in wallets]
    assert isinstance(tokens.verify(codes.pop(), parameters, at), Credential)
    parsed = []
    for code, wallet in zip(codes, wallets, strict=False):
        keys = (
            signatures.load(algorithm, bytes.fromhex(by.row().public_key)),
            signatures.load(algorithm, wallet.key.public),
        )
        parsed.append((card_token.parse(code), keys))

    def ours(number: int) -> None:
        assert isinstance(tokens.verify(codes[number], parameters, at), Credential)

    def bare(number: int) -> None:
        token, (issuer_key, holder_key) = parsed[number]
        assert issuer_key.verify(token.issuer_signature, token.issuer_signed)
        assert holder_key.verify(token.holder_signature, token.holder_signed)

    us = medians_us(interleaved({"ours": ours, "bare": bare}, holders))
    name = f"card_token_{algorithm.value.lower()}"
    return {f"{name}_us": us["ours"], f"{name}_bare_us": us["bare"], f"{name}_ratio": us["ours"] / us["bare"]}
