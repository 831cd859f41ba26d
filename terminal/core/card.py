"""What is known of a card besides its number: how sure it is, what it carries, how the talk with it went.

Laws of this file:
- Nouns only. A card's number has no field here: it is a payload, sealed as evidence, or a keyed hash.
- For a purse the card itself is the truth; what stands here is what it said a moment ago.
"""

from enum import StrEnum

from terminal.core.base import Value


class Assurance(StrEnum):
    """How sure it is that what was held out is what it says."""

    SIGNED = "signed"  # every signature held
    AUTHENTICATED = "authenticated"  # a card that proved it knows its key
    STATIC = "static"  # data read from a card that proved nothing: it can be copied
    WEAK = "weak"  # a number any reader can send


class CardFacts(Value, frozen=True):
    """How the conversation with a card went."""

    commands: int
    took_ms: int  # from the first command to the last answer before the decision
    slowest_ms: int  # the slowest answer
    slow: bool = False  # slower than the site's policy: perhaps the card is not here at all


class OpenTrip(Value, frozen=True):
    """A trip a card says it has begun and not ended."""

    at: str  # YYYYMMDDhhmmss, local
    terminal: str  # 16 hexadecimal digits
    line: str  # 4
    station: str  # 4
    city: str  # 4
    acquirer: str  # 16


class Stage(StrEnum):
    """What a tap of a purse is at one lane."""

    RIDE = "ride"  # the whole ride: an ordinary purchase
    BOTH = "both"  # boarding or alighting, by what the card says
    ENTRY = "entry"
    EXIT = "exit"


class CardPlace(Value, frozen=True):
    """Where a card is held out."""

    stage: Stage = Stage.RIDE
    line: str = "0000"  # four hexadecimal digits, as EF1E keeps it
    station: str = "0000"
    began_ms: int = 0  # when this run of the terminal began: what was paid before, its holder may not have heard


class CardRules(Value, frozen=True):
    """What a site wrote down about the cards of one lane."""

    accepts: tuple[str, ...] = ()  # applications, likeliest first
    place: CardPlace = CardPlace()
    two_cards: str = "refuse"  # or "in_turn": each is served, one after the other


class CardState(Value, frozen=True):
    """What the card itself carries; for a purse this is the truth."""

    trip: OpenTrip | None = None
    own_terminals: tuple[str, ...] = ()  # of this vehicle or site, as a trip names them
    balance_fen: int | None = None  # as GET BALANCE told it; only where somebody asked
    state: bytes = b""  # EF1A as read, 128 bytes, where the trip is kept there
