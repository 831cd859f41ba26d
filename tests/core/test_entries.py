"""The chain: bytes, hashes, places."""

from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminal.core.entries import (
    KINDS,
    NO_HASH,
    NOTHING,
    BadEntry,
    ContentKey,
    EpochBegan,
    Fact,
    ParametersChanged,
    Sealed,
    Stopped,
    StoredEntry,
    advance,
    begin_epoch,
    check_link,
    decode,
    encode,
    entry_hash,
    kind_of,
    link,
)
from terminal.core.model import EntryName
from tests.journal_cases import NOON_MS, at, decided, draft

EPOCH = b"epoch--1"
START = EntryName(epoch=EPOCH, sequence=0)


def chain(count: int) -> list[StoredEntry]:
    last, digest, made = START, NO_HASH, []
    for number in range(count):
        entry, data, digest = link(draft(Stopped(why=f"{number}")), "T1", last, digest)
        made.append(StoredEntry(row=number + 1, name=entry.name, data=data, hash=digest))
        last = entry.name
    return made


def test_round_trip() -> None:
    """An entry is its bytes: decoding and encoding again changes nothing."""
    entry, data, digest = link(draft(decided()), "T1", START, NO_HASH)
    sealed = msgspec.structs.replace(entry, sealed=Sealed(key=1, nonce=2, data=b"\x00\xff"))
    for one in (entry, sealed):
        assert decode(encode(one)) == one and encode(decode(encode(one))) == encode(one)
    assert entry_hash(data) == digest and len(digest) == 32


@given(st.binary(max_size=64))
def test_rubbish(data: bytes) -> None:
    """Bytes that are no entry give one closed error."""
    with pytest.raises(BadEntry):
        decode(data)


@given(st.data())
def test_flipped_bit(data: st.DataObject) -> None:
    """Every flipped bit of a stored entry is found: its hash no longer holds."""
    (stored,) = chain(1)
    bit = data.draw(st.integers(0, len(stored.data) * 8 - 1))
    changed = bytearray(stored.data)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadEntry):
        check_link(msgspec.structs.replace(stored, data=bytes(changed)), START, NO_HASH)


def test_chain_breaks() -> None:
    """A gap, a swap, a foreign name and a false beginning are each found."""
    one, two, three = chain(3)
    assert check_link(one, START, NO_HASH).name.sequence == 1
    assert check_link(two, one.name, one.hash).previous == one.hash
    with pytest.raises(BadEntry, match="breaks between 1 and 3"):
        check_link(three, one.name, one.hash)
    with pytest.raises(BadEntry, match="breaks"):
        check_link(two, one.name, NO_HASH)
    with pytest.raises(BadEntry, match="another name"):
        check_link(msgspec.structs.replace(two, name=one.name), one.name, one.hash)
    with pytest.raises(BadEntry, match="does not begin"):
        check_link(two, EntryName(epoch=b"other---", sequence=9), one.hash)


def test_head() -> None:
    """The head keeps the greatest time, key number and parameter version, and counts what is unsent."""
    head = NOTHING
    facts: list[Fact] = [
        ContentKey(number=3, suite="s", office_key="k", sealed_key=b""),
        ParametersChanged(version=9, versions={}),
    ]
    for fact, ms in ((facts[0], NOON_MS), (facts[1], NOON_MS - 5), (Stopped(why=""), NOON_MS - 9)):
        entry, _, digest = link(draft(fact, ms), "T1", head.name, head.hash)
        head = advance(head, entry, digest)
    assert (head.row, head.unsent, head.floor_ms, head.key_number, head.parameter_version) == (3, 3, NOON_MS, 3, 9)


def test_epoch_names_its_predecessor() -> None:
    """The first epoch follows nothing, a later one its predecessor's last entry."""
    head, first = begin_epoch(NOTHING, EPOCH, "first start", at())
    assert first.fact == EpochBegan(previous=None, previous_hash=NO_HASH, why="first start")
    entry, data, digest = link(first, "T1", head.name, head.hash)
    head = advance(head, entry, digest)
    start, second = begin_epoch(head, b"epoch--2", "damage", at())
    assert second.fact == EpochBegan(previous=entry.name, previous_hash=digest, why="damage")
    entry, data, digest = link(second, "T1", start.name, start.hash)
    stored = StoredEntry(row=2, name=entry.name, data=data, hash=digest)
    assert check_link(stored, head.name, head.hash) == entry


def test_kinds() -> None:
    """Every kind of fact has its own tag."""
    assert kind_of(decided()) in KINDS and len(KINDS) == len(get_args(Fact))
