"""Keeps the newest good parameter set in force.

Laws of this file:
- A set is swapped whole, by one call of `on_swap`; a bad or older one changes nothing and is told once.
- The previous set stays until the new one is safe on disk: a copy of the last good set lies in the state directory,
  and a terminal starts from it when its source cannot be read.
- A set's version never goes back below the floor the journal remembers.
"""

import asyncio
import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from terminal.core.parameters import ParameterSet
from terminal.core.parameters_load import ParametersError, load
from terminal.ports import DeviceError, ParameterSource, RawParameters

POLL_S = 1.0
COPY = "parameters.kept"

log = logging.getLogger(__name__)

Swap = Callable[[ParameterSet], None]
Tell = Callable[[str, str], None]


class ParameterSync:
    """Polls a source and swaps."""

    def __init__(self, source: ParameterSource, state_dir: Path | None, poll_s: float = POLL_S) -> None:
        self._source = source
        self._copy = None if state_dir is None else state_dir / COPY
        self._poll_s = poll_s
        self._floor = 0
        self._told = ""

    def start(self, floor: int) -> ParameterSet:
        """The set to start with: the source's, else the kept copy. Raises DeviceError when there is neither."""
        self._floor = floor
        try:
            return self._take(self._source.read())
        except (DeviceError, ParametersError) as error:
            kept = self._kept()
            if kept is None:
                raise DeviceError(
                    f"no parameters to start with: {error}", hint="copy a complete set to the parameter directory"
                ) from error
            log.warning("parameters", extra={"what": str(error), "using": kept.version})
            return kept

    async def run(self, on_swap: Swap, on_alarm: Tell) -> None:
        """Swap whenever the source has something newer; until cancelled."""
        while True:
            await asyncio.sleep(self._poll_s)
            if self._source.changed():
                self._try(on_swap, on_alarm)

    def _try(self, on_swap: Swap, on_alarm: Tell) -> None:
        try:
            found = self._take(self._source.read())
        except (DeviceError, ParametersError) as error:
            if str(error) != self._told:
                on_alarm("parameters", str(error))
            self._told = str(error)
            return
        self._told = ""
        on_swap(found)

    def _take(self, raw: RawParameters) -> ParameterSet:
        found = load(raw)
        if found.version < self._floor:
            raise ParametersError(
                "manifest", "version", f"{found.version} is older than {self._floor}, already in force"
            )
        self._keep(raw)
        self._floor = found.version
        return found

    def _keep(self, raw: Mapping[str, bytes]) -> None:
        """Write the copy: file, flush, rename, flush of the directory."""
        if self._copy is None:
            return
        part = self._copy.with_suffix(".part")
        text = json.dumps({name: data.decode() for name, data in raw.items()})
        try:
            with part.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, self._copy)
            directory = os.open(self._copy.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:  # a full disk must not keep a block from taking effect
            log.warning("parameters not kept", extra={"what": str(error)})

    def _kept(self) -> ParameterSet | None:
        if self._copy is None or not self._copy.exists():
            return None
        try:
            texts = json.loads(self._copy.read_text(encoding="utf-8"))
            found = load({name: text.encode() for name, text in texts.items()})
        except (OSError, ValueError, AttributeError) as error:
            log.warning("kept parameters", extra={"what": str(error)})
            return None
        return found if found.version >= self._floor else None
