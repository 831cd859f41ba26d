"""What a person may ask of a running terminal: a driver at the panel, an attendant at a gate.

Laws of this file:
- Each is written with the name of who asked, durable before anything is done; a question is written too.
- A command that cannot be done is answered with what to try; it never ends the terminal.
- What was begun is done, also when whoever asked has left: what was written holds. Nothing is begun while the terminal
  stops.
- Who asks is a number or word of the operator's own, never a person's name.
"""

import asyncio
import inspect
import logging
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from terminal.core import projection
from terminal.core.entries import BoardedFree, Commanded, EmergencyOrdered, Fact, Moved, SignedOff, SignedOn, Voided
from terminal.core.ledger import EMERGENCY, SHIFT, Where
from terminal.core.model import EntryName, GateSignal, Reason, Show, Use, UseState
from terminal.core.money import decimal
from terminal.core.route import DOWN, neighbour
from terminal.core.time import age_ms
from terminal.ports import StoreFull
from terminal.runtime.lane import Lane
from terminal.runtime.not_done import NotDone as NotDone  # noqa: PLC0414  # taken from here
from terminal.runtime.sheet import Sheet as Sheet  # noqa: PLC0414  # taken from here
from terminal.runtime.sheet import keys_of, sheet
from terminal.runtime.site import Site
from terminal.runtime.vehicle import Vehicle

WHO = re.compile(r"[A-Za-z0-9._-]{1,32}")
LONGEST_WORD = 80
VOID_WITHIN_MS = 300_000  # the last tap is the last one of a moment ago, not of the morning
ASKED_S = 20.0  # how long a question waits for a card
MOST_PERSONS = 20

log = logging.getLogger(__name__)

Answer = dict[str, Any]
Known = Mapping[str, Callable[..., Awaitable[Answer]]]


class Commands:
    """Everything that may be asked, by name."""

    def __init__(self, site: Site, vehicle: Vehicle, lanes: Sequence[Lane], more: Known | None = None) -> None:
        self._site = site
        self._vehicle = vehicle
        self._lanes = {lane.rules.name: lane for lane in lanes}
        self.begun: set[asyncio.Task[Answer]] = set()
        kept = site.journal.ledgers((EMERGENCY,)).get(EMERGENCY)
        if kept is not None and any(one.line == projection.LASTS for one in kept.anchors):
            site.note_emergency(GateSignal.EMERGENCY_ON)  # ordered before a restart, and nobody ended it
        self.known: Known = {
            "sign-on": self.sign_on,
            "sign-off": self.sign_off,
            "stop": self.stop,
            "turn": self.turn,
            "key": self.key,
            "free": self.free,
            "void": self.void,
            "charged": self.charged,
            "activate": self.activate,
            "emergency": self.emergency,
            "totals": self.totals,
            "where": self.where,
            **(more or {}),
        }

    async def ask(self, who: str, command: str, words: Sequence[str]) -> Answer:
        """Do it, or say why not. Raises NotDone."""
        if not WHO.fullmatch(who):
            raise NotDone(f"who asks is {who!r}", "give a number or a word: letters, digits, dot, dash; 32 at most")
        if self._site.closing:
            raise NotDone("the terminal is stopping", "ask again once it runs")
        if command not in self.known:
            raise NotDone(f"no command {command!r}", f"known: {', '.join(self.known)}")
        if any(len(word) > LONGEST_WORD or not word.isprintable() for word in words):
            raise NotDone("a word is too long, or holds what cannot be printed", f"{LONGEST_WORD} characters at most")
        do = self.known[command]
        try:
            inspect.signature(do).bind(who, *words)
        except TypeError as error:
            raise NotDone(f"{command}: {error}", "see `terminal panel --help`") from error
        doing = asyncio.ensure_future(do(who, *words))
        self.begun.add(doing)
        doing.add_done_callback(self._done)
        try:
            return await asyncio.shield(doing)
        except StoreFull as error:
            raise NotDone(f"{command} was not written: {error}", "free the disk, then ask again") from error

    async def idle(self) -> None:
        """Return once everything that was begun is done."""
        while self.begun:
            await asyncio.wait(self.begun)

    def sheet(self) -> Sheet:
        """What a panel shows."""
        return sheet(self._site, self._vehicle, tuple(self._lanes.values()))

    # ----------------------------------------------------------------------- the shift

    async def sign_on(self, who: str, line: str, direction: str = "up") -> Answer:
        """A shift begins: line and direction are known from here on."""
        found = self._site.parameters.tariff.lines.get(line)
        if found is None:
            raise NotDone(f"no line {line!r}", f"lines: {', '.join(self._site.parameters.tariff.lines) or 'none'}")
        at = self._site.now()
        first = neighbour(found, direction, "", 1) or ""
        where = Where(vehicle=self._site.where.vehicle, line=line, direction=direction, stop=first, run=at.utc_ms)
        await self._write(SignedOn(who=who, where=where))
        self._site.where = where
        return self._here()

    async def sign_off(self, who: str) -> Answer:
        """The shift is over; its totals are the answer."""
        totals = self._totals()
        await self._write(SignedOff(who=who))
        self._site.where = self._vehicle.home()
        return totals

    async def turn(self, who: str) -> Answer:
        """The other way round: a new run, from its first stop."""
        where = self._site.where
        line = self._site.parameters.tariff.lines.get(where.line)
        if line is None:
            raise NotDone("no line is known", "sign on first")
        direction = "up" if where.direction == DOWN else DOWN
        first = neighbour(line, direction, "", 1) or ""
        return await self._move(
            who, msgspec.structs.replace(where, direction=direction, stop=first, run=self._site.now().utc_ms)
        )

    async def stop(self, who: str, which: str) -> Answer:
        """The stop by its name, or "next", or "back": where no receiver tells."""
        where = self._site.where
        line = self._site.parameters.tariff.lines.get(where.line)
        if line is None:
            raise NotDone("no line is known", "sign on first")
        steps = {"next": 1, "back": -1}.get(which)
        name = which if steps is None else neighbour(line, where.direction, where.stop, steps)
        if name is None or all(stop.id != name for stop in line.stops):
            raise NotDone(f"no such stop: {which}", f"stops: {', '.join(stop.id for stop in line.stops)}")
        return await self._move(who, msgspec.structs.replace(where, stop=name))

    async def key(self, who: str, name: str = "") -> Answer:
        """The fare chosen for who boards from now on; without a name none is."""
        keys = keys_of(self._site.parameters.tariff)
        if name and name not in keys:
            raise NotDone(f"no fare key {name!r}", f"keys: {', '.join(keys) or 'none'}")
        return await self._move(who, msgspec.structs.replace(self._site.where, key=name))

    # ----------------------------------------------------------------------- riders

    async def free(self, who: str, lane: str, why: str, persons: str = "1") -> Answer:
        """Let somebody through without a charge, and say why."""
        found = self._lanes.get(lane)
        if found is None:
            raise NotDone(f"no lane {lane!r}", f"lanes: {', '.join(self._lanes)}")
        if not persons.isdecimal() or not 1 <= int(persons) <= MOST_PERSONS or not why.strip():
            raise NotDone("free needs a reason, and 1 to 20 persons", "such as: free front 'child under 1.3 m' 2")
        ordered_at = self._site.clock.read()
        fact = BoardedFree(who=who, why=why, lane=lane, where=self._site.where, persons=int(persons))
        name = await self._write(fact)
        answer = await found.release(int(persons), name, ordered_at)
        return {"opened": answer.value, "persons": int(persons)}

    async def void(self, who: str, why: str) -> Answer:
        """Take the last charge back."""
        now_ms = self._site.now().utc_ms
        last = next((use for use in reversed(self._uses()) if use.state is not UseState.ANNULLED), None)
        if last is None or last.name is None or age_ms(last.at_ms, now_ms) > VOID_WITHIN_MS:
            raise NotDone("nothing was charged in the last five minutes", "head office gives older charges back")
        await self._write(Voided(who=who, why=why, of=last.name))
        self._site.latest = None  # "paid" is not true any more
        for lane in self._lanes.values():
            lane.forget_codes()
        currency = self._site.parameters.tariff.currency
        amount = {"fen": last.amount_fen, "amount": decimal(last.amount_fen, currency), "currency": currency}
        return {"voided": _proof(last.name), **amount, "lane": last.lane}

    async def charged(self, who: str) -> Answer:
        """Was this card charged today? Whoever holds one out next is answered."""
        await self._write(Commanded(who=who, what="charged"))
        self._site.asked = ("inquiry", self._site.clock.monotonic_s() + ASKED_S)
        return {"hold out": "the card or code", "within_s": ASKED_S}

    async def activate(self, who: str, why: str) -> Answer:
        """The holder was looked at: whoever's pass is held out next is good from then on."""
        if not why.strip():
            raise NotDone("activate needs what was looked at", "such as: activate 'face and identity document'")
        await self._write(Commanded(who=who, what=f"activate: {why}"))
        self._site.asked = ("activation", self._site.clock.monotonic_s() + ASKED_S)
        return {"hold out": "the pass", "within_s": ASKED_S}

    async def emergency(self, who: str, state: str, why: str) -> Answer:
        """Everybody may go: taps write nothing while it lasts. It is a person's order, besides the fire panel's."""
        if state not in ("on", "off") or not why.strip():
            raise NotDone("emergency is on or off, and why", "such as: emergency on 'smoke in hall 2'")
        await self._write(EmergencyOrdered(who=who, on=state == "on", why=why))
        await self._lanes_told(GateSignal.EMERGENCY_ON if state == "on" else GateSignal.EMERGENCY_OFF)
        return {"emergency": self._site.emergency}

    async def _lanes_told(self, signal: GateSignal) -> None:
        self._site.note_emergency(signal)
        for lane in self._lanes.values() if self._site.emergency else ():
            await lane.tell(Show(reason=Reason.EMERGENCY))

    # ----------------------------------------------------------------------- totals

    async def totals(self, who: str) -> Answer:
        """What this shift came to so far."""
        found = self._totals()
        await self._write(Commanded(who=who, what="totals"))
        return found

    async def where(self, who: str) -> Answer:
        """Where the terminal believes to be."""
        return self._here()

    def _totals(self) -> Answer:
        shift = self._vehicle.shift
        if shift is None:
            raise NotDone("nobody is signed on", "sign on first")
        rides: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        voided = 0
        for use in self._uses():
            voided += use.state is UseState.ANNULLED
            rides[use.product][0] += use.persons_charged
            rides[use.product][1] += use.amount_fen * use.persons_charged // use.persons
        kept = self._site.journal.ledgers((SHIFT,))[SHIFT]
        free = next((one.count for one in kept.sums if one.id == projection.FREE), 0)
        total = sum(fen for _, fen in rides.values())
        currency = self._site.parameters.tariff.currency
        return {
            "who": shift.who,
            "since_ms": shift.at_ms,
            "taps": {name: count for name, (count, _) in sorted(rides.items())},
            "fen": {name: fen for name, (_, fen) in sorted(rides.items())},
            "amounts": {name: decimal(fen, currency) for name, (_, fen) in sorted(rides.items())},
            "total": decimal(total, currency),
            "currency": currency,
            "free": free,
            "voided": voided,
        }

    def _uses(self) -> list[Use]:
        shift = self._vehicle.shift
        if shift is None or shift.of is None:
            raise NotDone("nobody is signed on", "sign on first")
        return self._site.journal.uses_from(shift.of)

    # ----------------------------------------------------------------------- inside

    def _done(self, doing: "asyncio.Task[Answer]") -> None:
        self.begun.discard(doing)
        if not doing.cancelled() and doing.exception() is not None:  # perhaps nobody is left to hear of it
            log.info("not done", extra={"what": str(doing.exception())})

    async def _move(self, who: str, where: Where) -> Answer:
        await self._write(Moved(who=who, where=where))
        self._site.where = where
        return self._here()

    async def _write(self, fact: Fact) -> EntryName:
        return (await self._site.journal.append(fact, self._site.now())).name

    def _here(self) -> Answer:
        where: Answer = msgspec.to_builtins(self._site.where)
        return {name: value for name, value in where.items() if name != "run"}


def _proof(name: EntryName) -> str:
    return f"{name.epoch.hex()}/{name.sequence}"
