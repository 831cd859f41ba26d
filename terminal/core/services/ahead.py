"""What a rider wants to know next: how far to the cap, what the next ride costs less, how many rides are left.

Laws of this file:
- It tells what this terminal knows once this ride stands, and promises nothing that head office would not keep.
- It is told beside the words of a grant, and never says what kind of holder somebody is.
"""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from terminal.core.fares import quote
from terminal.core.fares.quote import Payer, Ride
from terminal.core.ledger import Where
from terminal.core.model import Amount, Values
from terminal.core.parameters import Product, Tariff
from terminal.core.tariff import Period, Since, Transfer


def ahead(tariff: Tariff, product: Product, payer: Payer, where: Where, at_ms: int) -> Values:
    """Values for the hints of core/phrases.py; `payer` is who pays once this ride stands."""
    return (
        _sums(tariff, product, payer, at_ms)
        | _transfers(tariff, product, payer, at_ms)
        | _counts(tariff, product, payer, where, at_ms)
    )


def until(tariff: Tariff, at_ms: int) -> dict[str, str]:
    """The last day something held is good."""
    return {"until": f"{_local(tariff, at_ms):%Y-%m-%d}"}


def _sums(tariff: Tariff, product: Product, payer: Payer, at_ms: int) -> Values:
    """The day's cap, and the discount the next ride gets by what is paid now."""
    found: Values = {}
    for name in product.accumulates:
        rule = tariff.accumulations[name]
        past = quote.sum_of(tariff, name, rule, at_ms, payer)
        if rule.cap_fen is not None and rule.period is Period.DAY:
            left = rule.cap_fen - past.fen
            found |= {"to_cap": Amount(minor=left, currency=tariff.currency)} if left > 0 else {"cap_reached": "0"}
        percent = quote.percent_of(rule, past)
        if percent < 100:
            found["next_off"] = str(100 - percent)
            found["next_fold"] = f"{percent / 10:g}"  # 八折 is 80 per cent
    return found


def _transfers(tariff: Tariff, product: Product, payer: Payer, at_ms: int) -> dict[str, str]:
    """Until when a change costs less; the grace for readers' clocks is promised to nobody."""
    for name in product.transfers:
        rule = tariff.transfers[name]
        anchor = next((one for one in payer.party(rule.scope).ledger.anchors if one.id == name), None)
        if anchor is None or (rule.most is not None and anchor.transfers >= rule.most):
            continue
        ends_ms = (anchor.first_ms if rule.since is Since.FIRST else anchor.last_ms) + rule.within_s * 1000
        if ends_ms > at_ms:
            key = "change_free" if _is_free(rule) else "change_less"
            return {key: f"{_local(tariff, ends_ms):%H:%M}"}
    return {}


def _is_free(rule: Transfer) -> bool:
    return rule.percent == 0


def _counts(tariff: Tariff, product: Product, payer: Payer, where: Where, at_ms: int) -> dict[str, str]:
    """How many of a counted product's rides are left."""
    if product.counted is None:
        return {}
    ride = Ride(product=product, boarded=where, began_ms=at_ms, at_ms=at_ms)
    return {"rides_left": str(max(0, quote.counts_left(tariff, ride, payer)))}


def _local(tariff: Tariff, at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(ZoneInfo(tariff.time_zone))
