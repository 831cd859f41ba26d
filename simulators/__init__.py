"""The pretend devices by name; the same shape as the drivers' table, names begin with `sim.`."""

import importlib
from typing import Any

REGISTRY: dict[str, str] = {
    "sim.card": "simulators.card_slot:open_slot",
    "sim.gate": "simulators.memory:open_gate",
    "sim.indicator": "simulators.memory:open_indicator",
    "sim.items": "simulators.item_pad:open",
    "sim.reader": "simulators.memory:open_reader",
    "sim.secure_module": "simulators.card_slot:open_module",
    "sim.route": "simulators.route:open",
    "sim.store": "simulators.store:open",
}


def load(name: str) -> Any:
    """The `open` function of a simulator. Raises LookupError listing those there are."""
    if name not in REGISTRY:
        raise LookupError(f"no simulator {name!r}; known: {', '.join(sorted(REGISTRY))}")
    module, _, function = REGISTRY[name].partition(":")
    return getattr(importlib.import_module(module), function)
