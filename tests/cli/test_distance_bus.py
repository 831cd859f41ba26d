"""A bus with fares by distance, as a process: its doors and its GNSS receiver at the far ends of real serial lines, its
driver at the command line. Nothing of it is replaced; head office is away.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from simulators import pki
from simulators.parameters import ParameterOffice
from simulators.phone import Phone
from simulators.route import Receiver
from simulators.scan_module import ScanModule
from terminal.cli.panel import ask
from terminal.core.parameters import Tariff

TARIFF = Path(__file__).resolve().parents[2] / "config" / "tariffs" / "beijing-bus.json"
STOPS = [
    {"id": f"s{number}", "at_m": number * 6000, "lat_e6": 30_000_000, "lon_e6": 104_000_000 + number * 62_000}
    for number in range(4)
]
SITE = """
[terminal]
id = "bus-1"
state_dir = "s"
stop_upload_s = 0.1
[parameters]
driver = "parameters.directory"
path = "parameters"
[office]
driver = "office.https"
url = "https://localhost:9"
ca = "pki/ca.pem"
certificate = "pki/bus-1.pem"
key = "pki/bus-1.key"
[vehicle]
id = "bus-1"
[vehicle.position]
driver = "position.nmea"
link = "serial:gnss?baud=115200"
[panel]
[lanes.front]
service = "fare"
role = "entry"
passage = "assumed"
[[lanes.front.readers]]
driver = "scan.serial"
link = "serial:front"
[lanes.rear]
service = "fare"
role = "exit"
passage = "assumed"
[[lanes.rear.readers]]
driver = "scan.serial"
link = "serial:rear"
"""


class Bus:
    """The bus from outside."""

    def __init__(self, place: Path) -> None:
        self.front, self.rear = ScanModule(place / "front"), ScanModule(place / "rear")
        self.gnss = Receiver(place / "gnss", baud=115_200)
        self._place = place

    @property
    def screens(self) -> str:
        """Where its pages are; "" while they are nowhere."""
        try:
            status = json.loads((self._place / "s" / "status.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return ""
        return str(status.get("console", {}).get("address", ""))

    async def driver(self, *words: str) -> dict[str, Any]:
        """What the driver asks; the answer."""
        question = {"who": "7", "do": words[0], "with": list(words[1:])}
        answer = await asyncio.to_thread(ask, self._place / "s" / "panel.sock", question)
        assert answer["ok"], answer
        found: dict[str, Any] = answer["answer"]
        return found


@asynccontextmanager
async def running(place: Path, more: str = "", **tables: Any) -> AsyncIterator[Bus]:
    """The terminal as a process, ready; ended in the end. `more` of its settings, other `tables` of its tariff."""
    authority = pki.Authority(place / "pki")
    authority.issue("bus-1")
    tariff = json.loads(TARIFF.read_text(encoding="utf-8")) | {"lines": {"12": {"stops": STOPS}}} | tables
    office = ParameterOffice(place / "parameters", pki.write_office_keys(place / "office-keys"))
    office.tariff = msgspec.json.decode(json.dumps(tariff), type=Tariff)
    office.publish(time.time_ns() // 10**6)
    (place / "site.toml").write_text(SITE + more, encoding="utf-8")
    bus = Bus(place)
    wires = (bus.front.wire, bus.rear.wire, bus.gnss.wire)
    for wire in wires:
        wire.plug()
    with (place / "log").open("wb") as log:
        command = [sys.executable, "-m", "terminal", "run", str(place / "site.toml")]
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
    try:
        async with asyncio.timeout(60):
            while not (place / "s" / "panel.sock").is_socket():  # another process
                await asyncio.sleep(0.05)
        yield bus
        process.terminate()
        assert await process.wait() == 0, (place / "log").read_text()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        for wire in wires:
            wire.unplug()


async def test_a_ride_from_the_first_stop_to_the_third(tmp_path: Path) -> None:
    """Signed on, boarded at the front, driven by what the receiver says, off at the rear: 12 km, half of 3 yuan."""
    async with running(tmp_path) as bus:
        assert (await bus.driver("sign-on", "12"))["stop"] == "s0"
        phone = Phone("amber")
        async with asyncio.timeout(60):
            while not (await bus.driver("totals"))["taps"]:  # a line that opens late loses what was shown before
                await bus.front.show(phone.code(int(time.time())))
                await asyncio.sleep(0.3)
        async with asyncio.timeout(60):
            while (await bus.driver("where"))["stop"] != "s2":
                await bus.gnss.say((30_000_000, 104_124_000))
                await asyncio.sleep(0.1)
        await asyncio.sleep(1.1)  # another second, another code
        await bus.rear.show(phone.code(int(time.time())))
        async with asyncio.timeout(60):
            while (await bus.driver("totals"))["total"] != "1.50":
                await asyncio.sleep(0.05)
        assert (await bus.driver("void", "wrong door"))["fen"] == 150
        assert (await bus.driver("sign-off"))["voided"] == 1
