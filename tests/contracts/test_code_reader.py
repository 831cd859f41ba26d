"""The CodeReader port, over the real serial driver and a scan module at the far end of a paced pty, or of TCP."""

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import msgspec
import pytest

from drivers.clock import SystemClock
from drivers.scan import module
from drivers.scan.framing import FRAMINGS
from simulators.scan_module import ScanModule
from terminal.core.model import Medium, Reading, Reason
from terminal.ports import CodeReader, DeviceError
from tests.waiting import LIMIT_S, until

CODE = bytes(range(256)) + bytes(76)  # 332 bytes, as long as a real ride code
TEXT = b"NCFOXN%TS3DH$2I-T 5L"


class Heard:
    """A reader, entered again after each DeviceError as the supervisor does, and what came of it."""

    def __init__(self, reader: CodeReader) -> None:
        self.payloads: list[tuple[bytes | Reason, Reading]] = []
        self.heard_ns: list[int] = []  # CLOCK_MONOTONIC at which each was handed over
        self.errors: list[DeviceError] = []
        self.took_s = 0.0  # how long whoever listens is busy with each payload
        self._news = asyncio.Event()
        self.task = asyncio.create_task(self._listen(reader))

    async def _listen(self, reader: CodeReader) -> None:
        while True:
            try:
                async for payload, at in reader.payloads():
                    self.payloads.append((payload, at))
                    self.heard_ns.append(time.monotonic_ns())
                    self._news.set()
                    await asyncio.sleep(self.took_s)
            except DeviceError as error:
                self.errors.append(error)
            await asyncio.sleep(0.05)

    async def next(self, within_s: float = LIMIT_S) -> tuple[bytes | Reason, Reading]:
        """The next payload."""
        async with asyncio.timeout(within_s):
            await self._news.wait()
        self._news.clear()
        return self.payloads[-1]


@contextlib.asynccontextmanager
async def on_a_pty(tmp_path: Path, framing: str = "length16") -> AsyncIterator[tuple[ScanModule, Heard]]:
    """A scan module at the far end of a pty."""
    far_end = ScanModule(tmp_path / "ttyScan", framing=framing)
    far_end.wire.plug()
    settings = module.Settings(link=f"serial:{tmp_path / 'ttyScan'}?baud=115200", framing=framing)
    heard = Heard(module.open(settings, SystemClock()))
    await until(far_end.wire.is_open)
    try:
        yield far_end, heard
    finally:
        heard.task.cancel()
        await asyncio.gather(heard.task, return_exceptions=True)
        far_end.wire.unplug()


@pytest.mark.parametrize("framing", FRAMINGS)
class TestCodeReader:
    """What every framing does on a real line."""

    async def test_payload_and_its_moment(self, framing: str, tmp_path: Path) -> None:
        """A code is one payload, whole, stamped when its last byte came: not before, not when a silence ended it."""
        code = TEXT if framing == "lines" else CODE
        async with on_a_pty(tmp_path, framing) as (far_end, heard):
            sent_ns = await far_end.show(code)
            payload, at = await heard.next()
            assert payload == code
            assert sent_ns - 1_000_000 < at.monotonic_ns <= heard.heard_ns[-1]
            if framing == "gap":  # the silence that ended it came after
                assert heard.heard_ns[-1] - at.monotonic_ns > 40_000_000
            assert abs(at.utc_ms - time.time() * 1000) < 60_000

    async def test_unplug_and_replug(self, framing: str, tmp_path: Path) -> None:
        """A pulled plug is a DeviceError with a hint; once it is back, codes are read."""
        async with on_a_pty(tmp_path, framing) as (far_end, heard):
            far_end.wire.unplug()
            await until(lambda: heard.errors)
            assert heard.errors[0].hint
            far_end.wire.plug()
            await until(far_end.wire.is_open)
            await far_end.show(TEXT)
            assert (await heard.next())[0] == TEXT


class TestTrouble:
    """A bad line and a busy lane."""

    async def test_garbage_at_line_rate(self, tmp_path: Path) -> None:
        """A second of garbage at full speed, a pause as a module makes it: the next code is read, and only it."""
        async with on_a_pty(tmp_path) as (far_end, heard):
            await far_end.wire.send(b"\xff" + Random(7).randbytes(11_000))
            await asyncio.sleep(0.3)
            heard.payloads.clear()
            await far_end.show(CODE)
            while not heard.payloads:
                await heard.next()
            assert [payload for payload, _ in heard.payloads] == [CODE]

    async def test_what_the_line_held_before_is_not_read(self, tmp_path: Path) -> None:
        """A code sent while nobody listened is not a tap when somebody does."""
        far_end = ScanModule(tmp_path / "ttyScan", framing="lines")
        far_end.wire.plug()
        keeper = os.open(tmp_path / "ttyScan", os.O_RDONLY | os.O_NOCTTY)  # so that the line keeps the bytes
        await far_end.show(b"OLD")
        settings = module.Settings(link=f"serial:{tmp_path / 'ttyScan'}", framing="lines")
        heard = Heard(module.open(settings, SystemClock()))
        await until(lambda: _is_held(keeper))
        await far_end.show(b"NEW")
        await heard.next()
        heard.task.cancel()
        await asyncio.gather(heard.task, return_exceptions=True)
        os.close(keeper)
        far_end.wire.unplug()
        assert [payload for payload, _ in heard.payloads] == [b"NEW"]

    async def test_what_waited_too_long_is_dropped(self, tmp_path: Path) -> None:
        """Codes that wait for a busy lane longer than their order could live are dropped, not served late."""
        async with on_a_pty(tmp_path, "lines") as (far_end, heard):
            heard.took_s = 1.5
            for number in range(5):
                await far_end.show(b"code %d" % number)
            await asyncio.sleep(1.8)
            heard.took_s = 0.0
            await far_end.show(b"fresh")
            await until(lambda: len(heard.payloads) > 1)
            await asyncio.sleep(0.1)
            assert [payload for payload, _ in heard.payloads] == [b"code 0", b"fresh"]

    async def test_what_came_while_the_process_stood_still_is_dropped(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Bytes that arrived while the process was stopped are not taps of the moment it goes on."""
        monkeypatch.setattr(module, "STOOD_STILL_S", 1.0)
        async with on_a_pty(tmp_path, "lines") as (far_end, heard):
            _stand_still(1.3, far_end, b"OLD\r\n")
            await asyncio.sleep(0.3)
            assert heard.payloads == []
            await far_end.show(b"NEW")
            assert (await heard.next())[0] == b"NEW"

    async def test_port_is_ours_alone(self, tmp_path: Path) -> None:
        """A second program on the same port is told so; the first goes on reading."""
        async with on_a_pty(tmp_path) as (far_end, heard):
            second = module.open(module.Settings(link=f"serial:{tmp_path / 'ttyScan'}"), SystemClock())
            with pytest.raises(DeviceError) as caught:
                await anext(second.payloads())
            assert "another program" in caught.value.hint
            await far_end.show(CODE)
            assert (await heard.next())[0] == CODE


async def test_over_tcp() -> None:
    """The same over a serial device server; a closed connection is a DeviceError."""

    async def far_end(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(len(CODE).to_bytes(2) + CODE)
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(far_end, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reader = module.open(module.Settings(link=f"tcp:127.0.0.1:{port}", medium=Medium.BARCODE), SystemClock())
    payloads = reader.payloads()
    assert reader.medium is Medium.BARCODE
    assert (await anext(payloads))[0] == CODE
    with pytest.raises(DeviceError):
        await anext(payloads)
    server.close()
    await server.wait_closed()
    with pytest.raises(DeviceError) as caught:
        await anext(reader.payloads())
    assert "port" in caught.value.hint


@pytest.mark.parametrize("wrong", [{"framing": "morse"}, {"start": "no"}, {"framing": "hex", "checksum": "xor"}])
def test_settings_that_do_not_fit_are_told(wrong: dict[str, str]) -> None:
    """An unknown framing, a mark that is no hexadecimal, a checksum on text: told when the configuration is read."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"link": "serial:x", **wrong}, module.Settings)


@pytest.mark.parametrize("link", ["serial:/nowhere/ttyX", "serial:/dev/null?baud=fast", "usb:1", "tcp:host:-1"])
async def test_line_that_cannot_be_opened(link: str) -> None:
    """A line that cannot be opened is a DeviceError with a hint, whatever is wrong with it."""
    reader = module.open(module.Settings(link=link), SystemClock())
    with pytest.raises(DeviceError) as caught:
        await anext(reader.payloads())
    assert caught.value.hint


def _is_held(line: int) -> bool:
    """Whether somebody has opened the line exclusively."""
    try:
        fcntl.flock(line, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(line, fcntl.LOCK_UN)
    return False


def _stand_still(for_s: float, far_end: ScanModule, meanwhile: bytes) -> None:
    """What SIGSTOP does to a loop: nothing runs, and bytes arrive meanwhile."""
    time.sleep(for_s / 2)
    far_end.wire.send_now(meanwhile)
    time.sleep(for_s / 2)
