"""A stream of people for the gates of a hub.

Laws of this file:
- People come when they come: each has a time, and goes to the gate whose turn it is. Nobody's code is used twice.
- Codes are made by another process, ahead of time, stamped with the time they will be shown at.
"""

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from random import Random
from typing import NamedTuple

from benchmarks.bus import stand_aside
from benchmarks.hub import Gate
from simulators.phone import Phone

CHUNK = 100  # people whose codes are made at once
AHEAD_S = 5.0  # before the first one comes
FURTHEST_S = 100.0  # codes are made so long before they are shown at most


class Stretch(NamedTuple):
    """So many people a second, for so long."""

    rate: float
    seconds: float


class Person(NamedTuple):
    """Somebody who comes at a time of the loop, with one code of some."""

    due_s: float
    codes: "asyncio.Future[list[bytes]]"
    number: int


async def serve(gates: Sequence[Gate], stretches: list[Stretch], took: list[int], trouble: Random | None = None) -> int:
    """Let people come; nanoseconds of each tap go to `took`. The number nobody opened for."""
    queues = [asyncio.Queue[Person | None]() for _ in gates]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=stand_aside) as makers:
        served = [asyncio.create_task(_serve(*pair, took, trouble)) for pair in zip(gates, queues, strict=True)]
        first = 0
        begin_s, turn = asyncio.get_running_loop().time() + AHEAD_S, itertools.cycle(queues)
        for chunk in _chunks(stretches):
            await asyncio.sleep(begin_s + chunk[0] - FURTHEST_S - asyncio.get_running_loop().time())
            shown_s = round(time.time() + begin_s + chunk[0] - asyncio.get_running_loop().time())
            codes = asyncio.get_running_loop().run_in_executor(makers, make, first, len(chunk), shown_s)
            first += len(chunk)
            for number, offset_s in enumerate(chunk):
                next(turn).put_nowait(Person(begin_s + offset_s, codes, number))
        for queue in queues:
            queue.put_nowait(None)
        return sum(await asyncio.gather(*served))


def make(first: int, count: int, shown_s: int) -> list[bytes]:
    """Codes of different people, to be shown then."""
    return [Phone(f"person {number}", validity_s=120).code(shown_s) for number in range(first, first + count)]


def _chunks(stretches: list[Stretch]) -> Iterator[list[float]]:
    """When people come, in seconds from the beginning, a few at a time."""
    begin_s = 0.0
    for rate, seconds in stretches:
        times = [begin_s + number / rate for number in range(round(rate * seconds))]
        yield from (times[at : at + CHUNK] for at in range(0, len(times), CHUNK))
        begin_s += seconds


async def _serve(gate: Gate, queue: "asyncio.Queue[Person | None]", took: list[int], trouble: Random | None) -> int:
    refused = 0
    while (person := await queue.get()) is not None:
        code = (await person.codes)[person.number]
        await asyncio.sleep(person.due_s - asyncio.get_running_loop().time())
        try:
            took.append(await gate.visit(code, trouble))
        except TimeoutError:
            refused += 1
    return refused
