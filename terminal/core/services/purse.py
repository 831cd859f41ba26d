"""Paying with a purse: money moves on the card itself, so a grant is a list of debits.

Laws of this file:
- The card's own trip is the truth. One that was begun on another vehicle, or too long ago, is ended first for the
  operator's maximum, without any discount; then this tap is judged. Both amounts are told.
- Money taken and not walked on holds: the same card passes without another debit, for nothing can be taken back. It
  holds for the same way only: who boarded is not let off for it, or the trip would stay open on the card.
- Whoever is on board gets off, though no product fits any more: hours that ended on the way keep nobody in.
- A purse is bearer money: only a block of the purse itself stops it, and only that one locks it on the card. At an exit
  it keeps nobody in either: nothing is taken from it, and nothing done to it; head office settles that way.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from terminal.core import history, status
from terminal.core.card import CardState, OpenTrip, Stage
from terminal.core.debit import DebitKind
from terminal.core.fares import stations
from terminal.core.model import (
    Charge,
    DebitPurse,
    Instant,
    LockPurse,
    OpenGate,
    Outcome,
    Reason,
    Show,
    Tap,
    UseState,
    Values,
    Verdict,
)
from terminal.core.parameters import BlockScope, Policies, Product, PurseRules, TripFares
from terminal.core.services import pricing, rules
from terminal.core.services.rules import Case
from terminal.core.time import age_ms

BOARD, ALIGHT = "board", "alight"  # fare types of a trip's two taps
WAYS = {BOARD: Stage.ENTRY, ALIGHT: Stage.EXIT}
TAPS = {DebitKind.BOARD: Tap.BOARD, DebitKind.ALIGHT: Tap.ALIGHT}


def purse(case: Case) -> Outcome:
    """Judge one tap of a purse."""
    found = case.parameters.cards.purse
    if case.at.uncertainty_ms > case.parameters.policies.max_uncertainty_s * 1000:
        return rules.deny(case, Reason.CLOCK_UNSURE)
    product = None if found is None else _product(case, found)
    if found is None or product is None:
        return rules.deny(case, Reason.NOT_ACCEPTED_HERE)
    reason = status.block_on(case.parameters, case.credential.medium_refs, case.account, product.scopes)
    if reason is not None:
        if _gets_off(case, found):
            return _paid_before(case, product) or _barred(case, product) or _let_out(case, found)
        return _listed(case, found, reason)
    return _paid_before(case, product) or _barred(case, product) or _pay(case, found, product)


def _listed(case: Case, purse_rules: PurseRules, reason: Reason) -> Outcome:
    """Refused; where the operator wants it, the purse that is itself on the list is locked on the card."""
    denied = rules.deny(case, reason)
    own = status.block_on(case.parameters, case.credential.medium_refs, None, (BlockScope.PURSE,))
    if own is None or not purse_rules.lock_listed:
        return denied
    return msgspec.structs.replace(denied, acts=(LockPurse(), *denied.acts))


def _let_out(case: Case, purse_rules: PurseRules) -> Outcome:
    """Out without a debit; what the way costs, and whether it is asked for, is head office's."""
    charge = _charge(case, 0, ALIGHT, purse_rules.trips.product)
    return Outcome(
        decision=rules.decision(case, Verdict.GRANT_IN_DOUBT, Reason.EXIT_UNPAIRED),
        acts=(OpenGate(), Show(reason=Reason.EXIT_UNPAIRED)),
        charge=charge,
        tap=Tap.ALIGHT,
        where=case.where,
    )


def _product(case: Case, purse_rules: PurseRules) -> Product | None:
    """The first of the purse's own products that fits here and now; hours and lines are the tariff's. Whoever gets off
    needs none that fits: what the way costs is the trip's.
    """
    tariff = msgspec.structs.replace(case.parameters.tariff, products=purse_rules.products)
    payer = rules.payer_of(case)
    choice = pricing.choose(case.service, case.credential, rules.held(case), tariff, case.at, payer, case.where)
    if choice is not None:
        return choice.product
    here = pricing.products_here(case.service, tariff, case.where)
    return here[0] if here and _gets_off(case, purse_rules) else None


def _gets_off(case: Case, purse_rules: PurseRules) -> bool:
    """Whether this tap ends a trip, or leaves by an exit."""
    card, stage = case.credential.card, case.place.stage
    on_board = card is not None and card.trip is not None and is_ours(card.trip, card, purse_rules, case)
    return stage is Stage.EXIT or (stage is Stage.BOTH and on_board)


# --------------------------------------------------------------------------- what stands before a debit


def _paid_before(case: Case, product: Product) -> Outcome | None:
    """Paid and not walked on; or the same card again on the same vehicle, asking whether it worked."""
    policies, credential = case.parameters.policies, case.credential
    use = history.unwalked(credential, case.history, case.lane, case.at, policies.card_honour_s)
    if use is None:
        use = history.asked_again(credential, case.history, case.at, policies.card_repeat_s)
        companions = case.place.stage is Stage.RIDE and product.pass_back.companions
        if use is not None and companions and use.at_ms >= case.place.began_ms:
            return None  # heard and paid: this one is for a companion
    if use is None or not holds(use.fare_type, age_ms(use.at_ms, case.at.utc_ms), case.place.stage, policies):
        return None
    if case.lane_busy and use.name != case.lane_open:
        return rules.deny(case, Reason.GATE_BUSY)  # somebody else still walks here
    return rules.already_paid(case, use)


def holds(fare_type: str, paid_ms_ago: int, stage: Stage, policies: Policies) -> bool:
    """Whether what was paid under this fare type holds for a tap of this stage: a boarding for an entry, an alighting
    for an exit, a ride for a ride. At a door that is both, what was paid so long ago was for the other way.
    """
    if stage is Stage.BOTH:
        return paid_ms_ago < policies.card_repeat_s * 1000
    return WAYS.get(fare_type, Stage.RIDE) is stage


def _barred(case: Case, product: Product) -> Outcome | None:
    if case.lane_busy:
        return rules.deny(case, Reason.GATE_BUSY)
    if case.place.stage is not Stage.RIDE:
        return None  # the card's own trip says what this tap is
    if any(use.state is UseState.RESERVED for use in case.history.same_party):
        return rules.deny(case, Reason.TOO_SOON)  # it waits at another gate
    if history.too_soon(product.pass_back, case.credential, case.account, case.history, case.at, case.where.run):
        return rules.deny(case, Reason.COMPANIONS_USED if product.pass_back.companions else Reason.TOO_SOON)
    return None


# --------------------------------------------------------------------------- debits


def _pay(case: Case, purse_rules: PurseRules, product: Product) -> Outcome:
    card = case.credential.card
    assert card is not None
    trips, stage, trip = purse_rules.trips, case.place.stage, card.trip
    goes_on = trip is not None and stage is not Stage.RIDE and is_ours(trip, card, purse_rules, case)
    debits = []
    if trip is not None and not (goes_on and stage in (Stage.BOTH, Stage.EXIT)):
        unfinished_fen = 0 if _is_forgiven(trip, card, case) else trips.max_fare_fen
        debits.append(_debit(case, DebitKind.SETTLE, unfinished_fen, "unfinished", trips.product))
    owed_fen = sum(debit.amount_fen for debit in debits)
    if stage is Stage.RIDE:
        charge = pricing.charge_for(product, 1, case.parameters.tariff)
        debits.append(_taken(case, DebitKind.RIDE, charge))
    elif stage is Stage.EXIT or (goes_on and stage is Stage.BOTH):
        amount_fen = _fare(case, trips, trip if goes_on else None)
        debits.append(_debit(case, DebitKind.ALIGHT, amount_fen, ALIGHT, trips.product))
    else:
        debits.append(_debit(case, DebitKind.BOARD, 0, BOARD, trips.product))
    return _grant(case, product, tuple(debits), owed_fen)


def _debit(case: Case, kind: DebitKind, amount_fen: int, fare_type: str, product: str) -> DebitPurse:
    return _taken(case, kind, _charge(case, amount_fen, fare_type, product))


def _charge(case: Case, amount_fen: int, fare_type: str, product: str) -> Charge:
    currency = case.parameters.tariff.currency
    return Charge(product=product, fare_type=fare_type, amount_fen=amount_fen, currency=currency)


def _taken(case: Case, kind: DebitKind, charge: Charge) -> DebitPurse:
    place = case.place
    return DebitPurse(amount_fen=charge.amount_fen, kind=kind, charge=charge, line=place.line, station=place.station)


def _grant(case: Case, product: Product, debits: tuple[DebitPurse, ...], owed_fen: int) -> Outcome:
    last = debits[-1]
    said = {
        DebitKind.RIDE: Reason.PAID_BY_CARD if product.reason is Reason.PAID else product.reason,
        DebitKind.BOARD: Reason.BOARDED,
        DebitKind.ALIGHT: Reason.ALIGHTED_BY_CARD,
    }
    reason = Reason.SETTLED_BY_CARD if owed_fen else said[last.kind]
    values: Values = {"fare": rules.amount(case, last.amount_fen), "owed": rules.amount(case, owed_fen)}
    return Outcome(
        decision=rules.decision(case, Verdict.GRANT, reason),
        acts=(*debits, OpenGate(), Show(reason=reason, values=values)),
        charge=last.charge,
        tap=TAPS.get(last.kind, Tap.RIDE),
        where=case.where,
    )


# --------------------------------------------------------------------------- trips


def is_ours(trip: OpenTrip, card: CardState, purse_rules: PurseRules, case: Case) -> bool:
    """Whether this trip can end here: begun on this vehicle, or in this network, and not too long ago."""
    trips = purse_rules.trips
    own = _is_of_this_site(trip, card, case)
    here = trip.acquirer == purse_rules.acquirer if trips.network == "acquirer" else own
    return here and _age(trip, case.at, case.parameters.tariff.time_zone) <= timedelta(seconds=trips.longest_s)


def _is_of_this_site(trip: OpenTrip, card: CardState, case: Case) -> bool:
    """Begun at one of its secure modules: one that says so, or one it debited this very card by."""
    newest = rules.payer_of(case).medium.ledger.debit
    known = () if newest is None else (newest.debit.terminal.rjust(8, b"\x00").hex(),)
    return trip.terminal in (*card.own_terminals, *known)


def _is_forgiven(trip: OpenTrip, card: CardState, case: Case) -> bool:
    """Everybody was let out of here since it began."""
    age = _age(trip, case.at, case.parameters.tariff.time_zone)
    since = timedelta(milliseconds=case.at.utc_ms - rules.emergency_ms(case))
    return _is_of_this_site(trip, card, case) and since <= age < timedelta.max


def _fare(case: Case, trips: TripFares, trip: OpenTrip | None) -> int:
    """Fen from where the trip began to here, by the tariff; the maximum where nobody knows."""
    tariff, place = case.parameters.tariff, case.place
    if trip is None:
        return trips.max_fare_fen
    found = stations.price(
        tariff.fares.get(trips.fare), tariff.lines, trip.line + trip.station, place.line + place.station
    )
    return trips.max_fare_fen if found is None else found


def local_time(at: Instant, time_zone: str) -> datetime:
    """The time on the wall, as cards keep it."""
    return datetime.fromtimestamp(at.utc_ms // 1000, UTC).astimezone(ZoneInfo(time_zone)).replace(tzinfo=None)


def _age(trip: OpenTrip, at: Instant, time_zone: str) -> timedelta:
    """How long ago it began; a time that is none, or lies ahead, is older than any trip."""
    try:
        began = datetime.strptime(trip.at, "%Y%m%d%H%M%S")  # noqa: DTZ007  # local on both sides
    except ValueError:
        return timedelta.max
    age = local_time(at, time_zone) - began
    return age if age > timedelta(minutes=-5) else timedelta.max
