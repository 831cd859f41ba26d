"""The card token: what is taken, and every way of being wrong by its own name."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import segno
from hypothesis import given
from hypothesis import strategies as st

from simulators.token_issuer import FAULTS, TokenIssuer, Wallet, demo_token_issuers, dumps, text
from terminal.core import tokens
from terminal.core.model import Credential, History, Instant, Medium, Reason, Ref, Refusal
from terminal.core.parameters import Block, BlockScope, CardTokenIssuer, Issuers, ParameterSet, TokenAlgorithm
from terminal.core.tokens import card_token, card_token_checks
from terminal.core.tokens.explanation import Explanation, Result, State
from tests.core.cases import NOW_MS, instant, parameters, use

NOW_S = NOW_MS // 1000
LINK = b"\x01" + b"an account link."
LIFE = (1_700_000_000, 2_200_000_000)
PASS = ("park-annual", NOW_S - 10, NOW_S + 31_536_000)


def known(*issuers: TokenIssuer, **changes: object) -> ParameterSet:
    """Parameters that accept these issuers' tokens."""
    rows = tuple(issuer.row() for issuer in issuers or demo_token_issuers())
    return parameters(issuers=Issuers(card_token=rows), **changes)


def full(algorithm: TokenAlgorithm = TokenAlgorithm.ES256) -> Wallet:
    """A wallet with every claim there is."""
    return Wallet(
        issuer=TokenIssuer(algorithm=algorithm),
        audience="city-510100",
        account_link=LINK,
        age_from=65,
        residency="510100",
        student_until=NOW_S + 1000,
        products=(PASS,),
        status=("main", 123_456),
    )


def reason(code: bytes, at: Instant | None = None, parameters: ParameterSet | None = None) -> Reason | None:
    """Why a token is refused, or None."""
    claim = tokens.verify(code, parameters or known(), at or instant())
    return claim.reason if isinstance(claim, Refusal) else None


@pytest.mark.parametrize("algorithm", TokenAlgorithm)
def test_a_good_token_is_taken_in_every_suite(algorithm: TokenAlgorithm) -> None:
    """Both signatures hold, and every claim arrives where it belongs."""
    claim = tokens.verify(full(algorithm).code(NOW_S), known(), instant())
    assert isinstance(claim, Credential)
    assert (claim.medium, claim.issuer, claim.account_link) == (Medium.PHONE, "city-510100", Ref(LINK))
    assert (claim.holder.age_from, claim.holder.residency) == (65, "510100")
    assert claim.holder.student_until_ms == (NOW_S + 1000) * 1000
    assert claim.products[0].product == "park-annual"
    assert claim.status_index == ("main", 123_456)


def test_a_token_with_only_what_it_needs_is_taken() -> None:
    """Everything but issuer, subject, life, validity and key is optional."""
    claim = tokens.verify(Wallet().code(NOW_S), known(), instant())
    assert isinstance(claim, Credential)
    assert (claim.account_link, claim.products, claim.status_index) == (None, (), None)


def test_a_ticket_says_for_how_many() -> None:
    """Or leaves it to its product; whoever inspects the code sees both."""
    tickets = Wallet(products=(("family", *LIFE, 5), ("park-annual", *LIFE)))
    claim = tokens.verify(tickets.code(NOW_S), known(), instant())
    assert isinstance(claim, Credential)
    assert [one.persons for one in claim.products] == [5, None]
    (told,) = [field.value for field in explained(tickets.code(NOW_S)).fields if field.name == "products"]
    assert told == "family 1700000000–2200000000 for 5, park-annual 1700000000–2200000000"


@pytest.mark.parametrize("algorithm", TokenAlgorithm)
def test_a_full_token_fits_a_code_of_version_15_m(algorithm: TokenAlgorithm) -> None:
    """412 bytes in byte mode; the text form stays scannable as alphanumeric text."""
    code = full(algorithm).code(NOW_S)
    assert len(code) <= 412
    assert int(segno.make(code, error="m", mode="byte", boost_error=False).version) <= 15
    assert segno.make(text(code).decode(), error="m", boost_error=False).mode == "alphanumeric"


def test_both_forms_are_the_same_use() -> None:
    """Binary and base45 are one code: the second is a repeat of the first."""
    code = full().code(NOW_S)
    assert tokens.verify(code, known(), instant()) == tokens.verify(text(code), known(), instant())


def test_a_second_signature_of_the_same_second_is_the_same_use() -> None:
    """ES256 is randomised, and (r, n − s) verifies too: neither makes a new code."""
    wallet = full()
    first, again = wallet.code(NOW_S), wallet.code(NOW_S)
    s = int.from_bytes(first[-32:])
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    twin = first[:-32] + (order - s).to_bytes(32)
    keys = set()
    for code in (first, again, twin):
        claim = tokens.verify(code, known(), instant())
        assert isinstance(claim, Credential)
        keys.add((claim.code_keys, claim.twin_keys))
    assert first != again and len(keys) == 1


def test_a_new_link_in_the_same_second_is_caught_by_the_twin() -> None:
    """Another token of the same subject for the same second has the same twin."""
    claims = [tokens.verify(Wallet(account_link=link).code(NOW_S), known(), instant()) for link in (None, LINK)]
    assert claims[0].code_keys != claims[1].code_keys  # type: ignore[union-attr]  # both verified
    assert claims[0].twin_keys == claims[1].twin_keys  # type: ignore[union-attr]  # both verified


EXPECTED = {
    "trailing byte": Reason.NOT_CANONICAL,
    "long integer": Reason.NOT_CANONICAL,
    "duplicate key": Reason.NOT_CANONICAL,
    "indefinite length": Reason.NOT_CANONICAL,
    "float for a time": Reason.NOT_CANONICAL,
    "critical header": Reason.HEADER_NOT_UNDERSTOOD,
    "unprotected header outside": Reason.HEADER_NOT_UNDERSTOOD,
    "unprotected header inside": Reason.HEADER_NOT_UNDERSTOOD,
    "alg of another suite, holder": Reason.ALGORITHM_MISMATCH,
    "alg of another suite, issuer": Reason.ALGORITHM_MISMATCH,
    "alg none": Reason.ALGORITHM_MISMATCH,
    "unknown kid": Reason.ISSUER_KEY_UNKNOWN,
    "kid like a path": Reason.ISSUER_KEY_UNKNOWN,
    "long kid": Reason.ISSUER_KEY_UNKNOWN,
    "forged issuer": Reason.ISSUER_SIGNATURE_BAD,
    "forged holder": Reason.HOLDER_SIGNATURE_BAD,
    "screenshot": Reason.CODE_EXPIRED,
    "code from the future": Reason.CODE_FROM_FUTURE,
    "generated after expiry": Reason.TOKEN_EXPIRED,
    "expired": Reason.TOKEN_EXPIRED,
    "not yet valid": Reason.NOT_YET_VALID,
    "backwards life": Reason.CLAIMS_MALFORMED,
    "negative time": Reason.CLAIMS_MALFORMED,
    "life of ages": Reason.CLAIMS_MALFORMED,
    "other issuer's name": Reason.ISSUER_NOT_ACCEPTED,
    "validity of a day": Reason.CLAIMS_MALFORMED,
    "link too short": Reason.CLAIMS_MALFORMED,
    "unknown profile member": Reason.CLAIMS_MALFORMED,
    "subject as text": Reason.CLAIMS_MALFORMED,
    "key of an unknown curve": Reason.CLAIMS_MALFORMED,
    "key off the curve": Reason.HOLDER_SIGNATURE_BAD,
    "key of a kind that is true": Reason.CLAIMS_MALFORMED,
    "confirmation with more": Reason.CLAIMS_MALFORMED,
    "confirmation as an array": Reason.CLAIMS_MALFORMED,
    "profile as an array": Reason.CLAIMS_MALFORMED,
    "products as a map": Reason.CLAIMS_MALFORMED,
    "a product as a map": Reason.CLAIMS_MALFORMED,
    "a ticket for nobody": Reason.CLAIMS_MALFORMED,
    "a ticket for true": Reason.CLAIMS_MALFORMED,
    "a product of five": Reason.CLAIMS_MALFORMED,
    "a product of two": Reason.CLAIMS_MALFORMED,
    "status as a map": Reason.CLAIMS_MALFORMED,
    "true for the generation time": Reason.MALFORMED,
    "longer than a token": Reason.MALFORMED,
    "empty": Reason.MALFORMED,
}


@pytest.mark.parametrize("fault", EXPECTED)
def test_fault(fault: str) -> None:
    """Each way of being wrong has its own reason."""
    assert reason(FAULTS[fault](Wallet(), NOW_S)) is EXPECTED[fault]


def test_a_key_of_low_order_signs_nothing() -> None:
    """An Ed25519 key of small order verifies anything in some libraries; here it is no key."""
    wallet = Wallet(issuer=TokenIssuer(algorithm=TokenAlgorithm.EDDSA))
    assert reason(FAULTS["key of low order"](wallet, NOW_S)) is Reason.HOLDER_SIGNATURE_BAD


def test_every_fault_the_wallet_knows_is_tested() -> None:
    """A new fault cannot be forgotten here."""
    assert set(EXPECTED) | {"key of low order"} == set(FAULTS)


SHAPES = {
    "payload is no pair": lambda w: w.present(b"", NOW_S, payload=dumps([1, 2, 3])),
    "generation time is negative": lambda w: w.present(b"", NOW_S, payload=dumps([w.token(), -1])),
    "inner is no array": lambda w: w.present(dumps(7), NOW_S),
    "no tag": lambda w: b"\xd2" + dumps([b"", {}, b"", b""])[:1] + w.code(NOW_S)[2:][:-1],
    "claims are no map": lambda w: w.present(w.issue([1]), NOW_S),
    "claims without a profile": lambda w: w.present(w.issue({1: "x"}), NOW_S),
    "point uncompressed": lambda w: w.present(
        w.issue(w.claims() | {8: {1: w.key.cose_key() | {-3: bytes(32)}}}), NOW_S
    ),
    "okp key with a second coordinate": lambda w: w.present(
        w.issue(w.claims() | {8: {1: {1: 1, -1: 6, -2: bytes(32), -3: True}}}), NOW_S
    ),
    "okp key with more": lambda w: w.present(w.issue(w.claims() | {8: {1: {1: 1, -1: 6, -2: bytes(32), 4: 1}}}), NOW_S),
    "control characters in the issuer's name": lambda w: w.present(w.issue(w.claims() | {1: "a\x1b[2J"}), NOW_S),
    "unknown claim": lambda w: w.present(w.issue(w.claims() | {7: b"cti"}), NOW_S),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_wrong_shape_is_refused(shape: str) -> None:
    """Signed or not, what is not of the profile's shape is refused and raises nothing."""
    assert reason(SHAPES[shape](Wallet())) in (Reason.MALFORMED, Reason.NOT_CANONICAL, Reason.CLAIMS_MALFORMED)


def test_short_signatures_are_refused() -> None:
    """A signature is 64 bytes."""
    wallet = Wallet()
    code = wallet.code(NOW_S)
    head, payload = code[:-66], b"\x58\x3f" + code[-63:]
    assert reason(head + payload) is Reason.HOLDER_SIGNATURE_BAD


@pytest.mark.parametrize(
    ("accepted", "audience", "expected"),
    [
        ((), None, None),
        ((), "x", None),
        (("a", "b"), "b", None),
        (("a",), "b", Reason.WRONG_AUDIENCE),
        (("a",), None, Reason.WRONG_AUDIENCE),
    ],
)
def test_audience(accepted: tuple[str, ...], audience: str | None, expected: Reason | None) -> None:
    """A site that names audiences takes no token made for another, or for nobody."""
    issuer = TokenIssuer(audiences=accepted)
    assert reason(Wallet(issuer=issuer, audience=audience).code(NOW_S), parameters=known(issuer)) is expected


@pytest.mark.parametrize(
    ("after_s", "expected"), [(-11, Reason.CODE_FROM_FUTURE), (-10, None), (70, None), (71, Reason.CODE_EXPIRED)]
)
def test_freshness(after_s: int, expected: Reason | None) -> None:
    """Like the ride code: both ends included."""
    assert reason(Wallet().code(NOW_S), instant(after_s)) is expected


def test_a_long_validity_is_clamped() -> None:
    """The issuer may say an hour; the site's clamp is 120 s."""
    wallet = Wallet(validity_s=3600)
    assert reason(wallet.code(NOW_S), instant(130)) is None
    assert reason(wallet.code(NOW_S), instant(131)) is Reason.CODE_EXPIRED


def test_issuer_keys_are_parsed_once_a_set() -> None:
    """And a ruined key in the parameters is no key."""
    good = known()
    assert reason(Wallet().code(NOW_S), parameters=good) is None
    assert any(name.startswith(b"token issuer") for name in good.verified)
    row = msgspec.structs.replace(TokenIssuer().row(), public_key="02" + "ff" * 32)
    assert (
        reason(Wallet().code(NOW_S), parameters=parameters(issuers=Issuers(card_token=(row,))))
        is Reason.ISSUER_KEY_UNKNOWN
    )


@pytest.mark.parametrize("algorithm", TokenAlgorithm)
def test_every_single_bit_flip_is_refused(algorithm: TokenAlgorithm) -> None:
    """Whatever bit is flipped, nothing escapes both signatures."""
    code, good = full(algorithm).code(NOW_S), known()
    assert reason(code, parameters=good) is None
    for bit in range(len(code) * 8):
        flipped = bytearray(code)
        flipped[bit // 8] ^= 1 << bit % 8
        assert reason(bytes(flipped), parameters=good) is not None, bit


def test_every_truncation_of_either_form_is_refused() -> None:
    """A token cut short anywhere is refused, down to nothing."""
    code, good = full().code(NOW_S), known()
    for whole in (code, text(code)):
        assert reason(whole, parameters=good) is None
        for length in range(len(whole)):
            assert reason(whole[:length], parameters=good) is not None, length


@given(st.binary(max_size=120), st.integers(0, 340))
def test_no_bytes_raise(noise: bytes, at: int) -> None:
    """Any bytes, also in the middle of a good token, are answered with a reason."""
    code, good = full().code(NOW_S), known()
    assert isinstance(tokens.verify(b"\xd2\x84" + noise, good, instant()), Refusal)
    changed = code[:at] + noise + code[at + len(noise) :]
    assert changed == code or isinstance(tokens.verify(changed, good, instant()), Refusal)


# --------------------------------------------------------------------------- explaining


STATUS = {"main": (1, bytes(20_000))}


def test_the_table_has_seventeen_rows_and_every_reason_the_specification_names() -> None:
    """Numbered in order, each naming who judges; the document has the same rows under the same numbers."""
    rows = card_token_checks.CHECKS
    assert [row.number for row in rows] == list(range(1, 18))
    assert all(row.judged_by and row.reasons for row in rows)
    document = (Path(__file__).parent.parent.parent / "docs" / "card-token.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| (\d+) \| .* \| (`.*`) \|$", document, re.MULTILINE))
    for row in rows:
        assert re.findall("`([a-z_]+)`", told[str(row.number)]) == [reason.value for reason in row.reasons], row.asks


def explained(code: bytes, state: State | None = None, **changes: object) -> Explanation:
    """A token explained where its status list is known."""
    return card_token_checks.explain(code, known(**{"status_lists": STATUS} | changes), instant(), state)


def went(found: Explanation, result: Result) -> set[int]:
    """The checks that went so."""
    return {check.number for check in found.checks if check.result is result}


def test_explaining_a_good_token() -> None:
    """Every claim is shown, sensitive ones marked; what needs a history is not applicable."""
    found = explained(full().code(NOW_S))
    assert (went(found, Result.PASS), went(found, Result.NOT_APPLICABLE)) == (set(range(1, 16)), {16, 17})
    assert {field.name for field in found.fields if field.sensitive} == {"sub", "account link"}
    shown = {field.name: field.value for field in found.fields}
    assert shown["student until"] == str(NOW_S + 1000)
    assert shown["products"] == f"park-annual {PASS[1]}–{PASS[2]}"
    bare = {field.name: field.value for field in explained(Wallet().code(NOW_S)).fields}
    assert bare["student until"] == bare["products"] == "–"


def test_with_a_history_every_check_is_judged() -> None:
    """Used and too soon, and blocked by any scope where no service is named."""
    code = full().code(NOW_S)
    claim = tokens.verify(code, known(), instant())
    assert isinstance(claim, Credential)
    taken = use(code_key=claim.code_keys[0], medium=claim.medium_refs[0])
    for past, expected in ((History(), Result.PASS), (History((taken,), (taken,) * 4), Result.FAIL)):
        found = explained(code, State(service="fare", history=past))
        assert {check.result for check in found.checks[15:]} == {expected}
        assert went(found, Result.NOT_APPLICABLE) == set()
    row = Block(ref=claim.medium_refs[0].hex(), scopes=(BlockScope.PAYMENT,))
    assert explained(code, blocks_of={claim.medium_refs[0]: (row,)}).verdict == "blocked"


@pytest.mark.parametrize(
    ("sentence", "code", "failing", "left"),
    [
        ("a shape that is none", lambda: b"\xd2\x84", {2}, set(range(3, 18))),
        ("no shape at all", lambda: b"OC1::", {1}, set(range(2, 18))),
        ("a header too many", lambda: FAULTS["critical header"](Wallet(), NOW_S), {3}, set(range(4, 18))),
        ("a forged issuer hides nothing", lambda: FAULTS["forged issuer"](full(), NOW_S - 600), {6, 12}, {16, 17}),
        ("nor does a forged holder", lambda: FAULTS["forged holder"](full(), NOW_S - 600), {10, 12}, {16, 17}),
        ("an unknown key", lambda: FAULTS["unknown kid"](full(), NOW_S), {4}, {5, 6, 8, 12, 13, 15, 16, 17}),
        ("claims of no shape", lambda: FAULTS["profile as an array"](full(), NOW_S), {7}, set(range(8, 18))),
        ("an index past the end", lambda: replace(full(), status=("main", 1 << 20)).code(NOW_S), {14}, {16, 17}),
        ("no status at all", lambda: replace(full(), status=None).code(NOW_S), set(), {14, 16, 17}),
        ("another suite", lambda: FAULTS["alg none"](full(), NOW_S), {9}, {16, 17}),
    ],
)
def test_explaining_goes_on(sentence: str, code: Callable[[], bytes], failing: set[int], left: set[int]) -> None:
    """Every check is told, also after one has failed; the verdict is the first of them."""
    found = explained(code())
    assert (went(found, Result.FAIL), went(found, Result.NOT_APPLICABLE)) == (failing, left), sentence
    first = next((check.reason.value for check in found.checks if check.reason), "verified")
    assert found.verdict == first
    assert bool(found.fields) == (min(failing, default=99) > 3)


def test_the_specification_names_what_the_code_uses() -> None:
    """Labels and algorithm numbers in docs/card-token.md are those of the code."""
    document = (Path(__file__).parent.parent.parent / "docs" / "card-token.md").read_text(encoding="utf-8")
    for number in (*card_token.ALGORITHMS.values(), card_token.PROFILE, -65537):
        assert str(number).replace("-", "−") in document or str(number) in document
    assert card_token.TEXT_MARK.decode() in document


GOLDEN = Path(__file__).parent.parent / "golden"


def test_golden_refusals_keep_their_reasons() -> None:
    """What another team's verifier must refuse, and why: one code a line of the specification."""
    golden = json.loads((GOLDEN / "card_token_refusals.json").read_text())
    issuer = golden["issuer"]
    row = CardTokenIssuer(algorithm=TokenAlgorithm.ES256, **{key: issuer[key] for key in ("issuer", "public_key")},
                          key_id=issuer["kid"])  # fmt: skip
    at = msgspec.structs.replace(instant(), utc_ms=golden["at_s"] * 1000)
    known = parameters(issuers=Issuers(card_token=(row,)), status_lists={"main": (2, b"\x24")})
    for one in golden["refused"]:
        code = bytes.fromhex(one["code"])
        assert tokens.explain(code, known, at).verdict == one["reason"], one["what"]
        claim = tokens.verify(code, known, at)
        assert isinstance(claim, Credential) == one["reason"].startswith("status_")  # asked for behind the token itself
        assert isinstance(claim, Credential) or claim.reason == one["reason"]
    assert {one["reason"] for one in golden["refused"]} >= {reason.value for reason in EXPECTED.values()}


def test_golden_tokens_still_verify() -> None:
    """Tokens kept from an earlier version keep their meaning: the format has not moved."""
    golden = json.loads((Path(__file__).parent.parent / "golden" / "card_tokens.json").read_text())
    for name, one in golden.items():
        row = CardTokenIssuer(
            issuer=one["issuer"],
            key_id=one["kid"],
            algorithm=TokenAlgorithm(name.partition(",")[0]),
            public_key=one["public_key"],
        )
        at = msgspec.structs.replace(instant(), utc_ms=one["at_s"] * 1000)
        claim = tokens.verify(bytes.fromhex(one["code"]), parameters(issuers=Issuers(card_token=(row,))), at)
        assert isinstance(claim, Credential)
        held = [
            [item.product, item.from_ms // 1000, item.until_ms // 1000, *([item.persons] if item.persons else [])]
            for item in claim.products
        ]
        assert held == one["products"]
