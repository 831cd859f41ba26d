"""A camera at a gate: what is read of clips, and what it costs while somebody comes and while nobody does.

- clips, clips_zxing, clips_pyzbar: of the same 36 painted clips (benchmarks/clips.py), in how many the code was read.
- cpu_ratio_pyzbar, …_gray: pyzbar's CPU time for a picture that all read, over ours, JPEG decoding included; of all
  such pictures of the easy clips together.
  pyzbar is given the colour picture OpenCV hands over, or (gray) one decoded gray as ours is.
- idle_percent, idle_percent_10hz: CPU of the process that sees and of the reader beside it, while nothing moves in a
  720p stream of 30 pictures a second; every picture decoded and checked, and ten checks a second, of which lengths may
  answer two of three (drivers/camera/lengths.py). The camera is a process not counted.
- frame_to_payload_*: from a picture's arrival to its payload in the daemon, over a real stream.
- payloads, payloads_whole: random binary payloads of 64 to 400 bytes, painted, streamed, read; how many bit for bit.
"""

import asyncio
import statistics
import time

import cv2

from benchmarks.clips import CONTENDERS, clips, show
from benchmarks.streams import camera, cpu_s, seeing
from drivers.camera.messages import Look
from drivers.camera.reader import Settings
from simulators.camera import payloads

LIMITS = {"idle_percent": 4.0, "idle_percent_10hz": 1.5}
SEED = 11


def run(*, quick: bool = False) -> dict[str, float]:
    """Clips here, streams between processes."""
    cv2.setNumThreads(1)
    return _clips(1 if quick else 12) | asyncio.run(_streams(2.0 if quick else 10.0, 20 if quick else 200))


def _clips(each: int) -> dict[str, float]:
    read = dict.fromkeys(CONTENDERS, 0)
    took: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for clip in clips(each):
        watched = {name: show(clip, name) for name in CONTENDERS if name != "pyzbar_gray" or clip.tier == "easy"}
        for name, one in watched.items():
            read[name] += any(one.read)
        for number in range(len(clip.pictures)):
            if clip.tier == "easy" and all(one.read[number] for one in watched.values()):
                for name, one in watched.items():
                    took[name].append(one.took_s[number] * 1000)
    ms = {name: statistics.fmean(took[name]) if took[name] else 0.0 for name in CONTENDERS}
    return {
        "clips": read["ours"],
        "clips_zxing": read["zxing"],
        "clips_pyzbar": read["pyzbar"],
        "cpu_ratio_pyzbar": ms["pyzbar"] / ms["ours"] if ms["ours"] else 0.0,
        "cpu_ratio_pyzbar_gray": ms["pyzbar_gray"] / ms["ours"] if ms["ours"] else 0.0,
        "cpu_ms_ours": ms["ours"],
    }


async def _streams(idle_s: float, count: int) -> dict[str, float]:
    async with camera("nobody") as url:
        every = await _idle(Settings(source=url, check_hz=0, spare=False), idle_s)
        ten = await _idle(Settings(source=url, check_hz=10, spare=False), idle_s)
    async with camera("payloads", count, seed=SEED) as url:
        took, heard = await _watch(Settings(source=url, mode="kiosk", spare=False), count)
    took.sort()
    return {
        "idle_percent": every,
        "idle_percent_10hz": ten,
        "frame_to_payload_p50_ms": took[len(took) // 2] if took else 0.0,
        "frame_to_payload_p99_ms": took[int(len(took) * 0.99)] if took else 0.0,
        "payloads": count,
        "payloads_whole": len(heard & set(payloads(SEED, count))),
    }


async def _idle(settings: Settings, seconds: float) -> float:
    """Percent of one core, child and parent together."""
    async with seeing(settings) as reader:
        await asyncio.sleep(2.0)  # what was loaded has settled
        assert reader._watch is not None and reader._watch._eye is not None
        pid = reader._watch._eye.pid
        began = time.monotonic(), cpu_s(pid) + time.process_time()
        await asyncio.sleep(seconds)
        assert reader._watch._eye is not None and reader._watch._eye.pid == pid, "replaced while it was measured"
        used_s, took_s = cpu_s(pid) + time.process_time() - began[1], time.monotonic() - began[0]
        return used_s / took_s * 100


async def _watch(settings: Settings, count: int) -> tuple[list[float], set[bytes]]:
    """Every look with a code: milliseconds since its picture arrived, and what it read."""
    took: list[float] = []
    heard: set[bytes] = set()
    async with seeing(settings) as reader:
        assert reader._watch is not None
        hand_on = reader._watch._look

        def look(message: Look) -> None:
            if message.symbols:
                took.append((time.monotonic_ns() - message.arrived_ns) / 1e6)
                heard.update(one.payload for one in message.symbols)
            hand_on(message)

        reader._watch._look = look  # type: ignore[method-assign, assignment]  # to hear every look
        await asyncio.sleep(4.0 + count * 0.3)
    return took, heard
