"""Frames: the newest picture, its age, and a source that is opened again; from memory, over HTTP, from a file."""

import itertools
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from drivers.camera import frames, mjpeg
from drivers.camera.frames import (
    BadPicture,
    CameraLost,
    FrameSource,
    JpegPicture,
    Picture,
    PlanePicture,
    Stillness,
    now_ns,
)
from drivers.camera.video import Wanted, open_camera, picture_of
from simulators import pki
from simulators.painting import Held, Painter, Shown, jpeg

PAINTER = Painter(640, 360, seed=1)
WITHIN_S = 15.0  # a machine may be busy with other things
JPEG = jpeg(PAINTER.picture([Shown(b"ride", Held())], 0))


class MemoryCamera:
    """Pictures at a rate; `left` of them, then the plug is pulled."""

    def __init__(self, rate: float = 200.0, left: int = 10**9) -> None:
        self.rate, self.left, self.closed, self.patient = rate, left, False, False
        self.arrivals: list[int] = []

    def read(self, within_s: float | None = None) -> Picture | None:
        if not self.left:
            raise CameraLost("no camera", "look at the plug")
        self.left -= 1
        time.sleep(1 / self.rate)
        self.arrivals.append(now_ns())
        return JpegPicture(JPEG, self.arrivals[-1])

    def skip(self) -> int:
        raise AssertionError("who is not patient is asked for each picture")

    def close(self) -> None:
        self.closed = True


@contextmanager
def source(open_: Callable[[], frames.Camera]) -> Iterator[FrameSource]:
    """A source that is closed at the end."""
    made = FrameSource(open_)
    try:
        yield made
    finally:
        made.close()


def test_a_slow_look_gets_the_newest_picture() -> None:
    """Whoever looks ten times slower than pictures come misses pictures; none it gets is old."""
    made = MemoryCamera()
    with source(lambda: made) as camera:
        last_ns, looked = 0, 0
        while looked < 6 or camera.health.pictures < 4 * looked:
            there = camera.health.pictures
            picture = camera.newest(last_ns, WITHIN_S)
            assert picture is not None
            assert picture.arrived_ns >= made.arrivals[max(0, there - 1)]
            last_ns, looked = picture.arrived_ns, looked + 1
            time.sleep(0.05)


def test_no_picture_is_none_in_time() -> None:
    """Waiting is bounded."""
    with source(lambda: MemoryCamera(rate=1.0)) as camera:
        began = time.monotonic()
        assert camera.newest(now_ns(), 0.05) is None
        assert time.monotonic() - began < WITHIN_S


def test_a_lost_camera_is_told_and_opened_again() -> None:
    """With backoff, and closed each time."""
    made: list[MemoryCamera] = []

    def open_() -> MemoryCamera:
        made.append(MemoryCamera(left=3 if len(made) < 2 else 10**9))
        return made[-1]

    with source(open_) as camera:
        until = time.monotonic() + WITHIN_S
        while camera.health.opened < 3 and time.monotonic() < until:
            time.sleep(0.01)
        assert camera.newest(now_ns(), WITHIN_S) is not None
        assert camera.health.trouble == ""
        assert [one.closed for one in made] == [True, True, False]


def test_a_source_that_is_not_there_is_asked_ever_less_often() -> None:
    """And says why."""
    asked: list[float] = []

    def open_() -> frames.Camera:
        asked.append(time.monotonic())
        raise CameraLost("not there", "plug it in")

    with source(open_) as camera:
        until = time.monotonic() + WITHIN_S
        while len(asked) < 4 and time.monotonic() < until:
            time.sleep(0.01)
        assert (camera.health.trouble, camera.health.hint) == ("not there", "plug it in")
    waits = [later - earlier for earlier, later in itertools.pairwise(asked)]
    assert all(wait > 0.95 * least for wait, least in zip(waits, (0.2, 0.4, 0.8), strict=False))
    assert len(waits) >= 3


def test_reopening_on_request() -> None:
    """A frozen camera is closed and opened again."""
    made: list[MemoryCamera] = []
    with source(lambda: made.append(MemoryCamera()) or made[-1]) as camera:  # type: ignore[func-returns-value]
        assert camera.newest(0, WITHIN_S) is not None
        camera.reopen("frozen", "switch it off and on")
        until = time.monotonic() + WITHIN_S
        while camera.health.opened < 2 and time.monotonic() < until:
            time.sleep(0.01)
        assert made[0].closed


class TestStillness:
    """A picture that stands still."""

    def test_the_same_picture_for_five_seconds_is_frozen(self) -> None:
        """And not a moment earlier."""
        still, small = Stillness(), JpegPicture(JPEG, 0).small()
        told = [still.is_frozen(small, second * 10**9) for second in range(7)]
        assert told == [False] * 5 + [True] * 2

    def test_a_living_sensor_has_noise(self) -> None:
        """Nobody comes for a minute: not frozen."""
        still = Stillness()
        for number in range(60):
            small = JpegPicture(jpeg(PAINTER.picture((), number)), 0).small()
            assert not still.is_frozen(small, number * 10**9)

    def test_a_dark_picture_may_stay_the_same(self) -> None:
        """The lamps are out at night."""
        still = Stillness()
        assert not any(still.is_frozen(np.full((90, 160), 3, np.uint8), second * 10**9) for second in range(60))


class TestPicture:
    """Decoded gray, at the scale asked for."""

    def test_a_jpeg(self) -> None:
        """In full and at an eighth."""
        picture = JpegPicture(jpeg(Painter(1280, 720).picture((), 0)), 0)
        assert (picture.gray().shape, picture.small().shape) == ((720, 1280), (90, 160))

    def test_a_large_jpeg_is_small_too(self) -> None:
        """Full HD."""
        small = JpegPicture(jpeg(Painter(1920, 1080).picture((), 0)), 0).small()
        assert small.shape == (90, 160)

    def test_both_ways_to_a_small_picture_agree(self) -> None:
        """Whether something moved does not depend on what was decoded before."""
        data = jpeg(Painter(1280, 720).picture([Shown(b"ride", Held())], 0))
        one, other = JpegPicture(data, 0), JpegPicture(data, 0)
        other.gray()
        apart = np.abs(one.small().astype(int) - other.small().astype(int))
        assert apart.mean() < 2 and (apart > 18).mean() < 0.02

    @pytest.mark.parametrize("data", [b"\x00", b"GIF89a", JPEG[:20], b"\xff\xd8\xff\xd9"])
    def test_what_is_none_is_told(self, data: bytes) -> None:
        """Whatever it is instead."""
        with pytest.raises(BadPicture):
            JpegPicture(data, 0).gray()

    def test_yuyv_is_seen_by_its_y_plane(self) -> None:
        """Not one byte is copied for it."""
        yuyv = np.zeros((480, 640, 2), np.uint8)
        yuyv[:, :, 0] = 77
        picture = picture_of(yuyv, 5)
        assert isinstance(picture, PlanePicture)
        assert picture.gray().base is not None and (picture.gray() == 77).all()
        assert picture.small().shape == (120, 160)

    @pytest.mark.parametrize("shape", [(1, len(JPEG)), (len(JPEG), 1), (len(JPEG),)])
    def test_raw_mjpeg_of_a_device_is_a_jpeg(self, shape: tuple[int, ...]) -> None:
        """However OpenCV shapes the bytes."""
        picture = picture_of(np.frombuffer(JPEG, np.uint8).reshape(shape), 5)
        assert picture.gray().shape == (360, 640)

    def test_colours_and_gray(self) -> None:
        """What cannot come otherwise is made gray."""
        assert picture_of(PAINTER.picture((), 0), 5).gray().shape == (360, 640)
        assert picture_of(np.zeros((360, 640), np.uint8), 5).gray().shape == (360, 640)


# --------------------------------------------------------------------------- over HTTP

STREAM = b"multipart/x-mixed-replace; boundary=b"


def behind_tls(line: socket.socket, certificate: Path) -> socket.socket:
    """The server's end."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    return context.wrap_socket(line, server_side=True)


@contextmanager
def answering(
    *parts: bytes,
    status: bytes = b"200 OK",
    kind: bytes = STREAM,
    version: bytes = b"1.0",
    tls: Path | None = None,
) -> Iterator[str]:
    """A server that gives one answer to each who connects, and then says nothing more."""
    listening = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []
    asked: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                line, _ = listening.accept()
            except OSError:
                return
            held.append(line := behind_tls(line, tls) if tls else line)
            asked.append(line.recv(4096))
            line.sendall(b"HTTP/%b %b\r\nContent-Type: %b\r\n\r\n" % (version, status, kind) + b"".join(parts))
            if parts and parts[-1] == b"":
                line.shutdown(socket.SHUT_RDWR)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http{'s' if tls else ''}://somebody:secret@127.0.0.1:{listening.getsockname()[1]}/s?channel=1"
        if asked:
            assert b"GET /s?channel=1 HTTP" in asked[0] and b"Authorization: Basic c29tZWJvZHk6c2VjcmV0" in asked[0]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(timeout=2)
        for line in held:
            line.close()


def part(data: bytes, *, stated: bool = True) -> bytes:
    """One part of a stream."""
    length = b"Content-Length: %d\r\n" % len(data) if stated else b""
    return b"--b\r\nContent-Type: image/jpeg\r\n" + length + b"\r\n" + data + b"\r\n"


def chunk(data: bytes) -> bytes:
    """As HTTP/1.1 cuts an answer of unknown length."""
    return b"%x\r\n" % len(data) + data + b"\r\n"


@pytest.mark.parametrize("stated", [True, False], ids=["lengths stated", "lengths not stated"])
@pytest.mark.parametrize("chunked", [False, True], ids=["plain", "in chunks"])
def test_pictures_come_whole(stated: bool, chunked: bool) -> None:
    """With and without a Content-Length; a part ends where the next begins. Chunks may end anywhere."""
    first, second = JPEG, JPEG + b"\n--not a boundary\r\n"
    sent = part(first, stated=stated) + part(second, stated=stated) + b"--b\r\n"
    kind = STREAM + b"\r\nTransfer-Encoding: chunked" * chunked
    pieces = [chunk(sent[at : at + 1000]) for at in range(0, len(sent), 1000)] if chunked else [sent]
    with answering(*pieces, kind=kind, version=b"1.1") as url:
        camera = mjpeg.MjpegCamera(url)
        read = [camera.read() for _ in range(2)]
        assert camera.patient is not chunked
        camera.close()
    assert [one._data.tobytes() for one in read if one is not None] == [first, second]


@pytest.mark.parametrize("answers", [True, False], ids=["to its end", "a stalled one"])
def test_pictures_come_through_tls(answers: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a camera whose certificate we trust; one that says nothing more is lost in time."""
    authority = pki.Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
    monkeypatch.setattr(mjpeg, "READ_S", 2.0 if answers else 0.3)
    with answering(part(JPEG), *[b""] * answers, tls=authority.issue("camera", server=True)) as url:
        camera = mjpeg.MjpegCamera(url)
        read = camera.read()
        assert read is not None and read._data.tobytes() == JPEG and not camera.patient
        with pytest.raises(CameraLost):
            camera.read()
        camera.close()


def first_picture(url: str) -> None:
    """As far as that."""
    camera = mjpeg.MjpegCamera(url)
    try:
        camera.read()
    finally:
        camera.close()


@pytest.mark.parametrize(
    "parts",
    [
        (b"",),
        (b"--b\r\nContent-Length: 99999999\r\n\r\n",),
        (b"--b\r\nContent-Length: 5000\r\n\r\nshort", b""),
        (b"--b\r\n" + b"X-Header: y\r\n" * 50,),
        (b"x" * 5000, b""),
    ],
    ids=["nothing", "a picture too long", "cut short", "headers without end", "no boundary"],
)
def test_a_stream_that_is_none_is_a_lost_camera(parts: tuple[bytes, ...]) -> None:
    """Never anything else, and no password in what is told."""
    with answering(*parts) as url, pytest.raises(CameraLost) as caught:
        first_picture(url)
    assert caught.value.hint and "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(b"401 Unauthorized", STREAM), (b"200 OK", b"text/html"), (b"999", STREAM)],
    ids=["may not see it", "a web page", "no HTTP"],
)
def test_an_answer_that_is_no_stream_is_a_lost_camera(status: bytes, kind: bytes) -> None:
    """With what to try."""
    with answering(b"", status=status, kind=kind) as url, pytest.raises(CameraLost) as caught:
        mjpeg.MjpegCamera(url)
    assert caught.value.hint and "secret" not in str(caught.value)


def test_a_camera_that_says_nothing_is_lost_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """It hangs, and the connection stays open."""
    monkeypatch.setattr(mjpeg, "READ_S", 0.2)
    with answering(part(JPEG)) as url:
        camera = mjpeg.MjpegCamera(url)
        camera.read()
        began = time.monotonic()
        with pytest.raises(CameraLost):
            camera.read()
        camera.close()
    assert time.monotonic() - began < WITHIN_S


# --------------------------------------------------------------------------- through OpenCV


def test_a_file_is_read_through_opencv(tmp_path: Path) -> None:
    """Gray, to its end, which is a lost camera."""
    writer = cv2.VideoWriter(str(tmp_path / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 30, (640, 360))
    for number in range(3):
        writer.write(PAINTER.picture((), number))
    writer.release()
    camera = open_camera(f"file:{tmp_path / 'clip.avi'}", Wanted())
    assert [picture.gray().shape for _ in range(3) if (picture := camera.read())] == [(360, 640)] * 3
    with pytest.raises(CameraLost):
        camera.read()
    camera.close()


@pytest.mark.parametrize("address", ["file:/nowhere.avi", "v4l2:/dev/nowhere", "rtsp://127.0.0.1:1/x", "usb:1"])
def test_a_camera_that_cannot_be_opened(address: str) -> None:
    """With what to try, soon."""
    began = time.monotonic()
    with pytest.raises(CameraLost) as caught:
        open_camera(address, Wanted())
    assert caught.value.hint
    assert time.monotonic() - began < WITHIN_S
