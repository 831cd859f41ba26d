"""Is a compressed picture as long as those in which nothing was? Then most likely nothing came: a glance at a number.

A phone makes a picture longer by far more than a sensor's noise does, long before it can be read: one whose screen has
a twentieth of its light, by a hundred times as much.

Laws of this file:
- A length is a hint and never a look: it is believed for at most `BELIEVED_S` after a picture was decoded.
- It is believed until it was wrong. Something moved in a picture of the usual length: this camera holds its pictures at
  one length, or this place is restless; then every picture is decoded, for `DOUBT_S`.
- Pure: times and lengths are told.
"""

BELIEVED_S = 0.25
DOUBT_S = 3600.0
ENOUGH = 8  # pictures, before anything is usual
LEARN = 1 / 8
WIDE = 4.0  # mean deviations: one picture in a thousand lies outside by noise alone
WIDEST = 0.01  # of the length; noisier ones say nothing
LONG_AGO = -1e9


class Lengths:
    """Of one camera's pictures."""

    def __init__(self) -> None:
        self._usual = self._deviation = 0.0  # bytes
        self._count = 0
        self._decoded_s = self._doubted_s = LONG_AGO

    def say_nothing_came(self, length: int, now_s: float) -> bool:
        """Whether a picture of so many bytes (0: unknown) need not be decoded. `now_s`: any steady clock."""
        believed = self._decoded_s <= now_s < self._decoded_s + BELIEVED_S and now_s >= self._doubted_s + DOUBT_S
        return believed and self._is_usual(length)

    def decoded(self, length: int, now_s: float, *, changed: bool) -> None:
        """A picture was decoded after all: whether there was something in it that was not there before."""
        self._decoded_s = now_s
        if not changed:
            self._learn(length)
        elif self._is_usual(length):
            self._doubted_s = now_s

    def _is_usual(self, length: int) -> bool:
        off = abs(length - self._usual)
        return length > 0 and self._count >= ENOUGH and off <= min(WIDE * self._deviation, WIDEST * self._usual)

    def _learn(self, length: int) -> None:
        self._count += 1
        share = max(LEARN, 1 / self._count)
        off = abs(length - self._usual) if self._count > 1 else 0.0
        self._usual += share * (length - self._usual)
        self._deviation += share * (off - self._deviation)
