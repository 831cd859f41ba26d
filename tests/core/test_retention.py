"""What may be forgotten, as a table."""

import pytest

from terminal.core.retention import DAY_MS, MIB, RetentionRules, forget_before_ms

NOW = 1_800_000_000_000
HISTORY = NOW - 3_600_000


@pytest.mark.parametrize(
    ("why", "rules", "size", "full", "before_ms"),
    [
        ("thirty-five days unless told", RetentionRules(), 9 * MIB, False, NOW - 35 * DAY_MS),
        ("longer where a site wishes", RetentionRules(keep_days=90), 9 * MIB, False, NOW - 90 * DAY_MS),
        ("never less, whatever is asked", RetentionRules(keep_days=1), 9 * MIB, False, NOW - 35 * DAY_MS),
        ("below the stated size age decides", RetentionRules(largest_mib=9), 9 * MIB, False, NOW - 35 * DAY_MS),
        ("beyond it only history stays", RetentionRules(largest_mib=9), 9 * MIB + 1, False, HISTORY),
        ("a full disk has reached its size", RetentionRules(), 1, True, HISTORY),
    ],
)
def test_what_may_go(why: str, rules: RetentionRules, size: int, full: bool, before_ms: int) -> None:
    assert forget_before_ms(rules, NOW, HISTORY, size, full=full) == before_ms, why


def test_history_that_reaches_further_back_stays() -> None:
    """A pass-back window of forty days needs uses of forty days."""
    assert forget_before_ms(RetentionRules(), NOW, NOW - 40 * DAY_MS, 1, full=False) == NOW - 40 * DAY_MS
