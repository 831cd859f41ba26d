"""Bytes from a scan module → payloads. Pure: time comes in with the bytes.

Laws of this file:
- `feed(data, at_s)` returns the payloads that are whole; `silence(at_s)` those that a pause completed.
- Buffers are bounded by `longest`; whatever cannot become a payload is dropped and counted, and the next
  valid frame is read.
- A pause of `gap_s` inside a frame ends it: what is left of a broken frame never swallows the next one.
- Text framings may carry binary as hexadecimal or base64; a line that is neither is dropped and counted.
"""

import base64
import binascii
from collections.abc import Callable
from typing import Protocol

GAP_S = 0.05  # modules send a code in one go: 50 ms of silence is the end of whatever it was
LONGEST = 2953  # QR version 40-L


class Framing(Protocol):
    """One way of telling payloads apart."""

    dropped: int  # bytes that became no payload

    def feed(self, data: bytes, at_s: float) -> list[bytes]:
        """Payloads completed by these bytes."""

    def silence(self, at_s: float) -> list[bytes]:
        """Payloads completed by nothing having come for a while."""

    def pending(self) -> bool:
        """Whether a started frame waits for more: then `silence` wants to be asked."""


class _Buffered:
    """What all framings have in common."""

    def __init__(self, gap_s: float = GAP_S, longest: int = LONGEST) -> None:
        self.dropped = 0
        self._gap_s = gap_s
        self._longest = longest
        self._buffer = bytearray()
        self._last_s = 0.0

    def pending(self) -> bool:
        """See the protocol."""
        return bool(self._buffer)

    def _take(self, data: bytes, at_s: float) -> bool:
        """Add bytes; whether the pause before them ended what was there."""
        paused = bool(self._buffer) and at_s - self._last_s > self._gap_s
        self._last_s = at_s
        return paused

    def _is_silent(self, at_s: float) -> bool:
        return bool(self._buffer) and at_s - self._last_s >= self._gap_s

    def _drop(self) -> None:
        self.dropped += len(self._buffer)
        self._buffer.clear()


class Lines(_Buffered):
    """Text ended by CR, LF or both; `decode` turns a line into its payload, or None."""

    def __init__(
        self, decode: Callable[[bytes], bytes | None], gap_s: float = GAP_S, longest: int = 2 * LONGEST + 2
    ) -> None:
        super().__init__(gap_s, longest)
        self._decode = decode

    def feed(self, data: bytes, at_s: float) -> list[bytes]:
        """See the protocol."""
        if self._take(data, at_s):
            self._drop()
        found = []
        self._buffer += data
        *lines, rest = self._buffer.replace(b"\r", b"\n").split(b"\n")
        self._buffer = rest
        for line in lines:
            payload = self._decode(bytes(line)) if 0 < len(line) <= self._longest else None
            if payload:
                found.append(payload)
            else:
                self.dropped += len(line)
        if len(self._buffer) > self._longest:
            self._drop()
        return found

    def silence(self, at_s: float) -> list[bytes]:
        """See the protocol."""
        if self._is_silent(at_s):
            self._drop()
        return []


class LengthPrefixed(_Buffered):
    """Two bytes of length, most significant first, then so many bytes.

    Garbage can look like a length. A length of 0 or above `longest` is dropped byte by byte; a plausible one that is
    not followed by its bytes within the gap is dropped whole, so the module's next frame starts clean.
    """

    def feed(self, data: bytes, at_s: float) -> list[bytes]:
        """See the protocol."""
        if self._take(data, at_s):
            self._drop()
        self._buffer += data
        found = []
        while len(self._buffer) >= 2:
            length = int.from_bytes(self._buffer[:2])
            if not 0 < length <= self._longest:
                self.dropped += 1
                del self._buffer[0]
                continue
            if len(self._buffer) < 2 + length:
                break
            found.append(bytes(self._buffer[2 : 2 + length]))
            del self._buffer[: 2 + length]
        return found

    def silence(self, at_s: float) -> list[bytes]:
        """See the protocol."""
        if self._is_silent(at_s):
            self._drop()
        return []


class Gap(_Buffered):
    """Raw bytes; a pause ends the payload."""

    def feed(self, data: bytes, at_s: float) -> list[bytes]:
        """See the protocol."""
        found = self._whole() if self._take(data, at_s) else []
        self._buffer += data
        if len(self._buffer) > self._longest:
            self._drop()
        return found

    def silence(self, at_s: float) -> list[bytes]:
        """See the protocol."""
        return self._whole() if self._is_silent(at_s) else []

    def _whole(self) -> list[bytes]:
        payload = bytes(self._buffer)
        self._buffer.clear()
        return [payload]


def _text(line: bytes) -> bytes:
    return line


def _hex(line: bytes) -> bytes | None:
    try:
        return bytes.fromhex(line.decode("ascii"))
    except ValueError:
        return None


def _base64(line: bytes) -> bytes | None:
    try:
        return base64.b64decode(line, validate=True)
    except binascii.Error:
        return None


FRAMINGS: dict[str, Callable[[float], Framing]] = {
    "lines": lambda gap_s: Lines(_text, gap_s),
    "hex": lambda gap_s: Lines(_hex, gap_s),
    "base64": lambda gap_s: Lines(_base64, gap_s),
    "length16": LengthPrefixed,
    "gap": Gap,
}
