"""Who asks at the panel: the driver of a simulated vehicle, the attendant of a gate.

Laws of this file:
- Who is not answered tries no second time, but for a driver's signing on: without it the vehicle has no line.
- What could not be done (a dead terminal, a full disk) is no mistake of anybody's.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import Random

from tests.days.people import ANSWER_S, Place
from tests.days.road import LEG_S, Road
from tests.days.trades import LINE_ID

Ask = Callable[..., Awaitable[bool]]
RELEASES = 12
DAY_S = 16 * 3600.0


async def drive(road: Road, random: Random, ask: Ask, now_s: Callable[[], float]) -> None:
    """A day at the wheel; `ask` says whether it was done."""
    await asyncio.sleep(30)
    while not await ask("sign-on", LINE_ID, "up"):
        await asyncio.sleep(20)
    while now_s() < DAY_S:
        await asyncio.sleep(random.uniform(0.3, 0.7) * LEG_S)
        if road.turns() and random.random() < 0.9:
            await ask("turn")
        match random.randrange(12):
            case 0:
                await ask("free", "front", "child under 1.3 m", str(random.randint(1, 3)))
            case 1 | 2:
                await ask("void", "asked for")
            case 3:
                await ask("totals")
            case _:
                pass
        await asyncio.sleep((road.leg() + 1) * LEG_S - now_s() + random.uniform(1, 20))


async def attend(gates: Sequence[Place], random: Random, ask: Ask, now_s: Callable[[], float]) -> None:
    """A day beside the turnstiles: somebody is let through now and then; most of them walk."""
    for at_s in sorted(random.uniform(0, DAY_S) for _ in range(RELEASES)):
        await asyncio.sleep(max(0.0, at_s - now_s()))
        gate, persons = random.choice(gates), random.randint(1, 2)
        async with gate.queue:
            await ask("free", gate.name, "a wheelchair", str(persons))
            opening = await gate.opening(ANSWER_S)
            for _ in range(0 if opening is None else random.randint(0, persons)):
                await asyncio.sleep(random.uniform(0.3, 0.9))
                gate.walk(opening.ordered_ns if opening else 0)
            await asyncio.sleep(1)
