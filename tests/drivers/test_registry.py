"""Drivers by name."""

import subprocess
import sys

import pytest

import drivers
from tests.test_architecture import left_out


@pytest.mark.parametrize("name", drivers.REGISTRY)
def test_every_name_leads_to_a_driver(name: str) -> None:
    """Each row of the table is a module with `Settings` and a function to open it."""
    if name in left_out():
        pytest.skip("pyscard is not installed: it needs libpcsclite-dev, swig and gcc")
    found = drivers.find(name)
    assert callable(found.open)
    assert found.settings.__name__ == "Settings"


def test_unknown_name_lists_those_there_are() -> None:
    """A name that is none is answered with the names there are."""
    with pytest.raises(drivers.UnknownDriver, match=r"scan\.seriel.*known:.*scan\.serial"):
        drivers.find("scan.seriel")


def test_missing_library_is_named() -> None:
    """A driver whose library is not installed says which, and what to do."""
    with pytest.raises(drivers.UnknownDriver, match="no_such_library"):
        drivers.find("scan.odd", {"scan.odd": "no_such_library.reader:open"})


def test_nothing_is_imported_before_it_is_named() -> None:
    """The table alone loads no driver and no vendor's library."""
    script = "import sys, drivers; print([n for n in sys.modules if n.startswith(('drivers.', 'serial', 'pymodbus'))])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
