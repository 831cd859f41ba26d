"""The pages themselves: our own files with a few names filled in.

Laws of this file:
- A page is read once, at the start; what is asked for by name is looked up, never opened: no path leads anywhere else.
- Whatever is filled in is escaped, and comes from the configuration.
"""

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import urlencode

import msgspec

from terminal.console.picture import out_of_service
from terminal.console.touch import lost

STATIC = Path(__file__).parent / "static"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
LANGUAGES = ("both", "zh", "en")


class Pages:
    """Every file of the console, in memory."""

    def __init__(self, terminal: str, token: str, boot: str, *, voices: bool) -> None:
        self._files = {path.name: path.read_text(encoding="utf-8") for path in STATIC.iterdir()}
        self._known = {"terminal": terminal, "token": token, "boot": boot, "voices": "1" if voices else ""}

    def file(self, name: str) -> tuple[str, str] | None:
        """A stylesheet or script with its type; None where there is none of that name."""
        kind = TYPES.get(Path(name).suffix, "")
        return None if kind in ("", "text/html") or name not in self._files else (self._files[name], kind)

    def display(self, lane: str, language: str) -> str:
        """The passenger's display of one lane."""
        return self._filled(
            "display.html",
            lane=lane,
            language=language,
            page_lang="en" if language == "en" else "zh-CN",
            lost=json.dumps(msgspec.to_builtins(out_of_service()), ensure_ascii=False),
        )

    def kiosk(self, lane: str) -> str:
        """The touch pages of one kiosk."""
        return self._filled("kiosk.html", lane=lane, lost=json.dumps(lost(), ensure_ascii=False))

    def panel(self) -> str:
        """The panel of whoever works here."""
        return self._filled("panel.html")

    def index(self, screens: Sequence[tuple[str, str]], links: Mapping[str, str], *, panel: bool) -> str:
        """Links to every screen: (kind, lane) of this terminal, and other terminals' by address."""
        own = {lane: f"/{kind}?{urlencode({'lane': lane})}" for kind, lane in screens}
        own |= {f"panel of {self._known['terminal']}": "/panel"} if panel else {}
        rows = "\n".join(_row(name, address) for name, address in (own | dict(links)).items())
        return self._filled("index.html", rows=rows, raw=("rows",))

    def _filled(self, page: str, raw: Sequence[str] = (), **values: str) -> str:
        known = self._known | values
        return Template(self._files[page]).substitute(
            {name: value if name in raw else escape(value) for name, value in known.items()}
        )


def _row(name: str, address: str) -> str:
    """One screen in the index; a display in each language, a kiosk has a button for that, a panel speaks both."""
    if "/kiosk?" in address or address.endswith("/panel"):
        return f'<li><h2>{escape(name)}</h2><p><a href="{escape(address)}">中文 / English</a></p></li>'
    join = "&" if "?" in address else "?"
    said = {"both": "中文 + English", "zh": "中文", "en": "English"}
    links = " ".join(
        f'<a href="{escape(address)}{escape(join)}lang={one}" aria-label="{escape(name)}: {said[one]}">{said[one]}</a>'
        for one in LANGUAGES
    )
    return f"<li><h2>{escape(name)}</h2><p>{links}</p></li>"
