"""Small makers of facts and instants for the journal's tests."""

import time
from hashlib import sha256

from terminal.core.debit import PurseDebit
from terminal.core.entries import DebitIntended, Decided, Draft, Fact, PassageAnnulled, Passed
from terminal.core.model import (
    Charge,
    EntryName,
    Evidence,
    Instant,
    Medium,
    PassageMode,
    Reading,
    Reason,
    Ref,
    TimeSource,
    Verdict,
)

DAY_MS = 86_400_000
NOON_MS = 1_800_000_000_000


class TestClock:
    """Real time, as a Clock."""

    __test__ = False

    def read(self) -> Reading:
        return Reading(utc_ms=time.time_ns() // 1_000_000, monotonic_ns=time.monotonic_ns())

    def monotonic_s(self) -> float:
        return time.monotonic()


def at(ms: int = NOON_MS) -> Instant:
    return Instant(utc_ms=ms, uncertainty_ms=5, source=TimeSource.SYSTEM, monotonic_ns=1)


def ref(name: str) -> Ref:
    return Ref(b"\x01" + sha256(name.encode()).digest()[:16])


def decided(
    who: str = "anna", *, code: str = "1", charged: bool = True, persons: int = 1, sensor: bool = True
) -> Decided:
    evidence = Evidence(
        parameter_version=1,
        versions={"tariff": 1},
        parameter_age_s=0,
        utc_ms=NOON_MS,
        uncertainty_ms=5,
        time_source=TimeSource.SYSTEM,
        rules="1",
    )
    return Decided(
        lane="gate",
        service="admission",
        medium=Medium.CODE,
        format="ride-code",
        issuer="00010001",
        verdict=Verdict.GRANT if charged else Verdict.DENY,
        reason=Reason.PAID if charged else Reason.CODE_EXPIRED,
        evidence=evidence,
        code_key=ref(f"code {who} {code}"),
        twin_key=ref(f"twin {who} {code}"),
        medium_ref=ref(f"medium {who}"),
        account_ref=ref(f"account {who}"),
        charge=Charge(product="adult", fare_type="flat", amount_fen=200) if charged else None,
        persons=persons,
        passage=PassageMode.SENSOR if sensor else PassageMode.ASSUMED,
    )


def draft(fact: Fact | None = None, ms: int = NOON_MS) -> Draft:
    return Draft(fact=decided() if fact is None else fact, at=at(ms))


def walked(of: EntryName, passed: int = 1) -> Passed:
    return Passed(lane="gate", of=of, passed=passed)


def annulled(of: EntryName, passed: int = 0) -> PassageAnnulled:
    return PassageAnnulled(lane="gate", of=of, passed=passed)


DEBIT = PurseDebit(
    type=6, amount_fen=160, balance_fen=5000, counter=41, terminal=bytes(6), transaction=bytes(4), when=bytes(7),
    algorithm=0, product="purse", fare_type="flat", grants=True,
)  # fmt: skip


def intended(who: str = "anna") -> DebitIntended:
    return DebitIntended(
        lane="gate", service="fare", issuer="01045100", medium_ref=ref(f"medium {who}"), account_ref=None, debit=DEBIT,
        evidence=decided().evidence, module="00",
    )  # fmt: skip
