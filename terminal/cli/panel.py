"""`terminal panel CONFIG WHO COMMAND …`: what a driver or attendant asks of a running terminal.

Laws of this file:
- It only asks: the running terminal does it, and writes down who asked.
- An answer that it was not done is exit code 1, with what to try.
"""

import argparse
import json
import socket
import sys
from pathlib import Path
from typing import Any

from terminal.cli import exit_codes
from terminal.settings import SettingsError, load

WAIT_S = 10.0
EPILOG = """\
commands:
  sign-on LINE [DIRECTION]   a shift begins; sign-off ends it and tells its totals
  stop NAME|next|back        where no receiver tells; turn: the other way round
  key [NAME]                 the fare chosen for who boards from now on
  free LANE WHY [PERSONS]    let somebody through without a charge
  void WHY                   take the last charge back
  charged                    was this card charged today? hold it out now
  activate WHY               a pass whose holder was looked at: hold it out now
  emergency on|off WHY       everybody may go
  totals, where
such as:  terminal panel bus.toml 7 sign-on 12 down"""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The `panel` part of the command line."""
    parser = commands.add_parser(
        "panel",
        help="ask a running terminal: sign-on, stop, void …",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", type=Path, help="the site's TOML file; its [panel] names the socket")
    parser.add_argument("who", help="a number or word of the operator's own, such as the driver's number")
    parser.add_argument("do", metavar="COMMAND")
    parser.add_argument("words", nargs="*", metavar="WORD")


def run(options: argparse.Namespace) -> int:
    """Ask, and print the answer."""
    try:
        settings = load(options.config)
    except SettingsError as error:
        return _complain(str(error), exit_codes.SETTINGS)
    if settings.panel is None:
        return _complain(f"{options.config} has no [panel]: add one, and start the terminal again", exit_codes.SETTINGS)
    question = {"who": options.who, "do": options.do, "with": options.words}
    try:
        answer = ask(settings.panel, question)
    except (OSError, ValueError) as error:
        return _complain(f"{settings.panel}: {error}; is the terminal running?", exit_codes.DEVICE)
    if not answer["ok"]:
        return _complain(f"{answer['what']} ({answer['hint']})", exit_codes.NO)
    print(json.dumps(answer["answer"], ensure_ascii=False))
    return exit_codes.OK


def ask(path: Path, question: dict[str, Any]) -> dict[str, Any]:
    """One question, one answer. Raises OSError or ValueError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(WAIT_S)
        line.connect(str(path))
        line.sendall(json.dumps(question, ensure_ascii=False).encode() + b"\n")
        with line.makefile("rb") as heard:
            answer: dict[str, Any] = json.loads(heard.readline())
            return answer


def _complain(what: str, code: int) -> int:
    print(f"terminal: {what}", file=sys.stderr)
    return code
