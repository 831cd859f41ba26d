"""Some damage with every change; `make damage FLIPS=200` does more. SQLite alone does not notice it."""

from pathlib import Path

import pytest

from tests.plants import STORE_PLANTS
from tests.rigs import damage


def test_damage_is_noticed_or_changes_nothing(tmp_path: Path) -> None:
    """Flips, truncations, files of an hour before and of another terminal."""
    counts, missed = damage.run(flips=40, others=10, seed=2, place=tmp_path)
    assert missed == []
    assert counts["noticed"] + counts["harmless"] == 40 and counts["live"] >= 15
    assert counts["noticed"] >= counts["live"]  # a live byte of an entry is never harmless
    assert counts["stale noticed"] and counts["swapped noticed"] and counts["truncated noticed"]


def test_sqlite_alone_notices_nothing(tmp_path: Path) -> None:
    """The planted bug: nobody examines the journal at the start."""
    with STORE_PLANTS["sqlite alone"]():
        _, missed = damage.run(flips=10, others=0, seed=2, place=tmp_path)
    assert len(missed) > 5


@pytest.mark.parametrize(("frames", "stale"), [(0, 2), (3, 0), (3, 2)])
def test_only_frames_with_the_headers_salts_count(frames: int, stale: int) -> None:
    """Behind the live frames lie those the log held before it was begun anew."""
    header = bytes(16) + b"saltsalt" + bytes(8)
    live = (bytes(8) + b"saltsalt" + bytes(8 + 4096)) * frames
    old = (bytes(8) + b"other---" + bytes(8 + 4096)) * stale
    assert damage.live_log(header + live + old) == header + live
