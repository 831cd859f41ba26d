"""Every outcome once, with the longest figures there are: what screens are looked at with."""

import msgspec

from terminal.console.picture import Picture, picture_of
from terminal.core.model import Reason
from terminal.core.phrases import Display, display

PROOF = "7KD2XQ"
FIGURES = {
    "fare": "12.5", "settled": "10.5", "owed": "10.5", "balance": "1048.35", "n": "12", "hotline": "12333",
    "from": "09:00", "to": "11:30", "due": "2026-12-31", "date": "2026-12-31", "shelf": "3F-A12", "bin": "12",
    "amount": "10.5", "title": "三体", "count": "12", "most": "12",
}  # fmt: skip
AHEAD = {"change_free": "09:00", "to_cap": "3.5"}  # what stands beside a grant


def shown(reason: Reason) -> Display:
    """As a lane tells it."""
    granted = display(reason, {}).light.value.startswith("green")
    return display(reason, FIGURES | (AHEAD if granted else {}), PROOF)


def pictures() -> dict[Reason, Picture]:
    """Outcomes that look different: many reasons share their words."""
    found: dict[Picture, Reason] = {}
    for reason in Reason:
        found.setdefault(msgspec.structs.replace(picture_of(shown(reason)), reason=""), reason)
    return {reason: picture for picture, reason in found.items()}
