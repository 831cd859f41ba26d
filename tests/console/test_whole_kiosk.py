"""A library's kiosk from the reader's side: cards, books and fingers before the installed terminal, and nothing else.

Laws of this file:
- The terminal is a process of its own (kiosk_process.py); what it did is looked for on its page, on the tags, and in
  the library system.
- Whoever waits, waits for the page; one kiosk serves all of it, and each reader has books of their own.
"""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from simulators.item_tag import IN_STOCK, LENT
from tests.console import browsers
from tests.console.kiosk_process import KioskProcess, kiosk_process

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

LACKS = browsers.missing()
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.skipif(bool(LACKS), reason=LACKS)]
PANEL = {"width": 1280, "height": 800}
READERS = {name: f"R-{number}" for number, name in enumerate(("amber", "birch", "cedar", "dogwood", "elm"))}
PRIVACY_S = 10.0
NAMES = re.compile("somebody|R-[0-9]")  # what the library system says of people, and no page may


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def kiosk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[KioskProcess]:
    async with kiosk_process(tmp_path_factory.mktemp("kiosk"), READERS, PRIVACY_S) as one:
        yield one


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def chromium() -> "AsyncIterator[Browser]":
    async with browsers.browser() as one:
        yield one


@asynccontextmanager
async def before(kiosk: KioskProcess, chromium: "Browser") -> "AsyncIterator[Page]":
    """Somebody before a kiosk at rest."""
    async with browsers.page_of(chromium, viewport=PANEL) as tab:
        await tab.goto(f"{kiosk.address}kiosk?lane=desk")
        await shows(tab, "rest")
        yield tab
        assert not NAMES.search(await tab.content())
        await tab.locator("[data-touch='done']").click()
        await shows(tab, "rest")


async def shows(tab: "Page", kind: str, reason: str = "") -> None:
    """Until the page is of this kind, and says this."""
    said = f"[data-reason='{reason}']" if reason else ""
    await tab.locator(f"body[data-kind='{kind}']{said}").wait_for()


async def row(tab: "Page", barcode: str, *words: str) -> None:
    """Until the book's row says all of this."""
    found = tab.locator(f"#rows li[data-id='{barcode}']")
    for word in words:
        found = found.filter(has_text=word)
    await found.wait_for()


async def touch(tab: "Page", name: str) -> None:
    """Touch a button by what it says."""
    await tab.get_by_role("button", name=name, exact=True).click()


async def comes(kiosk: KioskProcess, tab: "Page", name: str) -> None:
    """Hold out a card."""
    await kiosk.hold(name)
    await shows(tab, "reader", "signed_in")
    await kiosk.put_away()


async def test_two_books_are_borrowed_renewed_and_given_back(kiosk: KioskProcess, chromium: "Browser") -> None:
    """Each with its title and its day, silent for the door and secured again; the library system agrees each time."""
    first, second = "30000001", "30000002"
    copies, tags = kiosk.library.copies, kiosk.tags
    async with before(kiosk, chromium) as tab:
        await comes(kiosk, tab, "amber")
        for barcode in (first, second):
            kiosk.lay(barcode)
            await row(tab, barcode, copies[barcode].title, "借书成功", "2027-02-14")
            await kiosk.take()
            assert (copies[barcode].lent_to, tags[barcode].afi) == ("R-0", LENT)
        await touch(tab, "我的借阅")
        await shows(tab, "account")
        figures = await tab.locator("#figures").inner_text()
        assert "已借\n2" in figures and "12.5" in figures
        await tab.get_by_role("button", name="续借 三体", exact=True).click()
        await row(tab, first, "续借成功", "2027-03-16")
        assert (copies[first].due[:8], copies[second].due[:8]) == ("20270316", "20270214")
        await touch(tab, "全部续借")
        await row(tab, second, "续借成功", "2027-03-16")
        await touch(tab, "还书")
        await shows(tab, "returning")
        for barcode in (first, second):
            kiosk.lay(barcode)
            await row(tab, barcode, copies[barcode].title, "还书成功")
            await kiosk.take()
            assert (copies[barcode].lent_to, tags[barcode].afi) == (None, IN_STOCK)


async def test_what_is_reserved_is_seen_in_both_languages(kiosk: KioskProcess, chromium: "Browser") -> None:
    """Ready or not, by title; the page says what it speaks, and goes back to the site's language with the reader."""
    kiosk.library.copies["30000003"].held_for = kiosk.library.copies["30000004"].held_for = "R-1"
    kiosk.library.copies["30000004"].lent_to = "R-9"
    async with before(kiosk, chromium) as tab:
        await comes(kiosk, tab, "birch")
        await touch(tab, "我的借阅")
        await row(tab, "30000003", "城南旧事", "预约书已到馆")
        await touch(tab, "English")
        await tab.locator("html[lang='en']").wait_for()
        await row(tab, "30000003", "城南旧事", "ready to collect")
        await row(tab, "30000004", "边城", "Reserved")
        assert "ready" not in await tab.locator("#rows li[data-id='30000004']").inner_text()
        assert "Reservations\n2" in await tab.locator("#figures").inner_text()
    async with before(kiosk, chromium) as tab:
        assert await tab.locator("html").get_attribute("lang") == "zh-CN"
        await touch(tab, "还书")
        await shows(tab, "returning")


async def test_a_reader_who_walks_away_leaves_nothing(kiosk: KioskProcess, chromium: "Browser") -> None:
    """The last seconds are counted, then the welcome is back, and a finger that comes too late opens nothing."""
    async with browsers.page_of(chromium, viewport=PANEL) as tab:
        await tab.goto(f"{kiosk.address}kiosk?lane=desk")
        await shows(tab, "rest")
        await comes(kiosk, tab, "cedar")
        kiosk.lay("30000005")
        await row(tab, "30000005", "借书成功")
        await kiosk.take()
        await touch(tab, "我的借阅")
        await row(tab, "30000005", "朝花夕拾")
        number = await tab.evaluate("document.body.dataset.number")
        await tab.locator("#ends").filter(has_text=re.compile("^[1-5] ")).wait_for()
        await shows(tab, "rest", "reader_session_end")
        assert await tab.locator("#rows li").count() == 0 and "朝花夕拾" not in await tab.content()
        late = """([number]) => fetch("/press", {
          method: "POST", headers: {"Content-Type": "application/json", "X-Page-Token": document.body.dataset.token},
          body: JSON.stringify({lane: "desk", touch: "account", of: "", number: Number(number)}),
        }).then((answer) => answer.status)"""
        assert await tab.evaluate(late, [number]) == 409
    assert "朝花夕拾" not in json.dumps(kiosk.status(), ensure_ascii=False)
    assert not re.search("朝花夕拾|30000005|R-2", (kiosk.place / "log").read_text(encoding="utf-8"))


async def test_once_through_by_keyboard(kiosk: KioskProcess, chromium: "Browser") -> None:
    """Tab and Enter alone, the card and the book by hand."""
    async with before(kiosk, chromium) as tab:
        await comes(kiosk, tab, "dogwood")
        kiosk.lay("30000006")
        await row(tab, "30000006", "借书成功")
        await kiosk.lift()
        await reach(tab, "account")
        await shows(tab, "account")
        await reach(tab, "renew")
        await row(tab, "30000006", "续借成功")
        assert await tab.evaluate("document.activeElement.dataset.touch") == "renew"  # one stays where one is
        await reach(tab, "return")
        await shows(tab, "returning")
        kiosk.lay("30000006")
        await row(tab, "30000006", "还书成功")
        await kiosk.take()
        await reach(tab, "language")
        await tab.locator("html[lang='en']").wait_for()
        assert kiosk.library.copies["30000006"].lent_to is None


async def reach(tab: "Page", touch: str) -> None:
    """Tab until the button has the focus, then Enter."""
    for _ in range(20):
        await tab.keyboard.press("Tab")
        if await tab.evaluate("document.activeElement.dataset.touch") == touch:
            await tab.keyboard.press("Enter")
            return
    raise AssertionError(f"{touch} is not reached")


async def test_a_network_cut_and_a_scanner(kiosk: KioskProcess, chromium: "Browser") -> None:
    """Lent while the library system is away, said so, and told when it is back; a barcode alone is no book."""
    async with before(kiosk, chromium) as tab:
        await comes(kiosk, tab, "elm")
        await kiosk.scan.show(b"30000007")
        await row(tab, "30000007", "请把书放上")
        await kiosk.library.stop()
        kiosk.lay("30000007")
        await row(tab, "30000007", "已登记借出")
        await kiosk.take()
        assert await tab.locator("#offline").is_visible() and kiosk.tags["30000007"].afi == LENT
        await touch(tab, "我的借阅")
        await shows(tab, "account", "library_unreachable")
        assert not await tab.locator("#empty").is_visible()  # nobody knows whether there are none
        await kiosk.library.start(kiosk.library.port)
    await kiosk.tells(lambda library: library["told"] == 1)
    assert kiosk.library.copies["30000007"].lent_to == "R-4"
