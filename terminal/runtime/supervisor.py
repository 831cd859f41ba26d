"""One task a device, started again when it fails.

Laws of this file:
- A DeviceError is the device's: it is told, waited out and tried again, for ever.
- Any other exception is ours: it leaves, ends the process, and the journal recovers.
- Told to end, it ends, also where a library under the device has swallowed the cancellation.
- The wait starts short, so that a replugged reader is back within two seconds, and never grows beyond one.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from terminal.ports import Clock, DeviceError

FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 1.0
HEALTHY_AFTER_S = 10.0

log = logging.getLogger(__name__)


class DeviceHealth:
    """What one supervised device says of itself, for the status."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.up = True
        self.failures = 0
        self.hint = ""

    def failed(self, error: DeviceError) -> None:
        """Note a failure; told once until the device is up again."""
        if self.up or self.hint != error.hint:
            log.warning("device down", extra={"device": self.name, "what": error.what, "hint": error.hint})
        self.up, self.hint = False, error.hint
        self.failures += 1

    def works(self) -> None:
        """Note a sign of life."""
        if not self.up:
            log.info("device up", extra={"device": self.name, "failures": self.failures})
        self.up, self.hint = True, ""


async def supervise(health: DeviceHealth, run: Callable[[], Awaitable[None]], clock: Clock) -> None:
    """Run a device's task again and again; returns never, raises only what is not the device's fault."""
    wait_s = FIRST_WAIT_S
    while True:
        began = clock.monotonic_s()
        try:
            await run()
        except DeviceError as error:
            health.failed(error)
        _raise_if_cancelled()
        if clock.monotonic_s() - began > HEALTHY_AFTER_S:
            wait_s = FIRST_WAIT_S
        await asyncio.sleep(wait_s)
        wait_s = min(wait_s * 2, LONGEST_WAIT_S)


def _raise_if_cancelled() -> None:
    """A library may have swallowed the cancellation (asyncio.wait_for of Python 3.11 can): it is not lost."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
