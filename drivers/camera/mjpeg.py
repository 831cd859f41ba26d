"""An MJPEG stream over HTTP, read directly: JPEGs arrive whole and undecoded.

Laws of this file:
- Bounded: a header line, a part's headers and a picture have a longest length; what is longer is no camera.
- A connection that says nothing for `READ_S` is lost.
- Pictures that nobody waits for may stay where they are, in the kernel's buffer, and are left out all at once; only
  where that buffer has room for them, or the camera would be held up and its pictures grow old on its side.
- The address may hold a name and a password (Basic); neither is ever told.
"""

import base64
import http.client
import re
import socket
import ssl
import struct
import time
import urllib.parse
from functools import partial

from drivers.camera.frames import CameraLost, JpegPicture, now_ns
from drivers.camera.inlet import Inlet, NotYet

CONNECT_S, READ_S = 2.0, 1.5
TICK = struct.pack("@ll", 0, 50_000)  # seconds, microseconds: a read waits no longer, and is tried again
LONGEST_HEAD, MOST_HEADERS, LONGEST_BOUNDARY = 8192, 32, 256  # of a part: bytes, lines, bytes
LONGEST_PICTURE = 8 << 20  # bytes
FIRST = 1 << 14  # bytes that may have come with the answer's head
ROOM = 1 << 20  # bytes asked of the kernel for what has come; it may grant less
RCV_SSTHRESH = 8 + 14 * 4  # where it stands in struct tcp_info
WAITING = 4  # pictures that come while nobody takes them, and one to spare
MOST_SKIPPED = 64  # at a time
PORTS = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
HINT = "is the camera on, is the address right (try it in a browser), may we see it?"
TROUBLE = (OSError, EOFError, http.client.HTTPException, ValueError)
_BOUNDARY = re.compile(r'multipart/x-mixed-replace\s*;.*\bboundary="?([^";]+)', re.IGNORECASE)
_LENGTH = re.compile(rb"^content-length:\s*(\d{1,8})\s*$", re.IGNORECASE | re.MULTILINE)


class MjpegCamera:
    """One connection to a camera's stream."""

    def __init__(self, url: str) -> None:
        self._where, address = without_password(url), urllib.parse.urlsplit(url)
        self._connection = PORTS[address.scheme](address.hostname or "", address.port, timeout=CONNECT_S)
        self._stream: http.client.HTTPResponse | None = None
        self._line: socket.socket | None = None  # where pictures may lie waiting
        self._longest = self._waited = 0  # bytes, of one picture and of a rest
        try:
            self._ask(address)
        except TROUBLE as error:
            self.close()
            raise CameraLost(f"{self._where}: {error or 'no answer'}", HINT) from error
        except CameraLost:
            self.close()
            raise

    @property
    def patient(self) -> bool:
        """See the protocol: the kernel has offered the camera room for what comes meanwhile."""
        if self._line is None or not self._longest:
            return False
        return max(WAITING * self._longest, 2 * self._waited) <= window(self._line)

    def read(self, within_s: float | None = None) -> JpegPicture | None:
        """See the protocol. Raises CameraLost."""
        data = self._part(READ_S if within_s is None else within_s)
        if data:
            self._longest = max(len(data), self._longest * 15 // 16)
            return JpegPicture(data, now_ns())
        if data is None and within_s is not None:
            return None
        raise CameraLost(f"{self._where}: no whole picture in time", HINT)

    def skip(self) -> int:
        """See the protocol. Raises CameraLost."""
        skipped = 0
        try:
            self._waited = max(self._inlet.gather(), self._waited * 15 // 16)
        except TROUBLE as error:
            raise self._lost(error) from error
        while skipped < MOST_SKIPPED and self._part(0.0) is not None:
            skipped += 1
        return skipped

    def close(self) -> None:
        """See the protocol."""
        if self._stream is not None:
            self._stream.close()
        self._connection.close()

    # ----------------------------------------------------------------------- HTTP

    def _ask(self, address: urllib.parse.SplitResult) -> None:
        """Ask for the stream. Raises CameraLost."""
        headers = {"Accept": "multipart/x-mixed-replace", "Connection": "close"}
        if address.username is not None:
            who = f"{urllib.parse.unquote(address.username)}:{urllib.parse.unquote(address.password or '')}"
            headers["Authorization"] = "Basic " + base64.b64encode(who.encode()).decode()
        target = (address.path or "/") + (f"?{address.query}" if address.query else "")
        self._connection.connect()
        line = self._connection.sock  # the answer takes it over
        line.settimeout(READ_S)
        self._connection.request("GET", target, headers=headers)
        self._stream = answer = self._connection.getresponse()
        if answer.status != http.client.OK:
            raise CameraLost(f"{self._where}: HTTP {answer.status}", HINT)
        found = _BOUNDARY.search(answer.getheader("Content-Type") or "")
        if found is None:
            raise CameraLost(f"{self._where}: no multipart/x-mixed-replace stream", "ask the camera for MJPEG")
        boundary = b"--" + found[1].removeprefix("--").encode("latin-1")
        if answer.chunked or isinstance(line, ssl.SSLSocket):
            return self._read_from(Inlet(partial(decoded, answer)), boundary)
        first = answer.read1(FIRST)  # what the answer has taken in; from now on the line is read past it
        if not first:
            raise CameraLost(f"{self._where}: the stream ended", HINT)
        make_patient(line)
        self._line = line
        return self._read_from(Inlet(partial(plain, line), first), boundary)

    def _read_from(self, inlet: Inlet, boundary: bytes) -> None:
        """The stream and what stands between its parts."""
        self._inlet, line = inlet, re.escape(boundary) + rb"[^\n]*\n"
        headers = rb"((?:[^\r\n][^\n]*\n){0,%d})\r?\n" % MOST_HEADERS
        self._head = re.compile(rb"(?:\A|\n)" + line + headers)
        self._end = re.compile(rb"\r?\n" + re.escape(boundary))

    # ----------------------------------------------------------------------- parts

    def _part(self, within_s: float) -> bytes | None:
        """The next part, whole; its picture. Raises CameraLost."""
        inlet = self._inlet
        inlet.until_s = time.monotonic() + within_s if within_s else 0.0
        try:
            found = _LENGTH.search(inlet.past(self._head, LONGEST_PICTURE, LONGEST_HEAD)[1])
            length = int(found[1]) if found else 0
            if length > LONGEST_PICTURE:
                raise ValueError(f"a picture of {length} bytes")
            data = inlet.take(length) if length else inlet.up_to(self._end, LONGEST_PICTURE, LONGEST_BOUNDARY)
            inlet.keep()
        except NotYet:
            inlet.back()
            return None
        except TROUBLE as error:
            raise self._lost(error) from error
        return data

    def _lost(self, error: Exception) -> CameraLost:
        return CameraLost(f"{self._where}: {error or 'no picture in time'}", HINT)


def make_patient(line: socket.socket) -> None:
    """Let reads wait a tick, and what comes wait for reads."""
    line.settimeout(None)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, TICK)
    for least in (ROOM, 1):  # a wish to be woken at so much makes room for it, also where rmem_max forbids SO_RCVBUF to
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, least)


def window(line: socket.socket) -> int:
    """How many bytes the camera may send before we read; it grows with what comes."""
    return int(struct.unpack_from("@I", line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), RCV_SSTHRESH)[0])


def plain(line: socket.socket, free: memoryview, wait: bool) -> int | None:
    """What has come through a line, as it is."""
    try:
        return line.recv_into(free, 0, 0 if wait else socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None


def decoded(answer: http.client.HTTPResponse, free: memoryview, wait: bool) -> int:
    """What has come through TLS, or in chunks; it waits in any case."""
    data = answer.read1(len(free))
    free[: len(data)] = data
    return len(data)


def without_password(url: str) -> str:
    """An address as it may be told: without name, password and query."""
    address = urllib.parse.urlsplit(url)
    return address._replace(netloc=address.netloc.rpartition("@")[2], query="").geturl()
