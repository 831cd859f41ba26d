"""A few real power cuts with every change; `make cuts N=150` makes many. The rig first catches what it is there for."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from terminal.core.entries import NO_HASH, Decided, Entry
from terminal.core.model import EntryName
from tests.journal_cases import at, decided
from tests.rigs import image as images
from tests.rigs.cuts import Found, judge
from tests.rigs.outside import Tap

ROOT = Path(__file__).resolve().parents[2]
MS = 1_000_000


def cuts(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and last line of `python -m tests.rigs.cuts`."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.rigs.cuts", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


@pytest.mark.skipif(images.why_not() is not None, reason=str(images.why_not()))
def test_the_power_is_cut_a_few_times() -> None:
    """What moved outside is in the journal and at head office; with `synchronous=NORMAL` it is not."""
    _, found = cuts("--cuts", "3", "--control", "2")
    assert set(found) == {
        "cuts", "acknowledged", "lost", "opened_without_record", "office_missing", "office_duplicates", "control_lost",
    }  # fmt: skip
    control_lost = found.pop("control_lost")
    assert found.pop("cuts") == 3 and found.pop("acknowledged") > 3 and control_lost > 0
    assert not any(found.values()), found


@pytest.mark.skipif(images.why_not() is not None, reason=str(images.why_not()))
def test_a_tail_file_that_is_only_in_the_page_cache_is_noticed() -> None:
    """The planted bug: nobody waits until the newest entries are on the disk."""
    code, found = cuts("--cuts", "12", "--control", "1", "--plant", "tail file in the page cache")
    assert code == 1 and found["lost"] > 0


def entry(stamped_ns: int, *, granted: bool = True) -> Entry:
    """One decision at the front door, stamped then."""
    fact: Decided = msgspec.structs.replace(decided(charged=granted), lane="front")
    when = msgspec.structs.replace(at(), monotonic_ns=stamped_ns)
    return Entry(terminal="T1", name=EntryName(epoch=bytes(8), sequence=1), previous=NO_HASH, at=when, fact=fact)


@pytest.mark.parametrize(
    ("why", "taps", "entries", "lost", "without"),
    [
        ("written and opened", [Tap("front", 10 * MS, opened_ns=20 * MS)], [entry(10 * MS)], 0, 0),
        ("stamped before the far end stamps", [Tap("front", 10 * MS, opened_ns=20 * MS)], [entry(9 * MS)], 0, 0),
        ("opened, and nothing written", [Tap("front", 10 * MS, opened_ns=20 * MS)], [], 1, 1),
        ("opened, a denial written", [Tap("front", 10 * MS, opened_ns=20 * MS)], [entry(10 * MS, granted=False)], 0, 1),
        ("said no, and nothing written", [Tap("front", 10 * MS, lit_ns=20 * MS)], [], 1, 0),
        ("nothing was seen", [Tap("front", 10 * MS)], [], 0, 0),
        ("what the next one wrote is not this one's",
         [Tap("front", 10 * MS, opened_ns=20 * MS), Tap("front", 50 * MS)], [entry(50 * MS)], 1, 1),
        ("another door's", [Tap("rear", 10 * MS, opened_ns=20 * MS)], [entry(10 * MS)], 1, 1),
    ],
)  # fmt: skip
def test_what_is_lost(why: str, taps: list[Tap], entries: list[Entry], lost: int, without: int) -> None:
    found = Found()
    judge(found, taps, entries)
    assert (found.lost, found.opened_without_record) == (lost, without), why
