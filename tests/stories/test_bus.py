"""On a bus without a barrier: one ride is paid once, however often it is shown, and a lost card takes its phone along.

The law: a code is charged once on the vehicle it was used on, also after a power cut; a block reaches every linked
medium at the next tap after its list is in force, and leaves it the same way.
"""

import asyncio

from simulators.phone import Phone
from simulators.token_issuer import Wallet
from terminal.core.entries import Decided, DenialsSummed, ParametersChanged, Stopped
from terminal.core.model import Reason, Verdict
from terminal.core.parameters import BlockScope
from tests.stories.world import World, bus


@bus
async def test_one_code_at_two_doors_in_the_same_millisecond_opens_one(bus: World) -> None:
    """The other door waits until the first one's entry is written, then answers kindly; one charge."""
    code = Phone("amber").code(bus.now_s)
    bus.front.reader.show(code)
    bus.rear.reader.show(code)
    await asyncio.sleep(1)
    assert (bus.front.says, bus.rear.says) == (Reason.PAID, Reason.GATE_BUSY)
    assert (bus.front.opened, bus.rear.opened) == ([1], [])
    assert await bus.rear.show(code) is Reason.ALREADY_PAID
    assert bus.charged_fen() == 200


@bus
async def test_did_it_work_is_answered_with_already_paid(bus: World) -> None:
    """Silence while the code lies there; asked again later: already paid, no second charge."""
    code = Phone("amber").code(bus.now_s)
    assert await bus.front.show(code) is Reason.PAID
    assert await bus.front.show(code) is None
    await asyncio.sleep(4)
    assert await bus.front.show(code) is Reason.ALREADY_PAID
    assert await bus.rear.show(code) is Reason.ALREADY_PAID
    assert bus.charged_fen() == 200


@bus
async def test_a_power_cut_does_not_make_a_ride_cost_twice(bus: World) -> None:
    """The journal remembers what memory forgot."""
    code = Phone("amber").code(bus.now_s)
    await bus.front.show(code)
    await bus.restart()
    assert await bus.front.show(code) is Reason.ALREADY_PAID
    assert bus.charged_fen() == 200


@bus
async def test_a_clean_restart_forgets_nothing_either(bus: World) -> None:
    """Told to stop, started again: the same code is still paid."""
    code = Phone("amber").code(bus.now_s)
    await bus.front.show(code)
    await bus.stop()
    await bus.start()
    assert await bus.front.show(code) is Reason.ALREADY_PAID
    assert bus.charged_fen() == 200


@bus
async def test_the_ignition_goes_off_in_the_middle_of_a_tap(bus: World) -> None:
    """The tap is finished, everything is sent, the terminal says why it stopped; later codes are not begun."""
    bus.front.reader.show(Phone("amber").code(bus.now_s))
    await asyncio.sleep(0)
    bus.ignition.off.set()
    await bus.ended()
    assert bus.front.opened == [1]
    assert [fact.why for fact in bus.facts(Stopped)] == ["power lost"]
    assert bus.office.status()["records"] == len(bus.written())


@bus
async def test_without_head_office_stopping_does_not_wait_for_ever(bus: World) -> None:
    """The supply does not hold up for long; what is left is sent after the next start."""
    bus.network.up = False
    await bus.front.show(Phone("amber").code(bus.now_s))
    began = bus.now_s
    bus.ignition.off.set()
    await bus.ended()
    assert bus.now_s - began <= 6
    bus.network.up, bus.ignition.off = True, asyncio.Event()
    await bus.start()
    await bus.settled()
    assert bus.office.status()["records"] == len(bus.written())


@bus
async def test_companions_ride_on_one_phone_as_often_as_the_tariff_says(bus: World) -> None:
    """An adult and three companions, each charged; a student rides alone."""
    adult, student = Phone("amber"), Phone("birch", card_type="02")
    said = []
    for _ in range(5):
        said.append(await bus.front.show(adult.code(bus.now_s)))
        await asyncio.sleep(2)
    assert said == [Reason.PAID] * 4 + [Reason.COMPANIONS_USED]
    assert await bus.front.show(student.code(bus.now_s)) is Reason.PAID
    await asyncio.sleep(2)
    assert await bus.front.show(student.code(bus.now_s)) is Reason.TOO_SOON


@bus
async def test_a_phone_is_blocked_because_the_card_was_lost_and_rides_again_after_the_unblock(bus: World) -> None:
    """The card's account is the phone's account; each entry shows the list it was judged by."""
    account = bus.head.ref("ssc", b"a card")
    phone = Phone("amber", account_link=account)
    assert await bus.front.show(phone.code(bus.now_s)) is Reason.PAID
    bus.head.block(account, lost=True)
    await bus.publish()
    assert await bus.front.show(phone.code(bus.now_s)) is Reason.REPORTED_LOST
    bus.head.blocks.clear()
    await bus.publish()
    assert await bus.front.show(phone.code(bus.now_s)) is Reason.PAID
    versions = [fact.evidence.versions["deny"] for fact in bus.facts(Decided)]
    assert versions == [1, 2, 3]
    assert [fact.version for fact in bus.facts(ParametersChanged)] == [1, 2, 3]


@bus
async def test_a_replaced_card_takes_its_account_along(bus: World) -> None:
    """The phone was linked to the old card's account; the new card's block reaches it through the alias."""
    old, new = bus.head.ref("ssc", b"old card"), bus.head.ref("ssc", b"new card")
    phone, stranger = Phone("amber", account_link=old), Phone("birch")
    bus.head.aliases[old] = new
    bus.head.block(new, BlockScope.PAYMENT)
    await bus.publish()
    assert await bus.front.show(phone.code(bus.now_s)) is Reason.BLOCKED
    assert await bus.front.show(stranger.code(bus.now_s)) is Reason.PAID


@bus
async def test_a_senior_pass_does_not_stand_on_payment(bus: World) -> None:
    """A payment block leaves a concession that stands on identity alone."""
    account = bus.head.ref("ssc", b"a card")
    bus.head.block(account, BlockScope.PAYMENT)
    await bus.publish()
    assert (
        await bus.front.show(Phone("amber", card_type="03", account_link=account).code(bus.now_s)) is Reason.CONCESSION
    )
    assert await bus.front.show(Phone("birch", account_link=account).code(bus.now_s)) is Reason.BLOCKED


@bus
async def test_what_only_a_network_can_tell_is_referred(bus: World) -> None:
    """Nothing opens, and the display says why."""
    said = await bus.front.show(b"6225000000000000000")
    assert (said, bus.front.opened) == (Reason.ONLINE_ONLY_PAYMENT, [])
    assert [fact.reason for fact in bus.decisions(Verdict.REFER)] == [Reason.ONLINE_ONLY_PAYMENT]


@bus
async def test_a_card_token_of_a_student_rides_for_less(bus: World) -> None:
    """Age, residence and study are the issuer's word."""
    assert await bus.front.show(Wallet("amber", student_until=2_000_000_000).code(bus.now_s)) is Reason.PAID
    assert bus.charged_fen() == 100


@bus
async def test_a_flood_of_rubbish_is_counted_not_written_one_by_one(bus: World) -> None:
    """Five denials a second are entries of their own; the rest are one entry with a number."""
    for number in range(100):
        bus.front.reader.show(b"rubbish %d" % number)
        await asyncio.sleep(0.02)
    await asyncio.sleep(3)
    told = len(bus.decisions(Verdict.DENY))
    summed = sum(sum(fact.counts.values()) for fact in bus.facts(DenialsSummed))
    assert told <= 15
    assert told + summed == 100
