"""Does a long history make a tap slower? The same taps against 100,000 entries, and against none, in turn.

- fare_per_s, admission_per_s: decisions a second with the history: recalled and judged; nothing verified or written.
- loan_per_s: books a kiosk's visit lends, everything it asks answered at once (lending.py).
- history_p50_ratio, history_p99_ratio: whole taps with the history against whole taps without: verified, recalled,
  judged, durable, answered; medians and 99th percentiles, interleaved.
- decision_p50_ratio: the same for decisions alone.

The history: 20,000 riders under a tariff with caps and transfers, one of them with 500 entries of his own, all of this
day. Every tenth tap is his.
"""

import asyncio
import gc
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import msgspec

from benchmarks.lending import loans_per_s
from benchmarks.pairing import quantile_ms
from benchmarks.past import World, claim_of, instant, parameters_at, ref_of, remember
from drivers.clock import SystemClock
from drivers.store.sqlite import SqliteStore
from simulators.phone import Phone
from terminal.core.model import Credential, Instant, Medium, PassageMode, Presentation, Ref
from terminal.core.services import SERVICES, Case
from terminal.runtime.site import Site

LIMITS = {"history_p50_ratio": 1.1, "history_p99_ratio": 1.5}
RIDERS, ENTRIES, OWN = 20_000, 100_000, 500
DECISIONS, TAPS = 2000, 600
BUSY = "holder 0"  # the one with entries of his own


def run(*, quick: bool = False) -> dict[str, float]:
    """Measure on the disk the working directory stands on."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as place:
        sizes = (200, 1000, 20, 20, 10) if quick else (RIDERS, ENTRIES, OWN, DECISIONS, TAPS)
        return asyncio.run(_measure(Path(place), *sizes))


async def _measure(place: Path, riders: int, entries: int, own: int, decisions: int, taps: int) -> dict[str, float]:
    parameters = parameters_at(place)
    async with AsyncExitStack() as stack:
        worlds = []
        for name, count in (("long", entries), ("empty", 0)):
            store = SqliteStore(place / name, SystemClock())
            store.open("T1", instant())
            stack.push_async_callback(store.close)
            await remember(store, parameters, riders, count, own)
            worlds.append(World(store, parameters))
        await asyncio.sleep(0.5)  # a quiet moment: projected and checkpointed
        fares = [_decide(world, "fare", riders, decisions) for world in _in_turn(worlds)]
        admissions = [_decide(world, "admission", riders, decisions) for world in _in_turn(worlds)]
        loans = loans_per_s(claim_of(worlds[0], BUSY), parameters, worlds[0].site.now(), decisions)
        took = await _tap(worlds, riders, taps)
    long, empty = took
    judged, judged_empty = fares[0] + fares[3], fares[1] + fares[2]
    return {
        "fare_per_s": len(judged) / sum(judged) * 1e9,
        "admission_per_s": 2 * decisions / sum(admissions[0] + admissions[3]) * 1e9,
        "loan_per_s": loans,
        "history_p50_ratio": quantile_ms(long, 0.5) / quantile_ms(empty, 0.5),
        "history_p99_ratio": quantile_ms(long, 0.99) / quantile_ms(empty, 0.99),
        "decision_p50_ratio": quantile_ms(judged, 0.5) / quantile_ms(judged_empty, 0.5),
        "tap_p50_ms": quantile_ms(long, 0.5),
        "tap_p99_ms": quantile_ms(long, 0.99),
    }


def _in_turn(worlds: Sequence["World"]) -> list["World"]:
    return [*worlds, *reversed(worlds)]


# --------------------------------------------------------------------------- deciding, tapping


def _decide(world: World, service: str, riders: int, count: int) -> list[int]:
    """Nanoseconds of each decision."""
    site, random, at, template = world.site, Random(2), world.site.now(), claim_of(world, BUSY)
    took = []
    gc.collect()
    gc.disable()
    try:
        for number in range(count):
            name = BUSY if number % 10 == 0 else f"holder {random.randrange(1, riders)}"
            fresh = tuple(Ref(b"\x01" + random.randbytes(16)) for _ in range(2))
            claim = msgspec.structs.replace(
                template, medium_refs=(ref_of(name, site.parameters),), code_keys=fresh[:1], twin_keys=fresh[1:]
            )
            began = time.perf_counter_ns()
            SERVICES[service](_case(site, claim, service, at))
            took.append(time.perf_counter_ns() - began)
    finally:
        gc.enable()
    return took


def _case(site: Site, claim: Credential, service: str, at: Instant) -> Case:
    return Case(
        service=service,
        lane="front",
        passage=PassageMode.ASSUMED,
        lane_busy=False,
        credential=claim,
        account=None,
        history=site.recall(claim, None, at),
        parameters=site.parameters,
        at=at,
        ledgers=site.ledgers(claim, None),
        where=site.where,
    )


async def _tap(worlds: Sequence[World], riders: int, count: int) -> list[list[int]]:
    """Nanoseconds of whole taps in each world, in turn."""
    random, warm = Random(3), max(1, count // 10)
    took: list[list[int]] = [[] for _ in worlds]
    for number in range(warm + count):
        name = BUSY if number % 10 == 0 else f"holder {random.randrange(1, riders)}"
        phone = Phone(name)
        turn = number % len(worlds)
        for place in (*range(turn, len(worlds)), *range(turn)):
            site = worlds[place].site
            reading = site.clock.read()
            code = phone.code(reading.utc_ms // 1000 - random.randrange(50))
            shown = Presentation(lane="front", reader="front/0", medium=Medium.CODE, payload=code, at=site.clock.read())
            gc.collect() if number % 50 == 0 else None
            began = time.perf_counter_ns()
            outcome = await worlds[place].lane.serve(shown)
            if number >= warm:
                took[place].append(time.perf_counter_ns() - began)
            assert outcome is not None and outcome.decision.granted, outcome
            await asyncio.sleep(0)
    return took
