"""The pictures kept under docs/screens: of every outcome where it is said, in both languages, and small."""

from pathlib import Path

import pytest

from tests.console import shots

PLACE = Path(__file__).resolve().parents[2] / "docs" / "screens"
MOST_BYTES = 4_500_000


def test_every_picture_is_of_something_that_is_still_shown() -> None:
    """Nothing only a kiosk says is drawn as a bus would show it; all of them together are small."""
    kept = {path.relative_to(PLACE).with_suffix("").as_posix(): path for path in PLACE.rglob("*.webp")}
    assert kept and set(kept) - set(shots.files()) == set()
    assert sum(path.stat().st_size for path in kept.values()) < MOST_BYTES


def test_everything_has_its_picture() -> None:
    """What is new has none until somebody with a browser runs `make screens`: told, not hidden."""
    missing = [name for name in shots.files() if not (PLACE / f"{name}.webp").exists()]
    if missing:
        pytest.skip(f"make screens: no picture in docs/screens of {', '.join(missing)}")
    assert (PLACE / "README.md").read_text(encoding="utf-8") == shots.index()
