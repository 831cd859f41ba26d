"""`terminal inspect`: what a payload is, field by field and check by check.

Laws of this file:
- The payload comes on standard input, as hexadecimal, base64, base45 or raw bytes; which one is found out and said.
- Sensitive fields are masked; what needs a terminal in service is `n/a`.
- Anybody may have written a payload: what it says is shown, never taken for mark-up.
- It decides nothing: the same functions judge here and at the gate.
"""

import argparse
import base64
import binascii
import datetime
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from drivers.clock import SystemClock
from drivers.parameters import directory
from terminal.cli import exit_codes
from terminal.core import tokens
from terminal.core.model import Instant, TimeSource
from terminal.core.parameters import ParameterSet
from terminal.core.parameters_load import ParametersError, load
from terminal.core.services import SERVICES
from terminal.core.time import settle
from terminal.core.tokens import base45
from terminal.core.tokens.explanation import Explanation, Field, Result, State
from terminal.ports import DeviceError

STYLES = {Result.PASS: "green", Result.FAIL: "red", Result.NOT_APPLICABLE: "dim"}


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The `inspect` part of the command line."""
    parser = commands.add_parser("inspect", help="explain a code given on standard input")
    parser.add_argument("--parameters", type=Path, help="a parameter directory; without it the demo's own are used")
    parser.add_argument(
        "--at", type=_instant, help="judge at this time (ISO 8601, such as 2026-11-24T07:50+08:00; default: now)"
    )
    parser.add_argument(
        "--service",
        choices=sorted(SERVICES),
        metavar="NAME",
        help=f"also judge what it would ask: {', '.join(SERVICES)}",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")


def run(options: argparse.Namespace) -> int:
    """0 when every check that applies passed, 1 when one failed."""
    try:
        at: Instant = options.at or settle(SystemClock().read(), 0)
        parameters = _parameters(options.parameters, at)
    except (DeviceError, ParametersError) as error:
        print(f"terminal: {error}", file=sys.stderr)
        return exit_codes.SETTINGS
    written, payload = read_payload(sys.stdin.buffer.read(1 << 20))
    found = tokens.explain(payload, parameters, at, State(service=options.service))
    (_print_json if options.json else _print)(found, written, payload)
    failed = any(check.result is Result.FAIL for check in found.checks)
    return exit_codes.NO if failed or found.credential is None else exit_codes.OK


def read_payload(data: bytes) -> tuple[str, bytes]:
    """How the payload was written, and its bytes. A trailing line end is not part of it."""
    text = data.strip(b" \t\r\n")
    if text.startswith(b"OC1:"):
        return "base45", text
    for name, read in (("hex", _hex), ("base64", _base64), ("base45", base45.decode)):
        payload = read(text)
        if payload is not None and tokens.recognise(payload) is not None:
            return name, payload
    if tokens.recognise(data) is not None:  # digits alone may be a code, and look like hexadecimal
        return "raw", data
    if tokens.recognise(text) is not None:
        return "raw", text
    as_hex = _hex(text)
    if as_hex:
        return "hex", as_hex
    return "raw", data


def masked(field: Field) -> str:
    """A sensitive value by its ends."""
    if not field.sensitive or len(field.value) < 9:
        return "…" if field.sensitive and field.value else field.value
    return f"{field.value[:4]}…{field.value[-2:]} ({len(field.value)} characters)"


def _hex(text: bytes) -> bytes | None:
    try:
        return bytes.fromhex(text.decode("ascii"))
    except ValueError:
        return None


def _base64(text: bytes) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None


def _instant(text: str) -> Instant:
    try:
        moment = datetime.datetime.fromisoformat(text)
        utc_ms = int(moment.timestamp() * 1000)  # without a zone it is this machine's own
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(f"{text!r}: write it like 2026-11-24T07:50+08:00") from error
    return Instant(utc_ms=utc_ms, uncertainty_ms=0, source=TimeSource.SYSTEM, monotonic_ns=0)


def _parameters(path: Path | None, at: Instant) -> ParameterSet:
    if path is not None:
        return load(directory.open(directory.Settings(path=str(path)), SystemClock()).read())
    from simulators.parameters import ParameterOffice  # the demo's own, only when no others were named
    from terminal.core.parameters import OfficeKeys

    return load(ParameterOffice(Path(), OfficeKeys(keys=())).files(at.utc_ms))


def _print_json(found: Explanation, written: str, payload: bytes) -> None:
    checks = [
        {
            "number": check.number,
            "asks": check.asks,
            "result": check.result.value,
            "reason": check.reason.value if check.reason else None,
            "judged_by": check.judged_by,
        }
        for check in found.checks
    ]
    fields = {field.name: masked(field) for field in found.fields}
    whole = {"format": found.format, "verdict": found.verdict, "written": written, "bytes": len(payload)}
    print(json.dumps(whole | {"fields": fields, "checks": checks}, ensure_ascii=False))


def _print(found: Explanation, written: str, payload: bytes) -> None:
    console = Console()
    console.print(f"[bold]{found.format}[/bold], {len(payload)} bytes, read as {written}: [bold]{found.verdict}[/bold]")
    if found.fields:
        fields = Table("field", "value")
        for field in found.fields:
            fields.add_row(field.name, Text(masked(field)))
        console.print(fields)
    if found.checks:
        checks = Table("#", "asks", "result", "reason", "judged by")
        for check in found.checks:
            result = f"[{STYLES[check.result]}]{check.result.value}[/]"
            reason = check.reason.value if check.reason else ""
            checks.add_row(str(check.number), check.asks, result, reason, check.judged_by)
        console.print(checks)
