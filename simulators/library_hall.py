"""A library's outside: its own system over SIP2, a scanner, and readers at a kiosk's screen.

Laws of this file:
- A reader looks at the screen before doing anything, and believes what it says: what was lent is carried away.
- The network to the library system is cut once in a while. In every second cut it blocks a reader, and afterwards it
  does not heed "no block": somebody's loan may be refused, and a librarian has to look.
- Readers are numbers; their phones hold card tokens of the synthetic issuer.
"""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from simulators.library import Copy, Dialect, Library
from simulators.scan_module import ScanModule
from simulators.token_issuer import Wallet

NAME = "library/desk"
READERS, BOOKS = 8, 60
PATIENCE_S = 3.0
BETWEEN_S = (0.2, 0.6)
FIRST_CUT_S, UNCUT_S, CUT_S = 3.0, (5.0, 8.0), (3.0, 5.0)
KINDS = {"borrows": 45, "gives back": 35, "looks at the account": 12, "is no reader here": 8}
LENT = ("borrowed", "borrowed_offline")

Tell = Callable[..., None]


def wallet(number: int) -> Wallet:
    """The phone of reader `number`."""
    return Wallet(f"library reader {number}")


def reader_number(number: int) -> str:
    """As the library knows them."""
    return f"R-{number:04}"


class LibraryHall:
    """One kiosk's outside."""

    def __init__(self, directory: Path, tell: Tell, random: Random) -> None:
        self.port = 0
        self._tell = tell
        self._random = random
        self._screen_path = directory / "library" / "screen.sock"
        self._wire = directory / "wires" / NAME
        self._library = Library(Dialect(ignores_no_block=True))
        self._library.readers = {reader_number(number): "somebody" for number in range(READERS)}
        self._library.copies = {f"{30_000_000 + number}": Copy(title=f"第{number}册") for number in range(BOOKS)}
        self._library.on_lent = lambda barcode: tell("library_lent", book=barcode)
        self._out: dict[str, int] = {}  # book → who carried it away
        self._page: dict[str, Any] = {}
        self._seen = asyncio.Event()
        self._screen: asyncio.StreamWriter | None = None
        self._cut = False

    async def build(self) -> None:
        """The library system listens; the scanner is plugged in."""
        await self._library.start()
        self.port = self._library.port
        self._wire.mkdir(parents=True, exist_ok=True)
        self._scan = ScanModule(self._wire / "scan", baud=115_200, random=Random(self._random.random()))
        self._scan.wire.plug()

    async def live(self, stop: asyncio.Event) -> None:
        """Readers come until they are sent home; then the network is whole."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._cuts(stop))
            looking = tasks.create_task(self._look())
            while not stop.is_set():
                await self._visit(self._random.choices(list(KINDS), weights=list(KINDS.values()))[0])
                await asyncio.sleep(self._random.uniform(*BETWEEN_S))
            looking.cancel()

    async def close(self) -> None:
        """Everything is unplugged."""
        self._scan.wire.unplug()
        if self._screen is not None:
            self._screen.transport.abort()
        if not self._cut:
            await self._library.stop()

    # ----------------------------------------------------------------------- readers

    async def _visit(self, kind: str) -> None:
        if kind == "gives back":
            await self._gives_back()
            return
        number = self._random.randrange(READERS)
        phone = wallet(number) if kind != "is no reader here" else Wallet(f"stranger {self._random.random()}")
        last_byte_ns = await self._scan.show(phone.code(int(time.time())))
        self._tell("presented", lane=NAME, who=kind, last_byte_ns=last_byte_ns)
        if kind == "is no reader here" or not await self._sees(lambda page: page["kind"] == "reader"):
            return
        if kind == "borrows":
            await self._borrows(number)
        else:
            await self._looks_at_account()
        await self._is_done()

    async def _borrows(self, number: int) -> None:
        there = [barcode for barcode in self._library.copies if barcode not in self._out]
        for barcode in self._random.sample(there, min(len(there), self._random.randint(1, 2))):
            if await self._scanned(barcode) in LENT:
                self._out[barcode] = number
                self._tell("carried_away", lane=NAME, book=barcode)

    async def _gives_back(self) -> None:
        if not self._out or not await self._touches("return", lambda page: page["kind"] == "returning"):
            return
        for barcode in self._random.sample(sorted(self._out), min(len(self._out), 2)):
            if str(await self._scanned(barcode)).startswith("return"):
                del self._out[barcode]
        await self._is_done()

    async def _looks_at_account(self) -> None:
        if await self._touches("account", lambda page: page["kind"] == "account") and self._page.get("rows"):
            await self._touches("renew_all", lambda page: "said" in page)

    async def _is_done(self) -> None:
        await self._touches("done", lambda page: page["kind"] == "rest")

    async def _scanned(self, barcode: str) -> str | None:
        """Hold a book's barcode there; what became of it."""
        await self._scan.show(barcode.encode())
        if not await self._sees(lambda page: _row(page, barcode) is not None):
            return None
        return _row(self._page, barcode)

    async def _touches(self, touch: str, then: Callable[[dict[str, Any]], bool]) -> bool:
        """Touch a button; whether the page came that should."""
        if self._screen is None:
            return False
        with suppress(ConnectionError):
            self._screen.write(json.dumps({"touch": touch}).encode() + b"\n")
            await self._screen.drain()
        return await self._sees(then)

    async def _sees(self, wanted: Callable[[dict[str, Any]], bool]) -> bool:
        """Look until the page is as wanted; False: it does not come, and one goes."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while not (self._page and wanted(self._page)):
                    self._seen.clear()
                    await self._seen.wait()
                return True
        return False

    async def _look(self) -> None:
        """The newest page, whatever becomes of the terminal."""
        while True:
            try:
                reader, self._screen = await asyncio.open_unix_connection(self._screen_path, limit=1 << 20)
                while line := await reader.readline():
                    self._page = json.loads(line)
                    self._seen.set()
            except (OSError, ValueError):
                pass
            await asyncio.sleep(0.1)

    # ----------------------------------------------------------------------- the network

    async def _cuts(self, stop: asyncio.Event) -> None:
        wait_s, cuts = FIRST_CUT_S, 0
        while not await _stopped(stop, wait_s):
            await self._library.stop()
            self._cut = True
            cuts += 1
            self._library.blocked = {reader_number(self._random.randrange(READERS))} if cuts % 2 == 0 else set()
            self._tell("library_cut", lane=NAME)
            await _stopped(stop, self._random.uniform(*CUT_S))
            await self._library.start(self.port)
            self._cut = False
            self._tell("library_back", lane=NAME)
            wait_s = self._random.uniform(*UNCUT_S)


def _row(page: dict[str, Any], barcode: str) -> str | None:
    """What the page says became of a book."""
    return next((row["said"]["reason"] for row in page.get("rows", ()) if row["id"] == barcode and "said" in row), None)


async def _stopped(stop: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
    return stop.is_set()
