"""A few failing system calls with every change; `make faults` fails each one."""

import asyncio

import pytest

from tests.rigs import faults

pytestmark = pytest.mark.skipif(faults.why_not() is not None, reason=str(faults.why_not()))


def test_a_tap_whose_disk_fails() -> None:
    """The first calls of a tap: the terminal refuses or ends, starts again, and nothing opened without a record."""
    run = asyncio.run(faults.fail(most=1, phases=("tap",)))
    assert run.wrong == []
    assert run.cases["tap"] >= 6 and run.found.whole


def test_opening_on_hope_is_noticed() -> None:
    """The planted bug: a full disk is believed to have written."""
    only = {"phases": ("tap",), "families": ("write",), "faults": ("ENOSPC",)}
    run = asyncio.run(faults.fail(plant="opens on hope", most=4, **only))
    assert run.found.opened_without_record > 0
