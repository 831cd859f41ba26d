"""`terminal run CONFIG`: one terminal, until it is told to stop."""

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from terminal import logs, undumpable
from terminal.assemble import assemble
from terminal.cli import exit_codes
from terminal.ports import DeviceError, StoreBroken, StoreInUse
from terminal.settings import SettingsError, load

EXIT_CODE_OF: dict[type[Exception], int] = {
    SettingsError: exit_codes.SETTINGS,
    DeviceError: exit_codes.DEVICE,
    StoreInUse: exit_codes.IN_USE,  # before its own kind
    StoreBroken: exit_codes.JOURNAL,
}

log = logging.getLogger(__name__)


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The `run` part of the command line."""
    parser = commands.add_parser("run", help="run one terminal from its configuration")
    parser.add_argument("config", type=Path, help="a site's TOML file, such as config/bus-gate.toml")
    parser.add_argument("--verbose", action="store_true", help="also log what is normally too much")


def run(options: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT. A bug or a broken journal ends the process; its parent starts it again."""
    logs.set_up(level=logging.DEBUG if options.verbose else logging.INFO)
    undumpable.forbid_cores()
    try:
        asyncio.run(_run(options.config))
    except Exception as error:
        cause = _first(error)
        code = next((code for kind, code in EXIT_CODE_OF.items() if isinstance(cause, kind)), None)
        if code is None:
            log.critical("bug", exc_info=cause)
            return exit_codes.BUG
        log.critical("stopped", extra={"what": str(cause)})
        print(f"terminal: {cause}", file=sys.stderr)
        return code
    return exit_codes.OK


def _first(error: Exception) -> Exception:
    """The innermost first error of what a task group raised."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


async def _run(config: Path) -> None:
    terminal = assemble(load(config))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await terminal.run(stop)
