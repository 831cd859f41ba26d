"""What has come of a stream and was not used yet: one buffer, looked through, taken from.

Laws of this file:
- One read takes all that has come, into a buffer that stays: a read costs more than the bytes it brings.
- How long to wait is the caller's choice. What cannot be had in that time is NotYet; `back` undoes what was begun,
  `keep` lets go of what is done.
- Bounded: nothing is looked for farther away than the caller says.
"""

import re
import time
from collections.abc import Callable

ROOM = 1 << 19  # bytes to begin with: several pictures
LEAST = 1 << 16  # bytes free for a read
Read = Callable[
    [memoryview, bool], int | None
]  # fills in what has come, or waits a while for it; None: nothing, 0: end


class NotYet(Exception):
    """It has not come."""


class Inlet:
    """The bytes that come, in order. Their end is EOFError."""

    def __init__(self, read: Read, first: bytes = b"") -> None:
        """`first` came before."""
        self.until_s = 0.0  # how long to wait, time.monotonic(); 0: not even read
        self._read = read
        self._held = bytearray(first).ljust(ROOM)
        self._begin, self._at, self._end = 0, 0, len(first)  # what `back` goes back to; what is next; what has come

    def past(self, what: re.Pattern[bytes], longest: int, most: int) -> re.Match[bytes]:
        """Go behind the next match, which has at most `most` bytes. Raises ValueError beyond `longest`."""
        start, found = self._find(what, longest, most, 0)
        self._at += start + len(found[0])
        return found

    def up_to(self, what: re.Pattern[bytes], longest: int, most: int) -> bytes:
        """The bytes before the next match, which may begin with the last byte that was gone past."""
        start, _ = self._find(what, longest, most, min(1, self._at - self._begin))
        return self.take(max(0, start))

    def take(self, length: int) -> bytes:
        """So many bytes."""
        while self._end - self._at < length:
            self._wait()
        self._at += length
        return bytes(memoryview(self._held)[self._at - length : self._at])

    def keep(self) -> None:
        """What was gone past is not needed again."""
        self._begin = self._at
        if self._begin == self._end:
            self._begin = self._at = self._end = 0

    def back(self) -> None:
        """Again from where `keep` was last said."""
        self._at = self._begin

    def gather(self) -> int:
        """Take in what has come, and wait for nothing; how many bytes."""
        gathered = count = self._fill(wait=False)
        while count and not self._free():  # there may be more
            count = self._fill(wait=False)
            gathered += count
        return gathered

    def _find(self, what: re.Pattern[bytes], longest: int, most: int, before: int) -> tuple[int, re.Match[bytes]]:
        """How far away the next match begins, and the match."""
        looked = -before
        while (found := what.search(self._held, self._at + looked, self._end)) is None:
            come = self._end - self._at
            if come > longest:
                raise ValueError(f"{longest} bytes without what they should hold")
            looked = max(looked, come - most)
            self._wait()
        return found.start() - self._at, found

    def _wait(self) -> None:
        """Some more, in time."""
        while time.monotonic() < self.until_s:
            if self._fill(wait=True):
                return
        raise NotYet

    def _fill(self, *, wait: bool) -> int:
        if self._free() < LEAST:
            self._make_room()
        with memoryview(self._held) as held, held[self._end :] as free:
            count = self._read(free, wait)
        if count == 0:
            raise EOFError("the stream ended")
        self._end += count or 0
        return count or 0

    def _free(self) -> int:
        return len(self._held) - self._end

    def _make_room(self) -> None:
        come = self._end - self._begin
        self._held[:come] = self._held[self._begin : self._end]
        self._begin, self._at, self._end = 0, self._at - self._begin, come
        if self._free() < LEAST:
            self._held.extend(bytes(len(self._held)))
