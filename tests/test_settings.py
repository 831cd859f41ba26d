"""A site's configuration: every mistake names file, section and key, and says what to try."""

import subprocess
import sys
from pathlib import Path

import pytest

from terminal.assemble import build
from terminal.settings import SettingsError, load

GOOD = """
[terminal]
id = "bus-1"
state_dir = "state"

[parameters]
driver = "parameters.directory"
path = "parameters"

[office]
driver = "office.https"
url = "https://localhost:1"
ca = "/nowhere/ca.pem"
certificate = "pki/bus-1.pem"
key = "pki/bus-1.key"

[boards.dash]
driver = "board.modbus"
link = "serial:wires/board?baud=9600"

[lanes.front]
service = "fare"
passage = "assumed"

[[lanes.front.readers]]
driver = "scan.serial"
link = "serial:wires/scan"

[lanes.front.gate]
driver = "gate.none"

[[lanes.front.indicators]]
board = "dash"
green = 1
"""

LANE, READER, GATE = "lanes.front", "lanes.front.readers[0]", "lanes.front.gate"
# name of the case: what stands there, what is written instead, section, words of the fault, words of the advice
WRONG: dict[str, tuple[str, str, str, str, str]] = {
    "no TOML": ('id = "bus-1"', "id = ", "file", "line 3", "TOML"),
    "lane twice": (
        "[[lanes.front.indicators]]",
        '[lanes.front]\nservice = "fare"\n[[lanes.front.indicators]]',
        "file",
        "front",
        "TOML",
    ),
    "unknown section": ("[parameters]", "[paramters]", "paramters", "unknown key paramters", "parameters"),
    "missing section": ("[boards.dash]", "[terminal.x]", "terminal", "unknown key x", "state_dir"),
    "unknown key": ("state_dir", "stat_dir", "terminal", "unknown key stat_dir", "state_dir"),
    "unknown key of an upload": (
        "[parameters]",
        "[upload]\nbatch = 1\n[parameters]",
        "upload",
        "unknown key batch",
        "batch_entries",
    ),
    "a gate that stands open": (
        'driver = "gate.none"',
        'driver = "gate.none"\nalways_open = true',
        GATE,
        "always_open",
        "",
    ),
    "a journal without its guards": (
        "[boards.dash]",
        '[store]\ndriver = "store.sqlite"\nsynchronous = "off"\n[boards.dash]',
        "store",
        "unknown key synchronous",
        "",
    ),
    "unknown key of a lane": ("passage =", "pasage =", LANE, "unknown key pasage", "passage"),
    "missing key": ('id = "bus-1"', "", "terminal", "missing key id", "add id"),
    "missing key of a lane": ('service = "fare"', "", LANE, "missing key service", "add service"),
    "wrong type": ('id = "bus-1"', "id = 7", "terminal.id", "got `int`", "config/"),
    "wrong type of a lane": ('passage = "assumed"', 'passage = "no"', f"{LANE}.passage", "'no'", "config/"),
    "unknown choice": (
        'service = "fare"',
        'service = "fare"\nwhen_unwritable = "ajar"',
        LANE,
        "when_unwritable",
        '"shut" or "open"',
    ),
    "unknown driver": ('"scan.serial"', '"scan.serail"', READER, "no driver 'scan.serail'", "running-a-site"),
    "driver that is no name": ('driver = "scan.serial"', "driver = [1]", READER, "driver is [1]", 'driver = "NAME"'),
    "driver of the office": ('driver = "office.https"', 'driver = ["x"]', "office", "driver is ['x']", "NAME"),
    "no driver": ('driver = "board.modbus"', "", "boards.dash", "missing key driver", "name the driver"),
    "both": ('driver = "gate.none"', 'driver = "gate.none"\nboard = "dash"', GATE, "either", "one of the two"),
    "neither": ('driver = "gate.none"', "", GATE, "either", "one of the two"),
    "unknown board": ('board = "dash"', 'board = "dsh"', "lanes.front.indicators[0]", "no board 'dsh'", "dash"),
    "board that is no name": ('board = "dash"', 'board = ["x"]', "lanes.front.indicators[0]", "board is", "NAME"),
    "board that is none": ('"board.modbus"', '"gate.none"', "boards.dash", "link", "known keys"),
    "port that is none": ("[office]", "[console]\nport = 65536\n\n[office]", "console.port", "<= 65535", "config/"),
    "driver that is no board": (
        'driver = "board.modbus"\nlink = "serial:wires/board?baud=9600"',
        'driver = "gate.none"',
        "boards.dash",
        "is no board",
        "board.modbus",
    ),
    "a store for a reader": (
        'driver = "scan.serial"\nlink = "serial:wires/scan"',
        'driver = "store.sqlite"',
        READER,
        "driver 'store.sqlite' is no code reader",
        "scan.serial",
    ),
    "a card reader for a reader": (
        'driver = "scan.serial"\nlink = "serial:wires/scan"',
        'driver = "card.pn532"\nlink = "serial:wires/scan"',
        READER,
        "is no code reader",
        "slots",
    ),
    "a reader for a store": (
        "[boards.dash]",
        '[store]\ndriver = "gate.none"\npath = ""\n[boards.dash]',
        "store",
        "unknown key path",
        "",
    ),
    "a lamp for a gate": ('driver = "gate.none"', 'driver = "indicator.memory"', GATE, "is no gate", "board"),
    "parameters nowhere": ('path = "parameters"', 'path = ""', "parameters", "path is empty", "config/"),
    "unknown key of a wiring": ("green = 1", "gren = 1", "lanes.front.indicators[0]", "unknown key gren", "green"),
    "wrong type in a wiring": ("green = 1", 'green = "x"', "lanes.front.indicators[0].green", "got `str`", "config/"),
    "unknown service": ('service = "fare"', 'service = "fair"', LANE, "no service 'fair'", "fare"),
    "no state directory": ('"state"', '"/dev/null/state"', "terminal", "state_dir /dev/null/state", "write"),
    "a file for a state directory": ('"state"', '"/dev/null"', "terminal", "state_dir /dev/null", "write"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_names_file_section_and_key_and_what_to_try(case: str, tmp_path: Path) -> None:
    """Whatever is wrong, it is told before a device is opened, where an installer will look for it."""
    old, new, section, fault, advice = WRONG[case]
    assert GOOD.count(old) == 1 or case == "unknown section"
    file = tmp_path / "site.toml"
    file.write_text(GOOD.replace(old, new), encoding="utf-8")
    _without_office(file)
    with pytest.raises(SettingsError) as caught:
        build(load(file))
    message = str(caught.value)
    assert message.startswith(f"{file}: [{section}]: ")
    assert fault in caught.value.what
    assert advice in caught.value.hint


def _without_office(file: Path) -> None:
    """Certificates are another test's: without them nothing after head office would be asked."""
    from simulators.pki import Authority

    place = file.parent / "pki"
    authority = Authority(place)
    authority.issue("bus-1")
    file.write_text(file.read_text().replace("/nowhere/ca.pem", str(authority.ca)), encoding="utf-8")


@pytest.mark.parametrize("what", ["nowhere.toml", "."])
def test_a_file_that_cannot_be_read_is_named(what: str, tmp_path: Path) -> None:
    """Not there, or a directory."""
    with pytest.raises(SettingsError) as caught:
        load(tmp_path / what)
    assert str(tmp_path / what) in str(caught.value) and "TOML" in caught.value.hint


def test_paths_count_from_the_file(tmp_path: Path) -> None:
    """Files, directories and serial lines; an absolute path stays."""
    file = tmp_path / "site.toml"
    file.write_text(GOOD, encoding="utf-8")
    settings = load(file)
    assert settings.terminal.state_dir == str(tmp_path / "state")
    assert settings.parameters.options["path"] == str(tmp_path / "parameters")
    assert settings.office.options["key"] == str(tmp_path / "pki/bus-1.key")
    assert settings.office.options["ca"] == "/nowhere/ca.pem"
    assert settings.lanes[0].readers[0].options["link"] == f"serial:{tmp_path}/wires/scan"


@pytest.mark.parametrize("store", ["", "[store]\n", '[store]\npath = ""\n'])
def test_the_journal_lies_in_the_state_directory(store: str, tmp_path: Path) -> None:
    """Unless it is said otherwise; an empty path says nothing."""
    file = tmp_path / "site.toml"
    file.write_text(GOOD + store, encoding="utf-8")
    _without_office(file)
    assert getattr(build(load(file)).store, "directory", None) == tmp_path / "state" / "journal"


def test_screens(tmp_path: Path) -> None:
    """Screens are for this machine alone unless a site says otherwise; without a table there are none."""
    file = tmp_path / "site.toml"
    file.write_text(GOOD, encoding="utf-8")
    assert load(file).console is None
    file.write_text(GOOD + '\n[console]\nvoices = ["own"]\n', encoding="utf-8")
    console = load(file).console
    assert console is not None and (console.host, console.port, console.names) == ("127.0.0.1", 8600, ())
    assert console.voices == (str(tmp_path / "own"),)
    file.write_text(GOOD + '\n[console]\nlanguage = "fr"\n', encoding="utf-8")
    with pytest.raises(SettingsError, match=r"\[console.language\]"):
        load(file)


def test_screens_cost_nothing_where_nobody_looks() -> None:
    """A terminal without them never loads their server."""
    code = "import sys, terminal.cli.run, drivers.office.https; sys.exit('aiohttp.web' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
