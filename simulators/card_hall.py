"""A card gate's outside: a virtual reader behind a real pcscd, a secure module in its second slot, people with cards.

Laws of this file:
- Kinds of people are drawn by weight from one seeded Random; every card is made up by simulators/card_issuer.py.
- A hand takes its card away when the gate opens or patience ends, and leaves a moment before the next one comes: pcscd
  looks every 0.4 s.
- Somebody whose card left in the middle of its debit puts it back, also where only patience ended too soon: the gate
  waits for that card, and everybody else with it.
"""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from simulators.card import OK, SimulatedCard, Trouble
from simulators.card_issuer import CardIssuer
from simulators.gate import Board, Turnstile
from simulators.pcscd import KILL, Pcscd
from simulators.purse import PurseFiles
from simulators.virtual_reader import VirtualSlot

NAME = "metro/north"
PATIENCE_S = 1.6
BETWEEN_S = (0.5, 0.9)
CARD_S = 0.015  # a card's own time for one command
INITIALIZE, DEBIT = 0x50, 0x54
TRIES = 3  # to put a card back
KINDS = {"purse": 60, "purse, too little on it": 8, "purse, pulled away in its debit": 12, "identity card": 8,
         "old library card": 6, "card pulled away at once": 6}  # fmt: skip

Tell = Callable[..., None]


class CardHall:
    """One gate for cards."""

    def __init__(self, directory: Path, tell: Tell, random: Random) -> None:
        self.service = Pcscd(directory / "pcscd")
        self._wire = directory / "wires" / NAME / "board"
        self._tell = tell
        self._random = random
        self._issuer = CardIssuer()
        self._board = Board()
        self._turnstile = Turnstile(self._board)
        self._hand, self._module = VirtualSlot(self.service, 0), VirtualSlot(self.service, 1)
        self._number = 0

    async def build(self) -> None:
        """Start pcscd, push the module into its slot, plug the board in."""
        self.service.start()
        self._module.insert(self._issuer.module())
        self._wire.parent.mkdir(parents=True, exist_ok=True)
        await self._board.serve_serial(self._wire, 115_200)
        self._turnstile.on_opening = lambda at_ns: self._tell("opened", lane=NAME, opened_ns=at_ns)

    async def live(self, stop: asyncio.Event) -> None:
        """People come until they are sent home; pcscd is killed once in a while."""
        next_kill_s = time.monotonic() + self._random.uniform(5.0, 9.0)
        while not stop.is_set():
            kind = self._random.choices(list(KINDS), weights=list(KINDS.values()))[0]
            await self._visit(kind)
            if time.monotonic() > next_kill_s:
                await self._kill_pcscd()
                next_kill_s = time.monotonic() + self._random.uniform(10.0, 20.0)
            await asyncio.sleep(self._random.uniform(*BETWEEN_S))

    async def close(self) -> None:
        """Take everything away."""
        await self._hand.remove()
        await self._module.remove()
        await self._board.close()
        self.service.stop()

    async def _visit(self, kind: str) -> None:
        card = self._card(kind)
        opened = await self._hold(kind, card)
        for _ in range(TRIES):
            if opened or not _left_in_debit(card):
                return
            card.troubles.clear()
            await asyncio.sleep(BETWEEN_S[1])
            opened = await self._hold(f"{kind} (put back)", card)

    async def _hold(self, who: str, card: SimulatedCard) -> bool:
        """Hold a card there; whether the gate opened."""
        self._tell("presented", lane=NAME, who=who, last_byte_ns=time.monotonic_ns(), card=True)
        self._hand.insert(card)
        opened = await self._turnstile.opens(PATIENCE_S)
        await self._hand.remove()
        return opened

    async def _kill_pcscd(self) -> None:
        self._tell("unplugged", lane=NAME)
        self.service.signal(KILL)
        await asyncio.sleep(0.5)
        self._tell("plugged", lane=NAME)

    def _card(self, kind: str) -> SimulatedCard:
        self._number += 1
        name = f"metro {self._number}"
        if kind == "old library card":
            return self._issuer.plain(name)
        if kind == "identity card":
            card = self._issuer.card(name, self._issuer.social_security(name))
        else:
            balance_fen = 50 if "too little" in kind else self._random.randrange(500, 20_000)
            card = self._issuer.card(name, self._issuer.purse(name, files=PurseFiles(balance_fen=balance_fen)))
        card.delay_s = CARD_S
        if kind == "card pulled away at once":
            card.troubles[1] = Trouble.LEAVES_BEFORE
        elif "in its debit" in kind:
            card.on_command = lambda command: self._leave_next(card, command)
        return card

    def _leave_next(self, card: SimulatedCard, command: bytes) -> None:
        """After INITIALIZE comes the debit: it is carried out, or not, and the hand is gone."""
        if command[1] == INITIALIZE:
            when = self._random.choice((Trouble.LEAVES_BEFORE, Trouble.LEAVES_AFTER))
            card.troubles[len(card.commands)] = when
            card.on_command = lambda command: None


def _left_in_debit(card: SimulatedCard) -> bool:
    """Whether the display now asks for this very card: its debit was begun, and nothing opened."""
    last = card.commands[-1][1] if card.commands else None
    return last == DEBIT or (last == INITIALIZE and card.answers[-1:] != [] and card.answers[-1][-2:] == OK)
