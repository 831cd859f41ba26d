"""The same code still lying in front of the same reader is silence, not another presentation.

Laws of this file:
- Within the window since it was last *seen* a code is silent, however long it lies there.
- What was not finished (a busy gate, a board that did not answer, an annul) is forgotten, so that it is asked again.
- Silence is counted, never journalled one by one.
"""

from terminal.core.model import Presentation


class Attention:
    """What one reader saw last."""

    def __init__(self) -> None:
        self._payload: bytes | None = None
        self._seen_ns = 0
        self.silent = 0

    def is_still_there(self, presentation: Presentation, silence_s: int) -> bool:
        """Whether this is the same code within the window; notes the sighting either way."""
        since_ns = presentation.at.monotonic_ns - self._seen_ns
        same = presentation.payload == self._payload and since_ns < silence_s * 1_000_000_000
        self._payload, self._seen_ns = presentation.payload, presentation.at.monotonic_ns
        self.silent += same
        return same

    def forget(self) -> None:
        """Let the same code be asked again at once."""
        self._payload = None
