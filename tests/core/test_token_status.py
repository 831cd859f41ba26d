"""The token status list: index to value, and value to reason."""

import base64
import json
import zlib
from pathlib import Path

import pytest

from terminal.core import token_status
from terminal.core.model import Reason
from tests.core.cases import parameters

PUBLISHED = Path(__file__).parent.parent.parent.parent / "shared" / "vectors" / "status-list.json"


def test_indexes_count_from_the_least_significant_bit() -> None:
    """The draft's own example: 1 bit, bytes B9 A3."""
    bits = [token_status.value_at(1, bytes.fromhex("b9a3"), index) for index in range(16)]
    assert bits == [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]


def test_two_bits_an_entry() -> None:
    """The draft's second example: C9 44 F9."""
    values = [token_status.value_at(2, bytes.fromhex("c944f9"), index) for index in range(12)]
    assert values == [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]


@pytest.mark.parametrize(
    ("index", "reason"),
    [
        (0, Reason.STATUS_REVOKED),
        (1, Reason.STATUS_SUSPENDED),
        (2, None),
        (3, Reason.STATUS_UNKNOWN),
        (12, Reason.STATUS_UNKNOWN),
        (-1, Reason.STATUS_UNKNOWN),
    ],
)
def test_refusal(index: int, reason: Reason | None) -> None:
    """Invalid, suspended, valid, of no known meaning, and out of range."""
    assert (
        token_status.refusal(parameters(status_lists={"main": (2, bytes.fromhex("c944f9"))}), "main", index) is reason
    )


def test_an_unknown_list_is_refused() -> None:
    """A token that names a list we do not have cannot be judged."""
    assert token_status.refusal(parameters(), "main", 0) is Reason.STATUS_UNKNOWN


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published vectors are not part of this repository")
def test_published_vectors() -> None:
    """Every listed index of the draft's vectors has the listed value."""
    checked = 0
    for vector in json.loads(PUBLISHED.read_text())["vectors"]:
        packed = vector["json_lst_base64url"]
        array = zlib.decompress(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
        for index, value in vector["expected"].items():
            assert token_status.value_at(vector["bits"], array, int(index)) == int(value)
            checked += 1
    assert checked
