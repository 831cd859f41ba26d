"""The Gate port, over the real Modbus driver and a board at the far end of a paced pty, or of TCP."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from drivers.clock import SystemClock
from drivers.gate import bus, modbus, none
from drivers.gate.barrier import GateWiring
from drivers.gate.box import BoxWiring
from drivers.gate.power import PowerWiring
from simulators.gate import WRITE_COIL, Board, Turnstile
from terminal.core.model import GateAnswer, GateEvent, GateSignal, Reading
from terminal.ports import DeviceError, Gate
from tests.waiting import LIMIT_S, until

WIRING = GateWiring(open_coil=0, open_ms=100, passage_input=0, reverse_input=1, forced_input=2, emergency_input=3)


class Site:
    """A board, its turnstile, the driver that talks to them, and what was heard on the wire."""

    def __init__(self, board: Board, link: str, wiring: GateWiring = WIRING, **settings: Any) -> None:
        self.board, self.turnstile = board, Turnstile(board)
        self.clock = SystemClock()
        self.driver = modbus.open(modbus.Settings(link=link, **settings), self.clock)
        self.gate = self.driver.gate(wiring)
        board.pulse = self._pulse  # type: ignore[method-assign]  # a sensor's pulse ends once it was seen
        self.events: list[GateEvent] = []
        self.errors: list[DeviceError] = []
        self.tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._listen())]

    async def _run(self) -> None:
        while True:
            try:
                await self.driver.run()
            except DeviceError as error:
                self.errors.append(error)
            await asyncio.sleep(0.1)

    async def _listen(self) -> None:
        async for event in self.gate.events():
            self.events.append(event)

    async def _pulse(self, number: int, seconds: float = 0.0) -> None:
        self.board.inputs[number] = True
        await until(lambda: self.driver.inputs[number])
        self.board.inputs[number] = False
        await until(lambda: not self.driver.inputs[number])

    def signals(self) -> list[GateSignal]:
        return [event.signal for event in self.events]

    async def open(self, persons: int = 1) -> GateAnswer:
        return await self.gate.open(persons, self.clock.read())

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.board.close()


@contextlib.asynccontextmanager
async def serial_site(path: Path, wiring: GateWiring = WIRING, **settings: Any) -> AsyncIterator[Site]:
    board = Board()
    await board.serve_serial(path / "ttyGate")
    site = Site(board, f"serial:{path / 'ttyGate'}?baud=115200", wiring, **settings)
    try:
        await until(lambda: site.driver.settled or (not site.driver.inputs and site.driver._polls > 0))
        yield site
    finally:
        await site.close()


@contextlib.asynccontextmanager
async def tcp_site(path: Path) -> AsyncIterator[Site]:
    board = Board()
    site = Site(board, f"tcp:127.0.0.1:{await board.serve_tcp()}")
    try:
        await until(lambda: site.driver.settled)
        yield site
    finally:
        await site.close()


@pytest.mark.parametrize("site_of", [serial_site, tcp_site])
class TestGate:
    """What every gate with a sensor does."""

    async def test_opens_once(self, site_of: Any, tmp_path: Path) -> None:
        """One order is one opening, answered `opened`, and the pulse ends by itself."""
        async with site_of(tmp_path) as site:
            assert await site.open() is GateAnswer.OPENED
            assert len(site.turnstile.openings) == 1
            await until(lambda: not site.board.coils[0])
            assert len(site.turnstile.openings) == 1

    async def test_two_people_are_two_passages(self, site_of: Any, tmp_path: Path) -> None:
        """Two people close behind each other are two passages, in order, each with its own reading."""
        async with site_of(tmp_path) as site:
            await site.open(2)
            await until(lambda: site.turnstile.rights == 2)
            for _ in range(2):
                assert await site.turnstile.walk()
            await until(lambda: len(site.events) == 2)
            assert site.signals() == [GateSignal.PASSAGE] * 2
            assert site.events[0].at.monotonic_ns < site.events[1].at.monotonic_ns

    async def test_tells_what_happens_without_an_order(self, site_of: Any, tmp_path: Path) -> None:
        """Reverse, forced and emergency are told, each once; emergency also when it ends."""
        async with site_of(tmp_path) as site:
            await site.turnstile.walk_back()
            await site.turnstile.force()
            site.turnstile.emergency(True)
            await until(lambda: len(site.events) == 3)
            site.turnstile.emergency(False)
            await until(lambda: len(site.events) == 4)
            on_off = [GateSignal.EMERGENCY_ON, GateSignal.EMERGENCY_OFF]
            assert site.signals() == [GateSignal.REVERSE, GateSignal.FORCED, *on_off]

    async def test_stale_order_is_never_sent(self, site_of: Any, tmp_path: Path) -> None:
        """An order older than half a second is answered `not sent`, and the wire has not seen it."""
        async with site_of(tmp_path) as site:
            now = site.clock.read()
            old = Reading(utc_ms=now.utc_ms, monotonic_ns=now.monotonic_ns - 501_000_000)
            assert await site.gate.open(1, old) is GateAnswer.NOT_SENT
            await asyncio.sleep(0.1)
            assert site.turnstile.openings == []

    async def test_stopping_leaves_nothing_on(self, site_of: Any, tmp_path: Path) -> None:
        """A terminal that stops in the middle of a pulse lets it end and leaves every coil off."""
        async with site_of(tmp_path) as site:
            await site.open()
            assert site.board.coils[0]
            site.tasks[0].cancel()
            await asyncio.gather(site.tasks[0], return_exceptions=True)
            assert not any(site.board.coils)


class TestTrouble:
    """What a serial board's bad days look like."""

    async def test_every_coil_is_off_before_the_first_tap(self, tmp_path: Path) -> None:
        """Whatever was left on is switched off before any order, and again after every reconnect."""
        board = Board()
        await board.serve_serial(tmp_path / "ttyGate")
        board.coils[5] = True
        site = Site(board, f"serial:{tmp_path / 'ttyGate'}")
        try:
            await until(lambda: site.driver.connected)
            assert not any(board.coils[:8])
            board.unplug()
            await until(lambda: not site.driver.connected)
            board.coils[5] = True
            board.plug()
            await until(lambda: site.driver.connected)
            assert not any(board.coils[:8])
        finally:
            await site.close()

    async def test_unplugged_board_is_back_by_itself(self, tmp_path: Path) -> None:
        """While the plug is out an order is `not sent`; once it is back in, an order opens."""
        async with serial_site(tmp_path) as site:
            site.board.unplug()
            await until(lambda: not site.driver.connected)
            assert await site.open() is GateAnswer.NOT_SENT
            await until(lambda: len(site.errors) >= 2)  # and was looked for in vain
            site.board.plug()
            await until(lambda: site.driver.connected)
            assert await site.open() is GateAnswer.OPENED
            assert len(site.turnstile.openings) == 1

    async def test_mute_board_is_unknown_and_never_asked_again(self, tmp_path: Path) -> None:
        """A board that takes the order and says nothing: `unknown` within the time-out, written to the wire once."""
        async with serial_site(tmp_path, inputs=0) as site:
            written = _count_coil_writes(site)
            _mute_at_the_order(site)
            async with asyncio.timeout(LIMIT_S):
                assert await site.open() is GateAnswer.UNKNOWN
            await asyncio.sleep(1.0)
            assert written == [0]
            assert await site.open() is GateAnswer.NOT_SENT
            assert written == [0]

    async def test_late_answer_is_not_taken_for_another_order(self, tmp_path: Path) -> None:
        """An answer that comes after its time-out never confirms a later order."""
        async with serial_site(tmp_path, inputs=0) as site:
            site.board.delayed = frozenset({WRITE_COIL})  # a poll that is under way must not take the delay
            site.board.delay_s = 0.5
            assert await site.open() is GateAnswer.UNKNOWN
            assert await site.open() is GateAnswer.NOT_SENT

    async def test_order_that_waited_too_long_is_not_sent(self, tmp_path: Path) -> None:
        """An order's age is looked at when its turn on the wire comes, not when it was given."""
        async with serial_site(tmp_path, inputs=0) as site:
            site.board.delay_s = 0.25
            lamp = asyncio.create_task(site.driver.write_coil(4, True))
            await asyncio.sleep(0.05)
            now = site.clock.read()
            nearly_old = Reading(utc_ms=now.utc_ms, monotonic_ns=now.monotonic_ns - 400_000_000)
            assert await site.gate.open(1, nearly_old) is GateAnswer.NOT_SENT
            await asyncio.gather(lamp, return_exceptions=True)
            assert site.turnstile.openings == []

    async def test_order_overtakes_lamps(self, tmp_path: Path) -> None:
        """However many lamp jobs wait, an order goes next."""
        async with serial_site(tmp_path, inputs=0) as site:
            written = _count_coil_writes(site)
            lamps = [asyncio.create_task(site.driver.write_coil(4, bool(n % 2))) for n in range(20)]
            await asyncio.sleep(0)
            assert await site.open() is GateAnswer.OPENED
            assert written.index(0) <= 1
            await asyncio.gather(*lamps)

    async def test_given_up_lamp_does_not_spoil_an_order(self, tmp_path: Path) -> None:
        """A lamp job given up while its answer is on the wire leaves the next order's answer its own."""
        async with serial_site(tmp_path, inputs=0) as site:
            for _ in range(5):
                lamp = asyncio.create_task(site.driver.write_coil(4, True))
                await asyncio.sleep(0.001)
                lamp.cancel()
                assert await site.open() is GateAnswer.OPENED
                await until(lambda: not site.board.coils[0])
            assert len(site.turnstile.openings) == 5

    async def test_an_order_that_is_given_up_on_the_wire_complains_to_nobody(self, tmp_path: Path) -> None:
        """Its terminal ends: nobody hears how it went, and that is no bug to log."""
        complaints: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))
        async with serial_site(tmp_path, inputs=0) as site:
            site.board.delay_s = 0.25
            order = asyncio.create_task(site.open())
            await until(lambda: site.driver._aside is not None)
            order.cancel()
            await asyncio.gather(order, return_exceptions=True)
        del order
        gc.collect()
        assert complaints == []

    async def test_refusing_board_has_not_opened(self, tmp_path: Path) -> None:
        """A board that refuses a coil it does not have has certainly not opened, and is not given up for it."""
        async with serial_site(tmp_path, GateWiring(open_coil=4000)) as site:
            assert await site.open() is GateAnswer.NOT_SENT
            assert site.driver.connected and not site.errors

    async def test_glitch_is_not_a_passage(self, tmp_path: Path) -> None:
        """An input that flickers for less than two polls tells nothing."""
        async with serial_site(tmp_path) as site:
            fill, seen = site.board._fill, site.driver._polls

            def flicker(registers: list[int]) -> None:
                fill(registers)
                site.board.inputs[0] = False

            site.board._fill = flicker  # type: ignore[method-assign]  # gone once one poll has seen it
            site.board.inputs[0] = True
            await until(lambda: site.driver._polls >= seen + 5)
            assert site.events == [] and not site.board.inputs[0]

    async def test_standing_input_is_no_passage_but_an_emergency(self, tmp_path: Path) -> None:
        """What stands when the board is first seen: nobody walked then, but an emergency is told."""
        board = Board()
        await board.serve_serial(tmp_path / "ttyGate")
        board.inputs[0] = board.inputs[3] = True
        site = Site(board, f"serial:{tmp_path / 'ttyGate'}")
        try:
            await until(lambda: bool(site.events) and site.driver._polls > 4)
            assert site.signals() == [GateSignal.EMERGENCY_ON]
        finally:
            await site.close()

    async def test_order_waits_for_no_poll(self, tmp_path: Path) -> None:
        """The next poll is a minute away: an order is on the wire before it, and so is the end of its pulse."""
        board = Board()
        await board.serve_serial(tmp_path / "ttyGate")
        site = Site(board, f"serial:{tmp_path / 'ttyGate'}", GateWiring(open_coil=0, open_ms=10), poll_ms=60_000)
        try:
            await until(lambda: site.driver._polls == 1)
            for opened in range(1, 6):
                assert await site.open() is GateAnswer.OPENED
                await until(lambda: not board.coils[0])
                assert len(site.turnstile.openings) == opened
            assert site.driver._polls == 1
        finally:
            await site.close()


class TestWaysOfOpening:
    """Boards differ in how a pulse is made, controllers in how a group is let in."""

    async def test_timed_register(self, tmp_path: Path) -> None:
        """`register`: one write, and the board's own relay ends the pulse."""
        wiring = GateWiring(open_coil=0, open_ms=200, pulse="register", pulse_register=0)
        async with serial_site(tmp_path, wiring) as site:
            written = _count_coil_writes(site)
            assert await site.open() is GateAnswer.OPENED
            await until(lambda: site.turnstile.openings and not site.board.coils[0])
            assert written == []

    async def test_group_is_one_pulse_a_person(self, tmp_path: Path) -> None:
        """`pulse`: three people, three stacked rights, answered after the first."""
        wiring = GateWiring(open_coil=0, open_ms=50, group_gap_ms=50)
        async with serial_site(tmp_path, wiring) as site:
            assert await site.open(3) is GateAnswer.OPENED
            await until(lambda: len(site.turnstile.openings) == 3)
            await asyncio.sleep(0.2)
            assert len(site.turnstile.openings) == 3

    async def test_group_is_held_until_all_have_walked(self, tmp_path: Path) -> None:
        """`hold`: open until two have walked, then shut."""
        wiring = GateWiring(open_coil=0, group="hold", passage_input=0)
        async with serial_site(tmp_path, wiring) as site:
            await site.open(2)
            await site.turnstile.walk()
            await until(lambda: len(site.events) == 1)
            await asyncio.sleep(0.1)
            assert site.board.coils[0]
            await site.turnstile.walk_late()
            await until(lambda: not site.board.coils[0])

    async def test_a_barrier_that_stands_open(self, tmp_path: Path) -> None:
        """Its coil stays on, also over a reconnect; no right is ordered beside it; let go, an order opens again."""
        wiring = GateWiring(open_coil=0, open_ms=50, hold_open_coil=6)
        async with serial_site(tmp_path, wiring) as site:
            assert site.gate.can_stand_open
            await site.gate.stand_open(True)
            assert site.board.coils[6]
            assert await site.open() is GateAnswer.OPENED
            site.board.unplug()
            await until(lambda: not site.driver.connected)
            site.board.coils[6] = False
            site.board.plug()
            await until(lambda: site.driver.connected and site.board.coils[6])
            assert site.turnstile.openings == []
            await site.gate.stand_open(False)
            assert not site.board.coils[6]
            assert await site.open() is GateAnswer.OPENED
            assert len(site.turnstile.openings) == 1

    async def test_a_board_that_was_away_hears_it_on_connecting(self, tmp_path: Path) -> None:
        """The order fails and is kept; a terminal that stops leaves nothing on."""
        async with serial_site(tmp_path, GateWiring(open_coil=0, hold_open_coil=6)) as site:
            site.board.unplug()
            await until(lambda: not site.driver.connected)
            with pytest.raises(DeviceError):
                await site.gate.stand_open(True)
            site.board.plug()
            await until(lambda: site.driver.connected and site.board.coils[6])
            site.tasks[0].cancel()
            await asyncio.gather(site.tasks[0], return_exceptions=True)
            assert not any(site.board.coils)

    async def test_a_barrier_nothing_is_wired_for(self, tmp_path: Path) -> None:
        """Without `hold_open_coil` it cannot stand open."""
        async with serial_site(tmp_path) as site:
            assert not site.gate.can_stand_open

    async def test_door_contact_without_an_order_is_forced(self, tmp_path: Path) -> None:
        """A door that opens by our order is no event; one that opens without is forced."""
        wiring = GateWiring(open_coil=0, open_ms=50, opened_input=5, hold_s=1.5)
        async with serial_site(tmp_path, wiring) as site:
            await site.open()
            await site.board.pulse(5)
            await asyncio.sleep(1.6)
            assert site.signals() == []
            await site.board.pulse(5)
            await until(lambda: site.signals() == [GateSignal.FORCED])

    async def test_no_barrier(self) -> None:
        """A bus without a barrier: the light is the opening, every order is done."""
        gate: Gate = none.open(none.Settings(), SystemClock())
        assert await gate.open(1, SystemClock().read()) is GateAnswer.OPENED


async def test_power_lost_after_a_flicker_is_ridden_out(tmp_path: Path) -> None:
    """A flicker is no loss; a supply that stays away is, within the time the wiring says."""
    async with serial_site(tmp_path) as site:
        site.board.inputs[6] = True
        power = site.driver.power(PowerWiring(input=6, lost_after_ms=1000))
        lost = asyncio.create_task(power.lost())
        await until(lambda: site.driver.inputs[6])
        await asyncio.sleep(0.1)
        site.board.inputs[6] = False
        await asyncio.sleep(0.15)
        site.board.inputs[6] = True
        await asyncio.sleep(1.1)
        assert not lost.done()
        site.board.inputs[6] = False
        async with asyncio.timeout(LIMIT_S):
            await lost


async def test_the_lid_of_the_box_is_told_when_it_is_lifted_and_when_it_stayed_on(tmp_path: Path) -> None:
    """A contact that is closed at rest: lifted, put on and lifted again before long, put on for good."""
    async with serial_site(tmp_path, inverted_inputs=(6,)) as site:
        lid = site.driver.box(BoxWiring(input=6))
        told: list[str] = []

        async def watch() -> None:
            while True:
                await lid.opened()
                told.append("opened")
                await lid.shut(0.5)
                told.append("shut")

        async def closed(contact: bool) -> None:
            site.board.inputs[6] = contact
            await until(lambda: site.driver.inputs[6] is not contact)

        site.tasks.append(asyncio.create_task(watch()))
        await until(lambda: told == ["opened"])  # a cut wire, or no lid at the start
        for contact in (True, False, True):
            await closed(contact)
        await site.turnstile.walk_back()
        assert told == ["opened"]
        await until(lambda: told == ["opened", "shut"])
        await closed(False)
        await until(lambda: told == ["opened", "shut", "opened"])


@pytest.mark.parametrize("number", [-1, 8])
async def test_an_input_the_board_does_not_have_is_told_before_anything_runs(number: int) -> None:
    """Not by a bug in the middle of the day."""
    board = modbus.open(modbus.Settings(link="tcp:127.0.0.1:1"), SystemClock())
    for wire in (lambda: board.power(PowerWiring(input=number)), lambda: board.box(BoxWiring(input=number))):
        with pytest.raises(DeviceError, match=f"no input {number}"):
            wire()


async def test_flash_coil_is_what_such_boards_expect() -> None:
    """Function 5, the relay's flash address, tenths of a second: `01 05 02 00 00 07` for relay 0 and 0.7 s."""
    request = bus.FlashCoilRequest(0x0200, 7, 1)
    assert bytes((request.dev_id, request.function_code)) + request.encode() == bytes.fromhex("010502000007")


async def test_prefixed_register_is_one_write() -> None:
    """A board that wants a mode before the time gets both in one write (function 16)."""
    request = bus.registers(1, 3, [4, 10])
    assert (request.function_code, request.encode()) == (16, bytes.fromhex("0003000204" + "0004000a"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"link": "serial:/dev/ttyS0?baud=fast"},
        {"link": "tcp:host"},
        {"link": "usb:1"},
        {"link": "tcp:host:502", "timeout_ms": 900},
    ],
)
def test_board_settings_that_cannot_work_are_told(wrong: dict[str, Any]) -> None:
    """A link that is none, or a time-out that would open for somebody else: told when the configuration is read."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, modbus.Settings)


@pytest.mark.parametrize("wrong", [{"pulse": "flash"}, {"group": "hold"}, {"pulse": "magic"}])
def test_wiring_that_cannot_work_is_told(wrong: dict[str, Any]) -> None:
    """A way of opening without what it needs: told when the configuration is read."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"open_coil": 0, **wrong}, GateWiring)


def _mute_at_the_order(site: Site) -> None:
    """From the first order on the board says nothing; a poll that is under way before it is still answered."""
    act = site.board.on_coil

    def fall_silent(number: int, on: bool, at_ns: int) -> None:
        site.board.mute = True
        act(number, on, at_ns)

    site.board.on_coil = fall_silent


def _count_coil_writes(site: Site) -> list[int]:
    """The coil numbers of function 5 frames the far end receives from now on, in order."""
    written: list[int] = []
    outer, inner = site.board._outer, site.board._inner
    assert outer is not None and inner is not None

    def heard(data: bytes) -> None:
        if data[1] == 5 and data[4:6] == b"\xff\x00":
            written.append(int.from_bytes(data[2:4]))
        inner.send_now(data)

    outer.on_bytes(heard)
    return written
