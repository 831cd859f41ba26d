"""What lanes hold of the journal: durable facts, sealed evidence, keys in time."""

import asyncio

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from simulators.store import Disk, SimulatedStore
from terminal.core import sealing
from terminal.core.entries import ContentKey, Entry
from terminal.core.model import Reading
from terminal.core.parameters import OfficeKey, OfficeKeys
from terminal.ports import StoreBroken, StoreFull
from terminal.runtime.journal import KEY_LIFE_S, Journal
from tests.journal_cases import NOON_MS, at, decided

OFFICE = X25519PrivateKey.generate()
PUBLIC = OFFICE.public_key().public_bytes_raw().hex()
HPKE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def office(key_id: str = "s1") -> OfficeKeys:
    return OfficeKeys(keys=(OfficeKey(key_id=key_id, use="sealing", suite=sealing.SUITE, public_key=PUBLIC),))


class Clock:
    """A clock that is moved by hand."""

    now_s = 0.0

    def read(self) -> Reading:
        return Reading(utc_ms=NOON_MS, monotonic_ns=0)

    def monotonic_s(self) -> float:
        return self.now_s


def opened(disk: Disk, clock: Clock) -> Journal:
    store = SimulatedStore(disk)
    store.open("T1", at())
    journal = Journal(store, clock, "T1")
    journal.use_keys_of(office())
    return journal


def evidence_of(disk: Disk) -> list[bytes]:
    """What head office reads: it goes through the journal in order and never needs a key before it came."""
    keys: dict[int, bytes] = {}
    found = []
    for entry in disk.entries():
        if isinstance(entry.fact, ContentKey):
            assert entry.fact.number not in keys
            info = sealing.info("T1", entry.name.epoch, entry.fact.number)
            keys[entry.fact.number] = HPKE.decrypt(entry.fact.sealed_key, OFFICE, info=info)
        if entry.sealed is not None:
            sealed = entry.sealed
            found.append(AESGCM(keys[sealed.key]).decrypt(sealed.nonce.to_bytes(12), sealed.data, None))
    return found


def key_numbers(entries: list[Entry]) -> list[int]:
    return [entry.fact.number for entry in entries if isinstance(entry.fact, ContentKey)]


async def test_evidence() -> None:
    """Head office opens every piece of evidence with a key that was written before it."""
    disk = Disk()
    journal = opened(disk, Clock())
    codes = [f"code {number}".encode() for number in range(20)]
    await asyncio.gather(*(journal.append(decided(), at(), evidence=code) for code in codes))
    assert sorted(evidence_of(disk)) == sorted(codes)
    assert key_numbers(disk.entries()) == [1]
    assert journal.grown.is_set() and journal.head().floor_ms == NOON_MS


async def test_new_keys() -> None:
    """A new content key at every start, every hour, every new key of head office and every epoch; no number twice."""
    disk, clock = Disk(), Clock()
    journal = opened(disk, clock)
    await journal.append(decided(), at(), evidence=b"1")
    clock.now_s = KEY_LIFE_S
    await journal.append(decided(), at(), evidence=b"2")
    journal.use_keys_of(office())
    await journal.append(decided(), at(), evidence=b"same key")
    journal.use_keys_of(office("s2"))
    await journal.append(decided(), at(), evidence=b"3")
    await journal.begin_epoch("test", at())
    await journal.append(decided(), at(), evidence=b"4")
    disk.cut_power()
    await opened(disk, clock).append(decided(), at(), evidence=b"5")
    assert evidence_of(disk) == [b"1", b"2", b"same key", b"3", b"4", b"5"]
    assert key_numbers(disk.entries()) == [1, 2, 3, 4, 5]


async def test_no_key_no_evidence() -> None:
    """Where head office named no key the fact is written without its evidence, never in the clear."""
    disk = Disk()
    journal = opened(disk, Clock())
    journal.use_keys_of(OfficeKeys(keys=()))
    entry = await journal.append(decided(), at(), evidence=b"secret")
    assert entry.sealed is None and all(b"secret" not in stored.data for stored in disk.stored)


async def test_full_and_broken() -> None:
    """A full disk refuses and goes on afterwards; a failed flush is the end, and what was acknowledged is there."""
    disk = Disk()
    journal = opened(disk, Clock())
    disk.full = True
    with pytest.raises(StoreFull):
        await journal.append(decided(), at())
    disk.full = False
    entry = await journal.append(decided(), at())
    disk.failing = True
    for _ in range(2):
        with pytest.raises(StoreBroken):
            await journal.append(decided(), at())
    disk.failing = False
    disk.cut_power()
    assert opened(disk, Clock()).head().name == entry.name


@pytest.mark.parametrize("seed", range(8))
async def test_power_cut(seed: int) -> None:
    """After a power cut everything acknowledged is there, in order, without a gap; what was in flight may be."""
    disk = Disk(seed=seed, latency_s=0.001)
    journal = opened(disk, Clock())
    acknowledged: list[Entry] = []

    async def lane(number: int) -> None:
        while True:
            acknowledged.append(await journal.append(decided(f"{number} {len(acknowledged)}"), at()))

    lanes = [asyncio.ensure_future(lane(number)) for number in range(4)]
    await asyncio.sleep(0.02 + 0.0003 * seed)
    disk.cut_power()
    await asyncio.gather(*lanes, return_exceptions=True)
    assert acknowledged
    again = opened(disk, Clock())
    stored = disk.entries()
    assert {entry.name for entry in acknowledged} <= {entry.name for entry in stored}
    assert [entry.name.sequence for entry in stored] == list(range(1, len(stored) + 1))
    assert 0 <= len(stored) - 1 - len(acknowledged) <= 4
    assert again.head().name == stored[-1].name
