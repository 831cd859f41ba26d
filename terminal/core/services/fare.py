"""A flat fare: one tap, one person, one charge; companions by further taps where the product allows them."""

from terminal.core.model import Outcome
from terminal.core.services import rules


def fare(case: rules.Case) -> Outcome:
    """Judge one boarding."""
    return rules.judge(case, groups=False)
