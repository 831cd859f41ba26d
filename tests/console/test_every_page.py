"""Every kind of a kiosk's page and everything that may stand on one, looked at in a real browser for barriers.

Laws of this file:
- What is looked at is derived from the enums themselves: a new kind, button, figure or outcome is looked at, or fails.
- What looks for barriers first catches a planted one on the very page.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from terminal.core.model import Reason
from terminal.core.phrases import PHRASES, Light
from terminal.core.screen import Button, Figure, Language, Page, PageKind, Row, Said, Touch, Word
from terminal.core.screen_words import BUTTONS, FIGURES, TITLES
from tests.console import browsers, outcomes, shots
from tests.console.consoles import Served, served

if TYPE_CHECKING:
    from playwright.async_api import Browser
    from playwright.async_api import Page as Tab

LACKS = browsers.missing()
needs_a_browser = pytest.mark.skipif(bool(LACKS), reason=LACKS)
SIZES = [{"width": 1280, "height": 800}, {"width": 768, "height": 1024}]
HEADLINE = {PHRASES[reason].light: reason for reason in reversed(Reason)}  # each light's first outcome


def bare(language: Language) -> Iterator[Page]:
    """Every kind as the runtime shows it when nothing else stands on it: waiting, closed."""
    yield from (Page(kind=kind, language=language) for kind in PageKind)
    yield Page(kind=PageKind.CLOSED, language=language, said=Said(reason=Reason.EMERGENCY))


def full(language: Language) -> Iterator[Page]:
    """Every kind with all that can stand on it; each light as the headline of one, every outcome as a row of one."""
    buttons = tuple(Button(touch=touch) for touch in Touch)
    figures = tuple(Figure(word=word, value=outcomes.FIGURES["amount"]) for word in Word)
    book = Row(id="B-1", title="三体", due="2026-12-31", words="Queued", buttons=(Button(touch=Touch.RENEW, of="B-1"),))
    for kind in PageKind:
        for light in Light:
            said = Said(reason=HEADLINE[light], values=outcomes.FIGURES)
            yield Page(
                kind=kind, language=language, said=said, rows=(book,), figures=figures, buttons=buttons, offline=True
            )
    rows = tuple(
        Row(id=reason.value, title=reason.value, said=Said(reason=reason, values=outcomes.FIGURES))
        for reason in outcomes.pictures()
    )
    yield Page(kind=PageKind.ACCOUNT, language=language, rows=rows, private=True, ends_s=15.0)


def test_everything_has_words_and_a_light_of_its_own() -> None:
    """Nothing of the enums is missing from the tables, or from what is looked at here."""
    assert (set(TITLES), set(BUTTONS), set(FIGURES)) == (set(PageKind), set(Touch), set(Word))
    for language in Language:
        pages = [*bare(language), *full(language)]
        assert {page.kind for page in pages} == set(PageKind)
        assert {button.touch for page in pages for button in page.buttons} == set(Touch)
        assert {one.word for page in pages for one in page.figures} == set(Word)
        assert {PHRASES[page.said.reason].light for page in pages if page.said} == set(Light)


def test_every_kind_has_its_picture() -> None:
    """`make screens` draws each kind of page."""
    assert {made(Language.EN).kind for made in shots.PAGES.values()} == set(PageKind)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def chromium() -> "AsyncIterator[Browser]":
    async with browsers.browser() as one:
        yield one


@asynccontextmanager
async def looking(chromium: "Browser", size: dict[str, int]) -> "AsyncIterator[tuple[Served, Tab]]":
    """A kiosk's page, with what looks for barriers in it."""
    async with served() as one, browsers.page_of(chromium, viewport=size) as tab:
        await tab.goto(f"{one.address}/kiosk?lane=desk")
        await tab.evaluate(browsers.axe_source())
        yield one, tab


async def shown(one: Served, tab: "Tab", page: Page) -> None:
    """Until the browser draws it."""
    await one.kiosk.show(page)
    await tab.locator(f"body[data-number='{one.kiosk.version}']").wait_for()


@needs_a_browser
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("size", SIZES, ids=["landscape", "upright"])
async def test_no_page_has_a_barrier(chromium: "Browser", size: dict[str, int], language: Language) -> None:
    """Each kind bare and full, each light, each outcome: axe-core finds nothing at all."""
    async with looking(chromium, size) as (one, tab):
        for page in (*bare(language), *full(language)):
            await shown(one, tab, page)
            assert await browsers.barriers(tab) == [], page
            has_shape = await tab.locator("#kind").is_visible()
            assert has_shape == (page.kind in (PageKind.BUSY, PageKind.CLOSED)), page
            assert await tab.locator("h1").inner_text() == TITLES[page.kind].in_(language)


@needs_a_browser
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("kind", PageKind)
async def test_a_planted_barrier_is_caught_on_every_kind(chromium: "Browser", kind: PageKind) -> None:
    """Low contrast on its title; before it was planted there was none."""
    async with looking(chromium, SIZES[0]) as (one, tab):
        await shown(one, tab, Page(kind=kind))
        assert await browsers.barriers(tab) == []
        await tab.evaluate("title.style.color = '#444a50'")
        assert any(found.startswith("violations: color-contrast") for found in await browsers.barriers(tab))
