"""The commands as a technician meets them: real processes, documented exit codes, never a traceback.

Laws of this file:
- Every command is started as its users start it; what it says goes to the right stream.
- Bad input is a table: what is typed, what comes back.
"""

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from simulators import pki
from simulators.parameters import ParameterOffice
from simulators.phone import FAULTS, Phone
from simulators.token_issuer import Wallet
from terminal.cli import exit_codes
from terminal.core.tokens.ride_code_checks import CHECKS

ROOT = Path(__file__).resolve().parents[2]
AT = "1800000000"


def terminal(*arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """`terminal …`, with something on its standard input."""
    command = [sys.executable, "-m", "terminal", *arguments]
    return subprocess.run(command, cwd=ROOT, input=given, capture_output=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def parameters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A parameter directory."""
    place = tmp_path_factory.mktemp("parameters")
    ParameterOffice(place / "set", pki.write_office_keys(place / "keys")).publish(1_799_999_000_000)
    return place / "set"


def inspected(parameters: Path, code: bytes, *more: str) -> tuple[int, dict[str, object]]:
    """Exit code and JSON of an inspection at the tables' moment."""
    options = ("--parameters", str(parameters), "--at", "2027-01-15T08:00:00Z", "--json", *more)
    done = terminal("inspect", *options, given=code)
    assert b"Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def test_a_simulated_code_is_explained(parameters: Path) -> None:
    """All eighteen checks: fifteen pass, three are not applicable without fare and history."""
    simulated = terminal("simulate", "code", "--at", AT)
    assert simulated.returncode == 0
    code, told = inspected(parameters, simulated.stdout)
    checks = told["checks"]
    assert isinstance(checks, list)
    assert (code, told["verdict"], len(checks)) == (0, "verified", len(CHECKS))
    assert [check["result"] for check in checks].count("pass") == 15
    assert [check["result"] for check in checks].count("n/a") == 3


@pytest.mark.parametrize("arguments", [(), ("--text",)])
def test_a_card_token_is_explained_in_both_forms(parameters: Path, arguments: tuple[str, ...]) -> None:
    """Binary as hexadecimal, and base45."""
    simulated = terminal("simulate", "code", "--format", "card_token", "--at", AT, *arguments)
    code, told = inspected(parameters, simulated.stdout)
    assert (code, told["format"], told["verdict"]) == (0, "card_token", "verified")


@pytest.mark.parametrize("fault", ["expired code", "forged user signature", "unknown issuer"])
def test_a_named_fault_is_found(parameters: Path, fault: str) -> None:
    """The answer is no, and the checks after the one that failed are told as well."""
    assert fault in FAULTS
    simulated = terminal("simulate", "code", "--at", AT, "--fault", fault)
    code, told = inspected(parameters, simulated.stdout)
    checks = told["checks"]
    assert isinstance(checks, list)
    assert (code, len(checks)) == (exit_codes.NO, len(CHECKS))
    assert "fail" in [check["result"] for check in checks]


def test_a_check_that_fails_behind_the_code_itself_is_a_no(parameters: Path) -> None:
    """A ceiling below the fare; a status list nobody has."""
    poor = Phone(ceiling_fen=1).code(int(AT)).hex().encode()
    assert inspected(parameters, poor)[0] == exit_codes.OK
    assert inspected(parameters, poor, "--service", "fare")[0] == exit_codes.NO
    code, told = inspected(parameters, Wallet(status=("elsewhere", 5)).code(int(AT)).hex().encode())
    assert (code, told["verdict"]) == (exit_codes.NO, "status_unknown")


@pytest.mark.parametrize(
    ("changed", "section"),
    [(('passage = "', 'passage = "sometimes-'), "[lanes."), (('id = "bus-0017"', ""), "[terminal]")],
)
def test_a_wrong_configuration_is_told_with_its_section(
    site: Path, monkeypatch: pytest.MonkeyPatch, changed: tuple[str, str], section: str
) -> None:
    """As `run` does."""
    monkeypatch.setenv("COLUMNS", "1000")  # no line is folded
    text = site.read_text(encoding="utf-8")
    assert changed[0] in text
    site.write_text(text.replace(*changed, 1), encoding="utf-8")
    for command in ("check", "run"):
        done = terminal(command, str(site))
        assert done.returncode == exit_codes.SETTINGS
        assert section in (done.stdout + done.stderr).decode()


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (b"621234567890123456", "online_only_payment"),  # an even number of digits is hexadecimal, too
        (b"6212345678901234567", "online_only_payment"),
        (b"3101000000000000000000000000", "online_only_medical"),
        (b"621234567890123456\r\n", "online_only_payment"),
    ],
)
def test_digits_are_a_code_before_they_are_hexadecimal(parameters: Path, code: bytes, verdict: str) -> None:
    """What a reader would hand over as it stands is judged as it stands."""
    _, told = inspected(parameters, code)
    assert (told["verdict"], told["written"]) == (verdict, "raw")


def test_what_belongs_to_a_rider_is_masked(parameters: Path) -> None:
    """The transit account is not printed whole."""
    simulated = terminal("simulate", "code", "--at", AT, "--holder", "somebody")
    hexadecimal = max(re.findall(rb"[0-9a-f]{600,}", simulated.stdout), key=len)
    account = bytes.fromhex(hexadecimal.decode())[136:146].hex()
    done = terminal("inspect", "--parameters", str(parameters), given=hexadecimal)
    assert account.encode() not in done.stdout
    assert account[:4].encode() in done.stdout


def test_what_a_payload_says_is_shown_and_not_obeyed(parameters: Path) -> None:
    """Anybody can write a code: what would be mark-up of ours is a text."""
    payload = Wallet(status=("[/red] [bold]x", 5)).code(int(AT)).hex().encode()
    done = terminal("inspect", "--parameters", str(parameters), given=payload)
    assert done.returncode == exit_codes.NO and not done.stderr
    assert b"[/red] [bold]x[5]" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "given", "code"),
    [
        ((), b"", exit_codes.USAGE),
        (("dance",), b"", exit_codes.USAGE),
        (("inspect",), b"", exit_codes.NO),
        (("inspect",), b"\xff" * 5000, exit_codes.NO),
        (("inspect", "--at", "yesterday"), b"00", exit_codes.USAGE),
        (("inspect", "--parameters", "/nowhere"), b"00", exit_codes.SETTINGS),
        (("inspect", "--service", "nonsense"), b"00", exit_codes.USAGE),
        (("simulate", "code", "--at", "-1"), b"", exit_codes.USAGE),
        (("simulate", "code", "--card-type", "zz"), b"", exit_codes.USAGE),
        (("simulate", "code", "--fault", "none such"), b"", exit_codes.USAGE),
        (("run", "/nowhere.toml"), b"", exit_codes.SETTINGS),
        (("check", "/nowhere.toml"), b"", exit_codes.SETTINGS),
        (("run", str(ROOT / "pyproject.toml")), b"", exit_codes.SETTINGS),
        (("journal", "verify", "/nowhere"), b"", exit_codes.DEVICE),
        (("demo", "--dir", str(ROOT)), b"", exit_codes.SETTINGS),
    ],
)
def test_bad_input_is_answered_with_its_exit_code(arguments: tuple[str, ...], given: bytes, code: int) -> None:
    """And a sentence, never a traceback."""
    done = terminal(*arguments, given=given)
    assert (done.returncode, b"Traceback" in done.stderr) == (code, False), done.stderr.decode()


# --------------------------------------------------------------------------- running


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A configuration whose far ends nobody has plugged in, and whose head office is away."""
    authority = pki.Authority(tmp_path / "pki")
    authority.issue("bus-0017")
    ParameterOffice(tmp_path / "parameters", pki.write_office_keys(tmp_path / "keys")).publish(time.time_ns() // 10**6)
    text = (ROOT / "config" / "demo" / "bus.toml").read_text(encoding="utf-8").replace("18443", "9")
    (tmp_path / "bus.toml").write_text(text, encoding="utf-8")
    return tmp_path / "bus.toml"


def started(config: Path) -> subprocess.Popen[bytes]:
    """A running terminal, once it says that it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "terminal", "run", str(config)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    for line in process.stderr:
        if b'"ready"' in line:
            return process
    raise AssertionError("it ended before it was ready")


def test_what_is_typed_into_its_console_is_nobodys_command(site: Path) -> None:
    """A keyboard that somebody plugged in types at it: nothing is read, nothing happens, it stops when told."""
    keyboard, console = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "terminal", "run", str(site)], cwd=ROOT, stdin=console, stderr=subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        while b'"ready"' not in process.stderr.readline():
            assert process.poll() is None
        before = seen_down(site.parent / "bus" / "status.json")
        for line in (b"open\n", b"\x03\x03", b"exit\n", b"\x1b[2~\x04", b"import os; os._exit(0)\n"):
            os.write(keyboard, line)
        time.sleep(0.7)  # long enough for a status to be written after it
        assert process.poll() is None
        assert before["lanes"] == json.loads((site.parent / "bus" / "status.json").read_bytes())["lanes"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        os.close(console)
        os.close(keyboard)
    assert process.returncode == 0


def seen_down(status_file: Path) -> dict[str, Any]:
    """The status once it says that the reader is down."""
    for _ in range(300):
        status: dict[str, Any] = json.loads(status_file.read_bytes()) if status_file.exists() else {}
        if status and not status["devices"]["bus/front/0"]["up"]:
            return status
        time.sleep(0.1)  # another process's file: there is no event
    raise AssertionError("nobody noticed that there is no reader")


def test_it_runs_without_a_reader_and_without_head_office_and_stops_when_told(site: Path) -> None:
    """Devices come and go; a second terminal on the same journal is told so; SIGTERM ends it cleanly."""
    process = started(site)
    try:
        second = terminal("run", str(site))
        assert second.returncode == exit_codes.IN_USE, second.stderr.decode()
        status = seen_down(site.parent / "bus" / "status.json")
        assert status["ready"]
        assert status["sm2"]
        assert "plug" in status["devices"]["bus/front/0"]["hint"] or "there" in status["devices"]["bus/front/0"]["hint"]
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, b"Traceback" in errors) == (0, False)
    verified = terminal("journal", "verify", str(site.parent / "bus" / "journal"))
    assert verified.returncode == 0, verified.stderr.decode()


def on_the_console(config: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The row of the port that `terminal check` prints."""
    monkeypatch.setenv("COLUMNS", "400")  # no line is folded
    out = terminal("check", str(config)).stdout.decode()
    (row,) = (line for line in out.splitlines() if line.startswith("│ console http://"))
    return row


def test_check_says_who_has_the_pages_port(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Free; the terminal's own while it runs; and another's, with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        with site.open("a", encoding="utf-8") as file:
            file.write(f"\n[console]\nport = {port}\n")
        row = on_the_console(site, monkeypatch)
        assert "in use: is another terminal running?" in row and f"sport = :{port}" in row and "[console]" in row
    assert on_the_console(site, monkeypatch).split("│")[2].strip() == "ok"
    process = started(site)
    try:
        status_file = site.parent / "bus" / "status.json"
        for _ in range(300):
            if status_file.exists() and json.loads(status_file.read_bytes())["console"]["address"]:
                break
            time.sleep(0.1)  # another process's file: there is no event
        assert "in use: by this terminal, which is running" in on_the_console(site, monkeypatch)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    with socket.create_server(("127.0.0.1", port)):  # the status it left says so still, and is of another time
        past = time.time() - 60
        os.utime(status_file, (past, past))
        assert "is another terminal running?" in on_the_console(site, monkeypatch)
    text = site.read_text(encoding="utf-8")
    for host in ("192.0.2.1", "no-such-host.invalid", "two..dots"):  # of nobody here
        site.write_text(text.replace("[console]\n", f'[console]\nhost = "{host}"\n'), encoding="utf-8")
        assert "is an address of this machine" in on_the_console(site, monkeypatch)
