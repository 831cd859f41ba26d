"""Commands over a local socket: one JSON object a line in, one out.

Laws of this file:
- {"who": "7", "do": "stop", "with": ["next"]} → {"ok": true, "answer": {…}} or {"ok": false, "what": …, "hint": …}.
- The socket belongs to the terminal's user and its group; whoever may open it may ask, and says who asks.
- A line that is too long or not understood is answered and costs nobody else anything; so is a client that leaves.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from terminal.ports import DeviceError
from terminal.runtime.commands import Answer, NotDone

LONGEST_LINE = 4096
SILENT_S = 60.0  # a client that says nothing for so long is let go

Ask = Callable[[str, str, Sequence[str]], Awaitable[Answer]]


class CommandSocket:
    """Serves one path until cancelled."""

    def __init__(self, path: Path, ask: Ask) -> None:
        self._path = path
        self._ask = ask

    async def run(self) -> None:
        """Serve. Raises DeviceError when the socket cannot be made."""
        try:
            self._path.unlink(missing_ok=True)
            server = await asyncio.start_unix_server(self._serve, self._path, limit=LONGEST_LINE)
            self._path.chmod(0o660)
        except OSError as error:
            hint = "name a path of less than 100 characters, in a directory the terminal's user may write to"
            raise DeviceError(f"{self._path}: {error}", hint=hint) from error
        try:
            async with server:
                await server.serve_forever()
        finally:
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await asyncio.wait_for(_line(reader), SILENT_S):
                writer.write(json.dumps(await self._answer(line), ensure_ascii=False).encode() + b"\n")
                await writer.drain()
        except (TimeoutError, OSError):
            return
        finally:
            with suppress(OSError):
                writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        match _decoded(line):
            case {"who": str(who), "do": str(command), **rest} if (words := _words(rest.get("with", []))) is not None:
                try:
                    return {"ok": True, "answer": await self._ask(who, command, words)}
                except NotDone as error:
                    return {"ok": False, "what": error.what, "hint": error.hint}
        hint = '{"who": "7", "do": "stop", "with": ["next"]}'
        return {"ok": False, "what": "not understood", "hint": f"one JSON object a line, such as {hint}"}


async def _line(reader: asyncio.StreamReader) -> bytes:
    """The next line; b"" at the end. One that is too long reads as one that is not understood."""
    try:
        return await reader.readline()
    except ValueError:
        return b"{"


def _words(found: object) -> list[str] | None:
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        return None
    return found


def _decoded(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
