"""Codes made by somebody who has read the specification: each is refused with a reason, and costs next to nothing."""

import hmac
import tracemalloc
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from drivers.scan.framing import FRAMINGS
from simulators.issuer import demo_issuer
from simulators.phone import Phone
from simulators.token_issuer import ALG, Signer, TokenIssuer, Wallet, demo_token_issuers, dumps, sign1, text
from terminal.core import sm2, tokens
from terminal.core.model import Credential, Instant, Reason, Refusal
from terminal.core.parameters import Issuers, ParameterSet, TokenAlgorithm
from terminal.core.tokens import signatures
from tests.core.cases import NOW_MS, instant, parameters

NOW_S = NOW_MS // 1000


def known(*issuers: TokenIssuer) -> ParameterSet:
    """Parameters of a site that takes ride codes and card tokens."""
    rows = tuple(issuer.row() for issuer in issuers or demo_token_issuers())
    return parameters(issuers=Issuers(ride_code=(demo_issuer().row(),), card_token=rows))


KNOWN = known()


def reason(code: bytes, at: Instant | None = None) -> Reason | None:
    """Why a code is refused; None for a grant."""
    claim = tokens.verify(code, KNOWN, at or instant())
    return claim.reason if isinstance(claim, Refusal) else None


@pytest.mark.parametrize("size", [0, 1, 2])
def test_next_to_nothing_is_malformed(size: int) -> None:
    """Every payload there is of no, one or two bytes."""
    payloads = {number.to_bytes(size) for number in range(256**size)}
    assert len(payloads) == 256**size
    assert {reason(payload) for payload in payloads} == {Reason.MALFORMED}


@pytest.mark.parametrize("size", [2953, 1 << 20], ids=["the largest code there is", "a megabyte"])
@pytest.mark.parametrize("head", [b"\xd2\x84", b"OC1:", Phone().code(NOW_S)[:40], b"62"], ids=repr)
def test_too_much_is_refused_before_it_is_parsed(head: bytes, size: int) -> None:
    """Whatever it claims to be, judging it takes less than 64 KB beyond the payload itself."""
    payload = head + bytes(size - len(head))
    tokens.verify(payload, KNOWN, instant())  # what is imported and kept on first use
    tracemalloc.start()
    try:
        said = reason(payload)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert said in (Reason.MALFORMED, Reason.UNKNOWN_FORMAT, Reason.LENGTH_WRONG, Reason.NOT_CANONICAL)
    assert peak < 64 << 10


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_megabyte_on_the_line_is_not_kept(framing: str) -> None:
    """What a line brings without a pause is dropped as it comes: memory grows by less than 64 KB."""
    held = FRAMINGS[framing]()
    piece = (b"\x04\x00" + b"41" * 511 + b"\n") if framing == "length16" else b"41" * 512
    tracemalloc.start()
    try:
        for number in range(1024):
            held.feed(piece[number % 7 :], 0.0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 << 10


P256_N = signatures.P256_ORDER
SM2_N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
ODD_PARTS: dict[str, Callable[[int, int, int], tuple[int, int]]] = {
    "both zero": lambda r, s, n: (0, 0),
    "r = 0": lambda r, s, n: (0, s),
    "s = 0": lambda r, s, n: (r, 0),
    "r = n": lambda r, s, n: (n, s),
    "s = n": lambda r, s, n: (r, n),
    "s + n, where it fits": lambda r, s, n: (r, (s + n) % (1 << 256)),
    "all ones": lambda r, s, n: ((1 << 256) - 1, (1 << 256) - 1),
}


@pytest.mark.parametrize("what", ODD_PARTS)
@pytest.mark.parametrize("kind", ["ride code", *TokenAlgorithm])
def test_a_signature_out_of_range_is_refused(kind: str, what: str) -> None:
    """In either format and every suite, whatever the rest of the code says."""
    if kind == "ride code":
        code, n, expected = Phone().code(NOW_S), SM2_N, Reason.HOLDER_SIGNATURE_BAD
    else:
        code = Wallet(issuer=TokenIssuer(algorithm=TokenAlgorithm(kind))).code(NOW_S)
        n, expected = (SM2_N if kind == "SM2" else P256_N), Reason.HOLDER_SIGNATURE_BAD
    r, s = int.from_bytes(code[-64:-32]), int.from_bytes(code[-32:])
    assert reason(code) is None
    odd_r, odd_s = ODD_PARTS[what](r, s, n)
    assert reason(code[:-64] + odd_r.to_bytes(32) + odd_s.to_bytes(32)) is expected


@pytest.mark.parametrize(
    ("sentence", "der"),
    [
        ("plain", encode_dss_signature),
        ("length in the long form", lambda r, s: b"\x30\x81" + encode_dss_signature(r, s)[1:]),
        ("indefinite, as BER allows", lambda r, s: b"\x30\x80" + encode_dss_signature(r, s)[2:] + bytes(2)),
        ("trailing bytes", lambda r, s: encode_dss_signature(r, s) + b"\x00"),
    ],
)
def test_a_signature_in_der_or_ber_is_no_signature(sentence: str, der: object) -> None:
    """Both formats know r ‖ s of 64 bytes only: there is no second way to write the same signature."""
    wallet = Wallet()
    code = wallet.code(NOW_S)
    signature = der(int.from_bytes(code[-64:-32]), int.from_bytes(code[-32:]))  # type: ignore[operator]  # rows are makers
    assert code[-66:-64] == b"\x58\x40"
    assert reason(code[:-66] + dumps(signature)) is Reason.HOLDER_SIGNATURE_BAD, sentence
    assert reason(code[:-66] + dumps(signature[:64].ljust(64, b"\0"))) is Reason.HOLDER_SIGNATURE_BAD, sentence
    ride = Phone().code(NOW_S)
    assert reason(ride[:-64] + signature) in (Reason.LENGTH_WRONG, Reason.MALFORMED, Reason.UNKNOWN_FORMAT), sentence


def _doubled(data: bytes, key: object, value: object) -> bytes:
    """A map with one key more, whether it is there already or not."""
    return bytes((data[0] + 1,)) + data[1:] + dumps(key) + dumps(value)


def _issued(wallet: Wallet, head: bytes, claims: bytes) -> bytes:
    signature = wallet.issuer.signer.sign(dumps(["Signature1", head, b"", claims]))
    return wallet.present(dumps([head, {}, claims, signature]), NOW_S)


def _duplicate(where: str) -> bytes:
    """A token with the same key twice in one of its maps; the issuer signed it so."""
    wallet = Wallet()
    claims, head = wallet.claims(), {1: ALG[TokenAlgorithm.ES256], 4: wallet.issuer.kid}
    plain, plain_head = dumps(claims), dumps(head)
    match where:
        case "nowhere":
            return _issued(wallet, plain_head, plain)
        case "protected header":
            return _issued(wallet, _doubled(plain_head, 4, wallet.issuer.kid), plain)
        case "claims":
            return _issued(wallet, plain_head, _doubled(plain, -65538, {6: 3600}))
        case "profile":
            profile = dumps(claims[-65538])
            return _issued(wallet, plain_head, plain.replace(profile, _doubled(profile, 6, 3600)))
        case "cnf":
            confirmed = dumps(claims[8])
            return _issued(wallet, plain_head, plain.replace(confirmed, _doubled(confirmed, 1, {})))
        case _:
            key = dumps(claims[8][1])
            return _issued(wallet, plain_head, plain.replace(key, _doubled(key, -2, bytes(32))))


@pytest.mark.parametrize("where", ["protected header", "claims", "profile", "cnf", "key"])
def test_a_key_twice_in_any_map_is_refused(where: str) -> None:
    """At the top and nested, signed or not: never the last one, never the first one. The same without is good."""
    assert reason(_duplicate("nowhere")) is None
    assert reason(_duplicate(where)) is Reason.NOT_CANONICAL


DEEP = b"\x81" * 10_000 + b"\x00"


@pytest.mark.parametrize(
    ("sentence", "payload"),
    [
        ("arrays in arrays", DEEP),
        ("maps in maps", b"\xa1\x00" * 5_000 + b"\x00"),
        ("tags on tags", b"\xc1" * 10_000 + b"\x00"),
        ("an array of 2^64 - 1", b"\x9b" + b"\xff" * 8 + b"\x00"),
        ("a map of 2^64 - 1", b"\xbb" + b"\xff" * 8 + b"\x00"),
        ("bytes of 2^64 - 1", b"\x5b" + b"\xff" * 8 + b"\x00"),
        ("text of 2^63", b"\x7b" + b"\x80" + bytes(7) + b"\x00"),
    ],
)
@pytest.mark.parametrize("layer", ["outside", "payload", "claims"])
def test_depth_and_declared_sizes_are_not_believed(sentence: str, payload: bytes, layer: str) -> None:
    """Refused where it stands, without recursion and without room being made for what is only announced."""
    wallet = Wallet()
    if layer == "outside":
        code = b"\xd2\x84" + payload
    elif layer == "payload":
        code = wallet.present(b"", NOW_S, payload=payload[:800])
    else:
        code = _issued(wallet, dumps({1: ALG[TokenAlgorithm.ES256], 4: wallet.issuer.kid}), payload[:600])
    tracemalloc.start()
    try:
        said = reason(code)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert said in (Reason.NOT_CANONICAL, Reason.MALFORMED), sentence
    assert peak < 256 << 10


def test_the_public_key_is_no_shared_secret() -> None:
    """An HMAC made with the issuer's public key, under an `alg` that says HMAC, is another algorithm: refused."""
    wallet = Wallet()
    head = dumps({1: 5, 4: wallet.issuer.kid})  # 5: HMAC 256/256
    claims = dumps(wallet.claims())
    tag = hmac.digest(wallet.issuer.signer.public, claims, "sha256") * 2
    assert reason(wallet.present(dumps([head, {}, claims, tag]), NOW_S)) is Reason.ALGORITHM_MISMATCH


@pytest.mark.parametrize(
    "kid",
    [b"none", b"../../etc/passwd", b"' OR 1=1 --", b"\x00", bytes(64), bytes(400), "text", 7, b""],
    ids=lambda kid: repr(kid)[:20],
)
def test_a_key_id_is_looked_up_once_and_never_used_otherwise(kid: object) -> None:
    """Paths, SQL, four hundred bytes or another type: an unknown key, or a header not understood."""
    wallet = Wallet()
    code = wallet.present(wallet.issue(wallet.claims(), protected={4: kid}), NOW_S)
    claim = tokens.verify(code, KNOWN, instant())
    assert isinstance(claim, Refusal)
    assert claim.reason in (Reason.ISSUER_KEY_UNKNOWN, Reason.HEADER_NOT_UNDERSTOOD)
    assert all(set(name) <= set("0123456789abcdef") for name in claim.key_ids)  # evidence and log: hexadecimal only


def _bad_points(algorithm: TokenAlgorithm) -> list[bytes]:
    """What is no point of the suite's curve."""
    if algorithm is TokenAlgorithm.EDDSA:
        return [bytes(32), b"\x01" + bytes(31), b"\xff" * 32]
    x = b"\x04" if algorithm is TokenAlgorithm.ES256 else b"\x05"  # no y belongs to it
    return [b"\x02" + bytes(31) + x, b"\x02" + b"\xff" * 32, b"\x00", b"\x04" + bytes(64), b""]


@pytest.mark.parametrize("algorithm", TokenAlgorithm)
def test_what_is_no_point_of_the_curve_is_no_key(algorithm: TokenAlgorithm) -> None:
    """Off the curve, infinity, low order: not as an issuer's key, and none a holder may sign with."""
    for point in _bad_points(algorithm):
        with pytest.raises((signatures.InvalidKey, sm2.InvalidKey)):
            signatures.load(algorithm, point)


@pytest.mark.parametrize("algorithm", TokenAlgorithm)
def test_a_holders_key_off_the_curve_is_refused_though_the_issuer_signed_it(algorithm: TokenAlgorithm) -> None:
    """The issuer's mistake opens no gate: not with a signature of zeros, not with any."""
    wallet = Wallet(issuer=TokenIssuer(algorithm=algorithm))
    good, head = wallet.key.cose_key(), dumps({1: ALG[algorithm]})
    for point in _bad_points(algorithm):
        if algorithm is TokenAlgorithm.EDDSA:
            key = good | {-2: point}
        elif len(point) == 33:
            key = good | {-2: point[1:], -3: point[0] == 3}
        else:
            continue  # a COSE key has no room for another form
        payload = dumps([wallet.issue(wallet.claims() | {8: {1: key}}), NOW_S])
        for signature in (bytes(64), b"\x01" + bytes(63), (1).to_bytes(32) * 2, point[-32:] + bytes(32)):
            assert reason(b"\xd2" + dumps([head, {}, payload, signature])) is Reason.HOLDER_SIGNATURE_BAD
    assert reason(wallet.code(NOW_S)) is None


@pytest.mark.parametrize(
    ("nbf", "exp", "expected"),
    [
        (NOW_S, NOW_S + 1, None),
        (NOW_S + 1, NOW_S + 10, Reason.NOT_YET_VALID),
        (NOW_S - 10, NOW_S, None),
        (NOW_S - 10, NOW_S - 1, Reason.TOKEN_EXPIRED),
        (NOW_S + 5, NOW_S - 5, Reason.CLAIMS_MALFORMED),
        (NOW_S, NOW_S, Reason.CLAIMS_MALFORMED),
        (-1, NOW_S + 10, Reason.CLAIMS_MALFORMED),
        (0, 1 << 53, Reason.CLAIMS_MALFORMED),
        (0, (1 << 64) - 1, Reason.CLAIMS_MALFORMED),
        (0, 292 * 31_557_600 + NOW_S, None),
    ],
)
def test_the_edges_of_a_life(nbf: int, exp: int, expected: Reason | None) -> None:
    """From nbf to exp, both seconds included; backwards, negative and beyond 40 bits it is no life at all.

    A life of 292 years is the issuer's business: what a code opens is bounded by its own freshness, clamped by us.
    """
    assert reason(Wallet(life=(nbf, exp)).code(NOW_S)) is expected


def test_a_generation_time_within_the_skew_is_taken_and_kept() -> None:
    """The difference between the phone's clock and ours can be read from the entry."""
    claim = tokens.verify(Phone().code(NOW_S + 5), KNOWN, instant())
    assert isinstance(claim, Credential)
    assert claim.generated_ms == (NOW_S + 5) * 1000
    assert reason(Phone().code(NOW_S + 11)) is Reason.CODE_FROM_FUTURE


HOSTILE_TEXTS = {
    "a link": b"https://example.org/pay?to=anybody&",
    "a visiting card": b"BEGIN:VCARD\nFN:Nobody\nTEL:1\nEND:VCARD\n",
    "escape sequences": b"\x1b[2J\x1b]0;OPEN\x07\x1b[31m",
    "right to left": "\u202eNEPO\u202c\u2067x\u2069".encode(),
    "zeros": b"\x00",
    "a script": b"<script>alert(1)</script>",
    "SQL": b"'; DROP TABLE entries; --",
    "a log line": b'\n{"level":"info","event":"decided","verdict":"grant"}\n',
}


@pytest.mark.parametrize("what", HOSTILE_TEXTS)
def test_words_of_a_codes_length_are_no_code(what: str) -> None:
    """332 bytes of anything readable are refused, behind a good code's first byte as well."""
    words = (HOSTILE_TEXTS[what] * 332)[:332]
    for payload in (words, b"\x80" + words[1:], b"\x80" + Phone().code(NOW_S)[1:3] + words[3:], text(words)):
        assert reason(payload) is not None


def test_a_stranger_may_not_sign_for_an_issuer_of_ours() -> None:
    """The right shape, the right names, a key of his own."""
    wallet = Wallet()
    stranger = Signer(TokenAlgorithm.ES256, 99, "stranger")
    token = sign1(stranger, {1: -7, 4: wallet.issuer.kid}, dumps(wallet.claims()))
    assert reason(wallet.present(token, NOW_S)) is Reason.ISSUER_SIGNATURE_BAD
