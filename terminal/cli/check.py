"""`terminal check CONFIG`: everything that can be checked without opening a lane.

Laws of this file:
- One line a thing: what, ok or what is wrong, and what to try. All of them are asked, also after one has failed.
- It opens no device and writes nothing but a probe file in the state directory.
"""

import argparse
import datetime
import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.x509.oid import NameOID
from rich.console import Console
from rich.table import Table

import drivers
from drivers.clock import SystemClock
from terminal.assemble import build, open_device
from terminal.cli import exit_codes
from terminal.core import sm2
from terminal.core.model import PassageMode
from terminal.core.parameters_load import ParametersError, load
from terminal.ports import DeviceError
from terminal.settings import Settings, SettingsError
from terminal.settings import load as load_settings

SOON = datetime.timedelta(days=30)


class Line(NamedTuple):
    """One thing that was checked. `wrong` is empty when it is well."""

    what: str
    wrong: str = ""
    hint: str = ""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The `check` part of the command line."""
    parser = commands.add_parser("check", help="check a configuration without opening a lane")
    parser.add_argument("config", type=Path)


def run(options: argparse.Namespace) -> int:
    """0 when all is well, 1 when something is not, 3 when the configuration cannot be read at all."""
    try:
        settings = load_settings(options.config)
    except SettingsError as error:
        _print([Line(f"configuration {options.config}", error.what, error.hint)])
        return exit_codes.SETTINGS
    lines = list(check(settings))
    _print(lines)
    return exit_codes.NO if any(line.wrong for line in lines) else exit_codes.OK


def check(settings: Settings) -> Iterator[Line]:
    """Every check in turn."""
    yield Line(f"configuration {settings.file}")
    yield Line(f"SM2 by {sm2.backend_name()}", "" if "slow" not in sm2.backend_name() else "slow", "install libssl3")
    yield _state_dir(Path(settings.terminal.state_dir))
    for device in (settings.store, settings.parameters, settings.office, *settings.boards.values()):
        yield _asked(f"driver {device.driver}", functools.partial(drivers.find, device.driver or ""))
    yield _certificate(settings)
    yield _asked("devices and wirings", lambda: build(settings))
    yield from _parameters(settings)


def _asked(what: str, ask: Callable[[], object]) -> Line:
    try:
        ask()
    except (SettingsError, DeviceError) as error:
        return Line(what, getattr(error, "what", str(error)), error.hint)
    except drivers.UnknownDriver as error:
        return Line(what, str(error), "see docs/running-a-site.md")
    return Line(what)


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


def _parameters(settings: Settings) -> Iterator[Line]:
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
        served = any(lane.service in product.services for product in found.tariff.products)
        yield Line(
            f"products of {lane.service}, lane {lane.name}",
            "" if served else "the tariff has none",
            "" if served else "nobody would be admitted: ask head office",
        )
        hold_s = float(lane.gate.options.get("hold_s", 5.0)) if lane.gate is not None else 0.0
        short = lane.passage is PassageMode.SENSOR and found.policies.passage_s <= hold_s
        yield Line(
            f"annul time of lane {lane.name}",
            f"{found.policies.passage_s} s does not exceed the gate's hold time of {hold_s} s" if short else "",
            "raise passage_s in policies.json, or lower hold_s at the controller and here" if short else "",
        )


def _print(lines: list[Line]) -> None:
    table = Table("what", "", "what to try")
    for line in lines:
        table.add_row(
            line.what, f"[red]{line.wrong}[/]" if line.wrong else "[green]ok[/]", line.hint if line.wrong else ""
        )
    Console().print(table)
