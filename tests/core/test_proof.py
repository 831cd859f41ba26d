"""Six characters that lead back to one entry."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal.core import proof
from terminal.core.model import EntryName

EPOCH = bytes.fromhex("00112233445566ff")


@given(st.binary(min_size=8, max_size=8), st.integers(1, proof.COUNT - 1))
def test_a_proof_leads_back(epoch: bytes, sequence: int) -> None:
    """As it was shown, and as a person types it."""
    shown = proof.proof_of(EntryName(epoch=epoch, sequence=sequence))
    assert len(shown) == proof.LENGTH and proof.is_proof(shown)
    typed = f" {shown[:3].lower()}-{shown[3:]} "
    assert proof.sequence_of(shown, epoch) == proof.sequence_of(typed, epoch) == sequence


def test_no_two_entries_of_an_epoch_share_one() -> None:
    """Nor do neighbours look alike."""
    shown = [proof.proof_of(EntryName(epoch=EPOCH, sequence=number)) for number in range(1, 20_001)]
    assert len(set(shown)) == len(shown)
    alike = [sum(a == b for a, b in zip(one, next, strict=True)) for one, next in pairwise(shown)]
    assert max(alike) <= 3


def test_another_epoch_has_other_proofs() -> None:
    """The same number after a restored disk is another tap."""
    name = EntryName(epoch=EPOCH, sequence=7)
    assert proof.proof_of(name) != proof.proof_of(EntryName(epoch=bytes(8), sequence=7))


@pytest.mark.parametrize("typed", ["", "7KD2X", "7KD2XQQ", "7KD2X0", "7KD2XI", "７KD2XQ", "ABCDEF"])
def test_what_is_no_proof(typed: str) -> None:
    """Too short, too long, or with a letter that is in none."""
    assert not proof.is_proof(typed)
    with pytest.raises(ValueError, match="six characters"):
        proof.sequence_of(typed, EPOCH)


def test_nothing_in_it_is_mistaken() -> None:
    """Of every pair that looks alike one is left out; without vowels there is no word."""
    assert len(set(proof.ALPHABET)) == len(proof.ALPHABET)
    assert not set("01OILSZBUVAE") & set(proof.ALPHABET)
