"""The panel of whoever works here: a driver on the bus, an attendant at the gate.

Laws of this file:
- It asks what `terminal panel` asks, by the same commands; who asks is written down there.
- It is looked at again and again while somebody looks at it, and costs nothing otherwise.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from terminal.console.screens import Newest
from terminal.core.model import Value
from terminal.runtime.commands import Answer, NotDone, Sheet

LOOK_S = 0.2

Ask = Callable[[str, str, Sequence[str]], Awaitable[Answer]]
SheetNow = Callable[[], Sheet]


class Asked(Value, frozen=True, forbid_unknown_fields=True):
    """A command, as the page sends it."""

    who: str
    do: str
    words: tuple[str, ...] = ()


class Panel(Newest):
    """One terminal's panel."""

    def __init__(self, ask: Ask, sheet: SheetNow) -> None:
        super().__init__()
        self._ask, self._now = ask, sheet
        self._sheet = sheet()

    async def newer(self, than: int) -> int:
        """See Newest: whoever waits looks."""
        while True:
            if (now := self._now()) != self._sheet:
                self._sheet = now
                self.changed()
            if self.version != than:
                return self.version
            await asyncio.sleep(LOOK_S)

    def state(self) -> dict[str, Any]:
        """See Newest."""
        found: dict[str, Any] = msgspec.to_builtins(self._sheet)
        return found

    async def answer(self, asked: Asked) -> dict[str, Any]:
        """Do it, or say why not and what to try."""
        try:
            return {"ok": True, "answer": await self._ask(asked.who, asked.do, asked.words)}
        except NotDone as error:
            return {"ok": False, "what": error.what, "hint": error.hint}
