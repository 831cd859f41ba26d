"""The steps of a price as sentences.

Laws of this file:
- Every rule of a quote has its sentence here; figures are told as they were looked at.
- Amounts are told in the currency's whole units, as people read them.
"""

from collections.abc import Callable

from terminal.core.fares.quote import Step


def amount(fen: int) -> str:
    """Minor units as a person reads them: 1234 → "12.34"."""
    return f"{fen // 100}.{fen % 100:02d}"


def sentence(step: Step) -> str:
    """One step, as a person says it."""
    return SENTENCES[step.rule](*step.figures)


SENTENCES: dict[str, Callable[..., str]] = {
    "full": lambda: "the table's price",
    "overtime": lambda more: f"stayed too long: {amount(more)} more",
    "companion": lambda: "a companion: pays on its own; no transfer, sum or cap is meant",
    "share": lambda percent, area: f"this product pays {percent} %{' in ' + area if area else ''}",
    "transfer": lambda name, since_s: f"transfer {name}: {since_s // 60} minutes after the ride it counts from",
    "discount": lambda name, percent, paid, rides: (
        f"{name}: {amount(paid)} paid so far on {rides} rides, so this ride costs {percent} %"
    ),
    "cap": lambda name, cap, paid: f"{name}: the cap is {amount(cap)}, {amount(paid)} are paid already",
    "ceiling": lambda fen: f"the issuer allows {amount(fen)} in one spend",
    "counted": lambda name, used, left: f"{name}: uses {used}, {left} left",
    "unfinished": lambda stop: f"the trip from {stop or 'an unknown stop'} had no tap-out: its full price",
    "owed": lambda fen: f"{amount(fen)} owed from before",
    "boarded": lambda: "on board; the price is known when getting off",
}
