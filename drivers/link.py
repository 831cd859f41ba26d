"""A line of bytes by its URL: `serial:/dev/ttyUSB0?baud=115200&parity=N`, `tcp:host:port`, `pty:/path`.

Laws of this file:
- pyserial sets the port up, exclusively; reading is `loop.add_reader`, so a byte is seen when it arrives.
- What lay in the port before it was opened is thrown away: it was meant for nobody.
- Every failure is a DeviceError whose hint says what, where and what to try; `lost` is called once.
"""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Callable
from typing import Literal
from urllib.parse import parse_qsl

import msgspec
import serial

from terminal.core.model import Value
from terminal.ports import ByteLink, DeviceError

CHUNK = 4096
CONNECT_S = 2.0
BACKLOG_LIMIT = 65536  # bytes not yet taken by the far end; more means that nobody is there

Receive = Callable[[bytes], None]
Lost = Callable[[Exception | None], None]


class LinkAddress(Value, frozen=True):
    """A link's URL, taken apart. `target` is a device path, or a host for tcp."""

    scheme: Literal["serial", "pty", "tcp"]
    target: str
    port: int = 0
    baud: int = 115200
    parity: Literal["N", "E", "O"] = "N"
    bits: Literal[7, 8] = 8
    stop: Literal[1, 2] = 1


def parse(url: str) -> LinkAddress:
    """Take a link URL apart. Raises DeviceError (the text names the URL) when it is not one."""
    scheme, _, rest = url.partition(":")
    target, _, query = rest.partition("?")
    fields: dict[str, str] = {"scheme": scheme, "target": target, **dict(parse_qsl(query))}
    if scheme == "tcp":
        fields["target"], _, fields["port"] = target.rpartition(":")
    try:
        address = msgspec.convert(fields, LinkAddress, strict=False)
    except msgspec.ValidationError as error:
        raise _bad_url(url, str(error)) from error
    if not address.target or (scheme == "tcp" and not 0 < address.port < 65536):
        raise _bad_url(url, "no device path, or no host and port")
    return address


async def open_link(url: str) -> ByteLink:
    """Open a line. Raises DeviceError when it cannot be opened."""
    address = parse(url)
    if address.scheme == "tcp":
        return _Line(url, await _connect(url, address))
    return _Line(url, _open_port(url, address))


# --------------------------------------------------------------------------- opening


def _open_port(url: str, address: LinkAddress) -> serial.Serial:
    try:
        port = serial.Serial(
            address.target,
            baudrate=address.baud,
            bytesize=address.bits,
            parity=address.parity,
            stopbits=address.stop,
            timeout=0,
            write_timeout=0,
            exclusive=True,
        )
        port.reset_input_buffer()
    except (OSError, ValueError) as error:  # SerialException is an OSError
        raise DeviceError(f"cannot open {url}: {_plain(error)}", hint=_port_hint(address, error)) from error
    return port


def _port_hint(address: LinkAddress, error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number in (errno.EACCES, errno.EPERM):
        return f"no right to open {address.target}: add the terminal's user to the group 'dialout'"
    if number in (errno.EAGAIN, errno.EBUSY) or "lock" in str(error):
        return f"{address.target} is in use: stop the other program (ModemManager?) that holds it"
    if number == errno.ENOENT:
        return f"{address.target} is not there: check the cable and the supply, and the path in the configuration"
    return f"check {address.target}: is it a serial port, is its baud rate supported?"


async def _connect(url: str, address: LinkAddress) -> socket.socket:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CONNECT_S):
            found = await loop.getaddrinfo(address.target, address.port, type=socket.SOCK_STREAM)
            family, kind, proto, _, where = found[0]
            line = socket.socket(family, kind, proto)
            try:
                line.setblocking(False)
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                await loop.sock_connect(line, where)
            except BaseException:
                line.close()
                raise
    except (OSError, TimeoutError) as error:
        hint = f"check that {address.target} is powered and on this network, and that port {address.port} is right"
        raise DeviceError(f"cannot connect {url}: {_plain(error)}", hint=hint) from error
    return line


def _bad_url(url: str, why: str) -> DeviceError:
    return DeviceError(
        f"link {url!r} is not understood: {why}",
        hint="write serial:/dev/ttyUSB0?baud=115200&parity=N, pty:/path or tcp:host:port",
    )


def _plain(error: BaseException) -> str:
    return str(error) or type(error).__name__


# --------------------------------------------------------------------------- the open line


class _Line:
    """A ByteLink over any file descriptor that can be polled."""

    def __init__(self, url: str, handle: serial.Serial | socket.socket) -> None:
        self._url = url
        self._handle = handle
        self._fd = handle.fileno()
        self._loop = asyncio.get_running_loop()
        self._out = bytearray()
        self._receive: Receive = _ignore
        self._lost: Lost = _ignore
        self._open = True
        os.set_blocking(self._fd, False)

    def on_bytes(self, receive: Receive, lost: Lost) -> None:
        """Deliver bytes as they arrive; `lost` once when the line is gone."""
        self._receive, self._lost = receive, lost
        self._loop.add_reader(self._fd, self._readable)

    def write(self, data: bytes) -> None:
        """Queue bytes for sending. Raises DeviceError when the line is gone or takes nothing any more."""
        if not self._open:
            raise DeviceError(f"{self._url} is closed", hint="the line was lost; it is opened again by itself")
        if len(self._out) + len(data) > BACKLOG_LIMIT:
            raise DeviceError(f"{self._url} takes no bytes", hint="check the cable and the flow control")
        self._out += data
        self._writable()

    def close(self) -> None:
        """Let go of the line."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
            with contextlib.suppress(OSError):
                self._handle.close()

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._gone(error)
            return
        if data:
            self._receive(data)
        else:
            self._gone(None)

    def _writable(self) -> None:
        try:
            del self._out[: os.write(self._fd, self._out)]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            self._gone(error)
            return
        if self._out:
            self._loop.add_writer(self._fd, self._writable)
        else:
            self._loop.remove_writer(self._fd)

    def _gone(self, error: Exception | None) -> None:
        if self._open:
            self.close()
            self._lost(error)


def _ignore(_: object) -> None:
    """Nobody listens yet."""
