"""A kiosk's touch pages: drawn from what the visit says, and what is touched on them.

Laws of this file:
- A page is kept until the next one and no longer: somebody's account is in no log, no status and no queue.
- A press speaks of the page it was made on; one that was made on an earlier page is nothing.
- Fingers are quicker than libraries: a page takes one press, and what was not taken goes with the page.
- A page that nobody can tell from the one before is that page: no finger misses it.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from terminal.console.picture import SHAPES, out_of_service, words
from terminal.console.screens import Newest
from terminal.core.model import Reading, Value
from terminal.core.phrases import Display, Line, display, value_in
from terminal.core.screen import Button, Figure, Language, Page, PageKind, Press, Row, Said, Touch, Word
from terminal.core.screen_words import BUTTONS, FIGURES, TITLES
from terminal.ports import Clock

LOAN = "loan"  # the service of every kiosk
SAME_S = 0.5  # a page's end that moved by less is where it was
# Pages on which there is nothing to do have a shape besides their words.
KIND_SHAPES: dict[PageKind, str] = {PageKind.BUSY: "wait", PageKind.CLOSED: "closed"}
ENDS = Line(zh="秒后自动退出", en="seconds until this ends")
EMPTY = Line(zh="没有借出的书", en="No books on loan")


class Touched(Value, frozen=True, forbid_unknown_fields=True):
    """What a page sends: which button, on which page."""

    lane: str
    touch: Touch
    number: int
    of: str = ""


class TouchScreen(Newest):
    """The Screen port of one kiosk."""

    def __init__(self, lane: str, clock: Clock) -> None:
        super().__init__()
        self.lane = lane
        self._clock = clock
        self._page = Page(kind=PageKind.CLOSED)
        self._shown_s = clock.monotonic_s()
        self._presses: asyncio.Queue[tuple[Press, Reading]] = asyncio.Queue()
        self._touched = 0  # the page that was touched already

    async def show(self, page: Page) -> None:
        """See the port. Returns at once."""
        before_s, before = self._left_s(), self._page
        self._page, self._shown_s = page, self._clock.monotonic_s()
        if page.is_seen_as(before) and abs((self._left_s() or 0.0) - (before_s or 0.0)) < SAME_S:
            self._touched = 0
            return
        while not self._presses.empty():
            self._presses.get_nowait()
        self.changed()

    async def presses(self) -> AsyncIterator[tuple[Press, Reading]]:
        """See the port."""
        while True:
            yield await self._presses.get()

    def touched(self, touched: Touched) -> bool:
        """Somebody touched this; whether it counts."""
        press = Press(touch=touched.touch, of=touched.of)
        if touched.number == self._touched or touched.number != self.version or not self._page.offers(press):
            return False
        self._touched = touched.number
        self._presses.put_nowait((press, self._clock.read()))
        return True

    def state(self) -> dict[str, Any]:
        """The page as it is drawn; `number` goes back with a press."""
        left_s = self._left_s()
        return drawn(self._page) | {
            "number": self.version,
            "ends_ms": None if left_s is None else max(0, round(left_s * 1000)),
        }

    def _left_s(self) -> float | None:
        """Until the page ends by itself."""
        ends_s = self._page.ends_s
        return None if ends_s is None else ends_s - (self._clock.monotonic_s() - self._shown_s)


# --------------------------------------------------------------------------- drawing: pure


def drawn(page: Page) -> dict[str, Any]:
    """A page with its words, in its language."""
    language = page.language
    said = None if page.said is None else _said(page.said, language)
    return {
        "kind": page.kind.value,
        "language": "zh-CN" if language is Language.ZH else "en",
        "title": TITLES[page.kind].in_(language),
        "shape": KIND_SHAPES.get(page.kind, ""),
        "said": said,
        "rows": [_row(row, language) for row in page.rows],
        "empty": _in(EMPTY, language) if page.kind is PageKind.ACCOUNT and not page.rows and not page.offline else "",
        "figures": [_figure(one, language) for one in page.figures],
        "buttons": [_button(button, language) for button in page.buttons],
        "offline": FIGURES[Word.OFFLINE].in_(language) if page.offline else "",
        "ends": _in(ENDS, language),
    }


def lost() -> dict[str, Any]:
    """What a page shows that hears nothing from its terminal any more."""
    picture = out_of_service()
    page = drawn(Page(kind=PageKind.CLOSED, buttons=()))
    told = {"title": f"{picture.zh.title} {picture.en.title}", "number": 0, "ends_ms": None}
    return page | told


def _figure(figure: Figure, language: Language) -> dict[str, str]:
    return {"name": FIGURES[figure.word].in_(language), "value": value_in(figure.value, language)}


def _row(row: Row, language: Language) -> dict[str, Any]:
    due = f"{FIGURES[Word.DUE].in_(language)} {row.due}" if row.due else ""
    return {
        "id": row.id,
        "title": row.title or row.id,
        "due": due if row.held is None else FIGURES[row.held].in_(language),
        "held": "" if row.held is None else row.held.value,
        "said": None if row.said is None else _said(row.said, language),
        "words": row.words,
        "buttons": [_button(button, language) for button in row.buttons],
    }


def _said(said: Said, language: Language) -> dict[str, Any]:
    shown: Display = display(said.reason, said.values, service=LOAN)
    text = words(shown.zh, " ") if language is Language.ZH else words(shown.en, ". ")
    return {
        "reason": said.reason.value,
        "light": shown.light.value,
        "shape": SHAPES[shown.light],
        "tone": shown.tone.value,
        "voice": shown.voice,
        **msgspec.to_builtins(text),
    }


def _button(button: Button, language: Language) -> dict[str, str]:
    """The other language's name is written in that language."""
    other = "en" if language is Language.ZH else "zh-CN"
    lang = {"lang": other} if button.touch is Touch.LANGUAGE else {}
    return {"touch": button.touch.value, "of": button.of, "label": BUTTONS[button.touch].in_(language)} | lang


def _in(line: Line, language: Language) -> str:
    return line.zh if language is Language.ZH else line.en
