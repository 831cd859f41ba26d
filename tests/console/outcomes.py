"""Every outcome once, with the longest figures there are: what screens are looked at with."""

import msgspec

from terminal.console.picture import Picture, picture_of
from terminal.core.model import Reason, Values
from terminal.core.phrases import Display, display
from tests.core.cases import yuan

PROOF = "7KD2XQ"
FIGURES: Values = {
    "fare": yuan(1250), "settled": yuan(1050), "owed": yuan(1050), "balance": yuan(104835), "amount": yuan(1050),
    "n": "12", "hotline": "12333", "from": "09:00", "to": "11:30", "due": "2026-12-31", "bin": "12",
}  # fmt: skip
AHEAD: Values = {"change_free": "09:00", "to_cap": yuan(350)}  # what stands beside a grant


def shown(reason: Reason) -> Display:
    """As a lane tells it."""
    granted = display(reason, {}).light.value.startswith("green")
    return display(reason, FIGURES | (AHEAD if granted else {}), PROOF)


def pictures() -> dict[Reason, Picture]:
    """Outcomes that look different: many reasons share their words."""
    found: dict[Picture, Reason] = {}
    for reason in Reason:
        found.setdefault(msgspec.structs.replace(picture_of(shown(reason)), reason="", voice=""), reason)
    return {reason: picture for picture, reason in found.items()}
