"""A ride: one tap that pays, or boarding and alighting that belong together.

Laws of this file:
- Whoever wants to get off is let off, by what they boarded on: no block, no limit, no concession that ended and no
  missing entry keeps anybody on board, unless the operator's tariff says so.
- An unfinished trip is settled first, then this tap is judged; both amounts are told. Together they never exceed what
  the issuer allows in one spend.
- One ride on trust where the tariff allows it, when balance or truth is missing; it is settled at the next tap that can
  pay, for what it cost then.
- A ride whose price nobody can know here is granted in doubt and settled by head office; nobody is asked to wait.
"""

from collections.abc import Sequence

import msgspec

from terminal.core import history
from terminal.core.fares import table, trips
from terminal.core.fares.quote import Payer, Quote, Ride, Step, fare_table, quote
from terminal.core.fares.trips import Kind, Role
from terminal.core.ledger import Alighted, Boarded, Effect, Moment, Owed, Trip
from terminal.core.model import Charge, Outcome, Part, Reason, Ref, Tap, Value, Values, Verdict
from terminal.core.parameters import Product, Tariff
from terminal.core.services import ahead, pricing, rules
from terminal.core.services.pricing import Choice
from terminal.core.services.rules import Case, Offer
from terminal.core.tariff import MissingEntry, TapOut, Unfinished

RIDE_RULES: Sequence[rules.Rule] = (
    rules.sure_enough,
    rules.within_ceiling,
    rules.not_blocked,
    rules.not_used,
    rules.same_card,
    rules.is_offered,
    rules.gate_is_free,
    rules.party_is_free,
    rules.not_too_soon,
    rules.within_funds,
)
ONCE = (rules.not_too_soon, rules.same_card)
BOARD_RULES = tuple(rule for rule in RIDE_RULES if rule not in ONCE)  # an open trip bars a second one
ALIGHT_RULES: Sequence[rules.Rule] = (rules.not_used, rules.gate_is_free, rules.party_is_free)
UNPAIRED_RULES: Sequence[rules.Rule] = (rules.not_used, rules.is_offered, rules.gate_is_free, rules.party_is_free)


class Settled(Value, frozen=True):
    """What is settled before this tap is priced: a trip nobody tapped out of."""

    fen: int = 0
    effects: tuple[Effect, ...] = ()
    steps: tuple[Step, ...] = ()


def fare(case: Case) -> Outcome:
    """Judge one tap."""
    return explained(case)[0]


def explained(case: Case) -> tuple[Outcome, tuple[Step, ...]]:
    """Judge one tap, and say step by step how its price came about."""
    choice = rules.chosen(case)
    on_board = _on_board(case, choice)
    if on_board is not None:
        return on_board
    if isinstance(choice, Outcome):
        return _let_off(case) or (choice, ())
    tap_out = fare_table(case.parameters.tariff, choice.product).tap_out
    if tap_out is None:
        return _decide(case, _ride(case, choice), RIDE_RULES)
    if case.role is Role.EXIT:
        return _decide(case, _unpaired(case, choice, tap_out), UNPAIRED_RULES)
    return _decide(case, _boarding(case, choice, tap_out), BOARD_RULES)


def _on_board(case: Case, choice: Choice | Outcome) -> tuple[Outcome, tuple[Step, ...]] | None:
    """Whoever rides here gets off by what they boarded on, whatever they could board on now; None: nobody does."""
    trip, tariff = open_trip(case), case.parameters.tariff
    if trip is None or rules.is_unsure(case):
        return None
    product = _product_of(tariff, trip) or (None if isinstance(choice, Outcome) else choice.product)
    tap_out = None if product is None else fare_table(tariff, product).tap_out
    if product is None or tap_out is None:
        return None
    kind = trips.kind_of(trip, case.where, case.role, tap_out, case.at.utc_ms)
    if kind is Kind.ASK:
        return rules.answered(case, Reason.BOARDED, trip.of), ()
    return _decide(case, _alighting(case, product, trip), ALIGHT_RULES) if kind is Kind.ALIGHT else None


def _let_off(case: Case) -> tuple[Outcome, tuple[Step, ...]] | None:
    """Nobody is kept in at an exit who has nothing to ride on any more, or whose way no clock here can price."""
    holder, trip, tariff = _holder_of_trip(case), open_trip(case), case.parameters.tariff
    for product in pricing.products_here(case.service, tariff, case.where) if case.role is Role.EXIT else ():
        tap_out = fare_table(tariff, product).tap_out
        if tap_out is not None and (trip is not None or tap_out.missing_entry is not MissingEntry.REFUSE):
            ends = holder is not None and trip is not None and trips.is_of_this_run(trip, case.where)
            effects = (Alighted(party=holder),) if holder is not None and ends else ()
            return _decide(case, _later(case, product, effects), ALIGHT_RULES)
    return None


def open_trip(case: Case) -> Trip | None:
    """The trip this party has not ended, by its account or by the medium it began with."""
    name = _holder_of_trip(case)
    return None if name is None else case.ledgers[name].trip


def _holder_of_trip(case: Case) -> Ref | None:
    own = case.credential.medium_refs
    names = own if case.account is None else (case.account, *own)
    return next((name for name in names if name in case.ledgers and case.ledgers[name].trip is not None), None)


# --------------------------------------------------------------------------- offers


def _ride(case: Case, choice: Choice) -> Offer:
    """One tap is the whole ride."""
    ride = msgspec.structs.replace(_priced(case, choice.product), companion=_rides_along(case, choice.product))
    settled = _unfinished(case, ride)
    payer = _payer_after(case, settled.effects)
    if settled.fen:
        ride = msgspec.structs.replace(ride, ceiling_fen=_left(case, settled.fen), room_fen=_room(case, settled.fen))
    found = quote(case.parameters.tariff, ride, payer)
    if found is None:
        return _offer(case, choice.product, 0, refused=Reason.FARE_NOT_CHOSEN)
    return _paid(case, choice, found, settled, Tap.RIDE, choice.notice or found.reason)


def _boarding(case: Case, choice: Choice, rule: TapOut) -> Offer:
    """Nothing is paid yet but what is left from before."""
    settled = _unfinished(case, None)
    party = rules.payer_of(case).account.ref
    short = case.funds_fen is not None and case.funds_fen < rule.least_funds_fen
    offer = _offer(
        case,
        choice.product,
        settled.fen,
        parts=_parts(settled.fen, 0, 0),
        reason=Reason.UNFINISHED_SETTLED if settled.fen else choice.notice or Reason.BOARDED,
        effects=(*settled.effects, Boarded(party=party, product=choice.product.id)),
        tap=Tap.BOARD,
        refused=Reason.BALANCE_SHORT if short else None,
    )
    values: Values = {"fare": rules.amount(case, 0), "settled": rules.amount(case, settled.fen)}
    return msgspec.structs.replace(offer, values=values, steps=(*settled.steps, Step(rule="boarded", fen=0)))


def _alighting(case: Case, product: Product, trip: Trip) -> Offer:
    """The trip is over: it costs what its product costs from there to here."""
    tariff = case.parameters.tariff
    rule = fare_table(tariff, product).tap_out
    holder = _holder_of_trip(case)
    assert holder is not None
    ended = Settled(effects=(Alighted(party=holder),))
    ride = msgspec.structs.replace(
        _priced(case, product),
        boarded=trip.where,
        alighted=case.where,
        began_ms=trip.at_ms,
        extra_fen=0 if rule is None else trips.overtime_fen(trip, rule, case.at.utc_ms),
        ceiling_fen=case.credential.ceiling_fen,
    )
    found = quote(tariff, ride, rules.payer_of(case))
    if found is None:
        return _later(case, product, ended.effects)
    taken = Choice(product=product)
    return _paid(case, taken, found, ended, Tap.ALIGHT, Reason.ALIGHTED)


def _unpaired(case: Case, choice: Choice, rule: TapOut) -> Offer:
    """Nobody knows here where this trip began."""
    if rule.missing_entry is MissingEntry.REFUSE:
        return _offer(case, choice.product, 0, refused=Reason.ENTRY_MISSING)
    tariff = case.parameters.tariff
    full = table.farthest_price(fare_table(tariff, choice.product), tariff.lines, case.where)
    if rule.missing_entry is MissingEntry.LATER or full is None:
        return _later(case, choice.product, ())
    ride = msgspec.structs.replace(
        _priced(case, choice.product), full_fen=full, ceiling_fen=case.credential.ceiling_fen
    )
    found = quote(tariff, ride, rules.payer_of(case))
    assert found is not None
    return _paid(case, choice, found, Settled(), Tap.ALIGHT, Reason.ALIGHTED)


def _later(case: Case, product: Product, effects: tuple[Effect, ...]) -> Offer:
    """Let out now, charged by head office."""
    offer = _offer(case, product, 0, reason=Reason.EXIT_UNPAIRED, effects=effects, tap=Tap.ALIGHT)
    return msgspec.structs.replace(offer, verdict=Verdict.GRANT_IN_DOUBT)


def _paid(case: Case, choice: Choice, found: Quote, settled: Settled, tap: Tap, reason: Reason) -> Offer:
    """A priced ride, with what is settled beside it; what a purse cannot pay at an exit is owed."""
    debt = rules.payer_of(case).account
    fen, effects = found.fen, (*settled.effects, *found.effects)
    room = _room(case, settled.fen + fen)
    owed = min(debt.ledger.owed_fen, max(0, room))
    graces = debt.ledger.graces if owed == debt.ledger.owed_fen else 0
    if owed or graces:
        effects += (Owed(party=debt.ref, fen=-owed, graces=-graces),)
    if tap is Tap.ALIGHT and case.funds_fen is not None and fen > case.funds_fen:
        effects += (Owed(party=debt.ref, fen=fen - case.funds_fen, graces=1),)
        fen, reason = case.funds_fen, Reason.GRACE
    parts = _parts(settled.fen, fen, owed)
    steps = (*settled.steps, *found.steps)
    if owed:
        steps += (Step(rule="owed", fen=fen + owed, figures=(owed,)),)
    offer = _offer(
        case,
        choice.product,
        settled.fen + fen + owed,
        parts=parts,
        reason=Reason.UNFINISHED_SETTLED if settled.fen else reason,
        effects=effects,
        tap=tap,
    )
    values: Values = {"fare": rules.amount(case, fen + owed), "settled": rules.amount(case, settled.fen)}
    payer = _payer_after(case, effects)
    values |= ahead.ahead(case.parameters.tariff, choice.product, payer, case.where, case.at.utc_ms)
    return msgspec.structs.replace(offer, values=values, steps=steps)


def _offer(
    case: Case,
    product: Product,
    fen: int,
    parts: tuple[Part, ...] = (),
    reason: Reason | None = None,
    effects: tuple[Effect, ...] = (),
    tap: Tap = Tap.RIDE,
    refused: Reason | None = None,
) -> Offer:
    charge = Charge(
        product=product.id,
        fare_type=product.fare_type,
        amount_fen=fen,
        currency=case.parameters.tariff.currency,
        parts=parts,
        ceiling_fen=case.credential.ceiling_fen,
        funds_fen=case.funds_fen,
    )
    return Offer(product=product, charge=charge, persons=1, reason=reason, effects=effects, tap=tap, refused=refused)


def _parts(unfinished: int, ride: int, owed: int) -> tuple[Part, ...]:
    """Told only where there is more than the ride."""
    if not unfinished and not owed:
        return ()
    named = (("unfinished", unfinished), ("ride", ride), ("owed", owed))
    return tuple(Part(what=what, fen=fen) for what, fen in named if fen)


# --------------------------------------------------------------------------- prices


def _priced(case: Case, product: Product) -> Ride:
    at_ms = case.at.utc_ms
    return Ride(product=product, boarded=case.where, began_ms=at_ms, at_ms=at_ms, room_fen=_room(case, 0))


def _rides_along(case: Case, product: Product) -> bool:
    """Whether the holder is on board and this tap is for somebody else."""
    held, run_ms = case.credential, case.where.run
    return history.rides_along(product.pass_back, held, case.account, case.history, case.at, run_ms)


def _price(case: Case, ride: Ride, payer: Payer) -> int:
    found = quote(case.parameters.tariff, ride, payer)
    return 0 if found is None else found.fen


def _unfinished(case: Case, beside: Ride | None) -> Settled:
    """An open trip this tap does not end: settled by its own tariff, beside the ride this tap pays for."""
    holder, trip, tariff = _holder_of_trip(case), open_trip(case), case.parameters.tariff
    if holder is None or trip is None:
        return Settled()
    ended = (Alighted(party=holder),)
    product = _product_of(tariff, trip)
    if product is None or trip.at_ms <= rules.emergency_ms(case):
        return Settled(effects=ended)
    prices = fare_table(tariff, product)
    full = table.farthest_price(prices, tariff.lines, trip.where)
    if full is None or prices.tap_out is None or prices.tap_out.unfinished is Unfinished.LATER:
        return Settled(effects=ended)
    spent_fen = 0 if beside is None else _price(case, beside, rules.payer_of(case))
    ride = msgspec.structs.replace(
        _priced(case, product), boarded=trip.where, full_fen=full, ceiling_fen=_left(case, spent_fen)
    )
    found = quote(tariff, ride, rules.payer_of(case))
    assert found is not None
    steps = (Step(rule="unfinished", fen=found.fen, figures=(trip.where.stop,)), *found.steps[1:])
    return Settled(fen=found.fen, effects=(*ended, *found.effects), steps=steps)


def _product_of(tariff: Tariff, trip: Trip) -> Product | None:
    return next((one for one in tariff.products if one.id == trip.product), None)


def _left(case: Case, spent_fen: int) -> int | None:
    """What the issuer's ceiling leaves beside so much."""
    return None if case.credential.ceiling_fen is None else max(0, case.credential.ceiling_fen - spent_fen)


def _room(case: Case, spent_fen: int) -> int:
    """What a debt may take beside so much: neither over the ceiling nor over the purse."""
    limits = [limit for limit in (case.credential.ceiling_fen, case.funds_fen) if limit is not None]
    return min(limits, default=1 << 40) - spent_fen


def _payer_after(case: Case, effects: tuple[Effect, ...]) -> Payer:
    """The payer once these effects stand."""
    if not effects:
        return rules.payer_of(case)
    return rules.payer_of(case).after(effects, Moment(at_ms=case.at.utc_ms, where=case.where))


# --------------------------------------------------------------------------- deciding


def _decide(case: Case, offer: Offer, order: Sequence[rules.Rule]) -> tuple[Outcome, tuple[Step, ...]]:
    spoken = rules.first_to_speak(case, offer, order)
    if spoken is None:
        return rules.grant(case, offer), offer.steps
    return _on_trust(case, offer, spoken.decision.reason) or spoken, offer.steps


def _on_trust(case: Case, offer: Offer, refused: Reason) -> Outcome | None:
    """Instead of this refusal: a ride now, its price next time. None where the tariff or the past forbids it."""
    grace = case.parameters.tariff.grace
    party = rules.payer_of(case).account
    if grace is None or refused.value not in grace.reasons or party.ledger.graces >= grace.rides:
        return None
    if case.funds_fen is not None and case.funds_fen < grace.least_funds_fen:
        return None
    before = sum(part.fen for part in offer.charge.parts if part.what == "owed")  # stays owed, as it is
    owed = Owed(party=party.ref, fen=offer.charge.amount_fen - before, graces=1)
    charge = msgspec.structs.replace(offer.charge, amount_fen=0, parts=())
    kept = tuple(effect for effect in offer.effects if not isinstance(effect, Owed))
    trusted = msgspec.structs.replace(
        offer,
        charge=charge,
        reason=Reason.GRACE,
        verdict=Verdict.GRANT_IN_DOUBT,
        effects=(*kept, owed),
        refused=None,
    )
    still = first_refusal(case, trusted)
    return still or rules.grant(case, trusted)


def first_refusal(case: Case, offer: Offer) -> Outcome | None:
    """Trust does not help a used code, a busy gate or somebody who just passed."""
    order = (rules.not_used, rules.gate_is_free, rules.party_is_free, rules.not_too_soon)
    return rules.first_to_speak(case, offer, order)
