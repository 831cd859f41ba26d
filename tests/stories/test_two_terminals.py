"""One code at two terminals that share no network: what nobody can prevent, and what becomes of it.

The law: within its freshness each lets it in, once; later neither does. Head office sees both, whoever it was is
listed, and from then on neither terminal lets them in.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from simulators.office_findings import used_at_several
from simulators.phone import Phone
from terminal.core.model import PassageMode, Reason, Verdict
from terminal.core.parameters import BlockScope
from tests.stories.world import World, park

WINDOW_S = 140  # docs/limits.md: clamp_s + 2 × skew_s


@asynccontextmanager
async def another(park: World, place: Path) -> AsyncIterator[World]:
    """A second terminal of the same operator; both are without a network."""
    other = World(place, "admission", PassageMode.SENSOR, beside=park)
    park.network.up = other.network.up = False
    await other.start()
    try:
        yield other
    finally:
        await other.cut_power()


def test_one_code_at_two_terminals_without_a_network(tmp_path: Path) -> None:
    """Both open in the same millisecond, each once; head office names the code, and its holder is refused at both."""

    @park
    async def told(park: World) -> None:
        async with another(park, tmp_path) as other:
            thief, honest = Phone("amber"), Phone("birch")
            code = thief.code(park.now_s)
            park.front.reader.show(code)
            other.front.reader.show(code)
            await asyncio.sleep(1)
            assert (park.front.says, other.front.says) == (Reason.ADMITTED, Reason.ADMITTED)
            for world in (park, other):
                await world.front.walk()
                assert await world.rear.show(code) is Reason.CODE_USED
                assert world.front.opened == [1] and world.rear.opened == []
            assert await park.front.show(honest.code(park.now_s)) is Reason.ADMITTED
            assert used_at_several(park.office.db) == {}
            park.network.up = other.network.up = True
            await park.settled()
            await other.settled()
            used = [fact.code_key for fact in park.decisions(Verdict.GRANT)]
            assert used_at_several(park.office.db) == {used[0]: ("T1", "T2")}
            park.head.block(park.head.ref("tu", thief.account), BlockScope.IDENTITY, BlockScope.PAYMENT)
            await park.publish()
            await other.fetch()
            for world in (park, other):
                assert await world.rear.show(thief.code(park.now_s)) is Reason.BLOCKED
                assert world.rear.opened == []

    told(tmp_path)


def test_after_its_freshness_no_other_terminal_takes_it(tmp_path: Path) -> None:
    """The window is as wide as docs/limits.md says: within it the other terminal opens, a second beyond it does not."""

    @park
    async def told(park: World) -> None:
        async with another(park, tmp_path) as other:
            phones = [Phone("amber", validity_s=600), Phone("birch", validity_s=600)]  # longer than ours
            began_s = park.now_s
            codes = [phone.code(began_s + 10) for phone in phones]  # by a phone whose clock is ahead
            for code in codes:
                assert await park.front.show(code) is Reason.ADMITTED
                await park.front.walk()
            await asyncio.sleep(began_s + WINDOW_S - 1 - park.now_s)
            assert await other.front.show(codes[0]) is Reason.ADMITTED
            await other.front.walk()
            await asyncio.sleep(began_s + WINDOW_S + 1 - park.now_s)
            assert await other.front.show(codes[1]) is Reason.CODE_EXPIRED
            assert other.front.opened == [1]

    told(tmp_path)
