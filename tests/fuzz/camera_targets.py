"""What comes to the daemon from the process that sees, and to that process from a camera in the network.

Laws of this file:
- A message is one of four, within its bounds, or `Nonsense`; what was heard can be said again.
- A stream is pictures, or a lost camera.
"""

import io
from contextlib import suppress
from typing import Any, cast

from drivers.camera.frames import CameraLost
from drivers.camera.inlet import ROOM, Inlet
from drivers.camera.messages import (
    LONGEST_PAYLOAD,
    MOST_SYMBOLS,
    Beat,
    Failed,
    Inbox,
    Look,
    Nonsense,
    Picture,
    Seen,
    encode,
)
from drivers.camera.mjpeg import LONGEST_PICTURE, MOST_SKIPPED, MjpegCamera


def messages(data: bytes) -> None:
    """Whatever comes through the pipe."""
    with suppress(Nonsense):
        for message in Inbox().feed(data):
            assert isinstance(message, Look | Beat | Picture | Failed)
            assert list(Inbox().feed(encode(message))) == [message]
            if isinstance(message, Look):
                assert len(message.symbols) <= MOST_SYMBOLS
                assert all(len(one.payload) <= LONGEST_PAYLOAD for one in message.symbols)


def message_seeds() -> list[bytes]:
    """One of each kind, and two in a row."""
    look = Look(arrived_ns=5, symbols=(Seen(payload=b"\x00\xff", score=0.5),))
    shown = Picture(arrived_ns=5, jpeg=b"\xff\xd8", brightness=0.5, contrast=0.5, sharpness=1.0, score=1.0)
    one = [encode(message) for message in (look, Beat(at_ns=7), shown, Failed(what="why", hint="try"))]
    return [*one, one[0] + one[1], b"\xff\xff\xff\xff"]


def stream(data: bytes) -> None:
    """Whatever a camera sends once it has answered; taken picture by picture, and left out."""
    camera, read = _camera(data), 0
    with suppress(CameraLost):
        while (picture := camera.read()) is not None:
            assert picture._data.size <= len(data)
            read += 1
    assert len(camera._inlet._held) <= max(ROOM, 2 * (LONGEST_PICTURE + ROOM))
    with suppress(CameraLost):
        assert _camera(data).skip() >= min(read, MOST_SKIPPED)


def _camera(data: bytes) -> MjpegCamera:
    camera: Any = object.__new__(MjpegCamera)  # without the connection
    camera._where, camera._longest, camera._waited, camera._stream = "camera", 0, 0, io.BytesIO(data)
    camera._read_from(Inlet(lambda free, wait: camera._stream.readinto(free)), b"--b")
    return cast("MjpegCamera", camera)


def stream_seeds() -> list[bytes]:
    """Lengths stated and not."""
    return [
        b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: 3\r\n\r\nabc\r\n--b\r\n\r\nabc\r\n--b\r\n",
        b"--b\r\n\r\n\xff\xd8\n--x\r\n--b--\r\n",
        b"--b\r\nContent-Length: 99999999\r\n\r\n",
    ]
