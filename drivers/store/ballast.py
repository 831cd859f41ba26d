"""A file that is only there to be given back when the disk is full.

Laws of this file:
- It lies there whole or not at all; what an earlier process left counts once this one has taken hold of it.
"""

import os
from pathlib import Path

BALLAST_BYTES = 1 << 20


class Ballast:
    """As much room as receipts and pruning need to go on."""

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
