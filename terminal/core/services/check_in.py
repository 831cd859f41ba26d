"""Check-in at an event: an identity is presented, attendance is recorded.

Laws of this file:
- Nobody pays. Whoever has no place is sent to the desk: a list may be wrong, and a machine turns nobody away.
- One attendance a day and account, whichever medium is held out; who comes again is welcome, and not counted again.
"""

from collections.abc import Sequence

from terminal.core import history
from terminal.core.fares import calendar
from terminal.core.ledger import Added
from terminal.core.model import Outcome, Reason
from terminal.core.services import pricing, rules
from terminal.core.services.rules import Case, Offer
from terminal.core.tariff import Period


def check_in(case: Case) -> Outcome:
    """Judge one presentation at the door."""
    if rules.is_unsure(case):
        return rules.deny(case, Reason.CLOCK_UNSURE)
    place = rules.chosen(case)
    if isinstance(place, Outcome):
        return rules.told(case, Reason.NOT_INVITED, {})
    charge = pricing.charge_for(place.product, 0, case.parameters.tariff)
    attended = (_attendance(case, place.product.id),)
    offer = Offer(product=place.product, charge=charge, persons=1, reason=Reason.CHECKED_IN, effects=attended)
    return rules.first_to_speak(case, offer, DOOR_RULES) or rules.grant(case, offer)


def not_here_before(case: Case, offer: Offer) -> Outcome | None:
    """Counted already: the way is open all the same. A used code, a picture of it perhaps, only asks here and now."""
    use = history.used(case.credential, case.history)
    if use is not None and not history.repeat_is_question(use, case.lane):
        return rules.deny(case, Reason.CODE_USED)
    new, sums = _attendance(case, offer.product.id), rules.payer_of(case).account.ledger.sums
    counted = any(one.id == new.id and one.window == new.window and one.count for one in sums)
    if use is None and not counted:
        return None
    return rules.answered(case, Reason.CHECKED_IN_BEFORE, None if use is None else use.name)


DOOR_RULES: Sequence[rules.Rule] = (
    rules.sure_enough,
    rules.not_blocked,
    rules.gate_is_free,
    rules.party_is_free,
    not_here_before,
)


def _attendance(case: Case, event: str) -> Added:
    """What is counted: this party, once, in the service day of this instant."""
    tariff = case.parameters.tariff
    today = calendar.window(Period.DAY, case.at.utc_ms, tariff.time_zone, tariff.service_day_starts)
    return Added(party=rules.payer_of(case).account.ref, id=f"attended:{event}", window=today, count=1)
