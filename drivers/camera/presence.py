"""Which codes in a stream of pictures are presentations: each once, for as long as it is held out.

Laws of this file:
- Pure: pictures come with their moments; nothing here reads a clock.
- A code is handed over once until it has left: `MISSES` pictures in a row, over `leaves_s`, do not hold it. Pictures
  nobody looked at, because nothing moved, say nothing about it: a phone that lies still has not left.
- At a gate one picture never opens for two: two codes in it are refused, once, and neither is taken until it has been
  alone for `alone_s`. What has been lying there for `scenery_s`, such as a poster, makes no other code ambiguous.
- What the lane could not finish is handed over again, at most once in `again_s`, while it is still there.
"""

from collections.abc import Collection
from dataclasses import dataclass

from terminal.core.model import Reason

MISSES = 3  # a phone that lies still is looked at once a second, and not read each time
MOST = 64  # codes remembered; a picture holds at most eight


@dataclass
class _Held:
    """One code in view."""

    since_ns: int
    seen_ns: int
    given: bool = False  # handed over
    missed_ns: int = 0  # since when pictures show it no more
    misses: int = 0  # how many


class Presence:
    """What is being held out to one camera."""

    def __init__(
        self,
        *,
        several: bool,
        leaves_s: float = 0.8,
        alone_s: float = 0.3,
        again_s: float = 0.5,
        scenery_s: float = 30.0,
    ) -> None:
        self._several = several  # a kiosk's table of books: every code counts
        self._leaves_ns, self._alone_ns, self._again_ns, self._scenery_ns = (
            round(seconds * 1e9) for seconds in (leaves_s, alone_s, again_s, scenery_s)
        )
        self._held: dict[bytes, _Held] = {}
        self._last_ns = 0
        self._given_ns = 0
        self._again = False
        self._together_ns: int | None = None  # when two codes were last in one picture

    def look(self, payloads: Collection[bytes], at_ns: int) -> list[bytes | Reason]:
        """What is newly presented by a picture that arrived at `at_ns`. A picture older than the last says nothing."""
        if at_ns < self._last_ns:
            return []
        self._last_ns = at_ns
        self._note(payloads, at_ns)
        if self._several:
            return self._give(payloads, at_ns)
        fresh = [payload for payload in dict.fromkeys(payloads) if not self._is_scenery(payload, at_ns)]
        if len(fresh) > 1:
            return self._refuse(at_ns)
        return [] if self._is_crowded(fresh, at_ns) else self._give(fresh or payloads, at_ns)

    def again(self) -> None:
        """The lane could not finish: hand over once more what still lies there."""
        self._again = True

    def _note(self, payloads: Collection[bytes], at_ns: int) -> None:
        """Who is there, and who has left: missing for long enough, also when it is back in this picture."""
        for payload, held in list(self._held.items()):
            if held.misses >= MISSES and at_ns - held.missed_ns >= self._leaves_ns:
                del self._held[payload]
            elif payload not in payloads:
                held.missed_ns = held.missed_ns if held.misses else at_ns
                held.misses += 1
        for payload in payloads:
            if payload in self._held or len(self._held) < MOST:
                held = self._held.setdefault(payload, _Held(at_ns, at_ns))
                held.seen_ns, held.misses = at_ns, 0

    def _give(self, payloads: Collection[bytes], at_ns: int) -> list[bytes | Reason]:
        again = self._again and at_ns - self._given_ns >= self._again_ns
        due = [
            payload
            for payload in dict.fromkeys(payloads)
            if (held := self._held.get(payload)) is not None and (again or not held.given)
        ]
        for payload in due:
            self._held[payload].given = True
        if due:
            self._given_ns, self._again = at_ns, False
        return list[bytes | Reason](due)

    def _refuse(self, at_ns: int) -> list[bytes | Reason]:
        """Two codes at a gate: told once for as long as it lasts."""
        told = self._together_ns is not None and at_ns - self._together_ns < self._leaves_ns
        self._together_ns = at_ns
        return [] if told else [Reason.TWO_CODES]

    def _is_crowded(self, payloads: Collection[bytes], at_ns: int) -> bool:
        """Whether another code was there a moment ago."""
        return any(
            at_ns - held.seen_ns < self._alone_ns and not self._is_scenery(payload, at_ns)
            for payload, held in self._held.items()
            if payload not in payloads
        )

    def _is_scenery(self, payload: bytes, at_ns: int) -> bool:
        held = self._held.get(payload)
        return held is not None and held.given and at_ns - held.since_ns >= self._scenery_ns
