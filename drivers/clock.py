"""The system's clocks: UTC, what the kernel says it may be wrong by, and CLOCK_MONOTONIC.

Laws of this file:
- One `read` is one moment; it costs microseconds and never blocks.
- The uncertainty is the kernel's own (`adjtimex`): the maximum error while synchronised, a day while not.
- Where the kernel cannot be asked, the clock is called unsure.
"""

import asyncio
import ctypes
import time

from terminal.core.model import Reading

UNSYNCHRONISED_MS = 86_400_000
ASK_EVERY_NS = 1_000_000_000
STA_UNSYNC = 0x0040
TIME_ERROR = 5


class _Timex(ctypes.Structure):
    """The head of struct timex (Linux, <sys/timex.h>); the rest is padding that the kernel writes to."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),  # microseconds
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 320),
    )


class SystemClock:
    """The Clock of a real terminal."""

    def __init__(self) -> None:
        self._asked_ns = -ASK_EVERY_NS
        self._uncertainty_ms = UNSYNCHRONISED_MS
        self._adjtimex = getattr(ctypes.CDLL(None, use_errno=True), "adjtimex", None)

    def read(self) -> Reading:
        """UTC, its uncertainty and CLOCK_MONOTONIC, read together."""
        monotonic_ns = time.monotonic_ns()
        utc_ms = time.time_ns() // 1_000_000
        if monotonic_ns - self._asked_ns >= ASK_EVERY_NS:
            self._asked_ns, self._uncertainty_ms = monotonic_ns, self._ask()
        return Reading(utc_ms=utc_ms, monotonic_ns=monotonic_ns, uncertainty_ms=self._uncertainty_ms)

    def monotonic_s(self) -> float:
        """The running loop's own time, seconds."""
        return asyncio.get_running_loop().time()

    def _ask(self) -> int:
        if self._adjtimex is None:
            return UNSYNCHRONISED_MS
        answer = _Timex(modes=0)
        state = self._adjtimex(ctypes.byref(answer))
        if state in (-1, TIME_ERROR) or answer.status & STA_UNSYNC:
            return UNSYNCHRONISED_MS
        return int(-(-answer.maxerror // 1000))
