"""The panel in a real browser, before a bus that is a process of its own: every key does what it says, and is written.

Laws of this file:
- Nothing is replaced: Chromium, HTTP, the terminal, its serial lines. Head office is away.
- What the panel says is compared with what `terminal panel` is told.
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from simulators.phone import Phone
from tests.cli.test_distance_bus import Bus, running
from tests.console.browsers import axe_source, barriers, browser, missing, page_of

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())
CONSOLE = "[console]\nport = 0\npanel = true\n"
LIMIT_S = 60.0
PANEL = {"width": 1280, "height": 800}  # a ten-inch tablet beside the wheel


@pytest.fixture
async def chromium() -> AsyncIterator["Browser"]:
    """One browser."""
    async with browser() as one:
        yield one


async def opened(bus: Bus, page: "Page") -> None:
    """The panel, drawn."""
    async with asyncio.timeout(LIMIT_S):
        while not bus.screens:  # another process
            await asyncio.sleep(0.05)
    await page.goto(bus.screens + "panel")
    await page.wait_for_selector('form[data-do="sign-on"] option', state="attached")


async def does(page: "Page", command: str, value: str = "") -> str:
    """Press a key; what the panel answers."""
    await page.evaluate("document.getElementById('answer').textContent = ''")
    await page.click(f'form[data-do="{command}"] button' + (f'[value="{value}"]' if value else ":not([value])"))
    await page.wait_for_selector("#answer:not(:empty)")
    return await page.inner_text("#answer")


async def has(page: "Page", selector: str, text: str) -> None:
    """Wait until it says so."""
    await page.locator(selector, has_text=text).wait_for()


async def test_a_shift_at_the_panel(chromium: "Browser", tmp_path: Path) -> None:
    """Sign on, let a child ride, see who tapped and what was charged, take it back, the totals, sign off."""
    async with running(tmp_path, CONSOLE) as bus, page_of(chromium, viewport=PANEL) as page:
        await opened(bus, page)
        await page.evaluate(axe_source())
        assert await barriers(page) == []
        assert "先输入工号" in await does(page, "sign-on")
        await page.fill("#who", "7")
        assert "好 done" in await does(page, "sign-on")
        await has(page, "#place", "s0 · 工号 7")
        assert (await bus.driver("where"))["line"] == "12"
        await does(page, "stop", "next")
        await has(page, "#place", "s1")
        await page.select_option('form[data-do="stop"] select', "s0")
        await does(page, "stop")
        await has(page, "#place", "s0")
        assert "opened" in await does(page, "free")
        phone = Phone("amber")
        async with asyncio.timeout(LIMIT_S):
            while not (await bus.driver("totals"))["taps"]:
                await bus.front.show(phone.code(int(time.time())))
                await asyncio.sleep(0.3)
        await has(page, "#class", "front · ordinary")
        assert await page.get_attribute("#last", "data-granted") == "true"
        assert re.search("金额 amounts: .*币种 currency: CNY.*免费 free: 1", await does(page, "totals"))
        assert re.search("撤销 voided: .*金额 amount: .*币种 currency: CNY", await does(page, "void"))
        assert "not done" in await does(page, "void")  # there is nothing more
        assert await barriers(page) == []
        assert "hold out" in await does(page, "charged")
        await page.click("summary")
        await does(page, "emergency")
        await page.wait_for_selector('form[data-do="emergency"][data-when="emergency"]')
        assert await barriers(page) == []
        await page.click('form[data-do="emergency"][data-when="emergency"] button')
        await page.wait_for_selector("summary")
        assert "合计 total" in await does(page, "sign-off")
        await page.wait_for_selector("#who")


KEYS = {
    "fares": {"by key": {"measure": "key", "keys": {"1": 100, "2": 200}}},
    "products": [{"id": "ordinary", "services": ["fare"], "fare_fen": 0, "fare": "by key"}],
    "accumulations": {},
    "transfers": {},
}


async def test_fares_by_key_and_who_may_ask(chromium: "Browser", tmp_path: Path) -> None:
    """A key holds until another is pressed; nobody asks without the page's own token, and nothing odd is obeyed."""
    async with running(tmp_path, CONSOLE, **KEYS) as bus, page_of(chromium, viewport=PANEL) as page:
        await opened(bus, page)
        await page.fill("#who", "7")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")  # line, direction, sign on
        await has(page, "#place", "工号 7")
        await does(page, "key", "2")
        await page.wait_for_selector('#keys button[value="2"][aria-pressed="true"]')
        assert (await bus.driver("where"))["key"] == "2"
        await page.evaluate(axe_source())
        assert await barriers(page) == []
        token = await page.get_attribute("body", "data-token")
        assert token is not None
        home = bus.screens.rstrip("/")
        asked = {"who": "7", "do": "where", "words": []}
        for body, headers, told in (
            (asked, {"Origin": home, "X-Page-Token": token}, 200),
            (asked, {"Origin": home}, 403),
            (asked, {"Origin": "http://elsewhere", "X-Page-Token": token}, 403),
            ({"who": 7}, {"Origin": home, "X-Page-Token": token}, 400),
        ):
            assert await asyncio.to_thread(status_of, home + "/ask", body, headers) == told, headers
        assert await asyncio.to_thread(status_of, home + "/panel", None, {"Host": "elsewhere"}) == 403


async def test_there_is_no_panel_unless_a_site_says_so(tmp_path: Path) -> None:
    """The page and the question are not there."""
    async with running(tmp_path, CONSOLE.replace("true", "false")) as bus:
        async with asyncio.timeout(LIMIT_S):
            while not bus.screens:
                await asyncio.sleep(0.05)
        assert await asyncio.to_thread(status_of, bus.screens + "panel", None, {}) == 404


def status_of(address: str, body: object, headers: dict[str, str]) -> int:
    """Ask as something else than our page would; the HTTP status."""
    data = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(address, data=data, headers=headers), timeout=10) as answer:  # our own
            return int(answer.status)
    except HTTPError as error:
        error.close()
        return error.code
