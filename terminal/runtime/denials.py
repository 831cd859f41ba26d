"""A flood of denials is summed: somebody waving rubbish must not fill the disk.

Laws of this file:
- At most five denials a second and lane have an entry of their own; the rest are one entry a second, by reason.
- Nothing is dropped: own entries and sums together count every denial.
- Silence (the same code still lying there) is told along with a sum, never by itself.
- No clock here: whoever calls says when.
"""

from collections import Counter

from terminal.core.entries import DenialsSummed
from terminal.core.model import Reason

OWN_ENTRIES = 5  # a second
SECOND_NS = 1_000_000_000


class Denials:
    """One lane's denials of the present second."""

    def __init__(self, lane: str) -> None:
        self._lane = lane
        self._began_ns = -SECOND_NS
        self._own = 0
        self._counts: Counter[Reason] = Counter()

    def is_summed(self, reason: Reason, now_ns: int) -> bool:
        """Whether this denial is counted instead of getting its own entry. Ask `due` first."""
        if now_ns - self._began_ns >= SECOND_NS and not self._counts:
            self._began_ns, self._own = now_ns, 0
        if self._own < OWN_ENTRIES:
            self._own += 1
            return False
        self._counts[reason] += 1
        return True

    def due(self, now_ns: int, silent: int = 0) -> DenialsSummed | None:
        """The sum to write once its second is over; taken out when given. `silent`: sightings since the last sum."""
        if not self._counts or now_ns - self._began_ns < SECOND_NS:
            return None
        summed = DenialsSummed(
            lane=self._lane, counts={reason.value: count for reason, count in self._counts.items()}, silent=silent
        )
        self._counts.clear()
        return summed

    @property
    def is_counting(self) -> bool:
        """Whether a sum is still to be written."""
        return bool(self._counts)

    def restore(self, summed: DenialsSummed) -> None:
        """Its entry could not be written: count it with the next."""
        self._counts.update({Reason(reason): count for reason, count in summed.counts.items()})
