"""What every screen of a kiosk promises: the page there is, and what is touched, once each."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from drivers.clock import SystemClock
from drivers.screen.socket import MOST_LOOKERS, Settings, SocketScreen
from drivers.screen.socket import open as open_socket
from simulators.screen import MemoryScreen
from terminal.core.model import Reading
from terminal.core.screen import Button, Page, PageKind, Press, Touch
from terminal.ports import DeviceError, Screen

PATIENCE_S = 10.0
PAGE = Page(kind=PageKind.READER, buttons=(Button(touch=Touch.DONE),))


class Hand(Protocol):
    """Somebody at the screen."""

    async def sees(self) -> str:
        """The kind of page they see next."""

    async def touches(self, touch: Touch) -> None:
        """Touch a button."""


class AtMemory:
    def __init__(self, screen: MemoryScreen) -> None:
        self._screen = screen
        self._seen = 0

    async def sees(self) -> str:
        self._seen += 1
        return self._screen.pages[self._seen - 1].kind.value

    async def touches(self, touch: Touch) -> None:
        self._screen.touch(touch)


class AtSocket:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer

    async def sees(self) -> str:
        return str(json.loads(await self._reader.readline())["kind"])

    async def touches(self, touch: Touch) -> None:
        self.writer.write(json.dumps({"touch": touch.value}).encode() + b"\n")
        await self.writer.drain()


HANDS: list[AtSocket] = []


@pytest.fixture(autouse=True)
async def _hands_go() -> AsyncIterator[None]:
    """Nobody is left at a screen."""
    yield
    for hand in HANDS:
        hand.writer.transport.abort()
    HANDS.clear()
    await asyncio.sleep(0.05)


async def connected(path: Path) -> AtSocket:
    """Somebody looks, as soon as there is something to look at."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                HANDS.append(AtSocket(*await asyncio.open_unix_connection(path)))
                return HANDS[-1]
            except OSError:
                await asyncio.sleep(0.01)


class Pressed:
    """Collects presses while a test looks."""

    def __init__(self, screen: Screen) -> None:
        self.found: asyncio.Queue[tuple[Press, Reading]] = asyncio.Queue()
        self._task = asyncio.ensure_future(self._collect(screen))

    async def next(self) -> Press:
        async with asyncio.timeout(PATIENCE_S):
            return (await self.found.get())[0]

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _collect(self, screen: Screen) -> None:
        async for one in screen.presses():
            self.found.put_nowait(one)


@pytest.fixture(params=["memory", "socket"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def at(kind: str, path: Path) -> tuple[Screen, Pressed, Hand]:
    if kind == "memory":
        memory = MemoryScreen(SystemClock())
        pressed = Pressed(memory)
        await asyncio.sleep(0)
        return memory, pressed, AtMemory(memory)
    screen = open_socket(Settings(path=str(path)), SystemClock())
    pressed = Pressed(screen)
    return screen, pressed, await connected(path)


async def test_pages_are_shown_and_presses_heard(kind: str, tmp_path: Path) -> None:
    """In their order, each once."""
    screen, pressed, hand = await at(kind, tmp_path / "screen.sock")
    await screen.show(PAGE)
    assert await hand.sees() == "reader"
    await hand.touches(Touch.DONE)
    await hand.touches(Touch.LANGUAGE)
    assert await pressed.next() == Press(touch=Touch.DONE)
    assert await pressed.next() == Press(touch=Touch.LANGUAGE)
    await screen.show(Page(kind=PageKind.REST))
    assert await hand.sees() == "rest"
    await pressed.stop()


async def test_a_socket_is_its_users_alone_and_shows_the_page_there_is(tmp_path: Path) -> None:
    """A page may be somebody's account; who comes late sees what is there."""
    path = tmp_path / "screen.sock"
    screen, pressed, first = await at("socket", path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    await screen.show(PAGE)
    assert await first.sees() == "reader"
    assert await (await connected(path)).sees() == "reader"
    await pressed.stop()
    assert not path.exists()


async def test_rubbish_and_crowds_harm_nobody(tmp_path: Path) -> None:
    """What is no press is nothing; one looker too many is let go; a line too long ends its own line only."""
    path = tmp_path / "screen.sock"
    screen, pressed, hand = await at("socket", path)
    assert isinstance(hand, AtSocket)
    hand.writer.write(b'rubbish\n{"touch": "explode"}\n[]\n')
    await hand.touches(Touch.DONE)
    assert await pressed.next() == Press(touch=Touch.DONE)
    loud = await connected(path)
    loud.writer.write(b"x" * 100_000)
    await screen.show(PAGE)
    crowd = [await connected(path) for _ in range(MOST_LOOKERS + 3)]
    assert len([one for one in crowd if await _is_shown(one)]) < len(crowd)
    await hand.touches(Touch.LANGUAGE)
    assert await pressed.next() == Press(touch=Touch.LANGUAGE)
    await pressed.stop()


async def _is_shown(hand: AtSocket) -> bool:
    try:
        async with asyncio.timeout(PATIENCE_S):
            return bool(await hand.sees())
    except (ValueError, OSError):
        return False


async def test_a_place_that_cannot_be_had_is_a_device_error(tmp_path: Path) -> None:
    """The technician hears which."""
    presses = SocketScreen(tmp_path / "nowhere" / "screen.sock", SystemClock()).presses()
    with pytest.raises(DeviceError, match="nowhere"):
        await _first(presses)


async def _first(presses: Any) -> None:
    async for _ in presses:
        return
