"""How long entries stay on the terminal after head office has signed for them.

Laws of this file:
- Nothing without a receipt is ever forgotten; what has one stays for `keep_days`, never less than 35.
- Where a site states a size, or the disk is full, the oldest go earlier: a gate that stays shut for the sake of what
  head office holds already serves nobody. What history may still be asked for stays all the same.
"""

from terminal.core.model import Value

DAY_MS = 86_400_000
LEAST_DAYS = 35
MIB = 1 << 20


class RetentionRules(Value, frozen=True):
    """`[journal]` of a site's configuration."""

    keep_days: int = LEAST_DAYS
    largest_mib: int = 0  # 0: no size is stated


def forget_before_ms(rules: RetentionRules, now_ms: int, history_ms: int, size: int, *, full: bool) -> int:
    """Receipted entries made before this may go. `history_ms`: the oldest use that may still matter."""
    if full or (rules.largest_mib and size > rules.largest_mib * MIB):
        return history_ms
    return min(history_ms, now_ms - max(rules.keep_days, LEAST_DAYS) * DAY_MS)
