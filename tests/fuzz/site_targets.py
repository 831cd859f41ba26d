"""What a site is told by files and by people: tariffs, configurations, a panel's lines, a receiver's sentences.

Laws of this file:
- A tariff without a fault prices any ride; one with a fault says where.
- A configuration is settings or a SettingsError, whatever stands there.
"""

import argparse
import contextlib
import io
import json
import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from drivers.position.sentences import LONGEST, Sentences, checksum
from terminal.cli import fare
from terminal.core import tariff_check
from terminal.core.parameters import Tariff
from terminal.runtime.command_socket import CommandSocket
from terminal.settings import SettingsError, load

ROOT = Path(__file__).resolve().parents[2]


def nmea(data: bytes) -> None:
    """A place on Earth or none; how the line is cut changes nothing, and nothing is kept for ever."""
    whole, parts = Sentences(), Sentences()
    places = whole.feed(data)
    assert all(abs(lat) <= 90_000_000 and abs(lon) <= 180_000_000 for lat, lon in places)
    if max(map(len, data.split(b"\n"))) <= LONGEST:
        assert [place for byte in data for place in parts.feed(bytes((byte,)))] == places
    assert len(whole._rest) <= LONGEST


def nmea_seeds() -> list[bytes]:
    """Both kinds, of two talkers; without a fix; garbled."""
    said = [
        b"GNRMC,080000.00,A,3034.36890,N,10404.00806,E,0.0,,150127,,,A",
        b"GPGGA,080000,3034.3689,S,10404.0081,W,1,08,1.0,500,M,,M,,",
        b"BDRMC,080000,V,,,,,,,,,,N",
    ]
    lines = [b"$" + body + b"*%02X\r\n" % checksum(body) for body in said]
    return [*lines, b"".join(lines), lines[0][:30] + lines[1]]


# --------------------------------------------------------------------------- tariffs


@cache
def _command() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    fare.add_parser(parser.add_subparsers())
    return parser


def tariff(data: bytes) -> None:
    """Decoded, checked; and what has no fault is ridden under."""
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        read = msgspec.json.decode(data, type=Tariff)
        if not list(tariff_check.faults(read)):
            _ride(read)


def _ride(read: Tariff) -> None:
    line, stops = next(((name, one.stops) for name, one in read.lines.items() if ":" not in name), ("x", ()))
    places = [stop.id for stop in stops if ":" not in stop.id]
    rides = [f"2026-03-02T{hour}:00={line or 'x'}:{':'.join([*places[:1], *places[-1:]])}" for hour in ("08", "23")]
    options = _command().parse_args(["fare", "explain", "file", *rides, "2026-03-03T08:00=x"])
    with contextlib.redirect_stdout(io.StringIO()):
        fare._explain(read, options)


def tariff_seeds() -> list[bytes]:
    """The published ones, without their blanks: what is longer than a campaign's inputs would be cut."""
    files = sorted((ROOT / "config" / "tariffs").glob("*.json"))
    read = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    small = {"time_zone": "Asia/Shanghai", "products": [{"id": "adult", "fare_fen": 200, "services": ["fare"]}]}
    return [json.dumps(one, separators=(",", ":"), ensure_ascii=False).encode() for one in (*read, small)]


# --------------------------------------------------------------------------- configurations and panels


@cache
def _file() -> int:
    return os.memfd_create("site")


def configuration(data: bytes) -> None:
    """Whatever stands in a site's file."""
    os.ftruncate(_file(), 0)
    os.pwrite(_file(), data, 0)
    with suppress(SettingsError):
        settings = load(Path(f"/proc/self/fd/{_file()}"))
        assert settings.lanes and settings.terminal.state_dir


def configuration_seeds() -> list[bytes]:
    """Those that ship, without their comments."""
    files = sorted((ROOT / "config").glob("*.toml"))
    texts = [file.read_text(encoding="utf-8").splitlines() for file in files]
    return ["\n".join(line for line in lines if line and line[0] != "#").encode() for lines in texts]


async def _ask(who: str, command: str, words: Any) -> dict[str, Any]:
    return {"words": len(words)}


def panel(data: bytes) -> None:
    """A line at the local socket: an answer, always, and one that can be said."""
    answering = CommandSocket(Path("unused"), _ask)._answer(data)
    said: dict[str, Any] = {}
    try:
        answering.send(None)
    except StopIteration as end:
        said = end.value
    assert json.dumps(said, ensure_ascii=False).encode()
    assert said["ok"] or said["hint"]


def panel_seeds() -> list[bytes]:
    """Questions, good and bad."""
    return [
        b'{"who": "7", "do": "stop", "with": ["next"]}\n',
        b'{"who": "7", "do": "where"}',
        b'{"who": 7, "do": "where"}',
        b'{"who": "\\ud800", "do": "x", "with": [1]}',
        b"[[[[",
    ]
