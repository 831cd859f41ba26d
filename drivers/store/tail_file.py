"""The newest entries on the disk, before they are in the database: one behind the other, one flush for each commit.

Laws of this file:
- The file has its whole length from the start, in zeros: writing into it changes no size and needs no room. Where
  there is no room for it, entries go into the database at once.
- Each commit begins a block of its own: what was promised is never written a second time, so that no torn write can
  take it. It goes past the page cache where the file system allows that, and is durable when the write returns.
- What counts stands from the beginning, frame behind frame, and continues the chain the database ends with. What lies
  behind is older: once the database holds everything, the next frame is written at the beginning again.
- A frame proves its entry by the entry's hash, its row by a checksum; the chain proves its place; the head file
  (head_file.py) tells whether one is missing. So does a later commit that stands there whole.
- What was torn off, or had no room, was promised to nobody: it is overwritten with zeros before anything follows.
"""

import errno
import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from drivers.store import room
from terminal.core.entries import BadEntry, Entry, Head, StoredEntry, advance, check_link, decode, entry_hash

BLOCK = 4096  # of common file systems, and a multiple of every disk's sector
LENGTH = 1 << 20  # room for LONGEST_TAIL commits (tail.py) of one entry each
_FIELDS = struct.Struct(">8sQI32s")  # mark, row, bytes of the entry, its hash
_HEADER = _FIELDS.size + 4  # … and their CRC-32; the entry follows
_MARK = b"OCTAIL\x00\x01"


class TailFile:
    """Frames from the beginning of one file on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._length = room.lay_out(fd, LENGTH) // BLOCK * BLOCK
        os.close(fd)
        self._pages = memoryview(mmap.mmap(-1, LENGTH))  # aligned, as a write past the page cache needs it
        self._fd = _opened(path, self._pages)
        self._end = 0

    def recover(self, end: Head) -> Iterator["Behind"]:
        """The entries that continue a chain which ends at `end`: they go on counting, and nothing behind them does."""
        file, last = self._path.read_bytes(), end.row
        for one in behind(file, end):
            self._end, last = _next_block(one.until), one.end.row
            yield one
        if any(stored.row > last for stored in strewn(file)):
            self._wipe(self._length - self._end)

    def write(self, frames: bytes) -> bool:
        """Make them durable behind the others. Whether there was room: if not, nothing counts that was written.

        Raises OSError when the disk fails: what is on it then nobody knows.
        """
        size = _next_block(len(frames))
        if self._end + size > self._length:
            return False
        self._pages[:size] = frames.ljust(size, b"\0")
        written = room.write(self._fd, self._pages[:size], self._end)
        if written < size:
            if written:
                self._wipe(written)
            return False
        self._end += size
        return True

    def look(self) -> None:
        """Raises OSError when the file is no longer in its directory, or somebody cut it."""
        room.stands(self._fd)
        if os.fstat(self._fd).st_size < self._length:
            raise OSError(errno.EIO, "the journal's tail file was cut short")

    def begin_again(self) -> None:
        """The database holds it all: the next frame stands at the beginning."""
        self._end = 0

    def _wipe(self, size: int) -> None:
        """Zeros behind what counts. Raises OSError."""
        self._pages[:size] = bytes(size)
        if room.write(self._fd, self._pages[:size], self._end) < size:
            raise OSError(errno.EIO, "what nobody was promised cannot be taken back")

    def close(self) -> None:
        """Let go."""
        os.close(self._fd)
        self._pages.release()


class Behind(NamedTuple):
    """An entry of the file that continues the chain."""

    stored: StoredEntry
    entry: Entry
    end: Head  # of the chain, with this entry
    until: int  # where the frame ends


def frame(row: int, data: bytes, digest: bytes) -> bytes:
    """One entry as it stands in the file."""
    fields = _FIELDS.pack(_MARK, row, len(data), digest)
    return fields + zlib.crc32(fields).to_bytes(4) + data


def behind(file: bytes, end: Head) -> Iterator[Behind]:
    """The entries that continue a chain which ends at `end`."""
    place = 0
    while (stored := _at(file, place) or _at(file, place := _next_block(place))) is not None:
        place += _HEADER + len(stored.data)
        if stored.row <= end.row:  # the database holds it already
            continue
        if stored.row > end.row + 1:
            return
        try:
            entry = check_link(stored, end.name, end.hash)
        except BadEntry:
            return
        end = advance(end, entry, stored.hash)
        yield Behind(stored, entry, end, place)


def newest_row(file: bytes) -> int:
    """The row of the newest commit's first entry that is whole, 0 where none is: all before it was promised."""
    begun = (_at(file, place) for place in range(0, len(file), BLOCK))
    return max((stored.row for stored in begun if stored is not None), default=0)


def strewn(file: bytes) -> Iterator[StoredEntry]:
    """Every entry that is whole by itself, wherever its frame lies, the older ones too: for mending."""
    place = file.find(_MARK)
    while place >= 0:
        if (stored := _at(file, place)) is not None:
            yield stored
        place = file.find(_MARK, place + 1)


def _next_block(place: int) -> int:
    """The beginning of the first block from a place on."""
    return place + -place % BLOCK


def _at(file: bytes, place: int) -> StoredEntry | None:
    fields, check = file[place : place + _FIELDS.size], file[place + _FIELDS.size : place + _HEADER]
    if not fields.startswith(_MARK) or zlib.crc32(fields).to_bytes(4) != check:
        return None
    _, row, length, digest = _FIELDS.unpack(fields)
    data = file[place + _HEADER : place + _HEADER + length]
    if entry_hash(data) != digest:
        return None
    try:
        return StoredEntry(row=row, name=decode(data).name, data=data, hash=digest)
    except BadEntry:
        return None


def _opened(path: Path, pages: memoryview) -> int:
    """Open for writes that are durable when they return: past the page cache, unless the file system refuses the flag
    or, what a read of the first block tells, such a transfer.
    """
    durable = os.O_RDWR | os.O_DSYNC
    with suppress(OSError):
        fd = os.open(path, durable | os.O_DIRECT)
        try:
            os.preadv(fd, [pages[:BLOCK]], 0)
            return fd
        except OSError:
            os.close(fd)
    return os.open(path, durable)
