"""Admission to a park: passes, tickets and groups; a group ticket is so many counted passages."""

from terminal.core.model import Outcome
from terminal.core.services import rules


def admission(case: rules.Case) -> Outcome:
    """Judge one admission."""
    return rules.judge(case, groups=True)
