"""At the door of an event: identities are presented, attendance is recorded, nobody is kept out by a list.

The law: head office counts one attendance a day and account, whatever was held out, however often, and across a power
cut.
"""

import asyncio

import cbor2

from simulators.phone import Phone
from simulators.token_issuer import Wallet
from terminal.core.model import HeldProduct, PassageMode, Reason
from terminal.core.parameters import BlockScope, Condition, Product, Tariff
from tests.stories.world import World, story

door = story("check_in", PassageMode.ASSUMED)
CONGRESS = Product(
    id="congress",
    services=("check_in",),
    fare_fen=0,
    fare_type="attendance",
    who=(Condition(held="congress"),),
    scopes=(BlockScope.IDENTITY,),
)


def attended(world: World) -> int:
    """How many attendances head office counts, from the bytes it holds."""
    facts = [cbor2.loads(data)["fact"] for (data,) in world.office.db.execute("SELECT data FROM records")]
    effects = [effect for fact in facts for effect in fact.get("effects", ())]
    return sum(effect["count"] for effect in effects if effect.get("id") == "attended:congress")


@door
async def test_a_morning_at_the_door(door: World) -> None:
    """By card token, again by the linked phone, somebody who is not on the list, and a power cut in between."""
    account = door.head.ref("ssc", b"a card")
    door.head.tariff = Tariff(products=(CONGRESS,))
    door.head.passes = {account: (HeldProduct(product="congress", from_ms=0, until_ms=2_200_000_000_000),)}
    await door.publish()
    wallet, phone = Wallet("birch", account_link=account), Phone("amber", account_link=account)
    assert await door.front.show(wallet.code(door.now_s)) is Reason.CHECKED_IN
    assert door.front.opened == [1]
    assert await door.rear.show(Phone("stranger").code(door.now_s)) is Reason.NOT_INVITED
    assert door.rear.opened == []
    await door.restart()
    await asyncio.sleep(600)
    assert await door.rear.show(phone.code(door.now_s)) is Reason.CHECKED_IN_BEFORE
    assert door.rear.opened == [1]
    await door.settled()
    assert (attended(door), door.charged_fen()) == (1, 0)
    await asyncio.sleep(24 * 3600)
    assert await door.front.show(phone.code(door.now_s)) is Reason.CHECKED_IN
    await door.settled()
    assert attended(door) == 2
