"""Cards at a bus door and a park gate: what the card says is the truth, and money that was taken is honoured.

The law: nothing opens before a debit is known and written; nobody is charged twice; a card that left in the middle is
asked when it comes back, and what nobody can know is told as unknown.
"""

import asyncio

import msgspec
import pytest

from simulators.card import SimulatedCard, Trouble
from simulators.card_issuer import CardIssuer
from simulators.office_cards import debits, tac_holds
from simulators.parameters import CARDS
from simulators.phone import Phone
from simulators.purse import PurseApplication, PurseFiles
from terminal.core.card import Assurance, CardPlace, CardRules, Stage
from terminal.core.debit import DebitState
from terminal.core.entries import DebitIntended, DebitSettled, Decided
from terminal.core.lock import LockEnded, LockIntended
from terminal.core.model import HeldProduct, PassageMode, Reason, Tap, Verdict
from terminal.core.parameters import BlockScope
from tests.stories.test_fares import at, file, stand, under
from tests.stories.world import NOW_MS, Door, World, bus, park, story

ISSUER = CardIssuer()
SOCIAL = ("social_security_card",)
INITIALIZE = 0x50
panel = story("inquiry", PassageMode.ASSUMED)


def purse_card(name: str = "amber", **changes: object) -> tuple[SimulatedCard, PurseApplication]:
    purse = ISSUER.purse(name, **changes)
    return ISSUER.card(name, purse), purse


def trips(door: Door, station: str = "0001", stage: Stage = Stage.BOTH) -> None:
    """This door takes trips: boarding and alighting."""
    place = CardPlace(stage=stage, line="0007", station=station)
    door.cards = CardRules(accepts=("transit_purse",), place=place)


async def again(world: World) -> None:
    """The terminal is started anew, with what the doors are now."""
    await world.restart()


@bus
async def test_a_purse_pays_and_the_balance_is_told(bus: World) -> None:
    """One debit, one intention before it, one grant behind it; head office finds its certificate right."""
    card, purse = purse_card()
    assert await bus.front.tap(card) is Reason.PAID_BY_CARD
    assert bus.front.indicator.shown is not None
    assert bus.front.indicator.shown.zh == "刷卡成功 1.6元 余额48.4元"
    assert purse.files.balance_fen == 4840
    assert bus.front.opened == [1]
    (intended,), (granted,) = bus.facts(DebitIntended), bus.decisions(Verdict.GRANT)
    assert granted.debit is not None and granted.debit.proof.holds
    assert intended.debit.counter == 41 and intended.debit.amount_fen == 160
    kinds = [type(entry.fact) for entry in bus.written()]
    assert kinds.index(DebitIntended) < kinds.index(Decided)
    await bus.settled()
    (known,) = debits(bus.office, "T1")
    assert (known.state, known.granted) == ("done", True)
    assert tac_holds(known, ISSUER._bytes("tac", 16), purse.public_file)
    assert not tac_holds(known, bytes(16), purse.public_file)


@bus
async def test_what_is_on_it_and_was_it_charged(bus: World) -> None:
    """The driver asks: the card says what it holds, the vehicle what it took; asking costs nothing, once."""
    card, purse = purse_card()
    assert await bus.front.tap(card) is Reason.PAID_BY_CARD
    await asyncio.sleep(4)
    assert bus.terminal is not None and bus.terminal.commands is not None
    await bus.terminal.commands.ask("7", "charged", ())
    assert await bus.rear.tap(card) is Reason.ON_THE_CARD
    assert bus.rear.indicator.shown is not None
    assert bus.rear.indicator.shown.zh == "卡内余额48.4元 今日已扣1.6元"
    assert (bus.rear.opened, purse.files.balance_fen) == ([], 4840)
    await asyncio.sleep(4)
    assert await bus.rear.tap(card) is Reason.PAID_BY_CARD
    assert card.commands[2][1] == INITIALIZE  # nobody asks the balance of a card that pays


@panel
async def test_a_panel_tells_and_does_nothing_else(panel: World) -> None:
    """A reader and a display on a wall."""
    card, purse = purse_card(files=PurseFiles(balance_fen=1234))
    assert await panel.front.tap(card) is Reason.ON_THE_CARD
    assert await panel.rear.tap(ISSUER.card("amber", ISSUER.social_security("amber"))) is Reason.NOT_CHARGED_TODAY
    assert (panel.front.opened, purse.files.balance_fen, panel.facts(DebitIntended)) == ([], 1234, [])


@bus
async def test_asking_settles_nothing(bus: World) -> None:
    """A debit nobody heard the end of is asked about where its card can pass for it."""
    card, purse = purse_card()
    card.troubles = {3: Trouble.LEAVES_AFTER}
    assert await bus.front.tap(card) is Reason.PUT_CARD_BACK
    card.troubles = {}
    assert bus.terminal is not None and bus.terminal.commands is not None
    await bus.terminal.commands.ask("7", "charged", ())
    assert await bus.front.tap(card) is Reason.ON_THE_CARD
    assert (bus.front.opened, len(bus.facts(DebitSettled))) == ([], 1)
    assert await bus.front.tap(card) is Reason.PAID_BY_CARD
    assert (bus.front.opened, purse.files.balance_fen) == ([1], 4840)


async def listed(bus: World, purse: PurseApplication, *, locks: bool = True) -> None:
    """The purse is on the deny list; the operator wants it locked, or not."""
    assert CARDS.purse is not None
    bus.head.cards = msgspec.structs.replace(CARDS, purse=msgspec.structs.replace(CARDS.purse, lock_listed=locks))
    bus.head.block(bus.head.ref("tu", purse.number), BlockScope.PURSE)
    await bus.publish()


@bus
async def test_a_listed_purse_is_locked_on_the_card(bus: World) -> None:
    """The intention first, then the lock, then the refusal; the card says so itself from then on, at any reader."""
    card, purse = purse_card()
    await listed(bus, purse)
    assert await bus.front.tap(card) is Reason.BLOCKED
    assert purse.blocked and bus.front.opened == []
    kinds = [type(entry.fact) for entry in bus.written()][-3:]
    assert kinds == [LockIntended, LockEnded, Decided]
    (ended,) = bus.facts(LockEnded)
    assert (ended.state, ended.why) == (DebitState.DONE, "9000")
    await asyncio.sleep(4)
    assert await bus.rear.tap(card) is Reason.PURSE_LOCKED
    assert len(bus.facts(LockIntended)) == 1
    await bus.settled()


@bus
async def test_a_listed_purse_leaves_before_it_is_locked(bus: World) -> None:
    """Nobody knows, and it is told so; nobody waits for that card; it is locked when it comes back."""
    card, purse = purse_card()
    other, _ = purse_card("birch")
    await listed(bus, purse)
    card.troubles = {3: Trouble.LEAVES_BEFORE}
    assert await bus.front.tap(card) is Reason.BLOCKED
    assert await bus.front.tap(other) is Reason.PAID_BY_CARD
    card.troubles = {}
    assert await bus.front.tap(card) is Reason.BLOCKED
    assert [fact.state for fact in bus.facts(LockEnded)] == [DebitState.UNKNOWN, DebitState.DONE]
    assert purse.blocked and purse.files.balance_fen == 5000


@bus
async def test_a_listed_purse_is_only_refused(bus: World) -> None:
    """Where the operator does not want it locked, or there is no secure module to do it."""
    card, purse = purse_card()
    await listed(bus, purse, locks=False)
    assert await bus.front.tap(card) is Reason.BLOCKED
    await listed(bus, purse)
    bus.rear.has_module = False
    await again(bus)
    assert await bus.rear.tap(card) is Reason.BLOCKED
    assert (purse.blocked, bus.facts(LockIntended)) == (False, [])


@bus
async def test_a_listed_purse_lets_its_holder_out(bus: World) -> None:
    """Listed on the way: the exit opens, nothing is taken, nothing locked; the next boarding is refused, and locks."""
    trips(bus.front, "0001", Stage.ENTRY)
    trips(bus.rear, "0003", Stage.EXIT)
    await again(bus)
    card, purse = purse_card()
    assert await bus.front.tap(card) is Reason.BOARDED
    await listed(bus, purse)
    await asyncio.sleep(900)
    assert await bus.rear.tap(card) is Reason.EXIT_UNPAIRED
    await asyncio.sleep(5)
    assert await bus.rear.tap(card) is Reason.ALREADY_PAID
    assert (bus.rear.opened, purse.files.balance_fen, purse.blocked) == ([1, 1], 5000, False)
    (fact,) = bus.decisions(Verdict.GRANT_IN_DOUBT)
    assert (fact.tap, fact.charge is not None and fact.charge.amount_fen, fact.debit) == (Tap.ALIGHT, 0, None)
    assert await bus.front.tap(card) is Reason.BLOCKED
    assert (purse.blocked, bus.front.opened) == (True, [1])
    await bus.settled()


@bus
async def test_companions_ride_on_one_purse_and_the_same_card_lying_there_is_silence(bus: World) -> None:
    """A flat fare: each further tap is a companion, as many as the tariff says; flapping at the edge is none."""
    card, purse = purse_card()
    assert await bus.front.tap(card) is Reason.PAID_BY_CARD
    assert await bus.front.tap(card) is None
    said = []
    for _ in range(4):
        await asyncio.sleep(4)
        said.append(await bus.front.tap(card))
    assert said == [Reason.PAID_BY_CARD] * 3 + [Reason.COMPANIONS_USED]
    assert purse.files.balance_fen == 5000 - 4 * 160


@bus
async def test_own_use_only_asks_did_it_work(bus: World) -> None:
    """Where nobody may ride along, the same card on the same vehicle is answered "already paid", at either door."""
    assert CARDS.purse is not None
    alone = msgspec.structs.replace(
        CARDS.purse.products[0], pass_back=msgspec.structs.replace(CARDS.purse.products[0].pass_back, companions=0)
    )
    bus.head.cards = msgspec.structs.replace(CARDS, purse=msgspec.structs.replace(CARDS.purse, products=(alone,)))
    await bus.publish()
    card, purse = purse_card()
    assert await bus.front.tap(card) is Reason.PAID_BY_CARD
    await asyncio.sleep(4)
    assert await bus.rear.tap(card) is Reason.ALREADY_PAID
    assert purse.files.balance_fen == 4840


@bus
async def test_boarding_and_alighting_with_a_purse(bus: World) -> None:
    """The trip stands on the card: begun at the front door, ended at the rear one, two stops on."""
    trips(bus.front, "0001")
    trips(bus.rear, "0003")
    await again(bus)
    card, purse = purse_card()
    assert await bus.front.tap(card) is Reason.BOARDED
    assert purse.files.balance_fen == 5000
    await asyncio.sleep(600)
    assert await bus.rear.tap(card) is Reason.ALIGHTED_BY_CARD
    assert purse.files.balance_fen == 4700
    assert [record[0] for record in purse.files.trips] == [0x04, 0x03]


@bus
async def test_a_trip_is_kept_from_the_stop_where_the_bus_stands(bus: World) -> None:
    """The tariff names its stops for cards: what the card keeps and pays follows the bus, not the door."""
    trips(bus.front, "0009")
    trips(bus.rear, "0009")
    await again(bus)
    assert bus.terminal is not None and bus.terminal.commands is not None
    await bus.terminal.commands.ask("7", "sign-on", ("7",))
    card, purse = purse_card()
    for stop, door, reason in (("1", bus.front, Reason.BOARDED), ("2", bus.rear, Reason.ALIGHTED_BY_CARD)):
        await bus.terminal.commands.ask("7", "stop", (stop,))
        assert await door.tap(card) is reason
        await asyncio.sleep(600)
    assert purse.files.balance_fen == 5000 - 200
    assert [record[10:14].hex() for record in purse.files.trips] == ["00070002", "00070001"]


@bus
async def test_a_trip_of_another_vehicle_is_settled_first(bus: World) -> None:
    """By the operator's maximum, without discount; then this ride. Both amounts are told, two debits are written."""
    other = bytes.fromhex("03" + "0000990900000009" + "02000700010042" + "00" + "00000000" + "00001388")
    other += bytes.fromhex("20270115153000" + "5101" + "0000000051010001") + bytes(6)
    card, purse = purse_card(files=PurseFiles(trips=[other]))
    assert await bus.front.tap(card) is Reason.SETTLED_BY_CARD
    assert bus.front.indicator.shown is not None
    assert bus.front.indicator.shown.zh == "已补上次未下车刷卡 补6元 本次1.6元 余额42.4元"
    assert purse.files.balance_fen == 5000 - 600 - 160
    assert [fact.debit.grants for fact in bus.facts(DebitIntended)] == [False, True]


@bus
async def test_too_little_for_this_ride_after_the_last_one_was_settled(bus: World) -> None:
    """What was settled is settled; nobody boards on an empty purse."""
    other = bytes.fromhex("03" + "0000990900000009" + "02000700010042" + "00" + "00000000" + "00001388")
    other += bytes.fromhex("20270115153000" + "5101" + "0000000051010001") + bytes(6)
    card, purse = purse_card(files=PurseFiles(balance_fen=700, trips=[other]))
    assert await bus.front.tap(card) is Reason.BALANCE_SHORT
    assert (purse.files.balance_fen, bus.front.opened) == (100, [])
    assert [fact.state for fact in bus.facts(DebitSettled)] == [DebitState.DONE]


# --------------------------------------------------------------------------- torn


@bus
async def test_the_card_leaves_in_the_middle_and_comes_back(bus: World) -> None:
    """Put it back; meanwhile others wait. It was debited: it passes, and nothing more is taken."""
    card, purse = purse_card()
    other, _ = purse_card("birch")
    card.troubles = {3: Trouble.LEAVES_AFTER}
    assert await bus.front.tap(card) is Reason.PUT_CARD_BACK
    card.troubles = {}
    assert await bus.front.tap(other) is Reason.WAIT_FOR_CARD
    assert await bus.front.tap(card) is Reason.PAID_BY_CARD
    assert (purse.files.balance_fen, bus.front.opened) == (4840, [1])
    assert await bus.front.tap(other) is Reason.PAID_BY_CARD
    (unknown,) = bus.facts(DebitSettled)
    assert unknown.state is DebitState.UNKNOWN
    granted = bus.decisions(Verdict.GRANT)[0]
    assert granted.debit is not None and granted.debit.proof.how == "prove"


@bus
async def test_it_was_not_debited_and_pays_when_it_comes_back(bus: World) -> None:
    """The command never reached it: told so, then paid as usual."""
    card, purse = purse_card()
    card.troubles = {3: Trouble.LEAVES_BEFORE}
    assert await bus.front.tap(card) is Reason.PUT_CARD_BACK
    card.troubles = {}
    assert await bus.front.tap(card) is Reason.PAID_BY_CARD
    assert purse.files.balance_fen == 4840
    assert [fact.state for fact in bus.facts(DebitSettled)] == [DebitState.UNKNOWN, DebitState.NOT_DONE]


@bus
async def test_torn_at_boarding_and_back_at_the_exit(bus: World) -> None:
    """It had boarded after all: the exit ends the trip, and does not open for the boarding alone."""
    trips(bus.front, "0001")
    trips(bus.rear, "0003", Stage.EXIT)
    await again(bus)
    card, purse = purse_card()
    card.troubles = {4: Trouble.LEAVES_AFTER}
    assert await bus.front.tap(card) is Reason.PUT_CARD_BACK
    card.troubles = {}
    await asyncio.sleep(900)
    assert await bus.rear.tap(card) is Reason.ALIGHTED_BY_CARD
    assert (purse.files.balance_fen, [record[0] for record in purse.files.trips]) == (4700, [0x04, 0x03])
    assert [fact.state for fact in bus.facts(DebitSettled)] == [DebitState.UNKNOWN, DebitState.DONE]


@bus
async def test_a_boarding_the_driver_took_back_ends_no_trip(bus: World) -> None:
    """Who rides on all the same taps out as anybody: the trip stands on the card."""
    trips(bus.front, "0001")
    trips(bus.rear, "0003", Stage.EXIT)
    await again(bus)
    assert bus.terminal is not None and bus.terminal.commands is not None
    await bus.terminal.commands.ask("7", "sign-on", ("7",))
    card, purse = purse_card()
    assert await bus.front.tap(card) is Reason.BOARDED
    await bus.terminal.commands.ask("7", "void", ("asked for",))
    await asyncio.sleep(900)
    assert await bus.rear.tap(card) is Reason.ALIGHTED_BY_CARD
    assert purse.files.trips[0][0] == 0x04


@bus
async def test_several_torn_cards_are_remembered_across_a_restart(bus: World) -> None:
    """Each is asked when it comes back, in any order, at any door."""
    cards = [purse_card(name) for name in ("amber", "birch", "cedar")]
    for card, _ in cards:
        card.troubles = {3: Trouble.LEAVES_AFTER}
        assert await bus.front.tap(card) is Reason.PUT_CARD_BACK
        card.troubles = {}
        await asyncio.sleep(30)
    await bus.restart()
    for card, purse in reversed(cards):
        assert await bus.rear.tap(card) is Reason.PAID_BY_CARD
        assert purse.files.balance_fen == 4840
    assert len(bus.rear.opened) == 3


@bus
async def test_the_card_never_comes_back(bus: World) -> None:
    """Others are served again after a while; head office is told that nobody knows, and gives nothing back."""
    card, _ = purse_card()
    other, _ = purse_card("birch")
    card.troubles = {3: Trouble.LEAVES_AFTER}
    await bus.front.tap(card)
    await asyncio.sleep(21)
    assert await bus.front.tap(other) is Reason.PAID_BY_CARD
    await bus.settled()
    assert [debit.state for debit in debits(bus.office, "T1")] == ["unknown", "done"]


@bus
async def test_a_debit_whose_entry_found_no_room(bus: World) -> None:
    """The disk filled up between intention and end: shut, and written once there is room; the card then passes."""
    card, purse = purse_card()
    original = card.applications[0].answer

    def fill(apdu: object) -> bytes | None:
        answer = original(apdu)  # type: ignore[arg-type]  # the application's own
        bus.disk.full = bool(purse.files.counter == 42)
        return answer

    card.applications[0].answer = fill  # type: ignore[method-assign]  # the disk fills at the debit
    assert await bus.front.tap(card) is Reason.JOURNAL_UNAVAILABLE
    card.applications[0].answer = original  # type: ignore[method-assign]
    assert bus.front.opened == []
    bus.disk.full = False
    await asyncio.sleep(5)
    assert await bus.front.tap(card) is Reason.PAID_BY_CARD
    assert (purse.files.balance_fen, bus.front.opened) == (4840, [1])


@bus
async def test_the_module_falls_out(bus: World) -> None:
    """Before the debit nothing is taken; behind it the ride stands, in doubt. Back in its slot it is asked anew."""
    card, purse = purse_card()
    bus.front.module.plugged = False
    assert await bus.front.tap(card) is Reason.MODULE_UNAVAILABLE
    assert purse.files.balance_fen == 5000
    bus.front.module.plugged = True
    await asyncio.sleep(3)
    card.on_command = lambda command: setattr(bus.front.module, "plugged", command[:2] != b"\x80\x54")
    assert await bus.front.tap(card) is Reason.PAID_BY_CARD
    assert [fact.verdict for fact in bus.facts(Decided)] == [Verdict.DENY, Verdict.GRANT_IN_DOUBT]


# --------------------------------------------------------------------------- one account, several media


@bus
async def test_identity_is_blocked_on_card_and_phone_while_the_purse_pays(bus: World) -> None:
    """The operator's rule: a lost card stops its identity everywhere; its purse is bearer money."""
    bus.rear.cards = CardRules(accepts=SOCIAL)
    await again(bus)
    card = ISSUER.card("amber")
    number = ISSUER.social_security("amber").identification
    phone = Phone("amber", account_link=bus.head.ref("ssc", number))
    assert await bus.rear.tap(card) is Reason.PAID
    bus.head.block(bus.head.ref("ssc", number), BlockScope.IDENTITY, BlockScope.PAYMENT, BlockScope.PASS, lost=True)
    await bus.publish()
    await asyncio.sleep(4)
    assert await bus.rear.tap(card) is Reason.REPORTED_LOST
    assert await bus.rear.show(phone.code(bus.now_s)) is Reason.REPORTED_LOST
    assert await bus.front.tap(card) is Reason.PAID_BY_CARD


@bus
async def test_in_with_the_physical_card_out_with_the_linked_phone(bus: World) -> None:
    """The card proves itself to the secure module; the phone's issuer linked it to the same account."""
    bus.front.cards = CardRules(accepts=SOCIAL)
    await again(bus)
    await under(bus, file("beijing-bus"), at("0"))
    identity = ISSUER.social_security("amber")
    phone = Phone("amber", account_link=bus.head.ref("ssc", identity.identification))
    assert await bus.front.tap(ISSUER.card("amber", identity)) is Reason.BOARDED
    await asyncio.sleep(1200)
    stand(bus, at("15.1"))
    assert await bus.rear.show(phone.code(bus.now_s)) is Reason.ALIGHTED
    boarded, alighted = bus.decisions(Verdict.GRANT)
    assert boarded.assurance is Assurance.AUTHENTICATED
    assert boarded.account_ref == alighted.account_ref
    assert alighted.charge is not None and alighted.charge.amount_fen == 200  # half price on the app, 15.1 km


@bus
async def test_the_same_person_by_card_and_phone(bus: World) -> None:
    """The card's account is the phone's: own use only means both."""
    bus.front.cards = CardRules(accepts=SOCIAL)
    await again(bus)
    number = ISSUER.social_security("amber").identification
    phone = Phone("amber", card_type="02", account_link=bus.head.ref("ssc", number))
    card = ISSUER.card("amber", ISSUER.social_security("amber"))
    assert await bus.front.tap(card) is Reason.PAID
    (granted,) = bus.decisions(Verdict.GRANT)
    assert granted.assurance is Assurance.AUTHENTICATED
    assert await bus.front.show(phone.code(bus.now_s)) is Reason.TOO_SOON


@park
async def test_a_replaced_card_keeps_its_pass_and_its_history(park: World) -> None:
    """The pass was bought on the old card; the alias carries it, and the half hour between two entries, to the new."""
    for door in (park.front, park.rear):
        door.cards = CardRules(accepts=SOCIAL)
    old, new = ISSUER.social_security("old"), ISSUER.social_security("new")
    before, after = park.head.ref("ssc", old.identification), park.head.ref("ssc", new.identification)
    year = HeldProduct(product="park-annual", from_ms=NOW_MS - 1, until_ms=NOW_MS + 86_400_000)
    park.head.passes[before] = (year,)
    await again(park)
    await park.publish()
    assert await park.front.tap(ISSUER.card("old", old)) is Reason.PASS_HELD
    await park.front.walk()
    park.head.aliases[before] = after
    await park.publish()
    await asyncio.sleep(1900)
    assert await park.front.tap(ISSUER.card("new", new)) is Reason.PASS_HELD
    await park.front.walk()
    await asyncio.sleep(60)
    assert await park.rear.tap(ISSUER.card("new", new)) is Reason.TOO_SOON


@park
async def test_a_purse_at_a_gate_nobody_walked_through(park: World) -> None:
    """Money cannot be taken back: the same card passes again for what it paid."""
    card, purse = purse_card()
    assert await park.front.tap(card) is Reason.PAID_BY_CARD
    await asyncio.sleep(20)
    assert await park.front.tap(card) is Reason.ALREADY_PAID
    await park.front.walk()
    assert purse.files.balance_fen == 4000
    await asyncio.sleep(20)
    assert await park.front.tap(card) is Reason.PAID_BY_CARD
    assert purse.files.balance_fen == 3000


@pytest.mark.parametrize("fitted", [True, False])
def test_a_copy_is_taken_where_the_site_says_so(fitted: bool) -> None:
    """Without a secure module a card is static data: refused for a fare, and the entry says what it was."""
    from tests.stories import world as stories

    @stories.bus
    async def told(bus: World) -> None:
        bus.front.has_module, bus.front.cards = fitted, CardRules(accepts=SOCIAL)
        await again(bus)
        said = await bus.front.tap(ISSUER.card("amber", ISSUER.social_security("amber")))
        assert said is (Reason.PAID if fitted else Reason.CARD_UNPROVEN)
        (decided,) = bus.facts(Decided)
        assert decided.assurance is (Assurance.AUTHENTICATED if fitted else Assurance.STATIC)

    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as place:
        told(Path(place))
