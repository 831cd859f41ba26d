"""Parameters from a local directory: manifest.json and the files it names.

Laws of this file:
- The manifest is read first and again last: a set that changed while it was read is read anew.
- A set is another one as soon as any file of it is: files that come after their manifest are noticed too.
- Nothing is judged here; core/parameters_load.py does that.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from terminal.core.model import Value
from terminal.ports import Clock, DeviceError, ParameterSource, RawParameters

TRIES = 5
MANIFEST = "manifest.json"

Mark = tuple[int, int, int] | None  # what tells a file from the one before; None: it is not there


class Settings(Value, frozen=True):
    """`[parameters]` of a site's configuration."""

    path: str  # the directory

    def __post_init__(self) -> None:
        if not self.path:
            raise ValueError("path is empty")


def open(settings: Settings, clock: Clock) -> ParameterSource:
    """A source over the directory; nothing is read yet."""
    return Directory(Path(settings.path))


class Directory:
    """The port over one directory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._names: Sequence[str] = (MANIFEST,)
        self._seen: tuple[Mark, ...] | None = None

    def changed(self) -> bool:
        """Whether a file of the set is another than the one read last."""
        marks = self._marks(self._names)
        return marks[0] is not None and marks != self._seen  # without a manifest nothing newer can be had

    def read(self) -> RawParameters:
        """Manifest and files, of one moment. Raises DeviceError."""
        try:
            for _ in range(TRIES):
                manifest = self._file(MANIFEST).read_bytes()
                names = (MANIFEST, *(row["file"] for row in json.loads(manifest)["files"].values()))
                marks = self._marks(names)
                raw = RawParameters({name: self._file(name).read_bytes() for name in names})
                if raw[MANIFEST] == manifest and self._marks(names) == marks:
                    self._names, self._seen = names, marks
                    return raw
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            hint = f"look at {self._file(MANIFEST)} and the files it names"
            raise DeviceError(f"parameters: {error}", hint=hint) from error
        raise DeviceError("parameters keep changing", hint=f"who writes {self._path}? the manifest must come last")

    def _file(self, name: str) -> Path:
        return self._path / Path(name).name  # a manifest names files of its own directory, nothing else

    def _marks(self, names: Sequence[str]) -> tuple[Mark, ...]:
        return tuple(_mark(self._file(name)) for name in names)


def _mark(file: Path) -> Mark:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ino, stat.st_size
