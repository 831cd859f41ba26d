"""The social security card: its identification code, version and validity; and the proof that it is no copy.

Laws of this file:
- Name and citizen number are not read. Third-generation cards give no more than this without authentication anyway.
- What is read is static and can be copied: only INTERNAL AUTHENTICATE, checked by a secure module, says the card is
  genuine. The credential says which of the two it is; a site's policy says which services take which.
- As few commands as there can be: records by short file identifier where the card knows that, else SELECT EF in both
  forms of the field.
"""

from terminal.core import accounts
from terminal.core.card import Assurance
from terminal.core.cards.apdu import NOT_FOUND, Conversation, ask_card, ask_module, command
from terminal.core.cards.reading import CardRead, Refused, Visit, digits, needed, one_use, refusal
from terminal.core.model import Credential, Medium, Reason, Refusal
from terminal.core.parameters import ParameterSet, SocialSecurityRules

NAME = "social_security_card"
AID = bytes.fromhex("7378312e73682ec9e7bbe1b1a3d5cf")  # "sx1.sh." and 社会保障 in GBK
EF05 = b"\xef\x05"
IDENTIFICATION, VERSION, EXPIRES = 0x01, 0x03, 0x06  # items of EF05, by tag
SIZES = {IDENTIFICATION: 16, VERSION: 4, EXPIRES: 4}
BY_SHORT_IDENTIFIER, BY_TAG = 0x2C, 0x00


def read(visit: Visit) -> Conversation[CardRead | None]:
    """Read and, where a secure module is fitted, prove the card in the field. Raises Refused."""
    rules = visit.parameters.cards.social_security
    if rules is None:
        return None
    if not (yield from ask_card(command(0x00, 0xA4, 0x04, 0x00, AID))).good:
        return None
    identification, reference = yield from _identification(rules)
    version = (yield from _item(VERSION, reference)).decode("ascii", "replace")
    expires = digits((yield from _item(EXPIRES, reference)))
    reason = _not_taken(rules, identification, version, expires, visit.today)
    if reason is not None:
        return CardRead(payload=identification, claim=refusal(reason, NAME))
    assurance = Assurance.STATIC
    if visit.has_module:
        yield from _prove(rules, identification)
        assurance = Assurance.AUTHENTICATED
    return CardRead(payload=identification, claim=_credential(identification, assurance, visit))


# --------------------------------------------------------------------------- reading


def _identification(rules: SocialSecurityRules) -> Conversation[tuple[bytes, int]]:
    """The identification code, and how this card's records are asked for."""
    size = SIZES[IDENTIFICATION]
    first = yield from ask_card(command(0x00, 0xB2, IDENTIFICATION, BY_SHORT_IDENTIFIER, le=2 + size))
    if first.sw not in NOT_FOUND:
        return _value(IDENTIFICATION, needed(first)), BY_SHORT_IDENTIFIER
    for p1 in rules.select_p1:
        if (yield from ask_card(command(0x00, 0xA4, p1, 0x00, EF05))).good:
            return (yield from _item(IDENTIFICATION, BY_TAG)), BY_TAG
    raise Refused(Reason.CARD_UNREADABLE)


def _item(tag: int, reference: int) -> Conversation[bytes]:
    return _value(tag, needed((yield from ask_card(command(0x00, 0xB2, tag, reference, le=2 + SIZES[tag])))))


def _value(tag: int, item: bytes) -> bytes:
    """The value of one item: tag, length, value, and nothing after it."""
    size = SIZES[tag]
    if item[:2] != bytes((tag, size)) or len(item) != 2 + size:
        raise Refused(Reason.CARD_UNREADABLE)
    return item[2:]


def _not_taken(
    rules: SocialSecurityRules, identification: bytes, version: str, expires: str, today: str
) -> Reason | None:
    region = identification[:3].hex()
    if version not in rules.versions:
        return Reason.NOT_ACCEPTED_HERE
    if rules.regions and region not in rules.regions:
        return Reason.ISSUER_NOT_ACCEPTED
    return Reason.CARD_EXPIRED if expires < today else None


# --------------------------------------------------------------------------- proving


def _prove(rules: SocialSecurityRules, identification: bytes) -> Conversation[None]:
    """A number of the module's choosing, under the card's key, must come back as the module computes it."""
    challenge = yield from ask_module(command(0x00, 0x84, 0x00, 0x00, le=8))
    diversifier, data = identification[8:], challenge.data
    if not challenge.good or len(data) != 8:
        raise Refused(Reason.MODULE_UNAVAILABLE)
    both = data + diversifier if rules.data_first else diversifier + data
    said = yield from ask_card(command(0x00, 0x88, 0x00, rules.key_index, both, le=8))
    factors = identification + diversifier
    keyed = yield from ask_module(command(0x80, 0x1A, rules.key_usage, 0x01, factors))
    expected = yield from ask_module(command(0x80, 0xFA, 0x00, 0x00, data, le=8))
    if not keyed.good or not expected.good or len(expected.data) != 8:
        raise Refused(Reason.MODULE_UNAVAILABLE)
    if not said.good or said.data != expected.data:
        raise Refused(Reason.CARD_NOT_GENUINE)


def _credential(identification: bytes, assurance: Assurance, visit: Visit) -> Credential | Refusal:
    parameters: ParameterSet = visit.parameters
    refs = accounts.refs("ssc", identification, parameters)
    linked = any(ref in parameters.link_of for ref in refs)
    return Credential(
        format=NAME,
        medium=Medium.CARD,
        issuer=identification[:3].hex(),
        medium_refs=refs,
        code_keys=one_use(refs, visit.at),
        twin_keys=one_use(refs, visit.at),
        generated_ms=visit.at.utc_ms,
        fresh_until_ms=visit.at.utc_ms,
        # Issuers name an account by its card: without a row in the link table the card is its own account.
        account_link=None if linked else refs[0],
        assurance=assurance,
    )
