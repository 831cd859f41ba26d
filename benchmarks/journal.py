"""One durable entry, against writing the same bytes to a growing file and fdatasync.

- single_ratio: one append at a time, median against median, interleaved in rounds of ten.
- group_ratio: 32 appends waiting together, against one write of all their bytes and one fdatasync.
- group_flushes: commits (one flush each) a group of 32 needs.
"""

import asyncio
import os
import secrets
import statistics
import tempfile
import time
from pathlib import Path

from drivers.clock import SystemClock
from drivers.store.sqlite import SqliteStore
from terminal.core.entries import Decided, Draft, Sealed, encode
from terminal.core.model import (
    Charge,
    Evidence,
    Instant,
    Medium,
    PassageMode,
    Reason,
    Ref,
    TimeSource,
    Verdict,
)

LIMITS = {"single_ratio": 1.3, "group_ratio": 4.0, "group_flushes": 2.0}
ROUNDS = 60
TEN = 10
GROUP = 32
GROUPS = 100


def run(*, quick: bool = False) -> dict[str, float]:
    """Measure on the disk the working directory stands on."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as place:
        return asyncio.run(_measure(Path(place), *((2, 2) if quick else (ROUNDS, GROUPS))))


async def _measure(place: Path, rounds: int, groups: int) -> dict[str, float]:
    store = SqliteStore(place / "journal", SystemClock())
    store.open("T1", _at())
    raw = os.open(place / "raw", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    try:
        await _singles(store, raw, rounds * 2)
        await asyncio.sleep(0.5)  # a quiet moment: checkpointed, so that the log is written over and not grown
        ours, limit = await _singles(store, raw, rounds)
        group, group_limit, commits = await _groups(store, raw, groups)
    finally:
        os.close(raw)
        await store.close()
    return {
        "single_us": ours,
        "single_limit_us": limit,
        "single_ratio": ours / limit,
        "group_us": group,
        "group_limit_us": group_limit,
        "group_ratio": group / group_limit,
        "group_flushes": commits,
    }


async def _singles(store: SqliteStore, raw: int, rounds: int) -> tuple[float, float]:
    ours, limit = [], []
    for _ in range(rounds):
        written = []
        for draft in [a_draft() for _ in range(TEN)]:
            began = time.perf_counter_ns()
            entry = await store.append(draft)
            ours.append(time.perf_counter_ns() - began)
            written.append(encode(entry))
        limit += [_write(raw, data) for data in written]
    return statistics.median(ours) / 1000, statistics.median(limit) / 1000


async def _groups(store: SqliteStore, raw: int, groups: int) -> tuple[float, float, float]:
    ours, limit = [], []
    before = store.commits
    for _ in range(groups):
        drafts = [a_draft() for _ in range(GROUP)]
        began = time.perf_counter_ns()
        entries = await asyncio.gather(*(store.append(draft) for draft in drafts))
        ours.append(time.perf_counter_ns() - began)
        limit.append(_write(raw, b"".join(encode(entry) for entry in entries)))
    commits = (store.commits - before) / groups
    return statistics.median(ours) / 1000, statistics.median(limit) / 1000, commits


def _write(raw: int, data: bytes) -> int:
    began = time.perf_counter_ns()
    os.write(raw, data)
    os.fdatasync(raw)
    return time.perf_counter_ns() - began


def a_draft() -> Draft:
    """A paid ride as a bus writes it, with 332 bytes of sealed evidence."""
    at = _at()
    evidence = Evidence(
        parameter_version=7,
        versions={"issuers": 3, "deny": 41, "tariff": 5, "links": 12},
        parameter_age_s=60,
        utc_ms=at.utc_ms,
        uncertainty_ms=5,
        time_source=TimeSource.SYSTEM,
        rules="1",
        key_ids=("05",),
    )
    fact = Decided(
        lane="front",
        service="fare",
        medium=Medium.CODE,
        format="ride-code",
        issuer="00010001",
        verdict=Verdict.GRANT,
        reason=Reason.PAID,
        evidence=evidence,
        code_key=_ref(),
        twin_key=_ref(),
        medium_ref=_ref(),
        account_ref=_ref(),
        charge=Charge(product="adult", fare_type="flat", amount_fen=200),
        passage=PassageMode.ASSUMED,
        generated_ms=at.utc_ms,
        pay_by_ms=at.utc_ms + 300_000,
    )
    return Draft(fact=fact, at=at, sealed=Sealed(key=1, nonce=1, data=secrets.token_bytes(348)))


def _ref() -> Ref:
    return Ref(b"\x01" + secrets.token_bytes(16))


def _at() -> Instant:
    reading = time.time_ns() // 1_000_000
    return Instant(utc_ms=reading, uncertainty_ms=5, source=TimeSource.SYSTEM, monotonic_ns=time.monotonic_ns())
