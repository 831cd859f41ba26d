"""A kiosk's screen and pad in memory, at the ports themselves: for simulated days and stories.

Laws of this file:
- No wire and no thread: a jumping loop may run it.
- Books stay where they were put, and keep their security, whatever becomes of the terminal.
- What is wrong with a device is a plain attribute; whoever tells the story sets it.
"""

import asyncio
from collections.abc import AsyncIterator

from terminal.core.items import Content, Pad, Securing, Tag, pad_of, tags_of
from terminal.core.model import Reading
from terminal.core.screen import Page, Press, Touch
from terminal.ports import Clock, DeviceError

WRITE_S = 0.05  # one tag is written and read back


class MemoryScreen:
    """The Screen port; `touch` is a finger."""

    def __init__(self, clock: Clock) -> None:
        self.pages: list[Page] = []
        self._clock = clock
        self._presses: asyncio.Queue[tuple[Press, Reading]] | None = None

    async def show(self, page: Page) -> None:
        """See the port."""
        self.pages.append(page)

    def touch(self, touch: Touch, of: str = "") -> None:
        """Touch a button, whether the page offers it or not."""
        if self._presses is not None:
            self._presses.put_nowait((Press(touch=touch, of=of), self._clock.read()))

    async def presses(self) -> AsyncIterator[tuple[Press, Reading]]:
        """See the port."""
        presses = self._presses = asyncio.Queue()
        while True:
            yield await presses.get()


class MemoryPad:
    """The ItemReader port: books by barcode, each with one tag."""

    def __init__(self, clock: Clock) -> None:
        self.secured: dict[str, bool] = {}  # every book that ever lay here → whether the door would alarm
        self.fails: Securing | None = None  # what becomes of the next write
        self.plugged = True
        self._clock = clock
        self._lying: list[str] = []
        self._changed = asyncio.Event()

    def put(self, *barcodes: str) -> None:
        """These lie there now, and nothing else."""
        self._lying = list(barcodes)
        for barcode in barcodes:
            self.secured.setdefault(barcode, True)
        self._changed.set()

    def pad(self) -> Pad:
        """What lies there."""
        return pad_of(
            Tag(uid=f"E0{int.from_bytes(barcode.encode()[-7:]):014X}", content=Content(item=barcode), secured=on)
            for barcode, on in ((one, self.secured[one]) for one in self._lying)
        )

    async def pads(self) -> AsyncIterator[tuple[Pad, Reading]]:
        """See the port."""
        while True:
            if not self.plugged:
                raise DeviceError("the pad is gone", hint="plug it in")
            self._changed.clear()
            yield self.pad(), self._clock.read()
            await self._changed.wait()

    async def secure(self, item: str, on: bool) -> Securing:
        """See the port."""
        await asyncio.sleep(WRITE_S)
        if not self.plugged:
            raise DeviceError("the pad is gone", hint="plug it in")
        fails, self.fails = self.fails, None
        found = tags_of(self.pad(), item)
        if isinstance(found, Securing):
            return found
        if fails is None:
            self.secured[item] = on
        return fails or Securing.DONE
