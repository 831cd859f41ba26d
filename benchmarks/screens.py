"""How soon does the person see it? From the entry being durable to the first animation frame that has the new picture.

- screen_p50_ms, screen_p95_ms: the terminal's own process says when its entry was durable, Chromium when the frame
  after the change began; both clocks are of this machine.
- painted_p95_ms: until that frame's work was done and the browser had time for something else.
- least_p95_ms: the same browser, a bare page, a bare server in this process that sends one number: the least that
  anybody would have to pay. screen_ratio is ours divided by it.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from aiohttp import web

from benchmarks.bus import READY_S, bus
from benchmarks.frames import missing, watched
from simulators.phone import Phone
from terminal.core.model import EntryName
from terminal.core.proof import proof_of

LIMITS = {"screen_p95_ms": 100.0}
TAPS, QUICK = 200, 3
APART_S = 0.05
BARE = """<!doctype html><title>bare</title><p id="proof">0</p><script>
new EventSource("/events").onmessage = (event) => { document.getElementById("proof").textContent = event.data; };
</script>"""


def run(*, quick: bool = False) -> dict[str, float]:
    """Measure in the working directory."""
    if why := missing():
        print(f"screens: {why}", file=sys.stderr)
        return {}
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as place:
        return asyncio.run(_measure(Path(place), QUICK if quick else TAPS))


async def _measure(place: Path, taps: int) -> dict[str, float]:
    ours, painted = await _ours(place, taps)
    least = await _least(taps)
    figures = {"screen_p50_ms": statistics.median(ours), "screen_p95_ms": _p95(ours), "painted_p95_ms": _p95(painted)}
    return figures | {"least_p95_ms": _p95(least), "screen_ratio": _p95(ours) / _p95(least), "pictures": len(ours)}


async def _ours(place: Path, taps: int) -> tuple[list[float], list[float]]:
    """A bus, its display in a browser, taps; milliseconds to the frame, and until it was painted."""
    async with bus(place, "\n[console]\nport = 0\n") as terminal:
        address = await _address(place / "bus" / "status.json")

        async def tap_all() -> None:
            for number in range(taps):
                await terminal.tap(Phone(f"holder {number}").code(int(time.time())))
                await asyncio.sleep(APART_S)

        seen = await watched(f"{address}display?lane=bus/front", tap_all)
    frames = {str(one["what"]): one for one in seen}
    ours, painted = [], []
    for line in (place / "terminal.log").read_text(encoding="utf-8").splitlines():
        told = json.loads(line)
        if told.get("event") != "decided":
            continue
        frame = frames.get(proof_of(EntryName(epoch=bytes.fromhex(told["epoch"]), sequence=told["sequence"])))
        if frame is not None:  # one that the next tap replaced before a frame was due was never a picture
            durable_ms = (told["committed_ns"] + time.time_ns() - time.monotonic_ns()) / 1e6
            ours.append(float(frame["frame"]) - durable_ms)
            painted.append(float(frame["painted"]) - durable_ms)
    return ours, painted


async def _address(status: Path) -> str:
    """Of its pages, once they are served."""
    async with asyncio.timeout(READY_S):
        while not (address := str(json.loads(status.read_bytes())["console"]["address"])):
            await asyncio.sleep(0.1)
    return address


async def _least(taps: int) -> list[float]:
    """The bare page: milliseconds from the number being written to its frame."""
    sent: dict[str, float] = {}
    waiting: asyncio.Queue[str] = asyncio.Queue()

    async def events(request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        while True:
            number = await waiting.get()
            sent[number] = time.time() * 1000
            await stream.write(f"data: {number}\n\n".encode())

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=BARE, content_type="text/html")

    async def tell_all() -> None:
        for number in range(1, taps + 1):
            waiting.put_nowait(str(number))
            await asyncio.sleep(APART_S)

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/events", events)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    seen = await watched(f"http://127.0.0.1:{runner.addresses[0][1]}/", tell_all)
    await runner.cleanup()
    return [float(one["frame"]) - sent[str(one["what"])] for one in seen if str(one["what"]) in sent]


def _p95(values: list[float]) -> float:
    return sorted(values)[round(0.95 * (len(values) - 1))]
