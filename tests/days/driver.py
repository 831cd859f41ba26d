"""The driver of a simulated vehicle: signs on, turns round, lets somebody ride, takes a charge back.

Laws of this file:
- A driver who is not answered tries no second time, but for signing on: without it the vehicle has no line.
- What could not be done (a dead terminal, a full disk) is no mistake of anybody's.
"""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

from tests.days.road import LEG_S, Road
from tests.days.trades import LINE_ID

Ask = Callable[..., Awaitable[bool]]
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
