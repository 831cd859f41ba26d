"""The system's clocks."""

import asyncio
import time

import pytest

from drivers import clock
from drivers.clock import SystemClock


async def test_reading_is_now() -> None:
    """UTC and CLOCK_MONOTONIC of the same moment; waiting time is the loop's own."""
    ours = SystemClock()
    reading = ours.read()
    assert abs(reading.utc_ms - time.time() * 1000) < 1000
    assert abs(reading.monotonic_ns - time.monotonic_ns()) < 1_000_000_000
    assert abs(ours.monotonic_s() - asyncio.get_running_loop().time()) < 0.1


def test_uncertainty_is_never_nothing() -> None:
    """Some uncertainty is always stated; half a minute when nobody disciplines the clock."""
    assert 0 < SystemClock().read().uncertainty_ms <= 86_400_000


def test_kernel_is_asked_once_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand readings ask the kernel once."""
    answers = iter([7])
    monkeypatch.setattr(clock, "_uncertainty_ms", lambda: next(answers))
    ours = SystemClock()
    assert {ours.read().uncertainty_ms for _ in range(1000)} == {7}
