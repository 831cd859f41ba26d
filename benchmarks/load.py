"""How long do people wait at a busy hub, while weeks of backlog are uploaded?

- p50_ms, p99_ms: last byte of a code → the order for its gate, over twelve gates of one terminal: 30 people a second
  for a minute, then 200 a second for ten seconds, every one with an account and a code of its own.
- refused: for how many nobody opened.
- uploaded: entries head office took meanwhile; the backlog is larger.
"""

import asyncio
import tempfile
from pathlib import Path

from benchmarks.backlog import fill
from benchmarks.crowd import Stretch, serve
from benchmarks.hub import hub
from benchmarks.pairing import quantile_ms

LIMITS = {"p99_ms": 100.0, "refused": 0.0}
BACKLOG = 100_000
STRETCHES = [Stretch(30, 60), Stretch(200, 10)]


def run(*, quick: bool = False) -> dict[str, float]:
    """Measure on the disk the working directory stands on."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as place:
        fill(Path(place) / "hub" / "journal", "hub-0001", 500 if quick else BACKLOG)
        stretches = [Stretch(10, 2), Stretch(40, 1)] if quick else STRETCHES
        return asyncio.run(_measure(Path(place), stretches))


async def _measure(place: Path, stretches: list[Stretch]) -> dict[str, float]:
    took: list[int] = []
    async with hub(place) as terminal:
        before = terminal.status()["upload"]["uploaded"]
        refused = await serve(terminal.gates, stretches, took)
        uploaded = terminal.status()["upload"]["uploaded"] - before
    in_calm = round(stretches[0].rate * stretches[0].seconds)
    calm, rush = took[:in_calm], took[in_calm:]
    return {
        "p50_ms": quantile_ms(took, 0.5),
        "p99_ms": quantile_ms(took, 0.99),
        "calm_p99_ms": quantile_ms(calm, 0.99),
        "rush_p99_ms": quantile_ms(rush, 0.99),
        "taps": len(took),
        "refused": refused,
        "uploaded": uploaded,
    }
