"""Short ways to say a credential, a use, a tariff: shared by the tables of cases."""

from types import MappingProxyType
from typing import Any

from terminal.core.model import (
    Amount,
    Credential,
    EntryName,
    Holder,
    Instant,
    Medium,
    PassageMode,
    Ref,
    TimeSource,
    Use,
    UseState,
)
from terminal.core.parameters import (
    Condition,
    Issuers,
    Links,
    OfficeKeys,
    ParameterSet,
    PassBack,
    PassBackScope,
    Policies,
    Product,
    Tariff,
)

NOW_MS = 1_800_000_000_000
ADULT = Product(
    id="adult",
    services=("fare",),
    fare_fen=200,
    pass_back=PassBack(window_s=600, companions=2, scope=PassBackScope.MEDIUM),
)
STUDENT = Product(
    id="student",
    services=("fare",),
    fare_fen=100,
    who=(Condition(card_type="02"), Condition(student=True)),
    pass_back=PassBack(window_s=600),
)
GROUP = Product(id="group", services=("admission",), fare_fen=3000, persons=5, who=(Condition(held="group"),))


def yuan(fen: int) -> Amount:
    """What a phrase is told of money."""
    return Amount(minor=fen, currency="CNY")


def ref(name: str) -> Ref:
    """A keyed hash that stands for `name`."""
    return Ref(b"\x01" + name.encode().ljust(16, b".")[:16])


def instant(after_s: float = 0, **changes: object) -> Instant:
    """`after_s` seconds after the tables' now."""
    values = {"uncertainty_ms": 0, "source": TimeSource.SYSTEM, "monotonic_ns": 0} | changes
    return Instant(utc_ms=NOW_MS + int(after_s * 1000), **values)  # type: ignore[arg-type]  # test shorthand


def credential(name: str = "amber", code: str = "code-1", **changes: object) -> Credential:
    """A verified ride code of a holder."""
    values = {
        "format": "ride_code",
        "medium": Medium.CODE,
        "issuer": "31000001",
        "medium_refs": (ref(name),),
        "code_keys": (ref(code),),
        "twin_keys": (ref("twin " + code),),
        "generated_ms": NOW_MS,
        "fresh_until_ms": NOW_MS + 130_000,
        "holder": Holder(card_type="00"),
    } | changes
    return Credential(**values)  # type: ignore[arg-type]  # test shorthand


def use(who: str = "amber", code: str = "code-1", **changes: Any) -> Use:
    """A granted use of that code."""
    values = {
        "name": EntryName(epoch=b"epoch--1", sequence=7),
        "lane": "front",
        "at_ms": NOW_MS,
        "code_key": ref(code),
        "twin_key": ref("twin " + code),
        "medium": ref(who),
        "account": None,
        "product": "adult",
        "fare_type": "flat",
        "amount_fen": 200,
        "passage": PassageMode.ASSUMED,
        "state": UseState.COMMITTED,
    } | changes
    return Use(**values)  # type: ignore[arg-type]  # test shorthand


def parameters(*products: Product, **changes: object) -> ParameterSet:
    """A parameter set with a tariff and nothing blocked."""
    values = {
        "version": 3,
        "issued_ms": NOW_MS - 60_000,
        "versions": {"tariff": 3},
        "issuers": Issuers(),
        "links": Links(link_keys=()),
        "tariff": Tariff(products=products or (STUDENT, ADULT, GROUP)),
        "policies": Policies(),
        "office": OfficeKeys(keys=()),
        "link_keys": ((1, bytes(32)),),
        "link_of": MappingProxyType({}),
        "alias_of": MappingProxyType({}),
        "passes_of": MappingProxyType({}),
        "blocks_of": MappingProxyType({}),
        "status_lists": MappingProxyType({}),
    } | changes
    return ParameterSet(**values)  # type: ignore[arg-type]  # test shorthand
