"""A flood of denials keeps the journal small and loses no count."""

from hypothesis import given
from hypothesis import strategies as st

from terminal.core.model import Reason
from terminal.runtime.denials import SECOND_NS, Denials

A, B = Reason.MALFORMED, Reason.CODE_EXPIRED


def test_five_then_a_sum() -> None:
    """Five denials a second have their own entry; the rest are one entry when the second is over."""
    denials = Denials("gate")
    assert [denials.is_summed(A, number) for number in range(8)] == [False] * 5 + [True] * 3
    assert denials.is_summed(B, 9)
    assert denials.due(SECOND_NS - 1) is None
    summed = denials.due(SECOND_NS, silent=4)
    assert summed is not None and (summed.counts, summed.silent) == ({"malformed": 3, "code_expired": 1}, 4)
    assert denials.due(2 * SECOND_NS) is None
    assert not denials.is_summed(A, 2 * SECOND_NS)


def test_restored() -> None:
    """A sum that could not be written is counted with the next one."""
    denials = Denials("gate")
    for number in range(7):
        denials.is_summed(A, number)
    summed = denials.due(SECOND_NS)
    assert summed is not None
    denials.restore(summed)
    assert denials.due(SECOND_NS) == summed


@given(st.lists(st.tuples(st.integers(0, SECOND_NS), st.sampled_from([A, B])), max_size=200))
def test_nothing_is_lost(steps: list[tuple[int, Reason]]) -> None:
    """Own entries and sums count every denial, and no second has more than five entries of its own."""
    denials, now, own, summed = Denials("gate"), 0, [], 0
    for after, reason in steps:
        now += after
        if (done := denials.due(now)) is not None:
            summed += sum(done.counts.values())
        if not denials.is_summed(reason, now):
            own.append(now)
    if (done := denials.due(now + SECOND_NS)) is not None:
        summed += sum(done.counts.values())
    assert len(own) + summed == len(steps)
