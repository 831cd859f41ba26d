"""`python -m terminal`, and the `terminal` command."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from terminal import __version__
from terminal.cli import exit_codes

COMMANDS = ("demo", "run", "check", "doctor", "inspect", "journal", "simulate", "fare", "panel", "library", "voices")


def build_parser(names: Sequence[str] = COMMANDS) -> argparse.ArgumentParser:
    """The command line; each subcommand adds its own part. The daemon carries no other command's libraries."""
    parser = argparse.ArgumentParser(
        prog="terminal",
        description="The one-card terminal: decides presented codes offline, writes them down, opens the gate.",
        epilog=exit_codes.EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"onecard-terminal {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in names:
        importlib.import_module(f"terminal.cli.{name}").add_parser(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    named = [name for name in COMMANDS if name in given[:1]]
    options = build_parser(named or COMMANDS).parse_args(given)
    try:
        code: int = importlib.import_module(f"terminal.cli.{options.command}").run(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader of our output left: not our fault, and nothing to say it to
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exit_codes.OK


if __name__ == "__main__":
    sys.exit(main())
