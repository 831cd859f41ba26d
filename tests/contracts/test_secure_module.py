"""The SecureModule port, over a PSAM in memory and over one in the second slot of pcscd's virtual reader."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from simulators.card_issuer import CardIssuer
from simulators.card_slot import MemoryModule
from simulators.pcscd import KILL, READER
from simulators.virtual_reader import VirtualSlot
from terminal.ports import DeviceError, SecureModule, WaitingModule
from tests.card_stands import noticed, service
from tests.waiting import LIMIT_S, until

TERMINAL = bytes.fromhex("00b0960006")
NUMBER = bytes.fromhex("510100000001 9000")
PURCHASE = bytes.fromhex("8070000024") + bytes(18) + b"\x01\x00" + bytes(16)


@contextlib.asynccontextmanager
async def module_of(kind: str) -> AsyncIterator[SecureModule]:
    """A module by where it is."""
    simulated = CardIssuer().module()
    if kind == "memory":
        yield MemoryModule(simulated)
        return
    from drivers.card import secure_module  # needs pyscard

    hand = VirtualSlot(service(), 1)
    hand.insert(simulated)
    await noticed(1, present=True)
    module = secure_module.PcscModule(secure_module.Settings(reader=f"{READER} 00 01", answer_ms=1000))
    try:
        yield module
    finally:
        module.close()
        await hand.remove()
        await noticed(1, present=False)


@pytest.mark.parametrize("kind", ["memory", "pcsc"])
async def test_it_answers_and_remembers(kind: str) -> None:
    """Its number; MAC1 of a purchase, and of that one only a MAC2, once."""
    if kind == "pcsc":
        service()
    async with module_of(kind) as module:
        assert await module.transmit(TERMINAL) == NUMBER
        assert len(await module.transmit(PURCHASE)) == 8 + 2
        assert (await module.transmit(bytes.fromhex("807200000400000000")))[-2:] == bytes.fromhex("9302")
        assert (await module.transmit(bytes.fromhex("807200000400000000")))[-2:] == bytes.fromhex("6985")


async def test_a_card_s_thread_asks_it_as_the_loop_does() -> None:
    """The same module, the same order of commands, whoever asks; silence is a DeviceError there too."""
    service()
    async with module_of("pcsc") as module:
        assert isinstance(module, WaitingModule)
        assert len(await module.transmit(PURCHASE)) == 8 + 2
        check = bytes.fromhex("807200000400000000")
        assert (await asyncio.to_thread(module.answer, check))[-2:] == bytes.fromhex("9302")
        assert (await module.transmit(check))[-2:] == bytes.fromhex("6985")
        service().signal(b"S")
        try:
            with pytest.raises(DeviceError):
                await asyncio.to_thread(module.answer, TERMINAL)
        finally:
            service().signal(b"G")
        await _comes_to_answer(module)
        assert await asyncio.to_thread(module.answer, TERMINAL) == NUMBER


async def test_pcscd_killed_between_two_commands() -> None:
    """While pcscd is down the technician is told; once it is back the very next command is answered."""
    service()
    async with module_of("pcsc") as module:
        assert await module.transmit(TERMINAL) == NUMBER
        assert (await _killed(module)).hint
        await _comes_to_answer(module)
        started = service().starts()
        service().signal(KILL)
        await until(lambda: service().starts() > started)
        await noticed(1, present=True)
        assert await module.transmit(TERMINAL) == NUMBER


async def _killed(module: SecureModule) -> DeviceError:
    """What is told of a pcscd that was killed; on a busy machine it may be back before it was missed."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            service().signal(KILL)
            try:
                await module.transmit(TERMINAL)
            except DeviceError as error:
                return error


async def _comes_to_answer(module: SecureModule) -> None:
    async with asyncio.timeout(LIMIT_S):
        while True:
            with contextlib.suppress(DeviceError):
                assert await module.transmit(TERMINAL) == NUMBER
                return
            await asyncio.sleep(0.1)


async def _asked_on(module: Any) -> None:
    """It may answer until it stands still."""
    async with asyncio.timeout(30):
        while True:
            await module.transmit(TERMINAL)


async def test_a_module_that_says_nothing() -> None:
    """It costs its time limit, not the lane."""
    service()
    async with module_of("pcsc") as module:
        assert await module.transmit(TERMINAL) == NUMBER
        service().signal(b"S")
        try:
            with pytest.raises(DeviceError):
                await _asked_on(module)
        finally:
            service().signal(b"G")
        await _comes_to_answer(module)
