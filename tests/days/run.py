"""Live many days and say what came of them.

    python -m tests.days --seeds 1-200
    python -m tests.days --plant "annul ignored"       # 20 days with one part replaced: must be noticed
    python -m tests.days --plant list

Laws of this file:
- The last line is one JSON object: days presented granted denied cuts troubles resent violations digest.
- It exits with 1 if any day violated anything, or if a kind of trouble never struck; each violation is told with its
  seed, which brings that day back.
- Days know nothing of each other and are shared among processes; the digest does not depend on how many there are.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial

from tests.days.day import Outcome
from tests.days.planted import live_planted
from tests.days.troubles import KINDS
from tests.plants import PLANTS

PLANT_SEEDS = "1-20"
TOLD = 20  # violations a day that are written out


def main() -> int:
    """Live the days asked for; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.days", description="simulated days")
    parser.add_argument("--seeds", default="", help="A-B, or one seed; 1-200 unless told")
    parser.add_argument("--plant", default="", help="plant this bug first; `list` names them")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    if options.plant == "list":
        print("\n".join(PLANTS))
        return 0
    if options.plant and options.plant not in PLANTS:
        parser.error(f"no plant {options.plant!r}; known: {', '.join(PLANTS)}")
    seeds = _seeds(options.seeds or (PLANT_SEEDS if options.plant else "1-200"))
    return report(_tell(_live_all(seeds, options.plant, options.processes), stop_early=bool(options.plant)))


def report(days: Sequence[Outcome]) -> int:
    """Print the sum of the days; 0 if every law held and every kind of trouble struck."""
    troubles = Counter(dict.fromkeys(KINDS, 0))
    for day in days:
        troubles.update(day.troubles)
    never = [kind for kind, count in troubles.items() if not count]
    found = sum(len(day.violations) for day in days)
    if never:
        print(f"never struck: {', '.join(never)}")
    print(
        json.dumps(
            {
                "days": len(days),
                "presented": sum(day.presented for day in days),
                "granted": sum(day.granted for day in days),
                "denied": sum(day.denied for day in days),
                "cuts": sum(day.cuts for day in days),
                "troubles": dict(troubles),
                "resent": sum(day.resent for day in days),
                "violations": found,
                "digest": hashlib.sha256("".join(day.digest for day in days).encode()).hexdigest(),
            }
        )
    )
    return 1 if found or never else 0


def _live_all(seeds: Sequence[int], plant: str, processes: int) -> Iterable[Outcome]:
    """Each day in its order, from processes that share nothing."""
    work = partial(live_planted, plant=plant)
    if processes <= 1 or len(seeds) == 1:
        yield from map(work, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap(work, seeds)


def _tell(days: Iterable[Outcome], *, stop_early: bool) -> list[Outcome]:
    """Write out what was violated; with a planted bug the first day that notices it is enough."""
    lived = []
    for day in days:
        lived.append(day)
        for what in day.violations[:TOLD]:
            print(f"seed {day.seed}: {what}", flush=True)
        if stop_early and day.violations:
            break
    return lived


def _seeds(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)
