"""Issuing again: whole, under the first name, a few times at most."""

import pytest

from terminal.core.entries import NO_HASH, Reissued, link
from terminal.core.model import EntryName
from terminal.core.reissuing import CURABLE, kept_as, reissue
from tests.core.test_entries import EPOCH, START, chain
from tests.journal_cases import draft


def test_issued_again() -> None:
    """The entry is carried whole under its old name, and never wrapped twice."""
    (stored,) = chain(1)
    fact = reissue(stored.name, stored.data)
    assert fact == Reissued(was=stored.name, data=stored.data)
    _, carrier, _ = link(draft(fact), "T1", START, NO_HASH)
    again = reissue(EntryName(epoch=EPOCH, sequence=9), carrier)
    assert again == Reissued(was=stored.name, data=stored.data, times=2)
    assert reissue(stored.name, b"no entry") == Reissued(was=stored.name, data=b"no entry")


@pytest.mark.parametrize("reason", ["conflict", "chain_broken", "behind damage", "unreadable"])
def test_what_is_refused_again_and_again_is_issued_again_a_few_times(reason: str) -> None:
    """Then it stays in quarantine, where a person finds it; what is refused for what it says stays there at once."""
    (stored,) = chain(1)
    data, kept = stored.data, list[str]()
    for _ in range(5):
        kept.append(kept_as(reason, data))
        _, data, _ = link(draft(reissue(stored.name, data)), "T1", START, NO_HASH)
    assert [one in CURABLE for one in kept] == [reason != "unreadable"] * 3 + [False] * 2
    assert kept_as(reason, b"no entry") == reason
