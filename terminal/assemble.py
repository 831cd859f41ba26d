"""The composition root: settings in, a running Terminal out.

Laws of this file:
- It knows every name and decides nothing.
- `assemble` builds parts from settings; `Terminal.run` starts them downward and stops them in the mirror's order.
- Tests and simulated days build the same `Terminal` from other `Parts`; one part replaced is how a bug is planted.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec

from drivers.clock import SystemClock
from terminal import __version__
from terminal.core import sm2
from terminal.core.debit import DebitState
from terminal.core.entries import Alarm, DebitSettled, Fact, ParametersChanged, PassageUnknown, Started, Stopped
from terminal.core.ledger import Where
from terminal.core.model import PassageMode
from terminal.core.parameters import ParameterSet
from terminal.core.parameters_load import ParametersError
from terminal.core.retention import RetentionRules
from terminal.core.services import VISITS
from terminal.core.time import settle
from terminal.opening import check_service, gate_of, open_board, open_cards, open_device, open_wired
from terminal.opening_library import library
from terminal.ports import (
    BoxSwitch,
    Clock,
    CodeReader,
    Gate,
    Indicator,
    Office,
    ParameterSource,
    Positions,
    PowerInput,
    Store,
    StoreFull,
)
from terminal.runtime.box_watch import BoxWatch
from terminal.runtime.card_path import CardParts
from terminal.runtime.clock_watch import LOOK_S, ClockWatch
from terminal.runtime.command_socket import CommandSocket
from terminal.runtime.commands import Commands
from terminal.runtime.journal import Journal
from terminal.runtime.lane import Lane, LaneRules
from terminal.runtime.library_site import LibraryParts, LibrarySite
from terminal.runtime.parameter_sync import ParameterSync
from terminal.runtime.retention import Retention
from terminal.runtime.site import Site
from terminal.runtime.standing_open import StandingOpen
from terminal.runtime.status import StatusFile
from terminal.runtime.supervisor import DeviceHealth, supervise
from terminal.runtime.uploader import Uploader, UploadRules
from terminal.runtime.vehicle import Vehicle
from terminal.settings import LaneSettings, Settings, SettingsError, VehicleSettings

if TYPE_CHECKING:
    from terminal.console.server import Console

FINISH_TAP_S = 2.0
CANCEL_AGAIN_S = 3.0  # longer than a board needs to end a pulse and leave nothing on

log = logging.getLogger(__name__)

Run = Callable[[], Awaitable[None]]


@dataclass
class LaneParts:
    """The devices of one lane."""

    rules: LaneRules
    readers: Sequence[CodeReader]
    gate: Gate
    indicators: Sequence[Indicator]
    cards: CardParts = field(default_factory=CardParts)


@dataclass
class Parts:
    """Everything a Terminal is made of."""

    terminal: str
    clock: Clock
    store: Store
    parameters: ParameterSource
    office: Office
    lanes: Sequence[LaneParts] = ()
    library: LibraryParts | None = None  # its kiosks, and what they share
    state_dir: Path | None = None  # None: nothing but the store is kept
    where: Where = Where()  # where the vehicle, or the place, stands while nobody drives it
    positions: Positions | None = None
    radius_m: int = 60
    panel: Path | None = None  # a local socket for commands
    console: "Console | None" = None  # screens for a browser
    boards: Mapping[str, Run] = field(default_factory=dict)  # devices with a life of their own
    power: PowerInput | None = None
    box: BoxSwitch | None = None
    stop_upload_s: float = 5.0
    upload_rules: UploadRules = UploadRules()
    retention: RetentionRules = RetentionRules()
    parameter_poll_s: float = 1.0
    clock_look_s: float = LOOK_S
    random: Random = field(default_factory=Random)  # jitter only; seeded where a day must come again exactly


class Terminal:
    """One running terminal."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.ready = asyncio.Event()
        self.lanes: list[Lane] = []
        self.journal: Journal | None = None
        self.site: Site | None = None
        self.uploader: Uploader | None = None
        self.vehicle: Vehicle | None = None
        self.library: LibrarySite | None = None
        self.commands: Commands | None = None
        self.box: BoxWatch | None = None
        self._health: list[DeviceHealth] = []

    async def run(self, stop: asyncio.Event) -> None:
        """Start downward, serve until `stop` is set or the power goes, stop in the mirror's order."""
        parts = self.parts
        parts.store.open(parts.terminal, settle(parts.clock.read(), 0))
        self.journal = journal = Journal(parts.store, parts.clock, parts.terminal)
        try:
            sync = ParameterSync(parts.parameters, parts.state_dir, parts.parameter_poll_s, self._check_lanes)
            first = sync.start(journal.head().parameter_version, self._alarm)
            self.site = site = Site(journal, first, parts.clock)
            self.vehicle = Vehicle(site, parts.where, parts.positions, parts.radius_m)
            await self._write_start(site, first)
            self.uploader = uploader = Uploader(
                journal,
                parts.office,
                parts.clock,
                keys=lambda: site.parameters.office,
                now=site.now,
                rules=parts.upload_rules,
                random=parts.random,
            )
            self.lanes = [
                Lane(lane.rules, site, lane.readers, lane.gate, lane.indicators, lane.cards) for lane in parts.lanes
            ]
            self.library = None if parts.library is None else LibrarySite(parts.library, site)
            more = None if self.library is None else self.library.commands
            self.commands = Commands(site, self.vehicle, self.lanes, more)
            why = await self._serve(self._workers(site, sync, uploader), stop)
            await journal.written(Stopped(why=why), site.now())
            await uploader.drain(parts.stop_upload_s)
        finally:
            await parts.office.close()
            if parts.library is not None:
                await parts.library.system.close()
            await parts.store.close()
            log.info("stopped", extra={"terminal": parts.terminal})

    # ----------------------------------------------------------------------- starting

    async def _write_start(self, site: Site, parameters: ParameterSet) -> None:
        """What a new run begins with: that it began, under which parameters, and what nobody can know any more.

        On a full disk it is written as soon as there is room: without a start nothing would be uploaded, and nothing
        would ever make room.
        """
        journal = site.journal
        journal.use_keys_of(parameters.office)
        library = self.parts.library
        names = (*(lane.rules.name for lane in self.parts.lanes), *(() if library is None else library.names()))
        started = Started(version=__version__, boot=secrets.token_hex(16), sm2_backend=sm2.backend_name(), lanes=names)
        facts: list[Fact] = [started, ParametersChanged(version=parameters.version, versions=parameters.versions)]
        facts += [PassageUnknown(of=use.name) for use in journal.open_uses() if use.name is not None]
        facts += [
            DebitSettled(lane="", of=debit.of, medium_ref=medium, state=DebitState.UNKNOWN, why="restart")
            for medium, debit in journal.doubts()
        ]
        try:
            while facts:
                await journal.append(facts[0], site.now())
                del facts[0]
            await journal.new_content_key(site.now())
        except StoreFull as error:
            log.error("journal full", extra={"what": str(error), "held up": len(facts)})  # no traceback: it is no bug
            for fact in facts:
                journal.note(fact)

    def _check_lanes(self, parameters: ParameterSet) -> None:
        """The annul time must exceed the controller's own hold time, or an annulled rider walks in.

        Raises ParametersError: at a start and at every swap, such a set is not taken.
        """
        for lane in self.parts.lanes:
            if lane.rules.passage is PassageMode.SENSOR and parameters.policies.passage_s <= lane.gate.hold_s:
                passage_s, hold_s = parameters.policies.passage_s, lane.gate.hold_s
                what = f"{passage_s} does not exceed hold_s {hold_s} of lanes.{lane.rules.name}.gate"
                raise ParametersError("policies", "passage_s", f"{what}; raise it, or lower the controller's hold time")

    # ----------------------------------------------------------------------- serving

    def _workers(self, site: Site, sync: ParameterSync, uploader: Uploader) -> list[Awaitable[None]]:
        parts = self.parts
        workers: list[Awaitable[None]] = [lane.run() for lane in self.lanes]
        workers += [] if self.library is None else self.library.workers()
        assert self.vehicle is not None and self.commands is not None
        runs = dict(parts.boards)
        if parts.positions is not None:
            runs["position"] = self.vehicle.follow
        if parts.box is not None:
            self.box = BoxWatch(parts.box, self._alarm)
            runs["box"] = self.box.run
        if parts.panel is not None:
            runs["panel"] = CommandSocket(parts.panel, self.commands.ask).run
        if parts.console is not None:
            parts.console.status = self.status
            parts.console.works(self.commands.ask, self.commands.sheet)
            runs["console"] = parts.console.run
        for name, run in runs.items():
            health = DeviceHealth(name)
            self._health.append(health)
            workers.append(supervise(health, run, parts.clock))
        workers.append(sync.run(site.parameters, lambda new: self._swap(site, new), self._alarm, site.now))
        workers.append(site.journal.write_notes())
        workers.append(site.journal.watch())
        workers.append(site.journal.verify_rest())
        workers.append(StandingOpen(site, self.lanes).run())
        workers.append(Retention(site, parts.retention).run())
        workers.append(uploader.run())
        workers.append(ClockWatch(parts.clock, site.journal, self._alarm, parts.clock_look_s).run())
        if parts.state_dir is not None:
            workers.append(StatusFile(parts.state_dir / "status.json", self.status).run())
        return workers

    async def _serve(self, workers: Sequence[Awaitable[None]], stop: asyncio.Event) -> str:
        """Run the workers until it is time to stop, or one of them fails; returns why."""
        assert self.commands is not None
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(_run(worker)) for worker in workers]
            power = tasks.create_task(self._watch_power(stop))
            self.ready.set()
            log.info("ready", extra={"terminal": self.parts.terminal, "sm2": sm2.backend_name()})
            try:
                await stop.wait()
                await self._finish_taps()
            finally:  # the group itself cancels once, which a worker's library may swallow
                await _end((*running, power, *self.commands.begun))
        return "power lost" if power.done() and not power.cancelled() and power.result() else "told to stop"

    async def _finish_taps(self) -> None:
        """Begin nothing new, and let what was begun reach its gate."""
        assert self.site is not None and self.commands is not None
        self.site.closing = True
        with suppress(TimeoutError):
            async with asyncio.timeout(FINISH_TAP_S):
                for lane in self.lanes:
                    await lane.idle()
                if self.library is not None:
                    await self.library.idle()
                await self.commands.idle()

    async def _watch_power(self, stop: asyncio.Event) -> bool:
        """Whether the power went."""
        if self.parts.power is None:
            await stop.wait()
            return False
        await self.parts.power.lost()
        log.warning("power lost", extra={"terminal": self.parts.terminal})
        stop.set()
        return True

    def _swap(self, site: Site, parameters: ParameterSet) -> None:
        """A new set is in force from the next tap on; the entry that says so follows at once."""
        site.parameters = parameters
        site.journal.use_keys_of(parameters.office)
        site.journal.note(ParametersChanged(version=parameters.version, versions=parameters.versions))
        log.info("parameters", extra={"version": parameters.version})

    def _alarm(self, kind: str, detail: str) -> None:
        log.error("alarm", extra={"kind": kind, "detail": detail})
        assert self.journal is not None
        self.journal.note(Alarm(kind=kind, detail=detail))

    # ----------------------------------------------------------------------- status

    def status(self) -> dict[str, Any]:
        """What each part says of itself."""
        site, uploader = self.site, self.uploader
        assert site is not None and uploader is not None
        head = site.journal.head()
        devices = [*self._health, *(health for lane in self.lanes for health in lane.health)]
        devices += [] if self.library is None else self.library.health()
        return {
            "terminal": self.parts.terminal,
            "ready": self.ready.is_set(),
            "sm2": sm2.backend_name(),
            "parameters": site.parameters.version,
            "emergency": site.emergency,
            **({} if self.box is None else {"box": "open" if self.box.is_open else "shut"}),
            "where": {key: value for key, value in msgspec.to_builtins(site.where).items() if value},
            "journal": {
                "epoch": head.name.epoch.hex(),
                "sequence": head.name.sequence,
                "row": head.row,
                "unsent": head.unsent,
                "full": site.journal.is_full(),
            },
            "upload": uploader.status(),
            **({} if self.parts.console is None else {"console": self.parts.console.figures()}),
            "lanes": {lane.rules.name: lane.status() for lane in self.lanes},
            **({} if self.library is None else {"library": self.library.status()}),
            "devices": {one.name: {"up": one.up, "failures": one.failures, "hint": one.hint} for one in devices},
        }


async def _run(worker: Awaitable[None]) -> None:
    await worker


async def _end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel, and again what has not ended: asyncio.wait_for of Python 3.11 can swallow a cancellation that comes just
    when what it waits for is done, and whoever waits inside a library then goes on for ever.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=CANCEL_AGAIN_S)


# --------------------------------------------------------------------------- from settings to parts


def assemble(settings: Settings) -> Terminal:
    """Build the terminal a configuration describes. Raises SettingsError and DeviceError."""
    return Terminal(build(settings))


def build(settings: Settings) -> Parts:
    """The parts a configuration describes."""
    clock = SystemClock()
    state_dir = _state_dir(settings)
    store = settings.store
    if not store.options.get("path"):
        store = msgspec.structs.replace(store, options={**store.options, "path": str(state_dir / "journal")})
    boards = {name: open_board(settings, device, clock) for name, device in settings.boards.items()}
    console = _console(settings, clock)
    return Parts(
        terminal=settings.terminal.id,
        clock=clock,
        store=open_device(settings, store, clock),
        parameters=open_device(settings, settings.parameters, clock),
        office=open_device(settings, settings.office, clock),
        lanes=[_lane(settings, lane, boards, clock, console) for lane in settings.lanes if lane.service not in VISITS],
        library=None if settings.library is None else library(settings, settings.library, clock, console),
        state_dir=state_dir,
        where=_where(settings.vehicle),
        positions=None if settings.position is None else open_device(settings, settings.position, clock),
        radius_m=settings.vehicle.radius_m,
        panel=settings.panel,
        console=console,
        boards={name: board.run for name, board in boards.items()},
        power=None if settings.power is None else open_wired(settings, settings.power, boards, clock, "power"),
        box=None if settings.box is None else open_wired(settings, settings.box, boards, clock, "box"),
        stop_upload_s=settings.terminal.stop_upload_s,
        upload_rules=settings.upload,
        retention=settings.journal,
    )


def _state_dir(settings: Settings) -> Path:
    """Made where it is not there. Raises SettingsError."""
    state_dir = Path(settings.terminal.state_dir)
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            str(settings.file),
            "terminal",
            f"state_dir {state_dir}: {error.strerror}",
            "name a directory the terminal's user may write to",
        ) from error
    return state_dir


def _where(vehicle: VehicleSettings) -> Where:
    return Where(vehicle=vehicle.id, line=vehicle.line, direction=vehicle.direction, stop=vehicle.stop)


def _console(settings: Settings, clock: Clock) -> "Console | None":
    """The screens, where a configuration has any."""
    if settings.console is None:
        return None
    from terminal.console.server import Console  # its library costs memory: only where somebody looks

    return Console(settings.terminal.id, settings.console, clock)


def _lane(
    settings: Settings, lane: LaneSettings, boards: Mapping[str, Any], clock: Clock, console: "Console | None" = None
) -> LaneParts:
    check_service(settings, lane)
    screens = [] if console is None else [console.screen(lane.name, lane.service)]
    return LaneParts(
        rules=LaneRules(
            lane.name,
            lane.service,
            lane.passage,
            open_when_unwritable=lane.when_unwritable == "open",
            role=lane.role,
            zone=lane.zone,
        ),
        readers=[open_device(settings, reader, clock) for reader in lane.readers],
        gate=open_wired(settings, gate_of(lane), boards, clock, "gate"),
        indicators=[*(open_wired(settings, device, boards, clock, "lamp") for device in lane.indicators), *screens],
        cards=open_cards(settings, lane, clock),
    )
