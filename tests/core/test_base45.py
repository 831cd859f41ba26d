"""Base45 by RFC 9285, strictly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal.core.tokens import base45


@pytest.mark.parametrize(
    ("plain", "text"),
    [(b"AB", b"BB8"), (b"Hello!!", b"%69 VD92EX0"), (b"base-45", b"UJCLQE7W581"), (b"ietf!", b"QED8WEX0")],
)
def test_examples_of_the_rfc(plain: bytes, text: bytes) -> None:
    """RFC 9285, 4.3 and 4.4."""
    assert base45.encode(plain) == text
    assert base45.decode(text) == plain


@given(st.binary(max_size=200))
def test_what_is_encoded_is_decoded(data: bytes) -> None:
    """Any bytes come back."""
    assert base45.decode(base45.encode(data)) == data


@pytest.mark.parametrize("text", [b"GGW", b"A", b"AAAA", b"bb8", b"B_8", b":::", b"::", b"ZZ9Z"], ids=str)
def test_what_no_encoder_writes_is_refused(text: bytes) -> None:
    """Groups out of range, lower case, a lone character."""
    assert base45.decode(text) is None
