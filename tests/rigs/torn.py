"""Every way a purchase can be torn: the link cut around every command, times the power cut around every entry.

The power also goes at every command, while the card still lies there.

`make torn` lives through all of them and prints how many there were; PLANT=name lives with a bug that must be found.

Laws of this file:
- The whole terminal runs: real lane, real journal rules, real uploader, head office in process, on the jumping loop.
- A rider whose way stayed shut comes back with the same card until it opens, or never again: both are looked at.
- What is judged is what others hold: the card's own files, the gate's openings, head office's records.
"""

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from simulators.card import Trouble
from simulators.card_issuer import CardIssuer
from simulators.clockwork import new_loop
from simulators.office_cards import Debit, debits, tac_holds
from simulators.purse import PurseApplication, PurseFiles
from simulators.store import SimulatedStore
from terminal import assemble
from terminal.core.card import CardPlace, CardRules, Stage
from terminal.core.cards import purchase
from terminal.core.cards.purchase import Begun, Made
from terminal.core.debit import DebitProof, DebitState
from terminal.core.entries import DebitIntended, Draft, Entry, Fact
from terminal.core.model import EntryName, Instant, PassageMode
from terminal.ports import CardGone
from terminal.runtime.card_doubts import Doubts, Tap
from terminal.runtime.card_path import CardPath
from terminal.runtime.journal import Journal
from tests.stories.world import World

ISSUER = CardIssuer()
OURS, OTHERS = "0000510100000001", "0000990900000009"
# A trip the card has begun a while ago: YYYYMMDDhhmmss of the world's first minutes, minus ten.
BEGAN = "20270115155000"
COMES_BACK_S = 5.0  # longer than silence, shorter than the wait for a torn card


class Flow(NamedTuple):
    """One kind of purchase."""

    name: str
    stage: Stage
    trip: str = ""  # the terminal an open trip on the card names
    debits: int = 1


FLOWS = (
    Flow("plain", Stage.RIDE),
    Flow("board", Stage.BOTH),
    Flow("alight", Stage.BOTH, OURS),
    Flow("settle, then board", Stage.BOTH, OTHERS, 2),
)


class Case(NamedTuple):
    """One case. `link`: (number of the command, before or after it); `power`: (number of the entry, kept or lost)."""

    flow: Flow
    link: tuple[int, Trouble] | None
    power: tuple[int, bool] | None
    returns: bool
    passage: PassageMode = PassageMode.ASSUMED
    dies: int | None = None  # at this command the power goes while the card still lies there

    def __str__(self) -> str:
        link = "" if self.link is None else f", {self.link[1].value} command {self.link[0]}"
        power = (
            "" if self.power is None else f", power cut {'behind' if self.power[1] else 'before'} entry {self.power[0]}"
        )
        dies = "" if self.dies is None else f", power cut at command {self.dies}"
        back = "comes back" if self.returns else "never comes back"
        return f"{self.flow.name}{link}{power}{dies}, {back}, {self.passage}"


def cases(flow: Flow, commands: int, entries: int, passage: PassageMode) -> Iterator[Case]:
    """All of one flow."""
    cuts = (Trouble.LEAVES_BEFORE, Trouble.LEAVES_AFTER)
    links = [None, *((number, cut) for number in range(commands) for cut in cuts)]
    powers = [None, *((number, kept) for number in range(1, entries + 1) for kept in (False, True))]
    for link in links:
        for power in powers:
            for returns in (True, False):
                yield Case(flow, link, power, returns, passage)
    for number in range(commands):
        for returns in (True, False):
            yield Case(flow, None, None, returns, passage, number)


class CuttingStore(SimulatedStore):
    """A store at whose n-th entry from now the power goes."""

    power: tuple[int, bool] | None = None
    cut: asyncio.Event

    async def append(self, draft: Draft) -> Entry:
        if self.cut.is_set():
            await asyncio.Event().wait()  # without power nothing more is written
        if self.power is None:
            return await super().append(draft)
        number, kept = self.power
        self.power = (number - 1, kept)
        if number != 1:
            return await super().append(draft)
        if kept:
            await super().append(draft)
        self.cut.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody waits any more")


class Told(NamedTuple):
    """How a case ended."""

    wrong: list[str]
    states: Counter[str]
    commands: int  # of the first tap
    entries: int  # of the first tap


class Rig:
    """One case in one world."""

    def __init__(self, case: Case, place: Path) -> None:
        self.case = case
        self.world = World(place, "fare", case.passage, office_db=Path(":memory:"))
        self.purse = _purse(case.flow)
        self.card = ISSUER.card("amber", self.purse)
        door = self.world.front
        door.cards = CardRules(
            accepts=("transit_purse",), place=CardPlace(stage=case.flow.stage, line="0007", station="0003")
        )
        self.before_fen = self.purse.files.balance_fen

    async def tell(self) -> Told:
        """Live through it, then look at what everybody holds."""
        world, case = self.world, self.case
        await world.start()
        self.store: CuttingStore | None = self._arm(case.power)
        written = len(world.written())
        self.card.troubles = {} if case.link is None else {case.link[0]: case.link[1]}
        self.card.on_command = self._heard
        await self._tap()
        first = len(self.card.commands), len(world.written()) - written
        self.card.troubles = {}
        for _ in range(5 if case.returns else 0):
            if world.front.opened:
                break
            await asyncio.sleep(COMES_BACK_S)
            await self._tap()
        await asyncio.sleep(40)
        await world.restart()
        await world.settled()
        known = debits(world.office, "T1")
        wrong = list(self._wrong(known))
        await world.cut_power()
        return Told(wrong, Counter(debit.state for debit in known), *first)

    def _arm(self, power: tuple[int, bool] | None) -> CuttingStore:
        terminal = self.world.terminal
        assert terminal is not None and isinstance(terminal.parts.store, SimulatedStore)
        store = terminal.parts.store
        store.__class__ = CuttingStore
        assert isinstance(store, CuttingStore)
        store.power, store.cut = power, asyncio.Event()
        return store

    def _heard(self, command: bytes) -> None:
        """The command the power goes at is carried out; its answer is still on the way when it is dark."""
        if self.store is not None and len(self.card.commands) - 1 == self.case.dies:
            self.card.delay_s = 0.9
            self.store.cut.set()

    async def _tap(self) -> None:
        """Hold the card there; if the power goes, switch on again. Whoever is let through walks."""
        world, door, store = self.world, self.world.front, self.store
        opened = len(door.opened)
        door.slot.tap(self.card)
        await asyncio.sleep(0.5)
        if store is not None and store.cut.is_set():
            self.store, self.card.delay_s = None, 0.0
            await world.cut_power()
            await world.start()
        if self.case.passage is PassageMode.SENSOR and len(door.opened) > opened:
            await door.walk()

    # ----------------------------------------------------------------------- what must hold

    def _wrong(self, known: list[Debit]) -> Iterator[str]:
        committed = {record[0:2] for record in self.purse.files.log}
        true = {debit.name: self._is_done(debit) for debit in known}
        for debit in known:
            if debit.state == "open":
                yield "an intention was never told of"
            if debit.state in ("done", "not_done") and true[debit.name] != (debit.state == "done"):
                yield f"head office says {debit.state}, the card says otherwise"
            if debit.tac is not None and not tac_holds(debit, ISSUER._bytes("tac", 16), self.purse.public_file):
                yield "the TAC does not hold"
        if sum(true.values()) != len(committed):
            yield "the card was debited without an intention"
        taken = sum(debit.amount_fen for debit in known if true[debit.name])
        if self.before_fen - self.purse.files.balance_fen != taken:
            yield "the balance does not agree"
        yield from self._wrong_passages([debit for debit in known if true[debit.name]])
        if self.world.office.status()["records"] != len(self.world.written()):
            yield "head office does not hold the journal"

    def _wrong_passages(self, done: list[Debit]) -> Iterator[str]:
        rides = [debit for debit in done if debit.fact["debit"]["grants"]]
        settled = [debit for debit in done if not debit.fact["debit"]["grants"]]
        opened = len(self.world.front.opened)
        if len(rides) > 1 or len(settled) > self.case.flow.debits - 1:
            yield f"charged {len(rides)} times for a ride, {len(settled)} times for the one before"
        if opened > len(rides):
            yield "opened without a debit"
        if self.case.returns and opened != 1:
            yield f"opened {opened} times for one who came back"

    def _is_done(self, debit: Debit) -> bool:
        said = debit.fact["debit"]
        record = (said["counter"] + 1).to_bytes(2)
        return any(
            line[:2] == record and line[10:16] == said["terminal"] and line[16:23] == said["when"]
            for line in self.purse.files.log
        )


def _purse(flow: Flow) -> PurseApplication:
    trips = []
    if flow.trip:
        head = bytes.fromhex("03" + flow.trip + "02" + "0007" + "0001" + "0042" + "00" + "00000000" + "00001388")
        trips = [head + bytes.fromhex(BEGAN + "5101" + "0000000051010001") + bytes(6)]
    return ISSUER.purse("amber", files=PurseFiles(trips=trips))


def live(case: Case, place: Path) -> Told:
    """One case, on a loop of its own."""
    loop = new_loop()
    try:
        return loop.run_until_complete(Rig(case, place).tell())
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.close()


# --------------------------------------------------------------------------- bugs on purpose


async def _never_asked(self: Doubts, tap: Tap) -> None:
    """A card that comes back pays like any other."""


async def _taken_for_done(self: CardPath, tap: Tap, begun: Begun) -> Made:
    """No answer is taken for a yes."""
    try:
        return await tap.talk.carry(purchase.commit(begun))
    except CardGone:
        return Made(state=DebitState.DONE, why="answer", proof=DebitProof(how="answer", holds=True))


class LateIntention(Journal):
    """Says an intention is written, and writes it a moment later."""

    async def append(self, fact: Fact, at: Instant, evidence: bytes | None = None) -> Entry:
        if not isinstance(fact, DebitIntended):
            return await super().append(fact, at, evidence)
        head = self.head()
        name = EntryName(epoch=head.name.epoch, sequence=head.name.sequence + 1)
        self._late = asyncio.ensure_future(self._append_late(fact, at, evidence))
        return Entry(terminal=self.terminal, name=name, previous=head.hash, at=at, fact=fact)

    async def _append_late(self, fact: Fact, at: Instant, evidence: bytes | None) -> None:
        await asyncio.sleep(0.01)
        await super().append(fact, at, evidence)


PLANTS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "a card that comes back is not asked": lambda: patch.object(Doubts, "settle", _never_asked),
    "no answer is taken for a yes": lambda: patch.object(CardPath, "_commit", _taken_for_done),
    "the intention is written late": lambda: patch.object(assemble, "Journal", LateIntention),
}


# --------------------------------------------------------------------------- all of them


def every(passages: Sequence[PassageMode] = tuple(PassageMode)) -> Iterator[Case]:
    """All cases of all flows: commands and entries as a purchase without faults has them, and what settling adds."""
    for flow in FLOWS:
        commands, entries = (8, 6) if flow.debits == 2 else (4 + (flow.stage is not Stage.RIDE), 4)
        for passage in passages:
            yield from cases(flow, commands, entries, passage)


def live_all(chosen: Iterable[Case], place: Path) -> tuple[int, Counter[str], list[str]]:
    """How many there were, what became of their debits, and what was wrong."""
    count, states, wrong = 0, Counter[str](), []
    for case in chosen:
        told = live(case, place)
        count += 1
        states += told.states
        wrong += [f"{case}: {what}" for what in told.wrong]
    return count, states, wrong


def main() -> int:
    """`make torn`."""
    parser = argparse.ArgumentParser(prog="make torn", description="Every way a purchase can be torn.")
    parser.add_argument("--plant", choices=PLANTS)
    plant = parser.parse_args().plant
    with tempfile.TemporaryDirectory() as place, PLANTS[plant]() if plant else nullcontext():
        count, states, wrong = live_all(every(), Path(place))
    for line in wrong[:20]:
        print(line)
    told = ", ".join(f"{number} {state}" for state, number in sorted(states.items()))
    print(f"{count} cases; debits: {told}; {len(wrong)} wrong")
    return int(bool(wrong) != bool(plant))


if __name__ == "__main__":
    sys.exit(main())
