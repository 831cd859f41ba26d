"""The judgement: one service, one file; the only place that decides.

Laws of this package:
- A gate's visit has one step, so a gate service is a plain function of a `Case`; nothing in it waits.
- The rules every gate asks, each one function, stand in order in rules.py; the first that speaks ends it.
"""

from collections.abc import Callable

from terminal.core.model import Outcome
from terminal.core.services.admission import admission
from terminal.core.services.fare import fare
from terminal.core.services.inquiry import inquiry
from terminal.core.services.purse import purse
from terminal.core.services.rules import Case, evidence, refuse

SERVICES: dict[str, Callable[[Case], Outcome]] = {
    "fare": fare,
    "admission": admission,
    "inquiry": inquiry,
}


def judge(case: Case) -> Outcome:
    """Judge one presentation: a purse pays on the card itself, everything else by the lane's service."""
    pays_itself = case.credential.card is not None and case.service != "inquiry"
    return purse(case) if pays_itself else SERVICES[case.service](case)


__all__ = ["SERVICES", "Case", "evidence", "judge", "refuse"]
