"""`terminal run CONFIG`: one terminal, until it is told to stop.

Laws of this file:
- Stopping ends. A disk or a resolver that does not come back is waited for so long and no longer: the process leaves,
  and whatever the journal promised is verified at the next start.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
import threading
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

STOP_S = 10.0  # for stopping besides the upload: taps reach their gates, pulses end, the journal closes
TELL_S = 1.0

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
    settings = load(config)
    terminal = assemble(settings)
    stop, closed = asyncio.Event(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    bound = asyncio.create_task(_bound(stop, closed, settings.terminal.stop_upload_s + STOP_S))
    await terminal.run(stop)
    closed.set()
    bound.cancel()


async def _bound(stop: asyncio.Event, closed: threading.Event, within_s: float) -> None:
    """From `stop` on the process has so long: a thread sees to it, for the loop itself may wait."""
    await stop.wait()
    timer = threading.Timer(within_s, _leave, (closed,))
    timer.daemon = True
    timer.start()


def _leave(closed: threading.Event) -> None:
    """End here. Even telling so may wait, for whoever reads what we say."""
    what = "something else than the journal" if closed.is_set() else "the journal's disk, a board or head office"
    telling = threading.Thread(
        target=lambda: log.critical("stopping takes too long", extra={"what": f"{what} does not come back"}),
        daemon=True,
    )
    telling.start()
    telling.join(TELL_S)
    os._exit(exit_codes.OK if closed.is_set() else exit_codes.JOURNAL)
