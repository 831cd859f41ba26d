"""Round after round: somebody holds out a phone, and in mid-frame what sees is killed, stopped or bombed.

    python -m tests.blinded [--rounds 100] [--plant NAME] [--seed 0]

Laws of this file:
- Each round two people pass: one before the camera, one at the scan module beside it while nobody sees. Two openings,
  for two codes that were held out; not one more, whatever was done to what sees.
- Sight returns within RECOVER_S of the disaster, a hang's own time to be noticed included.
- This process is the daemon's side and no more: the camera is painted in another. It does not grow: its memory is read
  after every round, and the least of the last quarter compared with the least of a quarter after 25 rounds.
- A planted bug is found: PLANTS.
"""

import argparse
import asyncio
import json
import os
import signal
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

from tests.blinded.bomb import BOMB
from tests.blinded.lane import HELD, CameraLane, camera_lane

RECOVER_S = 1.0
OTHER_S = 0.5  # the scan module's passenger does not wait for the camera
GROWTH_MIB = 8.0
DISASTERS = ("killed", "hung", "bombed")
KEEPS = "the daemon's side keeps ten megabytes a round"
PLANTS: dict[str, dict[str, Any]] = {
    "none": {},
    "nobody watches": {"hang_ms": 60_000},
    "the same code is new with each picture": {"silence_s": 0},
    KEEPS: {},
}


async def campaign(place: Path, rounds: int, plant: str, seed: int, other_s: float = OTHER_S) -> dict[str, Any]:
    """So many rounds; what came of them. `other_s`: how long the passenger at the scan module may wait."""
    random = Random(seed)
    recovered: list[float] = []
    wrong: list[str] = []
    rss_mib: list[float] = []
    kept: list[bytes] = []
    async with camera_lane(place, far=True, **PLANTS[plant]) as lane:
        for number in range(rounds):
            disaster = DISASTERS[number % len(DISASTERS)]
            await lane.has_spare()
            recovered.append(await _round(lane, disaster, random, wrong, other_s))
            if plant == KEEPS:
                kept.append(os.urandom(10 << 20))
            rss_mib.append(_rss_mib())
        endings = {ending.value: count for ending, count in lane.reader.endings.items()}
    grown = _grown(rss_mib)
    if max(recovered) > RECOVER_S:
        wrong.append(f"sight returned after {max(recovered):.2f} s")
    if grown > GROWTH_MIB:
        wrong.append(f"the daemon's side grew by {grown:.1f} MiB")
    return {
        "rounds": rounds,
        "openings": len(lane.openings),
        "endings": endings,
        "recovered_p50_s": round(sorted(recovered)[len(recovered) // 2], 3),
        "recovered_max_s": round(max(recovered), 3),
        "rss_mib": [round(min(rss_mib), 1), round(max(rss_mib), 1)],
        "grown_mib": round(grown, 1),
        "wrong": wrong,
    }


async def _round(lane: CameraLane, disaster: str, random: Random, wrong: list[str], other_s: float) -> float:
    """One disaster; seconds without sight."""
    before, blinded = len(lane.openings), lane.seeing
    if disaster == "bombed":
        await _bomb(lane, blinded)
    phone = lane.camera.hold_out(lane.code(), held=HELD)
    if disaster != "bombed":
        await asyncio.sleep(random.uniform(0.0, 0.6))  # while it moves in, as it is read, after it was
        os.kill(blinded, signal.SIGKILL if disaster == "killed" else signal.SIGSTOP)
    blind = asyncio.create_task(lane.sees(other_than=blinded))
    at_scan_module = len(lane.openings)
    lane.other.show(lane.code())
    if not await lane.opens(at_scan_module, within_s=other_s):
        wrong.append(f"{disaster}: nobody passed at the scan module")
    took_s = await blind
    await lane.opens(before + 1)
    await asyncio.sleep(0.3)
    if len(lane.openings) != before + 2:
        wrong.append(f"{disaster}: {len(lane.openings) - before} openings for two people")
    phone.leave()
    await phone.gone.wait()
    await asyncio.sleep(0.2)
    return took_s


async def _bomb(lane: CameraLane, pid: int) -> None:
    """Hold out what it cannot bear, until it has died of it."""
    bomb = lane.camera.hold_out(BOMB, held=HELD)
    until = time.monotonic() + 5.0
    while lane.seeing == pid and time.monotonic() < until:
        await asyncio.sleep(0.002)
    bomb.vanish()


def _grown(rss_mib: list[float]) -> float:
    """Without what a single moment needs; by the time of the first quarter everything was loaded."""
    begin, quarter = min(25, len(rss_mib) // 2), max(1, len(rss_mib) // 4)
    return min(rss_mib[-quarter:]) - min(rss_mib[begin : begin + quarter])


def _rss_mib() -> float:
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(text.split("VmRSS:")[1].split()[0]) / 1024


def main() -> int:
    """0 when nothing was wrong, 1 when something was."""
    parser = argparse.ArgumentParser(prog="python -m tests.blinded")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--plant", choices=PLANTS, default="none")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="blinded-") as place:
        figures = asyncio.run(campaign(Path(place), options.rounds, options.plant, options.seed))
    print(json.dumps(figures))
    return 1 if figures["wrong"] else 0
