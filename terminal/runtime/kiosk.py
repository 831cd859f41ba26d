"""A library kiosk: carries visits over its ports, one after the other. `carry` holds the whole plot.

Laws of this file:
- It decides nothing: what is shown, asked and written comes from the visit (core/services/loan.py).
- What a visit notes is durable before it goes on; a full disk is told to the visit, which then releases nothing.
- No device and no library system holds it up: whoever is away is an answer, and whoever is slow has a page.
- A page of somebody's is on the screen and nowhere else: not in a log, not in the status.
"""

import asyncio
import functools
import logging
from typing import Any, NamedTuple

import msgspec

from terminal.core import accounts
from terminal.core.items import Securing
from terminal.core.library import Patron, Silence
from terminal.core.loans import Circulated, Circulation
from terminal.core.model import (
    Credential,
    EntryName,
    Instant,
    PassageMode,
    Presentation,
    Reason,
)
from terminal.core.screen import Page, PageKind, Said
from terminal.core.services import VISITS
from terminal.core.services.loan import Parting
from terminal.core.visit import (
    Ask,
    Event,
    Heard,
    Lend,
    LookUp,
    Note,
    Noted,
    Port,
    Presented,
    Pressed,
    Request,
    Secure,
    Show,
    SignIn,
    Step,
    TakeBack,
    Tick,
    Visit,
)
from terminal.ports import (
    DeviceError,
    Screen,
    StoreFull,
)
from terminal.runtime.decided import evidence_of, fact_of, tell
from terminal.runtime.denials import Denials
from terminal.runtime.inbox import Inbox
from terminal.runtime.journal import FULL_DISK_S
from terminal.runtime.kiosk_entrance import Entrance, KioskParts, Linked, pad_name
from terminal.runtime.lane import LaneRules
from terminal.runtime.library_link import LibraryLink
from terminal.runtime.readers import Readers
from terminal.runtime.replay import Replay
from terminal.runtime.site import Site
from terminal.runtime.supervisor import DeviceHealth, supervise

BUSY_S = 0.3  # who waits longer than this for an answer sees that they are waited for

log = logging.getLogger(__name__)


class Library(NamedTuple):
    """What all kiosks of a site share."""

    link: LibraryLink
    replay: Replay
    readers: Readers


class KioskLane:
    """One kiosk."""

    def __init__(self, parts: KioskParts, site: Site, library: Library) -> None:
        self.rules = LaneRules(parts.kiosk.lane, "loan", PassageMode.ASSUMED)
        self.site = site
        self.library = library
        self.visits = 0
        self.counts: dict[str, int] = {}
        self.inbox = Inbox()
        site.on_emergency.append(self.inbox.wake)
        self._parts = parts
        self._entrance = Entrance(parts, site, library.readers, self.inbox)
        self._screens = {f"{parts.kiosk.lane}/screen{number}": one for number, one in enumerate(parts.screens)}
        self._health = self._entrance.health | {name: DeviceHealth(name) for name in self._screens}
        self.health = list(self._health.values())
        self._denials = Denials(parts.kiosk.lane)
        self._summing = asyncio.Event()
        self._page = Page(kind=PageKind.CLOSED)
        self._asking = False
        self._undone: asyncio.Queue[tuple[Circulated, Instant]] = asyncio.Queue()  # for which the disk had no room

    # ----------------------------------------------------------------------- the plot

    async def carry(self, visit: Visit[Parting]) -> Parting:
        """One visit from its first page to its end."""
        try:
            step = next(visit)
            while True:
                step = visit.send(await self._done(step))
        except StopIteration as end:
            parting: Parting = end.value
            return parting
        finally:
            visit.close()

    async def _done(self, step: Step) -> Event | Heard | Noted:
        match step:
            case Show(page=page, wait_s=wait_s):
                return await self._shown(page, wait_s)
            case Ask(port=port, request=request):
                return await self._asked(port, request)
            case SignIn():
                return await self._signed_in(step)
            case Note():
                return await self._noted(step)

    async def _shown(self, page: Page, wait_s: float | None) -> Event:
        self._asking = False
        if not page.is_seen_as(self._page):
            self.inbox.cut()
        self.library.replay.gone_on(self.rules.name)
        if self.site.emergency:
            await self._closed(page)
            return Tick(at=self.site.now())
        await self._show(page)
        event = await self.inbox.next(page, wait_s)
        return event or Tick(at=self.site.now())

    async def _closed(self, page: Page) -> None:
        """Nothing is done while everybody leaves; whose page it was, nobody knows afterwards."""
        while self.site.emergency:
            await self._show(Page(kind=PageKind.CLOSED, language=page.language, said=Said(reason=Reason.EMERGENCY)))
            await self.inbox.next(self._page, None)  # what is touched now is nothing

    async def _asked(self, port: Port, request: Request) -> Heard:
        """Ask, and say that somebody is being asked where it takes long."""
        self._asking = True
        asking = asyncio.ensure_future(self._ask(port, request))
        try:
            done, _ = await asyncio.wait({asking}, timeout=BUSY_S)
            if not done:
                await self._show(Page(kind=PageKind.BUSY, language=self._page.language))
            said = await asking
        finally:
            asking.cancel()
        return Heard(said=said, at=self.site.now())

    async def _ask(self, port: Port, request: Request) -> Any:
        if port is Port.ITEMS:
            assert isinstance(request, Secure)
            return await self._secure(request)
        replay = self.library.replay
        if isinstance(request, Lend | TakeBack) and replay.holds(request.barcode):
            return Silence.UNREACHABLE  # what happened to this book before is told first
        said = await self.library.link.ask(request, self.site.now().utc_ms)
        if isinstance(request, LookUp) and isinstance(said, Patron):
            self.library.readers.heard(request.reader, said)
        return said

    async def _secure(self, request: Secure) -> Securing | None:
        if self._parts.items is None:
            return None
        try:
            return await self._parts.items.secure(request.barcode, request.on)
        except DeviceError as error:
            self._health[pad_name(self._parts)].failed(error)
            return None

    # ----------------------------------------------------------------------- writing

    async def _signed_in(self, step: SignIn) -> Noted:
        """Write the decision on what was held out; a flood of denials is summed."""
        outcome, presented = step.outcome, step.presented
        at, claim = presented.at, presented.claim
        presentation = _presentation(self.rules.name, presented)
        if not outcome.decision.granted and await self._is_summed(outcome.decision.reason, at):
            return Noted(name=self.site.journal.head().name, at=at)
        credential = claim if isinstance(claim, Credential) else None
        account = presented.account if credential is not None else None
        fact = fact_of(
            outcome, presentation, self.rules, 0, format=claim.format, credential=credential, account=account
        )
        try:
            entry = await self.site.journal.append(fact, at, evidence=evidence_of(fact, presentation))
        except StoreFull:
            log.error("journal full", extra={"lane": self.rules.name})
            return Noted(name=None, at=at)
        tell(outcome, entry.name, presentation, self.site.clock.monotonic_s(), self.rules.service)
        return Noted(name=entry.name, at=at)

    async def _noted(self, step: Note) -> Noted:
        """Write that a book moved; what waits is queued as soon as it is durable."""
        site, replay, at = self.site, self.library.replay, self.site.now()
        fact = msgspec.structs.replace(
            step.fact,
            book=accounts.refs("book", step.barcode.encode(), site.parameters)[0],
            sealed=replay.sealed(step.barcode, step.reader) if step.fact.waits else b"",
        )
        name = await self._circulated(fact, at)
        if name is None and fact.what is Circulation.UNDONE:
            if fact.cancels and fact.of is not None:
                replay.drop(fact.of)
            self._undone.put_nowait((fact, at))
        return Noted(name=name, at=at)

    async def _circulated(self, fact: Circulated, at: Instant) -> EntryName | None:
        """Write it, and queue what waits; None: the disk is full."""
        try:
            entry = await self.site.journal.append(fact, at)
        except StoreFull:
            log.error("journal full", extra={"lane": self.rules.name})
            return None
        self.library.replay.add(entry.name, at.utc_ms, fact)
        key = f"{fact.what.value}{'_offline' * fact.waits}"
        self.counts[key] = self.counts.get(key, 0) + 1
        extra = {"lane": self.rules.name, "what": fact.what.value, "reason": fact.reason.value, "waits": fact.waits}
        log.info("circulated", extra={**extra, "sequence": entry.name.sequence})
        return entry.name

    async def _write_undone(self) -> None:
        """A loan that was not to be is written as such once there is room, in order."""
        while True:
            fact, at = await self._undone.get()
            while await self._circulated(fact, at) is None:  # noqa: ASYNC110  # a disk
                await asyncio.sleep(FULL_DISK_S)

    async def _is_summed(self, reason: Reason, at: Instant) -> bool:
        await self._write_sum(at)
        summed = self._denials.is_summed(reason, at.monotonic_ns)
        if summed:
            self._summing.set()
        return summed

    async def _write_sum(self, at: Instant) -> None:
        summed = self._denials.due(at.monotonic_ns)
        if summed is not None and not await self.site.journal.written(summed, at):
            self._denials.restore(summed)

    async def _sum_denials(self) -> None:
        """A flood's last sum is written even when nobody comes any more."""
        while True:
            await self._summing.wait()
            self._summing.clear()
            while self._denials.is_counting:
                await asyncio.sleep(1.0)
                await self._write_sum(self.site.now())

    # ----------------------------------------------------------------------- the screen

    async def _show(self, page: Page) -> None:
        """On every screen; a dark one never holds up the kiosk."""
        self._page = page
        for name, screen in self._screens.items():
            try:
                await screen.show(page)
            except DeviceError as error:
                self._health[name].failed(error)

    # ----------------------------------------------------------------------- running

    async def run(self) -> None:
        """Serve until cancelled. Only what is not a device's fault is raised."""
        async with asyncio.TaskGroup() as tasks:
            for name, read in self._entrance.watched().items():
                tasks.create_task(supervise(self._health[name], read, self.site.clock))
            for name, screen in self._screens.items():
                read = functools.partial(self._read_presses, name, screen)
                tasks.create_task(supervise(self._health[name], read, self.site.clock))
            tasks.create_task(self._sum_denials())
            tasks.create_task(self._write_undone())
            tasks.create_task(self._serve())

    async def _read_presses(self, name: str, screen: Screen) -> None:
        await screen.show(self._page)
        async for press, seen in screen.presses():
            self._health[name].works()
            self.inbox.put(Pressed(press=press, at=self.site.instant(seen)))

    def link_next(self, linked: Linked) -> None:
        """The desk waits for the next card that is held out here."""
        self._entrance.link_next = linked

    async def _serve(self) -> None:
        parting = Parting()
        while True:
            parting = await self.carry(VISITS["loan"](self._parts.kiosk, parting))
            self.visits += 1

    async def idle(self) -> None:
        """Return once nobody's book is half-way through: stopping finishes what was begun."""
        while self._asking:  # noqa: ASYNC110  # once in a run
            await asyncio.sleep(0.01)

    def status(self) -> dict[str, Any]:
        """Figures for the status; nobody's account is in them."""
        return {
            "visits": self.visits,
            "page": self._page.kind.value,
            "books": dict(self.counts),
            "dropped": self.inbox.dropped,
            "readers": self._entrance.status(),
        }


def _presentation(lane: str, presented: Presented) -> Presentation:
    return Presentation(
        lane=lane,
        reader=presented.reader,
        medium=presented.medium,
        payload=presented.payload,
        at=presented.seen,
    )
