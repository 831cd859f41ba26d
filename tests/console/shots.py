"""`make screens`: a picture of every outcome on a display and at a kiosk, of a kiosk's pages in both languages, and of
the panel, kept under docs/screens/.

Laws of this file:
- What is kept was drawn by the pages themselves, told by the phrases' own table and by real visits.
- What is drawn is derived (tests/console/sayings.py); what is not drawn any more is taken away.
"""

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import msgspec
import numpy as np

from terminal.core.library import Silence
from terminal.core.model import Reason, Values
from terminal.core.phrases import display
from terminal.core.screen import Language, Page, PageKind, Touch
from terminal.core.visit import Lend, LookUp, Renew, TakeBack
from terminal.runtime.commands import Answer, Sheet
from terminal.runtime.site import Latest
from tests.console import browsers, outcomes
from tests.console.consoles import Served, served
from tests.console.sayings import DISPLAY_SAYS, KIOSK_SAYS, TITLES, page_saying, visiting
from tests.core.cases import NOW_MS, yuan
from tests.core.visiting import PATRON, Visiting, answering, lent, silent, taken_back

if TYPE_CHECKING:
    from playwright.async_api import Browser
    from playwright.async_api import Page as Tab

PLACE = Path("docs/screens")
QUALITY = 60
KIOSK = {"width": 1280, "height": 800}
ZONE = "Asia/Shanghai"
PAGE = """# Every screen

Drawn by Chromium (`make screens`).

## On a display

Every outcome that a lane tells, on a seven-inch panel, with the longest figures there are.
"""
AT_A_KIOSK = """
## What a library's kiosk says

Every outcome that a kiosk can say, each on the page on which a visit comes to it.
"""
PAGES_OF_A_KIOSK = """
## A kiosk's pages
"""
OF_WHO_WORKS_HERE = """
## The panel

Of a driver who is signed on, and of an attendant at a gate; both languages stand on it at once.

| driver | attendant |
|---|---|
| ![the panel of a driver](panel-driver.webp) | ![the panel of an attendant](panel-attendant.webp) |
"""


# --------------------------------------------------------------------------- a kiosk's pages


def _lends(request: Lend) -> object:
    return lent(request.barcode, title=TITLES[request.barcode])


def _takes_back(request: TakeBack) -> object:
    """One book goes into a bin, one is somebody's reservation."""
    comes = {"bin": "3"} if request.barcode == "B-1" else {"alert": True}
    return taken_back(request.barcode, title=TITLES[request.barcode], **comes)


def _patron(request: LookUp) -> object:
    """Two loans; of two reservations one is here."""
    return msgspec.structs.replace(PATRON, holds=2, items=("B-8", "B-9") if request.listed == 0 else PATRON.items)


def _renews(request: Renew) -> object:
    """One loan, and the other not."""
    if request.barcode == "B-1":
        return lent(request.barcode, due="20270316    235959")
    return lent(request.barcode, ok=False, message="有人预约")


LIBRARY = answering(LookUp=_patron, Lend=_lends, TakeBack=_takes_back, Renew=_renews)
AWAY = silent(Silence.UNREACHABLE)


def _walk(does: Callable[[Visiting], Visiting], answer: object = LIBRARY) -> Callable[[Language], Page]:
    return lambda language: does(visiting(language, answer=answer)).page


def _shown(kind: PageKind) -> Callable[[Language], Page]:
    """What the runtime shows of its own accord: while another system is asked, and while nobody is served."""
    return lambda language: Page(kind=kind, language=language)


PAGES: dict[str, Callable[[Language], Page]] = {
    "rest": _walk(lambda v: v),
    "borrow": _walk(lambda v: v.card().lays("B-1").lays("B-1", "B-2")),
    "account": _walk(lambda v: v.card().press(Touch.ACCOUNT)),
    "renew": _walk(lambda v: v.card().press(Touch.ACCOUNT).press(Touch.RENEW_ALL)),
    "return": _walk(lambda v: v.press(Touch.RETURN).lays("B-1").lays("B-1", "B-9")),
    "offline": _walk(lambda v: v.card().lays("B-1").lays("B-1", "B-2"), AWAY),
    "return-offline": _walk(lambda v: v.press(Touch.RETURN).lays("B-1"), AWAY),
    "account-offline": _walk(lambda v: v.card().press(Touch.ACCOUNT), AWAY),
    "busy": _shown(PageKind.BUSY),
    "closed": _shown(PageKind.CLOSED),
}


# --------------------------------------------------------------------------- the panel


def _told(reason: Reason, at_ms: int, lane: str, values: Values, **charge: Any) -> Latest:
    told = display(reason, values)
    granted = told.light.value.startswith("green")
    return Latest(at_ms=at_ms, lane=lane, granted=granted, reason=reason.value, zh=told.zh, en=told.en, **charge)


FARE: Values = {"fare": yuan(200), "balance": yuan(4835)}
STOPS = ("火车站", "人民广场", "东湖", "大学城")
PANELS: dict[str, Sheet] = {
    "driver": Sheet(
        who="7", vehicle="bus-1", line="12", direction="up", stop=STOPS[1], key="2", lines=("12", "12B"), stops=STOPS,
        keys=("1", "2", "3"), lanes=("front", "rear"), activates=False, emergency=False, question="",
        last=_told(Reason.PAID_BY_CARD, NOW_MS, "front", FARE, product="adult", charge_zh="2元", charge_en="¥2"),
    ),
    "attendant": Sheet(
        who="", vehicle="", line="", direction="", stop="", key="", lines=(), stops=(), keys=(),
        lanes=("north gate", "south gate"), activates=True, emergency=False, question="",
        last=_told(Reason.NOT_ACTIVATED, NOW_MS, "north gate", {}),
    ),
}  # fmt: skip


async def _asks_nothing(who: str, do: str, words: object) -> Answer:
    """Nobody presses a key for a picture."""
    return {}


# --------------------------------------------------------------------------- drawing


def on_displays() -> list[str]:
    """Outcomes a display is drawn with, and the prompt; files are named by language and these."""
    return ["ready", *(reason.value for reason in Reason if reason in DISPLAY_SAYS)]


def at_kiosks() -> list[Reason]:
    """Outcomes a kiosk is drawn with."""
    return [reason for reason in Reason if reason in KIOSK_SAYS]


def files() -> Iterator[str]:
    """Every picture there is to be, by its path below docs/screens/, without ".webp"."""
    for language in Language:
        yield from (f"{language}/{name}" for name in on_displays())
        yield from (f"{language}/kiosk/{reason}" for reason in at_kiosks())
        yield from (f"{language}/kiosk-{name}" for name in PAGES)
    yield from (f"panel-{name}" for name in PANELS)


async def main() -> None:
    """Renew them all."""
    async with browsers.browser() as chromium:
        async with served() as one:
            for language in Language:
                await _displays(chromium, one, language)
                await _kiosk(chromium, one, language)
        for name, sheet in PANELS.items():
            await _panel(chromium, name, sheet)
    wanted = set(files())
    for path in PLACE.rglob("*.webp"):
        if path.relative_to(PLACE).with_suffix("").as_posix() not in wanted:
            path.unlink()
    (PLACE / "README.md").write_text(index(), encoding="utf-8")


def index() -> str:
    """The page that shows them all."""
    parts = [PAGE, *_table("outcome", on_displays()), AT_A_KIOSK, *_table("outcome", at_kiosks(), "kiosk/")]
    return "\n".join([*parts, PAGES_OF_A_KIOSK, *_table("page", list(PAGES), "kiosk-"), OF_WHO_WORKS_HERE])


def _table(what: str, names: "list[str] | list[Reason]", before: str = "") -> Iterator[str]:
    yield from (f"| {what} | 中文 | English |", "|---|---|---|")
    for name in names:
        zh, en = (f"![{name}, {language}]({language}/{before}{name}.webp)" for language in Language)
        yield f"| `{name}` | {zh} | {en} |"


async def _displays(chromium: "Browser", one: Served, language: Language) -> None:
    async with browsers.page_of(chromium) as page:
        await page.goto(f"{one.address}/display?lane=bus/front&lang={language}")
        await page.emulate_media(reduced_motion="reduce")
        await page.locator("body[data-reason='ready']").wait_for()
        for name in on_displays():
            if name != "ready":
                await one.screen.show(outcomes.shown(Reason(name)))
            await page.locator(f"body[data-reason='{name}']").wait_for()
            await _keep(page, f"{language}/{name}", 0.6)


async def _kiosk(chromium: "Browser", one: Served, language: Language) -> None:
    async with browsers.page_of(chromium, viewport=KIOSK) as page:
        await page.goto(f"{one.address}/kiosk?lane=desk")
        for name, made in PAGES.items():
            await _at_kiosk(page, one, made(language), f"{language}/kiosk-{name}", 0.625)
        for reason in at_kiosks():
            await _at_kiosk(page, one, page_saying(reason, language), f"{language}/kiosk/{reason}", 0.5)


async def _at_kiosk(page: "Tab", one: Served, shown: Page, name: str, scale: float) -> None:
    await one.kiosk.show(shown)
    await page.locator(f"body[data-number='{one.kiosk.version}']").wait_for()
    await _keep(page, name, scale)


async def _panel(chromium: "Browser", name: str, sheet: Sheet) -> None:
    terminal = sheet.vehicle or "park-1"
    async with (
        served(terminal, panel=True) as one,
        browsers.page_of(chromium, viewport=KIOSK, timezone_id=ZONE) as page,
    ):
        one.console.works(_asks_nothing, lambda: sheet)
        await page.goto(f"{one.address}/panel")
        await page.locator("#words", has_text=sheet.last.en if sheet.last else "").wait_for()
        await _keep(page, f"panel-{name}", 0.75, whole=True)


async def _keep(page: "Tab", name: str, scale: float, *, whole: bool = False) -> None:
    image = cv2.imdecode(np.frombuffer(await page.screenshot(full_page=whole), np.uint8), cv2.IMREAD_COLOR)
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
