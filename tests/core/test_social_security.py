"""The social security card: what is read of it, in how few commands, and what proves it is no copy."""

import msgspec
import pytest

from simulators.card import SimulatedCard
from simulators.purse_keys import Algorithm
from terminal.core import cards
from terminal.core.accounts import refs
from terminal.core.card import Assurance
from terminal.core.cards import social_security, uid_card
from terminal.core.cards.apdu import Conversation
from terminal.core.cards.reading import Refused, one_use
from terminal.core.model import Credential, Medium, Reason, Refusal
from terminal.core.parameters import SocialSecurityRules
from tests.core.card_talk import ISSUER, Scripted, talk, visit
from tests.core.cases import instant, ref

RULES = SocialSecurityRules()


def claim(card: SimulatedCard, rules: SocialSecurityRules = RULES, **changes: object) -> Credential | Refusal:
    """What comes of reading this card, with a module unless said otherwise."""
    found = talk(
        cards.read((social_security.NAME,), card.uid, visit(None, rules, **changes)),  # type: ignore[arg-type]
        card,
        ISSUER.module() if changes.get("has_module", True) else None,
    )
    return found.claim


def holder(**changes: object) -> SimulatedCard:
    return ISSUER.card("amber", ISSUER.social_security("amber", **changes))


@pytest.mark.parametrize("version", ["1.00", "2.00", "3.00"])
@pytest.mark.parametrize("short", [False, True])
def test_every_generation_is_read(version: str, short: bool) -> None:
    """Also one that announces its answers and wants their length exactly."""
    card = ISSUER.card("amber", ISSUER.social_security("amber", version=version), short=short)
    found = claim(card)
    assert isinstance(found, Credential)
    assert (found.assurance, found.medium, found.issuer) == (Assurance.AUTHENTICATED, Medium.CARD, "510100")
    identification = ISSUER.social_security("amber").identification
    assert found.medium_refs == refs("ssc", identification, visit().parameters)
    assert found.account_link == found.medium_refs[0]


def test_without_a_module_it_is_static_and_takes_four_commands() -> None:
    """Select, code, version, validity: nothing more is needed, and nothing of the holder is asked."""
    card = holder()
    found = claim(card, has_module=False)
    assert isinstance(found, Credential)
    assert found.assurance is Assurance.STATIC
    assert [command.hex()[:8] for command in card.commands] == ["00a40400", "00b2012c", "00b2032c", "00b2062c"]


@pytest.mark.parametrize("p1", [0x02, 0x00])
def test_both_forms_of_select(p1: int) -> None:
    """A card without short identifiers has its file selected, in whichever form it knows."""
    card = holder(short_identifiers=False, select_p1=(p1,))
    assert isinstance(claim(card), Credential)
    assert any(command[:3] == bytes((0x00, 0xA4, p1)) for command in card.commands)


def test_the_link_table_says_whose_account_it_is() -> None:
    """Where the issuer linked the card, the link counts and not the card itself."""
    identification = ISSUER.social_security("amber").identification
    asked = visit(None)
    linked = msgspec.structs.replace(
        asked.parameters, link_of={refs("ssc", identification, asked.parameters)[0]: ref("account")}
    )
    asked = msgspec.structs.replace(asked, parameters=linked)
    found = talk(cards.read((social_security.NAME,), b"", asked), holder(), ISSUER.module())
    assert isinstance(found.claim, Credential)
    assert found.claim.account_link is None


@pytest.mark.parametrize("data_first", [False, True])
@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_the_order_of_the_sixteen_bytes_is_data(data_first: bool, algorithm: Algorithm) -> None:
    """No text says which half comes first: the issuer's row does. Both ciphers."""
    issuer = type(ISSUER)(algorithm=algorithm)
    rules = SocialSecurityRules(data_first=data_first)
    for card_order in (False, True):
        card = issuer.card("amber", issuer.social_security("amber", data_first=card_order))
        found = talk(social_security_read(rules), card, issuer.module())
        right = isinstance(found.claim, Credential)
        assert right == (card_order == data_first)


def social_security_read(rules: SocialSecurityRules) -> Conversation[cards.CardRead]:
    return cards.read((social_security.NAME,), b"", visit(None, rules))


@pytest.mark.parametrize(
    ("sentence", "card", "rules", "reason"),
    [
        ("expired", holder(expires="20270114"), RULES, Reason.CARD_EXPIRED),
        ("another version", holder(version="4.00"), RULES, Reason.NOT_ACCEPTED_HERE),
        ("another region", holder(), SocialSecurityRules(regions=("310000",)), Reason.ISSUER_NOT_ACCEPTED),
        ("a copy without the key", holder(key=bytes(16)), RULES, Reason.CARD_NOT_GENUINE),
        ("no such application", ISSUER.card("amber", ISSUER.purse("amber")), RULES, Reason.NOT_ACCEPTED_HERE),
        ("the site takes none", holder(), None, Reason.NOT_ACCEPTED_HERE),
        ("its file cannot be selected", holder(short_identifiers=False, select_p1=()), RULES, Reason.CARD_UNREADABLE),
        ("a wrong tag", Scripted(holder(), {1: "0210" + "00" * 16 + "9000"}), RULES, Reason.CARD_UNREADABLE),
        ("a length past the end", Scripted(holder(), {1: "0111" + "00" * 16 + "9000"}), RULES, Reason.CARD_UNREADABLE),
        ("a refused record", Scripted(holder(), {2: "6982"}), RULES, Reason.CARD_UNREADABLE),
        ("nothing at all", Scripted(holder(), {2: ""}), RULES, Reason.CARD_UNREADABLE),
        ("a date of no digits", Scripted(holder(), {3: "0604" + "2027abcd" + "9000"}), RULES, Reason.CARD_UNREADABLE),
        ("another answer", Scripted(holder(), {4: "00" * 8 + "9000"}), RULES, Reason.CARD_NOT_GENUINE),
        ("no answer to the proof", Scripted(holder(), {4: "6985"}), RULES, Reason.CARD_NOT_GENUINE),
        ("half a record", Scripted(holder(), {1: "01109000"}), RULES, Reason.CARD_UNREADABLE),
    ],
)
def test_refusals(sentence: str, card: SimulatedCard, rules: SocialSecurityRules | None, reason: Reason) -> None:
    """Each with its own reason."""
    found = claim(card, rules)  # type: ignore[arg-type]
    assert isinstance(found, Refusal), sentence
    assert found.reason is reason, sentence


def test_a_module_that_is_silent_or_has_no_key() -> None:
    """It is ours, not the card's, that is wrong."""
    for module in (None, type(ISSUER)(seed=1).module()):
        found = talk(cards.read((social_security.NAME,), b"", visit(None)), holder(), module)
        assert isinstance(found.claim, Refusal)
        expected = Reason.MODULE_UNAVAILABLE if module is None else Reason.CARD_NOT_GENUINE
        assert found.claim.reason is expected
    wrong = SocialSecurityRules(key_usage=0x01)
    found = talk(cards.read((social_security.NAME,), b"", visit(None, wrong)), holder(), ISSUER.module())
    assert isinstance(found.claim, Refusal) and found.claim.reason is Reason.MODULE_UNAVAILABLE


def test_the_first_application_the_card_has_speaks() -> None:
    """No command is spent on those behind it; a bare number comes last."""
    both = ISSUER.card("amber")
    names = ("transit_purse", social_security.NAME, uid_card.NAME)
    found = talk(cards.read(names, both.uid, visit()), both, ISSUER.module())
    assert isinstance(found.claim, Credential) and found.claim.format == "transit_purse"
    plain = ISSUER.plain("amber")
    found = talk(cards.read(names, plain.uid, visit()), plain, ISSUER.module())
    assert isinstance(found.claim, Credential) and found.claim.format == uid_card.NAME


@pytest.mark.parametrize(
    ("sentence", "uid", "claimed"),
    [
        ("seven bytes", "04aabbccddeeff", Assurance.WEAK),
        ("four bytes", "12aabbcc", Assurance.WEAK),
        ("made up anew each time", "08aabbcc", Reason.NOT_ACCEPTED_HERE),
        ("the reader gave none", "", Reason.NOT_ACCEPTED_HERE),
    ],
)
def test_a_bare_number(sentence: str, uid: str, claimed: object) -> None:
    """Weak at best; a random one is none."""
    found = talk(cards.read((uid_card.NAME,), bytes.fromhex(uid), visit()), None).claim
    said = found.assurance if isinstance(found, Credential) else found.reason
    assert said is claimed, sentence


def test_two_taps_are_two_uses_also_while_time_stands_still() -> None:
    """The clock stands behind the journal, whose last time is used: a second tap is not the first one again."""
    first, second = (one_use((ref("amber"),), instant(monotonic_ns=ns)) for ns in (1, 2))
    assert first != second
    assert first == one_use((ref("amber"),), instant(monotonic_ns=1))


def test_a_refusal_says_its_reason() -> None:
    """For whoever reads a trace."""
    assert str(Refused(Reason.CARD_EXPIRED)) == "card_expired"
