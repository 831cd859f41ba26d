"""A terminal of its own process, with or without a leak planted in it.

python -m tests.canary_end CONFIG [PLANT]
"""

import logging
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from unittest.mock import patch

from terminal import __main__, undumpable
from terminal.core.entries import Sealed
from terminal.core.model import Outcome, Presentation
from terminal.core.sealing import Sealer
from terminal.runtime.lane import Lane

STUMBLE = b"stumble over this"  # with the plant "bug", such a code is one

_serve = Lane.serve


async def _logging(lane: Lane, presentation: Presentation) -> Outcome | None:
    logging.getLogger("planted").info("read", extra={"payload": presentation.payload.hex()})
    return await _serve(lane, presentation)


async def _stumbling(lane: Lane, presentation: Presentation) -> Outcome | None:
    outcome = await _serve(lane, presentation)
    if outcome is None or not outcome.decision.granted:
        return outcome
    raise ValueError(f"no lane for {presentation.payload!r}", presentation)


def _unsealed(sealer: Sealer, evidence: bytes) -> Sealed:
    return Sealed(key=sealer.number, nonce=1, data=evidence)


PLANTS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "": nullcontext,
    "payload logged": lambda: patch.object(Lane, "serve", _logging),
    "evidence not sealed": lambda: patch.object(Sealer, "seal", _unsealed),
    "core allowed": lambda: patch.object(undumpable, "forbid_cores", lambda: True),
    "bug": lambda: patch.object(Lane, "serve", _stumbling),  # no leak: what a bug leaves behind must hold no rider
}

if __name__ == "__main__":
    config, plant = (*sys.argv[1:], "")[:2]
    with PLANTS[plant]():
        sys.exit(__main__.main(["run", config, "--verbose"]))
