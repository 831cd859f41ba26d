"""Verify the whole chain beside a running terminal: `python -m drivers.store.walk DIRECTORY`.

Laws of this file:
- A process of its own at the lowest priority: no tap waits for it. It only reads, a little at a time, so that
  checkpoints go on.
- It ends with 0 when everything holds, with recovery.DAMAGED and a line of what is wrong when not. Any exception of
  the walk counts as damage; a Python that dies before it walks ends with 1, and says nothing about the journal.
"""

import os
import sys
from pathlib import Path

import apsw

from drivers.store import agreement, recovery, tables

AT_ONCE = 2000  # entries read in one transaction


def walk(directory: Path) -> str | None:
    """What is wrong with the chain from its oldest entry to its end, or None."""
    try:
        db = recovery.connect(directory / recovery.DATABASE, apsw.SQLITE_OPEN_READONLY)
        try:
            place = tables.base(db)
            while True:
                with db:  # one view: what is pruned meanwhile stays visible
                    begin = max(place, tables.base(db), key=lambda one: one.row)
                    place = [begin, *(step for step, _ in recovery.steps(db, begin, AT_ONCE))][-1]
                    if place.row == begin.row:
                        wrong = [what for what, agrees in agreement.BESIDE.items() if not agrees(db, 0)]
                        return f"{wrong[0]} does not agree with its rows" if wrong else None
        finally:
            db.close()
    except Exception as error:  # a flipped bit can raise anything; whatever it is, it is damage
        return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    os.nice(19)
    wrong = walk(Path(sys.argv[1]))
    if wrong is not None:
        print(wrong, file=sys.stderr)
        sys.exit(recovery.DAMAGED)
