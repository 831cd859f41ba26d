"""Frames of a PN532 on its serial line (UM0701-02, 6.2.1). Pure.

Laws of this file:
- How the stream is cut into reads changes nothing; garbage is stepped over to the next start of a frame.
- A frame whose checksum is wrong is DAMAGED: the module can be asked to send it again, and must not be guessed at.
"""

from enum import Enum

START = b"\x00\x00\xff"
TO_MODULE, FROM_MODULE = 0xD4, 0xD5
WAKE_UP = b"\x55\x55" + bytes(14)  # the module may be asleep: it needs time before the first frame
LONGEST = 265  # TFI and data


class Mark(Enum):
    """Frames without data."""

    ACK = bytes.fromhex("0000ff00ff00")
    NACK = bytes.fromhex("0000ffff0000")
    ERROR = bytes.fromhex("0000ff01ff7f8100")  # the module did not understand the command
    DAMAGED = b""


Frame = Mark | bytes


def frame(data: bytes, direction: int = TO_MODULE) -> bytes:
    """Data of up to 264 bytes in a frame, a longer one in the extended form."""
    body = bytes((direction,)) + data
    size = len(body)
    if size > LONGEST:
        raise ValueError(f"{size} bytes do not fit a frame")
    length = bytes((size, -size & 0xFF)) if size < 256 else b"\xff\xff" + _with_sum(size.to_bytes(2))
    return START + length + _with_sum(body) + b"\x00"


class Decoder:
    """Bytes → frames of one direction."""

    def __init__(self, direction: int = FROM_MODULE) -> None:
        self.dropped = 0  # bytes that belonged to no frame
        self._direction = direction
        self._held = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Whatever became whole: a mark, or a frame's data."""
        self._held += data
        frames: list[Frame] = []
        while (size := self._size()) is not None:
            one = bytes(self._held[:size])
            del self._held[:size]
            found = self._read(one)
            if found is not None:
                frames.append(found)
        return frames

    def _size(self) -> int | None:
        """Bytes of the frame that begins here; None if more are needed. Garbage before it is dropped."""
        start = self._held.find(START)
        skip = start if start >= 0 else max(0, len(self._held) - 2)  # its first bytes may be the last ones here
        self.dropped += skip
        del self._held[:skip]
        head = bytes(self._held[3:8])
        if start < 0 or len(head) < 2 or (head[:2] == b"\xff\xff" and len(head) < 5):
            return None
        size = _size(head)
        return size if len(self._held) >= size else None

    def _read(self, one: bytes) -> Frame | None:
        for mark in (Mark.ACK, Mark.NACK, Mark.ERROR):
            if one == mark.value:
                return mark
        head = 8 if one[3:5] == b"\xff\xff" else 5
        body = one[head:-1]
        if not body or sum(body) & 0xFF or body[0] != self._direction:
            self._held[:0] = one[len(START) :]  # its length may be what is wrong: what follows is looked at again
            return Mark.DAMAGED
        return body[1:-1]


def _size(head: bytes) -> int:
    """Bytes of a frame by what follows its start; of one whose length is damaged, what was looked at."""
    if head[:2] in (b"\x00\xff", b"\xff\x00"):
        return 6
    if head[:2] == b"\xff\xff":
        size = int.from_bytes(head[2:4])
        return 8 if sum(head[2:5]) & 0xFF or size > LONGEST else size + 10
    return 5 if sum(head[:2]) & 0xFF else head[0] + 7


def _with_sum(data: bytes) -> bytes:
    return data + bytes((-sum(data) & 0xFF,))
