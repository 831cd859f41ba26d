"""The composition root: settings in, a running Terminal out.

Laws of this file:
- It knows every name and decides nothing.
- `assemble` builds parts from settings; `Terminal.run` starts them downward and stops them in the mirror's order.
- Tests and simulated days build the same `Terminal` from other `Parts`; one part replaced is how a bug is planted.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import drivers
from terminal import __version__
from terminal.core import sm2
from terminal.core.entries import Alarm, ParametersChanged, PassageUnknown, Started, Stopped
from terminal.core.model import PassageMode
from terminal.core.parameters import ParameterSet
from terminal.ports import Clock, CodeReader, Gate, Indicator, Office, OfficeError, ParameterSource, PowerInput, Store
from terminal.runtime.journal import Journal
from terminal.runtime.lane import Lane, LaneRules
from terminal.runtime.parameter_sync import ParameterSync
from terminal.runtime.site import Site
from terminal.runtime.status import StatusFile
from terminal.runtime.supervisor import DeviceHealth, supervise
from terminal.runtime.uploader import Uploader
from terminal.settings import Settings, SettingsError

log = logging.getLogger(__name__)


@dataclass
class LaneParts:
    """The devices of one lane."""

    rules: LaneRules
    readers: Sequence[CodeReader]
    gate: Gate
    indicators: Sequence[Indicator]


@dataclass
class Parts:
    """Everything a Terminal is made of."""

    terminal: str
    clock: Clock
    store: Store
    parameters: ParameterSource
    office: Office
    lanes: Sequence[LaneParts]
    state_dir: Path
    power: PowerInput | None = None
    power_upload_s: float = 5.0


class Terminal:
    """One running terminal."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.ready = asyncio.Event()
        self.lanes: list[Lane] = []
        self._health: list[DeviceHealth] = []
        self._uploader: Uploader | None = None
        self._site: Site | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Start downward, serve until `stop` or the power goes, stop in the mirror's order."""
        parts = self.parts
        parameters = ParameterSync(parts.parameters, parts.state_dir, on_alarm=self._alarm)
        journal = Journal(parts.store, parts.clock)
        try:
            journal.open(parts.terminal)
            first = parameters.start(journal.parameter_floor)
            self._site = site = Site(journal, first, parts.clock)
            await self._write_start(site)
            parameters.on_swap = self._swapped
            self._uploader = uploader = Uploader(journal, parts.office, parts.clock, keys=lambda: site.parameters.office)
            self.lanes = [Lane(lane.rules, site, lane.readers, lane.gate, lane.indicators) for lane in parts.lanes]
            async with asyncio.TaskGroup() as tasks:
                workers = [tasks.create_task(worker) for worker in self._workers(parameters, uploader, stop)]
                log.info("ready", extra={"terminal": parts.terminal, "lanes": [lane.rules.name for lane in self.lanes]})
                self.ready.set()
                await stop.wait()
                for worker in workers:
                    worker.cancel()
            await journal.append(Stopped(why="told to stop"), site.now())
            await uploader.drain(parts.power_upload_s)
        finally:
            await journal.close()
            await parts.office.close()
