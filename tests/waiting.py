"""Waiting for something to become true, however busy the machine is.

Laws of this file:
- The limit says when it will never come, not how fast it must be: how fast is a benchmark's question.
"""

import asyncio
from collections.abc import Callable

LIMIT_S = 15.0


async def until(holds: Callable[[], object], within_s: float = LIMIT_S) -> None:
    """Return once it holds. Raises TimeoutError when it never does."""
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.005)
