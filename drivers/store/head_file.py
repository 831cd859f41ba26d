"""The end of the chain, kept outside the database in two pairs of slots.

Laws of this file:
- SQLite hides a shortened write-ahead log; this file does not: its sequence is never ahead of what was committed,
  and a database, with the tail file behind it, that ends before it has lost something.
- The first pair names an entry the database holds by itself, the second one the newest. An older program reads the
  first pair alone: it finds its database whole, and refuses it for its schema (schema.py). Were the newest entry there,
  which it cannot find, it would take the journal for a damaged one and mend it without the tail file.
- Slots of a pair are written in turn and carry a checksum: a torn write leaves the other one.
- Writing costs no flush of its own; `flush` is called at checkpoints, once a second and at stop.
- A file that somebody removed takes every write and keeps none: `flush` says so.
"""

import hashlib
import os
import struct
from pathlib import Path
from typing import NamedTuple

from drivers.store import room
from terminal.core.model import EntryName

SLOT = 512  # one sector
STORED, NEWEST = (0, 1), (2, 3)
_BODY = struct.Struct(">8sQ8sQ32s")  # mark, counter, epoch, sequence, hash
_MARK = b"OCHEAD\x00\x01"


class HeadFile:
    """Four slots in one small file."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        room.lay_out(self._fd, 4 * SLOT)  # a later write needs no room on a full disk
        self._counter = 0
        self._next = {STORED: STORED[0], NEWEST: NEWEST[0]}
        self._unflushed = False

    def read(self) -> tuple[EntryName, bytes] | None:
        """What the newest whole slot says, or None in a new or ruined file."""
        found = _slots(os.pread(self._fd, 4 * SLOT, 0))
        if not found:
            return None
        for pair in (STORED, NEWEST):
            newest = max((slot for slot in found if slot.number in pair), default=None)
            self._next[pair] = pair[1] if newest is not None and newest.number == pair[0] else pair[0]
        newest = max(found)
        self._counter = newest.counter
        return newest.name, newest.digest

    def write(self, name: EntryName, digest: bytes, *, stored: bool) -> None:
        """Put the new head into the older slot of its pair; `stored`: the database holds it by itself, so into both.

        Where even that needs room and there is none, it stays as it was.
        """
        for pair in (STORED, NEWEST) if stored else (NEWEST,):
            body = _BODY.pack(_MARK, self._counter + 1, name.epoch, name.sequence, digest)
            number = self._next[pair]
            if room.write(self._fd, body + hashlib.sha256(body).digest(), number * SLOT):
                self._counter, self._unflushed = self._counter + 1, True
                self._next[pair] = sum(pair) - number

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


def peek(path: Path) -> tuple[EntryName, bytes] | None:
    """What a head file says, without opening it for writing. None: new, ruined or not there."""
    found = _slots(path.read_bytes() if path.exists() else b"")
    return (max(found).name, max(found).digest) if found else None


class _Slot(NamedTuple):
    counter: int  # grows with every write, whichever slot it goes to
    number: int
    name: EntryName
    digest: bytes


def _slots(file: bytes) -> list[_Slot]:
    """The slots that are whole."""
    parsed = (_parse(number, file[number * SLOT : (number + 1) * SLOT]) for number in (*STORED, *NEWEST))
    return [slot for slot in parsed if slot is not None]


def _parse(number: int, data: bytes) -> _Slot | None:
    body, checksum = data[: _BODY.size], data[_BODY.size : _BODY.size + 32]
    if len(body) < _BODY.size or hashlib.sha256(body).digest() != checksum:
        return None
    mark, counter, epoch, sequence, digest = _BODY.unpack(body)
    return _Slot(counter, number, EntryName(epoch=epoch, sequence=sequence), digest) if mark == _MARK else None
