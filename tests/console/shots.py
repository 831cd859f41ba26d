"""`make screens`: a picture of every outcome and of a kiosk's pages, in both languages, kept under docs/screens/.

Laws of this file:
- What is kept was drawn by the pages themselves, told by the phrases' own table and by a real visit.
"""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from terminal.core.model import Reason
from terminal.core.screen import Language, Page, PageKind, Touch
from tests.console import browsers, outcomes
from tests.console.consoles import Served, served
from tests.console.desk import open_desk
from tests.core.visiting import Visiting

if TYPE_CHECKING:
    from playwright.async_api import Browser
    from playwright.async_api import Page as Tab

PLACE = Path("docs/screens")
QUALITY = 60
KIOSK = {"width": 1280, "height": 800}
STEPS: list[tuple[str, Callable[[Visiting], Visiting]]] = [
    ("rest", lambda visit: visit),
    ("borrow", lambda visit: visit.card().lays("B-1")),
    ("account", lambda visit: visit.press(Touch.ACCOUNT)),
    ("renew", lambda visit: visit.press(Touch.RENEW_ALL)),
    ("return", lambda visit: visit.press(Touch.RETURN).lays("B-1", "B-7")),
]
# What the runtime shows of its own accord: while another system is asked, and while nobody is served.
SHOWN: dict[str, PageKind] = {"busy": PageKind.BUSY, "closed": PageKind.CLOSED}
KINDS: dict[str, PageKind] = {
    "rest": PageKind.REST,
    "borrow": PageKind.READER,
    "account": PageKind.ACCOUNT,
    "renew": PageKind.ACCOUNT,
    "return": PageKind.RETURNING,
} | SHOWN
PAGE = """# Every screen

Drawn by Chromium (`make screens`), with the longest figures there are: each outcome on a seven-inch panel, then the
kiosk's pages.

| outcome | 中文 | English |
|---|---|---|"""


async def main() -> None:
    """Renew them all."""
    async with browsers.browser() as chromium, served() as one:
        for language in ("zh", "en"):
            await _outcomes(chromium, one, language)
        await _kiosk(chromium, one)
    names = ["ready", *(reason.value for reason in Reason), *(f"kiosk-{name}" for name in KINDS)]
    rows = [f"| `{name}` | ![{name}, zh](zh/{name}.webp) | ![{name}, en](en/{name}.webp) |" for name in names]
    (PLACE / "README.md").write_text("\n".join([PAGE, *rows]) + "\n", encoding="utf-8")


async def _outcomes(chromium: "Browser", one: Served, language: str) -> None:
    async with browsers.page_of(chromium) as page:
        await page.goto(f"{one.address}/display?lane=bus/front&lang={language}")
        await page.emulate_media(reduced_motion="reduce")
        await page.locator("body[data-reason='ready']").wait_for()
        await _keep(page, f"{language}/ready", 0.6)
        for reason in Reason:
            await one.screen.show(outcomes.shown(reason))
            await page.locator(f"body[data-reason='{reason.value}']").wait_for()
            await _keep(page, f"{language}/{reason.value}", 0.6)


async def _kiosk(chromium: "Browser", one: Served) -> None:
    async with browsers.page_of(chromium, viewport=KIOSK) as page:
        await page.goto(f"{one.address}/kiosk?lane=desk")
        for language in ("zh", "en"):
            async with open_desk(one.kiosk) as desk:
                if language == "en":
                    await desk.do(lambda visit: visit.press(Touch.LANGUAGE))
                for name, do in STEPS:
                    await desk.do(do)
                    await page.locator(f"body[data-number='{one.kiosk.version}']").wait_for()
                    assert desk.visiting.page.kind is KINDS[name]
                    await _keep(page, f"{language}/kiosk-{name}", 0.625)
                for name, kind in SHOWN.items():
                    await one.kiosk.show(Page(kind=kind, language=Language(language)))
                    await page.locator(f"body[data-number='{one.kiosk.version}']").wait_for()
                    await _keep(page, f"{language}/kiosk-{name}", 0.625)


async def _keep(page: "Tab", name: str, scale: float) -> None:
    image = cv2.imdecode(np.frombuffer(await page.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".webp", small, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    assert done
    file = PLACE / f"{name}.webp"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data.tobytes())


if __name__ == "__main__":
    why = browsers.missing()
    if why:
        sys.exit(f"screens: {why}")
    asyncio.run(main())
