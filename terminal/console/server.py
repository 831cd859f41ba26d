"""The server of the pages: routes, streams and presses.

Laws of this file:
- A stream carries the newest state whenever it changed, and a beat while it does not; it never queues.
- A browser that does not take what it is sent for five seconds is let go; it will come again.
- Streams are counted. What the house cannot hold is told to come back.
"""

import asyncio
import json
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from aiohttp import web

from terminal.console.guard import HEADERS, Doorkeeper, Guard
from terminal.console.pages import LANGUAGES, Pages
from terminal.console.panel import Ask, Asked, Panel, SheetNow
from terminal.console.picture import resting
from terminal.console.rules import ConsoleRules
from terminal.console.screens import Newest, Screen
from terminal.console.touch import Touched, TouchScreen
from terminal.ports import Clock, DeviceError

BEAT_S = 2.0  # between two signs of life on a stream; a page that misses three says that it is out of service
STUCK_S = 5.0
STATUS_S = 1.0
MOST_STREAMS = 24
LONGEST_PRESS = 4096  # bytes

Status = Callable[[], Mapping[str, Any]]


class Console:
    """The pages of one terminal."""

    def __init__(self, terminal: str, rules: ConsoleRules, clock: Clock) -> None:
        self.status: Status = dict  # the terminal's own, once it runs
        self.port = 0
        self._rules, self._clock = rules, clock
        self._guard = Guard(rules.names)
        self._boot = secrets.token_hex(8)
        self._pages = Pages(terminal, self._guard.token, self._boot, voices=bool(rules.voices))
        self._screens: dict[str, Screen] = {}
        self._kiosks: dict[str, TouchScreen] = {}
        self._panel: Panel | None = None
        self._streams = 0

    def screen(self, lane: str, service: str) -> Screen:
        """The passenger's display of a lane: an Indicator."""
        self._screens[lane] = Screen(lane, service, self._clock)
        return self._screens[lane]

    def kiosk(self, lane: str) -> TouchScreen:
        """The touch pages of a kiosk: a Screen."""
        self._kiosks[lane] = TouchScreen(lane, self._clock)
        return self._kiosks[lane]

    def works(self, ask: Ask, sheet: SheetNow) -> None:
        """Commands may be asked from now on: there is a panel, where the rules want one."""
        self._panel = Panel(ask, sheet) if self._rules.panel else None

    def figures(self) -> dict[str, Any]:
        """Figures for the status."""
        return {"address": f"http://{self._rules.host}:{self.port}/" if self.port else "", "streams": self._streams}

    # ----------------------------------------------------------------------- running

    async def run(self) -> None:
        """Serve until cancelled. Raises DeviceError when the address cannot be had."""
        app = web.Application(middlewares=[self._guard.middleware], client_max_size=LONGEST_PRESS)
        app.router.add_get("/", self._index)
        app.router.add_get("/display", self._display)
        app.router.add_get("/events", self._events)
        app.router.add_get("/kiosk", self._kiosk)
        app.router.add_get("/kiosk/events", self._kiosk_events)
        app.router.add_post("/press", self._press)
        app.router.add_get("/panel", self._panel_page)
        app.router.add_get("/panel/events", self._panel_events)
        app.router.add_post("/ask", self._ask)
        app.router.add_get("/static/{name}", self._static)
        app.router.add_get("/voice/{language}/{name}", self._voice)
        runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.2, handler_cancellation=True, keepalive_timeout=20.0
        )
        await runner.setup()
        try:
            await self._serve(runner)
        finally:
            await runner.cleanup()

    async def _serve(self, runner: web.AppRunner) -> None:
        assert runner.server is not None
        door = Doorkeeper(runner.server, self._guard)
        try:
            server = await asyncio.get_running_loop().create_server(
                door, self._rules.host, self._rules.port, backlog=16, reuse_address=True
            )
        except (OSError, UnicodeError) as error:  # such as a host with two dots in a row
            hint = "another program has this port, or the host is not this machine's: change [console]"
            why = getattr(error, "strerror", error)
            raise DeviceError(f"{self._rules.host}:{self._rules.port}: {why}", hint=hint) from error
        self.port = server.sockets[0].getsockname()[1]
        self._guard.bound(self.port)
        async with server, asyncio.TaskGroup() as tasks:
            tasks.create_task(door.let_mute_ones_go())
            tasks.create_task(self._follow_status())

    async def _follow_status(self) -> None:
        """What lanes show while nobody is there follows what the terminal says of itself."""
        while True:
            status = self.status()
            for screen in self._screens.values():
                screen.rest(resting(status, screen.lane, screen.service))
            await asyncio.sleep(STATUS_S)

    # ----------------------------------------------------------------------- pages

    async def _index(self, request: web.Request) -> web.StreamResponse:
        screens = [*(("display", lane) for lane in self._screens), *(("kiosk", lane) for lane in self._kiosks)]
        return _html(self._pages.index(screens, self._rules.links, panel=self._rules.panel))

    async def _display(self, request: web.Request) -> web.StreamResponse:
        return _html(self._pages.display(_asked(request, self._screens).lane, self._language(request)))

    async def _kiosk(self, request: web.Request) -> web.StreamResponse:
        return _html(self._pages.kiosk(_beside(request, self._kiosks).lane))

    async def _panel_page(self, request: web.Request) -> web.StreamResponse:
        self._worked(request)
        return _html(self._pages.panel())

    async def _static(self, request: web.Request) -> web.StreamResponse:
        found = self._pages.file(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        return web.Response(text=found[0], content_type=found[1], charset="utf-8")

    async def _voice(self, request: web.Request) -> web.StreamResponse:
        """A spoken phrase; the first directory that has it wins, so an operator's own stands first."""
        language, name = request.match_info["language"], request.match_info["name"]
        if language not in LANGUAGES[1:] or not name.removesuffix(".wav").replace("_", "").isalnum():
            raise web.HTTPNotFound
        for directory in self._rules.voices:
            with suppress(OSError):
                data = (Path(directory) / language / name).read_bytes()
                return web.Response(body=data, content_type="audio/wav")
        raise web.HTTPNotFound

    def _language(self, request: web.Request) -> str:
        asked = request.query.get("lang", "")
        return asked if asked in LANGUAGES else self._rules.language

    # ----------------------------------------------------------------------- presses

    async def _press(self, request: web.Request) -> web.StreamResponse:
        """204: it counts; 409: it was made on a page that is over, or before the last one was dealt with."""
        try:
            touched = msgspec.json.decode(await request.read(), type=Touched)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise web.HTTPBadRequest(text="no press") from error
        kiosk = self._kiosks.get(touched.lane)
        if kiosk is None or not _is_beside(request):
            raise web.HTTPNotFound
        return web.Response(status=204 if kiosk.touched(touched) else 409)

    async def _ask(self, request: web.Request) -> web.StreamResponse:
        """A command, and its answer: {"ok": true, "answer": {…}} or {"ok": false, "what": …, "hint": …}."""
        panel = self._worked(request)
        try:
            asked = msgspec.json.decode(await request.read(), type=Asked)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise web.HTTPBadRequest(text="no command") from error
        return web.json_response(await panel.answer(asked))

    def _worked(self, request: web.Request) -> Panel:
        """The panel, for a browser on this machine."""
        if self._panel is None or not _is_beside(request):
            raise web.HTTPNotFound
        return self._panel

    # ----------------------------------------------------------------------- streams

    async def _events(self, request: web.Request) -> web.StreamResponse:
        return await self._streamed(request, _asked(request, self._screens))

    async def _kiosk_events(self, request: web.Request) -> web.StreamResponse:
        return await self._streamed(request, _beside(request, self._kiosks))

    async def _panel_events(self, request: web.Request) -> web.StreamResponse:
        return await self._streamed(request, self._worked(request))

    async def _streamed(self, request: web.Request, screen: Newest) -> web.StreamResponse:
        if self._streams >= MOST_STREAMS:
            raise web.HTTPServiceUnavailable(headers={"Retry-After": "2"})
        response = web.StreamResponse(headers=HEADERS | {"Content-Type": "text/event-stream; charset=utf-8"})
        self._streams += 1
        try:
            await response.prepare(request)
            await self._stream(screen, response)
        except (OSError, TimeoutError):
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._streams -= 1
        return response

    async def _stream(self, screen: Newest, response: web.StreamResponse) -> None:
        seen = 0
        while True:
            event = "beat"
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT_S):
                    seen = await screen.newer(seen)
                    event = "state"
            told = screen.state() | {"boot": self._boot} if event == "state" else {}
            text = f"event: {event}\ndata: {json.dumps(told, ensure_ascii=False)}\n\n"
            async with asyncio.timeout(STUCK_S):
                await response.write(text.encode())


S = TypeVar("S", bound=Newest)


def _asked(request: web.Request, screens: Mapping[str, S]) -> S:
    """The screen a request names."""
    screen = screens.get(request.query.get("lane", ""))
    if screen is None:
        raise web.HTTPNotFound
    return screen


def _beside(request: web.Request, kiosks: Mapping[str, TouchScreen]) -> TouchScreen:
    """Somebody's account is shown to a browser on this machine only, wherever else displays may stand."""
    if not _is_beside(request):
        raise web.HTTPNotFound
    return _asked(request, kiosks)


def _is_beside(request: web.Request) -> bool:
    try:
        return ip_address(request.remote or "").is_loopback
    except ValueError:
        return False


def _html(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/html", charset="utf-8")
