"""What the process that sees tells the daemon, and what it is told: a pipe each way, whole messages, all of it bounded.

Laws of this file:
- The process that sees is untrusted: it decodes pictures that strangers hold up. What it sends is read strictly or not
  at all; anything else is `Nonsense`, and the process is ended.
- Nothing here touches a pixel: this file is all the two ends share.
- A message is 4 bytes of length, then MessagePack. Moments are CLOCK_MONOTONIC nanoseconds, which both ends share.
"""

from collections.abc import Iterator
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from terminal.core.model import Value

LONGEST_PAYLOAD = 2953  # bytes: what the largest QR code can hold
LONGEST_PICTURE = 120_000  # bytes of a JPEG for aiming
LONGEST = LONGEST_PAYLOAD * 8 + LONGEST_PICTURE
MOST_SYMBOLS = 8  # in one picture

Share: TypeAlias = Annotated[float, Meta(ge=0.0, le=1.0)]
Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**53)]
Moment: TypeAlias = Annotated[int, Meta(ge=0, le=2**62)]
Words: TypeAlias = Annotated[str, Meta(max_length=200)]


class Told(Value, frozen=True, forbid_unknown_fields=True, tag=True):
    """What may be told."""


class Seen(Value, frozen=True, forbid_unknown_fields=True):
    """One code in a picture."""

    payload: Annotated[bytes, Meta(max_length=LONGEST_PAYLOAD)]
    score: Share  # the decoder's own opinion of how well it read


class Look(Told, frozen=True):
    """One picture that was looked at, and every code in it; none is news too: something left."""

    arrived_ns: Moment
    symbols: Annotated[tuple[Seen, ...], Meta(max_length=MOST_SYMBOLS)] = ()


class Beat(Told, frozen=True):
    """The process is alive, and this is how the camera does."""

    at_ns: Moment
    arrived_ns: Moment = 0  # the newest picture's arrival; 0: none yet
    pictures: Count = 0  # arrived so far
    checked: Count = 0  # of those, asked whether anything moved
    looked: Count = 0  # of those, decoded
    read: Count = 0  # of those, with a code in them
    slow: Count = 0  # looks that took longer than the budget
    bad: Count = 0  # pictures that were none
    opened: Count = 0  # how often the source was opened
    frozen: bool = False  # the same picture again and again
    confined: bool = False  # the kernel refuses it what it does not need
    trouble: Words = ""  # why there is no picture
    hint: Words = ""  # what to try


class Picture(Told, frozen=True):
    """What the camera sees, small, for whoever aims it."""

    arrived_ns: Moment
    jpeg: Annotated[bytes, Meta(max_length=LONGEST_PICTURE)]
    brightness: Share  # mean of the picture
    contrast: Share  # how far its darkest and its brightest twentieth lie apart
    sharpness: Annotated[float, Meta(ge=0.0, le=1e6)]  # variance of the Laplacian of the middle: for comparing, no unit
    score: Share  # of the last second's looks, how many read a code


class Failed(Told, frozen=True):
    """The last thing a process says when it cannot go on."""

    what: Words
    hint: Words = ""


Message: TypeAlias = Look | Beat | Picture | Failed


class Order(Value, frozen=True, forbid_unknown_fields=True):
    """What the process that sees is to do; one line of JSON on its standard input begins it."""

    source: str
    formats: tuple[str, ...]
    mode: str
    width: int
    height: int
    rate: int
    exposure_ms: float | None
    check_hz: float
    budget_ms: int
    memory_mib: int


SHOW = b"picture\n"  # asks for one Picture
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)
_encoder = msgspec.msgpack.Encoder()


class Nonsense(Exception):
    """What arrived is no message."""


def encode(message: Message) -> bytes:
    """One message as it goes through the pipe."""
    body = _encoder.encode(message)
    return len(body).to_bytes(4) + body


class Inbox:
    """Cuts what arrives into messages."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Every message that is whole now. Raises Nonsense; nothing after that can be believed."""
        self._held += data
        while len(self._held) >= 4:
            length = int.from_bytes(self._held[:4])
            if length > LONGEST:
                raise Nonsense(f"a message of {length} bytes")
            if len(self._held) < 4 + length:
                return
            body = bytes(self._held[4 : 4 + length])
            del self._held[: 4 + length]
            try:
                yield _decoder.decode(body)
            except (msgspec.MsgspecError, ValueError, RecursionError) as error:  # ValueError: bytes that are no UTF-8
                raise Nonsense(str(error)[:200]) from error
