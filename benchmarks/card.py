"""How long does a card lie there: from the moment it is seen to the durable grant, with 25 ms a command injected?

- ssc_ms: a whole social security card, proved by the secure module. purchase_ms: a whole composite purchase, its
  intention and its grant durable; no more than 400 ms by DB31/T 239-2020, our goal is 300.
- ssc_apdus, purchase_apdus: commands of card and module together.
- vpcd_ratio: the purchase against a straight-line pyscard script that sends the very same commands through a pcscd of
  its own, in turn with every tap, the same 25 ms injected.
- own_share_ms: what the purchase takes longer than that script: judging, sealing, two durable entries, our threads.
- beyond_card_ms: what it takes longer than card and module did, by their far end's clock: pcscd's way as well.

Seen is what pcscd says: it looks for a card every 0.4 s, which is no part of these figures.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.bus import terminal_of
from benchmarks.card_script import Script
from simulators.card_issuer import CardIssuer
from simulators.gate import Board
from simulators.parameters import ParameterOffice
from simulators.pcscd import missing
from terminal.core.model import HeldProduct

LIMITS = {"purchase_ms": 400.0, "own_share_ms": 5.0, "vpcd_ratio": 1.05}
DELAY_MS, TAPS, WARM = 25, 20, 2
METRO = Path(__file__).parent.parent / "config" / "demo" / "metro.toml"
PURCHASE = [('stage = "ride"', 'stage = "both"')]
IDENTITY = [
    ('service = "fare"', 'service = "admission"'),
    ('accepts = ["transit_purse", "social_security_card", "uid_card"]', 'accepts = ["social_security_card"]'),
]


def run(*, quick: bool = False) -> dict[str, float]:
    """Measure on the disk the working directory stands on. Nothing where pcscd cannot run."""
    why = missing()
    if why is not None:
        print(f"card: left out: {why}", file=sys.stderr)
        return {}
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as place:
        return asyncio.run(_measure(Path(place), 1 if quick else TAPS, 1 if quick else WARM))


async def _measure(place: Path, taps: int, warm: int) -> dict[str, float]:
    figures: dict[str, float] = {}
    far_end = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.card_far_end", str(place), str(DELAY_MS), stdin=-1, stdout=-1
    )
    assert far_end.stdin is not None
    try:
        ours, os.environ["PCSCLITE_CSOCK_NAME"] = await _ask(far_end)  # ours is the script's: read once a process
        for kind, changes in (("ssc", IDENTITY), ("purchase", PURCHASE)):
            (place / kind).mkdir()
            rounds = (await _rounds(place / kind, kind, changes, warm + taps, far_end, ours))[warm:]
            figures[f"{kind}_ms"] = statistics.median(one["took_ms"] for one in rounds)
            figures[f"{kind}_apdus"] = len(rounds[0]["commands"])
            script_ms = statistics.median(one["script_ms"] for one in rounds)
            beyond_ms = statistics.median(one["took_ms"] - one["busy_ms"] for one in rounds)
    finally:
        far_end.stdin.close()
        await far_end.wait()
    purchase_ms = figures["purchase_ms"]
    compared = {"own_share_ms": max(0.0, purchase_ms - script_ms), "vpcd_ratio": purchase_ms / script_ms}
    return figures | compared | {"beyond_card_ms": beyond_ms}


async def _rounds(
    place: Path, kind: str, changes: list[tuple[str, str]], taps: int, far_end: Any, socket: str
) -> list[dict[str, Any]]:
    config = METRO.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in config
        config = config.replace(old, new)
    board = Board()
    (place / "wires/metro/north").mkdir(parents=True)
    await board.serve_serial(place / "wires/metro/north/board")
    names = [f"{kind} {number}" for number in range(taps)]
    try:
        async with terminal_of(place, config, lambda office: _passes(office, names), PCSCLITE_CSOCK_NAME=socket):
            with ExitStack() as stack:
                log = stack.enter_context((place / "terminal.log").open(encoding="utf-8"))
                script = Script(stack)
                return [await _round(far_end, kind, name, log, script) for name in names]
    finally:
        await board.close()


def _passes(office: ParameterOffice, names: list[str]) -> None:
    held = (HeldProduct(product="park-annual", from_ms=0, until_ms=4 * 10**12),)
    for name in names:
        office.passes[office.ref("ssc", CardIssuer().social_security(name).identification)] = held


async def _round(far_end: Any, kind: str, name: str, log: Any, script: Script) -> dict[str, Any]:
    """One tap at the terminal, then the same commands by the script."""
    await _ask(far_end, insert=0, kind=kind, name=name)
    decided = await _decided(log)
    assert decided["verdict"] == "grant", decided
    told: dict[str, Any] = await _ask(far_end, remove=0)
    await _ask(far_end, insert=1, kind=kind, name=name)
    script_ms = await asyncio.to_thread(script.play, told["commands"])
    await _ask(far_end, remove=1)
    return told | {"took_ms": (decided["committed_ns"] - decided["at_ns"]) / 1e6, "script_ms": script_ms}


async def _ask(far_end: Any, **wish: Any) -> Any:
    if wish:
        far_end.stdin.write(json.dumps(wish).encode() + b"\n")
    async with asyncio.timeout(20):
        return json.loads(await far_end.stdout.readline())


async def _decided(log: Any) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            line = log.readline()
            if not line:
                await asyncio.sleep(0.02)
            elif '"decided"' in line:
                return dict(json.loads(line))
