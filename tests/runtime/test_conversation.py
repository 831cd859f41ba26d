"""When a card was last heard: an order to open is as old as that."""

import asyncio
from collections.abc import Generator

import pytest

from simulators.clockwork import SimulatedClock, new_loop
from terminal.core.cards.apdu import Ask, Side
from terminal.runtime.conversation import Talk
from tests.stories.world import NOW_MS


class Slow:
    """A channel that answers after a tenth of a second."""

    uid, atr, alone = b"", b"", True

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    async def transmit(self, command: bytes) -> bytes:
        await asyncio.sleep(0.1)
        return self._answer


def asks_once() -> Generator[Ask, bytes, None]:
    yield Ask(to=Side.CARD, command=b"")


@pytest.mark.parametrize(("answer", "heard_after_ms"), [(b"", 0), (b"\x90", 0), (b"\x90\x00", 400)])
def test_a_card_is_heard_when_it_is_seen_and_when_it_answers(answer: bytes, heard_after_ms: int) -> None:
    """Waiting for its turn makes no card younger, and what is no answer neither."""

    async def told() -> None:
        clock = SimulatedClock(NOW_MS)
        seen = clock.read()
        await asyncio.sleep(0.3)  # another card is served first
        talk = Talk(Slow(answer), None, clock)
        assert talk.last_heard(seen) == seen
        await talk.carry(asks_once())
        assert round((talk.last_heard(seen).monotonic_ns - seen.monotonic_ns) / 1e6) == heard_after_ms

    loop = new_loop()
    try:
        loop.run_until_complete(told())
    finally:
        loop.close()
