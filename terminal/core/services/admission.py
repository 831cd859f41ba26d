"""Admission to a park: tickets, passes, bookings and groups; a group is so many counted passages.

Laws of this file:
- Whoever wants to leave is let out: no ticket, no limit and no hour keeps anybody inside.
- What a ticket allows is counted when it is granted, and given back for whoever did not walk.
- A missing exit bars the next entry only where exits are tapped, and never one from a time everybody was let out.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec

from terminal.core import history
from terminal.core.accounts import zone_ref
from terminal.core.fares import calendar
from terminal.core.fares.trips import Role
from terminal.core.ledger import FOR_EVER, NOTHING, Added, Alighted, Boarded, Effect, Trip
from terminal.core.model import Instant, OpenGate, Outcome, Reason, Ref, Show, Tap, Values, Verdict
from terminal.core.parameters import Booking, ParameterSet, Product
from terminal.core.services import ahead, pricing, rules
from terminal.core.services.rules import Case, Offer
from terminal.core.tariff import Period, Zone

INSIDE = "inside"  # the sum of people in a zone


def admission(case: Case) -> Outcome:
    """Judge one tap at a gate."""
    if case.zone:
        case = msgspec.structs.replace(case, where=msgspec.structs.replace(case.where, stop=case.zone))
    if case.role is Role.EXIT:
        return _leaving(case)
    if rules.is_unsure(case):
        return rules.deny(case, Reason.CLOCK_UNSURE)
    zone, tariff = _zone(case), case.parameters.tariff
    if zone.closed or not calendar.within(zone.open, case.at.utc_ms, tariff.time_zone, tariff.calendar):
        return rules.deny(case, Reason.CLOSED)
    if zone.free and calendar.within(zone.free, case.at.utc_ms, tariff.time_zone, tariff.calendar):
        return _free_of_charge(case)
    choice = rules.chosen(case)
    if isinstance(choice, Outcome):
        return choice
    offer = _offer(case, choice)
    return rules.first_to_speak(case, offer, ENTRY_RULES) or rules.grant(case, offer)


def activation(case: Case) -> Outcome:
    """An attendant looked at the holder: what needs it is good from now on."""
    choice = rules.chosen(case)
    if isinstance(choice, Outcome):
        return choice
    product = choice.product
    late = product.activate_within_days is not None and all(
        case.at.utc_ms > item.from_ms + product.activate_within_days * 86_400_000
        for item in rules.held(case)
        if any(item.product == condition.held for condition in product.who)
    )
    if not product.activation or late:
        return rules.deny(case, Reason.NOT_ACCEPTED_HERE)
    done = Added(party=_party(case), id=f"activated:{product.id}", window=FOR_EVER, count=1)
    return msgspec.structs.replace(rules.told(case, Reason.ACTIVATED, {}), effects=(done,))


def stands_open(parameters: ParameterSet, zone_name: str, at: Instant) -> bool:
    """Whether everybody enters this zone now, unasked and uncounted: its barrier may be left open."""
    zone, tariff = parameters.tariff.zones.get(zone_name, Zone()), parameters.tariff
    is_shut = zone.closed or at.uncertainty_ms > parameters.policies.max_uncertainty_s * 1000
    if is_shut or not zone.free or zone.most is not None:
        return False
    hours = (zone.open, zone.free)
    return all(calendar.within(one, at.utc_ms, tariff.time_zone, tariff.calendar) for one in hours)


def _free_of_charge(case: Case) -> Outcome:
    """Everybody enters without a ticket; what other taps here are counted for, they are now too."""
    if _is_full_for(case, 1):
        return rules.deny(case, Reason.ZONE_FULL)
    effects = (*_been_here(case, 1), *_counted_in(case, 1))
    return msgspec.structs.replace(rules.answered(case, Reason.ADMITTED, None), effects=effects)


# --------------------------------------------------------------------------- the offer


def _offer(case: Case, choice: pricing.Choice) -> Offer:
    """For how many, and what it costs: people left outside by an annulled grant come again as so many, and no more."""
    product, persons = choice.product, _bought_for(case, choice.product)
    refused: Reason | None = None
    values: Values = {}
    left = history.left_over(case.history)
    waits_outside = left is not None and 0 < left.annulled_persons < left.persons  # of a group: never was inside
    again = product.reentry and not waits_outside and _count(case, f"entry:{product.id}") > 0
    booking = _booking(case) if product.booked and not again else None
    if product.booked and not again:
        persons, refused, values = _booked(case, booking)
    if left is not None:
        persons = min(persons, left.annulled_persons)
    persons = 1 if again else persons
    charge = pricing.charge_for(product, 0 if again else persons, case.parameters.tariff)
    effects = _effects(case, product, persons, booking, again=again)
    reason = Reason.REENTRY if again else choice.notice
    if refused is None:
        values |= _good_until(case, product)
    return Offer(
        product=product,
        charge=charge,
        persons=persons,
        reason=reason,
        values=values,
        effects=effects,
        refused=refused,
    )


def _bought_for(case: Case, product: Product) -> int:
    """For how many: the largest of what is held and good now; where that does not say, the product's own."""
    named, at_ms = {condition.held for condition in product.who}, case.at.utc_ms
    good = (one for one in rules.held(case) if one.product in named and one.from_ms <= at_ms <= one.until_ms)
    return max((one.persons or product.persons for one in good), default=product.persons)


def _good_until(case: Case, product: Product) -> dict[str, str]:
    """The last day of what is held, where that is what lets somebody in."""
    named = {condition.held for condition in product.who if condition.held}
    last_ms = max((item.until_ms for item in rules.held(case) if item.product in named), default=None)
    return {} if last_ms is None else ahead.until(case.parameters.tariff, last_ms)


def _effects(case: Case, product: Product, persons: int, booking: Booking | None, *, again: bool) -> tuple[Effect, ...]:
    """What is counted; nothing where nothing asks for it."""
    party, zone, today = _party(case), _zone(case), _window(case, Period.DAY)
    found: list[Effect] = []
    if product.reentry:
        found.append(Added(party=party, id=f"entry:{product.id}", window=today, count=persons))
    if product.quota is not None and not again:
        window = _window(case, product.quota.period)
        owner = rules.payer_of(case).party(product.quota.scope).ref
        found.append(Added(party=owner, id=f"quota:{product.id}", window=window, count=persons))
    if booking is not None:
        found.append(Added(party=party, id=f"slot:{booking.slot}", window=_day_of(case, booking), count=persons))
    found.extend((*_been_here(case, persons), *_counted_in(case, persons)))
    if zone.exit_tapped:
        found.append(Boarded(party=party, product=product.id))
    return tuple(found)


def _booking(case: Case) -> Booking | None:
    """The booking whose slot is now; else the next of today; else none."""
    bookings, at_ms = case.parameters.bookings, case.at.utc_ms
    names = case.credential.medium_refs if case.account is None else (case.account, *case.credential.medium_refs)
    own = [one for name in names for one in case.parameters.bookings_of.get(name, ())]
    slots = bookings.slots
    now = [one for one in own if _is_open(case, one)]
    today = [one for one in own if _day(case, slots[one.slot].start_ms) == _day(case, at_ms)]
    return next(iter(sorted(now or today, key=lambda one: slots[one.slot].start_ms)), None)


def _booked(case: Case, booking: Booking | None) -> tuple[int, Reason | None, Values]:
    """For how many, why not, and what to tell."""
    if booking is None:
        return 1, Reason.NOT_BOOKED, {}
    slot, zone = case.parameters.bookings.slots[booking.slot], ZoneInfo(case.parameters.tariff.time_zone)
    start, end = (datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone) for ms in (slot.start_ms, slot.end_ms))
    values: Values = {"from": f"{start:%H:%M}", "to": f"{end:%H:%M}"}
    if not _is_open(case, booking):
        return 1, Reason.OUTSIDE_TIME_SLOT, values
    left = booking.persons - _count(case, f"slot:{booking.slot}", _day_of(case, booking))
    return (left, None, values) if left > 0 else (1, Reason.QUOTA_USED, values)


def _day_of(case: Case, booking: Booking) -> int:
    """The service day a slot begins on: who came is counted once, also where one ends within it."""
    return _day(case, case.parameters.bookings.slots[booking.slot].start_ms)


def _is_open(case: Case, booking: Booking) -> bool:
    bookings = case.parameters.bookings
    slot = bookings.slots[booking.slot]
    return slot.start_ms - bookings.early_s * 1000 <= case.at.utc_ms < slot.end_ms + bookings.late_s * 1000


# --------------------------------------------------------------------------- rules


def is_activated(case: Case, offer: Offer) -> Outcome | None:
    """A pass that nobody looked at is not good yet."""
    missing = offer.product.activation and not _count(case, f"activated:{offer.product.id}", FOR_EVER)
    return rules.deny(case, Reason.NOT_ACTIVATED) if missing else None


def is_offered(case: Case, offer: Offer) -> Outcome | None:
    """No booking, another slot, or everybody of it is in."""
    if offer.refused is None:
        return None
    denied = rules.deny(case, offer.refused)
    return msgspec.structs.replace(denied, acts=(Show(reason=offer.refused, values=offer.values),))


def is_outside(case: Case, offer: Offer) -> Outcome | None:
    """Who is inside cannot enter again, unless everybody was let out since."""
    trip = _inside(case)
    forgiven = trip is not None and trip.at_ms <= rules.emergency_ms(case)
    return rules.deny(case, Reason.STILL_INSIDE) if trip is not None and not forgiven else None


def is_right_way(case: Case, offer: Offer) -> Outcome | None:
    """A zone that is reached through another one only, or left behind for the day with the next."""
    if case.zone and offer.product.zones and case.zone not in offer.product.zones:
        return rules.deny(case, Reason.NOT_ACCEPTED_HERE)
    after, before = _zone(case).after, _zone(case).before
    too_early, too_late = after and not _count(case, f"been:{after}"), before and _count(case, f"been:{before}")
    return rules.deny(case, Reason.WRONG_WAY) if too_early or too_late else None


def within_quota(case: Case, offer: Offer) -> Outcome | None:
    """So many people a window, whoever holds the code; in proportion where a ticket is for more or fewer."""
    quota = offer.product.quota
    if quota is None or offer.reason is Reason.REENTRY:
        return None
    ledger = rules.payer_of(case).party(quota.scope).ledger
    window, name = _window(case, quota.period), f"quota:{offer.product.id}"
    used = next((one.count for one in ledger.sums if one.id == name and one.window == window), 0)
    most = quota.most * _bought_for(case, offer.product) // offer.product.persons
    return rules.deny(case, Reason.QUOTA_USED) if used + offer.persons > most else None


def is_not_full(case: Case, offer: Offer) -> Outcome | None:
    """So many people at once."""
    return rules.deny(case, Reason.ZONE_FULL) if _is_full_for(case, offer.persons) else None


ENTRY_RULES: Sequence[rules.Rule] = (
    *(rule for rule in rules.RULE_ORDER if rule is not rules.not_too_soon),
    is_activated,
    is_offered,
    rules.party_is_free,
    is_outside,
    is_right_way,
    within_quota,
    is_not_full,
    rules.not_too_soon,
)


# --------------------------------------------------------------------------- leaving


def _leaving(case: Case) -> Outcome:
    """Out: nothing is asked."""
    effects: list[Effect] = []
    holder = _holder(case)
    if holder is not None:
        effects.append(Alighted(party=holder))
    effects.extend(_counted_in(case, -1))
    return Outcome(
        decision=rules.decision(case, Verdict.GRANT, Reason.EXITED),
        acts=(OpenGate(), Show(reason=Reason.EXITED)),
        tap=Tap.ALIGHT,
        where=case.where,
        effects=tuple(effects),
    )


# --------------------------------------------------------------------------- what the ledgers say


def _zone(case: Case) -> Zone:
    return case.parameters.tariff.zones.get(case.zone, Zone())


def _been_here(case: Case, persons: int) -> tuple[Effect, ...]:
    """Who has been in this zone today, where another one asks for it."""
    if not case.zone or all(case.zone not in (one.after, one.before) for one in case.parameters.tariff.zones.values()):
        return ()
    return (Added(party=_party(case), id=f"been:{case.zone}", window=_window(case, Period.DAY), count=persons),)


def _counted_in(case: Case, persons: int) -> tuple[Effect, ...]:
    """So many more people inside, where there is a limit to them."""
    if _zone(case).most is None:
        return ()
    window = _window(case, Period.DAY)
    return (Added(party=zone_ref(case.zone), id=_inside_since(case), window=window, count=persons),)


def _is_full_for(case: Case, persons: int) -> bool:
    """Whether so many more are too many at once."""
    most, today, name = _zone(case).most, _window(case, Period.DAY), _inside_since(case)
    kept = case.ledgers.get(zone_ref(case.zone), NOTHING)
    inside = next((one.count for one in kept.sums if one.id == name and one.window == today), 0)
    return most is not None and inside + persons > most


def _inside_since(case: Case) -> str:
    """The sum of who is inside: begun anew each service day, and when everybody was let out."""
    out_ms = rules.emergency_ms(case)
    return f"{INSIDE} since {out_ms}" if out_ms and _day(case, out_ms) == _day(case, case.at.utc_ms) else INSIDE


def _party(case: Case) -> Ref:
    return rules.payer_of(case).account.ref


def _holder(case: Case) -> Ref | None:
    """Under whose name somebody is inside."""
    own = case.credential.medium_refs
    names = own if case.account is None else (case.account, *own)
    return next((name for name in names if case.ledgers.get(name, NOTHING).trip is not None), None)


def _inside(case: Case) -> Trip | None:
    """The entry into this zone that no exit ended."""
    holder = _holder(case)
    trip = None if holder is None else case.ledgers[holder].trip
    return trip if trip is not None and trip.where.stop == case.zone else None


def _count(case: Case, name: str, window: int | None = None) -> int:
    window = _window(case, Period.DAY) if window is None else window
    sums = rules.payer_of(case).account.ledger.sums
    return next((one.count for one in sums if one.id == name and one.window == window), 0)


def _window(case: Case, period: Period) -> int:
    tariff = case.parameters.tariff
    return calendar.window(period, case.at.utc_ms, tariff.time_zone, tariff.service_day_starts)


def _day(case: Case, at_ms: int) -> int:
    tariff = case.parameters.tariff
    return calendar.window(Period.DAY, at_ms, tariff.time_zone, tariff.service_day_starts)
