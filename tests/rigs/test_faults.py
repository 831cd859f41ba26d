"""A few failing system calls with every change; `make faults` fails each one."""

import asyncio
from pathlib import Path

import pytest

from terminal.cli import exit_codes
from tests.rigs import faults

pytestmark = pytest.mark.skipif(faults.why_not() is not None, reason=str(faults.why_not()))


def test_a_tap_whose_disk_fails() -> None:
    """The first calls of a tap: the terminal refuses or ends, starts again, and nothing opened without a record."""
    run = asyncio.run(faults.fail(most=1, phases=("tap",)))
    assert run.wrong == []
    assert run.cases["tap"] >= 6 and run.found.whole


async def test_a_disk_that_hangs_does_not_hold_up_stopping(tmp_path: Path) -> None:
    """A flush that does not come back, SIGTERM: the process leaves, and says that the journal is to be verified."""
    assert await faults.stop_on_a_hung_disk(tmp_path) == exit_codes.JOURNAL
    assert b"stopping takes too long" in (tmp_path / "terminal.log").read_bytes()


def test_opening_on_hope_is_noticed() -> None:
    """The planted bug: a full disk is believed to have written."""
    only = {"phases": ("tap",), "families": ("write",), "faults": ("ENOSPC",)}
    run = asyncio.run(faults.fail(plant="opens on hope", most=8, **only))
    assert run.found.opened_without_record > 0
