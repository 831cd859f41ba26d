"""A kiosk's screen behind a local socket: one JSON object a line, pages out, presses in.

Laws of this file:
- {"kind": "reader", "said": {"reason": …}, "rows": […], "buttons": [{"touch": "done"}], …} is the page as
  core/screen.py has it; {"touch": "done", "of": ""} is a press.
- The socket belongs to the terminal's user alone: a page may be somebody's account.
- Whoever connects is shown the page there is; who does not read what it is sent is let go. Nothing is kept for anybody.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import msgspec

from terminal.core.model import Reading, Value
from terminal.core.screen import Page, Press
from terminal.ports import Clock, DeviceError, Screen

MOST_LOOKERS = 8
MOST_WAITING = 16  # presses
LONGEST_LINE = 4096
LONGEST_UNREAD = 1 << 18  # bytes sent to somebody who does not read


class Settings(Value, frozen=True):
    """`[lanes.NAME.screen]` with `driver = "screen.socket"`."""

    path: str


def open(settings: Settings, clock: Clock) -> Screen:
    """A screen; the socket is made when presses are waited for."""
    return SocketScreen(Path(settings.path), clock)


class SocketScreen:
    """The Screen port."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._line = b""
        self._lookers: set[asyncio.StreamWriter] = set()
        self._presses: asyncio.Queue[tuple[Press, Reading]] = asyncio.Queue(MOST_WAITING)

    async def show(self, page: Page) -> None:
        """See the port."""
        self._line = msgspec.json.encode(page) + b"\n"
        for looker in tuple(self._lookers):
            self._tell(looker)

    async def presses(self) -> AsyncIterator[tuple[Press, Reading]]:
        """See the port."""
        try:
            self._path.unlink(missing_ok=True)
            server = await asyncio.start_unix_server(self._serve, self._path, limit=LONGEST_LINE)
            self._path.chmod(0o600)
        except OSError as error:
            hint = "name a path of less than 100 characters, in a directory the terminal's user may write to"
            raise DeviceError(f"{self._path}: {error}", hint=hint) from error
        try:
            while True:
                yield await self._presses.get()
        finally:
            server.close()
            for looker in tuple(self._lookers):
                looker.transport.abort()
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._lookers) >= MOST_LOOKERS:
            writer.transport.abort()
            return
        self._lookers.add(writer)
        try:
            self._tell(writer)
            while line := await reader.readline():
                with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError, asyncio.QueueFull):
                    press = msgspec.json.decode(line, type=Press)
                    self._presses.put_nowait((press, self._clock.read()))
        except (OSError, ValueError):
            return
        finally:
            self._lookers.discard(writer)
            writer.transport.abort()

    def _tell(self, looker: asyncio.StreamWriter) -> None:
        if looker.transport.get_write_buffer_size() > LONGEST_UNREAD:
            looker.transport.abort()
        elif self._line:
            looker.write(self._line)
