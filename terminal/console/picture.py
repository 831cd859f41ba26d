"""What a screen shows, as the page draws it.

Laws of this file:
- Pure: the same display and the same status give the same picture.
- Every light has a colour and a shape of its own; nothing is told by colour alone.
- While nobody is there a lane shows what is true of it: ready, out of service, or an emergency.
"""

from collections.abc import Mapping
from typing import Any

from terminal.core.model import Reason, Value
from terminal.core.phrases import PROMPTS, Display, Light, Line, Tone, display

SHAPES: dict[Light, str] = {
    Light.GREEN: "tick",
    Light.GREEN_BLINK: "tick",
    Light.AMBER: "again",
    Light.AMBER_BLINK: "again",
    Light.BLUE: "info",
    Light.RED: "stop",
    Light.RED_STEADY: "closed",
    Light.WHITE: "hand",
}
GRANTED_S, TOLD_S, READ_S = 3.0, 4.0, 6.0  # how long a picture stays: a grant, anything else, what takes reading


class Words(Value, frozen=True):
    """One language's text: the huge line, and what stands under it."""

    title: str
    detail: str
    hints: tuple[str, ...] = ()


class Picture(Value, frozen=True):
    """What the page draws."""

    reason: str
    light: str
    shape: str
    tone: str
    zh: Words
    en: Words
    proof: str = ""
    voice: str = ""  # the name of its recording
    stays_s: float = 0.0  # then the screen falls back to what it shows at rest


def picture_of(shown: Display) -> Picture:
    """The picture of what a lane tells."""
    return Picture(
        reason=shown.reason.value,
        light=shown.light.value,
        shape=SHAPES[shown.light],
        tone=shown.tone.value,
        zh=words(shown.zh, " ", tuple(hint.zh for hint in shown.hints)),
        en=words(shown.en, ". ", tuple(hint.en for hint in shown.hints)),
        proof=shown.proof,
        voice=shown.voice,
        stays_s=_stays_s(shown),
    )


def _stays_s(shown: Display) -> float:
    if shown.light in (Light.GREEN, Light.GREEN_BLINK):
        return READ_S if shown.tone is Tone.OK_THEN_NOTICE else GRANTED_S
    return TOLD_S if shown.light is Light.AMBER else READ_S


def words(text: str, at: str, hints: tuple[str, ...] = ()) -> Words:
    """The huge line is what is said first; the rest stands under it."""
    title, _, detail = text.partition(at)
    return Words(title=title, detail=detail, hints=hints)


def resting(status: Mapping[str, Any], lane: str, service: str) -> Picture:
    """What a lane shows while nobody is there; `status` is the terminal's own."""
    if status.get("emergency"):
        return picture_of(display(Reason.EMERGENCY, {}))
    readers = [one for name, one in status.get("devices", {}).items() if _is_reader_of(name, lane)]
    if readers and not any(one["up"] for one in readers):
        return picture_of(display(Reason.OUT_OF_SERVICE, {}))
    return prompt(service)


def prompt(service: str) -> Picture:
    """Ready for whoever comes next."""
    line: Line = PROMPTS.get(service, PROMPTS[""])
    return Picture(
        reason="ready",
        light="ready",
        shape="hand",
        tone=Tone.SILENT.value,
        zh=words(line.zh, " "),
        en=words(line.en, ". "),
    )


def out_of_service() -> Picture:
    """What a page shows that hears nothing from its terminal any more."""
    return picture_of(display(Reason.OUT_OF_SERVICE, {}))


def _is_reader_of(device: str, lane: str) -> bool:
    """Readers are numbered, card slots begin with "card" (runtime/lane.py)."""
    before, _, last = device.rpartition("/")
    return before == lane and (last.isdecimal() or last.startswith("card"))
