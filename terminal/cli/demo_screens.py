"""The demo's screens: a console for each terminal, and one index that links them all.

Laws of this file:
- Ports are asked for and let go again before a terminal takes them; who else takes one in between is told by the
  terminal's own words, and nothing but the screens is missing then.
"""

import json
import socket
import tomllib
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

from terminal.core.services import VISITS

HOST = "127.0.0.1"
VOICES = Path(__file__).parent.parent.parent / "voices"  # where `make voices` puts them
TRIED = 40


def sections(configs: Mapping[str, str], first_port: int) -> tuple[dict[str, str], str]:
    """`[console]` for each of these configurations, by name, and the address of the index."""
    spoken = [str(VOICES)] if VOICES.is_dir() else []
    ports: dict[str, int] = {}
    for name in configs:
        ports[name] = free_port(max([first_port, *(port + 1 for port in ports.values())]))
    settings = {name: tomllib.loads(text) for name, text in configs.items()}
    lanes = {name: found["lanes"] for name, found in settings.items()}
    works = {
        name: "panel" in found and any(lane["service"] not in VISITS for lane in found["lanes"].values())
        for name, found in settings.items()
    }
    index = next(iter(configs))
    links = {
        lane: f"http://{HOST}:{ports[name]}/{_page(table['service'])}?{urlencode({'lane': lane})}"
        for name in configs
        if name != index
        for lane, table in lanes[name].items()
    }
    links |= {
        f"panel of {settings[name]['terminal']['id']}": f"http://{HOST}:{ports[name]}/panel"
        for name in configs
        if name != index and works[name]
    }
    found = {
        name: _section(port, links if name == index else {}, spoken, works=works[name]) for name, port in ports.items()
    }
    return found, f"http://{HOST}:{ports[index]}/"


def _page(service: str) -> str:
    """A kiosk is touched, a lane's display looked at."""
    return "kiosk" if service in VISITS else "display"


def free_port(first: int) -> int:
    """The first port from here on that nobody has; any other where none of them is free."""
    for port in (*range(first, first + TRIED), 0):
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind((HOST, port))
            except OSError:
                continue
            return int(tried.getsockname()[1])
    raise OSError("no port is free")


def _section(port: int, links: Mapping[str, str], voices: list[str], *, works: bool) -> str:
    """JSON's strings are TOML's."""
    told = ", ".join(f"{json.dumps(name)} = {json.dumps(address)}" for name, address in links.items())
    panel = json.dumps(works)
    return f"\n[console]\nport = {port}\npanel = {panel}\nvoices = {json.dumps(voices)}\nlinks = {{ {told} }}\n"
