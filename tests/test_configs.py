"""The configurations an installer starts from: whole, true to the drivers, and never silent about a key."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import drivers
from drivers.clock import SystemClock
from terminal.cli import exit_codes
from terminal.console.rules import ConsoleRules
from terminal.core.model import Value
from terminal.opening_library import system_of
from terminal.settings import Device, LibrarySettings, Settings, driver_settings, load
from tests.test_architecture import left_out

CONFIG = Path(__file__).parent.parent / "config"
SITES = (
    "bus-gate.toml",
    "bus-distance.toml",
    "park-turnstile.toml",
    "library-kiosk.toml",
    "demo/library.toml",
    "demo/bus.toml",
    "demo/park.toml",
    "check-in.toml",
)
COMMENTED = re.compile(r"^#(?=\w+ = )", re.MULTILINE)
TABLE = re.compile(r"^\[\[?.*?(\w+)\]", re.MULTILINE)
NAMED = re.compile(r"^#?(\w+) = ", re.MULTILINE)


def understood(settings: Settings) -> set[type[Value]]:
    """Hand every table to the driver or board it names; returns the kinds of settings met."""
    clock = SystemClock()
    boards = {
        name: drivers.find(device.driver or "").open(
            driver_settings(settings, device, drivers.find(device.driver or "").settings), clock
        )
        for name, device in settings.boards.items()
    }
    met: set[type[Value]] = set()

    def ask(device: Device | None, what: str) -> None:
        if device is None:
            return
        kind = boards[device.board].WIRINGS[what] if device.board else drivers.find(device.driver or "").settings
        driver_settings(settings, device, kind)
        met.add(kind)

    for device in (settings.store, settings.parameters, settings.office, *settings.boards.values()):
        ask(device, "")
    ask(settings.power, "power")
    ask(settings.box, "box")
    for other in (settings.position, None if settings.library is None else system_of(settings.library)):
        ask(other, "")
    for lane in settings.lanes:
        ask(lane.items, "")
        for screen in lane.screens:
            ask(screen, "")
        ask(lane.gate, "gate")
        for reader in lane.readers:
            ask(reader, "")
        for indicator in lane.indicators:
            ask(indicator, "lamp")
        for slot in lane.slots:
            ask(slot, "")
        ask(lane.module, "")
    return met


def left_out_here(name: str) -> None:
    """Skips a configuration that names a driver this machine has no library for."""
    text = (CONFIG / name).read_text(encoding="utf-8")
    if any(f'"{driver}"' in text for driver in left_out()):
        pytest.skip("pyscard is not installed: it needs libpcsclite-dev, swig and gcc")


@pytest.mark.parametrize("name", SITES)
def test_every_configuration_is_understood(name: str) -> None:
    """Each table fits the driver it names."""
    left_out_here(name)
    assert understood(load(CONFIG / name))


@pytest.mark.parametrize("name", SITES)
def test_every_commented_key_is_a_key(name: str, tmp_path: Path) -> None:
    """Taking the "#" away leaves a configuration that is understood."""
    left_out_here(name)
    file = tmp_path / "site.toml"
    file.write_text(COMMENTED.sub("", (CONFIG / name).read_text(encoding="utf-8")), encoding="utf-8")
    assert understood(load(file))


def test_every_key_of_every_driver_is_shown_to_installers() -> None:
    """Whatever a driver can be told stands in one of the site files."""
    left_out_here(SITES[0])
    texts = [(CONFIG / name).read_text(encoding="utf-8") for name in SITES[:4]]
    shown = {key for text in texts for key in (*NAMED.findall(text), *TABLE.findall(text))}
    met = {kind for name in SITES[:4] for kind in understood(load(CONFIG / name))}
    assert met >= {drivers.find(name).settings for name in drivers.REGISTRY}
    known = {key for kind in met | {ConsoleRules, LibrarySettings} for key in kind.__struct_fields__}
    assert known - shown == set()


@pytest.mark.parametrize("name", SITES[:4])
def test_check_names_what_this_machine_lacks(name: str, tmp_path: Path) -> None:
    """No certificate, no parameters: both are told, with the documented exit code and no traceback."""
    left_out_here(name)
    text = (CONFIG / name).read_text(encoding="utf-8")
    for place in ("/var/lib", "/etc"):
        text = text.replace(place, str(tmp_path))
    file = tmp_path / "site.toml"
    file.write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "terminal", "check", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"COLUMNS": "400"})
    assert done.returncode == exit_codes.NO
    rows = [
        [cell.strip() for cell in line.split("│")[1:3]] for line in done.stdout.splitlines() if line.startswith("│")
    ]
    wrong = [what.split()[0] for what, answer in rows if what and answer != "ok"]  # a long row goes on without a `what`
    serial_lines = sum(line.startswith('link = "serial:') for line in text.splitlines())
    assert wrong.count("serial") == serial_lines
    others = [what for what in wrong if what not in ("serial", "pcscd", "console")]  # this machine's own
    library = ["library", "reader"] if name.startswith("library") else []
    assert others == ["ca", "key", "certificate", "office", *library, "parameters"]
    assert "Traceback" not in done.stdout + done.stderr
