"""At a gate that somebody wishes ill: it refuses, says so, forgets nothing, and serves the next person.

The law: whatever is held out, and however fast, the gate opens only for a code that is good, new and still waiting in
front of it; nothing held out is ever shown or logged; the journal and the log stay small.
"""

import asyncio
import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from simulators.phone import FAULTS, Phone
from simulators.token_issuer import Wallet
from terminal import logs
from terminal.core.entries import Decided, DenialsSummed, GateUnanswered
from terminal.core.model import Reason, Verdict
from terminal.core.phrases import Display
from terminal.ports import DeviceError, StoreBroken
from tests.core.test_hostile_codes import HOSTILE_TEXTS
from tests.stories.world import World, bus, park


@contextmanager
def heard() -> Iterator[io.StringIO]:
    """Every log line, as the product writes it, debugging included."""
    text, root = io.StringIO(), logging.getLogger()
    handler = logging.StreamHandler(text)
    handler.setFormatter(logs.JsonFormatter())
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield text
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


@bus
async def test_nothing_held_out_is_shown_or_logged(bus: World) -> None:
    """Links, visiting cards, escape sequences, writing from right to left, zeros, log lines: one refusal each."""
    shown: list[Display] = []
    show = bus.front.indicator.show

    async def note(display: Display) -> None:
        shown.append(display)
        await show(display)

    bus.front.indicator.show = note  # type: ignore[method-assign]  # a witness beside the display
    with heard() as log:
        for words in HOSTILE_TEXTS.values():
            for payload in (words, (words * 332)[:332]):
                assert await bus.front.show(payload) in (Reason.UNKNOWN_FORMAT, Reason.MALFORMED)
                await asyncio.sleep(1)
        lines = log.getvalue()
    assert len(shown) == 2 * len(HOSTILE_TEXTS)
    told = lines + "".join(display.zh + display.en for display in shown)
    for words in HOSTILE_TEXTS.values():
        if len(words) > 1:
            assert words.decode() not in told
    assert not set(told) & set("\x00\x07\x1b\r\u202e\u2067")
    assert bus.front.opened == []


FORGED = 200


@bus
async def test_ten_minutes_of_a_hundred_bad_codes_a_second_fill_nothing_and_hold_up_nobody(bus: World) -> None:
    """Six entries a second at most; each of those who come meanwhile is let in, in their first presentation."""
    phone, clock = Phone("forger"), bus.clock
    forged = [FAULTS["forged user signature"](phone, bus.now_s + number) for number in range(FORGED)]
    before, until_s, sent = len(bus.written()), clock.monotonic_s() + 600, 0
    for left in range(5, -1, -1):
        while clock.monotonic_s() < until_s - 100 * left:
            bus.front.reader.show(forged[sent % FORGED] if sent % 50 == 0 else b"rubbish %d" % sent)
            sent += 1
            await asyncio.sleep(0.01)
        assert await bus.rear.show(Phone(f"rear {left}").code(bus.now_s)) is Reason.PAID
        assert await bus.front.show(Phone(f"front {left}").code(bus.now_s)) is Reason.PAID
    await asyncio.sleep(3)
    assert sent >= 59_000
    assert len(bus.written()) - before <= 6 * 600 + 50
    denied = len(bus.decisions(Verdict.DENY)) + sum(sum(fact.counts.values()) for fact in bus.facts(DenialsSummed))
    assert denied == sent
    assert bus.front.opened == bus.rear.opened == [1] * 6


@bus
async def test_a_screenshot_passes_once_at_most_and_never_later(bus: World) -> None:
    """Within its freshness only the first use opens as a new ride; two periods later nobody's copy does."""
    code = Phone("amber").code(bus.now_s)
    await asyncio.sleep(20)
    assert await bus.front.show(code) is Reason.PAID
    assert await bus.rear.show(code) is Reason.ALREADY_PAID
    await asyncio.sleep(120)
    assert await bus.front.show(code) is Reason.CODE_EXPIRED
    token = Wallet("birch").code(bus.now_s)
    await asyncio.sleep(120)
    assert await bus.front.show(token) is Reason.CODE_EXPIRED
    assert bus.charged_fen() == 200


@bus
async def test_how_far_a_phones_clock_stood_from_ours_can_be_read_from_the_entry(bus: World) -> None:
    """Ahead and behind, within the skew: taken, and the difference kept."""
    for number, ahead_s in enumerate((9, -5)):
        assert await bus.front.show(Phone(f"rider {number}").code(bus.now_s + ahead_s)) is Reason.PAID
        (entry,) = [one for one in bus.written() if isinstance(one.fact, Decided)][number:]
        assert isinstance(entry.fact, Decided) and entry.fact.generated_ms is not None
        assert abs(entry.fact.generated_ms - entry.at.utc_ms - ahead_s * 1000) <= 1000
        await asyncio.sleep(5)


@park
async def test_the_same_code_a_second_later_is_one_charge(park: World) -> None:
    """At the same gate, before and after walking."""
    code = Phone("amber").code(park.now_s)
    assert await park.front.show(code) in (Reason.PAID, Reason.ADMITTED)
    await asyncio.sleep(1)
    assert await park.front.show(code) in (None, Reason.ALREADY_PAID)
    await park.front.walk()
    await asyncio.sleep(4)
    assert await park.front.show(code) is Reason.CODE_USED
    assert len([fact for fact in park.decisions(Verdict.GRANT) if fact.charge is not None]) == 1


@bus
async def test_replayed_after_a_power_cut_in_the_moment_of_opening(bus: World) -> None:
    """The order went out and the power went: the entry was there first, so the code is used."""
    code = Phone("amber").code(bus.now_s)
    opened = asyncio.Event()
    bus.front.gate.on_open = lambda persons, ordered_at: opened.set()
    bus.front.reader.show(code)
    await opened.wait()
    await bus.cut_power()
    await bus.start()
    assert await bus.front.show(code) is Reason.ALREADY_PAID
    assert await bus.rear.show(code) is Reason.ALREADY_PAID
    assert bus.charged_fen() == 200


@bus
async def test_a_flush_of_five_seconds_opens_nothing_on_hope(bus: World) -> None:
    """The order would come too late and is not sent; the rider shows the code again and pays once."""
    bus.disk.latency_s = 5.0
    code = Phone("amber").code(bus.now_s)
    bus.front.reader.show(code)
    await asyncio.sleep(30)
    assert bus.front.opened == []
    assert [fact.sent for fact in bus.facts(GateUnanswered)] == [False]
    bus.disk.latency_s = 0.002
    assert await bus.front.show(code) is Reason.ALREADY_PAID
    assert bus.front.opened == [1]
    assert bus.charged_fen() == 200


@bus
async def test_a_reader_that_lies_dead_for_a_while_blocks_no_other(bus: World) -> None:
    """Pulled out and put back in; the other door goes on, and the next code at this one is read."""
    bus.front.reader.plug(False)
    for number in range(3):
        assert await bus.rear.show(Phone(f"rider {number}").code(bus.now_s)) is Reason.PAID
    bus.front.reader.plug(True)
    await asyncio.sleep(2)
    assert await bus.front.show(Phone("amber").code(bus.now_s)) is Reason.PAID


@bus
async def test_a_dark_display_holds_up_nobody(bus: World) -> None:
    """The gate opens all the same, and the entry stands."""

    async def dark(display: Display) -> None:
        raise DeviceError("no lamp", hint="plug it in")

    bus.front.indicator.show = dark  # type: ignore[method-assign]  # the lamp's wire is cut
    bus.front.reader.show(Phone("amber").code(bus.now_s))
    await asyncio.sleep(1)
    assert bus.front.opened == [1]
    assert [fact.reason for fact in bus.facts(Decided)] == [Reason.PAID]


class Stubborn:
    """A device whose library swallows the first cancellation and goes on."""

    def __init__(self) -> None:
        self.swallowed = 0

    async def run(self) -> None:
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                self.swallowed += 1
                if self.swallowed > 1:
                    raise


@bus
async def test_a_device_that_will_not_end_does_not_keep_the_terminal_from_stopping(bus: World) -> None:
    """It is told again, and everything is flushed and sent."""
    await bus.stop()
    stubborn = Stubborn()
    bus.boards = {"stubborn": stubborn.run}
    await bus.start()
    assert await bus.front.show(Phone("amber").code(bus.now_s)) is Reason.PAID
    began = bus.now_s
    await bus.stop()
    assert stubborn.swallowed == 2 and bus.now_s - began <= 6
    assert bus.office.status()["records"] == len(bus.written())


@bus
async def test_a_device_that_will_not_end_does_not_keep_a_broken_journal_open(bus: World) -> None:
    """The terminal ends for it all the same: whoever started it starts it again, and the journal is verified."""
    await bus.stop()
    stubborn = Stubborn()
    bus.boards = {"stubborn": stubborn.run}
    await bus.start()
    bus.disk.failing = True
    bus.front.reader.show(Phone("amber").code(bus.now_s))
    began = bus.now_s
    with pytest.raises(ExceptionGroup) as raised:
        async with asyncio.timeout(60):
            await bus.ended()
    assert raised.value.subgroup(StoreBroken) is not None
    assert stubborn.swallowed == 2 and bus.now_s - began <= 6
    assert bus.front.opened == []
