"""The CardSlot port, over a slot in memory, a PN532 at the far end of a paced pty, and pcscd with a virtual reader."""

import asyncio
import itertools
import threading
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from simulators.card import SimulatedCard, Trouble
from simulators.card_issuer import CardIssuer
from simulators.pcscd import READER
from terminal.core.cards.apdu import LONGEST_ANSWER
from terminal.core.cards.reading import Refused
from terminal.core.model import Reason
from terminal.ports import CardChannel, CardGone, CarryingChannel
from tests.card_stands import Listener, PcscStand, SerialStand, listening, noticed, stand_of
from tests.waiting import LIMIT_S, until

KINDS = ("memory", "serial", "pcsc")
SELECT_PURSE = bytes.fromhex("00A4040008A00000063201010500")
MANAGEMENT = bytes.fromhex("00B097003C")
BALANCE = bytes.fromhex("805C000204")
STALL_S = 0.8  # a loop that waited for a card or for pcscd stands still for longer; a busy machine does not
FEN_5000 = bytes.fromhex("00001388 9000")


def card(name: str = "li", *, short: bool = False) -> SimulatedCard:
    """A card with both applications."""
    return CardIssuer().card(name, short=short)


async def balance(channel: CardChannel) -> bytes:
    """Select the purse and ask."""
    assert (await channel.transmit(SELECT_PURSE))[-2:] == b"\x90\x00"
    return await channel.transmit(BALANCE)


@pytest.mark.parametrize("kind", KINDS)
class TestCardSlot:
    """What every slot does."""

    async def test_a_card_is_one_arrival(self, kind: str, tmp_path: Path) -> None:
        """It is read; lying there it is nobody new; taken away and held there again it is."""
        async with listening(kind, tmp_path) as (stand, listener):
            one = card()
            stand.hold(one)
            channel = await listener.next()
            assert (channel.uid, channel.alone) == (one.uid, True)
            assert b"ONECARD" in channel.atr
            assert await balance(channel) == FEN_5000
            listener.done()
            await listener.nothing(0.5)
            with pytest.raises(CardGone):
                await channel.transmit(BALANCE)
            await stand.take_away()
            stand.hold(one)
            assert await balance(await listener.next()) == FEN_5000
            assert listener.errors == []

    async def test_61_and_6c_are_followed(self, kind: str, tmp_path: Path) -> None:
        """A card that announces its answers says the same as one that gives them."""
        async with listening(kind, tmp_path) as (stand, listener):
            stand.hold(card(short=True))
            channel = await listener.next()
            assert len(await channel.transmit(SELECT_PURSE)) == 51 + 2
            assert len(await channel.transmit(MANAGEMENT[:4] + b"\x00")) == 60 + 2

    @pytest.mark.parametrize("trouble", [Trouble.LEAVES_BEFORE, Trouble.LEAVES_AFTER])
    async def test_a_card_that_leaves(self, kind: str, trouble: Trouble, tmp_path: Path) -> None:
        """The command's outcome is unknown, the channel is dead; the same card may come back and is well."""
        async with listening(kind, tmp_path) as (stand, listener):
            one = card()
            one.troubles[1] = trouble
            stand.hold(one)
            channel = await listener.next()
            with pytest.raises(CardGone):
                await balance(channel)
            with pytest.raises(CardGone):
                await channel.transmit(SELECT_PURSE)
            one.troubles.clear()
            listener.done()
            await stand.take_away()
            stand.hold(one)
            assert await balance(await listener.next()) == FEN_5000

    async def test_a_mute_card_holds_up_nobody(self, kind: str, tmp_path: Path) -> None:
        """Gone by itself, and the event loop never waited; the next card is served."""
        async with listening(kind, tmp_path) as (stand, listener):
            mute = card("mute")
            mute.troubles[1] = Trouble.MUTE
            stand.hold(mute)
            channel = await listener.next()
            beats = asyncio.create_task(_beats())
            async with asyncio.timeout(LIMIT_S):
                with pytest.raises(CardGone):
                    await balance(channel)
            beats.cancel()
            assert await _longest(beats) < STALL_S
            listener.done()
            await stand.take_away()
            stand.hold(card())
            assert await balance(await listener.next()) == FEN_5000

    @pytest.mark.parametrize(
        "trouble", [Trouble.LOOPS_61, Trouble.LOOPS_6C, Trouble.FLOODS, Trouble.NOTHING, Trouble.ONE_BYTE]
    )
    async def test_a_hostile_card_is_bounded(self, kind: str, trouble: Trouble, tmp_path: Path) -> None:
        """It costs one tap: it is gone, or what it said is no answer; the next card is served."""
        async with listening(kind, tmp_path) as (stand, listener):
            hostile = card("hostile")
            hostile.troubles[0] = trouble
            stand.hold(hostile)
            channel = await listener.next()
            try:
                answer = await channel.transmit(SELECT_PURSE)
            except CardGone:
                pass
            else:
                assert not 2 <= len(answer) <= LONGEST_ANSWER or answer[-2] == 0x6C
            assert len(hostile.commands) <= 50
            listener.done()
            await stand.take_away()
            stand.hold(card())
            assert await balance(await listener.next()) == FEN_5000

    async def test_unplugged_and_plugged_in_again(self, kind: str, tmp_path: Path) -> None:
        """In mid-tap: the card is gone, the technician is told; once it is back cards are read again."""
        async with listening(kind, tmp_path) as (stand, listener):
            stand.hold(card())
            channel = await listener.next()
            await channel.transmit(SELECT_PURSE)
            stand.unplug()
            with pytest.raises(CardGone):
                await channel.transmit(BALANCE)
            listener.done()
            await stand.take_away()
            await until(lambda: listener.errors)
            stand.plug()
            await stand.listened()
            stand.hold(card())
            assert await balance(await listener.next()) == FEN_5000
            assert all(error.hint for error in listener.errors)


@pytest.mark.parametrize("kind", ["memory", "serial"])
class TestTwoCards:
    """Readers that see more than one card."""

    async def test_neither_is_alone(self, kind: str, tmp_path: Path) -> None:
        """Each is handed over in turn, and says that it is not alone; commands reach the one that is meant."""
        async with listening(kind, tmp_path) as (stand, listener):
            first, second = card("first"), card("second")
            stand.hold(first, second)
            for one in (first, second):
                channel = await listener.next()
                assert (channel.uid, channel.alone) == (one.uid, False)
                assert await balance(channel) == FEN_5000
                assert one.commands[-1] == BALANCE
                listener.done()


class TestSerialModule:
    """What only a line of our own can do."""

    async def test_a_damaged_answer_is_asked_for_again(self, tmp_path: Path) -> None:
        """The command is not sent twice."""
        async with listening("serial", tmp_path) as (stand, listener):
            assert isinstance(stand, SerialStand)
            one = card()
            stand.hold(one)
            channel = await listener.next()
            await channel.transmit(SELECT_PURSE)
            stand.module.damages = 0
            assert await channel.transmit(BALANCE) == FEN_5000
            assert one.commands == [SELECT_PURSE, BALANCE]

    async def test_a_deaf_module_is_told_and_woken(self, tmp_path: Path) -> None:
        """It stops answering while nobody is there; once it listens again cards are read."""
        async with listening("serial", tmp_path) as (stand, listener):
            assert isinstance(stand, SerialStand)
            stand.module.dead = True
            stand.module.sleep()
            await until(lambda: listener.errors)
            assert "no answer" in listener.errors[0].what
            stand.module.dead = False
            stand.hold(card())
            assert await balance(await listener.next()) == FEN_5000
            assert stand.slot.deaf >= 1

    async def test_a_card_without_commands_is_a_number(self, tmp_path: Path) -> None:
        """Nothing is sent to a card that speaks no commands."""
        async with listening("serial", tmp_path) as (stand, listener):
            plain = CardIssuer().plain("old")
            stand.hold(plain)
            channel = await listener.next()
            assert (channel.uid, channel.atr) == (plain.uid, b"")
            assert await channel.transmit(SELECT_PURSE) == b"\x6a\x81"
            assert plain.commands == []


def asking(said: list[bytes], *, refused: bool = False) -> Generator[bytes, bytes, str]:
    """A conversation of two commands; the name of the thread it went on in."""
    said.append((yield SELECT_PURSE))
    if refused:
        raise Refused(Reason.CARD_REFUSED)
    said.append((yield BALANCE))
    return threading.current_thread().name


class TestCarrying:
    """A reader with a thread of its own carries a whole conversation there."""

    async def test_it_goes_on_there_and_the_loop_is_free(self, tmp_path: Path) -> None:
        """Every answer is whole, 61xx and all; what it comes to comes back."""
        async with listening("pcsc", tmp_path) as (stand, listener):
            slow = card(short=True)
            slow.delay_s = 0.05
            stand.hold(slow)
            channel = await listener.next()
            assert isinstance(channel, CarryingChannel)
            beats = asyncio.create_task(_beats())
            said: list[bytes] = []
            assert await channel.carry(asking(said)) == "card-reader"
            beats.cancel()
            assert await _longest(beats) < STALL_S
            assert (len(said[0]), said[1]) == (51 + 2, FEN_5000)

    async def test_what_it_raises_comes_back_and_the_card_is_still_ours(self, tmp_path: Path) -> None:
        """A refusal is no broken link."""
        async with listening("pcsc", tmp_path) as (stand, listener):
            stand.hold(card())
            channel = await listener.next()
            assert isinstance(channel, CarryingChannel)
            with pytest.raises(Refused):
                await channel.carry(asking([], refused=True))
            assert await channel.transmit(BALANCE) == FEN_5000

    async def test_given_up_it_sends_nothing_more(self, tmp_path: Path) -> None:
        """What nobody waits for any more must not take money afterwards."""
        async with listening("pcsc", tmp_path) as (stand, listener):
            slow = card()
            slow.delay_s = 0.5
            stand.hold(slow)
            channel = await listener.next()
            assert isinstance(channel, CarryingChannel)
            carried = asyncio.create_task(channel.carry(asking([])))
            async with asyncio.timeout(LIMIT_S):
                while not slow.commands:
                    await asyncio.sleep(0.01)
            carried.cancel()
            with pytest.raises(asyncio.CancelledError):
                await carried
            listener.done()
            await stand.take_away()
            assert slow.commands == [SELECT_PURSE]
            with pytest.raises(CardGone):
                await channel.transmit(BALANCE)
            stand.hold(card("next"))
            assert await balance(await listener.next()) == FEN_5000


class TestPcsc:
    """What only pcscd can do to us."""

    async def test_another_program_holds_the_reader(self, tmp_path: Path) -> None:
        """We hold a card for us alone, so do others: told with what to do, and served once they let go."""
        from drivers.card import scard  # needs pyscard

        async with stand_of("pcsc", tmp_path) as stand:
            stand.hold(card())
            await noticed(0, present=True)
            context = scard.establish()
            handle = scard.connect(context, f"{READER} 00 00", scard.ANY_PROTOCOL)
            listener = Listener(stand.slot)
            try:
                await until(lambda: listener.errors)
                assert "end it" in listener.errors[0].hint
                scard.disconnect(handle)
                channel = await listener.next()
                with pytest.raises(scard.PcscError, match=r"[Ss]haring"):
                    scard.connect(context, f"{READER} 00 00", scard.ANY_PROTOCOL)
                assert await balance(channel) == FEN_5000
            finally:
                scard.release(context)
                await listener.close()

    async def test_pcscd_that_stands_still_is_noticed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The watchdog tells and counts it, the event loop goes on; when pcscd does, cards are read."""
        monkeypatch.setattr("drivers.card.connection.DEAF_S", 1.5)
        async with listening("pcsc", tmp_path) as (stand, listener):
            assert isinstance(stand, PcscStand)
            stand.service.signal(b"S")
            beats = asyncio.create_task(_beats())
            await until(lambda: listener.errors)
            beats.cancel()
            assert await _longest(beats) < STALL_S
            assert "no answer" in listener.errors[0].what
            stand.service.signal(b"G")
            stand.hold(card())
            assert await balance(await listener.next()) == FEN_5000
            assert stand.slot.status()["deaf"] == 1

    async def test_a_reader_nobody_uses_is_known_to_be_well(self, tmp_path: Path) -> None:
        """A sign of life at least once a second, no card needed."""
        async with listening("pcsc", tmp_path) as (stand, _):
            assert isinstance(stand, PcscStand)
            alive = asyncio.Event()
            stand.slot.on_alive = alive.set
            async with asyncio.timeout(LIMIT_S):
                await alive.wait()

    async def test_a_card_that_slips_is_tried_again(self, tmp_path: Path) -> None:
        """Gone and back before pcscd looks: it never knew, and the card is served all the same."""
        async with listening("pcsc", tmp_path) as (stand, listener):
            assert isinstance(stand, PcscStand)
            one = card()
            one.troubles[1] = Trouble.LEAVES_AFTER
            stand.hold(one)
            channel = await listener.next()
            with pytest.raises(CardGone):
                await balance(channel)
            one.troubles.clear()
            await stand.hand.remove()
            stand.hold(one)
            listener.done()
            assert await balance(await listener.next()) == FEN_5000


async def test_a_loop_that_waited_is_noticed() -> None:
    """The rig can fail: what blocks the loop for a second shows."""
    beats = asyncio.create_task(_beats())
    await asyncio.sleep(0.05)
    time.sleep(1.0)
    await asyncio.sleep(0.05)
    beats.cancel()
    assert await _longest(beats) > STALL_S


async def _beats() -> list[float]:
    """The loop's time every 10 ms, until cancelled."""
    times: list[float] = []
    try:
        while True:
            times.append(time.monotonic())
            await asyncio.sleep(0.01)
    except asyncio.CancelledError:
        return times


async def _longest(beats: "asyncio.Task[list[float]]") -> float:
    times = await beats
    return max(later - earlier for earlier, later in itertools.pairwise(times))
