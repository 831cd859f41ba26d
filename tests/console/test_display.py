"""The passenger's display in a real browser: seen, read, heard, and by people who need more than eyes.

Laws of this file:
- One browser, one page a test; outcomes are looped over.
- What looks for barriers first catches a planted one.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from terminal.core.model import Reason, Values
from terminal.core.phrases import HINTS, PHRASES, PROMPTS, Tone, display
from tests.console import browsers, outcomes
from tests.console.consoles import Served, served
from tests.core.cases import yuan

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

LACKS = browsers.missing()
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.skipif(bool(LACKS), reason=LACKS)]
LANGUAGES = ("zh", "en", "both")
SMALLEST = 1 / 9  # of the shorter side: a centimetre on a seven-inch panel, read at two metres
SIZES = ({"width": 800, "height": 480}, {"width": 480, "height": 800}, {"width": 1280, "height": 800})
# What of the page is cut off, and the smallest letters on it.
LOOK = """() => {
  const side = Math.min(innerWidth, innerHeight);
  const seen = [...document.querySelectorAll("#words *")].filter((one) => one.offsetParent && one.textContent.trim());
  const says = (node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim();
  const texts = seen.filter((one) => [...one.childNodes].some(says));
  const out = texts.filter((one) => {
    const box = one.getBoundingClientRect();
    return box.left < 0 || box.top < 0 || box.right > innerWidth + 1 || box.bottom > innerHeight + 1;
  });
  return {
    cut: out.map((one) => one.textContent),
    smallest: Math.min(...texts.map((one) => parseFloat(getComputedStyle(one).fontSize))) / side,
    icon: document.getElementById("icon").getBoundingClientRect().width / side,
  };
}"""
# Every tone a page plays, by its height.
LISTEN = """() => {
  window.heard = [];
  const start = OscillatorNode.prototype.start;
  OscillatorNode.prototype.start = function (at) {
    window.heard.push(this.frequency.value);
    return start.call(this, at);
  };
}"""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def chromium() -> "AsyncIterator[Browser]":
    async with browsers.browser() as one:
        yield one


async def opened(page: "Page", one: Served, language: str = "both") -> None:
    """The display, ready."""
    await page.goto(f"{one.address}/display?lane=bus/front&lang={language}")
    await shows(page, "ready")


async def shows(page: "Page", reason: str) -> None:
    """Until it does. A page may not evaluate strings, so that nothing but a selector is waited for."""
    await page.locator(f"body[data-reason='{reason}']").wait_for()


async def told(page: "Page", one: Served, reason: Reason) -> None:
    """The lane tells; until the page shows it."""
    await one.screen.show(outcomes.shown(reason))
    await shows(page, reason.value)


async def test_every_outcome_is_seen_and_has_no_barrier(chromium: "Browser") -> None:
    """Nothing cut off, nothing too small to read at two metres, and in each language axe-core finds nothing at all."""
    async with served() as one, AsyncExitStack() as pages:
        shown = {name: await pages.enter_async_context(browsers.page_of(chromium)) for name in LANGUAGES}
        for language, page in shown.items():
            await opened(page, one, language)
            await page.evaluate(browsers.axe_source())
        for reason in outcomes.pictures():
            await one.screen.show(outcomes.shown(reason))
            found = await asyncio.gather(*(looked_at(page, reason.value, language) for language, page in shown.items()))
            assert not any(found), (reason, found)


async def test_what_stands_there_at_rest_is_seen_and_has_no_barrier(chromium: "Browser") -> None:
    """Every service's invitation, in every language."""
    async with served() as one, browsers.page_of(chromium) as page:
        for service in PROMPTS:
            one.console.screen(f"lane of {service}", service)
            for language in LANGUAGES:
                await page.goto(f"{one.address}/display?lane=lane of {service}&lang={language}")
                await shows(page, "ready")
                await page.evaluate(browsers.axe_source())
                assert await looked_at(page, "ready", language) == [], (service, language)


async def looked_at(page: "Page", reason: str, language: str) -> list[str]:
    """What is wrong with a page that shows this."""
    await shows(page, reason)
    look = await page.evaluate(LOOK)
    readable = look["smallest"] >= SMALLEST and look["icon"] >= 0.2
    return [
        *await browsers.barriers(page),
        *(f"cut off: {text}" for text in look["cut"]),
        *([] if readable else [f"too small: {look}"]),
    ]


@pytest.mark.parametrize("size", SIZES[1:], ids=lambda size: f"{size['width']}x{size['height']}")
async def test_other_panels(chromium: "Browser", size: dict[str, int]) -> None:
    """Upright, and larger: nothing cut off, nothing too small."""
    async with served() as one, browsers.page_of(chromium, viewport=size) as page:
        await opened(page, one)
        for reason in outcomes.pictures():
            await told(page, one, reason)
            look = await page.evaluate(LOOK)
            assert look["cut"] == [] and look["smallest"] >= SMALLEST, (reason, look)


@pytest.mark.parametrize(
    ("sentence", "plant", "rule"),
    [
        ("low contrast", "document.body.style.setProperty('--ink', '#3f8f63')", "violations: color-contrast"),
        ("a ground without a colour", "words.style.background = 'linear-gradient(#000, #fff)'", "incomplete: color"),
        ("no language", "document.documentElement.removeAttribute('lang')", "violations: html-has-lang"),
    ],
)
async def test_what_looks_for_barriers_finds_them(chromium: "Browser", sentence: str, plant: str, rule: str) -> None:
    """A planted one each; before it was planted there was none."""
    async with served() as one, browsers.page_of(chromium) as page:
        await opened(page, one)
        await page.evaluate(browsers.axe_source())
        await told(page, one, Reason.PAID)
        assert await browsers.barriers(page) == []
        await page.evaluate(plant)
        assert any(found.startswith(rule) for found in await browsers.barriers(page)), sentence


async def test_what_is_short_is_huge(chromium: "Browser") -> None:
    """A fifth of the height for the first words, more than half of it for the shape, and nothing left out."""
    async with served() as one, browsers.page_of(chromium) as page:
        await opened(page, one, "zh")
        await told(page, one, Reason.PAID)
        title = await page.evaluate("parseFloat(getComputedStyle(document.querySelector('.title')).fontSize)")
        assert (title, await page.locator("#hints li:visible").count()) == (480 / 5, 2)
        assert (await page.evaluate(LOOK))["icon"] > 0.5


HINTED = {
    "zh": [["zh-CN", "09:00前换乘免费"], ["zh-CN", "距今日封顶还差3.5元"]],
    "en": [["en", "Change free until 09:00"], ["en", "¥3.5 to today's cap"]],
    "both": [["zh-CN", "09:00前换乘免费"], ["en", "Change free until 09:00"]],
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size['width']}x{size['height']}")
async def test_hints_speak_what_the_page_speaks(chromium: "Browser", size: dict[str, int]) -> None:
    """Two in one language; in both, the likelier one in both. None is left out where the words are usual ones."""
    seen = """[...document.querySelectorAll("#hints span")].filter((one) => one.offsetParent).map(
      (one) => [one.lang, one.textContent])"""
    async with served() as one, browsers.page_of(chromium, viewport=size) as page:
        for language in LANGUAGES:
            await opened(page, one, language)
            for reason in (Reason.PAID, Reason.PAID_BY_CARD, Reason.CAPPED, Reason.PASS_HELD):
                await told(page, one, reason)
                assert await page.evaluate(seen) == HINTED[language], (language, reason)


async def test_every_hint_is_seen_and_has_no_barrier(chromium: "Browser") -> None:
    """Each alone beside a grant, in every language."""
    async with served() as one, browsers.page_of(chromium) as page:
        for language in LANGUAGES:
            await opened(page, one, language)
            await page.evaluate(browsers.axe_source())
            for name, hint in HINTS.items():
                values: Values = {"fare": yuan(200), name: outcomes.AHEAD.get(name, "12"), "next_fold": "8.5"}
                shown = display(Reason.PAID, values, outcomes.PROOF)
                await one.screen.show(shown)
                words = page.locator("#hints span:visible")
                await words.filter(has_text=getattr(shown.hints[0], "en" if language == "en" else "zh")).wait_for()
                assert await looked_at(page, "paid", language) == [], (language, hint)
                assert await words.count() == (2 if language == "both" else 1)


async def test_a_line_ends_between_words(chromium: "Browser") -> None:
    """A word of Chinese stays whole, and a figure stays with what it counts."""
    pieces = "(one) => one.innerHTML.split('<wbr>')"
    async with served() as one, browsers.page_of(chromium) as page:
        await opened(page, one, "zh")
        await told(page, one, Reason.REPORTED_LOST)
        title = await page.locator("#first .title").evaluate(pieces)
        assert "".join(title) == "请找工作人员" and title[-1] == "人员" and "工作" in title[-2]
        await told(page, one, Reason.PAID)
        assert "3.5元" in (await page.locator("#hints span").last.evaluate(pieces))[-1]


async def test_words_that_are_too_large_are_found(chromium: "Browser") -> None:
    """What looks for cut words finds planted ones, and letters that are too small."""
    async with served() as one, browsers.page_of(chromium) as page:
        await opened(page, one)
        await told(page, one, Reason.PAID)
        await page.evaluate("document.querySelector('#first .title').style.fontSize = '70vmin'")
        assert (await page.evaluate(LOOK))["cut"]
        await page.evaluate("document.querySelector('#first .title').style.fontSize = '5vmin'")
        assert (await page.evaluate(LOOK))["smallest"] < SMALLEST


SOUNDING = {PHRASES[reason].tone: reason for reason in reversed(Reason)}  # each tone's first outcome


async def test_sounds(chromium: "Browser") -> None:
    """One picture, one sound, for every tone there is: low for a refusal that stands, never after a charge."""
    low = 500  # hertz: what sounds like a refusal
    assert set(SOUNDING) == set(Tone)
    async with served() as one, browsers.page_of(chromium) as page:
        await opened(page, one)
        await page.evaluate(LISTEN)
        for tone, reason in SOUNDING.items():
            await page.evaluate("window.heard = []")
            await told(page, one, reason)
            heard = await page.evaluate("window.heard")
            assert bool(heard) == (tone not in (Tone.SILENT, Tone.EVACUATE)), tone
            assert any(height < low for height in heard) == (tone is Tone.STOP), tone
        await page.evaluate("window.heard = []")
        await page.keyboard.press("l")
        await page.locator("#second:not(:visible)").wait_for(state="attached")
        assert await page.evaluate("window.heard") == []


async def test_what_was_told_before_makes_no_sound(chromium: "Browser") -> None:
    """A page that is opened late shows the picture and stays silent."""
    async with served() as one, browsers.page_of(chromium) as page:
        await page.add_init_script(f"({LISTEN})()")
        await one.screen.show(outcomes.shown(Reason.PAID))
        await page.goto(f"{one.address}/display?lane=bus/front")
        await shows(page, "paid")
        assert await page.evaluate("window.heard") == []


async def test_the_language_changes_by_a_key(chromium: "Browser") -> None:
    """Both, Chinese, English; the page says what it speaks, for whoever hears it read."""
    async with served() as one, browsers.page_of(chromium) as page:
        await opened(page, one)
        await told(page, one, Reason.PAID)
        seen = []
        for _ in LANGUAGES:
            seen.append(await page.evaluate(
                "[document.documentElement.lang, first.lang, first.children[0].textContent, second.hidden]"
            ))  # fmt: skip
            await page.keyboard.press("l")
        assert seen == [
            ["zh-CN", "zh-CN", "扫码成功", False],
            ["zh-CN", "zh-CN", "扫码成功", True],
            ["en", "en", "Paid ¥12.5", True],
        ]
        assert await page.locator("main #screen[role=status][aria-live=assertive]").count() == 1


async def test_less_movement(chromium: "Browser") -> None:
    """What blinks stands still where the system asks for it."""
    async with served() as one, browsers.page_of(chromium) as page:
        await opened(page, one)
        await told(page, one, Reason.GRACE)
        for wish, moving in (("no-preference", 1), ("reduce", 0)):
            await page.emulate_media(reduced_motion=wish)  # type: ignore[arg-type]  # one of its two words
            assert await page.evaluate("document.getAnimations().length") == moving, wish


async def test_a_picture_goes_by_itself(chromium: "Browser") -> None:
    """Back to what the lane is at rest."""
    async with served() as one, browsers.page_of(chromium) as page:
        await opened(page, one)
        await told(page, one, Reason.PAID)
        await shows(page, "ready")


async def test_a_page_without_its_terminal_says_so_and_comes_back(chromium: "Browser") -> None:
    """The terminal dies: out of service. It is started again at the same address: the page is loaded anew and ready."""
    async with browsers.page_of(chromium) as page:
        async with served() as one:
            port = one.console.port
            await opened(page, one)
            first = await page.evaluate("document.body.dataset.boot")
        await shows(page, "out_of_service")
        async with served(port=port):
            await page.locator(f"body:not([data-boot='{first}'])").wait_for()
            await shows(page, "ready")


async def test_voices_are_asked_for_where_there_are_any(chromium: "Browser", tmp_path: Path) -> None:
    """In the language of the page."""
    for language in ("zh", "en"):
        (tmp_path / language).mkdir()
        (tmp_path / language / "paid.wav").write_bytes(b"RIFF")
    for language in ("zh", "en"):
        async with served(voices=(str(tmp_path),)) as one, browsers.page_of(chromium) as page:
            await opened(page, one, language)
            async with page.expect_request(f"**/voice/{language}/paid.wav"):
                await told(page, one, Reason.PAID)


async def test_the_index(chromium: "Browser") -> None:
    """Links to every screen, without a barrier; one of them leads to the display."""
    async with served() as one, browsers.page_of(chromium) as page:
        await page.goto(one.address)
        await page.evaluate(browsers.axe_source())
        assert await browsers.barriers(page) == []
        await page.get_by_role("link", name="bus/front: English").click()
        await shows(page, "ready")
        assert await page.evaluate("document.documentElement.lang") == "en"


async def test_two_displays_show_the_same(chromium: "Browser") -> None:
    """Front and rear of a door."""
    async with served() as one, browsers.page_of(chromium) as page, browsers.page_of(chromium) as other:
        await asyncio.gather(opened(page, one), opened(other, one, "en"))
        await told(page, one, Reason.CODE_USED)
        await shows(other, "code_used")
