"""A terminal with a past: so many riders, so many rides of this day, under a tariff with caps and transfers.

Laws of this file:
- Entries go through the store as any entry does; only the code's signatures are left out.
"""

import asyncio
import time
from pathlib import Path
from random import Random

import msgspec

from drivers.clock import SystemClock
from drivers.gate import none
from drivers.indicator import memory
from drivers.store.sqlite import SqliteStore
from simulators import pki
from simulators.memory import MemoryReader
from simulators.parameters import TARIFF, ParameterOffice
from simulators.phone import Phone
from terminal.core import accounts, tokens
from terminal.core.entries import Decided, Draft
from terminal.core.ledger import Added, Where
from terminal.core.model import Charge, Credential, Instant, Medium, PassageMode, Reason, Ref, TimeSource, Verdict
from terminal.core.parameters import ParameterSet, Product
from terminal.core.parameters_load import load
from terminal.core.services import evidence
from terminal.core.tariff import Accumulation, Period, Transfer
from terminal.runtime.journal import Journal
from terminal.runtime.lane import Lane, LaneRules
from terminal.runtime.site import Site

GROUP = 512
DAY_MS = 86_400_000


class World:
    """One terminal's memory, with a lane."""

    def __init__(self, store: SqliteStore, parameters: ParameterSet) -> None:
        clock = SystemClock()
        journal = Journal(store, clock, "T1")
        journal.use_keys_of(parameters.office)
        self.site = Site(journal, parameters, clock)
        self.site.where = Where(vehicle="bus-1", line="12")
        rules = LaneRules("front", "fare", PassageMode.ASSUMED)
        gate = none.open(none.Settings(), clock)
        indicator = memory.open(memory.Settings(), clock)
        self.lane = Lane(rules, self.site, [MemoryReader(clock)], gate, [indicator])


def claim_of(world: World, name: str) -> Credential:
    """What a rider's fresh code proves."""
    at = world.site.now()
    claim = tokens.verify(Phone(name).code(at.utc_s), world.site.parameters, at)
    assert isinstance(claim, Credential)
    return claim


def parameters_at(place: Path) -> ParameterSet:
    """The demo's tariff, with caps, sums and transfers on the adult's product."""
    products = tuple(_summed(product) if product.id == "adult" else product for product in TARIFF.products)
    tariff = msgspec.structs.replace(
        TARIFF,
        products=products,
        accumulations={
            "day": Accumulation(period=Period.DAY, cap_fen=1_000_000),
            "month": Accumulation(period=Period.MONTH),
        },
        transfers={"hour": Transfer(within_s=3600, percent=50)},
    )
    return load(ParameterOffice(place / "p", pki.write_office_keys(place / "k"), tariff=tariff).files(_now_ms()))


def _summed(product: Product) -> Product:
    free = msgspec.structs.replace(product.pass_back, companions=1000)
    return msgspec.structs.replace(product, accumulates=("day", "month"), transfers=("hour",), pass_back=free)


async def remember(store: SqliteStore, parameters: ParameterSet, riders: int, entries: int, own: int) -> None:
    """Rides of this day, in order; `own` of them are one rider's."""
    random, now_ms = Random(1), _now_ms()
    names = [ref_of(f"holder {number}", parameters) for number in range(riders)]
    whose = [names[0]] * min(own, entries) + [random.choice(names[1:]) for _ in range(max(0, entries - own))]
    random.shuffle(whose)
    for first in range(0, len(whose), GROUP):
        group = whose[first : first + GROUP]
        ages_ms = [(len(whose) - first - number) * DAY_MS // 2 // len(whose) for number in range(len(group))]
        await asyncio.gather(
            *(store.append(_ride(who, now_ms - age, parameters)) for who, age in zip(group, ages_ms, strict=True))
        )


def _ride(who: Ref, at_ms: int, parameters: ParameterSet) -> Draft:
    at = instant(at_ms)
    code = Ref(b"\x01" + Random(at_ms).randbytes(16))
    fact = Decided(
        lane="front",
        service="fare",
        medium=Medium.CODE,
        format="ride_code",
        issuer="31000001",
        verdict=Verdict.GRANT,
        reason=Reason.PAID,
        evidence=evidence(parameters, at, ("root 17", "certificate 31000001/000007")),
        code_key=code,
        twin_key=code,
        medium_ref=who,
        charge=Charge(product="adult", fare_type="flat", amount_fen=200),
        effects=(Added(party=who, id="day", window=1, fen=200, count=1),),
    )
    return Draft(fact=fact, at=at)


def ref_of(name: str, parameters: ParameterSet) -> Ref:
    return accounts.refs("tu", Phone(name).account, parameters)[0]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def instant(at_ms: int | None = None) -> Instant:
    return Instant(
        utc_ms=_now_ms() if at_ms is None else at_ms, uncertainty_ms=0, source=TimeSource.SYSTEM, monotonic_ns=0
    )
