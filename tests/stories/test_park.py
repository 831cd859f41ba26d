"""At a park's turnstiles: who walked is counted, who did not is not charged, and one code opens one gate.

The law: a grant opens one gate for one party. Nobody walked in time: it is annulled and may be shown again; walking
late takes it back. What nobody can know any more stays used, and the account may come again with a fresh code.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from simulators.phone import Phone
from simulators.token_issuer import Wallet
from terminal.core.entries import (
    GateReported,
    GateUnanswered,
    LatePassage,
    PassageAnnulled,
    PassageUnknown,
    Passed,
    Started,
)
from terminal.core.model import GateAnswer, GateSignal, HeldProduct, Reason, Use, Verdict
from terminal.ports import DeviceError
from terminal.runtime.site import Site
from tests.stories.world import PASSAGE_S, World, park

LIFE = (1_700_000_000, 2_200_000_000)


def holder(name: str, product: str = "park-annual") -> Wallet:
    """A phone with a pass, or a group's ticket."""
    return Wallet(name, products=((product, *LIFE),))


async def at_two_gates(park: World) -> int:
    """One code at both gates in the same millisecond; how many opened."""
    code = holder("amber").code(park.now_s)
    park.front.reader.show(code)
    park.rear.reader.show(code)
    await asyncio.sleep(1)
    return len(park.front.opened) + len(park.rear.opened)


@park
async def test_one_code_at_two_gates_in_the_same_millisecond_opens_one(park: World) -> None:
    """The other hears that it was used."""
    assert await at_two_gates(park) == 1
    assert Reason.PASS_HELD in (park.front.says, park.rear.says)


@park
async def test_without_the_reservation_it_would_open_two(park: World) -> None:
    """The rig can fail: with the reservation dropped, both gates open."""

    @contextmanager
    def dropped(self: Site, use: Use | None) -> Iterator[None]:
        yield

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Site, "reserved", dropped)
        assert await at_two_gates(park) == 2


@park
async def test_shown_again_while_the_controller_keeps_its_right_it_orders_none_beside_it(park: World) -> None:
    """Pulses stack: a code held out twice lets one person walk. Once the hold time is over it opens again."""
    code = Phone("amber").code(park.now_s)
    assert await park.front.show(code) is Reason.ADMITTED
    await asyncio.sleep(3.5)
    assert await park.front.show(code) is Reason.ALREADY_PAID
    assert park.front.opened == [1]
    await asyncio.sleep(park.front.gate.hold_s)
    assert await park.front.show(code) is Reason.ALREADY_PAID
    assert park.front.opened == [1, 1]
    await park.front.walk()
    assert (len(park.facts(Passed)), park.charged_fen()) == (1, 1000)


@park
async def test_shown_again_at_the_open_gate_it_opens_again_and_after_the_passage_it_is_used(park: World) -> None:
    """Before walking it is a question; after walking it is a used code, here and elsewhere."""
    code = Phone("amber").code(park.now_s)
    assert await park.front.show(code) is Reason.ADMITTED
    await asyncio.sleep(3.5)
    assert await park.rear.show(code) is Reason.CODE_USED
    assert await park.front.show(code) is Reason.ALREADY_PAID
    await park.front.walk()
    await asyncio.sleep(4)
    assert await park.front.show(code) is Reason.CODE_USED
    assert park.charged_fen() == 1000


@park
async def test_nobody_walked_so_it_is_annulled_and_passes_again_elsewhere(park: World) -> None:
    """The display says that nothing was charged; the same code is welcome again."""
    code = holder("amber").code(park.now_s)
    await park.front.show(code)
    await asyncio.sleep(PASSAGE_S + 1)
    assert park.front.says is Reason.PASSAGE_EXPIRED
    assert await park.rear.show(code) is Reason.PASS_HELD
    await park.rear.walk()
    assert [fact.passed for fact in park.facts(PassageAnnulled)] == [0]
    assert len(park.facts(Passed)) == 1


@park
async def test_annulled_then_walked_late_stands_again(park: World) -> None:
    """The charge is back, the code is used."""
    code = Phone("amber").code(park.now_s)
    await park.front.show(code)
    await asyncio.sleep(PASSAGE_S + 2)
    await park.front.walk()
    assert [fact.passed for fact in park.facts(LatePassage)] == [1]
    assert await park.front.show(code) is Reason.CODE_USED


@park
async def test_three_of_five_walk(park: World) -> None:
    """A group is so many counted passages; the two left outside may come later, and no more."""
    code = holder("five friends", "park-group").code(park.now_s)
    assert await park.front.show(code) is Reason.GROUP
    await park.front.walk(3)
    await asyncio.sleep(PASSAGE_S + 1)
    assert [fact.passed for fact in park.facts(PassageAnnulled)] == [3]
    assert await park.front.show(code) is Reason.GROUP
    assert park.front.opened == [5, 2]
    await park.front.walk(2)
    await asyncio.sleep(4)
    assert await park.front.show(code) is Reason.CODE_USED


@park
async def test_a_power_cut_between_opening_and_walking_leaves_the_passage_unknown(park: World) -> None:
    """The code stays used; the account may pass with a fresh one; head office settles."""
    phone = holder("amber")
    code = phone.code(park.now_s)
    await park.front.show(code)
    await park.restart()
    assert len(park.facts(PassageUnknown)) == 1
    assert await park.front.show(code) is Reason.CODE_USED
    assert await park.front.show(phone.code(park.now_s + 1)) is Reason.PASS_HELD


@park
async def test_the_next_person_waits_for_the_one_ahead(park: World) -> None:
    """One open grant at a gate; the code still lying there is asked again by itself."""
    await park.front.show(holder("amber").code(park.now_s))
    code = holder("birch").code(park.now_s)
    assert await park.front.show(code) is Reason.GATE_BUSY
    await park.front.walk()
    assert await park.front.show(code) is Reason.PASS_HELD


@park
async def test_an_old_code_is_called_what_a_park_calls_it(park: World) -> None:
    """On the display, in the log's words, and to whoever works here."""
    assert await park.front.show(holder("amber").code(park.now_s - 3600)) is Reason.CODE_EXPIRED
    assert park.front.indicator.shown is not None
    assert park.front.indicator.shown.zh == "入园码已过期 请刷新"
    assert park.terminal is not None and park.terminal.site is not None and park.terminal.site.latest is not None
    assert park.terminal.site.latest.zh == "入园码已过期 请刷新"


@park
async def test_a_pass_is_for_one(park: World) -> None:
    """Own use only: handed back over the fence, it is too soon."""
    phone = holder("amber")
    await park.front.show(phone.code(park.now_s))
    await park.front.walk()
    await asyncio.sleep(60)
    assert await park.front.show(phone.code(park.now_s)) is Reason.TOO_SOON
    await asyncio.sleep(1800)
    assert await park.front.show(phone.code(park.now_s)) is Reason.PASS_HELD


@pytest.mark.parametrize("answer", [GateAnswer.UNKNOWN, GateAnswer.NOT_SENT])
def test_a_gate_that_did_not_answer_is_asked_by_the_person_not_by_us(answer: GateAnswer, tmp_path: Path) -> None:
    """An entry says so; the same code is asked again at once and costs nothing more."""

    @park
    async def told(park: World) -> None:
        park.front.gate.answer = answer
        code = Phone("amber").code(park.now_s)
        assert await park.front.show(code) is Reason.GATE_UNANSWERED
        assert await park.front.show(code) is Reason.ALREADY_PAID
        assert park.front.opened == [1]  # the order that was not confirmed is given anew
        assert [fact.sent for fact in park.facts(GateUnanswered)] == [answer is GateAnswer.UNKNOWN]
        assert park.charged_fen() == 1000

    told(tmp_path)


@park
async def test_while_the_fire_alarm_lasts_nothing_is_asked_and_nothing_written(park: World) -> None:
    """When it began and ended are entries; taps in between are not."""
    park.front.gate.signal(GateSignal.EMERGENCY_ON)
    await asyncio.sleep(1)
    assert park.front.says is Reason.EMERGENCY
    await park.front.show(holder("amber").code(park.now_s))
    await park.rear.show(holder("birch").code(park.now_s))
    assert park.decisions(Verdict.GRANT) == []
    park.front.gate.signal(GateSignal.EMERGENCY_OFF)
    await asyncio.sleep(4)
    assert await park.front.show(holder("amber").code(park.now_s)) is Reason.PASS_HELD
    assert [fact.signal for fact in park.facts(GateReported)] == [GateSignal.EMERGENCY_ON, GateSignal.EMERGENCY_OFF]


@park
async def test_what_the_gate_reports_is_written(park: World) -> None:
    """Forced, the wrong way, out of order, and somebody who walked without a right."""
    signals = [GateSignal.FORCED, GateSignal.REVERSE, GateSignal.FAULT, GateSignal.FAULT_CLEARED, GateSignal.PASSAGE]
    for signal in signals:
        park.front.gate.signal(signal)
        await asyncio.sleep(0.5)
    assert [fact.signal for fact in park.facts(GateReported)] == signals


@park
async def test_a_full_disk_keeps_the_gate_shut_until_there_is_room(park: World) -> None:
    """Refused before the gate; the same code is asked again at once."""
    code = holder("amber").code(park.now_s)
    park.disk.full = True
    assert await park.front.show(code) is Reason.JOURNAL_UNAVAILABLE
    assert park.front.opened == []
    park.disk.full = False
    assert await park.front.show(code) is Reason.PASS_HELD


@park
async def test_who_walks_while_the_disk_is_full_is_written_once_there_is_room(park: World) -> None:
    """Nothing ends, nothing is lost: the passage, and that somebody forced the gate."""
    await park.front.show(holder("amber").code(park.now_s))
    park.disk.full = True
    await park.front.walk()
    park.front.gate.signal(GateSignal.FORCED)
    await asyncio.sleep(30)
    assert park.facts(Passed) == []
    park.disk.full = False
    await asyncio.sleep(3)
    assert len(park.facts(Passed)) == 1
    assert [fact.signal for fact in park.facts(GateReported)] == [GateSignal.FORCED]


@park
async def test_a_terminal_starts_on_a_full_disk_and_makes_room_by_uploading(park: World) -> None:
    """It refuses people, sends what it has, and says what it began with once it can."""
    park.network.up = False
    await park.front.show(holder("amber").code(park.now_s))
    park.disk.full = True
    await park.restart()
    assert await park.front.show(holder("birch").code(park.now_s)) is Reason.JOURNAL_UNAVAILABLE
    park.network.up = True
    await park.settled()
    assert len(park.facts(Started)) == 1
    park.disk.full = False
    await asyncio.sleep(3)
    assert (len(park.facts(Started)), len(park.facts(PassageUnknown))) == (2, 1)
    assert await park.front.show(holder("birch").code(park.now_s)) is Reason.PASS_HELD


@pytest.mark.parametrize("again_at", ["front", "rear"])
def test_annulled_granted_anew_and_walked_is_paid_once_whoever_walks_after(again_at: str, tmp_path: Path) -> None:
    """A stray passage within the late window takes nothing back: the code was granted anew meanwhile."""

    @park
    async def told(park: World) -> None:
        code = Phone("amber").code(park.now_s)
        await park.front.show(code)
        await asyncio.sleep(PASSAGE_S + 1)
        door = {"front": park.front, "rear": park.rear}[again_at]
        assert await door.show(code) is Reason.ADMITTED
        await door.walk()
        await park.front.walk()
        assert park.facts(LatePassage) == []
        assert [fact.signal for fact in park.facts(GateReported)] == [GateSignal.PASSAGE]
        assert len(park.facts(Passed)) == 1

    told(tmp_path)


@park
async def test_by_written_policy_a_full_disk_opens_and_records_nothing(park: World) -> None:
    """What this policy means is said in docs/limits.md."""
    park.open_when_unwritable = True
    await park.restart()
    park.disk.full = True
    await park.front.show(holder("amber").code(park.now_s))
    assert park.front.opened == [1]
    await park.front.show(Phone("birch", issuer=Phone().issuer).code(park.now_s - 3600))
    assert park.front.opened == [1]
    assert park.decisions(Verdict.GRANT) == []


@park
async def test_a_gate_that_holds_a_right_longer_than_we_wait_is_refused_at_the_start(park: World) -> None:
    """Or somebody annulled would walk in."""
    await park.cut_power()
    park.rear.gate.hold_s = PASSAGE_S
    with pytest.raises(DeviceError, match=r"hold_s 8 of lanes\.rear\.gate"):
        await park.start()
    park.rear.gate.hold_s = 5.0
    await park.start()


@park
async def test_a_pass_follows_the_replaced_card(park: World) -> None:
    """Bought for the old card's account, held by the new one's phone."""
    old, new = park.head.ref("ssc", b"old card"), park.head.ref("ssc", b"new card")
    park.head.aliases[old] = new
    park.head.passes[new] = (HeldProduct(product="park-annual", from_ms=0, until_ms=2_000_000_000_000),)
    await park.publish()
    assert await park.front.show(Wallet("amber", account_link=old).code(park.now_s)) is Reason.PASS_HELD
