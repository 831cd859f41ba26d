"""Was this card charged today? The driver asks, and whoever holds it out next is answered.

Laws of this file:
- Nothing opens and nothing is charged; what is told is what this vehicle knows.
- It is asked of the account where one is linked: what the phone paid counts for the card.
"""

from terminal.core.fares import calendar
from terminal.core.model import Outcome, Reason
from terminal.core.services import rules
from terminal.core.tariff import Period


def inquiry(case: rules.Case) -> Outcome:
    """What this party was charged since the service day began."""
    tariff = case.parameters.tariff
    today = calendar.window(Period.DAY, case.at.utc_ms, tariff.time_zone, tariff.service_day_starts)
    charged = [
        use
        for use in case.history.same_party
        if use.persons_charged
        and calendar.window(Period.DAY, use.at_ms, tariff.time_zone, tariff.service_day_starts) == today
    ]
    if not charged:
        return rules.told(case, Reason.NOT_CHARGED_TODAY, {})
    fen = sum(use.amount_fen * use.persons_charged // use.persons for use in charged)
    return rules.told(case, Reason.CHARGED_TODAY, {"fare": rules.yuan(fen), "n": str(len(charged))})
