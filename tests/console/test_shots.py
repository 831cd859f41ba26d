"""The pictures kept under docs/screens: of every outcome, in both languages, and small."""

from pathlib import Path

import pytest

from terminal.core.model import Reason

PLACE = Path(__file__).resolve().parents[2] / "docs" / "screens"
MOST_BYTES = 3_000_000


def test_every_picture_is_of_something_that_is_still_shown() -> None:
    """And all of them together are small."""
    kept = list(PLACE.rglob("*.webp"))
    known = {reason.value for reason in Reason} | {"ready"}
    assert kept and [path.stem for path in kept if not path.stem.startswith("kiosk-") and path.stem not in known] == []
    assert sum(path.stat().st_size for path in kept) < MOST_BYTES


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_outcome_has_its_picture(language: str) -> None:
    """A new outcome has none until somebody with a browser runs `make screens`: told, not hidden."""
    missing = [reason.value for reason in Reason if not (PLACE / language / f"{reason.value}.webp").exists()]
    if missing:
        pytest.skip(f"make screens: no picture in docs/screens/{language} of {', '.join(missing)}")
