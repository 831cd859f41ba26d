"""The demo's terminals are processes of their own: one that is killed comes back, and nothing is lost."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

LIMIT_S = 90.0


def children(of: int) -> list[tuple[int, list[str]]]:
    """The processes that this one started, and their command lines."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            words = (place / "cmdline").read_bytes().decode().split("\0")
        except (OSError, IndexError):
            continue  # it ended meanwhile
        if parent == of:
            found.append((int(place.name), words))
    return found


async def test_a_terminal_that_is_killed_goes_on(tmp_path: Path) -> None:
    """kill -9 while people board: restarted, and head office holds what every gate opened for, once."""
    command = (sys.executable, "-m", "terminal", "demo", "--seconds", "10", "--json", "--dir", str(tmp_path / "demo"))
    demo = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(LIMIT_S):
            await _killed(demo.pid, tmp_path / "demo")
            out, _ = await demo.communicate()
    finally:
        if demo.returncode is None:
            demo.kill()
            await demo.wait()
    summary = json.loads(out.splitlines()[-1])
    assert demo.returncode == 0, summary
    assert summary["restarts"] == 1
    assert summary["granted"] > 0
    assert (summary["missing"], summary["office_duplicates"], summary["openings_without_entry"]) == (0, 0, 0)


async def _killed(demo: int, directory: Path) -> None:
    """Kill the bus terminal once it has let somebody in."""
    while True:
        buses = [pid for pid, words in children(demo) if "run" in words and any("bus" in word for word in words)]
        if buses and any(b'"grant"' in log.read_bytes() for log in directory.rglob("*.log")):
            os.kill(buses[0], signal.SIGKILL)
            return
        await asyncio.sleep(0.1)
