"""The line to a library system over real wires: away, back, and never in anybody's way."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from drivers.clock import SystemClock
from drivers.library.sip2 import Settings, Sip2
from simulators.library import Copy, Library
from terminal.core.library import Item, Loan, Patron, ReaderNumber, Return, Silence
from terminal.core.visit import EndSession, Happened, Lend, LookAt, LookUp, Renew, Request, Secure, TakeBack
from terminal.runtime.library_link import LibraryLink

READER = ReaderNumber("R-1")
NOW_MS = 1_800_000_000_000
PATIENCE_S = 20.0


class Line:
    """A library system, its real driver, and the link over it."""

    def __init__(self) -> None:
        self.library = Library()
        self.library.readers = {"R-1": "somebody"}
        self.library.copies = {"B-1": Copy(title="三体"), "B-2": Copy(title="球状闪电")}

    async def open(self) -> None:
        await self.library.start()
        system = Sip2(Settings(host="127.0.0.1", port=self.library.port, timeout_s=0.5, connect_s=1.0))
        self.link = LibraryLink(system, SystemClock(), retry_s=0.05)
        self._running = asyncio.ensure_future(self.link.run())

    async def close(self) -> None:
        self._running.cancel()
        await asyncio.wait([self._running])
        await self.link.close()
        await self.library.stop()

    async def ask(self, request: Request) -> object:
        async with asyncio.timeout(PATIENCE_S):
            return await self.link.ask(request, NOW_MS)

    async def answers(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self.link.answers.wait()


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    found = Line()
    await found.open()
    yield found
    await found.close()


async def test_every_question_has_its_answer(line: Line) -> None:
    """As the port has them."""
    lent, patron = await line.ask(Lend(reader=READER, barcode="B-1")), await line.ask(LookUp(reader=READER, listed=2))
    assert isinstance(lent, Loan) and lent.ok
    assert isinstance(patron, Patron) and patron.items == ("B-1",)
    item, renewed = await line.ask(LookAt(barcode="B-1")), await line.ask(Renew(reader=READER, barcode="B-1"))
    assert isinstance(item, Item) and item.title == "三体"
    assert isinstance(renewed, Loan) and renewed.ok
    assert isinstance(await line.ask(Lend(reader=READER, barcode="B-1", undo=True)), Loan)
    assert line.library.copies["B-1"].lent_to is None
    assert await line.ask(EndSession(reader=READER)) is True
    with pytest.raises(AssertionError):
        await line.ask(Secure(barcode="B-1", on=True))


async def test_what_happened_already_is_told_with_its_time(line: Line) -> None:
    """No-block, our due date; a return's own date."""
    happened = Happened(at_ms=NOW_MS - 86_400_000, due_ms=NOW_MS + 86_400_000)
    await line.ask(Lend(reader=READER, barcode="B-1", happened=happened))
    assert line.library.copies["B-1"].due == "20270116    160000"
    back = await line.ask(TakeBack(barcode="B-1", happened=happened))
    assert isinstance(back, Return) and line.library.copies["B-1"].returned == ["20270114    160000"]


@pytest.mark.parametrize(
    ("trouble", "silence", "is_away"),
    [
        ("silent", Silence.NO_ANSWER, True),
        ("close", Silence.CLOSED, True),
        ("96", Silence.ASKED_AGAIN, False),
    ],
)
async def test_each_silence_is_told_apart(line: Line, trouble: str, silence: Silence, is_away: bool) -> None:
    """After one that lasts nobody else waits; after one that does not, the next is asked."""
    line.library.trouble = lambda code: trouble if code == "17" else None
    assert await line.ask(LookAt(barcode="B-1")) is silence
    assert line.link.answers.is_set() is not is_away
    assert line.link.health.up is not is_away
    line.library.trouble = lambda code: None
    await line.answers()
    assert isinstance(await line.ask(LookAt(barcode="B-1")), Item)


async def test_while_it_is_away_nobody_asks_and_then_it_is_found(line: Line) -> None:
    """The network is gone and comes back."""
    port = line.library.port
    await line.library.stop()
    assert await line.ask(LookAt(barcode="B-1")) in (Silence.UNREACHABLE, Silence.CLOSED)
    asked = line.link.asked
    assert await line.ask(LookAt(barcode="B-1")) is Silence.UNREACHABLE
    assert line.link.asked == asked and line.link.health.hint
    await line.library.start(port)
    await line.answers()
    assert line.link.health.up
    assert isinstance(await line.ask(LookAt(barcode="B-1")), Item)


async def test_a_system_that_says_it_is_off_line_is_away(line: Line) -> None:
    """98 with N in front: it answers, and is not there."""
    line.library.dialect.says_online = "N"
    line.library.trouble = lambda code: "close" if code == "17" else None
    await line.ask(LookAt(barcode="B-1"))
    heard = len(line.library.heard)
    async with asyncio.timeout(PATIENCE_S):
        while len(line.library.heard) < heard + 2:  # another end of a wire
            await asyncio.sleep(0.01)
    assert not line.link.answers.is_set()
    line.library.dialect.says_online = "Y"
    await line.answers()
