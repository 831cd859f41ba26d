"""The drivers by name. A module is imported only when a configuration names it.

Laws of this file:
- Every row is `name: "module:function"`; the function is `open(settings, clock)`.
- A missing vendor library breaks its own driver, nothing else, and the error names what to install.
"""

import importlib
from collections.abc import Mapping
from typing import Any

REGISTRY: dict[str, str] = {
    "board.modbus": "drivers.gate.modbus:open",
    "gate.none": "drivers.gate.none:open",
    "indicator.log": "drivers.indicator.log:open",
    "indicator.memory": "drivers.indicator.memory:open",
    "office.https": "drivers.office.https:open",
    "parameters.directory": "drivers.parameters.directory:open",
    "scan.serial": "drivers.scan.module:open",
    "store.sqlite": "drivers.store.sqlite:open",
}

# Library → the extra of this distribution that brings it, for drivers whose library is not always installed.
EXTRAS: dict[str, str] = {"cv2": "camera", "zxingcpp": "camera", "smartcard": "cards"}


class UnknownDriver(LookupError):
    """No driver of that name; the text lists those there are."""


class DriverUnavailable(RuntimeError):
    """The driver's library is not installed; the text says what to install."""


def load(name: str, registry: Mapping[str, str] = REGISTRY) -> Any:
    """The `open` function of a driver. Its Settings class is `settings_of(open)`.

    Raises UnknownDriver or DriverUnavailable.
    """
    if name not in registry:
        raise UnknownDriver(f"no driver {name!r}; known: {', '.join(sorted(registry))}")
    module, _, function = registry[name].partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as error:
        raise DriverUnavailable(f"driver {name!r} needs {error.name!r}: {_remedy(error.name or '')}") from error


def settings_of(opener: Any) -> Any:
    """The Settings struct that stands beside an `open` function."""
    return importlib.import_module(opener.__module__).Settings


def _remedy(library: str) -> str:
    root = library.partition(".")[0]
    if root in EXTRAS:
        return f"pip install 'onecard-terminal[{EXTRAS[root]}]'"
    return f"pip install {root}"
