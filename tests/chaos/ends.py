"""The two ends, each a process to be killed.

    python -m tests.chaos.ends terminal DIR --port P --until ROW --plant NAME
    python -m tests.chaos.ends office DIR --port P --trouble N --seed S --plant NAME

The terminal prints one JSON line a thing: {"ready": row}, {"acked": [...]} for each group whose appends have returned,
{"unsent": n} twice a second. What it writes is named by its own process, so that no name is written twice.
"""

import argparse
import asyncio
import json
import os
import sys
from contextlib import nullcontext
from pathlib import Path

from drivers.clock import SystemClock
from drivers.office.https import HttpsOffice, Settings
from drivers.parameters.directory import Directory
from drivers.store.sqlite import SqliteStore
from simulators import office_server
from terminal.assemble import Parts, Terminal
from terminal.core.entries import Commanded
from terminal.runtime.uploader import UploadRules
from tests.plants import PLANTS

TERMINAL = "bus-1"
RULES = UploadRules(
    batch_entries=12,
    gather_s=0.002,
    first_wait_s=0.002,
    longest_wait_s=0.05,
    least_retry_after_s=0.01,
    longest_retry_after_s=0.1,
)
GROUP = 40  # appends under way at once


def say(**what: object) -> None:
    """One line to whoever watches."""
    print(json.dumps(what), flush=True)


def parts(directory: Path, port: int) -> Parts:
    """A terminal without lanes: what it writes comes from here."""
    clock, pki = SystemClock(), directory / "pki"
    settings = Settings(
        url=f"https://localhost:{port}",
        ca=str(pki / "ca.pem"),
        certificate=str(pki / f"{TERMINAL}.pem"),
        key=str(pki / f"{TERMINAL}.key"),
        connect_s=0.4,
        total_s=0.8,
    )
    return Parts(
        terminal=TERMINAL,
        clock=clock,
        store=SqliteStore(directory / "journal", clock),
        parameters=Directory(directory / "parameters"),
        office=HttpsOffice(settings, clock),
        lanes=[],
        upload_rules=RULES,
    )


async def write(terminal: Terminal, until_row: int) -> None:
    """Append sealed entries until the journal has so many rows, saying which are durable."""
    assert terminal.site is not None
    site, number = terminal.site, 0
    while site.journal.head().row < until_row:
        names = [f"{os.getpid()}/{number + n}" for n in range(GROUP)]
        number += GROUP
        facts = [Commanded(who="chaos", what=name) for name in names]
        await asyncio.gather(*(site.journal.append(fact, site.now(), fact.what.encode()) for fact in facts))
        say(acked=names)


async def run_terminal(options: argparse.Namespace) -> None:
    """Until killed."""
    terminal = Terminal(parts(options.dir, options.port))
    running = asyncio.create_task(terminal.run(asyncio.Event()))
    ready = asyncio.create_task(terminal.ready.wait())
    await asyncio.wait([running, ready], return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()
    assert terminal.site is not None
    journal = terminal.site.journal
    say(ready=journal.head().row)
    writing = asyncio.create_task(write(terminal, options.until))
    while not running.done():
        await asyncio.sleep(0.1)
        if writing.done():
            writing.result()
            say(unsent=journal.head().unsent)
    running.result()


def main() -> None:
    """Run one end."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.ends")
    parser.add_argument("end", choices=("terminal", "office"))
    parser.add_argument("dir", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--until", type=int, default=0)
    parser.add_argument("--trouble", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plant", default="")
    options = parser.parse_args()
    with PLANTS[options.plant]() if options.plant else nullcontext():
        if options.end == "terminal":
            asyncio.run(run_terminal(options))
        else:
            named = {"--dir": options.dir, "--port": options.port, "--trouble": options.trouble, "--seed": options.seed}
            sys.argv[1:] = [str(word) for pair in named.items() for word in pair]
            office_server.main()


if __name__ == "__main__":
    main()
