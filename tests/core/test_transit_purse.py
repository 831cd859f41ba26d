"""Reading a transit purse: every refusal has its reason, and no command is spent that need not be."""

import msgspec
import pytest

from simulators.card import SimulatedCard
from simulators.purse import PurseFiles
from terminal.core import cards
from terminal.core.cards.transit_purse import NAME, trip_of_state
from terminal.core.model import Credential, Reason, Refusal
from terminal.core.parameters import PurseRules
from tests.core.card_talk import ISSUER, PURSE, Scripted, talk, visit

ENTRY = bytes.fromhex("0300005101000000010200070001004200000000000000138820270115160000")
ENTRY += bytes.fromhex("51010000000051010001") + bytes(6)
ROAMING = msgspec.structs.replace(PURSE, home_issuers=())


def purse_card(**changes: object) -> SimulatedCard:
    return ISSUER.card("amber", ISSUER.purse("amber", **changes))


def claim(card: SimulatedCard, rules: PurseRules | None = PURSE) -> Credential | Refusal:
    return talk(cards.read((NAME,), card.uid, visit(rules)), card).claim


def test_a_purse_from_here_takes_two_commands() -> None:
    """EF15 came with the selection; the trip is the only other thing that matters."""
    card = purse_card()
    found = claim(card)
    assert isinstance(found, Credential) and found.card is not None
    assert (found.issuer, found.card.trip) == ("01045100", None)
    assert [command.hex()[:8] for command in card.commands] == ["00a40400", "00b201f4"]


def test_one_from_elsewhere_takes_three() -> None:
    """Whether it may be used outside its own city stands in EF17."""
    card = purse_card()
    assert isinstance(claim(card, ROAMING), Credential)
    assert [command.hex()[:8] for command in card.commands] == ["00a40400", "00b09700", "00b201f4"]


@pytest.mark.parametrize(
    ("sentence", "p1", "said", "balance_fen"),
    [
        ("without its overdraft", 0x03, None, 5000),
        ("with it, where the operator's cards are asked so", 0x00, None, 5800),
        ("bit 31 is no money", 0x03, "80001388 9000", 5000),
        ("a card that does not say", 0x03, "6d00", None),
        ("half an answer", 0x03, "1388 9000", None),
    ],
)
def test_the_balance_is_asked_only_by_who_wants_to_know(
    sentence: str, p1: int, said: str | None, balance_fen: int | None
) -> None:
    """One command more, its P1 by the operator's agreement; a card that does not tell it is read all the same."""
    card = Scripted(purse_card(overdraft_fen=800), {} if said is None else {2: said})
    wanted = msgspec.structs.replace(visit(msgspec.structs.replace(PURSE, balance_p1=p1)), asks_balance=True)
    found = talk(cards.read((NAME,), card.uid, wanted), card).claim
    assert isinstance(found, Credential) and found.card is not None
    assert found.card.balance_fen == balance_fen, sentence
    assert [command.hex() for command in card.commands[2:]] == [f"805c{p1:02x}0204"]


@pytest.mark.parametrize(
    ("sentence", "card", "rules", "reason"),
    [
        ("locked", purse_card(blocked=True), PURSE, Reason.PURSE_LOCKED),
        ("not activated", purse_card(activated=False), PURSE, Reason.PURSE_NOT_ACTIVE),
        ("not yet valid", purse_card(starts="20270116"), PURSE, Reason.PURSE_NOT_ACTIVE),
        ("expired", purse_card(expires="20270114"), PURSE, Reason.PURSE_EXPIRED),
        ("from a city that does not roam", purse_card(interoperable=False), ROAMING, Reason.PURSE_NOT_ROAMING),
        ("no purse on it", ISSUER.card("amber", ISSUER.social_security("amber")), PURSE, Reason.NOT_ACCEPTED_HERE),
        ("the site takes none", purse_card(), None, Reason.NOT_ACCEPTED_HERE),
        ("no EF15 in the answer", Scripted(purse_card(), {0: "6f00 9000"}), PURSE, Reason.CARD_UNREADABLE),
        ("half an EF17", Scripted(purse_card(), {1: "0102 9000"}), ROAMING, Reason.CARD_UNREADABLE),
        ("half a trip", Scripted(purse_card(), {1: "0302 9000"}), PURSE, Reason.CARD_UNREADABLE),
        ("a trip of no date", Scripted(purse_card(), {1: "03" + "aa" * 47 + "9000"}), PURSE, Reason.CARD_UNREADABLE),
        ("a refused trip", Scripted(purse_card(), {1: "6982"}), PURSE, Reason.CARD_UNREADABLE),
    ],
)
def test_refusals(sentence: str, card: SimulatedCard, rules: PurseRules | None, reason: Reason) -> None:
    """Each with its own reason."""
    found = claim(card, rules)
    assert isinstance(found, Refusal), sentence
    assert found.reason is reason, sentence


def test_an_open_trip() -> None:
    """What the card says of where and when it began."""
    found = claim(purse_card(files=PurseFiles(trips=[ENTRY])))
    assert isinstance(found, Credential) and found.card is not None and found.card.trip is not None
    trip = found.card.trip
    assert (trip.terminal, trip.line, trip.station) == ("0000510100000001", "0007", "0001")
    assert (trip.at, trip.city, trip.acquirer) == ("20270115160000", "5101", "0000000051010001")


def test_an_ended_trip_is_none() -> None:
    """Only the newest record counts."""
    found = claim(purse_card(files=PurseFiles(trips=[b"\x04" + ENTRY[1:], ENTRY])))
    assert isinstance(found, Credential) and found.card is not None and found.card.trip is None


def test_where_the_trip_is_kept_is_regional() -> None:
    """EF1A instead of EF1E; a fresh card's record is all zero, and a wrong checksum is no trip."""
    card = purse_card()
    found = claim(card, msgspec.structs.replace(PURSE, state_file="1a"))
    assert isinstance(found, Credential) and found.card is not None
    assert (found.card.trip, len(found.card.state)) == (None, 128)
    assert card.commands[-1].hex() == "00b201d480"
    assert trip_of_state(bytes(14) + b"\x01" + bytes(113)) is None
