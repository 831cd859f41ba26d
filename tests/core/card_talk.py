"""A conversation carried in place: no loop, no port, the simulated card and module answer at once."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from simulators.card import SimulatedCard
from simulators.card_issuer import CardIssuer
from simulators.parameters import CARDS
from simulators.secure_module import SimulatedModule
from terminal.core.cards.apdu import Budget, Conversation, Side, follow
from terminal.core.cards.reading import Visit
from terminal.core.parameters import PurseRules, SocialSecurityRules
from tests.core.cases import instant, parameters

T = TypeVar("T")
ISSUER = CardIssuer()
PURSE = msgspec.structs.replace(CARDS.purse) if CARDS.purse else PurseRules(products=())
SOCIAL_SECURITY = SocialSecurityRules()
TODAY = "20270115"


def talk(conversation: Conversation[T], card: SimulatedCard | None, module: SimulatedModule | None = None) -> T:
    """The result of a conversation. Raises what it raises, and Left."""
    budget = Budget()
    answer: Callable[[bytes], bytes] = card.answer if card is not None else lambda command: b""
    try:
        ask = next(conversation)
        while True:
            if ask.to is Side.MODULE:
                raw = b"" if module is None else module.answer(ask.command)
            else:
                raw = through(answer, ask.command, budget)
            ask = conversation.send(raw)
    except StopIteration as end:
        result: T = end.value
        return result


def through(answer: Callable[[bytes], bytes], command: bytes, budget: Budget) -> bytes:
    """What a driver does below a channel."""
    steps = follow(command, budget)
    raw = next(steps)
    try:
        while True:
            raw = steps.send(answer(raw))
    except StopIteration as end:
        whole: bytes = end.value
        return whole


def visit(
    purse: PurseRules | None = PURSE,
    social_security: SocialSecurityRules | None = SOCIAL_SECURITY,
    *,
    has_module: bool = True,
    today: str = TODAY,
) -> Visit:
    """A site that takes both."""
    both = msgspec.structs.replace(CARDS, purse=purse, social_security=social_security)
    return Visit(parameters=parameters(cards=both), at=instant(), today=today, has_module=has_module)


class Scripted(SimulatedCard):
    """A card that says what it is told to, and after that what it would have said."""

    def __init__(self, card: SimulatedCard, said: dict[int, str]) -> None:
        super().__init__(uid=card.uid, atr=card.atr, applications=card.applications)
        self.said = {number: bytes.fromhex(text) for number, text in said.items()}

    def answer(self, command: bytes) -> bytes:
        number = len(self.commands)
        told = super().answer(command)
        return self.said.get(number, told)
