"""`terminal check CONFIG`: everything that can be checked without opening a lane.

Laws of this file:
- One line a thing: what, ok or what is wrong, and what to try. All of them are asked, also after one has failed.
- It opens no device and writes nothing but a probe file in the state directory: of a serial line it asks whether it
  is there and may be opened, no more; a port is bound for a moment and never listened on.
"""

import argparse
import datetime
import errno
import functools
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.x509.oid import NameOID
from rich.console import Console
from rich.table import Table
from rich.text import Text

from drivers.clock import SystemClock
from terminal.cli import exit_codes
from terminal.console.rules import ConsoleRules
from terminal.core import sm2
from terminal.core.model import PassageMode
from terminal.core.parameters_load import ParametersError, load
from terminal.core.services import VISITS
from terminal.opening import check_service, gate_of, open_board, open_device, open_wired
from terminal.opening_library import site_key, system_of
from terminal.ports import Clock, DeviceError, Gate
from terminal.settings import SERIAL, Device, LaneSettings, Settings, SettingsError
from terminal.settings import load as load_settings

PCSCD = "/run/pcscd/pcscd.comm"
SOON = datetime.timedelta(days=30)
STATUS_S = 5.0  # a status this young is a running terminal's: it is written twice a second


class Line(NamedTuple):
    """One thing that was checked. `wrong` is empty when it is well; `well` is what is said then."""

    what: str
    wrong: str = ""
    hint: str = ""
    well: str = "ok"


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The `check` part of the command line."""
    parser = commands.add_parser("check", help="check a configuration without opening a lane")
    parser.add_argument("config", type=Path)


def run(options: argparse.Namespace) -> int:
    """0 when all is well, 1 when something is not, 3 when the configuration cannot be read at all."""
    try:
        settings = load_settings(options.config)
    except SettingsError as error:
        _print([Line(f"configuration {options.config}, [{error.section}]", error.what, error.hint)])
        return exit_codes.SETTINGS
    lines = list(check(settings))
    _print(lines)
    return exit_codes.NO if any(line.wrong for line in lines) else exit_codes.OK


def check(settings: Settings) -> Iterator[Line]:
    """Every check in turn."""
    yield Line(f"configuration {settings.file}")
    yield Line(f"SM2 by {sm2.backend_name()}", "" if "slow" not in sm2.backend_name() else "slow", "install libssl3")
    yield _state_dir(Path(settings.terminal.state_dir))
    yield from _files(settings.office)
    yield _certificate(settings)
    gates: dict[str, Gate] = {}
    yield from _devices(settings, gates)
    if settings.console is not None:
        yield _console(settings.console, Path(settings.terminal.state_dir))
    yield from _library(settings)
    yield from _parameters(settings, gates)


def _asked(what: str, ask: Callable[[], object]) -> Line:
    try:
        ask()
    except (SettingsError, DeviceError) as error:
        section = getattr(error, "section", what)
        return Line(what if section == what else f"{what}, [{section}]", error.what, error.hint)
    return Line(what)


def _devices(settings: Settings, gates: dict[str, Gate]) -> Iterator[Line]:
    """Every device by itself, and whether its line is there; `gates` receives the good ones by their lane's name."""
    clock = SystemClock()
    boards: dict[str, object] = {}
    for device in (settings.store, settings.parameters, settings.office, *_position(settings)):
        yield _asked(device.section, functools.partial(open_device, settings, device, clock))
    for device in _position(settings):
        yield from _serial(device)
    for name, device in settings.boards.items():
        yield _asked(device.section, functools.partial(_into, boards, name, open_board, settings, device, clock))
        yield from _serial(device)
    wired = functools.partial(_wired, settings, boards, clock)
    for what, input_ in (("power", settings.power), ("box", settings.box)):
        if input_ is not None:
            yield from wired(input_, what, {})
    for lane in settings.lanes:
        yield _asked(f"service of lane {lane.name}", functools.partial(check_service, settings, lane))
        for reader in lane.readers:
            yield _asked(reader.section, functools.partial(open_device, settings, reader, clock))
            yield from _serial(reader)
        yield from _cards(settings, lane, clock)
        found: dict[str, object] = {}
        yield from wired(gate_of(lane), "gate", found)
        gates.update((lane.name, gate) for gate in found.values() if isinstance(gate, Gate))
        for indicator in lane.indicators:
            yield from wired(indicator, "lamp", {})
        for device in (*lane.screens, *([] if lane.items is None else [lane.items])):
            yield _asked(device.section, functools.partial(open_device, settings, device, clock))


def _library(settings: Settings) -> Iterator[Line]:
    """The library system's settings, the site's key, and who is linked."""
    shared = settings.library
    if shared is None:
        return
    yield _asked("library.system", functools.partial(open_device, settings, system_of(shared), SystemClock()))
    yield _asked(f"library key {shared.key}", functools.partial(site_key, settings, shared))
    links = Path(shared.reader_links)
    there = bool(shared.reader_links) and links.is_file()
    hint = "nobody can sign in: link a card with `terminal library link`, or copy the table of another kiosk"
    yield Line(f"reader links {links}", "" if there else "are not there", hint)


def _cards(settings: Settings, lane: LaneSettings, clock: Clock) -> Iterator[Line]:
    """Card readers and the secure module; of pcscd whether it listens."""
    devices = [*lane.slots, *([lane.module] if lane.module is not None else [])]
    for device in devices:
        yield _asked(device.section, functools.partial(open_device, settings, device, clock))
        yield from _serial(device)
    if any((device.driver or "").endswith(".pcsc") for device in devices):
        socket = Path(os.environ.get("PCSCLITE_CSOCK_NAME") or PCSCD)
        wrong = "" if socket.exists() else "does not run"
        yield Line(f"pcscd for lane {lane.name}", wrong, "apt-get install pcscd; systemctl enable --now pcscd.socket")


def _position(settings: Settings) -> tuple[Device, ...]:
    return () if settings.position is None else (settings.position,)


def _wired(
    settings: Settings, boards: dict[str, object], clock: Clock, device: Device, what: str, found: dict[str, object]
) -> Iterator[Line]:
    if device.board is not None and device.board not in boards:
        yield Line(device.section, f"board {device.board} has a fault", "mend the board first")
        return
    ask = functools.partial(_into, found, what, open_wired, settings, device, boards, clock, what)
    yield _asked(device.section, ask)
    yield from _serial(device)


def _into(found: dict[str, object], name: str, ask: Callable[..., object], *arguments: object) -> None:
    found[name] = ask(*arguments)


def _serial(device: Device) -> Iterator[Line]:
    link = device.options.get("link")
    if not isinstance(link, str) or not link.startswith(SERIAL):
        return
    path = Path(link.removeprefix(SERIAL).partition("?")[0])
    what = f"serial line {path}, {device.section}"
    if not path.exists():
        yield Line(what, "is not there", "is it plugged in? ls -l /dev/serial/by-id /dev/serial/by-path")
    elif not os.access(path, os.R_OK | os.W_OK):
        yield Line(what, "may not be opened", f"put user {os.getuid()} into the group of {path}, mostly dialout")
    else:
        yield Line(what)


def _console(rules: ConsoleRules, state_dir: Path) -> Line:
    """Whether the pages' address can be had. In use by this very terminal, which is running, is well."""
    what = f"console http://{rules.host}:{rules.port}/"
    try:
        of_host = (rules.host or None, rules.port, 0, socket.SOCK_STREAM, 0, socket.AI_PASSIVE)
        for family, kind, protocol, _, address in socket.getaddrinfo(*of_host):
            with socket.socket(family, kind, protocol) as probe:  # made as the terminal's own is
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
    except (OSError, UnicodeError) as error:
        if getattr(error, "errno", 0) != errno.EADDRINUSE:
            hint = "host in [console] is an address of this machine; its port is above 1023"
            return Line(what, str(getattr(error, "strerror", error)), hint)
        if _serves(state_dir, rules):
            return Line(what, well="in use: by this terminal, which is running")
        hint = f"`ss -ltnp 'sport = :{rules.port}'` says by which process: end it, or change port in [console]"
        return Line(what, "in use: is another terminal running?", hint)
    return Line(what)


def _serves(state_dir: Path, rules: ConsoleRules) -> bool:
    """Whether the terminal of this state directory says now that its pages are there."""
    path = state_dir / "status.json"
    try:
        age_s = time.time() - path.stat().st_mtime
        address = json.loads(path.read_bytes())["console"]["address"]
    except (OSError, ValueError, KeyError, TypeError):  # none; none of ours
        return False
    return abs(age_s) < STATUS_S and address == f"http://{rules.host}:{rules.port}/"


def _files(office: Device) -> Iterator[Line]:
    """The CA's certificate and our key; our own certificate is looked at more closely."""
    for key, names in (("ca", "head office's CA"), ("key", "the key of this terminal's certificate")):
        if key not in office.options:
            continue
        path = Path(str(office.options[key]))
        try:
            path.read_bytes()
        except (OSError, ValueError) as error:
            yield Line(f"{key} {path}", str(getattr(error, "strerror", error)), f"ask head office for {names}")
        else:
            yield Line(f"{key} {path}")


def _state_dir(path: Path) -> Line:
    what = f"state directory {path}"
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / ".probe"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        return Line(what, str(error.strerror), f"make {path} writable for user {os.getuid()}")
    return Line(what)


def _certificate(settings: Settings) -> Line:
    name = settings.office.options.get("certificate")
    what = f"certificate {name}"
    try:
        certificate = x509.load_pem_x509_certificate(Path(str(name)).read_bytes())
    except (OSError, ValueError) as error:
        return Line(what, str(error), "ask head office for this terminal's certificate")
    names = [str(part.value) for part in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [settings.terminal.id]:
        return Line(
            what, f"is for {', '.join(names)}, not {settings.terminal.id}", "the id and the certificate must agree"
        )
    now = datetime.datetime.now(datetime.UTC)
    if not certificate.not_valid_before_utc <= now:
        return Line(what, "is not yet valid", "is this machine's clock right?")
    left = certificate.not_valid_after_utc - now
    if left < SOON:
        return Line(
            what, f"ends in {left.days} days" if left.days >= 0 else "has ended", "ask head office for a new one"
        )
    return Line(what)


def _parameters(settings: Settings, gates: dict[str, Gate]) -> Iterator[Line]:
    what = "parameters"
    try:
        found = load(open_device(settings, settings.parameters, SystemClock()).read())
    except DeviceError as error:
        yield Line(what, error.what, error.hint)
        return
    except (ParametersError, SettingsError) as error:
        yield Line(what, str(error), "ask head office for a complete set")
        return
    yield Line(f"parameters, version {found.version}")
    for lane in settings.lanes:
        if lane.service in VISITS:
            continue  # a kiosk sells nothing
        served = any(lane.service in product.services for product in found.tariff.products)
        yield Line(
            f"products of {lane.service}, lane {lane.name}",
            "" if served else "the tariff has none",
            "" if served else "nobody would be admitted: ask head office",
        )
        if lane.name not in gates:
            continue  # told above
        hold_s = gates[lane.name].hold_s
        short = lane.passage is PassageMode.SENSOR and found.policies.passage_s <= hold_s
        yield Line(
            f"annul time of lane {lane.name}",
            f"{found.policies.passage_s} s does not exceed the gate's hold time of {hold_s} s" if short else "",
            "raise passage_s in policies.json, or lower hold_s at the controller and here" if short else "",
        )


def _print(lines: list[Line]) -> None:
    table = Table("what", "", "what to try")
    for line in lines:
        # not markup: [lanes.east] is a section
        result = Text(line.wrong, "red") if line.wrong else Text(line.well, "green")
        table.add_row(Text(line.what), result, Text(line.hint if line.wrong else ""))
    Console().print(table)
