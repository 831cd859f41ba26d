"""Words, tone and light for every reason: what a person at the lane sees and hears.

Laws of this file:
- The class of a person is never spoken or shown large.
- After a committed debit only `ok` tones; red only where trying again cannot help.
- `zh` is spoken up to its first space; the rest is for the screen only. Placeholders are read as numbers.
"""

from enum import StrEnum

from terminal.core.model import Reason, Value


class Tone(StrEnum):
    """Sounds, as the field knows them."""

    OK = "ok"
    OK_SOFT = "ok_soft"
    OK_THEN_NOTICE = "ok_then_notice"
    NOTICE = "notice"
    AGAIN = "again"
    STOP = "stop"
    SILENT = "silent"
    EVACUATE = "evacuate"


class Light(StrEnum):
    """Colours, each with its own shape on a screen."""

    GREEN = "green"
    GREEN_BLINK = "green_blink"
    AMBER = "amber"
    AMBER_BLINK = "amber_blink"
    BLUE = "blue"
    RED = "red"
    RED_STEADY = "red_steady"
    WHITE = "white"


class Phrase(Value, frozen=True):
    """One row of the table."""

    zh: str
    en: str
    tone: Tone
    light: Light


class Display(Value, frozen=True):
    """What an indicator is told to show: the phrase with its placeholders filled."""

    reason: Reason
    zh: str
    en: str
    tone: Tone
    light: Light
