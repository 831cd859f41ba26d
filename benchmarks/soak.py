"""Does anything grow? python -m benchmarks soak --minutes 30: a hub at thirty people a second, with trouble.

- Trouble: of a hundred requests to head office ten meet some; a scan line is pulled and put back every twenty seconds;
  every seventh person shows rubbish first, every fifth shows the code again.
- Every ten seconds: resident memory, descriptors, threads and children of the terminal, length of the log. After
  a tenth of the time, five minutes at most, they must lie flat: slopes are least squares over what remains, and once
  more over the last third, where a heap has found its size and only a leak still grows.
- Whoever nobody opened for is told on standard error: which gate, when, and what the terminal said of that gate then.
"""

import argparse
import asyncio
import itertools
import re
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

from benchmarks.bus import ANSWER_S
from benchmarks.crowd import Stretch, serve
from benchmarks.hub import Gate, Hub, hub
from benchmarks.pairing import quantile_ms

LIMITS = {"rss_kib_per_minute": 50.0, "fds_grown": 5.0, "threads_grown": 0.0, "wal_mib": 64.0, "refused": 0.0}
RATE, EVERY_S, PULL_S = 30.0, 10.0, 20.0


class Sample(NamedTuple):
    """The terminal from outside."""

    rss_kib: int
    fds: int
    threads: int
    wal_bytes: int


def options(parser: argparse.ArgumentParser) -> None:
    """What may be asked besides."""
    parser.add_argument("--minutes", type=float, default=30.0)


def run(*, quick: bool = False, asked: argparse.Namespace | None = None) -> dict[str, float]:
    """Measure in the working directory."""
    minutes = 0.3 if quick else 30.0 if asked is None else asked.minutes
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as place:
        return asyncio.run(_measure(Path(place), minutes * 60, 2.0 if quick else EVERY_S))


async def _measure(place: Path, seconds: float, every_s: float) -> dict[str, float]:
    took: list[int] = []
    samples: list[Sample] = []
    async with hub(place, trouble=10) as terminal:
        work = [asyncio.create_task(_watch(terminal, place, samples, every_s)), asyncio.create_task(_pull(terminal))]
        refused = await serve(terminal.gates, [Stretch(RATE, seconds)], took, trouble=Random(1))
        for number, gate in enumerate(terminal.gates):
            for line in told_of(place / "terminal.log", number, gate.refused):
                print(line, file=sys.stderr)
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        upload = terminal.status()["upload"]
    return _figures(samples, every_s) | {
        "minutes": seconds / 60,
        "taps": len(took),
        "refused": refused,
        "p99_ms": quantile_ms(took, 0.99),
        "uploaded": upload["uploaded"],
        "resent": upload["resent"],
    }


def _figures(samples: list[Sample], every_s: float) -> dict[str, float]:
    warm = samples[min(len(samples) // 10, round(300 / every_s)) :]
    times = [number * every_s / 60 for number in range(len(warm))]
    part, late = max(1, len(warm) // 5), max(2, len(warm) // 3)
    fds, threads = ([getattr(one, what) for one in warm] for what in ("fds", "threads"))
    return {
        "rss_mib": warm[-1].rss_kib / 1024,
        "rss_kib_per_minute": _slope(times, warm),
        "rss_kib_per_minute_late": _slope(times[-late:], warm[-late:]),
        "fds": warm[-1].fds,
        "fds_grown": _grown(fds, part),
        "threads": warm[-1].threads,
        "threads_grown": _grown(threads, part),
        "wal_mib": max(one.wal_bytes for one in warm) / (1 << 20),
    }


def _slope(times: Sequence[float], samples: Sequence[Sample]) -> float:
    return statistics.linear_regression(times, [one.rss_kib for one in samples]).slope


def told_of(log: Path, gate: int, moments_s: Sequence[float]) -> Iterator[str]:
    """What the terminal said of a gate from each of these Unix times until its visitor gave up."""
    marks = (f'"hub/{gate}"', f"wires/{gate}/", "journal")
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if moments_s else []
    for moment_s in moments_s:
        yield f"refused at gate {gate}, {moment_s:.3f}"
        for line in lines:
            at = re.match(r'{"t":([0-9.]+)', line)
            if at is not None and 0 <= float(at[1]) - moment_s <= ANSWER_S and any(mark in line for mark in marks):
                yield f"  {line}"


def _grown(values: Sequence[int], part: int) -> float:
    """How much the last fifth lies above the first."""
    return statistics.median(values[-part:]) - statistics.median(values[:part])


async def _watch(terminal: Hub, place: Path, samples: list[Sample], every_s: float) -> None:
    process, log = Path(f"/proc/{terminal.pid}"), place / "hub" / "journal" / "journal.db-wal"
    while True:
        fields = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        rss_kib, threads = int(fields["VmRSS"].split()[0]), int(fields["Threads"])
        samples.append(Sample(rss_kib, len(list((process / "fd").iterdir())), threads, log.stat().st_size))
        await asyncio.sleep(every_s)


async def _pull(terminal: Hub) -> None:
    """Scan lines lose their plug, one after the other."""
    gates: itertools.cycle[Gate] = itertools.cycle(terminal.gates)
    while True:
        await asyncio.sleep(PULL_S)
        await next(gates).pull()
