"""What a driver or attendant does, as facts for the journal (core/entries.py lists them with the others).

Laws of this file:
- Each names who did it by the operator's own number; nobody's name is written.
"""

from terminal.core.base import EntryName, Value
from terminal.core.ledger import Where


class SignedOn(Value, frozen=True, tag="signed_on"):
    """A driver began a shift on this vehicle."""

    who: str
    where: Where


class SignedOff(Value, frozen=True, tag="signed_off"):
    """The driver left."""

    who: str


class Moved(Value, frozen=True, tag="moved"):
    """Somebody told the terminal where the vehicle stands, which way it goes, or which fare is chosen."""

    who: str
    where: Where


class BoardedFree(Value, frozen=True, tag="boarded_free"):
    """The driver, or an attendant, let somebody through without a charge, and why."""

    who: str
    why: str
    lane: str
    where: Where
    persons: int = 1


class EmergencyOrdered(Value, frozen=True, tag="emergency_ordered"):
    """A person opened everything, or ended it; a fire panel's own signal is a gate's report."""

    who: str
    on: bool
    why: str


class Voided(Value, frozen=True, tag="voided"):
    """The driver took a charge back: whoever paid may show the same code again."""

    who: str
    why: str
    of: EntryName
