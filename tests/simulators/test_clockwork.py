"""The jumping loop: hours cost nothing, and nothing outside it may be waited for."""

import asyncio
import time

import pytest

from simulators.clockwork import SimulatedClock, new_loop


def run(coroutine: object) -> object:
    """Run a coroutine on a fresh jumping loop."""
    loop = new_loop()
    try:
        return loop.run_until_complete(coroutine)  # type: ignore[arg-type]  # a coroutine
    finally:
        loop.close()


def test_sixteen_hours_pass_in_a_moment() -> None:
    """Waiting costs no real time, and the clock moves by exactly what was waited."""
    clock = SimulatedClock(1_800_000_000_000)

    async def day() -> int:
        before = clock.read().utc_ms
        await asyncio.sleep(16 * 3600)
        return clock.read().utc_ms - before

    began = time.monotonic()
    assert run(day()) == 16 * 3_600_000
    assert time.monotonic() - began < 5


def test_a_clock_may_be_wrong_while_the_loop_is_not() -> None:
    """A step of the terminal's clock moves its UTC only."""
    clock = SimulatedClock(0)

    async def step() -> tuple[int, int]:
        clock.error_ms = -3_600_000
        return clock.read().utc_ms, clock.read().monotonic_ns

    assert run(step()) == (-3_600_000, 0)


def test_a_thread_is_refused() -> None:
    """An executor under a jumping loop would make every timeout false."""

    async def thread() -> None:
        await asyncio.to_thread(print)

    with pytest.raises(RuntimeError, match="meets no thread"):
        run(thread())
