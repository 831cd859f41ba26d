"""Devices by name. A driver's module is imported only when a configuration names it.

Laws of this package:
- One driver, one file, with `Settings` and `open(settings, clock)`; REGISTRY says where.
- A missing vendor library breaks its own driver, nothing else.
"""

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

REGISTRY: dict[str, str] = {
    "scan.serial": "drivers.scan.module:open",
    "camera": "drivers.camera.reader:open",
    "board.modbus": "drivers.gate.modbus:open",
    "card.pcsc": "drivers.card.pcsc:open",
    "card.pn532": "drivers.card.pn532:open",
    "secure_module.pcsc": "drivers.card.secure_module:open",
    "gate.none": "drivers.gate.none:open",
    "indicator.memory": "drivers.indicator.memory:open",
    "store.sqlite": "drivers.store.sqlite:open",
    "office.https": "drivers.office.https:open",
    "item.pcsc15693": "drivers.item.pcsc15693:open",
    "library.sip2": "drivers.library.sip2:open",
    "screen.socket": "drivers.screen.socket:open",
    "position.nmea": "drivers.position.nmea:open",
    "parameters.directory": "drivers.parameters.directory:open",
}


class Driver(NamedTuple):
    """A driver's two public names."""

    settings: type[Any]
    open: Callable[..., Any]


class UnknownDriver(LookupError):
    """No such driver, or its library is not installed; the message says which and what to do."""


def find(name: str, registry: dict[str, str] | None = None) -> Driver:
    """The driver of this name. Raises UnknownDriver."""
    known = REGISTRY if registry is None else registry
    if name not in known:
        raise UnknownDriver(f"no driver {name!r}; known: {', '.join(sorted(known))}")
    module_name, function = known[name].split(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise UnknownDriver(f"driver {name!r} needs {error.name}: install it, see docs/running-a-site.md") from error
    return Driver(module.Settings, getattr(module, function))
