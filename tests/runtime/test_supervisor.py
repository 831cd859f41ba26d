"""One task a device: started again ever later, never later than a second; told once; a bug of ours leaves."""

import asyncio
import logging

import pytest

from simulators.clockwork import SimulatedClock
from terminal.ports import DeviceError
from terminal.runtime.supervisor import HEALTHY_AFTER_S, LONGEST_WAIT_S, DeviceHealth, supervise
from tests.journal_cases import NOON_MS
from tests.runtime.test_parameter_sync import jumping


class Device:
    """Fails at once, except in the lives named healthy: those last longer."""

    def __init__(self, *healthy: int) -> None:
        self.healthy = healthy
        self.began: list[float] = []
        self.ended: list[float] = []

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        self.began.append(loop.time())
        if len(self.began) in self.healthy:
            await asyncio.sleep(HEALTHY_AFTER_S + 1)
        self.ended.append(loop.time())
        raise DeviceError(f"failure {len(self.began)}", hint="look at the plug")

    def waits(self) -> list[float]:
        return [round(began - ended, 3) for began, ended in zip(self.began[1:], self.ended, strict=False)]


@jumping
async def test_waits_double_up_to_one_second_and_begin_anew_after_health() -> None:
    """0.1 s first; a device that worked for a while is not made to wait for its past."""
    device, health = Device(7), DeviceHealth("scan")
    task = asyncio.create_task(supervise(health, device.run, SimulatedClock(NOON_MS)))
    await asyncio.sleep(20)
    task.cancel()
    assert device.waits()[:8] == [0.1, 0.2, 0.4, 0.8, LONGEST_WAIT_S, LONGEST_WAIT_S, 0.1, 0.2]
    assert (health.up, health.failures, health.hint) == (False, len(device.ended), "look at the plug")


def test_a_fault_is_told_once_with_its_hint_until_the_device_works(caplog: pytest.LogCaptureFixture) -> None:
    """The same fault again is silent, another hint is told, and so is the recovery."""
    caplog.set_level(logging.INFO)
    health = DeviceHealth("scan")
    health.works()
    for hint in ("plug", "plug", "power"):
        health.failed(DeviceError("gone", hint=hint))
    health.works()
    told = [(record.getMessage(), getattr(record, "hint", None)) for record in caplog.records]
    assert told == [("device down", "plug"), ("device down", "power"), ("device up", None)]
    assert (health.up, health.failures, health.hint) == (True, 3, "")


@jumping
async def test_a_bug_of_ours_is_not_waited_out() -> None:
    """Whatever is no DeviceError leaves at once."""

    async def bug() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await supervise(DeviceHealth("scan"), bug, SimulatedClock(NOON_MS))


@jumping
async def test_a_swallowed_cancellation_ends_it_all_the_same() -> None:
    """A library that takes the cancellation for a failed connection does not keep a terminal from stopping."""
    health = DeviceHealth("board")

    async def swallows() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            raise DeviceError("cannot be opened", hint="look at the plug") from None

    task = asyncio.create_task(supervise(health, swallows, SimulatedClock(NOON_MS)))
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.wait([task], timeout=1)
    assert task.cancelled() and health.failures == 1
