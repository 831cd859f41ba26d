"""Cards that mean no good, or cannot help it: refused with a reason, ready again at once, nothing opened, nothing lost.

The numbers are those of our list of abuse cases; the readers have theirs (36, 37) in tests/drivers and `make cards`.
"""

import asyncio
import gc
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from simulators.card import Apdu, SimulatedCard, Trouble
from simulators.card_issuer import CardIssuer
from simulators.phone import Phone
from simulators.purse import PurseApplication, PurseFiles
from terminal.core.card import CardPlace, CardRules, Stage
from terminal.core.debit import DebitState
from terminal.core.entries import DebitIntended, DebitSettled, Decided, PassageUnknown, Passed
from terminal.core.model import Reason, Verdict
from tests.stories.world import World, bus, park

ISSUER = CardIssuer()
READY_S = 0.5  # behind whatever a hostile card does, the next one is served


def purse_card(name: str = "amber", **changes: object) -> tuple[SimulatedCard, PurseApplication]:
    purse = ISSUER.purse(name, **changes)
    return ISSUER.card(name, purse), purse


async def honest(world: World, name: str = "cedar") -> None:
    """The next passenger pays as if nothing had been."""
    card, purse = purse_card(name)
    assert await world.front.tap(card) is Reason.PAID_BY_CARD
    assert purse.files.balance_fen == 4840


class Abuse(NamedTuple):
    """One hostile card: what it does at one command, and what is said."""

    number: int
    sentence: str
    trouble: Trouble
    command: int
    reasons: tuple[Reason, ...]


ABUSES = [
    Abuse(26, "61xx for ever, while it is read", Trouble.LOOPS_61, 0, (Reason.CARD_LEFT,)),
    Abuse(26, "61xx for ever, at the debit", Trouble.LOOPS_61, 3, (Reason.PUT_CARD_BACK,)),
    Abuse(27, "6Cxx for ever, while it is read", Trouble.LOOPS_6C, 0, (Reason.CARD_UNPROVEN,)),
    Abuse(27, "6Cxx for ever, at the debit", Trouble.LOOPS_6C, 3, (Reason.PUT_CARD_BACK,)),
    Abuse(28, "64 KB, while it is read", Trouble.FLOODS, 0, (Reason.CARD_LEFT,)),
    Abuse(28, "64 KB, at the debit", Trouble.FLOODS, 3, (Reason.PUT_CARD_BACK,)),
    Abuse(28, "no byte", Trouble.NOTHING, 0, (Reason.CARD_UNPROVEN,)),
    Abuse(28, "one byte", Trouble.ONE_BYTE, 1, (Reason.CARD_UNREADABLE,)),
    Abuse(28, "one byte, at the debit", Trouble.ONE_BYTE, 3, (Reason.PUT_CARD_BACK,)),
    Abuse(32, "silence for ever, while it is read", Trouble.MUTE, 1, (Reason.CARD_LEFT,)),
    Abuse(32, "silence for ever, at the debit", Trouble.MUTE, 3, (Reason.PUT_CARD_BACK,)),
]


@pytest.mark.parametrize("abuse", ABUSES, ids=lambda abuse: f"{abuse.number}: {abuse.sentence}")
def test_26_27_28_32_what_a_card_answers(abuse: Abuse, tmp_path: Path) -> None:
    """Given up at the budget or the terminal's own clock; nothing opens; the next card pays."""

    async def told(world: World) -> None:
        card, purse = purse_card()
        card.troubles = {abuse.command: abuse.trouble}
        world.front.indicator.shown = None
        world.front.slot.tap(card)
        await asyncio.sleep(3.5)  # no tap is longer than three seconds
        assert world.front.says in abuse.reasons, abuse.sentence
        assert (world.front.opened, purse.files.balance_fen) == ([], 5000)
        assert len(card.commands) <= 60
        await asyncio.sleep(20)
        await honest(world)

    bus(told)(tmp_path)


@bus
async def test_29_tlv_that_does_not_hold_together(bus: World) -> None:
    """The selection's answer is the only TLV a card sends us; whatever is wrong with it, the card is unreadable."""
    for number, inner in enumerate(("6f7f8402aabb", "6f0400009f0c", "6f046f026f00", "6f068401aa8401bb")):
        purse = ISSUER.purse(f"liar {number}")
        purse.select = lambda inner=inner: bytes.fromhex(inner) + b"\x90\x00"  # type: ignore[method-assign,misc]
        assert await bus.front.tap(ISSUER.card(f"liar {number}", purse)) is Reason.CARD_UNREADABLE
    await honest(bus)


@bus
async def test_30_removed_at_every_command(bus: World) -> None:
    """No ride without a commit; the next tap completes it. All ways it can be torn: tests/test_torn.py."""
    for command in range(4):
        for trouble in (Trouble.LEAVES_BEFORE, Trouble.LEAVES_AFTER):
            card, purse = purse_card(f"{command} {trouble}")
            card.troubles = {command: trouble}
            opened = len(bus.front.opened)
            await bus.front.tap(card)
            assert len(bus.front.opened) == opened
            card.troubles = {}
            assert await bus.front.tap(card) is Reason.PAID_BY_CARD
            assert (len(bus.front.opened), purse.files.balance_fen) == (opened + 1, 4840)


@bus
async def test_31_two_cards_and_a_card_swapped(bus: World) -> None:
    """Two are refused with their own words; one swapped in the middle is found by the keys it does not have."""
    (amber, first), (birch, second) = purse_card("amber"), purse_card("birch")
    assert await bus.front.tap(amber, birch) is Reason.TWO_CARDS
    swapped = SimulatedCard(uid=amber.uid, atr=amber.atr, applications=amber.applications)

    def swap(command: bytes) -> None:
        if command[:2] == b"\x80\x50":  # another purse lies there from INITIALIZE on
            swapped._selected = second

    swapped.on_command = swap
    assert await bus.front.tap(swapped) is Reason.CARD_NOT_GENUINE
    assert (first.files.balance_fen, second.files.balance_fen, bus.front.opened) == (5000, 5000, [])
    await honest(bus)


@bus
async def test_31_served_in_turn_where_the_site_says_so(bus: World) -> None:
    """Each pays for itself, one after the other."""
    bus.front.cards = CardRules(accepts=("transit_purse",), two_cards="in_turn")
    await bus.restart()
    (amber, first), (birch, second) = purse_card("amber"), purse_card("birch")
    assert await bus.front.tap(amber, birch) is Reason.PAID_BY_CARD
    assert (first.files.balance_fen, second.files.balance_fen, bus.front.opened) == (4840, 4840, [1, 1])


@bus
async def test_33_a_number_proves_nothing(bus: World) -> None:
    """A bare UID, cloned or made up anew each time, opens nothing where money moves."""
    assert await bus.front.tap(ISSUER.plain("amber")) is Reason.CARD_UNPROVEN
    random = SimulatedCard(uid=bytes.fromhex("08010203"), atr=b"")
    assert await bus.front.tap(random) is Reason.NOT_ACCEPTED_HERE
    clone, _ = purse_card("amber", debit_key=bytes(16))
    assert await bus.front.tap(clone) is Reason.CARD_NOT_GENUINE
    assert bus.front.opened == []
    await honest(bus)


@pytest.mark.parametrize(("refused", "reason"), [(True, Reason.CARD_TOO_SLOW), (False, Reason.PAID_BY_CARD)])
def test_34_an_answer_that_took_a_detour(refused: bool, reason: Reason, tmp_path: Path) -> None:
    """Right answers, 60 ms late each: refused or flagged as the site says, and always written down."""

    async def told(world: World) -> None:
        world.head.policies = msgspec.structs.replace(world.head.policies, slow_card_ms=50, slow_card_refused=refused)
        await world.publish()
        card, _ = purse_card()
        card.delay_s = 0.06
        assert await world.front.tap(card) is reason
        (decided,) = world.facts(Decided)
        assert decided.card is not None and decided.card.slow and decided.card.slowest_ms == 60
        await honest(world)

    bus(told)(tmp_path)


@bus
async def test_35_a_counter_that_fell(bus: World) -> None:
    """A card put back to an earlier state is refused, and nothing is mended by itself."""
    card, purse = purse_card()
    saved = purse.files
    assert await bus.front.tap(card) is Reason.PAID_BY_CARD
    purse.files = PurseFiles(balance_fen=saved.balance_fen, counter=saved.counter)
    await asyncio.sleep(4)
    assert await bus.front.tap(card) is Reason.CARD_COUNTER_FELL
    assert (len(bus.front.opened), len(bus.facts(DebitIntended))) == (1, 1)
    await honest(bus)


@bus
async def test_36_the_reader_is_unplugged_in_a_tap(bus: World) -> None:
    """Refused or doubted, never opened; back within seconds without a restart. pcscd: tests/drivers."""
    card, purse = purse_card()
    card.on_command = lambda command: bus.front.slot.plug(command[:2] != b"\x80\x54")
    await bus.front.tap(card)
    assert bus.front.opened == []
    card.on_command = lambda command: None
    bus.front.slot.plug(True)
    await asyncio.sleep(2)
    assert await bus.front.tap(card) is Reason.PAID_BY_CARD
    assert (purse.files.balance_fen, bus.front.opened) == (4840, [1])
    assert len(bus.decisions(Verdict.GRANT)) == 1


@bus
async def test_37_a_thousand_cards(bus: World) -> None:
    """Fifty a second: no task, descriptor or object is left of one. The drivers' own counts: make cards."""
    card = ISSUER.plain("amber")
    await _present(bus, card, 100)
    gc.collect()
    before = len(asyncio.all_tasks()), _descriptors(), len(gc.get_objects())
    await _present(bus, card, 1000)
    gc.collect()
    after = len(asyncio.all_tasks()), _descriptors(), len(gc.get_objects())
    assert after[:2] == before[:2]
    assert after[2] - before[2] < 1000 * 10  # what the journal in memory keeps of a thousand refusals


async def _present(world: World, card: SimulatedCard, times: int) -> None:
    for _ in range(times):
        world.front.slot.tap(card)
        await asyncio.sleep(0.02)


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


# --------------------------------------------------------------------------- cards without a key


class Emulated:
    """A card application that knows what anybody can read of a card, and no key; it logs what the terminal sent."""

    def __init__(self, name: str, counter: int = 41) -> None:
        self._real = ISSUER.purse(name)
        self.aid = self._real.aid
        self._counter = counter
        self.refuses = False  # at INITIALIZE
        self._logged = b""
        self._sent = b""

    def select(self) -> bytes:
        return self._real.select()

    def answer(self, apdu: Apdu) -> bytes:
        if apdu.ins == 0x50:
            if self.refuses:
                return b"\x69\x85"
            self._sent = apdu.data[1:5] + bytes(({1: 6, 3: 9}[apdu.p1],)) + apdu.data[5:11]
            return (5000).to_bytes(4) + self._counter.to_bytes(2) + bytes(3) + b"\x01\x00" + b"abcd" + b"\x90\x00"
        if apdu.ins == 0x54:
            self._logged = bytes(5) + self._sent + apdu.data[4:11]
            return b""
        if apdu.ins == 0xB2 and apdu.p2 == 0xC4 and self._logged:
            return self._logged + b"\x90\x00"
        return {0x5A: b"\x94\x06", 0xB2: b"\x6a\x83", 0xDC: b"\x90\x00"}.get(apdu.ins, b"\x6d\x00")


@bus
async def test_a_card_that_logs_what_it_was_sent_opens_nothing(bus: World) -> None:
    """Its own word is written down as done, and owed to nobody, however often it comes."""
    emulated = Emulated("amber")
    card = ISSUER.card("amber", emulated)
    assert await bus.front.tap(card) is Reason.PUT_CARD_BACK
    emulated.refuses = True
    for _ in range(3):
        await asyncio.sleep(5)
        assert await bus.front.tap(card) is Reason.CARD_REFUSED
    (_, settled) = bus.facts(DebitSettled)
    assert (settled.state, settled.why) == (DebitState.DONE, "log")
    assert bus.front.opened == []
    await honest(bus)


@bus
async def test_a_counter_at_its_end(bus: World) -> None:
    """Nothing is begun with it, and what an older journal holds of one ends no process."""
    card = ISSUER.card("amber", Emulated("amber", counter=0xFFFF))
    for _ in range(2):
        assert await bus.front.tap(card) is Reason.CARD_REFUSED
        await asyncio.sleep(5)
    assert bus.facts(DebitIntended) == []
    await honest(bus)


@park
async def test_an_honoured_card_waits_while_somebody_walks(park: World) -> None:
    """A code's open grant keeps its gate; used, it opens nothing a second time."""
    card, purse = purse_card()
    assert await park.front.tap(card) is Reason.PAID_BY_CARD
    await asyncio.sleep(20)
    code = Phone("walker").code(park.now_s)
    assert await park.front.show(code) is Reason.ADMITTED
    await asyncio.sleep(1)
    assert await park.front.tap(card) is Reason.GATE_BUSY
    await park.front.walk()
    assert await park.front.tap(card) is Reason.ALREADY_PAID
    await park.front.walk()
    assert [fact.passed for fact in park.facts(Passed)] == [1, 1]
    await asyncio.sleep(20)
    assert await park.front.show(code) is Reason.CODE_USED
    assert (park.front.opened, purse.files.balance_fen) == ([1, 1, 1], 4000)


@park
async def test_a_proven_debit_at_a_busy_gate_is_not_lost(park: World) -> None:
    """What the module found right is written while somebody else walks; the card passes behind them."""
    card, purse = purse_card()
    card.troubles = {3: Trouble.LEAVES_AFTER}
    assert await park.front.tap(card) is Reason.PUT_CARD_BACK
    card.troubles = {}
    assert await park.front.show(Phone("walker").code(park.now_s)) is Reason.ADMITTED
    assert await park.front.tap(card) is Reason.GATE_BUSY
    park.front.module.plugged = False
    await park.front.walk()
    assert await park.front.tap(card) is Reason.PAID_BY_CARD
    assert (purse.files.balance_fen, park.front.opened) == (4000, [1, 1])


@park
async def test_whoever_an_attendant_lets_through_beside_an_open_grant(park: World) -> None:
    """Who walks is not known: the open grant is told so, and its code stays used."""
    code = Phone("walker").code(park.now_s)
    assert await park.front.show(code) is Reason.ADMITTED
    assert park.terminal is not None and park.terminal.commands is not None
    await park.terminal.commands.ask("7", "free", ["front", "child"])
    (unknown,) = park.facts(PassageUnknown)
    (granted,) = [entry.name for entry in park.written() if isinstance(entry.fact, Decided)]
    assert unknown.of == granted
    await asyncio.sleep(20)
    assert await park.front.show(code) is Reason.CODE_USED


@bus
async def test_who_knows_a_number_does_not_lock_its_holder_out(bus: World) -> None:
    """An emulated counter far ahead is no counter of this card."""
    assert await bus.front.tap(ISSUER.card("amber", Emulated("amber", counter=60_000))) is Reason.PUT_CARD_BACK
    await asyncio.sleep(60)
    await honest(bus, "amber")


@park
async def test_one_debit_lets_one_through(park: World) -> None:
    """While its card is let through at one gate, no other takes it; once somebody walked it pays again."""
    card, purse = purse_card()
    assert await park.front.tap(card) is Reason.PAID_BY_CARD
    for door, other in ((park.front, park.rear), (park.rear, park.front)):
        await asyncio.sleep(20)  # nobody walks
        assert await door.tap(card) is Reason.ALREADY_PAID
        await asyncio.sleep(1)
        assert await other.tap(card) is Reason.TOO_SOON
        await asyncio.sleep(4)
        assert await door.tap(card) is Reason.ALREADY_PAID
    await park.rear.walk()
    assert await park.front.tap(card) is Reason.PAID_BY_CARD
    assert purse.files.balance_fen == 3000
    assert [fact.passed for fact in park.facts(Passed)] == [1]


@park
async def test_one_debit_at_two_gates_in_the_same_moment(park: World) -> None:
    """The second gate is asked while the first still writes."""
    card, _ = purse_card()
    twin, _ = purse_card()
    assert await park.front.tap(card) is Reason.PAID_BY_CARD
    await asyncio.sleep(20)
    park.front.slot.tap(card)
    assert await park.rear.tap(twin) in (Reason.ALREADY_PAID, Reason.TOO_SOON)
    assert {park.front.says, park.rear.says} == {Reason.ALREADY_PAID, Reason.TOO_SOON}
    assert len(park.front.opened) + len(park.rear.opened) == 2


@park
async def test_an_honour_that_found_no_room_is_none(park: World) -> None:
    """Nothing written, nothing held: the other gate takes the card."""
    card, _ = purse_card()
    assert await park.front.tap(card) is Reason.PAID_BY_CARD
    await asyncio.sleep(20)
    park.disk.full = True
    assert await park.front.tap(card) is Reason.JOURNAL_UNAVAILABLE
    park.disk.full = False
    assert await park.rear.tap(card) is Reason.ALREADY_PAID
    assert (park.front.opened, park.rear.opened) == ([1], [1])


@bus
async def test_the_module_was_asked_for_another_debit_that_was_never_begun(bus: World) -> None:
    """It cannot check the earlier MAC2 any more, and computes the TAC: an honest card is not called a fake."""
    bus.front.cards = CardRules(accepts=("transit_purse",), place=CardPlace(stage=Stage.BOTH, line="0007"))
    await bus.restart()
    (card, _), (other, _) = purse_card("amber"), purse_card("birch")
    card.troubles = {4: Trouble.LEAVES_AFTER}  # DEBIT
    assert await bus.front.tap(card) is Reason.PUT_CARD_BACK
    card.troubles = {}
    await asyncio.sleep(30)  # others are served again, and it still asks about its boarding
    other.troubles = {3: Trouble.LEAVES_BEFORE}  # UPDATE CAPP DATA CACHE, behind MAC1
    assert await bus.front.tap(other) is Reason.CARD_LEFT
    assert await bus.front.tap(card) is Reason.PAID_BY_CARD
    assert bus.front.opened == [1]


@bus
async def test_a_full_disk_opens_once_for_one_debit(bus: World) -> None:
    """By the site's policy the gate opened unwritten: the debit is written later, and owed to nobody."""
    bus.open_when_unwritable = True
    await bus.restart()
    card, purse = purse_card()
    card.on_command = lambda command: setattr(bus.disk, "full", command[:2] == b"\x80\x54")
    await bus.front.tap(card)
    assert (bus.front.opened, purse.files.balance_fen) == ([1], 4840)
    card.on_command = lambda command: None
    bus.disk.full = False
    await asyncio.sleep(5)
    (settled,) = bus.facts(DebitSettled)
    assert settled.why == "opened"
    assert await bus.front.tap(card) is Reason.PAID_BY_CARD
    assert purse.files.balance_fen == 4680
