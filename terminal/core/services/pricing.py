"""Which product a holder travels on, and what it costs.

Laws of this file:
- The first eligible product of the tariff's list is taken: the order is the operator's rule, not ours.
- An amount is the product's fare times the people let through; it is never computed with fractions.
"""

from collections.abc import Sequence

from terminal.core.model import Charge, Credential, HeldProduct, Instant
from terminal.core.parameters import Condition, Product, Tariff


def product_for(
    service: str, credential: Credential, held: Sequence[HeldProduct], tariff: Tariff, at: Instant
) -> Product | None:
    """The first product of this service the holder is eligible for, or None."""
    for product in tariff.products:
        if service in product.services and _eligible(product, credential, held, at):
            return product
    return None


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


def _eligible(product: Product, credential: Credential, held: Sequence[HeldProduct], at: Instant) -> bool:
    return not product.who or any(_meets(condition, credential, held, at) for condition in product.who)


def _meets(condition: Condition, credential: Credential, held: Sequence[HeldProduct], at: Instant) -> bool:
    holder = credential.holder
    return (
        (condition.card_type is None or holder.card_type == condition.card_type)
        and (condition.age_from is None or (holder.age_from is not None and holder.age_from >= condition.age_from))
        and (not condition.residency or holder.residency in condition.residency)
        and (not condition.student or (holder.student_until_ms is not None and at.utc_ms <= holder.student_until_ms))
        and (condition.held is None or any(_holds(item, condition.held, at) for item in held))
    )


def _holds(item: HeldProduct, product: str, at: Instant) -> bool:
    return item.product == product and item.from_ms <= at.utc_ms <= item.until_ms
