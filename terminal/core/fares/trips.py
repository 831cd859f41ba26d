"""What a tap on a vehicle or at a station's gate is: boarding, alighting, or a question.

Laws of this file:
- Doors of one vehicle are one state: a trip begun at any of its doors ends at any other.
- A trip belongs to one run of one line of one vehicle. A tap anywhere else, or too late, finds it unfinished.
- Whoever taps out without having tapped in here is told apart, never refused by this file.
"""

from enum import StrEnum

from terminal.core.ledger import Trip, Where
from terminal.core.tariff import TapOut
from terminal.core.time import age_ms


class Role(StrEnum):
    """What a lane is for."""

    ANY = "any"  # one reader for both ways
    ENTRY = "entry"
    EXIT = "exit"


class Kind(StrEnum):
    """What a tap is where boarding and alighting are tapped."""

    BOARD = "board"
    ALIGHT = "alight"
    ASK = "ask"  # "am I on board?"
    UNPAIRED = "unpaired"  # an exit without an entry here


def kind_of(trip: Trip | None, where: Where, role: Role, rule: TapOut, at_ms: int) -> Kind:
    """What this tap is, by the open trip of whoever taps."""
    mine = trip is not None and is_of_this_run(trip, where) and not is_too_old(trip, rule, at_ms)
    if role is Role.EXIT:
        return Kind.ALIGHT if mine else Kind.UNPAIRED
    if not mine or trip is None:
        return Kind.BOARD
    if role is Role.ENTRY:
        return Kind.ASK if where.vehicle else Kind.BOARD  # a station's entry gate is passed once a trip
    return Kind.ASK if age_ms(trip.at_ms, at_ms) < rule.reminder_s * 1000 else Kind.ALIGHT


def is_of_this_run(trip: Trip, where: Where) -> bool:
    """Whether a trip began on this vehicle and run; a station without vehicles takes any trip of its own line."""
    here = (where.vehicle, where.line, where.direction, where.run)
    there = (trip.where.vehicle, trip.where.line, trip.where.direction, trip.where.run)
    return here == there if where.vehicle or trip.where.vehicle else where.line == trip.where.line


def is_too_old(trip: Trip, rule: TapOut, at_ms: int) -> bool:
    """Whether a trip lasts longer than any ride, and overtime has no price."""
    return rule.overtime_fen is None and at_ms - trip.at_ms > rule.longest_s * 1000


def overtime_fen(trip: Trip, rule: TapOut, at_ms: int) -> int:
    """What a trip that lasted too long costs besides its fare."""
    late = at_ms - trip.at_ms > rule.longest_s * 1000
    return rule.overtime_fen if late and rule.overtime_fen is not None else 0
