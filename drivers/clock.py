"""The system's clocks: UTC with its stated uncertainty, and CLOCK_MONOTONIC.

Laws of this file:
- This is the only place of the product that reads a clock for deciding.
- The uncertainty is what the kernel says of its own clock (adjtimex(2), `maxerror`); asked once a second at most.
"""

import ctypes
import time

from terminal.core.model import Reading

_STA_UNSYNC = 0x0040  # linux/timex.h
UNSYNCHRONISED_MS = 30_000  # a free-running clock, or one that cannot be asked: seconds a week, told as half a minute


class _Timex(ctypes.Structure):
    """struct timex of sys/timex.h, as far as it is read; the tail is room."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),  # microseconds
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("room", ctypes.c_char * 256),
    )


class SystemClock:
    """The Clock port over the system's clocks."""

    def __init__(self) -> None:
        self._uncertainty_ms = UNSYNCHRONISED_MS
        self._asked_ns = -(10**10)

    def read(self) -> Reading:
        """See the port."""
        monotonic_ns = time.monotonic_ns()
        if monotonic_ns - self._asked_ns > 1_000_000_000:
            self._uncertainty_ms, self._asked_ns = _uncertainty_ms(), monotonic_ns
        return Reading(
            utc_ms=time.time_ns() // 1_000_000, monotonic_ns=monotonic_ns, uncertainty_ms=self._uncertainty_ms
        )

    def monotonic_s(self) -> float:
        """See the port."""
        return time.monotonic()  # asyncio's own, also where a driver's thread asks


def _uncertainty_ms() -> int:
    try:
        timex = _Timex()
        state = ctypes.CDLL(None).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return UNSYNCHRONISED_MS
    if state < 0 or timex.status & _STA_UNSYNC:
        return UNSYNCHRONISED_MS
    return -(-int(timex.maxerror) // 1000)
