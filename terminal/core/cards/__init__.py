"""Conversations with cards: what is in the field → a verified claim. One file an application; APPLICATIONS joins them.

Laws of this package:
- A conversation is a pure generator: it yields a command and is sent the answer (apdu.py). It waits for nothing.
- A site names the applications it takes in the order of their likelihood; the first the card has is the one that
  speaks, and no command is spent on the others.
- Whatever a card answers, the end is a `CardRead` with a claim or a refusal: nothing else leaves here.
"""

from collections.abc import Callable, Sequence

from terminal.core.cards import social_security, transit_purse, uid_card
from terminal.core.cards.apdu import Conversation
from terminal.core.cards.reading import CardRead, Refused, Visit, refusal
from terminal.core.model import Reason

APPLICATIONS: dict[str, Callable[[Visit], Conversation[CardRead | None]]] = {
    transit_purse.NAME: transit_purse.read,
    social_security.NAME: social_security.read,
}


def read(accepted: Sequence[str], uid: bytes, visit: Visit) -> Conversation[CardRead]:
    """Find out what is in the field. `accepted`: keys of APPLICATIONS, and uid_card's name, likeliest first."""
    for name in accepted:
        try:
            found = uid_card.read(uid, visit) if name == uid_card.NAME else (yield from APPLICATIONS[name](visit))
        except Refused as error:
            return CardRead(payload=uid, claim=refusal(error.reason, name))
        if found is not None:
            return found
    return CardRead(payload=uid, claim=refusal(Reason.NOT_ACCEPTED_HERE, "card"))


__all__ = ["APPLICATIONS", "CardRead", "Visit", "read"]
