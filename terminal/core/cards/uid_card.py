"""An old library card that is nothing but a number sent in the anti-collision loop.

Laws of this file:
- The number proves nothing: any reader can send it, some cards make up another one each time. It is weak, and every
  rule that moves money refuses it.
- A number that says of itself it is random is no number at all.
"""

from terminal.core import accounts
from terminal.core.card import Assurance
from terminal.core.cards.reading import CardRead, Visit, one_use, refusal
from terminal.core.model import Credential, Medium, Reason

NAME = "uid_card"
RANDOM = 0x08  # the first byte of a four-byte UID made up anew at each selection (ISO/IEC 14443-3)


def read(uid: bytes, visit: Visit) -> CardRead | None:
    """What the anti-collision number alone says; None where the reader gave none."""
    if not uid:
        return None
    if len(uid) == 4 and uid[0] == RANDOM:
        return CardRead(payload=uid, claim=refusal(Reason.NOT_ACCEPTED_HERE, NAME))
    refs = accounts.refs("uid", uid, visit.parameters)
    claim = Credential(
        format=NAME,
        medium=Medium.CARD,
        issuer="",
        medium_refs=refs,
        code_keys=one_use(refs, visit.at),
        twin_keys=one_use(refs, visit.at),
        generated_ms=visit.at.utc_ms,
        fresh_until_ms=visit.at.utc_ms,
        assurance=Assurance.WEAK,
    )
    return CardRead(payload=uid, claim=claim)
