"""The CodeReader port over the camera driver: a real process sees, a real HTTP stream paints what people hold out."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from drivers.camera import reader
from drivers.camera.eye import COMMAND, Ending
from drivers.clock import SystemClock
from simulators.camera import Camera
from simulators.painting import Held
from terminal.core.model import Medium, Reading, Reason
from terminal.ports import DeviceError, WatchingReader
from tests.waiting import until

CODE = Random(1).randbytes(332)  # as long as a real ride code, and as binary
HELD = Held(code=0.6)
SEEN_S = 20.0  # a machine may be busy with other things
Presented = tuple[bytes | Reason, Reading]


class Heard:
    """A reader, entered again after each DeviceError as the supervisor does, and what came of it."""

    def __init__(self, camera: reader.CameraReader) -> None:
        self.reader = camera
        self.presented: list[Presented] = []
        self.errors: list[DeviceError] = []
        self.alive = asyncio.Event()
        self._news = asyncio.Event()
        camera.on_alive = self.alive.set
        self.task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        while True:
            try:
                async for held_out, at in self.reader.payloads():
                    self.presented.append((held_out, at))
                    self._news.set()
            except DeviceError as error:
                self.errors.append(error)
                self._news.set()
            await asyncio.sleep(0.05)

    async def next(self) -> Presented:
        """The next presentation."""
        await self.something()
        return self.presented[-1]

    async def something(self) -> None:
        """Once something is presented, or goes wrong."""
        async with asyncio.timeout(SEEN_S):
            await self._news.wait()
        self._news.clear()

    async def sees(self) -> None:
        """Once it has pictures."""
        self.alive.clear()
        async with asyncio.timeout(SEEN_S):
            await self.alive.wait()

    @property
    def codes(self) -> list[bytes | Reason]:
        """What was presented, without when."""
        return [held_out for held_out, _ in self.presented]


@contextlib.asynccontextmanager
async def before_a_camera(**settings: Any) -> AsyncIterator[tuple[Camera, Heard]]:
    """A camera, and a reader that sees."""
    camera = Camera(width=640, height=480, rate=20, seed=1)
    url = await camera.serve()
    heard = Heard(reader.open(reader.Settings(source=url, spare=False, **settings), SystemClock()))
    try:
        await heard.sees()
        yield camera, heard
    finally:
        heard.task.cancel()
        await asyncio.gather(heard.task, return_exceptions=True)
        await camera.close()


class TestCodeReader:
    """What every reader does."""

    async def test_payload_and_its_moment(self) -> None:
        """A code is one payload, bit for bit, stamped when its picture came: never before it was sent."""
        async with before_a_camera() as (camera, heard):
            began_ns = time.monotonic_ns()
            phone = camera.hold_out(CODE, held=HELD)
            payload, at = await heard.next()
            assert payload == CODE
            assert began_ns < at.monotonic_ns < time.monotonic_ns()
            assert abs(at.utc_ms - time.time() * 1000) < 2000
            await phone.there()
            await asyncio.sleep(1.5)  # it stays, trembling: one presentation
            assert heard.codes == [CODE]
            phone.leave()
            status = heard.reader.status()
            assert status["read"] and status["latency_ms"]["p50"] > 0
            assert status["picture_age_ms"] < SEEN_S * 1000

    async def test_unplug_and_replug(self) -> None:
        """A camera that is away is a DeviceError with a hint; soon after it is back, codes are read."""
        async with before_a_camera() as (camera, heard):
            await camera.drop()
            await heard.something()
            assert heard.errors[0].hint
            await camera.serve()
            await heard.sees()
            camera.hold_out(CODE, held=HELD)
            while not heard.presented:
                await heard.something()
            assert heard.codes == [CODE]

    async def test_a_short_break_is_nobodys_affair(self) -> None:
        """A dropped connection is opened again by the process that sees; no error, no new process."""
        async with before_a_camera() as (camera, heard):
            await camera.drop()
            await camera.serve()
            camera.hold_out(CODE, held=HELD)
            assert (await heard.next())[0] == CODE
            assert (heard.errors, heard.reader.status()["restarts"]) == ([], {})
            assert heard.reader.status()["opened"] >= 2

    async def test_it_is_a_watching_reader(self) -> None:
        """And what the lane could not finish is handed over again, while it is there."""
        async with before_a_camera() as (camera, heard):
            assert isinstance(heard.reader, WatchingReader)
            camera.hold_out(CODE, held=HELD)
            await heard.next()
            heard.reader.again()
            await heard.next()
            assert heard.codes == [CODE, CODE]


class TestCamera:
    """What only a camera does."""

    async def test_two_codes_at_a_gate_are_refused(self) -> None:
        """Once, with their own reason; neither is taken."""
        async with before_a_camera() as (camera, heard):
            camera.hold_out(b"first ride", b"second ride", held=Held(code=0.4))
            assert (await heard.next())[0] is Reason.TWO_CODES
            await asyncio.sleep(1.0)
            assert heard.codes == [Reason.TWO_CODES]

    async def test_two_codes_at_a_kiosk_are_both_used(self) -> None:
        """Each once."""
        async with before_a_camera(mode="kiosk") as (camera, heard):
            camera.hold_out(b"first book", b"second book", held=Held(code=0.4))
            while len(heard.presented) < 2:
                await heard.something()
            await asyncio.sleep(0.5)
            assert sorted(map(str, heard.codes)) == ["b'first book'", "b'second book'"]

    async def test_binary_codes_bit_for_bit(self) -> None:
        """Screen, stream, decoder, pipe: what was painted is what arrives. Two hundred: the benchmark."""
        random = Random(6)
        payloads = [random.randbytes(random.randint(64, 400)) for _ in range(20)]
        async with before_a_camera(mode="kiosk") as (camera, heard):
            for payload in payloads:
                phone = camera.hold_out(payload, held=Held(code=0.8), at_once=True)
                while payload not in heard.codes:
                    await heard.something()
                phone.vanish()
            assert heard.codes == payloads

    async def test_a_phone_that_lay_there_before_is_seen(self) -> None:
        """Nothing moves, and still somebody waits."""
        camera = Camera(width=640, height=480, rate=20, seed=1)
        camera.hold_out(CODE, held=HELD)
        url = await camera.serve()
        await asyncio.sleep(1.0)
        heard = Heard(reader.open(reader.Settings(source=url, spare=False), SystemClock()))
        assert (await heard.next())[0] == CODE
        heard.task.cancel()
        await asyncio.gather(heard.task, return_exceptions=True)
        await camera.close()

    async def test_a_picture_for_aiming(self) -> None:
        """A small JPEG, what is wrong with the light, and how well codes are read."""
        async with before_a_camera() as (camera, heard):
            await camera.hold_out(CODE, held=HELD).there()
            async with asyncio.timeout(SEEN_S):
                while (shown := await heard.reader.picture()).score <= 0.3:
                    await asyncio.sleep(0.05)
            assert shown.jpeg.startswith(b"\xff\xd8") and len(shown.jpeg) < 100_000
            assert 0.1 < shown.brightness < 0.9 and shown.contrast > 0.2 and shown.sharpness > 1 and shown.score > 0.3

    async def test_pictures_that_are_none_cost_themselves_only(self) -> None:
        """A camera that sends rubbish for a while is not lost, and no process ends over it."""
        async with before_a_camera() as (camera, heard):
            camera.bad = b"\xff\xd8 rubbish"
            await asyncio.sleep(0.5)
            camera.bad = None
            camera.hold_out(CODE, held=HELD)
            assert (await heard.next())[0] == CODE
            assert heard.reader.status()["bad"] > 0
            assert heard.reader.status()["restarts"] == {}


@pytest.mark.parametrize("how", ["kill", "hang"])
async def test_a_process_that_fails_is_replaced(how: str) -> None:
    """Killed or stopped: counted, a new one reads the next code, and the old one is gone."""
    async with before_a_camera() as (camera, heard):
        assert heard.reader._watch is not None and heard.reader._watch._eye is not None
        pid = heard.reader._watch._eye.pid
        os.kill(pid, signal.SIGKILL if how == "kill" else signal.SIGSTOP)
        await until(heard.reader.endings.total)
        await heard.sees()
        camera.hold_out(CODE, held=HELD)
        assert (await heard.next())[0] == CODE
        assert heard.reader.status()["restarts"] == {"crashed" if how == "kill" else "hung": 1}
        assert (heard.errors, Path(f"/proc/{pid}").exists()) == ([], False)


async def test_a_process_that_cannot_begin_is_told() -> None:
    """The extra is missing: a DeviceError that says what to install, and no storm of processes."""
    program = (
        "import sys; sys.modules['cv2'] = None; sys.argv = ['child'];from drivers.camera.child import main; main()"
    )
    settings = reader.Settings(source="http://127.0.0.1:1/", spare=False)
    camera = reader.CameraReader(settings, SystemClock(), (sys.executable, "-c", program))
    with pytest.raises(DeviceError) as caught:
        await anext(camera.payloads())
    assert "pip install" in caught.value.hint
    assert camera.endings.total() <= 3


async def test_a_process_that_talks_nonsense_is_ended() -> None:
    """It was taken over by a picture: nothing it says opens a gate."""
    program = "import os, time; os.write(1, (3).to_bytes(4) + b'abc'); time.sleep(60)"
    settings = reader.Settings(source="http://127.0.0.1:1/", spare=False)
    camera = reader.CameraReader(settings, SystemClock(), (sys.executable, "-c", program))
    with pytest.raises(DeviceError):
        await anext(camera.payloads())
    assert camera.endings[Ending.NONSENSE] == camera.endings.total() > 0


@pytest.mark.parametrize(
    ("lie", "why"),
    [
        ("now + 10**10", "a picture from the future would outlive the age limit of a gate's order"),
        ("now - 10**10", "a picture from before is of somebody who has left"),
    ],
)
async def test_a_moment_that_cannot_be_true_is_no_tap(lie: str, why: str) -> None:
    """The process that sees may lie; the moment of a tap is believed only where it can be true."""
    program = (
        "import os, sys, time\n"
        "from drivers.camera.messages import Beat, Look, Seen, encode\n"
        "sys.stdin.readline()\n"
        "for _ in range(8):\n"
        "    now = time.monotonic_ns()\n"
        f"    os.write(1, encode(Look(arrived_ns={lie}, symbols=(Seen(payload=b'lie', score=1.0),))))\n"
        "    os.write(1, encode(Beat(at_ns=now, arrived_ns=now, pictures=1)))\n"
        "    time.sleep(0.05)\n"
        "os.write(1, encode(Look(arrived_ns=time.monotonic_ns(), symbols=(Seen(payload=b'true', score=1.0),))))\n"
        "time.sleep(60)\n"
    )
    settings = reader.Settings(source="http://127.0.0.1:1/", spare=False)
    camera = reader.CameraReader(settings, SystemClock(), (sys.executable, "-c", program))
    payloads = camera.payloads()
    assert (await anext(payloads))[0] == b"true", why
    assert camera.lost_payloads == 8
    await payloads.aclose()  # type: ignore[attr-defined]  # an async generator


@pytest.mark.parametrize(
    "wrong",
    [{"source": "/dev/video0"}, {"formats": ["PDF417"]}, {"formats": []}, {"mode": "exhaustive"}, {"hang_ms": 50}],
    ids=str,
)
def test_settings_that_do_not_fit_are_told(wrong: dict[str, Any]) -> None:
    """Told when the configuration is read."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"source": "http://camera/", **wrong}, reader.Settings)


def test_the_daemon_touches_no_pixel() -> None:
    """Neither the driver nor anything it imports loads a library that looks at pictures."""
    program = "import sys, drivers; drivers.find('camera'); import terminal.assemble; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "drivers.camera.reader" in loaded
    assert {"cv2", "numpy", "zxingcpp", "pyzbar"} & {name.split(".")[0] for name in loaded} == set()


def test_a_process_ends_with_its_parent() -> None:
    """Its standard input is closed: it goes, also while it waits for its order."""
    child = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdin is not None
    assert child.stdout.read(4)  # it is ready
    child.stdin.close()
    assert child.wait(timeout=10) == 0
    child.stdout.close()


def test_its_medium_is_what_the_site_says() -> None:
    """A kiosk's camera reads printed barcodes."""
    settings = reader.Settings(source="http://camera/", medium=Medium.BARCODE, formats=("EAN13",), mode="kiosk")
    assert reader.open(settings, SystemClock()).medium is Medium.BARCODE
