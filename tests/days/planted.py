"""One day, with a bug planted where one is named: what a process of its own is asked to live.

Laws of this file:
- It is a module of its own because a new process must be able to import it by name.
"""

import logging
from contextlib import nullcontext

from tests.days.day import Outcome, live
from tests.plants import PLANTS


def live_planted(seed: int, plant: str = "") -> Outcome:
    """Live a day. `plant`: a name of PLANTS, or empty."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # what a terminal logs of a day full of troubles is not for reading
    try:
        with PLANTS[plant]() if plant else nullcontext():
            return live(seed)
    finally:
        logging.disable(before)
