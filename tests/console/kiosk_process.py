"""A library's kiosk as it is installed: `terminal run` in a process of its own, with everything outside in this one.

Laws of this file:
- The configuration is config/library-kiosk.toml with the names of this place written into it; a line that is not there
  any more is an error.
- Cards and books meet it through pcscd and a virtual reader, barcodes through a pty, the library system over TCP, and
  fingers through a browser: nothing of the terminal is called.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from simulators import pki
from simulators.card_issuer import CardIssuer
from simulators.item_reader import TagOnReader
from simulators.item_tag import SimulatedTag, tag_of
from simulators.library import Copy, Dialect, Library
from simulators.parameters import ParameterOffice
from simulators.pcscd import READER
from simulators.scan_module import ScanModule
from simulators.virtual_reader import VirtualSlot
from terminal.core.items import Content
from terminal.core.parameters import Policies
from terminal.core.reader_links import Link, line
from tests.card_stands import service

CONFIG = Path(__file__).parents[2] / "config" / "library-kiosk.toml"
KEY = bytes(range(32))
ISSUER = CardIssuer()
STARTS_S = 60.0
TITLES = ("三体", "Dream of the Red Chamber", "城南旧事", "边城", "朝花夕拾", "骆驼祥子", "呼兰河传")
BOOKS = {f"{30_000_001 + number}": title for number, title in enumerate(TITLES)}


class KioskProcess:
    """One kiosk, running, and the hands before it."""

    def __init__(self, place: Path, privacy_s: float) -> None:
        self.place = place
        self.address = ""
        self.library = Library(Dialect(login=("kiosk1", "change me")))
        self.library.copies = {barcode: Copy(title=title) for barcode, title in BOOKS.items()}
        self.tags = {barcode: tag_of(number, Content(item=barcode)) for number, barcode in enumerate(BOOKS, 1)}
        self.scan = ScanModule(place / "scan", framing="lines")
        self._privacy_s = privacy_s
        self._status_file = place / "state" / "status.json"
        self._pad, self._cards = (VirtualSlot(service(), number) for number in (0, 1))
        self._process: asyncio.subprocess.Process | None = None

    # ----------------------------------------------------------------------- hands

    async def hold(self, name: str) -> None:
        """Hold out somebody's social security card, and put it away again."""
        self._cards.insert(ISSUER.card(name, ISSUER.social_security(name)))

    async def put_away(self) -> None:
        """The card."""
        await self._cards.remove()

    def lay(self, barcode: str) -> SimulatedTag:
        """Put a book on the pad."""
        tag = self.tags[barcode]
        self._pad.insert(TagOnReader(tag))
        return tag

    async def take(self) -> None:
        """Take it off again. A pad that missed a book once believes that it lies there still."""
        await self._pad.remove()

    async def lift(self) -> None:
        """Take it off, and wait until the terminal has seen that."""
        await self.take()
        taken_s = time.time()
        async with asyncio.timeout(STARTS_S):
            while self._status_file.stat().st_mtime < taken_s or self._tags() != 0:  # another process
                await asyncio.sleep(0.05)

    def _tags(self) -> int:
        return int(self.status()["library"]["kiosks"]["desk"]["readers"]["desk/pad"]["tags"])

    # ----------------------------------------------------------------------- running

    async def start(self, readers: dict[str, str]) -> None:
        """Open for these: whose card → reader number."""
        self.library.readers = dict.fromkeys(readers.values(), "somebody")
        await self.library.start()
        self.scan.wire.plug()
        keys = pki.write_office_keys(self.place / "office-keys")
        pki.Authority(self.place / "pki").issue("library-0001")
        parameters = ParameterOffice(self.place / "parameters", keys)
        parameters.policies = Policies(hotline="12333", static_cards=("loan",))
        parameters.publish(1_700_000_000_000)
        (self.place / "library.key").write_text(KEY.hex(), encoding="ascii")
        with (self.place / "readers.links").open("w", encoding="ascii") as file:
            for number, (name, reader) in enumerate(readers.items()):
                ref = parameters.ref("ssc", ISSUER.social_security(name).identification)
                file.write(line(ref, Link(number=reader, reader_class="adult"), KEY, number.to_bytes(12)))
        config = self.place / "library-kiosk.toml"
        config.write_text(self._configuration(), encoding="utf-8")
        with (self.place / "log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "terminal", "run", str(config), stderr=log, env=os.environ
            )
        async with asyncio.timeout(STARTS_S):
            while not self.address or not self.status()["ready"]:  # another process
                assert self._process.returncode is None, (self.place / "log").read_text(encoding="utf-8")
                await asyncio.sleep(0.05)
                self.address = self.status().get("console", {}).get("address", "")

    def status(self) -> dict[str, Any]:
        """What it says of itself."""
        try:
            found: dict[str, Any] = json.loads(self._status_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return found

    async def tells(self, what: Callable[[dict[str, Any]], bool]) -> None:
        """Until its status says this of the library."""
        async with asyncio.timeout(STARTS_S):
            while not what(self.status()["library"]):  # another process
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """Everything is gone afterwards."""
        if self._process is not None:
            self._process.terminate()
            await self._process.wait()
        await self._pad.remove()
        await self._cards.remove()
        self.scan.wire.unplug()
        await self.library.stop()

    def _configuration(self) -> str:
        text = CONFIG.read_text(encoding="utf-8")
        for written, here in {
            "/var/lib/onecard/library": self.place / "state",
            "/var/lib/onecard/parameters": self.place / "parameters",
            "/var/lib/onecard/readers.links": self.place / "readers.links",
            "/etc/onecard/library.key": self.place / "library.key",
            "/etc/onecard/ca.pem": self.place / "pki" / "ca.pem",
            "/etc/onecard/library-0001.pem": self.place / "pki" / "library-0001.pem",
            "/etc/onecard/library-0001.key": self.place / "pki" / "library-0001.key",
            "/run/onecard/library-screen.sock": self.place / "screen.sock",
            "serial:/dev/serial/by-id/usb-scan-module?baud=115200": f"serial:{self.place / 'scan'}?baud=115200",
            "sip2.library.example": "127.0.0.1",
            "https://office.example:8443": "https://127.0.0.1:1",  # nobody is there, and nobody waits for it
            "card reader": f"{READER} 00 01",
            "pad": f"{READER} 00 00",
        }.items():
            assert f'"{written}"' in text, written
            text = text.replace(f'"{written}"', f'"{here}"')
        for written, number in {
            "port = 8600": "port = 0",
            "port = 6001": f"port = {self.library.port}",
            "privacy_s = 30.0": f"privacy_s = {self._privacy_s}",
            "#stop_upload_s = 5.0": "stop_upload_s = 0.1",
            "retry_s = 5.0": "retry_s = 0.2",
        }.items():
            assert written in text, written
            text = text.replace(written, number)
        return text


@asynccontextmanager
async def kiosk_process(place: Path, readers: dict[str, str], privacy_s: float) -> AsyncIterator[KioskProcess]:
    """Running until left."""
    one = KioskProcess(place, privacy_s)
    try:
        await one.start(readers)
        yield one
    finally:
        await one.stop()
