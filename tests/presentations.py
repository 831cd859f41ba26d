"""Cards held out thousands of times, plugs pulled a hundred: nothing may grow.

    python -m tests.presentations [--memory 10000] [--serial 10000] [--pcsc 300] [--unplugs 100]

Laws of this file:
- What could grow is counted by the system: open descriptors, threads, resident memory; with pcscd its descriptors too.
- The first tenth warms up; growth is what comes after it. Every card answers two commands each time, or the run fails.
- The serial line runs at 921,600 baud and the poll at 1 ms, so that ten thousand cards take minutes.
"""

import argparse
import asyncio
import gc
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from drivers.card import pn532
from drivers.clock import SystemClock
from simulators.card_issuer import CardIssuer
from simulators.pn532 import Pn532
from terminal.ports import CardSlot
from tests.card_stands import Listener, PcscStand, SerialStand, Stand, stand_of

SELECT_PURSE = bytes.fromhex("00A4040008A00000063201010500")
BALANCE = bytes.fromhex("805C000204")
FEN_5000 = bytes.fromhex("00001388 9000")
WITHIN_S = 15.0  # a machine may be busy with other things


def figures() -> dict[str, float]:
    """What could grow, now."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),  # noqa: PTH208  # counted, not walked
        "threads": threading.active_count(),
        "rss_mib": pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
    }


def growth(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """By how much each grew."""
    return {name: round(after[name] - before[name], 2) for name in before}


class FastSerialStand(SerialStand):
    """The serial module at eight times the speed."""

    def __init__(self, directory: Path) -> None:
        self.module = Pn532(directory / "ttyCard", baud=921_600)
        self.module.wire.plug()
        link = f"serial:{directory / 'ttyCard'}?baud=921600"
        self.slot = pn532.Pn532Slot(pn532.Settings(link=link, poll_ms=1), SystemClock())


async def present(
    stand: Stand, times: int, wrap: Callable[[CardSlot], CardSlot] = lambda slot: slot
) -> dict[str, float]:
    """Hold two cards out in turn, `times` in all; what grew since the first tenth."""
    listener = Listener(wrap(stand.slot))
    cards = [CardIssuer().card(name) for name in ("first", "second")]
    before: dict[str, float] = {}
    await stand.listened()
    began_s = time.monotonic()
    for number in range(times):
        if number == max(1, times // 10):
            before = _all(stand)
        stand.hold(cards[number % 2])
        channel = await listener.next(WITHIN_S)
        assert (await channel.transmit(SELECT_PURSE))[-2:] == b"\x90\x00"
        assert await channel.transmit(BALANCE) == FEN_5000
        listener.done()
        await _take_away(stand)
    found = growth(before, _all(stand))
    await listener.close()
    assert listener.arrivals == times, listener.arrivals
    assert listener.errors == [], [str(error) for error in listener.errors]
    return found | {"times": times, "seconds": round(time.monotonic() - began_s, 1)}


async def unplug(stand: Stand, times: int) -> dict[str, float]:
    """Pull the plug `times`, each time a card is read afterwards; what grew, and the longest recovery."""
    listener = Listener(stand.slot)
    card = CardIssuer().card("first")
    before: dict[str, float] = {}
    longest_s = 0.0
    for number in range(times):
        if number == max(1, times // 10):
            before = _all(stand)
        failures = len(listener.errors)
        stand.unplug()
        while len(listener.errors) == failures:
            await asyncio.sleep(0.01)
        began_s = time.monotonic()
        stand.plug()
        stand.hold(card)
        channel = await listener.next(WITHIN_S)
        longest_s = max(longest_s, time.monotonic() - began_s)
        assert (await channel.transmit(SELECT_PURSE))[-2:] == b"\x90\x00"
        listener.done()
        await stand.take_away()
    found = growth(before, _all(stand))
    await listener.close()
    return found | {"times": times, "longest_recovery_s": round(longest_s, 2)}


async def _take_away(stand: Stand) -> None:
    if isinstance(stand, FastSerialStand):
        stand.module.take_away()  # the next one has another number: no need to wait
    else:
        await stand.take_away()


def _all(stand: Stand) -> dict[str, float]:
    found = figures()
    if isinstance(stand, PcscStand):
        found["pcscd_descriptors"] = stand.service.handles()
    return found


async def campaign(memory: int, serial: int, pcsc: int, unplugs: int) -> dict[str, dict[str, float]]:
    """Every stand in turn."""
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as place:
        async with stand_of("memory", Path(place)) as stand:
            found["memory"] = _tell("memory", await present(stand, memory))
        fast = FastSerialStand(Path(place))
        found["serial"] = _tell("serial", await present(fast, serial))
        found["serial_unplugged"] = _tell("serial unplugged", await unplug(fast, unplugs))
        fast.module.wire.unplug()
        async with stand_of("pcsc", Path(place)) as stand:
            found["pcsc"] = _tell("pcsc", await present(stand, pcsc))
            found["pcscd_killed"] = _tell("pcscd killed", await unplug(stand, unplugs))
    return found


def _tell(what: str, found: dict[str, float]) -> dict[str, float]:
    print(what, found, file=sys.stderr, flush=True)
    return found


def main() -> None:
    """Run the campaign; the last line is one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m tests.presentations", description=__doc__.splitlines()[0])
    for name, times in (("memory", 10_000), ("serial", 10_000), ("pcsc", 300), ("unplugs", 100)):
        parser.add_argument(f"--{name}", type=int, default=times)
    options = parser.parse_args()
    found = asyncio.run(campaign(options.memory, options.serial, options.pcsc, options.unplugs))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
