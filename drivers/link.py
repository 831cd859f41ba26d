"""A line of bytes by URL: `serial:/dev/ttyS1?baud=115200&parity=N` or `tcp:host:port`.

Laws of this file:
- pyserial sets the port up; the event loop reads it (`add_reader`): no thread, no polling.
- A line is ours alone: it is opened exclusively. pyserial empties it in opening: what lay there was meant for nobody.
- Nothing here blocks the loop: a TCP line connects in it.
- Whatever goes wrong becomes a DeviceError that says what, where and what to try.
"""

import asyncio
import contextlib
import os
import socket
import urllib.parse
from collections.abc import Callable

import serial

from terminal.ports import ByteLink, DeviceError

CHUNK = 4096
PARITIES = {"N": serial.PARITY_NONE, "E": serial.PARITY_EVEN, "O": serial.PARITY_ODD}
CONNECT_S = 2.0


async def open_link(url: str) -> ByteLink:
    """Open a line. Raises DeviceError."""
    scheme, _, rest = url.partition(":")
    if scheme == "serial":
        return SerialLink(rest)
    if scheme == "tcp":
        return TcpLink(rest, await _connect(rest))
    raise DeviceError(f"{url}: unknown kind of line", hint="write serial:/dev/… or tcp:host:port")


def serial_options(rest: str) -> tuple[str, int, str]:
    """Path, baud and parity of the part behind `serial:`. Raises DeviceError."""
    path, _, query = rest.partition("?")
    options = dict(urllib.parse.parse_qsl(query))
    baud, parity = options.pop("baud", "115200"), options.pop("parity", "N")
    if options or not baud.isdecimal() or parity not in PARITIES:
        raise DeviceError(f"serial:{rest}: not understood", hint="write serial:/dev/ttyS1?baud=115200&parity=N")
    return path, int(baud), parity


class _DescriptorLink:
    """What serial lines and sockets have in common: a descriptor the loop reads."""

    def __init__(self, where: str, fd: int) -> None:
        self._where = where
        self._fd = fd
        self._lost: Callable[[Exception | None], None] | None = None

    def on_bytes(self, receive: Callable[[bytes], None], lost: Callable[[Exception | None], None]) -> None:
        """See the port."""
        self._lost = lost

        def ready() -> None:
            try:
                data = os.read(self._fd, CHUNK)
            except BlockingIOError:
                return
            except OSError as error:
                self._gone(error)
                return
            if data:
                receive(data)
            else:
                self._gone(None)

        asyncio.get_running_loop().add_reader(self._fd, ready)

    def write(self, data: bytes) -> None:
        """See the port."""
        try:
            sent = os.write(self._fd, data)
        except OSError as error:
            raise DeviceError(f"{self._where}: {error.strerror}", hint="look at cable and power") from error
        if sent < len(data):
            raise DeviceError(f"{self._where}: takes no more bytes", hint="look at the cable and the flow control")

    def close(self) -> None:
        """See the port."""
        with contextlib.suppress(RuntimeError, ValueError):  # the loop may be gone already
            asyncio.get_running_loop().remove_reader(self._fd)
        self._release()

    def _gone(self, error: Exception | None) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        if self._lost is not None:
            self._lost(error)

    def _release(self) -> None:
        raise AssertionError("each kind of line lets go in its own way")


class SerialLink(_DescriptorLink):
    """A serial port."""

    def __init__(self, rest: str) -> None:
        path, baud, parity = serial_options(rest)
        try:
            self._port = serial.Serial(path, baud, parity=PARITIES[parity], timeout=0, exclusive=True)
        except (OSError, ValueError) as error:  # SerialException is an OSError
            hint = f"is {path} there (ls -l {path}), may we open it (group dialout), does another program hold it?"
            raise DeviceError(f"{path}: {error}", hint=hint) from error
        super().__init__(path, self._port.fileno())

    def _release(self) -> None:
        self._port.close()


class TcpLink(_DescriptorLink):
    """A serial device server, or a device with a network."""

    def __init__(self, rest: str, line: socket.socket) -> None:
        self._socket = line
        super().__init__(f"tcp:{rest}", line.fileno())

    def _release(self) -> None:
        self._socket.close()


async def _connect(rest: str) -> socket.socket:
    host, _, port = rest.rpartition(":")
    try:
        async with asyncio.timeout(CONNECT_S):
            loop = asyncio.get_running_loop()
            family, kind, protocol, _, where = (await loop.getaddrinfo(host, int(port), type=socket.SOCK_STREAM))[0]
            line = socket.socket(family, kind, protocol)
            try:
                line.setblocking(False)
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                await loop.sock_connect(line, where)
            except BaseException:
                line.close()
                raise
    except (OSError, ValueError, OverflowError) as error:  # a time-out is an OSError
        what = f"tcp:{rest}: {error or 'no answer'}"
        raise DeviceError(what, hint="is the device on, and is the port open?") from error
    return line
