"""When a page of Chromium drew what it was told.

Laws of this file:
- A frame's time is the wall clock's, so that another process's times can be set beside it.
"""

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable

WATCH = """(id) => {
  window.seen = [];
  const channel = new MessageChannel();
  let last = null;
  channel.port1.onmessage = () => { last.painted = performance.timeOrigin + performance.now(); };
  new MutationObserver(() => {
    const one = {what: document.getElementById(id).textContent};
    requestAnimationFrame((frame) => {
      one.frame = performance.timeOrigin + performance.now();
      last = one;
      window.seen.push(one);
      channel.port2.postMessage(0);
    });
  }).observe(document.getElementById(id), {childList: true, characterData: true, subtree: true});
}"""
Seen = list[dict[str, float | str]]


def missing() -> str:
    """What keeps it from running here; "" where nothing does."""
    try:
        import playwright.async_api  # noqa: F401  # of the tests' requirements
    except ImportError:
        return "playwright is not installed"
    return "" if shutil.which("chromium") else "no Chromium (Debian: apt-get install chromium)"


async def watched(address: str, act: Callable[[], Awaitable[None]]) -> Seen:
    """What a page showed while something happened, with the times of its frames."""
    from playwright.async_api import async_playwright

    async with async_playwright() as driver:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = await driver.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        tab = await browser.new_page(viewport={"width": 800, "height": 480})
        await tab.goto(address)
        await asyncio.sleep(0.5)
        await tab.evaluate(WATCH, "proof")
        await act()
        await asyncio.sleep(0.5)
        seen: Seen = await tab.evaluate("window.seen")
        await browser.close()
    return [one for one in seen if one["what"] and "painted" in one]
