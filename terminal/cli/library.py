"""`terminal library`: the site's key, the librarian's list, a fee paid at the desk, and which card is whose.

Laws of this file:
- A key is made once, for its owner alone to read; an existing file is never written over.
- Everything else is asked of the running terminal, which writes down who asked.
"""

import argparse
import datetime
import json
import os
import secrets
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from terminal.cli import exit_codes
from terminal.cli.panel import ask
from terminal.core.site_key import KEY_BYTES
from terminal.settings import SettingsError, load

OPTIONAL = {"class": "", "by": "cash"}
EPILOG = """\
such as:  terminal library new-key /etc/onecard/library.key
          terminal library list kiosk.toml 7
          terminal library settle kiosk.toml 7 1f0c…/214 'lent at the desk'
          terminal library paid kiosk.toml 7 20231234 12.50 cash
          terminal library link kiosk.toml 7 desk 20231234 adult
          terminal library unlink kiosk.toml 7 20231234"""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The `library` part of the command line."""
    parser = commands.add_parser(
        "library",
        help="a library's kiosks: the site's key, the librarian's list, linking a card",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parts = parser.add_subparsers(dest="part", required=True, metavar="PART")
    new_key = parts.add_parser("new-key", help="make a site's key; its kiosks share it")
    new_key.add_argument("path", type=Path)
    for name, text, words in (
        ("list", "what the library system would not take", ()),
        ("settle", "take a record off the list", ("record", "why")),
        ("paid", "a reader paid a fee at the desk: tell the library system, once", ("number", "amount", "by")),
        ("link", "link the card that is held out next to a reader", ("lane", "number", "class")),
        ("unlink", "forget which cards are this reader's", ("number",)),
    ):
        part = parts.add_parser(name, help=text)
        part.add_argument("config", type=Path, help="the site's TOML file; its [panel] names the socket")
        part.add_argument("who", help="a number or word of the librarian's own")
        for word in words:
            if word in OPTIONAL:
                part.add_argument(word, nargs="?", default=OPTIONAL[word])
            else:
                part.add_argument(word)
        part.set_defaults(words=words)


def run(options: argparse.Namespace) -> int:
    """Make a key, or ask the running terminal."""
    if options.part == "new-key":
        return _new_key(options.path)
    try:
        settings = load(options.config)
    except SettingsError as error:
        return _complain(str(error), exit_codes.SETTINGS)
    if settings.panel is None:
        return _complain(f"{options.config} has no [panel]: add one, and start the terminal again", exit_codes.SETTINGS)
    words = [getattr(options, word) for word in options.words]
    try:
        answer = ask(settings.panel, {"who": options.who, "do": f"library-{options.part}", "with": words})
    except (OSError, ValueError) as error:
        return _complain(f"{settings.panel}: {error}; is the terminal running?", exit_codes.DEVICE)
    if not answer["ok"]:
        return _complain(f"{answer['what']} ({answer['hint']})", exit_codes.NO)
    if options.part == "list" and sys.stdout.isatty():
        Console().print(_table(answer["answer"]["records"]))
    else:
        print(json.dumps(answer["answer"], ensure_ascii=False))
    return exit_codes.OK


def _new_key(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        return _complain(f"{path}: {error.strerror}", exit_codes.NO)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_bytes(KEY_BYTES).hex() + "\n")
    return exit_codes.OK


def _table(records: list[dict[str, Any]]) -> Table:
    """The list as a librarian reads it."""
    table = Table("record", "what", "when", "kiosk", "book or fee", "reader", "why", "the library's words")
    for one in records:
        when = datetime.datetime.fromtimestamp(one["at_ms"] / 1000).astimezone().strftime("%Y-%m-%d %H:%M")
        what = one["book"] or one["fee"]
        table.add_row(one["record"], one["what"], when, one["lane"], what, one["reader"], one["why"], one["words"])
    return table


def _complain(what: str, code: int) -> int:
    print(f"terminal: {what}", file=sys.stderr)
    return code
