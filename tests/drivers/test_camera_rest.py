"""While nobody wants pictures: they lie where the kernel put them, are left out, and counted; over a real stream."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.camera import inlet, mjpeg
from drivers.camera.frames import FrameSource, JpegPicture, Picture, now_ns
from drivers.camera.inlet import Inlet, NotYet
from drivers.camera.mjpeg import MjpegCamera

REST_NS = 80_000_000
LONG_S = 10.0  # a machine may be busy with other things
SIZE = 5_000


class Filming:
    """A camera that sends numbered pictures, and remembers when each was wholly sent."""

    def __init__(self, rate: float) -> None:
        self.sent_ns: list[int] = []
        self.stalls = threading.Event()
        self._rate = rate
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/"
        self._lines: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def connections(self) -> int:
        """How many there were."""
        return len(self._lines)

    def sent(self, which: int) -> int:
        """When a picture was wholly sent; its sender may note it a little after it came."""
        until = time.monotonic() + LONG_S
        while len(self.sent_ns) <= which and time.monotonic() < until:
            time.sleep(0.001)
        return self.sent_ns[which]

    def cut(self) -> None:
        """Drop the connection."""
        self._lines[-1].shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Switch it off."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for line in self._lines:
            line.close()
        self._thread.join(timeout=LONG_S)

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._listening.accept()
            except OSError:
                return
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or one waits until the last is read
            self._lines.append(line)
            threading.Thread(target=self._film, args=(line,), daemon=True).start()

    def _film(self, line: socket.socket) -> None:
        try:
            line.recv(4096)
            line.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=b\r\n\r\n")
            while True:
                if not self.stalls.is_set():
                    data = b"%08d" % len(self.sent_ns) + bytes(SIZE)
                    line.sendall(b"--b\r\nContent-Length: %d\r\n\r\n" % len(data) + data + b"\r\n")
                    self.sent_ns.append(now_ns())
                time.sleep(1 / self._rate)
        except OSError:
            line.close()


@contextmanager
def filming(rate: float = 50.0) -> Iterator[tuple[Filming, FrameSource]]:
    """A camera, and the source that sees it."""
    camera = Filming(rate)
    source = FrameSource(lambda: MjpegCamera(camera.url))
    try:
        yield camera, source
    finally:
        source.close()
        camera.close()


def number(picture: Picture | None) -> int:
    """Which one it is."""
    assert isinstance(picture, JpegPicture)
    return int(picture._data[:8].tobytes())


def rested(source: FrameSource, after_ns: int) -> Picture:
    """The next picture of somebody who wants few."""
    until = time.monotonic() + LONG_S
    while time.monotonic() < until:
        picture = source.newest(after_ns, 0.2, REST_NS)
        if picture is not None:
            return picture
    raise AssertionError("no picture came")


def test_what_is_wanted_after_a_rest_came_after_it() -> None:
    """Never one that lay waiting; those that were left out are counted, and nobody was woken for them."""
    with filming() as (camera, source):
        last_ns, looks = 0, 0
        while looks < 8:
            lent = source._lent
            picture = rested(source, last_ns)
            assert picture.arrived_ns > last_ns + (REST_NS if last_ns else 0)
            if lent is not None and lent is source._lent:  # the thread stood aside, and noted no arrival late
                assert camera.sent(number(picture)) > last_ns + REST_NS
                assert source.health.pictures == number(picture) + 1
                looks += 1
            last_ns = picture.arrived_ns
        assert source.health.pictures > 15
        assert (camera.connections, source.health.trouble) == (1, "")


def test_whoever_wants_all_again_gets_the_very_next() -> None:
    """The rest ends at once."""
    with filming() as (_, source):
        last = rested(source, rested(source, 0).arrived_ns)
        following = source.newest(last.arrived_ns, LONG_S)
        assert following is not None
        assert number(following) > number(last)
        assert source._lent is None


def test_a_long_rest_is_taken_in_pieces() -> None:
    """Whoever looks comes back meanwhile, and may say that he is alive."""
    with filming() as (_, source):
        last = rested(source, rested(source, 0).arrived_ns)
        began, returns = last.arrived_ns, 0
        while (picture := source.newest(began, 0.05, 500_000_000)) is None:
            returns += 1
        assert returns >= 3
        assert picture.arrived_ns >= began + 500_000_000


@pytest.mark.parametrize("how", ["cut", "stalled"])
def test_a_camera_lost_during_a_rest_is_told_and_opened_again(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever rested gets nothing, in time, and then pictures again."""
    monkeypatch.setattr(mjpeg, "READ_S", 0.5)
    with filming() as (camera, source):
        last_ns = rested(source, rested(source, 0).arrived_ns).arrived_ns
        camera.stalls.set() if how == "stalled" else camera.cut()
        until, troubles = time.monotonic() + LONG_S, set()
        while camera.connections < 2 and time.monotonic() < until:
            source.newest(last_ns, 0.05, REST_NS)
            troubles.add(source.health.trouble)
        camera.stalls.clear()
        assert camera.connections >= 2 and any("picture" in one or "ended" in one for one in troubles), troubles
        assert rested(source, now_ns()).arrived_ns > last_ns


def test_a_rest_ends_with_the_source() -> None:
    """Closed, and opened again on request, while somebody rests."""
    with filming() as (camera, source):
        last = rested(source, rested(source, 0).arrived_ns)
        source.reopen("frozen", "switch it off and on")
        assert rested(source, last.arrived_ns).arrived_ns > last.arrived_ns
        assert camera.connections == 2
    assert not source._thread.is_alive()


def test_pictures_without_room_are_taken_one_by_one() -> None:
    """Where the kernel has not enough of it the camera would be held up."""
    with filming() as (camera, source):
        eye = MjpegCamera(camera.url)
        try:
            eye.read()
            assert eye.patient and eye._line is not None
            room = mjpeg.window(eye._line)
            assert room >= 1 << 16
            eye._longest = room // 3
            assert not eye.patient
            eye._longest, eye._waited = 1, room * 2 // 3
            assert not eye.patient
        finally:
            eye.close()
            source.close()


# --------------------------------------------------------------------------- the buffer


PART = re.compile(rb"<(\d+)>")


def cut_up(data: bytes, step: int) -> Inlet:
    """What comes so many bytes at a time."""
    at = 0

    def read(free: memoryview, wait: bool) -> int | None:
        nonlocal at
        piece = data[at : at + min(step, len(free))]
        free[: len(piece)], at = piece, at + len(piece)
        return len(piece)

    made = Inlet(read)
    made.until_s = float("inf")
    return made


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=8), st.integers(1, 400))
def test_parts_are_the_same_however_they_come(parts: list[bytes], step: int) -> None:
    """And what was begun may be begun again."""
    made = cut_up(b"".join(b"<%d>" % len(part) + part for part in parts), step)
    for part in parts:
        for _ in range(2):
            made.back()
            found = made.past(PART, 1 << 20, 16)
            assert int(found[1]) == len(part)
            assert made.take(len(part)) == part
        made.keep()
    with pytest.raises(EOFError):
        made.take(1)


def test_what_is_held_grows_no_farther_than_is_looked() -> None:
    """A stream without what is looked for; and a long one, of which what is done is let go."""
    with pytest.raises(ValueError, match="without"):
        cut_up(bytes(1 << 21), 5000).past(PART, 1 << 20, 16)
    made = cut_up((b"<90000>" + bytes(90_000)) * 60, 7000)
    for _ in range(60):
        assert made.take(int(made.past(PART, 1 << 20, 16)[1])) == bytes(90_000)
        made.keep()
    assert len(made._held) == inlet.ROOM


def test_nothing_is_waited_for_beyond_the_moment() -> None:
    """NotYet; what came in the meantime is there when one comes back."""
    made = Inlet(lambda free, wait: None, b"<4>ab")
    for until_s in (0.0, time.monotonic() + 0.01):
        made.until_s = until_s
        with pytest.raises(NotYet):
            made.take(int(made.past(PART, 100, 16)[1]))
        made.back()
