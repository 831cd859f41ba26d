"""A library's touch pages in a real browser: borrow, give back, renew, in both languages, by hand and by keyboard.

Laws of this file:
- The visit is the real one; what is asked of it is touched on the page.
- One browser, one page a test; what looks for barriers first catches a planted one.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from terminal.core.model import Reason
from terminal.core.screen import Language, Page, PageKind, Row, Said, Touch
from tests.console import browsers
from tests.console.consoles import Served, served
from tests.console.desk import Desk, open_desk
from tests.core.visiting import Visiting

if TYPE_CHECKING:
    from playwright.async_api import Browser
    from playwright.async_api import Page as Tab

LACKS = browsers.missing()
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.skipif(bool(LACKS), reason=LACKS)]
LANDSCAPE, UPRIGHT = {"width": 1280, "height": 800}, {"width": 768, "height": 1024}
# Buttons too small for a thumb, and whatever sticks out of the page.
LOOK = """() => ({
  small: [...document.querySelectorAll("button")].filter((one) => one.offsetHeight < 88 || one.offsetWidth < 88).length,
  out: [...document.querySelectorAll("main, main > *, button")].filter((one) => one.offsetParent).filter((one) => {
    const box = one.getBoundingClientRect();
    const scrolls = one.closest("#rows") !== null;
    return box.left < 0 || box.right > innerWidth + 1 || (!scrolls && box.bottom > innerHeight + 1);
  }).map((one) => one.id || one.textContent),
})"""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def chromium() -> "AsyncIterator[Browser]":
    async with browsers.browser() as one:
        yield one


@asynccontextmanager
async def standing(chromium: "Browser", size: dict[str, int] = LANDSCAPE) -> "AsyncIterator[tuple[Served, Desk, Tab]]":
    """Somebody before a kiosk at rest."""
    async with served() as one, open_desk(one.kiosk) as desk, browsers.page_of(chromium, viewport=size) as tab:
        await tab.goto(f"{one.address}/kiosk?lane=desk")
        await shows(tab, "rest")
        yield one, desk, tab


async def shows(tab: "Tab", kind: str, reason: str | None = None) -> None:
    """Until the page is of this kind, and says this."""
    said = "" if reason is None else f"[data-reason='{reason}']"
    await tab.locator(f"body[data-kind='{kind}']{said}").wait_for()


async def touch(tab: "Tab", name: str) -> None:
    """Touch a button by what it says."""
    await tab.get_by_role("button", name=name, exact=True).click()


async def test_borrow(chromium: "Browser") -> None:
    """A card, a book: its title and its day; done, and nobody sees it any more."""
    async with standing(chromium) as (_, desk, tab):
        await desk.do(lambda visit: visit.card())
        await shows(tab, "reader", "signed_in")
        await desk.do(lambda visit: visit.lays("B-1"))
        await shows(tab, "reader", "borrowed")
        row = tab.locator("#rows li[data-id='B-1']")
        assert "三体" in await row.inner_text() and "借书成功" in await row.inner_text()
        assert await row.locator(".note.green").count() == 1
        await touch(tab, "完成")
        await shows(tab, "rest")
        assert await tab.locator("#rows li").count() == 0
        assert "三体" not in await tab.content()


async def test_give_back(chromium: "Browser") -> None:
    """Without a card."""
    async with standing(chromium) as (_, desk, tab):
        await touch(tab, "还书")
        await shows(tab, "returning")
        await desk.do(lambda visit: visit.lays("B-7"))
        await shows(tab, "returning", "returned")
        assert "还书成功" in await tab.locator("#said").inner_text()
        await touch(tab, "完成")
        await shows(tab, "rest")


async def test_renew(chromium: "Browser") -> None:
    """The account, one book, then all."""
    async with standing(chromium) as (_, desk, tab):
        await desk.do(lambda visit: visit.card())
        await shows(tab, "reader")
        await touch(tab, "我的借阅")
        await shows(tab, "account")
        assert await tab.locator("#rows li").count() == 3  # two loans, and a reservation
        assert "12.5" in await tab.locator("#figures").inner_text()
        await tab.locator("#rows li button").first.click()
        await tab.locator("#rows li .note").first.wait_for()
        assert "续借成功" in await tab.locator("#rows").inner_text()
        assert desk.visiting.facts()[0][0] == "renewed"
        await touch(tab, "全部续借")
        await tab.locator("#rows li .note").nth(1).wait_for()


async def test_the_language_changes_by_touch(chromium: "Browser") -> None:
    """On any page; the page says what it speaks, and the way back is in the other language's own words."""
    async with standing(chromium) as (_, desk, tab):
        await desk.do(lambda visit: visit.card().lays("B-1"))
        await shows(tab, "reader", "borrowed")
        assert await tab.get_by_role("button", name="English").get_attribute("lang") == "en"
        await touch(tab, "English")
        await tab.locator("html[lang='en']").wait_for()
        assert "Borrowed" in await tab.locator("#rows").inner_text()
        assert "Put down" in await tab.locator("h1").inner_text()
        await touch(tab, "中文")
        await tab.locator("html[lang='zh-CN']").wait_for()


async def test_by_keyboard_alone(chromium: "Browser") -> None:
    """Tab and Enter; where one was stays where one is, or goes to the page's name."""
    async with standing(chromium) as (_, _, tab):
        await tab.keyboard.press("Tab")
        assert await tab.evaluate("document.activeElement.dataset.touch") == "return"
        await tab.keyboard.press("Enter")
        await shows(tab, "returning")
        assert await tab.evaluate("document.activeElement.id") == "title"
        await tab.keyboard.press("Tab")
        await tab.keyboard.press("Enter")  # the other language
        await tab.locator("html[lang='en']").wait_for()
        assert await tab.evaluate("document.activeElement.dataset.touch") == "language"


async def test_a_press_on_a_page_that_is_over_is_nothing(chromium: "Browser") -> None:
    """Nor a second one before the first is dealt with, nor one the page does not offer."""
    send = """([number, touch, lane]) => fetch("/press", {
      method: "POST", headers: {"Content-Type": "application/json", "X-Page-Token": document.body.dataset.token},
      body: JSON.stringify({lane: lane, touch: touch, of: "", number: number}),
    }).then((answer) => answer.status)"""
    async with browsers.page_of(chromium) as tab, served() as one, open_desk(one.kiosk) as desk:
        await tab.goto(f"{one.address}/kiosk?lane=desk")
        await shows(tab, "rest")
        number = int(await tab.evaluate("Number(document.body.dataset.number)"))
        for sentence, asked in REFUSED:
            status = await tab.evaluate(send, asked(number))
            assert (status, desk.touched) == (409, 0), sentence
        assert await tab.evaluate(send, [number, "return", "desk"]) == 204
        await shows(tab, "returning")
        assert desk.touched == 1
        assert await tab.evaluate(send, [number, "return", "desk"]) == 409


REFUSED: list[tuple[str, Callable[[int], list[object]]]] = [
    ("an earlier page", lambda number: [number - 1, "return", "desk"]),
    ("a later page", lambda number: [number + 1, "return", "desk"]),
    ("a button that is not there", lambda number: [number, "renew_all", "desk"]),
]


def a_long_account(language: Language) -> Page:
    """Forty books, some with long names."""
    titles = ("三体", "The Cambridge History of China, Volume 15: The People's Republic, Part 2", "永" * 60)
    rows = tuple(
        Row(
            id=f"B-{number}",
            title=titles[number % 3],
            due="2026-12-31",
            said=Said(reason=Reason.RENEWED, values={"due": "2026-12-31"}) if number % 4 == 0 else None,
        )
        for number in range(40)
    )
    return Page(kind=PageKind.ACCOUNT, language=language, rows=rows, private=True, ends_s=15.0)


STEPS: list[Callable[[Visiting], Visiting]] = [
    lambda visit: visit,
    lambda visit: visit.press(Touch.RETURN).lays("B-7"),
    lambda visit: visit.lays().card(),
    lambda visit: visit.lays("B-1"),
    lambda visit: visit.press(Touch.ACCOUNT),
    lambda visit: visit.press(Touch.RENEW_ALL),
    lambda visit: visit.press(Touch.DONE),
]


@pytest.mark.parametrize("size", [LANDSCAPE, UPRIGHT], ids=["landscape", "upright"])
async def test_no_page_has_a_barrier(chromium: "Browser", size: dict[str, int]) -> None:
    """Every kind of page in both languages: axe-core finds nothing, a thumb finds every button, nothing sticks out."""
    async with standing(chromium, size) as (one, desk, tab):
        await tab.evaluate(browsers.axe_source())
        for language in ("zh", "en"):
            for step in STEPS:
                await desk.do(step)
                await shows(tab, desk.visiting.page.kind.value)
                assert await browsers.barriers(tab) == [], (language, desk.visiting.page)
                assert await tab.evaluate(LOOK) == {"small": 0, "out": []}, (language, desk.visiting.page)
            long = a_long_account(Language(language))
            await one.kiosk.show(long)
            await tab.locator("#rows li").nth(39).wait_for()
            assert await browsers.barriers(tab) == [], (language, "a long account")
            assert await tab.evaluate("document.getElementById('rows').tabIndex") == 0
            await desk.do(lambda visit: visit.press(Touch.LANGUAGE))


async def test_what_looks_for_barriers_finds_them(chromium: "Browser") -> None:
    """Low contrast on a button, and one too small for a thumb."""
    async with standing(chromium) as (_, _, tab):
        await tab.evaluate(browsers.axe_source())
        await tab.evaluate("document.querySelector('button').style.color = '#3f6f96'")
        assert any("color-contrast" in found for found in await browsers.barriers(tab))
        await tab.evaluate("document.querySelectorAll('button').forEach((one) => { one.style.minHeight = '40px'; })")
        assert (await tab.evaluate(LOOK))["small"] == 2


async def test_without_its_terminal_it_is_closed(chromium: "Browser") -> None:
    """Nothing of the last reader is left on the page, and there is nothing to touch."""
    async with browsers.page_of(chromium) as tab:
        async with served() as one, open_desk(one.kiosk) as desk:
            await tab.goto(f"{one.address}/kiosk?lane=desk")
            await desk.do(lambda visit: visit.card().lays("B-1"))
            await shows(tab, "reader", "borrowed")
        await shows(tab, "closed")
        assert "三体" not in await tab.content() and await tab.locator("button").count() == 0
