"""The `terminal` command on a clock that somebody sets: `python -m tests.set_clock FILE PLANT run CONFIG`.

FILE holds by how many milliseconds the system's clock is wrong; CLOCK_MONOTONIC and all else are the machine's own.
PLANT is "none", or "any clock": the journal's time counts for nothing.
"""

import sys
from pathlib import Path
from unittest.mock import patch

import msgspec

from drivers.clock import SystemClock
from terminal import assemble
from terminal.__main__ import main
from terminal.core.model import Instant, Reading
from terminal.core.time import UNSYNCHRONISED_MS, settle
from terminal.runtime.journal import Journal


class WrongClock(SystemClock):
    """Nobody keeps it, and it may be set at any moment."""

    file: Path

    def read(self) -> Reading:
        """See the port."""
        found = super().read()
        wrong_ms = int(self.file.read_text())
        return msgspec.structs.replace(found, utc_ms=found.utc_ms + wrong_ms, uncertainty_ms=UNSYNCHRONISED_MS)


def believe(journal: Journal, reading: Reading) -> Instant:
    """The planted bug."""
    return settle(reading, 0)


if __name__ == "__main__":
    WrongClock.file = Path(sys.argv[1])
    instant = believe if sys.argv[2] == "any clock" else Journal.instant
    with patch.object(assemble, "SystemClock", WrongClock), patch.object(Journal, "instant", instant):
        sys.exit(main(sys.argv[3:]))
