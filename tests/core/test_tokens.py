"""Recognising formats: by content, never by length alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal.core import tokens
from terminal.core.model import Reason, Refusal, Verdict
from terminal.core.tokens.explanation import Result
from tests.core.cases import instant, parameters


@pytest.mark.parametrize(
    ("sentence", "payload", "verdict", "reason"),
    [
        ("nothing", b"", Verdict.DENY, Reason.MALFORMED),
        ("one byte", b"6", Verdict.DENY, Reason.MALFORMED),
        ("two bytes", b"62", Verdict.DENY, Reason.MALFORMED),
        ("larger than any code", b"x" * 2954, Verdict.DENY, Reason.MALFORMED),
        ("332 bytes of nothing", bytes(332), Verdict.DENY, Reason.UNKNOWN_FORMAT),
        ("a short word", b"hello", Verdict.DENY, Reason.UNKNOWN_FORMAT),
        ("a link", b"https://example.org/?a=1&b=2", Verdict.DENY, Reason.UNKNOWN_FORMAT),
        ("escape sequences", b"\x1b[2J\x1b]0;open\x07" * 3, Verdict.DENY, Reason.UNKNOWN_FORMAT),
        ("payment code", b"6225000000000000000", Verdict.REFER, Reason.ONLINE_ONLY_PAYMENT),
        ("payment code, shortest", b"62" + b"1" * 14, Verdict.REFER, Reason.ONLINE_ONLY_PAYMENT),
        ("too short for a payment code", b"62" + b"1" * 13, Verdict.DENY, Reason.UNKNOWN_FORMAT),
        ("28 digits beginning 62 are a payment code", b"62" + b"1" * 26, Verdict.REFER, Reason.ONLINE_ONLY_PAYMENT),
        ("medical code", b"3" + b"42400000000000000000" + b"1100000", Verdict.REFER, Reason.ONLINE_ONLY_MEDICAL),
        ("27 characters are no medical code", b"3" + b"a" * 26, Verdict.REFER, Reason.ONLINE_ONLY_SOCIAL_SECURITY),
        ("opaque social security code", b"SSC.e3b0c44298fc1c149afb", Verdict.REFER, Reason.ONLINE_ONLY_SOCIAL_SECURITY),
        ("words without a number", b"please-let-me-through-now", Verdict.DENY, Reason.UNKNOWN_FORMAT),
    ],
)
def test_recognised(sentence: str, payload: bytes, verdict: Verdict, reason: Reason) -> None:
    """Each kind of payload is answered with its own reason, and none of these is granted."""
    claim = tokens.verify(payload, parameters(), instant())
    assert isinstance(claim, Refusal)
    assert (claim.verdict, claim.reason) == (verdict, reason), sentence


@given(st.binary(max_size=64))
def test_formats_do_not_overlap(payload: bytes) -> None:
    """No payload is claimed by two formats."""
    assert sum(found.recognise(payload) for found in tokens.FORMATS) <= 1


@given(st.binary(max_size=3000))
def test_no_bytes_raise(payload: bytes) -> None:
    """Whatever is held out, verifying and explaining answer."""
    assert isinstance(tokens.verify(payload, parameters(), instant()), Refusal)
    assert tokens.explain(payload, parameters(), instant()).verdict


def test_what_only_looks_can_tell_is_explained_by_looks() -> None:
    """An online code shows its length, and masks itself."""
    found = tokens.explain(b"6225000000000000000", parameters(), instant())
    assert found.format == "online_only" and found.fields[1].sensitive
    assert [check.result for check in found.checks] == [Result.PASS, Result.FAIL]
    assert found.verdict == "online_only_payment"


def test_an_unknown_payload_is_explained_as_unknown() -> None:
    """Also one that is too long to look at."""
    for payload in (b"hello", b"x" * 5000):
        found = tokens.explain(payload, parameters(), instant())
        assert found.format == "unknown"
        assert [check.result for check in found.checks] == [Result.FAIL]
