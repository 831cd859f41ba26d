"""The end of the chain, kept outside the database in two slots.

Laws of this file:
- SQLite hides a shortened write-ahead log; this file does not: its sequence is never ahead of what was committed,
  and a database behind it has lost something.
- Slots are written in turn and carry a checksum: a torn write leaves the other one.
- Writing costs no flush of its own; `flush` is called at checkpoints, once a second and at stop.
- A file that somebody removed takes every write and keeps none: `flush` says so.
"""

import hashlib
import os
import struct
from pathlib import Path

from drivers.store import room
from terminal.core.model import EntryName

SLOT = 512  # one sector
_BODY = struct.Struct(">8sQ8sQ32s")  # mark, counter, epoch, sequence, hash
_MARK = b"OCHEAD\x00\x01"


class HeadFile:
    """Two slots in one small file."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.posix_fallocate(self._fd, 0, 2 * SLOT)  # a later write needs no room on a full disk
        self._counter = 0
        self._unflushed = False

    def read(self) -> tuple[EntryName, bytes] | None:
        """The newest whole slot, or None in a new or ruined file."""
        found = [slot for slot in (self._slot(0), self._slot(1)) if slot is not None]
        if not found:
            return None
        self._counter, name, digest = max(found, key=lambda slot: slot[0])
        return name, digest

    def write(self, name: EntryName, digest: bytes) -> None:
        """Put the new head into the older slot. Where even that needs room and there is none, it stays as it was."""
        counter = self._counter + 1
        body = _BODY.pack(_MARK, counter, name.epoch, name.sequence, digest)
        if room.write(self._fd, body + hashlib.sha256(body).digest(), counter % 2 * SLOT):
            self._counter, self._unflushed = counter, True

    def flush(self) -> None:
        """Make what was written durable. Raises OSError, also when the file is no longer in its directory."""
        room.stands(self._fd)
        if self._unflushed:
            os.fdatasync(self._fd)
            self._unflushed = False

    def close(self) -> None:
        """Flush and let go."""
        self.flush()
        os.close(self._fd)

    def _slot(self, number: int) -> tuple[int, EntryName, bytes] | None:
        return _parse(os.pread(self._fd, _BODY.size + 32, number * SLOT))


def peek(path: Path) -> tuple[EntryName, bytes] | None:
    """What a head file says, without opening it for writing. None: new, ruined or not there."""
    data = path.read_bytes() if path.exists() else b""
    found = [slot for slot in (_parse(data[:SLOT]), _parse(data[SLOT:])) if slot is not None]
    return max(found)[1:] if found else None


def _parse(data: bytes) -> tuple[int, EntryName, bytes] | None:
    body, checksum = data[: _BODY.size], data[_BODY.size : _BODY.size + 32]
    if len(body) < _BODY.size or hashlib.sha256(body).digest() != checksum:
        return None
    mark, counter, epoch, sequence, digest = _BODY.unpack(body)
    return (counter, EntryName(epoch=epoch, sequence=sequence), digest) if mark == _MARK else None
