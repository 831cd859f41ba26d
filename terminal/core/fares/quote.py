"""What a ride costs, and why: a chain of rules, each leaving one step of the explanation.

Laws of this file:
- Pure: the same tariff, ride and ledgers give the same quote, whoever asks: a gate, a purse, the explainer.
- Order of the rules: full price, the product's share, transfer, discounts by what was paid, caps, ceiling. What is paid
  in the end is what is added to the sums.
- A companion is another person: full share, no transfer, no sum and no cap; the holder's are as if nobody came along.
- A discount by sum, or by the number of rides, applies to whole rides that begin after it was reached; a cap cuts the
  ride that reaches it.
"""

from collections.abc import Callable, Sequence

import msgspec

from terminal.core import ledger
from terminal.core.base import Ref, Value
from terminal.core.fares import calendar, table
from terminal.core.ledger import Added, Anchor, Anchored, Effect, Ledger, Moment, Sum, Where
from terminal.core.model import Reason
from terminal.core.parameters import Product, Tariff
from terminal.core.tariff import Accumulation, FareTable, Scope, Since, Transfer
from terminal.core.time import age_ms


class Party(Value, frozen=True):
    """A name and what is remembered under it."""

    ref: Ref
    ledger: Ledger


class Payer(Value, frozen=True):
    """Who pays, as far as prices care: one party a scope."""

    medium: Party
    channel: Party
    account: Party

    def after(self, effects: Sequence[Effect], moment: Moment) -> "Payer":
        """The payer once these effects stand."""
        return Payer(**{scope: _party_after(getattr(self, scope), effects, moment) for scope in Scope})

    def party(self, scope: Scope) -> Party:
        """The party a sum of this scope belongs to."""
        found: Party = getattr(self, scope)
        return found


def stranger(name: Ref) -> Payer:
    """Somebody of whom nothing is remembered."""
    party = Party(ref=name, ledger=ledger.NOTHING)
    return Payer(medium=party, channel=party, account=party)


class Ride(Value, frozen=True):
    """What is to be priced."""

    product: Product
    boarded: Where
    began_ms: int  # the first touch
    at_ms: int  # the touch that charges
    alighted: Where | None = None
    extra_fen: int = 0  # overtime
    full_fen: int | None = None  # given: not looked up, and no discount applies
    ceiling_fen: int | None = None  # the issuer's limit of one spend
    companion: bool = False  # of somebody who rides on this run already
    room_fen: int | None = None  # what this tap can pay in all, a debt from before included; None: no limit


class Step(Value, frozen=True):
    """One step of the explanation: which rule, what the ride costs after it, and the figures it looked at."""

    rule: str
    fen: int
    figures: tuple[int | str, ...] = ()


class Quote(Value, frozen=True):
    """A price with its reasons and its effects."""

    fen: int
    reason: Reason
    steps: tuple[Step, ...]
    effects: tuple[Effect, ...] = ()


def quote(tariff: Tariff, ride: Ride, payer: Payer) -> Quote | None:
    """The price of a ride; None where a stop, a key or a line is not known."""
    fares, full = fare_table(tariff, ride.product), ride.full_fen
    if full is None:
        full = table.full_price(fares, tariff.lines, ride.boarded, ride.alighted)
    if full is None:
        return None
    found = Quote(fen=full + ride.extra_fen, reason=ride.product.reason, steps=(Step(rule="full", fen=full),))
    if ride.extra_fen:
        found = _after(found, "overtime", found.fen, ride.extra_fen)
    for rule in FULL_PRICE if ride.full_fen is not None else COMPANIONS if ride.companion else EVERY_RULE:
        found = rule(tariff, ride, payer, found)
    return found


def fare_table(tariff: Tariff, product: Product) -> FareTable:
    """The table a product is priced by; without one, its own flat fare."""
    return tariff.fares[product.fare] if product.fare else FareTable(fare_fen=product.fare_fen)


def share(fen: int, percent: int, unit: int) -> int:
    """So many per cent, rounded half up to a whole unit; whole amounts stay as they are."""
    return fen if percent == 100 else (fen * percent + 50 * unit) // (100 * unit) * unit


# --------------------------------------------------------------------------- the rules, in their order


def rides_along(tariff: Tariff, ride: Ride, payer: Payer, so_far: Quote) -> Quote:
    """Said once; what a companion does not get is what the other rules would give."""
    return _after(so_far, "companion", so_far.fen)


def product_share(tariff: Tariff, ride: Ride, payer: Payer, so_far: Quote) -> Quote:
    """What the product leaves to pay; it may differ by the area of the boarding stop."""
    stop = table.stop_of(tariff.lines.get(ride.boarded.line), ride.boarded.stop)
    area = "" if stop is None else stop.area
    percent = ride.product.percent_in.get(area, ride.product.percent)
    if percent == 100:
        return so_far
    return _after(so_far, "share", share(so_far.fen, percent, tariff.round_fen), percent, area)


def transfers(tariff: Tariff, ride: Ride, payer: Payer, so_far: Quote) -> Quote:
    """A ride soon after another; either way the next one counts from here, or from where this one counted."""
    for name in ride.product.transfers:
        rule = tariff.transfers[name]
        party = payer.party(rule.scope)
        anchor = next((one for one in party.ledger.anchors if one.id == name), None)
        fen = share(max(0, so_far.fen - rule.off_fen), rule.percent, tariff.round_fen)
        if anchor is not None and _counts_from(rule, anchor, ride) and not (rule.debt_free and _owes(ride, payer, fen)):
            since_s = (ride.began_ms - (anchor.first_ms if rule.since is Since.FIRST else anchor.last_ms)) // 1000
            so_far = _after(so_far, "transfer", fen, name, since_s, reason=Reason.TRANSFER)
            first_ms, count = anchor.first_ms, anchor.transfers + 1
        else:
            first_ms, count = ride.began_ms, 0
        new = Anchor(id=name, first_ms=first_ms, last_ms=ride.at_ms, line=ride.boarded.line, transfers=count)
        so_far = _effect(so_far, Anchored(party=party.ref, anchor=new))
    return so_far


def discounts(tariff: Tariff, ride: Ride, payer: Payer, so_far: Quote) -> Quote:
    """Whole rides cost less once so much was paid in the window."""
    for name in ride.product.accumulates:
        rule = tariff.accumulations[name]
        past = sum_of(tariff, name, rule, ride.at_ms, payer)
        percent = percent_of(rule, past)
        if percent != 100:
            fen = share(so_far.fen, percent, tariff.round_fen)
            so_far = _after(so_far, "discount", fen, name, percent, past.fen, past.count)
    return so_far


def caps(tariff: Tariff, ride: Ride, payer: Payer, so_far: Quote) -> Quote:
    """The sum of a window never exceeds its cap."""
    for name in ride.product.accumulates:
        rule = tariff.accumulations[name]
        if rule.cap_fen is None:
            continue
        paid = sum_of(tariff, name, rule, ride.at_ms, payer).fen
        left = max(0, rule.cap_fen - paid)
        if so_far.fen > left:
            so_far = _after(so_far, "cap", left, name, rule.cap_fen, paid, reason=Reason.CAPPED)
    return so_far


def ceiling(tariff: Tariff, ride: Ride, payer: Payer, so_far: Quote) -> Quote:
    """One spend never exceeds what the issuer allows."""
    if ride.ceiling_fen is None or so_far.fen <= ride.ceiling_fen:
        return so_far
    return _after(so_far, "ceiling", ride.ceiling_fen, ride.ceiling_fen)


def sums(tariff: Tariff, ride: Ride, payer: Payer, so_far: Quote) -> Quote:
    """What is paid in the end is what is added."""
    for name in ride.product.accumulates:
        rule = tariff.accumulations[name]
        window = calendar.window(rule.period, ride.at_ms, tariff.time_zone, tariff.service_day_starts)
        party = payer.party(rule.scope).ref
        so_far = _effect(so_far, Added(party=party, id=name, window=window, fen=so_far.fen, count=1))
    return so_far


def counts(tariff: Tariff, ride: Ride, payer: Payer, so_far: Quote) -> Quote:
    """A counted concession uses up its counts, whoever rides on it."""
    counted = ride.product.counted
    if counted is not None:
        window = calendar.window(counted.period, ride.at_ms, tariff.time_zone, tariff.service_day_starts)
        count = counts_needed(tariff, ride.product, ride.boarded)
        party = payer.party(counted.scope).ref
        so_far = _effect(so_far, Added(party=party, id=counted.id, window=window, count=count))
        so_far = _after(so_far, "counted", so_far.fen, counted.id, count, counts_left(tariff, ride, payer) - count)
    return so_far


Rule = Callable[[Tariff, Ride, Payer, Quote], Quote]
EVERY_RULE: Sequence[Rule] = (product_share, transfers, discounts, caps, ceiling, sums, counts)
COMPANIONS: Sequence[Rule] = (rides_along, product_share, ceiling, counts)
# An unfinished trip: no discount, but no cap is broken for it.
FULL_PRICE: Sequence[Rule] = (caps, ceiling, sums, counts)


# --------------------------------------------------------------------------- what the ledgers say


def sum_of(tariff: Tariff, name: str, rule: Accumulation, at_ms: int, payer: Payer) -> Sum:
    """What was paid into this accumulation in the window of this instant, and on how many rides."""
    window = calendar.window(rule.period, at_ms, tariff.time_zone, tariff.service_day_starts)
    sums = payer.party(rule.scope).ledger.sums
    return next((one for one in sums if one.id == name and one.window == window), Sum(id=name, window=window))


def percent_of(rule: Accumulation, past: Sum) -> int:
    """What the next ride costs by what is behind it: the last discount that was reached."""
    reached = (one for one in reversed(rule.discounts) if past.fen >= one.from_fen and past.count >= one.from_count)
    return next((one.percent for one in reached), 100)


def counts_needed(tariff: Tariff, product: Product, where: Where) -> int:
    """How many counts one ride here uses."""
    assert product.counted is not None
    return product.counted.weights.get(mode_of(tariff, where), 1)


def counts_left(tariff: Tariff, ride: Ride, payer: Payer) -> int:
    """How many counts of a counted concession are left in the window."""
    counted = ride.product.counted
    assert counted is not None
    window = calendar.window(counted.period, ride.at_ms, tariff.time_zone, tariff.service_day_starts)
    sums = payer.party(counted.scope).ledger.sums
    used = next((one.count for one in sums if one.id == counted.id and one.window == window), 0)
    return counted.allowance - used


def mode_of(tariff: Tariff, where: Where) -> str:
    """The class of vehicle here; "" where no line is known."""
    line = tariff.lines.get(where.line)
    return "" if line is None else line.mode


def _counts_from(rule: Transfer, anchor: Anchor, ride: Ride) -> bool:
    since_ms = anchor.first_ms if rule.since is Since.FIRST else anchor.last_ms
    soon = age_ms(since_ms, ride.began_ms) <= (rule.within_s + rule.grace_s) * 1000
    few = rule.most is None or anchor.transfers < rule.most
    return soon and few and not (rule.other_line and anchor.line == ride.boarded.line)


def _owes(ride: Ride, payer: Payer, fen: int) -> bool:
    """Whether a debt is left when this tap pays so much for its ride."""
    owed_fen = payer.account.ledger.owed_fen
    return bool(owed_fen) and ride.room_fen is not None and owed_fen + fen > ride.room_fen


def _party_after(party: Party, effects: Sequence[Effect], moment: Moment) -> Party:
    here = party.ledger
    for effect in effects:
        if effect.party == party.ref:
            here = ledger.apply(here, effect, moment)
    return Party(ref=party.ref, ledger=here)


def _after(so_far: Quote, rule: str, fen: int, *figures: int | str, reason: Reason | None = None) -> Quote:
    step = Step(rule=rule, fen=fen, figures=figures)
    return msgspec.structs.replace(so_far, fen=fen, reason=reason or so_far.reason, steps=(*so_far.steps, step))


def _effect(so_far: Quote, effect: Effect) -> Quote:
    return msgspec.structs.replace(so_far, effects=(*so_far.effects, effect))
