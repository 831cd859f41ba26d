"""The judgement: one service, one file; the only place that decides.

Laws of this package:
- A gate's visit has one step, so a gate service is a plain function of a `Case`; nothing in it waits.
- A kiosk's visit has many: it is a generator (core/visit.py), and nothing in it waits either.
- The rules every gate asks, each one function, stand in order in rules.py; the first that speaks ends it.
"""

from collections.abc import Callable

from terminal.core.model import Outcome
from terminal.core.services.admission import activation, admission
from terminal.core.services.check_in import check_in
from terminal.core.services.fare import fare
from terminal.core.services.inquiry import inquiry
from terminal.core.services.loan import loan
from terminal.core.services.purse import purse
from terminal.core.services.rules import Case, evidence, refuse

SERVICES: dict[str, Callable[[Case], Outcome]] = {
    "fare": fare,
    "admission": admission,
    "check_in": check_in,
    "inquiry": inquiry,
}
# Services whose visit has many steps (core/visit.py): a kiosk's.
VISITS = {
    "loan": loan,
}
# What a person may have asked before a card is held out; answered instead of the lane's service.
ASKED: dict[str, Callable[[Case], Outcome]] = {
    "inquiry": inquiry,
    "activation": activation,
}


def judge(case: Case, asked: str = "") -> Outcome:
    """Judge one presentation: a purse pays on the card itself, everything else by the lane's service.

    `asked`: a key of ASKED, "" nothing.
    """
    if asked:
        return ASKED[asked](case)
    return SERVICES[case.service](case) if case.credential.card is None else purse(case)


__all__ = ["ASKED", "SERVICES", "VISITS", "Case", "evidence", "judge", "refuse"]
