"""A real browser for the screens: Chromium of the system, driven by Playwright; axe-core looks for barriers.

Laws of this file:
- One browser serves a whole file of tests; each test has a page of its own.
- What this machine lacks is said where it is skipped.
"""

import importlib.util
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
PANEL = {"width": 800, "height": 480}  # a seven-inch panel
LOAD_MS = 15_000  # milliseconds
# What a browser says of a terminal that ended, and of a press that did not count.
EXPECTED = ("ERR_CONNECTION", "ERR_INCOMPLETE", "409 (Conflict)")
# A kiosk's browser may sound without having been touched. Root has no sandbox of its own to make.
ARGUMENTS = ["--autoplay-policy=no-user-gesture-required", *(["--no-sandbox"] if os.geteuid() == 0 else [])]


def chromium() -> str | None:
    """Its path, if this machine has it."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def missing() -> str:
    """What keeps a browser from running here; "" where nothing does."""
    if importlib.util.find_spec("playwright") is None or importlib.util.find_spec("axe_playwright_python") is None:
        return "playwright is not installed (tools/setup dev)"
    return "" if chromium() else "no Chromium (Debian: apt-get install chromium)"


@asynccontextmanager
async def browser() -> AsyncIterator["Browser"]:
    """One browser, without a window."""
    from playwright.async_api import async_playwright  # not on every machine

    async with async_playwright() as driver:
        one = await driver.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        try:
            yield one
        finally:
            await one.close()


@asynccontextmanager
async def page_of(browser: "Browser", **options: Any) -> AsyncIterator["Page"]:
    """A page of its own; whatever it complains of is an error."""
    context = await browser.new_context(**({"viewport": PANEL} | options))
    page = await context.new_page()
    page.set_default_timeout(LOAD_MS)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    try:
        yield page
    finally:
        await context.close()
    assert [one for one in complaints if not any(word in one for word in EXPECTED)] == []


def axe_source() -> str:
    """axe-core, as its package brings it."""
    import axe_playwright_python

    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


async def barriers(page: "Page") -> list[str]:
    """What axe-core finds, certain or not: rule and element. It must be in the page already."""
    found = await page.evaluate("axe.run(document, {resultTypes: ['violations', 'incomplete'], preload: false})")
    return [
        f"{kind}: {one['id']} {node['target']} {node.get('failureSummary', '')}"
        for kind in ("violations", "incomplete")
        for one in found[kind]
        for node in one["nodes"]
    ]
