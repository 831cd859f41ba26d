"""Head office's simulator: it checks everything again, counts once, keeps what does not fit, and shows its bugs."""

import asyncio
import io
import json
import sqlite3
import sys
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import cbor2
import msgspec
import pytest
import zstandard

from simulators.office import HeadOffice
from simulators.office_records import Rejected, ride_code_holds
from simulators.office_server import LONGEST_BATCH, OfficeServer, import_file
from simulators.phone import Phone
from terminal.core import batch as batches
from terminal.core import sealing
from terminal.core.entries import NO_HASH, Draft, EpochBegan, Fact, Sealed, StoredEntry, link
from terminal.core.model import EntryName
from tests.journal_cases import NOON_MS, at, decided
from tests.office_cases import EPOCH, QUICK, TERMINAL, Keys, Site, a_batch, chain, command, held, journalled, serve

Names = list[tuple[int, str]]


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


@pytest.fixture
def office(keys: Keys) -> HeadOffice:
    return keys.head_office()


def give(office: HeadOffice, run: list[StoredEntry]) -> Names:
    """Send a run; what was refused, and why."""
    data = office.receive(TERMINAL, batches.encode(a_batch(run)))
    return [(sequence, reason) for sequence, reason in cbor2.loads(cbor2.loads(data[1:])[2])[6]]


def after(before: StoredEntry, fact: Fact, **changes: Any) -> StoredEntry:
    """The entry that follows another; or one that claims to, with something else in it."""
    draft = Draft(fact=fact, at=at(), sealed=changes.pop("sealed", None))
    entry, data, digest = link(draft, TERMINAL, before.name, before.hash)
    if changes:
        data = cbor2.dumps(msgspec.to_builtins(msgspec.structs.replace(entry, **changes), builtin_types=(bytes,)))
        digest = sha256(data).digest()
    return StoredEntry(row=before.row + 1, name=EntryName(EPOCH, before.name.sequence + 1), data=data, hash=digest)


def missing(office: HeadOffice) -> int:
    """Of the one terminal."""
    gaps: int = office.status()["terminals"][TERMINAL]["missing"]
    return gaps


# --------------------------------------------------------------------------- counting


def test_the_same_again_is_absorbed_whatever_batch_brings_it(office: HeadOffice) -> None:
    """By the record's name, not by the batch's boundaries; and so after a restart of head office."""
    run = chain(10)
    for first, last in ((0, 10), (0, 10), (3, 7), (8, 10), (0, 1)):
        assert give(office, run[first:last]) == []
    status = office.status()
    assert (status["records"], status["duplicates"], status["absorbed"]) == (10, 0, 17)
    again = replace(office)
    assert give(again, run) == []
    assert [data for _, _, data in held(again)] == [stored.data for stored in run]


def test_an_office_that_does_not_deduplicate_says_so_in_its_status(keys: Keys) -> None:
    """The planted bug can be seen from outside."""
    office = keys.head_office(deduplicates=False)
    run = chain(5)
    give(office, run)
    assert office.status()["duplicates"] == 0
    give(office, run[2:])
    assert (office.status()["duplicates"], office.status()["records"]) == (3, 8)
    assert missing(office) == 0


def test_other_content_under_a_held_name_is_a_conflict_kept_aside(office: HeadOffice) -> None:
    """Never overwritten; kept once, however often it comes; and what follows it still joins."""
    run = chain(3)
    give(office, run)
    other = after(run[1], command(77))
    follower = after(other, command(78))
    for _ in range(3):
        assert give(office, [other]) == [(3, "conflict")]
    assert give(office, [follower]) == []
    assert [data for _, _, data in held(office)] == [stored.data for stored in [*run, follower]]
    assert office.db.execute("SELECT sequence, data FROM aside").fetchall() == [(3, other.data)]
    assert (office.counts.conflicts, office.counts.refused, office.counts.absorbed) == (1, 1, 2)


def test_a_gap_is_counted_until_it_is_filled_and_joined(office: HeadOffice) -> None:
    """Fresh first: 8 to 10, then the backlog."""
    run = chain(10)
    give(office, run[7:])
    assert missing(office) == 7
    give(office, run[:4])
    assert missing(office) == 3
    assert give(office, run[4:7]) == []
    assert (missing(office), office.status()["records"]) == (0, 10)


@pytest.mark.parametrize(
    ("sentence", "held_numbers", "sequence"),
    [("before it", (1,), 2), ("behind it", (3,), 2), ("on both sides", (1, 3), 2), ("first of all", (), 1)],
)
def test_a_record_that_does_not_join_its_neighbours_is_refused(
    office: HeadOffice, sentence: str, held_numbers: tuple[int, ...], sequence: int
) -> None:
    """With a reason, and kept aside."""
    run, other = chain(3), chain(3, what=50)
    for number in held_numbers:
        give(office, [run[number - 1]])
    wrong = other[sequence - 1]
    if sequence == 1:
        wrong = after(StoredEntry(row=0, name=EntryName(EPOCH, 0), data=b"", hash=bytes(31) + b"x"), command(1))
    assert give(office, [wrong]) == [(sequence, "chain_broken")]
    assert len(held(office)) == len(held_numbers)


def test_what_was_kept_aside_is_not_missing_and_does_not_break_the_chain(office: HeadOffice) -> None:
    """A refused record's hash still joins."""
    first = chain(1)[0]
    bad = after(first, command(5), terminal="bus-9")
    last = after(bad, command(6))
    stranger = after(after(first, command(7)), command(8))
    assert give(office, [first, bad]) == [(2, "wrong_name")]
    assert give(office, [stranger]) == [(3, "chain_broken")]
    assert give(office, [last]) == []
    assert missing(office) == 0
    assert office.status()["aside"] == 2


@pytest.mark.parametrize(
    "data", [b"", b"no CBOR at all", cbor2.dumps([1, 2]), cbor2.dumps({"terminal": TERMINAL}), b"\x81" * 5000]
)
def test_an_unreadable_record_is_refused_and_blocks_nothing(office: HeadOffice, data: bytes) -> None:
    """Its neighbours are taken."""
    first = chain(1)[0]
    bad = StoredEntry(row=2, name=EntryName(EPOCH, 2), data=data, hash=sha256(data).digest())
    assert give(office, [first, bad, after(bad, command(2))]) == [(2, "unreadable")]
    assert [sequence for _, sequence, _ in held(office)] == [1, 3]


BATCH = {1: 1, 2: TERMINAL, 3: EPOCH, 4: 1, 5: [b"an entry"]}


@pytest.mark.parametrize(
    ("sentence", "fields", "status"),
    [
        ("no map", [1, 2], 400),
        ("another protocol", BATCH | {1: 2}, 400),
        ("no entries", BATCH | {5: []}, 400),
        ("entries that are none", BATCH | {5: [1]}, 400),
        ("an epoch cut short", BATCH | {3: b"epoch"}, 400),
        ("a first of nought", BATCH | {4: 0}, 400),
        ("a first that is text", BATCH | {4: "1"}, 400),
        ("a field more", BATCH | {6: 1}, 400),
        ("a field less", {1: 1, 2: TERMINAL}, 400),
        ("another terminal's name", BATCH | {2: "bus-2"}, 403),
    ],
)
def test_what_is_no_batch_is_rejected_and_the_next_one_is_taken(
    office: HeadOffice, sentence: str, fields: object, status: int
) -> None:
    """Nothing of it is stored, and no transaction stays open."""
    with pytest.raises(Rejected) as rejected:
        office.receive(TERMINAL, cbor2.dumps(fields))
    assert rejected.value.status == status
    assert held(office) == []
    assert give(office, chain(2)) == []


def test_a_batch_is_stored_whole_or_not_at_all(office: HeadOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fails at the third record: nothing is acknowledged, nothing stays, and the next try is taken."""
    run, store = chain(5), office._store

    def failing(terminal: str, epoch: bytes, sequence: int, data: bytes) -> str | None:
        if sequence == 3:
            raise sqlite3.OperationalError("disk I/O error")
        return store(terminal, epoch, sequence, data)

    with monkeypatch.context() as patched:
        patched.setattr(office, "_store", failing)
        with pytest.raises(sqlite3.OperationalError):
            give(office, run)
    assert held(office) == []
    assert give(office, run) == []
    assert len(held(office)) == 5


# --------------------------------------------------------------------------- what it holds last


def last_of(office: HeadOffice, keys: Keys) -> tuple[EntryName | None, bytes]:
    """Head office's statement, verified as a terminal would."""
    statement = batches.read_statement(office.last_held(TERMINAL), keys.office, TERMINAL)
    return statement.name, statement.hash


def test_the_statement_names_the_newest_entry_of_the_newest_epoch(office: HeadOffice, keys: Keys) -> None:
    """Also while the backlog of an older epoch is still coming in behind."""
    assert last_of(office, keys) == (None, b"")
    old = chain(6)
    give(office, old[:4])
    assert last_of(office, keys) == (old[3].name, old[3].hash)
    began = EpochBegan(previous=old[5].name, previous_hash=old[5].hash, why="damage")
    new = chain(3, epoch=b"epoch--2", facts=[began, command(1), command(2)])
    give(office, new[1:])
    give(office, old[4:])
    assert last_of(office, keys) == (new[2].name, new[2].hash)
    give(office, new[:1])
    assert last_of(office, keys) == (new[2].name, new[2].hash)


def test_the_epoch_that_follows_is_newer_though_it_came_first(office: HeadOffice, keys: Keys) -> None:
    """A terminal that was never online before the damage: fresh first, the first epoch behind."""
    old = chain(2)
    began = EpochBegan(previous=old[1].name, previous_hash=old[1].hash, why="damage")
    new = chain(2, epoch=b"epoch--2", facts=[began, command(1)])
    give(office, new)
    give(office, old)
    assert last_of(office, keys) == (new[1].name, new[1].hash)


def test_receipts_with_many_refusals_are_still_deterministic(office: HeadOffice, keys: Keys) -> None:
    """What a terminal reads as strictly as every other receipt."""
    run = [msgspec.structs.replace(stored, data=b"%d" % stored.row) for stored in chain(300)]
    run[-1] = msgspec.structs.replace(run[-1], hash=sha256(run[-1].data).digest())
    batch = a_batch(run)
    receipt = batches.read_receipt(office.receive(TERMINAL, batches.encode(batch)), keys.office, batch)
    assert [one.sequence for one in receipt.refused] == list(range(1, 301))


# --------------------------------------------------------------------------- evidence


CODE = Phone().code(NOON_MS // 1000)


def with_evidence(keys: Keys, *evidence: bytes, number: int = 1) -> list[StoredEntry]:
    """A content key, and a granted ride for each piece of evidence sealed under it."""
    office_key = sealing.sealing_key(keys.office)
    assert office_key is not None
    key, sealer = bytes(range(32)), sealing.Sealer(number, bytes(range(32)))
    fact = sealing.seal_content_key(key, office_key, TERMINAL, EPOCH, 1)
    run = [after(StoredEntry(row=0, name=EntryName(EPOCH, 0), data=b"", hash=NO_HASH), fact)]
    for code in evidence:
        ride = msgspec.structs.replace(decided(), format="ride_code")
        run.append(after(run[-1], ride, sealed=sealer.seal(code)))
    return run


def evidence(office: HeadOffice) -> tuple[int, int, int]:
    """Verified, bad, waiting."""
    status = office.status()
    return status["evidence_verified"], status["evidence_bad"], status["evidence_waiting"]


def test_evidence_is_opened_and_the_codes_signatures_are_verified_again(office: HeadOffice, keys: Keys) -> None:
    """By head office's own SM2; each record once."""
    assert ride_code_holds(CODE)
    give(office, with_evidence(keys, CODE, CODE, CODE))
    assert [office.audit(limit=2) for _ in range(3)] == [2, 1, 0]
    assert evidence(office) == (3, 0, 0)


@pytest.mark.parametrize(
    ("sentence", "code"),
    [
        ("a flipped bit in the issuer's part", CODE[:60] + bytes((CODE[60] ^ 1,)) + CODE[61:]),
        ("a flipped bit in the phone's signature", CODE[:-1] + bytes((CODE[-1] ^ 1,))),
        ("no code at all", b"nothing"),
        ("half a code", CODE[: len(CODE) // 2]),
        ("nothing", b""),
    ],
)
def test_bad_evidence_is_noticed(office: HeadOffice, keys: Keys, sentence: str, code: bytes) -> None:
    """A terminal that granted what nobody signed."""
    give(office, with_evidence(keys, CODE, code))
    office.audit()
    assert evidence(office) == (1, 1, 0)


def test_evidence_that_does_not_open_is_noticed(office: HeadOffice, keys: Keys) -> None:
    """Changed under its seal, or sealed with another nonce than it says."""
    run = with_evidence(keys, CODE)
    good = sealing.Sealer(1, bytes(range(32))).seal(CODE)
    ride = msgspec.structs.replace(decided(), format="ride_code")
    for wrong in (Sealed(key=1, nonce=2, data=good.data), Sealed(key=1, nonce=1, data=good.data[:-1])):
        run.append(after(run[-1], ride, sealed=wrong))
    give(office, run)
    office.audit()
    assert evidence(office) == (1, 2, 0)


def test_a_content_key_sealed_to_somebody_else_is_noticed(office: HeadOffice, keys: Keys, tmp_path: Path) -> None:
    """And what waits for it stays visible."""
    give(office, with_evidence(Keys(tmp_path / "stranger"), CODE))
    office.audit()
    assert evidence(office) == (0, 1, 1)


def test_evidence_waits_for_its_key(office: HeadOffice, keys: Keys) -> None:
    """Fresh records go first, their content key comes with the backlog: no false alarm in between."""
    run = with_evidence(keys, CODE)
    give(office, run[1:])
    assert office.audit() == 0
    assert evidence(office) == (0, 0, 1)
    give(office, run[:1])
    office.audit()
    assert evidence(office) == (1, 0, 0)


# --------------------------------------------------------------------------- the export file


def exported(*runs: list[StoredEntry]) -> bytes:
    """An export file of these runs."""
    return b"".join(batches.encode_export([a_batch(run) for run in runs]))


def test_an_export_file_is_imported_once(office: HeadOffice) -> None:
    """Over what came by wire, and over itself."""
    run = chain(9)
    give(office, run[:4])
    for _ in range(2):
        import_file(office, exported(run[2:6], run[6:]))
    status = office.status()
    assert (status["records"], status["duplicates"], missing(office)) == (9, 0, 0)


def test_what_was_refused_under_its_name_an_export_does_not_cure(office: HeadOffice) -> None:
    """It is here already, kept aside; carried again under that name it changes nothing."""
    run = chain(2)
    give(office, run)
    conflict = after(run[0], command(77))
    broken = after(after(run[0], command(78)), command(79))
    assert give(office, [broken]) == [(3, "chain_broken")]
    assert give(office, [conflict]) == [(2, "conflict")]
    before = (held(office), office.status()["aside"], office.counts.refused)
    import_file(office, exported([conflict], [broken]))
    assert (held(office), office.status()["aside"], office.counts.refused) == before


async def office_command(keys: Keys, file: Path) -> tuple[int, str, str]:
    """Run the import as a process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "simulators.office_server", "--dir", str(keys.directory), "--import", str(file),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_the_import_command_deduplicates_and_tells_what_is_no_export(keys: Keys, tmp_path: Path) -> None:
    """One line of JSON; for a damaged file a sentence, no traceback, and what was whole is taken."""
    file = tmp_path / "export.bin"
    file.write_bytes(exported(chain(9)[:5], chain(9)[5:]))
    for absorbed in (0, 9):
        code, out, _ = await office_command(keys, file)
        assert (code, json.loads(out)["absorbed"]) == (0, absorbed)
    assert len(held(keys.head_office())) == 9
    for wrong in (b"not an export", file.read_bytes()[:-1]):
        file.write_bytes(wrong)
        code, out, err = await office_command(keys, file)
        assert code != 0
        assert "export" in err
        assert "Traceback" not in err


# --------------------------------------------------------------------------- on the wire


@pytest.fixture
async def served(keys: Keys) -> AsyncIterator[tuple[OfficeServer, int, aiohttp.ClientSession]]:
    """The server, its port, and a client that sends what it likes."""
    server, port = await serve(keys)
    driver = keys.driver(port)
    connector = aiohttp.TCPConnector(ssl=driver._context)
    async with aiohttp.ClientSession(f"https://localhost:{port}", connector=connector) as session:
        yield server, port, session
    await server.stop()


GOOD = batches.encode(a_batch())
CBOR = {"Content-Type": "application/cbor"}
ZSTD = CBOR | {"Content-Encoding": "zstd"}


def bomb() -> bytes:
    """256 MiB of nothing in a few kilobytes; its header states no size."""
    packer = zstandard.ZstdCompressor(level=19).compressobj()
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(256)) + packer.flush()


REQUESTS: list[tuple[str, Any, dict[str, str], int]] = [
    ("a batch", lambda: GOOD, CBOR, 200),
    ("a batch in zstd", lambda: zstandard.compress(GOOD), ZSTD, 200),
    ("garbage", lambda: b"\xff\x00", CBOR, 400),
    ("garbage in zstd", lambda: b"\xff\x00", ZSTD, 400),
    ("zstd cut short", lambda: zstandard.compress(GOOD)[:-4], ZSTD, 400),
    ("a bomb", bomb, ZSTD, 413),
    ("a bomb that states its size", lambda: zstandard.compress(bytes(64 << 20)), ZSTD, 413),
    ("more than is ever read", lambda: io.BytesIO(bytes(LONGEST_BATCH + 1)), CBOR, 413),
    ("another coding", lambda: GOOD, CBOR | {"Content-Encoding": "br"}, 415),
    ("another media type", lambda: GOOD, {"Content-Type": "application/json"}, 415),
]


@pytest.mark.parametrize(("sentence", "make", "headers", "status"), REQUESTS, ids=[row[0] for row in REQUESTS])
async def test_each_request_has_its_status(
    served: tuple[OfficeServer, int, aiohttp.ClientSession],
    sentence: str,
    make: Any,
    headers: dict[str, str],
    status: int,
) -> None:
    """Never a 500, whatever comes."""
    server, _, session = served
    data = make()
    tracemalloc.start()
    try:
        async with session.post("/v1/batches", data=data, headers=headers) as response:
            assert response.status == status
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6 * LONGEST_BATCH
    assert len(held(server.office)) == (3 if status == 200 else 0)


async def test_every_trouble_the_server_can_make_is_survived(keys: Keys) -> None:
    """Half of the batches meet one, drawn from the seed and counted by kind; head office holds the journal, once."""
    server, port = await serve(keys, trouble=50, random=Random(2))
    rules = msgspec.structs.replace(QUICK, batch_entries=8)
    site = Site(keys.office, keys.driver(port), rules=rules)
    await site.write(300)
    assert await site.upload()
    assert held(server.office) == journalled(site.disk)
    assert server.office.status()["duplicates"] == 0
    assert len(server.troubles) >= 8
    await site.close()
    await server.stop()
