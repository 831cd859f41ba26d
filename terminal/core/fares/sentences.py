"""The steps of a price as sentences.

Laws of this file:
- Every rule of a quote has its sentence here; figures are told as they were looked at.
- Amounts are told in the tariff's own currency, every digit of them.
"""

from collections.abc import Callable
from functools import partial

from terminal.core.fares.quote import Step
from terminal.core.money import decimal


def sentence(step: Step, currency: str) -> str:
    """One step, as a person says it."""
    return SENTENCES[step.rule](partial(decimal, currency=currency), *step.figures)


SENTENCES: dict[str, Callable[..., str]] = {
    "full": lambda amount: "the table's price",
    "overtime": lambda amount, more: f"stayed too long: {amount(more)} more",
    "companion": lambda amount: "a companion: pays on its own; no transfer, sum or cap is meant",
    "share": lambda amount, percent, area: f"this product pays {percent} %{' in ' + area if area else ''}",
    "transfer": lambda amount, name, since_s: f"transfer {name}: {since_s // 60} minutes after the ride it counts from",
    "discount": lambda amount, name, percent, paid, rides: (
        f"{name}: {amount(paid)} paid so far on {rides} rides, so this ride costs {percent} %"
    ),
    "cap": lambda amount, name, cap, paid: f"{name}: the cap is {amount(cap)}, {amount(paid)} are paid already",
    "ceiling": lambda amount, fen: f"the issuer allows {amount(fen)} in one spend",
    "counted": lambda amount, name, used, left: f"{name}: uses {used}, {left} left",
    "unfinished": lambda amount, stop: f"the trip from {stop or 'an unknown stop'} had no tap-out: its full price",
    "owed": lambda amount, fen: f"{amount(fen)} owed from before",
    "boarded": lambda amount: "on board; the price is known when getting off",
}
