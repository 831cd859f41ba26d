"""A conversation that was given up asks nobody; a silent module takes nothing back that the card has said."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from drivers.card.apdu import Limits
from drivers.card.channel import ThreadChannel
from drivers.card.worker import Worker
from drivers.clock import SystemClock
from terminal.core.cards import purchase
from terminal.core.cards.purchase import Begun
from terminal.core.debit import DebitState, PurseDebit
from terminal.ports import CardGone, DeviceError
from terminal.runtime.conversation import Talk
from tests.waiting import until

DEBITED = b"TACCMAC2\x90\x00"
OK = b"\x90\x00"


class Module:
    """A secure module that can be asked on a card's thread."""

    def __init__(self, wait_s: float = 0.0, *, silent: bool = False) -> None:
        self.asked: list[bytes] = []
        self._wait_s, self._silent = wait_s, silent

    async def transmit(self, command: bytes) -> bytes:
        """On the loop."""
        return await asyncio.to_thread(self.answer, command)

    def answer(self, command: bytes) -> bytes:
        """On a thread."""
        self.asked.append(command)
        time.sleep(self._wait_s)
        if self._silent:
            raise DeviceError("silent", hint="none")
        return OK


def begun() -> Begun:
    """A purchase whose debit comes next."""
    debit = PurseDebit(
        type=9,
        amount_fen=100,
        balance_fen=1000,
        counter=1,
        terminal=bytes(6),
        transaction=b"AAAA",
        when=bytes(7),
        algorithm=0,
        product="p",
        fare_type="f",
        grants=True,
    )
    return Begun(debit=debit, mac1=bytes(4))


def talk(
    worker: Worker, card: Callable[[bytes], bytes], module: Any, ms: int, told: Callable[[DeviceError | None], None]
) -> Talk:
    """With a card on a thread of its own."""

    async def run(work: Callable[[], Any], within_s: float) -> Any:
        return await worker.call(work, within_s=within_s)

    channel = ThreadChannel(b"u", b"", run, card, Limits(ms=ms), SystemClock())
    return Talk(channel, module, SystemClock(), told)


def nobody(said: DeviceError | None) -> None:
    """What a module says is of no interest here."""


async def test_a_module_is_not_asked_for_who_was_given_up() -> None:
    """It may be another card's by then, which would be told that it is not genuine."""
    worker, module, answered = Worker("slow"), Module(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(command: bytes) -> bytes:
        time.sleep(0.5)
        loop.call_soon_threadsafe(answered.set)
        return DEBITED

    with pytest.raises(CardGone):
        await talk(worker, slow, module, 200, nobody).carry(purchase.commit(begun()))
    await asyncio.wait_for(answered.wait(), 10)
    await worker.call(lambda: None, within_s=10)  # the thread has nothing more to do
    assert module.asked == []


@pytest.mark.parametrize("wait_s", [0.0, 1.0])
async def test_what_the_card_said_outlives_a_silent_module(wait_s: float) -> None:
    """The card has paid: that is a grant in doubt, not a card that left."""
    made = await talk(Worker("quick"), lambda command: DEBITED, Module(wait_s, silent=True), 500, nobody).carry(
        purchase.commit(begun()), module_here=True
    )
    assert made.state is DebitState.DONE and made.proof is not None and made.proof.holds is None


async def test_a_hung_module_is_told() -> None:
    """Also when its card was given up first."""
    told: list[DeviceError | None] = []
    module = Module(1.0, silent=True)
    with pytest.raises(CardGone):
        await talk(Worker("waiting"), lambda command: DEBITED, module, 300, told.append).carry(
            purchase.prove_mac2(b"MAC2")
        )
    await until(lambda: bool(module.asked))
    assert [type(said) for said in told] == [DeviceError]
