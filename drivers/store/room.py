"""Room on the disk: taken beforehand where a later write is to need none, given back when the disk is full.

Laws of this file:
- No room is no fault: whoever writes says what happens then. Any other OSError is raised.
- The ballast lies there whole or not at all; what an earlier process left counts once this one has taken hold of it.
- Without ballast entries are refused, unless pruning has made as much room inside the database: what room there is
  belongs to receipts and pruning.
"""

import errno
import os
from pathlib import Path

import apsw

BALLAST, BALLAST_BYTES = "ballast", 1 << 20
CHUNK = 1 << 16


def lay_out(fd: int, length: int) -> int:
    """Give an open file this length in zeros, durable, as far as there is room; the length it has then."""
    while (size := os.fstat(fd).st_size) < length:
        if not write(fd, bytes(min(CHUNK, length - size)), size):
            break
    os.fdatasync(fd)
    return os.fstat(fd).st_size


def write(fd: int, data: bytes | memoryview, place: int) -> int:
    """Write at a place; how many bytes, 0 where there is no room. Raises OSError."""
    try:
        return os.pwrite(fd, data, place)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return 0
        raise


def stands(fd: int) -> None:
    """Raises FileNotFoundError when an open file is no longer in its directory: it takes every write and keeps none."""
    if not os.fstat(fd).st_nlink:
        raise FileNotFoundError("the journal's files were removed")


class Ballast:
    """A file that is only there to be given back: as much room as receipts and pruning need to go on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.lies = False  # not before it was laid by this process

    def lay(self) -> bool:
        """Take the room. Whether it is taken."""
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            return False
        try:
            os.posix_fallocate(fd, 0, BALLAST_BYTES)
            self.lies = True
            return True
        except OSError:
            self._path.unlink(missing_ok=True)
            return False
        finally:
            os.close(fd)

    def give(self) -> None:
        """Give the room back."""
        self.lies = False
        self._path.unlink(missing_ok=True)


def lend(directory: Path, size: int) -> None:
    """Give some of the ballast back before anybody has taken hold of it; the rest keeps its place."""
    path = directory / BALLAST
    if path.exists():
        os.truncate(path, max(0, path.stat().st_size - size))


class Room:
    """Whether there is room for entries, as far as one connection knows."""

    def __init__(self, directory: Path, db: apsw.Connection) -> None:
        self.ballast = Ballast(directory / BALLAST)
        self._db = db
        self.tight = False  # no ballast lies there, and nothing else keeps room for receipts
        self.look()
        self.full = self.tight  # the last entries did not fit, and nothing has made room since
        self.made = False  # somebody may have made room; `look_again` then

    def look(self) -> None:
        """Is there enough? The ballast is laid where it fits."""
        self.tight = not (self.ballast.lay() or self._free_inside() >= BALLAST_BYTES)

    def look_again(self) -> None:
        """Look if somebody may have made room."""
        if self.made:
            self.made = False
            self.look()
            self.full = self.full and self._free_inside() < BALLAST_BYTES

    def none(self) -> None:
        """Something did not fit: entries are refused, and the ballast's place is for receipts and pruning."""
        self.full = self.tight = True
        self.ballast.give()

    def _free_inside(self) -> int:
        """Bytes that pruning freed inside the database."""
        pages: int = self._db.pragma("freelist_count")
        return pages * int(self._db.pragma("page_size"))
