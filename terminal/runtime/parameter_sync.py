"""Keeps the newest good parameter set in force.

Laws of this file:
- A set is swapped whole, by one call of `on_swap`; a bad or older one, or one that does not fit what is built in here,
  changes nothing and is told once, by an alarm.
- A version names one content: the same version with another manifest is refused.
- The previous set stays until the new one is safe on disk: a copy of the last good set lies in the state directory,
  and a terminal starts from it when its source cannot be read.
- A set's version never goes back below the floor the journal remembers.
- A set older than its own `stale_after_s` is told once, until a new one comes.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from terminal.core.model import Instant
from terminal.core.parameters import Manifest, ParameterSet
from terminal.core.parameters_load import ParametersError, load
from terminal.ports import DeviceError, ParameterSource, RawParameters
from terminal.runtime import durable

POLL_S = 1.0
COPY = "parameters.kept"
AS_IT_IS = "surrogateescape"  # a file the manifest names besides the parts may be anything

log = logging.getLogger(__name__)

Swap = Callable[[ParameterSet], None]
Tell = Callable[[str, str], None]


def is_stale(parameters: ParameterSet, at: Instant) -> bool:
    """Whether a set is, at this instant and however wrong the clock may be, older than its policies allow."""
    age_ms = at.utc_ms - at.uncertainty_ms - parameters.issued_ms
    return age_ms > parameters.policies.stale_after_s * 1000


class ParameterSync:
    """Polls a source and swaps."""

    def __init__(
        self,
        source: ParameterSource,
        state_dir: Path | None,
        poll_s: float = POLL_S,
        check: Callable[[ParameterSet], None] = lambda parameters: None,
    ) -> None:
        """`check` raises ParametersError for a good set that does not fit what is built in here."""
        self._source = source
        self._check = check
        self._copy = None if state_dir is None else state_dir / COPY
        self._poll_s = poll_s
        self._floor = 0
        self._manifest: Manifest | None = None  # of the set in force
        self._told = ""

    def start(self, floor: int, on_alarm: Tell) -> ParameterSet:
        """The set to start with: the source's, else the kept copy. Raises DeviceError when there is neither."""
        self._floor = floor
        kept = self._kept()
        try:
            found = self._take(self._source.read())
        except (DeviceError, ParametersError) as error:
            if kept is None:
                raise DeviceError(
                    f"no parameters to start with: {error}", hint="copy a complete set to the parameter directory"
                ) from error
            self._tell(str(error), on_alarm)
            log.warning("parameters", extra={"what": str(error), "using": kept.version})
            return kept
        if found is not None:
            return found
        assert kept is not None  # only the set in force is not taken anew
        return kept

    async def run(self, parameters: ParameterSet, on_swap: Swap, on_alarm: Tell, now: Callable[[], Instant]) -> None:
        """Swap `parameters` whenever the source has something newer; until cancelled."""
        stale = False
        while True:
            await asyncio.sleep(self._poll_s)
            new = self._try(on_alarm) if self._source.changed() else None
            if new is not None:
                parameters, stale = new, False
                on_swap(new)
            if is_stale(parameters, now()) and not stale:
                stale = True
                on_alarm("parameters_stale", f"version {parameters.version} is older than its stale_after_s")

    def _try(self, on_alarm: Tell) -> ParameterSet | None:
        try:
            found = self._take(self._source.read())
        except (DeviceError, ParametersError) as error:
            self._tell(str(error), on_alarm)
            return None
        self._told = ""
        return found

    def _tell(self, what: str, on_alarm: Tell) -> None:
        if what != self._told:
            on_alarm("parameters", what)
        self._told = what

    def _take(self, raw: RawParameters) -> ParameterSet | None:
        """The set of these files, kept and in force from now on; None when it is in force already."""
        found = load(raw)
        manifest = _manifest(raw)
        if found.version < self._floor:
            raise ParametersError(
                "manifest", "version", f"{found.version} is older than {self._floor}, already in force"
            )
        if self._manifest is not None and found.version == self._manifest.version:
            if manifest != self._manifest:
                raise ParametersError("manifest", "version", f"{found.version} is in force with other content")
            return None
        self._check(found)
        self._keep(raw)
        self._floor, self._manifest = found.version, manifest
        return found

    def _keep(self, raw: Mapping[str, bytes]) -> None:
        """Replace the copy."""
        if self._copy is None:
            return
        text = json.dumps({name: data.decode(errors=AS_IT_IS) for name, data in raw.items()})
        try:
            durable.replace(self._copy, text)
        except OSError as error:  # a full disk must not keep a block from taking effect
            log.warning("parameters not kept", extra={"what": str(error)})

    def _kept(self) -> ParameterSet | None:
        if self._copy is None or not self._copy.exists():
            return None
        try:
            texts = json.loads(self._copy.read_text(encoding="utf-8"))
            raw = {name: text.encode(errors=AS_IT_IS) for name, text in texts.items()}
            found = load(raw)
            self._check(found)
        except (OSError, ValueError, AttributeError, RecursionError) as error:
            log.warning("kept parameters", extra={"what": str(error)})
            return None
        if found.version < self._floor:
            return None
        self._floor, self._manifest = found.version, _manifest(raw)
        return found


def _manifest(raw: Mapping[str, bytes]) -> Manifest:
    return msgspec.json.decode(raw["manifest.json"], type=Manifest)
