"""Who may ask, and what happens to a lane when browsers are slow, many or hostile: nothing."""

import asyncio
import json
import re
import socket
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp.test_utils import make_mocked_request
from yarl import URL

from terminal.console import guard, pages, server
from terminal.console.rules import ConsoleRules
from terminal.console.touch import Touched
from terminal.core.model import Reason
from terminal.core.phrases import display
from terminal.core.screen import Button, Page, PageKind, Touch
from terminal.ports import DeviceError
from tests.console.consoles import WITHIN_S, Served, served

TOUCHED = [Reason.PAID, Reason.CODE_USED]


async def events(response: aiohttp.ClientResponse) -> tuple[str, dict[str, object]]:
    """The next event of a stream."""
    async with asyncio.timeout(WITHIN_S):
        name = (await response.content.readuntil(b"\n")).decode().removeprefix("event: ").strip()
        data = (await response.content.readuntil(b"\n")).decode().removeprefix("data: ")
        await response.content.readuntil(b"\n")
    return name, json.loads(data)


async def state(response: aiohttp.ClientResponse) -> dict[str, object]:
    """The next state, beats passed over."""
    while True:
        name, told = await events(response)
        if name == "state":
            return told


async def test_a_screen_hears_what_its_lane_tells() -> None:
    """At once what is shown at rest, then each picture; whoever comes later hears the newest only."""
    async with served() as one, aiohttp.ClientSession() as browser:
        async with browser.get(_stream(one)) as stream:
            assert (await state(stream))["shown"] is None
            for reason in TOUCHED:
                await one.screen.show(display(reason, {"fare": "2"}, "7KD2XQ"))
                shown = (await state(stream))["shown"]
                assert isinstance(shown, dict) and (shown["reason"], shown["proof"]) == (reason.value, "7KD2XQ")
        async with browser.get(_stream(one)) as late:
            shown = (await state(late))["shown"]
            assert isinstance(shown, dict) and shown["reason"] == TOUCHED[-1].value


async def test_what_is_over_is_not_shown_again() -> None:
    """A picture grows old where it was made."""
    async with served() as one, aiohttp.ClientSession() as browser:
        await one.screen.show(display(Reason.PAID, {}))
        one.screen._shown_s -= 60
        async with browser.get(_stream(one)) as stream:
            assert (await state(stream))["left_ms"] == 0


async def test_a_screen_at_rest_follows_the_terminal() -> None:
    """A reader that is gone shows as out of service, without anybody tapping."""
    async with served() as one, aiohttp.ClientSession() as browser, browser.get(_stream(one)) as stream:
        await state(stream)
        one.console.status = lambda: {"devices": {"bus/front/0": {"up": False}}}
        rest = (await state(stream))["rest"]
        assert isinstance(rest, dict) and rest["reason"] == Reason.OUT_OF_SERVICE.value


async def test_a_dead_browser_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that never reads, until no buffer between takes any more: the lane tells on, and the dead one is let go."""
    monkeypatch.setattr(server, "STUCK_S", 0.3)
    async with served() as one, aiohttp.ClientSession() as browser:
        with closing(socket.create_connection(("127.0.0.1", one.console.port))) as dead:
            dead.sendall(b"GET /events?lane=bus/front HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % one.console.port)
            await _until(lambda: one.console.figures()["streams"] == 1)
            told = 0
            async with asyncio.timeout(4 * WITHIN_S):
                while one.console.figures()["streams"]:
                    await one.screen.show(display(Reason.PAID, {"fare": "2" * 2000}))
                    told += 1
                    await asyncio.sleep(0)
            async with browser.get(_stream(one)) as stream:
                assert (await state(stream))["number"] == told


async def test_streams_are_counted() -> None:
    """The one too many is told to come back; the house serves on."""
    async with served() as one, aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as browser:
        address = _stream(one)
        streams = [await browser.get(address) for _ in range(server.MOST_STREAMS)]
        async with browser.get(address) as refused:
            assert (refused.status, refused.headers["Retry-After"]) == (503, "2")
        async with browser.get(f"{one.address}/") as index:
            assert index.status == 200
        for stream in streams:
            stream.close()
        await _until(lambda: one.console.figures()["streams"] == 0)


async def test_connections_are_counted_and_mute_ones_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred that say nothing fill the house for a moment only."""
    monkeypatch.setattr(guard, "MUTE_S", 0.2)
    async with served() as one:
        mute = [await asyncio.open_connection("127.0.0.1", one.console.port) for _ in range(100)]
        try:
            async with asyncio.timeout(WITHIN_S), aiohttp.ClientSession() as browser:
                while not await _answers(browser, one):
                    await asyncio.sleep(0.05)
        finally:
            for _, line in mute:
                line.close()


REFUSED = [
    ("another site's name for this address", "GET", "/", {"Host": "evil.example"}, 403),
    ("the right name with another port", "GET", "/", {"Host": "127.0.0.1:1"}, 403),
    ("no port", "GET", "/", {"Host": "127.0.0.1"}, 403),
    ("a stream for another site's page", "GET", "/events?lane=bus/front", {"Origin": "http://evil.example"}, 403),
    ("a page without an origin", "GET", "/", {"Origin": "null"}, 403),
    ("a press from nowhere", "POST", "/", {}, 403),
    ("a press from another site", "POST", "/", {"Origin": "https://evil.example"}, 403),
    ("no such lane", "GET", "/display?lane=roof", {}, 404),
    ("no lane", "GET", "/events", {}, 404),
    ("a file that is not ours", "GET", "/static/..%2f..%2fserver.py", {}, 404),
    ("a page as a file", "GET", "/static/display.html", {}, 404),
    ("a voice that is no name", "GET", "/voice/zh/..%2fpaid.wav", {}, 404),
    ("a language nobody speaks", "GET", "/voice/xx/paid.wav", {}, 404),
    ("a voice that is not there", "GET", "/voice/zh/paid.wav", {}, 404),
    ("nothing there", "GET", "/admin", {}, 404),
]


@pytest.mark.parametrize(("sentence", "method", "path", "headers", "status"), REFUSED)
async def test_what_is_not_answered(
    sentence: str, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    """Refused, with the headers that every answer has."""
    async with served() as one, aiohttp.ClientSession() as browser:
        url = URL(one.address + path, encoded=True)
        async with browser.request(method, url, headers=headers) as answer:
            assert answer.status == status, sentence
            assert answer.headers["Content-Security-Policy"] == guard.CONTENT_SECURITY_POLICY


async def test_a_press_needs_the_pages_token() -> None:
    """Same origin is not enough; with the token it gets as far as there being nothing to press."""
    async with served() as one, aiohttp.ClientSession() as browser:
        token = one.console._guard.token
        for given, status in (("", 403), ("x" * len(token), 403), ("é", 403), (token, 405)):
            headers = {"Origin": one.address, guard.TOKEN_HEADER: given}
            async with browser.post(f"{one.address}/", headers=headers) as answer:
                assert answer.status == status, given


PRESSES: list[tuple[str, object, int]] = [
    ("what the page offers", {"lane": "desk", "touch": "done", "number": 2}, 204),
    ("a page that is over", {"lane": "desk", "touch": "done", "number": 1}, 409),
    ("what no page offers", {"lane": "desk", "touch": "renew_all", "number": 2}, 409),
    ("a kiosk there is not", {"lane": "roof", "touch": "done", "number": 2}, 404),
    ("a touch there is not", {"lane": "desk", "touch": "open_the_till", "number": 2}, 400),
    ("a key too many", {"lane": "desk", "touch": "done", "number": 2, "who": "me"}, 400),
    ("no number", {"lane": "desk", "touch": "done"}, 400),
    ("no object", [], 400),
    ("longer than any press", {"lane": "desk", "touch": "done", "number": 2, "of": "x" * 5000}, 413),
]


@pytest.mark.parametrize("body", [b'{"lane": "\xff"}', b"[" * 4000, b"\x00", b'{"number": 1e999}'])
async def test_what_is_no_json_is_no_press(body: bytes) -> None:
    """Answered as such, not as a fault of ours."""
    async with served() as one, aiohttp.ClientSession() as browser:
        headers = {
            "Origin": one.address,
            guard.TOKEN_HEADER: one.console._guard.token,
            "Content-Type": "application/json",
        }
        async with browser.post(f"{one.address}/press", data=body, headers=headers) as answer:
            assert answer.status == 400


@pytest.mark.parametrize(("sentence", "press", "status"), PRESSES)
async def test_presses(sentence: str, press: object, status: int) -> None:
    """A button of the page that is shown counts; everything else is answered and changes nothing."""
    async with served() as one, aiohttp.ClientSession() as browser:
        await one.kiosk.show(Page(kind=PageKind.READER, buttons=(Button(touch=Touch.DONE),)))
        headers = {"Origin": one.address, guard.TOKEN_HEADER: one.console._guard.token}
        async with browser.post(f"{one.address}/press", json=press, headers=headers) as answer:
            assert answer.status == status, sentence
        assert one.kiosk._presses.qsize() == (status == 204)


async def test_fingers_are_quicker_than_libraries() -> None:
    """A page takes one press, which does not outlive it."""
    async with served() as one:
        page = Page(kind=PageKind.READER, buttons=(Button(touch=Touch.DONE),))
        await one.kiosk.show(page)
        press = Touched(lane="desk", touch=Touch.DONE, number=one.kiosk.version)
        assert [one.kiosk.touched(press) for _ in range(3)] == [True, False, False]
        await one.kiosk.show(msgspec.structs.replace(page, offline=True))
        assert one.kiosk._presses.empty() and not one.kiosk.touched(press)


@pytest.mark.parametrize(
    ("sentence", "again", "same"),
    [
        ("a pad flickered", {"ends_s": 30.0}, True),
        ("somebody acted: there is more time", {"ends_s": 45.0}, False),
        ("there is something to be seen", {"ends_s": 30.0, "offline": True}, False),
    ],
)
async def test_a_finger_does_not_miss_a_page_that_is_shown_again(
    sentence: str, again: dict[str, Any], same: bool
) -> None:
    """What looks the same is the same page, and is not sent again; a press on it counts, and so does the next."""
    async with served() as one:
        page = Page(kind=PageKind.READER, buttons=(Button(touch=Touch.DONE),), ends_s=30.0)
        await one.kiosk.show(page)
        press = Touched(lane="desk", touch=Touch.DONE, number=one.kiosk.version)
        assert one.kiosk.touched(press)
        await one.kiosk.show(msgspec.structs.replace(page, **again))
        assert (one.kiosk.version == press.number) is same, sentence
        assert (one.kiosk._presses.empty(), one.kiosk.touched(press)) == (not same, same)


def test_an_account_is_shown_on_this_machine_only() -> None:
    """Wherever else displays may stand."""
    asked = make_mocked_request("GET", "/kiosk?lane=desk")
    for remote, beside in (("127.0.0.1", True), ("::1", True), ("192.0.2.7", False), ("", False)):
        assert server._is_beside(asked.clone(remote=remote)) is beside, remote


@pytest.mark.parametrize(
    "path", ["/", "/kiosk?lane=desk", "/display?lane=bus/front", "/static/display.js", "/static/mark.svg"]
)
async def test_every_answer_is_guarded(path: str) -> None:
    """No cookie, no cache, no frame, nothing from elsewhere; and no page has a script or style of its own inside."""
    async with served() as one, aiohttp.ClientSession() as browser, browser.get(one.address + path) as answer:
        text = await answer.text()
        assert answer.status == 200
        assert {name: answer.headers[name] for name in guard.HEADERS} == guard.HEADERS
        assert not answer.cookies
        if answer.content_type == "text/html":
            assert "<script>" not in text and "style=" not in text and "onclick" not in text and "//" not in text


SINKS = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|\.src\s*=|srcdoc")


@pytest.mark.parametrize("planted", ["item.innerHTML = words", "eval(words)"])
def test_a_page_that_believes_a_word_is_noticed(planted: str) -> None:
    """The rule below can fail."""
    assert SINKS.search(planted)


@pytest.mark.parametrize("script", sorted(pages.STATIC.glob("*.js")), ids=lambda path: path.name)
def test_words_are_words(script: Path) -> None:
    """Whatever is told to a page, `</script>` too, is shown as text: no script makes markup of it."""
    assert SINKS.search(script.read_text(encoding="utf-8")) is None


async def test_other_names_are_a_sites_own_word() -> None:
    """A display across the yard reaches it by the name the configuration says."""
    async with served(names=("display-7.local",)) as one, aiohttp.ClientSession() as browser:
        host = {"Host": f"display-7.local:{one.console.port}"}
        async with browser.get(f"{one.address}/", headers=host) as answer:
            assert answer.status == 200


async def test_the_index_links_what_there_is() -> None:
    """Own screens and other terminals', whatever their names are made of."""
    links = {'<b>"park"': "http://127.0.0.1:8601/display?lane=park%2Feast"}
    async with served(links=links) as one, aiohttp.ClientSession() as browser, browser.get(f"{one.address}/") as page:
        text = await page.text()
    assert "/display?lane=bus%2Ffront&amp;lang=zh" in text
    assert "lane=park%2Feast&amp;lang=en" in text and "&lt;b&gt;" in text and "<b>" not in text


async def test_an_operators_own_voice_wins(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The first directory that has the phrase."""
    own, rendered = tmp_path_factory.mktemp("own"), tmp_path_factory.mktemp("rendered")
    for place, names in ((own, ["paid"]), (rendered, ["paid", "code_used"])):
        (place / "zh").mkdir()
        for name in names:
            (place / "zh" / f"{name}.wav").write_bytes(f"{place.name} {name}".encode())
    async with served(voices=(str(own), str(rendered))) as one, aiohttp.ClientSession() as browser:
        for name, place in (("paid", own), ("code_used", rendered)):
            async with browser.get(f"{one.address}/voice/zh/{name}.wav") as answer:
                assert (await answer.read(), answer.content_type) == (f"{place.name} {name}".encode(), "audio/wav")


async def test_a_port_that_is_taken_is_the_technicians(tmp_path: object) -> None:
    """Told with a hint; nothing else of the terminal is touched."""
    async with served() as one:
        with pytest.raises(DeviceError, match="another program has this port"):
            await _second(one)


async def test_a_host_that_is_no_name_is_the_technicians() -> None:
    """The same, where the resolver will not even be asked."""
    async with asyncio.timeout(WITHIN_S):
        with pytest.raises(DeviceError, match=r"two\.\.dots:0: "):
            await Served(ConsoleRules(host="two..dots", port=0)).console.run()


def _stream(one: Served) -> str:
    return f"{one.address}/events?lane=bus/front"


async def _second(one: Served) -> None:
    async with asyncio.timeout(WITHIN_S):
        await Served(one.console._rules.__class__(port=one.console.port)).console.run()


async def _answers(browser: aiohttp.ClientSession, one: Served) -> bool:
    try:
        async with browser.get(f"{one.address}/") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def _until(holds: object) -> None:
    assert callable(holds)
    async with asyncio.timeout(WITHIN_S):
        while not holds():
            await asyncio.sleep(0.02)


def test_a_browser_leaves_out_the_usual_port() -> None:
    """A console on port 80 is asked without it; any other is not."""
    guards = guard.Guard(("display-7.local",))
    guards.bound(80)
    assert guards.is_here("localhost") and guards.is_here("display-7.local:80") and guards.is_ours("http://127.0.0.1")
    guards.bound(8600)
    assert not guards.is_here("localhost") and not guards.is_here("evil.example:8600")
