"""Contenders take turns; medians are compared.

Laws of this file:
- One round calls every contender once, in an order that turns from round to round.
- Times are CLOCK_MONOTONIC nanoseconds of one call; collection of garbage happens between rounds.
"""

import gc
import statistics
import time
from collections.abc import Callable, Mapping

Contender = Callable[[int], object]  # called with the number of the round


def interleaved(contenders: Mapping[str, Contender], rounds: int) -> dict[str, list[int]]:
    """Nanoseconds of every call, by contender."""
    took: dict[str, list[int]] = {name: [] for name in contenders}
    names = list(contenders)
    gc.collect()
    gc.disable()
    try:
        for number in range(rounds):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                began = time.perf_counter_ns()
                contenders[name](number)
                took[name].append(time.perf_counter_ns() - began)
            if number % 50 == 0:
                gc.collect()
    finally:
        gc.enable()
    return took


def medians_us(took: Mapping[str, list[int]]) -> dict[str, float]:
    """Microseconds."""
    return {name: statistics.median(values) / 1000 for name, values in took.items()}


def quantile_ms(values: list[int], part: float) -> float:
    """The value below which `part` of all nanoseconds lie, in milliseconds."""
    return sorted(values)[min(len(values) - 1, int(len(values) * part))] / 1e6
