"""Bytes of a scan module → payloads. Pure: time comes in with the bytes.

Laws of this file:
- How the stream is cut into reads changes nothing.
- Silence ends every frame: after `gap_s` without a byte nothing unfinished is kept. Whatever came before, the next
  frame after a silence is read; a length field of 65535 holds nobody up.
- Buffers are bounded by `longest`. What cannot become a payload is dropped and counted, never an error.
- Text framings may carry binary as hexadecimal or base64; a line that is neither is dropped and counted.

Nothing in length-prefixed binary says "a frame begins here", so after garbage a reader can count from a wrong byte.
The rules, strongest first. Where the module can send a start mark and a checksum, each false start is stepped over and
the next good frame is found without any silence. Where it cannot, an impossible length (0, or above `longest`) sets the
reader adrift: it only listens, and when the line falls silent it looks which frames ended exactly there. So do false
starts without end: looking at them is bounded work, whatever the line brings.
"""

import base64
import binascii
import re
from collections.abc import Callable
from typing import Protocol

LONGEST = 1024  # bytes of a payload; the codes we know stay below 512
QUIET_S = 0.2  # well above a USB adapter's 16 ms and a busy machine's hiccup, well below a person's next try
GAP_S = 0.05  # where silence is the only mark: as short as adapters allow, for every tap waits for it


class Framing(Protocol):
    """One way of telling payloads apart."""

    dropped: int  # bytes that became no payload
    gap_s: float  # the silence that ends whatever is held

    def feed(self, data: bytes, at_s: float) -> list[bytes]:
        """Payloads completed by these bytes, or by the silence before them."""

    def silence(self, at_s: float) -> list[bytes]:
        """Payloads completed by nothing having come for `gap_s`."""

    def pending(self) -> bool:
        """Whether bytes are held: then `silence` wants to be asked."""

    def reset(self) -> None:
        """Drop what is held."""


class _Held:
    """A buffer that silence empties: bytes after a silence never join those before it."""

    def __init__(self, gap_s: float, longest: int) -> None:
        self.dropped = 0
        self.gap_s = gap_s
        self._longest = longest
        self._held = bytearray()
        self._last_s = 0.0

    def feed(self, data: bytes, at_s: float) -> list[bytes]:
        """See the protocol."""
        payloads = self.silence(at_s)
        self._held += data
        self._last_s = at_s
        return payloads + self._take()

    def silence(self, at_s: float) -> list[bytes]:
        """See the protocol."""
        if not self._held or at_s - self._last_s < self.gap_s:
            return []
        payloads = self._rescue()
        self.reset()
        return payloads

    def pending(self) -> bool:
        """See the protocol."""
        return bool(self._held)

    def reset(self) -> None:
        """See the protocol."""
        self._cut(len(self._held))

    def _take(self) -> list[bytes]:
        raise AssertionError("each framing takes payloads in its own way")

    def _rescue(self) -> list[bytes]:
        """What silence completes; it takes those bytes out."""
        return []

    def _cut(self, count: int) -> None:
        self.dropped += count
        del self._held[:count]


# --------------------------------------------------------------------------- text lines


def _text(line: bytes) -> bytes:
    return line


def _hex(line: bytes) -> bytes | None:
    return binascii.unhexlify(line) if re.fullmatch(rb"(?:[0-9A-Fa-f]{2})+", line) else None


def _base64(line: bytes) -> bytes | None:
    try:
        return base64.b64decode(line, validate=True)
    except binascii.Error:
        return None


LINE_END = re.compile(rb"[\r\n]")
NOT_TEXT = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # noise on a text line: what came before it is worthless


class Lines(_Held):
    """Text ended by CR, LF or both; `decode` turns a line into its payload, or None."""

    def __init__(
        self, decode: Callable[[bytes], bytes | None], gap_s: float = QUIET_S, longest: int = 2 * LONGEST
    ) -> None:
        super().__init__(gap_s, longest)
        self._decode = decode
        self._overlong = False

    def reset(self) -> None:
        """See the protocol."""
        super().reset()
        self._overlong = False

    def _take(self) -> list[bytes]:
        *lines, rest = LINE_END.split(self._held)
        payloads = [payload for line in lines if (payload := self._payload(bytes(line)))]
        self._held[:] = rest
        if len(rest) > self._longest:
            self._overlong = True
            self._cut(len(rest) - 1)  # one byte stays, so that the silence is still noticed
        return payloads

    def _payload(self, line: bytes) -> bytes | None:
        """One ended line's payload; None for the nothing between CR and LF, and for what is none."""
        overlong, self._overlong = self._overlong or len(line) > self._longest, False
        text = NOT_TEXT.split(line)[-1]
        payload = None if overlong else self._decode(text)
        self.dropped += len(line) - (len(text) if payload else 0)
        return payload


# --------------------------------------------------------------------------- length-prefixed binary


def _crc16_row(index: int) -> int:
    for _ in range(8):
        index = index >> 1 ^ (0xA001 if index & 1 else 0)
    return index


_CRC16 = tuple(_crc16_row(index) for index in range(256))


def _crc16(data: bytes) -> bytes:
    """CRC-16/MODBUS, low byte first."""
    value = 0xFFFF
    for byte in data:
        value = value >> 8 ^ _CRC16[(value ^ byte) & 0xFF]
    return value.to_bytes(2, "little")


def _xor(data: bytes) -> bytes:
    value = 0
    for byte in data:
        value ^= byte
    return bytes((value,))


CHECKSUMS: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "none": (0, lambda _: b""),
    "xor": (1, _xor),
    "sum": (1, lambda data: bytes((sum(data) & 0xFF,))),
    "crc16": (2, _crc16),
}
IMPOSSIBLE, UNFINISHED = 0, -1
WORK = 64 * 1024  # bytes checked in vain before a line counts as noise
STEP = 64  # what stepping over a false start counts as


class LengthPrefixed(_Held):
    """[start mark] two bytes of length, most significant first, the payload, [checksum over length and payload]."""

    def __init__(
        self, gap_s: float = QUIET_S, longest: int = LONGEST, start: bytes = b"", checksum: str = "none"
    ) -> None:
        super().__init__(gap_s, longest)
        self._start = start
        self._head = len(start) + 2
        self._tail, self._check = CHECKSUMS[checksum]
        self._sure = bool(start) or self._tail > 0  # whether a frame can be told from garbage by itself
        self._adrift = False
        self._vain = 0  # work since the last good frame or silence

    def reset(self) -> None:
        """See the protocol."""
        super().reset()
        self._adrift, self._vain = False, 0

    def _take(self) -> list[bytes]:
        payloads: list[bytes] = []
        while self._held and not self._adrift:
            size = self._size(0)
            if size == UNFINISHED:
                break
            if size > 0:
                payloads.append(self._pop(size))
                self._vain = 0
            elif self._sure and self._vain < WORK:
                self._vain += STEP
                self._cut(self._to_next_mark())
            else:
                self._adrift = True
        if self._adrift:
            self._cut(max(0, len(self._held) - 2 * (self._head + self._longest)))
        return payloads

    def _to_next_mark(self) -> int:
        """How many bytes to step over: to the next byte that could begin a frame."""
        found = self._held.find(self._start[:1], 1)
        return len(self._held) if found < 0 else found

    def _size(self, position: int) -> int:
        """The size of the frame at `position`, or UNFINISHED, or IMPOSSIBLE."""
        held = self._held
        length_at = position + len(self._start)
        if not self._start.startswith(bytes(held[position:length_at])):
            return IMPOSSIBLE
        if len(held) < length_at + 2:
            return UNFINISHED
        length = int.from_bytes(held[length_at : length_at + 2])
        if not 0 < length <= self._longest:
            return IMPOSSIBLE
        end = length_at + 2 + length
        if len(held) < end + self._tail:
            return UNFINISHED
        if self._tail and self._check(bytes(held[length_at:end])) != held[end : end + self._tail]:
            self._vain += length
            return IMPOSSIBLE
        return end + self._tail - position

    def _pop(self, size: int) -> bytes:
        payload = bytes(self._held[self._head : size - self._tail])
        del self._held[:size]
        return payload

    def _rescue(self) -> list[bytes]:
        """Silence: behind a start that never finished, every sure frame; unmarked, the run that ends exactly here."""
        if self._sure:
            return self._sure_frames()
        start = self._run_to_end()
        self._cut(start)
        payloads = []
        while self._held:
            payloads.append(self._pop(self._size(0)))
        return payloads

    def _sure_frames(self) -> list[bytes]:
        payloads: list[bytes] = []
        self._vain = 0
        while self._held and self._vain < WORK:
            size = self._size(0)
            if size > 0:
                payloads.append(self._pop(size))
            else:
                self._cut(self._to_next_mark())
        return payloads

    def _run_to_end(self) -> int:
        """The first place from which frames follow one another exactly to the end; the end itself if there is none."""
        end = first = len(self._held)
        runs = bytearray(end + 1)
        runs[end] = True
        for position in range(end - 1, -1, -1):
            size = self._size(position)
            if size > 0 and runs[position + size]:
                runs[position], first = True, position
        return first


# --------------------------------------------------------------------------- silence alone


class Gap(_Held):
    """Raw bytes; a silence ends the payload."""

    def __init__(self, gap_s: float = GAP_S, longest: int = LONGEST) -> None:
        super().__init__(gap_s, longest)

    def _take(self) -> list[bytes]:
        spare = len(self._held) - self._longest - 1  # one byte too many stays and tells, until the silence
        if spare > 0:
            self._cut(spare)
        return []

    def _rescue(self) -> list[bytes]:
        if len(self._held) > self._longest:
            return []
        payload = bytes(self._held)
        self._held.clear()
        return [payload]


FRAMINGS: dict[str, Callable[..., Framing]] = {
    "lines": lambda **options: Lines(_text, **options),
    "hex": lambda **options: Lines(_hex, **options),
    "base64": lambda **options: Lines(_base64, **options),
    "length16": LengthPrefixed,
    "gap": Gap,
}
