"""The ride code of JT/T 1179: what is taken, and every way of being wrong by its own name."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.issuer import Issuer, SigningKey, demo_issuer
from simulators.phone import FAULTS, Phone
from terminal.core import tokens
from terminal.core.model import Credential, History, Instant, Reason, Ref, Refusal
from terminal.core.parameters import Block, BlockScope, CustomField, IdRule, Issuers, ParameterSet
from terminal.core.time import month_end_ms
from terminal.core.tokens import ride_code, ride_code_checks
from terminal.core.tokens.explanation import Result, State
from tests.core.cases import ADULT, NOW_MS, instant, parameters, use

NOW_S = NOW_MS // 1000
GOLDEN = Path(__file__).parent.parent / "golden" / "ride_codes.json"
LINK = Ref(b"\x01" + b"an account link.")


def with_issuer(issuer: Issuer | None = None, **changes: object) -> ParameterSet:
    """Parameters that accept this issuer's codes."""
    return parameters(issuers=Issuers(ride_code=((issuer or demo_issuer()).row(),)), **changes)


def reason(code: bytes, at: Instant | None = None, known: ParameterSet | None = None) -> Reason | None:
    """Why a code is refused, or None."""
    claim = tokens.verify(code, known or with_issuer(), at or instant())
    return claim.reason if isinstance(claim, Refusal) else None


PROFILES = {
    "default": Issuer(),
    "local": Issuer(number="31000003", id_rule=IdRule.LOCAL),
    "other platform": Issuer(number="31000004", platform="50010009", custom_field=CustomField.NONE),
}


@pytest.mark.parametrize("custom", [b"", bytes(13), b"\x4c" + LINK, bytes(32)], ids=["0", "13", "link", "32"])
@pytest.mark.parametrize("profile", PROFILES)
def test_a_good_code_is_taken_under_every_profile(profile: str, custom: bytes) -> None:
    """Three ID profiles, custom fields of 0 to 32 bytes: all three signatures hold."""
    issuer = PROFILES[profile]
    phone = Phone(issuer=issuer, custom=custom)
    claim = tokens.verify(phone.code(NOW_S), with_issuer(issuer), instant())
    assert isinstance(claim, Credential)
    linked = custom[:1] == b"\x4c" and issuer.custom_field is CustomField.ACCOUNT_LINK
    assert claim.account_link == (LINK if linked else None)
    assert (claim.issuer, claim.ceiling_fen, claim.holder.card_type) == (issuer.number, 2000, "00")
    assert claim.generated_ms == NOW_S * 1000


def test_the_same_code_under_another_id_rule_is_refused() -> None:
    """The ID is part of what is signed: a wrong rule fails at the first signature."""
    rows = (Issuer(id_rule=IdRule.LOCAL).row(),)
    assert reason(Phone().code(NOW_S), known=parameters(issuers=Issuers(ride_code=rows))) is (
        Reason.CERTIFICATE_SIGNATURE_BAD
    )


# The bugs found in public validators, each by name: here every one of these codes is refused.
PUBLISHED_BUGS = {
    "certificate verified with the key inside the same certificate": (
        "self-signed certificate",
        Reason.CERTIFICATE_SIGNATURE_BAD,
    ),
    "issuer signature check left out": ("forged issuer signature", Reason.ISSUER_SIGNATURE_BAD),
    "authorisation expiry parsed but never compared": ("authorisation expired", Reason.AUTHORISATION_EXPIRED),
    "certificate expiry not checked": ("certificate expired", Reason.CERTIFICATE_EXPIRED),
    "custom length read as decimal text": ("length as decimal text", Reason.LENGTH_WRONG),
    "freshness tried eight hours early": ("eight hours early", Reason.CODE_EXPIRED),
    "freshness tried eight hours late": ("eight hours late", Reason.CODE_FROM_FUTURE),
    "future never checked": ("code from the future", Reason.CODE_FROM_FUTURE),
    "custom field and issuer signature in the other order": ("custom field swapped", Reason.SIGNATURE_MARK_WRONG),
    "an epoch of the year 2000": ("epoch of the year 2000", Reason.CODE_EXPIRED),
}


@pytest.mark.parametrize("bug", PUBLISHED_BUGS)
def test_published_bug(bug: str) -> None:
    """A code that a public validator is known to take is refused here, with its own reason."""
    fault, expected = PUBLISHED_BUGS[bug]
    phone = Phone(authorised_from_s=NOW_S - 3600) if fault.startswith("epoch") else Phone()
    assert reason(FAULTS[fault](phone, NOW_S)) is expected


def test_published_bug_ceiling_read_as_two_bytes() -> None:
    """The ceiling has three bytes: 01 00 00 is 655.36 yuan, not nothing."""
    claim = tokens.verify(FAULTS["ceiling of two bytes"](Phone(), NOW_S), with_issuer(), instant())
    assert isinstance(claim, Credential) and claim.ceiling_fen == 0x010000


def test_published_bug_ceiling_not_enforced() -> None:
    """A fare above the ceiling is refused by check 15."""
    code = Phone(ceiling_fen=199).code(NOW_S)
    found = ride_code_checks.explain(code, with_issuer(), instant(), State(service="fare"))
    assert found.checks[14].reason is Reason.OVER_CEILING


OTHER_FAULTS = {
    "forged user signature": Reason.HOLDER_SIGNATURE_BAD,
    "negated s": Reason.HOLDER_SIGNATURE_BAD,
    "expired code": Reason.CODE_EXPIRED,
    "generated after authorisation": Reason.GENERATED_AFTER_AUTHORISATION,
    "unknown root": Reason.ROOT_KEY_UNKNOWN,
    "unknown issuer": Reason.ISSUER_NOT_ACCEPTED,
    "unknown platform": Reason.ISSUER_NOT_ACCEPTED,
    "certificate of another issuer": Reason.CERTIFICATE_ISSUER_MISMATCH,
    "version not allowed": Reason.VERSION_NOT_ALLOWED,
    "certificate header": Reason.CERTIFICATE_MALFORMED,
    "certificate format": Reason.CERTIFICATE_MALFORMED,
    "certificate month thirteen": Reason.CERTIFICATE_MALFORMED,
    "issuer mark": Reason.SIGNATURE_MARK_WRONG,
    "user mark": Reason.SIGNATURE_MARK_WRONG,
    "ceiling raised": Reason.ISSUER_SIGNATURE_BAD,
    "validity raised": Reason.ISSUER_SIGNATURE_BAD,
    "length wrong": Reason.LENGTH_WRONG,
    "truncated": Reason.LENGTH_WRONG,
    "trailing byte": Reason.LENGTH_WRONG,
    "user key off the curve": Reason.ISSUER_SIGNATURE_BAD,
    "zero signature": Reason.HOLDER_SIGNATURE_BAD,
}


@pytest.mark.parametrize("fault", OTHER_FAULTS)
def test_fault(fault: str) -> None:
    """Each way of being wrong has its own reason."""
    assert reason(FAULTS[fault](Phone(), NOW_S)) is OTHER_FAULTS[fault]


def test_every_fault_the_phone_knows_is_tested() -> None:
    """A new fault cannot be forgotten here."""
    named = {fault for fault, _ in PUBLISHED_BUGS.values()} | set(OTHER_FAULTS) | {"ceiling of two bytes"}
    assert named == set(FAULTS)


@pytest.mark.parametrize(
    ("sentence", "after_s", "validity_s", "expected"),
    [
        ("as early as the skew allows", -10, 60, None),
        ("a second earlier", -11, 60, Reason.CODE_FROM_FUTURE),
        ("at the end of its validity and the skew", 70, 60, None),
        ("a second later", 71, 60, Reason.CODE_EXPIRED),
        ("a long validity is clamped", 130, 600, None),
        ("a second after the clamp", 131, 600, Reason.CODE_EXPIRED),
    ],
)
def test_freshness(sentence: str, after_s: int, validity_s: int, expected: Reason | None) -> None:
    """gen − skew ≤ now ≤ gen + min(validity, clamp) + skew, both ends included."""
    assert reason(Phone(validity_s=validity_s).code(NOW_S), instant(after_s)) is expected, sentence


def test_a_certificate_ends_with_its_month_in_the_issuers_zone() -> None:
    """MMYY 01/27 is good to the last second of January at UTC+8, and not a second longer."""
    issuer = Issuer(expiry="0127")
    end_ms = month_end_ms(1, 2027, 480)
    for after_ms, expected in ((0, None), (1, Reason.CERTIFICATE_EXPIRED)):
        at = Instant(utc_ms=end_ms + after_ms, uncertainty_ms=0, source=instant().source, monotonic_ns=0)
        phone = Phone(issuer=issuer, authorised_from_s=end_ms // 1000 - 3600)
        assert reason(phone.code(end_ms // 1000), at, with_issuer(issuer)) is expected


def test_another_certificate_issuer_may_be_allowed_by_policy() -> None:
    """Check 7 is policy: a clearing body may certify for its members."""
    row = demo_issuer().row()
    lenient = msgspec.structs.replace(row, certificate_issuer_may_differ=True)
    code = FAULTS["certificate of another issuer"](Phone(), NOW_S)
    assert (
        reason(code, known=parameters(issuers=Issuers(ride_code=(lenient,)))) is not Reason.CERTIFICATE_ISSUER_MISMATCH
    )


def test_a_root_that_is_no_point_vouches_for_nothing() -> None:
    """A ruined root key in the parameters refuses every code of that root."""
    row = demo_issuer().row()
    ruined = msgspec.structs.replace(row, roots={"17": "02" + "00" * 31 + "05"})
    assert (
        reason(Phone().code(NOW_S), known=parameters(issuers=Issuers(ride_code=(ruined,)))) is Reason.ROOT_KEY_UNKNOWN
    )


def test_verified_certificates_live_and_die_with_their_parameter_set() -> None:
    """A certificate is verified once a set; the cache is bounded."""
    known = with_issuer()
    assert reason(Phone().code(NOW_S), known=known) is None
    kept = len(known.verified)
    assert kept > 0 and reason(Phone(name="other").code(NOW_S), known=known) is None
    assert len(known.verified) == kept
    known.verified.clear()
    known.verified.update({number.to_bytes(2): True for number in range(ride_code_checks.VERIFIED_LIMIT)})
    assert reason(Phone().code(NOW_S), known=known) is None
    assert len(known.verified) < ride_code_checks.VERIFIED_LIMIT


def test_the_same_second_signed_twice_is_the_same_use() -> None:
    """Other bytes, same twin: replay by re-signing is caught by (account, generation time)."""
    phone, known = Phone(), with_issuer()
    first = tokens.verify(phone.code(NOW_S), known, instant())
    again = tokens.verify(phone.code(NOW_S, again=1), known, instant())
    assert isinstance(first, Credential) and isinstance(again, Credential)
    assert first.code_keys != again.code_keys
    assert first.twin_keys == again.twin_keys


@pytest.mark.parametrize("sample", range(2), ids=["plain", "linked"])
def test_every_single_bit_flip_is_refused(sample: int) -> None:
    """Whatever bit is flipped, no part of the code escapes its signatures."""
    code = [Phone().code(NOW_S), Phone(account_link=LINK).code(NOW_S)][sample]
    known = with_issuer()
    assert reason(code, known=known) is None
    for bit in range(len(code) * 8):
        flipped = bytearray(code)
        flipped[bit // 8] ^= 1 << bit % 8
        assert reason(bytes(flipped), known=known) is not None, bit


def test_every_truncation_is_refused() -> None:
    """A code cut short anywhere is refused, down to nothing."""
    code, known = Phone(account_link=LINK).code(NOW_S), with_issuer()
    assert reason(code, known=known) is None
    for length in range(len(code)):
        assert reason(code[:length], known=known) is not None, length


@given(st.binary(max_size=400), st.integers(0, 331))
def test_no_bytes_raise(noise: bytes, at: int) -> None:
    """Any bytes, also in the middle of a good code, are answered with a reason."""
    code = Phone().code(NOW_S)
    known = with_issuer()
    assert isinstance(tokens.verify(noise, known, instant()), Refusal)
    changed = code[:at] + noise + code[at + len(noise) :]
    assert changed == code or isinstance(tokens.verify(changed, known, instant()), Refusal)


# --------------------------------------------------------------------------- the table and explaining


def test_the_table_has_eighteen_rows_with_reasons_of_their_own() -> None:
    """Eighteen checks, numbered in order, no reason shared, each naming who judges."""
    numbers = [check.number for check in ride_code_checks.CHECKS]
    reasons = [reason for check in ride_code_checks.CHECKS for reason in check.reasons]
    assert numbers == list(range(1, 19))
    assert len(reasons) == len(set(reasons))
    assert all(check.judged_by for check in ride_code_checks.CHECKS)


def results(code: bytes, state: State | None = None, **changes: Any) -> dict[int, Result]:
    """How each check went."""
    found = ride_code_checks.explain(code, with_issuer(**changes), instant(), state)
    return {check.number: check.result for check in found.checks}


def test_explaining_a_good_code_leaves_what_needs_a_fare_or_a_history() -> None:
    """Without them three are not applicable; the deny list is there."""
    found = results(Phone().code(NOW_S))
    left = [number for number, result in found.items() if result is Result.NOT_APPLICABLE]
    assert left == [15, 17, 18]
    assert set(found.values()) == {Result.PASS, Result.NOT_APPLICABLE}


def test_explaining_goes_on_after_a_failure() -> None:
    """A forged, expired code fails in both places at once."""
    found = results(FAULTS["forged user signature"](Phone(), NOW_S - 600))
    assert (found[11], found[14], found[10]) == (Result.FAIL, Result.FAIL, Result.PASS)


def test_explaining_with_state_judges_all_eighteen() -> None:
    """With service and history every row is judged."""
    phone, known = Phone(), with_issuer()
    claim = tokens.verify(phone.code(NOW_S), known, instant())
    assert isinstance(claim, Credential)
    taken = use(code_key=claim.code_keys[0], medium=claim.medium_refs[0])
    for past, expected in (
        (History(), Result.PASS),
        (History(same_code=(taken,), same_party=(taken,) * 4), Result.FAIL),
    ):
        found = results(phone.code(NOW_S), State(service="fare", history=past))
        assert {found[15], found[16]} == {Result.PASS}
        assert {found[17], found[18]} == {expected}


def test_explaining_pass_back_knows_the_run() -> None:
    """What was ridden before the bus turned round is on another run."""
    phone, known = Phone(), with_issuer()
    claim = tokens.verify(phone.code(NOW_S), known, instant())
    assert isinstance(claim, Credential)
    past = History(same_party=(use("other", medium=claim.medium_refs[0]),) * 4)
    for run_ms, expected in ((0, Result.FAIL), (NOW_S * 1000, Result.FAIL), (NOW_S * 1000 + 1, Result.PASS)):
        found = results(phone.code(NOW_S), State(service="fare", history=past, run_ms=run_ms))
        assert found[18] is expected


def test_explaining_names_a_block() -> None:
    """A blocked account fails check 16, by the scopes of the service's product; by any where none is named."""
    known = with_issuer()
    claim = tokens.verify(Phone().code(NOW_S), known, instant())
    assert isinstance(claim, Credential)
    row = Block(ref=claim.medium_refs[0].hex(), scopes=(BlockScope.PAYMENT,))
    blocks = {claim.medium_refs[0]: (row,)}
    assert results(Phone().code(NOW_S), State(service="fare"), blocks_of=blocks)[16] is Result.FAIL
    assert results(Phone().code(NOW_S), blocks_of=blocks)[16] is Result.FAIL
    elsewhere = {claim.medium_refs[0]: (msgspec.structs.replace(row, scopes=(BlockScope.PURSE,)),)}
    assert results(Phone().code(NOW_S), State(service="fare"), blocks_of=elsewhere)[16] is Result.PASS


def test_the_verdict_is_the_first_check_that_failed() -> None:
    """Also one that no lane asks before it knows the fare."""
    poor = Phone(ceiling_fen=1).code(NOW_S)
    assert isinstance(tokens.verify(poor, with_issuer(), instant()), Credential)
    found = ride_code_checks.explain(poor, with_issuer(), instant(), State(service="fare"))
    assert found.verdict == "over_ceiling"
    assert ride_code_checks.explain(poor, with_issuer(), instant()).verdict == "verified"


@pytest.mark.parametrize(
    ("fault", "applies_not"),
    [("unknown issuer", {4, 5, 6, 10, 11, 14}), ("unknown root", {5}), ("certificate month thirteen", {6})],
)
def test_explaining_says_what_cannot_be_judged(fault: str, applies_not: set[int]) -> None:
    """What needs an unknown key or row is n/a, not a pass."""
    found = results(FAULTS[fault](Phone(), NOW_S), State(service="fare", history=History()))
    assert {number for number in range(1, 15) if found[number] is Result.NOT_APPLICABLE} == applies_not


def test_explaining_what_is_no_code_at_all() -> None:
    """A wrong length fails the first check and leaves the rest."""
    found = ride_code_checks.explain(Phone().code(NOW_S)[:-1], with_issuer(), instant())
    assert found.fields == () and found.verdict == "length_wrong"
    assert [check.result for check in found.checks[:2]] == [Result.FAIL, Result.NOT_APPLICABLE]


def test_sensitive_fields_are_marked() -> None:
    """Accounts, keys and signatures are marked for masking; issuers and times are not."""
    found = ride_code_checks.explain(Phone().code(NOW_S), with_issuer(), instant())
    marked = {field.name for field in found.fields if field.sensitive}
    assert {"4 payment account", "5 transit account", "14 custom"} <= marked
    assert not {"6 issuer", "16 generated"} & marked


def test_golden_codes_still_verify() -> None:
    """Codes kept from an earlier version keep their meaning: the wire format has not moved."""
    for name, golden in json.loads(GOLDEN.read_text()).items():
        code = bytes.fromhex(golden["code"])
        at = Instant(utc_ms=golden["at_s"] * 1000, uncertainty_ms=0, source=instant().source, monotonic_ns=0)
        known = parameters(ADULT, issuers=Issuers(ride_code=tuple(issuer.row() for issuer in PROFILES.values())))
        assert reason(code, at, known) is None, name
        parsed = ride_code.parse(code)
        assert parsed is not None and parsed.account.hex() == golden["account"]


def test_recognition_needs_more_than_a_length() -> None:
    """332 bytes of anything are not a ride code."""
    assert not ride_code.recognise(b"\x7f" + bytes(331))
    assert not ride_code.recognise(b"\x80" + bytes(331))
    assert not ride_code.recognise(b"\x80")


def test_a_user_key_that_is_no_point_signs_nothing() -> None:
    """Also when the issuer signed for it: an issuer's mistake opens no gate."""

    class NoPoint:
        public = b"\x02" + bytes(31) + b"\x05"
        sign = SigningKey.named(0, "somebody").sign

    phone = Phone()
    phone.key = NoPoint()  # type: ignore[assignment]  # a key that is none
    assert reason(phone.code(NOW_S)) is Reason.HOLDER_SIGNATURE_BAD
