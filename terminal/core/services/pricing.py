"""Which product a holder travels on.

Laws of this file:
- The first product of the tariff's list that fits is taken: the order is the operator's rule, not ours.
- A product that would fit but for the hour, the yearly review or its used-up counts is passed over, and the holder is
  told which of these it was. What is for everybody (`who` is empty) is no concession: nobody is told of its hours.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum

from terminal.core.fares import calendar, quote
from terminal.core.fares.quote import Payer, Ride
from terminal.core.ledger import Where
from terminal.core.model import Charge, Credential, HeldProduct, Instant, Reason, Value
from terminal.core.parameters import Condition, Product, Tariff


class Bar(StrEnum):
    """What keeps a product from a rider, and is no news to them."""

    NOT_HERE = "not_here"  # another class of vehicle
    NOT_THEIRS = "not_theirs"  # for other people


class Choice(Value, frozen=True):
    """The product taken, and why a better one was not."""

    product: Product
    notice: Reason | None = None


def choose(
    service: str,
    credential: Credential,
    held: Sequence[HeldProduct],
    tariff: Tariff,
    at: Instant,
    payer: Payer,
    where: Where = Where(),  # noqa: B008  # a frozen value
) -> Choice | None:
    """The first product of this service the holder may use here and now, or None."""
    notice = None
    for product, bar in considered(service, credential, held, tariff, at, payer, where):
        if bar is None:
            return Choice(product=product, notice=notice)
        if product.who and isinstance(bar, Reason):
            notice = notice or bar
    return None


def considered(
    service: str,
    credential: Credential,
    held: Sequence[HeldProduct],
    tariff: Tariff,
    at: Instant,
    payer: Payer,
    where: Where,
) -> Iterator[tuple[Product, Reason | Bar | None]]:
    """The products of this service in their order, each with what bars the holder from it here and now."""
    mode = quote.mode_of(tariff, where)
    for product in tariff.products:
        if service not in product.services:
            continue
        if product.modes and mode not in product.modes:
            yield product, Bar.NOT_HERE
        elif not _eligible(product, credential, held, at):
            yield product, Bar.NOT_THEIRS
        else:
            yield product, _missing(product, held, tariff, at, payer, where)


def products_here(service: str, tariff: Tariff, where: Where) -> list[Product]:
    """What somebody may ride on here at some hour, whoever they are."""
    mode, own = quote.mode_of(tariff, where), [one for one in tariff.products if service in one.services]
    return [product for product in own if not product.modes or mode in product.modes]


def product_for(
    service: str, credential: Credential, held: Sequence[HeldProduct], tariff: Tariff, at: Instant
) -> Product | None:
    """The product of somebody nothing is remembered of, where no line is known; or None."""
    choice = choose(service, credential, held, tariff, at, quote.stranger(credential.medium_refs[0]))
    return None if choice is None else choice.product


def charge_for(product: Product, persons: int, tariff: Tariff) -> Charge:
    """What `persons` people cost on this product."""
    return Charge(
        product=product.id,
        fare_type=product.fare_type,
        amount_fen=product.fare_fen * persons,
        currency=tariff.currency,
    )


def over_ceiling(amount_fen: int, ceiling_fen: int | None) -> bool:
    """Whether the amount exceeds what the issuer allows in one spend."""
    return ceiling_fen is not None and amount_fen > ceiling_fen


def _missing(
    product: Product, held: Sequence[HeldProduct], tariff: Tariff, at: Instant, payer: Payer, where: Where
) -> Reason | None:
    """What keeps an eligible holder from this product now, or None."""
    if product.review and not any(_holds(item, product.review, at) for item in held):
        return Reason.CONCESSION_REVIEW_DUE
    if not calendar.within(product.when, at.utc_ms, tariff.time_zone, tariff.calendar):
        return Reason.CONCESSION_NOT_NOW
    if product.counted is not None:
        ride = Ride(product=product, boarded=where, began_ms=at.utc_ms, at_ms=at.utc_ms)
        if quote.counts_left(tariff, ride, payer) < quote.counts_needed(tariff, product, where):
            return Reason.CONCESSION_USED_UP
    return None


def _eligible(product: Product, credential: Credential, held: Sequence[HeldProduct], at: Instant) -> bool:
    return not product.who or any(_meets(condition, credential, held, at) for condition in product.who)


def _meets(condition: Condition, credential: Credential, held: Sequence[HeldProduct], at: Instant) -> bool:
    holder = credential.holder
    return (
        (condition.card_type is None or holder.card_type == condition.card_type)
        and (condition.medium is None or credential.medium is condition.medium)
        and (condition.age_from is None or (holder.age_from is not None and holder.age_from >= condition.age_from))
        and (not condition.residency or holder.residency in condition.residency)
        and (not condition.student or (holder.student_until_ms is not None and at.utc_ms <= holder.student_until_ms))
        and (condition.held is None or any(_holds(item, condition.held, at) for item in held))
    )


def _holds(item: HeldProduct, product: str, at: Instant) -> bool:
    return item.product == product and item.from_ms <= at.utc_ms <= item.until_ms
