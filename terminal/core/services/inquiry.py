"""What is on this card, and was it charged today? The driver asks, or the holder, at a panel that does nothing else.

Laws of this file:
- Nothing opens and nothing is charged; what is told is what this vehicle knows.
- A purse says itself what it holds.
- It is asked of the account where one is linked: what the phone paid counts for the card.
"""

from terminal.core.fares import calendar
from terminal.core.model import Outcome, Reason, Values
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
    fen = sum(use.amount_fen * use.persons_charged // use.persons for use in charged)
    card = case.credential.card
    if card is not None and card.balance_fen is not None:
        values: Values = {"balance": rules.amount(case, card.balance_fen), "fare": rules.amount(case, fen)}
        return rules.told(case, Reason.ON_THE_CARD, values)
    if not charged:
        return rules.told(case, Reason.NOT_CHARGED_TODAY, {})
    return rules.told(case, Reason.CHARGED_TODAY, {"fare": rules.amount(case, fen), "n": str(len(charged))})
