"""Parameters from a local directory: manifest.json and the files it names.

Laws of this file:
- The manifest is read first and again last: a set that changed while it was read is read anew.
- Nothing is judged here; core/parameters_load.py does that.
"""

import json
from pathlib import Path

from terminal.core.model import Value
from terminal.ports import Clock, DeviceError, ParameterSource, RawParameters

TRIES = 5


class Settings(Value, frozen=True):
    """`[parameters]` of a site's configuration."""

    path: str  # the directory


def open(settings: Settings, clock: Clock) -> ParameterSource:
    """A source over the directory; nothing is read yet."""
    return Directory(Path(settings.path))


class Directory:
    """The port over one directory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._manifest = path / "manifest.json"
        self._seen: tuple[int, int, int] | None = None

    def changed(self) -> bool:
        """Whether the manifest is another file than the one read last."""
        try:
            return self._mark() != self._seen
        except OSError:
            return False  # nothing newer can be had; `read` says why when it is asked

    def read(self) -> RawParameters:
        """Manifest and files, of one moment. Raises DeviceError."""
        try:
            for _ in range(TRIES):
                mark = self._mark()
                raw = self._read_once()
                if self._mark() == mark:
                    self._seen = mark
                    return raw
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DeviceError(
                f"parameters: {error}", hint=f"look at {self._manifest} and the files it names"
            ) from error
        raise DeviceError("parameters keep changing", hint=f"who writes {self._path}? the manifest must come last")

    def _read_once(self) -> RawParameters:
        manifest = self._manifest.read_bytes()
        raw = RawParameters({"manifest.json": manifest})
        for row in json.loads(manifest)["files"].values():
            name = Path(row["file"]).name  # a manifest names files of its own directory, nothing else
            raw[row["file"]] = (self._path / name).read_bytes()
        return raw

    def _mark(self) -> tuple[int, int, int]:
        stat = self._manifest.stat()
        return stat.st_mtime_ns, stat.st_ino, stat.st_size
