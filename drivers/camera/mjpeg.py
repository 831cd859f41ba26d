"""An MJPEG stream over HTTP, read directly: JPEGs arrive whole and undecoded.

Laws of this file:
- Bounded: a header line, a part's headers and a picture have a longest length; what is longer is no camera.
- A connection that says nothing for `READ_S` is lost.
- The address may hold a name and a password (Basic); neither is ever told.
"""

import base64
import http.client
import re
import socket
import struct
import urllib.parse

from drivers.camera.frames import CameraLost, JpegPicture, now_ns

CONNECT_S, READ_S = 2.0, 1.5
LONGEST_LINE = 1024
MOST_HEADERS = 32
LONGEST_PICTURE = 8 << 20  # bytes
PORTS = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
HINT = "is the camera on, is the address right (try it in a browser), may we see it?"
_BOUNDARY = re.compile(r'multipart/x-mixed-replace\s*;.*\bboundary="?([^";]+)', re.IGNORECASE)
_LENGTH = re.compile(rb"content-length:\s*(\d{1,8})\s*$", re.IGNORECASE)


class MjpegCamera:
    """One connection to a camera's stream."""

    def __init__(self, url: str) -> None:
        self._where, address = without_password(url), urllib.parse.urlsplit(url)
        self._at_boundary = False  # already read, by a part that did not state its length
        self._connection = PORTS[address.scheme](address.hostname or "", address.port, timeout=CONNECT_S)
        self._stream: http.client.HTTPResponse | None = None
        try:
            self._boundary = self._ask(address)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise CameraLost(f"{self._where}: {error or 'no answer'}", HINT) from error
        except CameraLost:
            self.close()
            raise

    def read(self) -> JpegPicture:
        """See the protocol. Raises CameraLost."""
        try:
            assert self._stream is not None
            length = self._headers()
            data = self._stream.read(length) if length else self._until_boundary()  # None: nothing came in time
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise CameraLost(f"{self._where}: {error or 'no picture in time'}", HINT) from error
        if not data or len(data) < length:
            raise CameraLost(f"{self._where}: no whole picture in time", HINT)
        return JpegPicture(data, now_ns())

    def close(self) -> None:
        """See the protocol."""
        if self._stream is not None:
            self._stream.close()
        self._connection.close()

    # ----------------------------------------------------------------------- HTTP

    def _ask(self, address: urllib.parse.SplitResult) -> bytes:
        """Ask for the stream; the boundary between its parts."""
        headers = {"Accept": "multipart/x-mixed-replace", "Connection": "close"}
        if address.username is not None:
            who = f"{urllib.parse.unquote(address.username)}:{urllib.parse.unquote(address.password or '')}"
            headers["Authorization"] = "Basic " + base64.b64encode(who.encode()).decode()
        target = (address.path or "/") + (f"?{address.query}" if address.query else "")
        self._connection.connect()
        line = self._connection.sock  # the answer takes it over
        line.settimeout(None)
        line.setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", *divmod(round(READ_S * 1e6), 1_000_000))
        )
        self._connection.request("GET", target, headers=headers)
        self._stream = answer = self._connection.getresponse()
        if answer.status != http.client.OK:
            raise CameraLost(f"{self._where}: HTTP {answer.status}", HINT)
        found = _BOUNDARY.search(answer.getheader("Content-Type") or "")
        if found is None:
            raise CameraLost(f"{self._where}: no multipart/x-mixed-replace stream", "ask the camera for MJPEG")
        return b"--" + found[1].removeprefix("--").encode("latin-1")

    def _headers(self) -> int:
        """Read up to a part's first byte; its stated length, or 0."""
        while not self._at_boundary:
            self._at_boundary = self._line().startswith(self._boundary)
        self._at_boundary = False
        length = 0
        for _ in range(MOST_HEADERS):
            line = self._line()
            if line in (b"\r\n", b"\n"):
                return length
            found = _LENGTH.match(line)
            length = int(found[1]) if found else length
            if length > LONGEST_PICTURE:
                raise ValueError(f"a picture of {length} bytes")
        raise ValueError("headers without end")

    def _line(self) -> bytes:
        assert self._stream is not None
        line = self._stream.readline(LONGEST_LINE)
        if not line:
            raise CameraLost(f"{self._where}: the stream ended", HINT)
        return line

    def _until_boundary(self) -> bytes:
        """A part without a stated length ends where the next begins."""
        data = bytearray()
        while len(data) <= LONGEST_PICTURE:
            line = self._line()
            if line.startswith(self._boundary):
                self._at_boundary = True
                return bytes(data.removesuffix(b"\n").removesuffix(b"\r"))
            data += line
        raise ValueError("a picture without end")


def without_password(url: str) -> str:
    """An address as it may be told: without name, password and query."""
    address = urllib.parse.urlsplit(url)
    return address._replace(netloc=address.netloc.rpartition("@")[2], query="").geturl()
