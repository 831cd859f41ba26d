"""Head office over a hostile network: a real TLS server on loopback does everything a network can do to a terminal.

The law: nothing is marked without head office's own signature for exactly what was sent; nothing is lost, nothing is
counted twice; and no byte of payload reaches anybody but head office. ABUSE_CASES names the test of each case.
"""

import asyncio
import gc
import gzip
import re
import socket
import ssl
import time
import tracemalloc
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
import zstandard

from drivers.office.https import HttpsOffice, announces_zstd, parse_retry_after
from simulators import pki
from simulators.office_server import OfficeServer
from simulators.store import Disk
from simulators.token_issuer import dumps
from terminal.core import batch as batches
from terminal.core.batch import LONGEST_RECEIPT, Batch, NotAReceipt
from terminal.core.entries import Draft, Reissued, StoredEntry, entry_hash, link
from terminal.core.model import EntryName
from terminal.ports import DeviceError, Office, OfficeError
from terminal.runtime.uploader import UploadRules
from tests import office_cases
from tests.journal_cases import TestClock, at
from tests.office_cases import (
    COSE_HEADERS,
    QUICK,
    TERMINAL,
    Answer,
    Keys,
    Link,
    RawOffice,
    Site,
    a_batch,
    body,
    chain,
    command,
    held,
    journalled,
    response,
    saying,
    through,
)

ABUSE_CASES: dict[int, str] = {
    61: "test_the_connection_dies_before_or_after_head_office_has_stored",
    62: "test_an_acknowledgement_of_something_else_marks_nothing",
    63: "test_an_acknowledgement_with_a_wrong_hash_or_a_bad_signature_marks_nothing",
    64: "test_too_large_halves_down_to_one_record_which_is_parked_while_the_queue_goes_on",
    65: "test_an_odd_retry_after_is_clamped_between_a_second_and_an_hour_with_jitter",
    66: "test_a_redirect_is_not_followed",
    67: "test_what_is_no_acknowledgement_is_bounded_in_time_and_memory",
    68: "test_a_certificate_that_is_wrong_has_its_own_alarm_and_no_payload_is_sent",
    69: "test_a_name_that_does_not_resolve_or_resolves_elsewhere_or_changes",
    70: "test_a_flapping_link_makes_progress_and_no_duplicate",
    71: "test_batches_cut_elsewhere_after_a_crash_count_once",
    72: "test_the_same_name_with_other_content_is_kept_aside_with_an_alarm",
    73: "test_ten_thousand_terminals_do_not_come_back_at_once_and_busy_loses_nothing",
}


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """What a test opened is closed, last first."""
    async with AsyncExitStack() as opened:
        yield opened


async def listening(stack: AsyncExitStack, keys: Keys, answer: Answer, **options: Any) -> tuple[RawOffice, int]:
    """A server that answers so."""
    server = RawOffice(answer)
    port = await server.start(options.pop("directory", keys.pki), **options)
    stack.push_async_callback(server.stop)
    return server, port


async def simulated(stack: AsyncExitStack, keys: Keys, **options: Any) -> tuple[OfficeServer, int]:
    """The simulated head office."""
    server, port = await office_cases.serve(keys, **options)
    stack.push_async_callback(server.stop)
    return server, port


def connected(stack: AsyncExitStack, keys: Keys, port: int, **changes: Any) -> HttpsOffice:
    """The driver."""
    office = keys.driver(port, **changes)
    stack.push_async_callback(office.close)
    return office


def started(stack: AsyncExitStack, keys: Keys, office: Office, **options: Any) -> Site:
    """A terminal's journal and uploader."""
    site = Site(keys.office, office, **options)
    stack.push_async_callback(site.close)
    return site


def test_every_case_has_its_test() -> None:
    """61 to 73, each by name."""
    assert sorted(ABUSE_CASES) == list(range(61, 74))
    assert all(callable(globals().get(name)) for name in ABUSE_CASES.values())


# --------------------------------------------------------------------------- the plain way


async def test_entries_reach_head_office_and_a_receipt_comes_back(keys: Keys, stack: AsyncExitStack) -> None:
    """Over real mutual TLS; what head office holds is what the journal holds, byte for byte."""
    server, port = await simulated(stack, keys)
    site = started(stack, keys, connected(stack, keys, port))
    await site.write(1200)
    assert await site.upload()
    assert held(server.office) == journalled(site.disk)
    assert (site.unsent(), site.uploader.resent, site.alarms()) == (0, 0, [])


async def test_a_request_is_what_the_protocol_says(keys: Keys, stack: AsyncExitStack) -> None:
    """Method, path, media types, and nothing that names a user agent's habits: no cookie, no authorisation."""
    server, port = await listening(stack, keys, through(keys.head_office(), lambda batch: None))
    site = started(stack, keys, connected(stack, keys, port))
    assert await site.upload()
    asked, sent = server.requests
    assert asked.startswith(b"GET /v1/last HTTP/1.1\r\n")
    assert sent.startswith(b"POST /v1/batches HTTP/1.1\r\n")
    assert office_cases.header(sent, "Content-Type") == "application/cbor"
    for request in (asked, sent):
        assert office_cases.header(request, "Accept") == "application/cose"
        assert office_cases.header(request, "Accept-Encoding") == "identity"
        assert office_cases.header(request, "Cookie") is None
        assert office_cases.header(request, "Authorization") is None


def test_only_https_and_whole_certificates_are_taken(keys: Keys) -> None:
    """Told at start, with a hint, not at the first batch."""
    with pytest.raises(DeviceError, match="TLS only"):
        keys.driver(1, url="http://localhost:1")
    with pytest.raises(DeviceError, match="matching"):
        keys.driver(1, key=str(keys.pki / "office.key"))
    with pytest.raises(DeviceError, match="there, readable"):
        keys.driver(1, ca=str(keys.pki / "missing.pem"))


# --------------------------------------------------------------------------- 61: accepted, and the connection dies


@pytest.mark.parametrize(
    ("trouble", "absorbed"), [("drop before storing", 0), ("drop after storing", 20)], ids=["before", "after"]
)
async def test_the_connection_dies_before_or_after_head_office_has_stored(
    keys: Keys, stack: AsyncExitStack, trouble: str, absorbed: int
) -> None:
    """Sent again, one copy kept."""
    server, port = await simulated(stack, keys)
    site = started(stack, keys, connected(stack, keys, port))
    await site.write(20)
    server.next_trouble = trouble
    assert await site.upload()
    assert held(server.office) == journalled(site.disk)
    assert (site.uploader.resent, server.office.counts.absorbed) == (20, absorbed)
    assert server.office.status()["duplicates"] == 0


# --------------------------------------------------------------------------- 62, 63: acknowledgements of nothing


def marks_nothing(keys: Keys, sign: Callable[[Batch], bytes]) -> Answer:
    """Head office answers every batch with what `sign` makes of it."""
    return through(keys.head_office(), lambda batch: response(200, sign(batch), COSE_HEADERS))


def fields_of(batch: Batch) -> dict[int, Any]:
    """The right receipt's fields."""
    digest = entry_hash(batch.entries[-1])
    return {0: "receipt", 1: batch.terminal, 2: batch.epoch, 3: batch.first, 4: batch.last, 5: digest, 6: []}


@pytest.mark.parametrize(
    ("sentence", "change"),
    [
        ("another terminal", lambda batch: {1: "bus-2"}),
        ("another epoch", lambda batch: {2: b"epoch--9"}),
        ("a range never sent", lambda batch: {3: batch.last + 1, 4: batch.last + 9}),
        ("more than was sent", lambda batch: {4: batch.last + 1}),
        ("an older range after a newer one", lambda batch: {3: 1, 4: 1, 5: entry_hash(batch.entries[0])}),
        ("a refusal of what was not sent", lambda batch: {6: [[batch.last + 1, "conflict"]]}),
    ],
)
async def test_an_acknowledgement_of_something_else_marks_nothing(
    keys: Keys, stack: AsyncExitStack, sentence: str, change: Callable[[Batch], dict[int, Any]]
) -> None:
    """Signed by head office, but for something else: not a row is marked, and a person hears of it."""
    office = keys.head_office()
    answer = marks_nothing(keys, lambda batch: office.sign(fields_of(batch) | change(batch)))
    _, port = await listening(stack, keys, answer)
    site = started(stack, keys, connected(stack, keys, port))
    await site.write(5)
    await site.upload_until(lambda: "receipt_bad" in site.alarms())
    assert site.unsent() == len(site.disk.stored)
    assert site.disk.receipted == {}


async def test_a_replayed_receipt_marks_nothing(keys: Keys, stack: AsyncExitStack) -> None:
    """The receipt of the first batch, the fresh entries, given again for the backlog."""
    office, kept = keys.head_office(), list[bytes]()

    def replay(batch: Batch) -> bytes:
        kept.append(office.sign(fields_of(batch)))
        return kept[0]

    _, port = await listening(stack, keys, marks_nothing(keys, replay))
    site = started(stack, keys, connected(stack, keys, port))
    await site.write(5)
    await site.upload_until(lambda: "receipt_bad" in site.alarms())
    assert sorted(site.disk.receipted) == [2, 3, 4, 5, 6]


def flip(data: bytes, at: int) -> bytes:
    """One bit of one byte."""
    return data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]


async def test_an_acknowledgement_with_a_wrong_hash_or_a_bad_signature_marks_nothing(
    keys: Keys, stack: AsyncExitStack, tmp_path: Path
) -> None:
    """Wrong hash, a flipped bit of the signature, a stranger's signature, half a receipt: none of them counts."""
    office = keys.head_office()
    stranger = Keys(tmp_path / "stranger").head_office()
    answers = [
        lambda batch: office.sign(fields_of(batch) | {5: bytes(32)}),
        lambda batch: flip(office.sign(fields_of(batch)), -1 + len(office.sign(fields_of(batch)))),
        lambda batch: stranger.sign(fields_of(batch)),
        lambda batch: office.sign(fields_of(batch))[: len(office.sign(fields_of(batch))) // 2],
    ]
    given: list[int] = []

    def next_answer(batch: Batch) -> bytes:
        given.append(len(given) % len(answers))
        return answers[given[-1]](batch)

    _, port = await listening(stack, keys, marks_nothing(keys, next_answer))
    site = started(stack, keys, connected(stack, keys, port))
    await site.write(5)
    await site.upload_until(lambda: len(given) > 2 * len(answers))
    assert site.disk.receipted == {}
    assert "receipt_bad" in site.alarms()


UNSIGNED_HEADERS: list[dict[int, Any]] = [{1: [1], 4: b"receipt-1"}, {1: {1: 2}, 4: b"receipt-1"}, {1: -7, 4: {}}]


@pytest.mark.parametrize("headers", UNSIGNED_HEADERS, ids=str)
async def test_a_body_nobody_signed_never_ends_the_uploader(
    keys: Keys, stack: AsyncExitStack, headers: dict[int, Any]
) -> None:
    """Headers of any type, as an answer to the question and to a batch: told, waited for, asked again."""
    hostile = b"\xd2" + dumps([dumps(headers), {}, dumps({0: "receipt"}), bytes(64)])
    answers = {b"GET": 0, b"POS": 0}
    office = keys.head_office()

    async def answer(writer: asyncio.StreamWriter, request: bytes) -> None:
        answers[request[:3]] += 1
        asked = request.startswith(b"GET") and answers[b"GET"] > 1  # so that a batch is tried as well
        writer.write(response(200, office.last_held(TERMINAL) if asked else hostile, COSE_HEADERS))

    _, port = await listening(stack, keys, answer)
    site = started(stack, keys, connected(stack, keys, port))
    await site.write(5)
    await site.upload_until(lambda: answers[b"POS"] >= 2)
    assert site.disk.receipted == {}
    assert "receipt_bad" in site.alarms()


# --------------------------------------------------------------------------- 64: too large


async def test_too_large_halves_down_to_one_record_which_is_parked_while_the_queue_goes_on(
    keys: Keys, stack: AsyncExitStack
) -> None:
    """One record is too large for a proxy on the way: every other one arrives, and a person hears of it."""
    office, sizes, open_wide = keys.head_office(), list[int](), list[bool]()

    def proxy(batch: Batch) -> bytes | None:
        sizes.append(len(batch.entries))
        too_large = not open_wide and any(b"number 13" in data for data in batch.entries)
        return response(413, b"too large") if too_large else None

    _, port = await listening(stack, keys, through(office, proxy))
    site = started(stack, keys, connected(stack, keys, port))
    await site.write(40)
    await site.upload_until(lambda: site.unsent() == 1 and "record_too_large" in site.alarms())
    assert sizes[0] == 40
    assert len(held(office)) == len(site.disk.stored) - 1
    assert site.uploader.status()["parked"] == 1
    open_wide.append(True)
    assert await site.upload()
    assert held(office) == journalled(site.disk)
    assert site.alarms() == ["record_too_large"]


async def test_too_large_is_told_also_when_the_server_does_not_read_the_batch(
    keys: Keys, stack: AsyncExitStack
) -> None:
    """A server that answers by the header alone and hangs up leaves a batch that is cut smaller, whatever was heard."""
    office = keys.head_office()

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(office_cases.header(head, "Content-Length") or 0)
        if head.startswith(b"GET"):
            writer.write(response(200, office.last_held(TERMINAL), COSE_HEADERS | {"Connection": "close"}))
        elif length > 4096:
            writer.write(response(413, b"", {"Connection": "close"}))
        else:
            data = office.receive(TERMINAL, await reader.readexactly(length))
            writer.write(response(200, data, COSE_HEADERS | {"Connection": "close"}))
        with suppress(ConnectionError):
            await writer.drain()
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys.pki / "office.pem", keys.pki / "office.key")
    server = await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=context)
    stack.callback(server.close)
    site = started(stack, keys, connected(stack, keys, server.sockets[0].getsockname()[1]))
    await site.write(2000)
    assert await site.upload()
    assert held(office) == journalled(site.disk)


# --------------------------------------------------------------------------- 65: Retry-After

NOW_S = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC
RETRY_AFTER = [
    ("zero", "0", 0.0),
    ("negative", "-1", -1.0),
    ("a number", "120", 120.0),
    ("huge", "1000000000", 1e9),
    ("longer than any number", "9" * 400, float("inf")),
    ("text", "soon", None),
    ("empty", "", None),
    ("a number no number", "--5", None),
    ("digits of another script", "٣", None),
    ("a separator nobody sees", "5\x1f", None),
    ("a date in the past", "Tue, 15 Nov 1994 08:12:31 GMT", 784_887_151.0 - NOW_S),
    ("a date to come", "Fri, 15 Jan 2027 08:01:00 GMT", 60.0),
    ("a date without a zone", "Fri Jan 15 08:01:00 2027", 60.0),
    ("no date", "Fri, 99 Jan 2027 99:99:99 GMT", None),
]


class FixedClock(TestClock):
    """A clock that stands still."""

    def read(self) -> Any:
        return msgspec.structs.replace(super().read(), utc_ms=int(NOW_S * 1000))


@pytest.mark.parametrize("status", [429, 503])
async def test_an_odd_retry_after_is_clamped_between_a_second_and_an_hour_with_jitter(
    keys: Keys, stack: AsyncExitStack, status: int
) -> None:
    """Whatever head office asks for, in seconds, as a date or as rubbish."""
    said: list[str] = []

    async def answer(writer: asyncio.StreamWriter, request: bytes) -> None:
        writer.write(response(status, b"", {"Retry-After": said[-1]}))

    _, port = await listening(stack, keys, answer)
    office = connected(stack, keys, port, clock=FixedClock())
    site = Site(keys.office, office, rules=UploadRules(), random=Random(3))
    for _, text, wanted in RETRY_AFTER:
        said.append(text.encode().decode("latin-1"))
        with pytest.raises(OfficeError) as error:
            await office.send(b"a batch")
        assert error.value.retry_after_s == wanted, text
        waits = [site.uploader._wait_s(error.value) for _ in range(200)]
        if wanted is not None:
            least = min(max(wanted, 1.0), 3600.0)
            assert all(least <= wait_s <= least * 1.25 for wait_s in waits), text
        else:  # like none: our own
            assert all(0.0 < wait_s <= 0.5 for wait_s in waits), text
        assert len(set(waits)) > 190, "no jitter"
    await site.store.close()


def test_no_retry_after_is_none() -> None:
    """And rubbish is like none."""
    assert parse_retry_after(None, NOW_S) is None


def test_a_date_without_a_zone_is_in_utc_wherever_the_terminal_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """The old form of RFC 9110, 5.6.7, knows no other zone."""
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    try:
        assert parse_retry_after("Fri Jan 15 08:01:00 2027", NOW_S) == 60.0
    finally:
        monkeypatch.undo()
        time.tzset()


# --------------------------------------------------------------------------- 66: redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_a_redirect_is_not_followed(keys: Keys, stack: AsyncExitStack, status: int, scheme: str) -> None:
    """Not to another host of ours, not to plain http: the target hears nothing, a person does."""
    target, target_port = await listening(stack, keys, saying(response(200)))
    reached: list[bytes] = []

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append(await reader.read(1))
        writer.close()

    plain_server = await asyncio.start_server(plain, "127.0.0.1", 0)
    stack.callback(plain_server.close)
    to = target_port if scheme == "https" else plain_server.sockets[0].getsockname()[1]
    location = {"Location": f"{scheme}://localhost:{to}/v1/batches"}
    _, port = await listening(stack, keys, saying(response(status, b"", location)))
    office = connected(stack, keys, port)
    for ask in (office.last_held, lambda: office.send(batches.encode(a_batch()))):
        with pytest.raises(OfficeError) as error:
            await ask()
        assert error.value.alarm == "office_portal"
    assert (target.hellos, target.requests, reached) == (0, [], [])


# --------------------------------------------------------------------------- 67: what is no acknowledgement


async def drip(writer: asyncio.StreamWriter, request: bytes) -> None:
    """A byte now and then, for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/cose\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def silence(writer: asyncio.StreamWriter, request: bytes) -> None:
    """Nothing at all."""
    await asyncio.sleep(3600)


class Flood:
    """The same bytes again and again, until the terminal hangs up."""

    def __init__(self, head: bytes, again: bytes) -> None:
        self.head, self.again, self.sent = head, again, 0

    async def __call__(self, writer: asyncio.StreamWriter, request: bytes) -> None:
        writer.write(self.head)
        while True:
            writer.write(self.again)
            await writer.drain()
            self.sent += len(self.again)


OK_COSE = b"HTTP/1.1 200 OK\r\nContent-Type: application/cose\r\n"
TEN_GB = b"Content-Length: 10000000000\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
NO_ACKNOWLEDGEMENT: list[tuple[str, Callable[[], Any], str | None]] = [
    ("a portal's page", lambda: saying(response(200, b"<html>", {"Content-Type": "text/html"})), "office_portal"),
    ("a page that claims nothing", lambda: saying(response(200, b"<html>")), "office_portal"),
    ("no content", lambda: saying(b"HTTP/1.1 204 No Content\r\n\r\n"), "office_portal"),
    ("a body without end", lambda: Flood(OK_COSE + TEN_GB, bytes(65536)), "office_portal"),
    ("chunks without end", lambda: Flood(OK_COSE + CHUNKED, b"1000\r\n" + bytes(4096) + b"\r\n"), "office_portal"),
    ("a header without end", lambda: Flood(b"HTTP/1.1 200 OK\r\nX: ", b"a" * 65536), None),
    ("headers without end", lambda: Flood(b"HTTP/1.1 200 OK\r\n", b"X: aaaaaaaaaa\r\n" * 4096), None),
    ("going on without end", lambda: Flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1024), None),
    ("a byte now and then", lambda: drip, None),
    ("silence", lambda: silence, None),
    ("another protocol", lambda: saying(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), None),
    ("a length that lies", lambda: saying(OK_COSE + b"Content-Length: -5\r\n\r\n"), None),
    ("an error of theirs", lambda: saying(response(500, b"oops")), None),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "make", "alarm"), NO_ACKNOWLEDGEMENT, ids=[row[0] for row in NO_ACKNOWLEDGEMENT])
async def test_what_is_no_acknowledgement_is_bounded_in_time_and_memory(
    keys: Keys, stack: AsyncExitStack, sentence: str, make: Callable[[], Answer], alarm: str | None
) -> None:
    """An OfficeError soon, whatever comes; of a flood no more is taken than fits the buffers on the way."""
    answer = make()
    _, port = await listening(stack, keys, answer)
    office = connected(stack, keys, port, connect_s=0.3, total_s=0.6)
    tracemalloc.start()
    try:
        with pytest.raises(OfficeError) as error:
            await office.send(batches.encode(a_batch()))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert error.value.alarm == alarm
    assert peak < 16 << 20


@pytest.mark.parametrize(
    ("sentence", "reply"),
    [
        ("empty", b""),
        ("one byte", b"\xd2"),
        ("a gzip bomb", gzip.compress(bytes(32 << 20))),
        ("as much as is ever read", bytes(LONGEST_RECEIPT)),
    ],
)
async def test_a_body_that_says_it_is_a_receipt_is_only_read_as_one(
    keys: Keys, stack: AsyncExitStack, sentence: str, reply: bytes
) -> None:
    """Never unpacked, whatever Content-Encoding says; and no receipt."""
    _, port = await listening(stack, keys, saying(response(200, reply, COSE_HEADERS | {"Content-Encoding": "gzip"})))
    office = connected(stack, keys, port)
    taken = await office.send(batches.encode(a_batch()))
    assert taken == reply
    with pytest.raises(NotAReceipt):
        batches.read_receipt(taken, keys.office, a_batch())


# --------------------------------------------------------------------------- 68: certificates


WRONG_SERVERS: list[tuple[str, dict[str, Any], str]] = [
    ("another CA", {}, "office_certificate_wrong_ca"),
    ("expired", {"days": (-30, -1)}, "office_certificate_expired"),
    ("not yet valid", {"days": (1, 30)}, "office_certificate_not_yet_valid"),
    ("another host's", {"host": "elsewhere.example"}, "office_certificate_wrong_name"),
]


@pytest.mark.parametrize(("sentence", "wrong", "alarm"), WRONG_SERVERS, ids=[row[0] for row in WRONG_SERVERS])
async def test_a_certificate_that_is_wrong_has_its_own_alarm_and_no_payload_is_sent(
    keys: Keys, stack: AsyncExitStack, tmp_path: Path, sentence: str, wrong: dict[str, Any], alarm: str
) -> None:
    """Head office's: the terminal said hello, and nothing after it. Each trouble is told by its own name."""
    directory = keys.pki
    if sentence == "another CA":
        directory = tmp_path / "other"
        pki.Authority(directory).issue("false", server=True)
    else:
        keys.authority.issue("false", server=True, **wrong)
    server, port = await listening(stack, keys, saying(response(200)), directory=directory, certificate="false")
    site = started(stack, keys, connected(stack, keys, port))
    await site.write(3)
    await site.upload_until(site.alarms)
    assert site.alarms() == [alarm]
    with pytest.raises(OfficeError) as error:
        await site.office.send(batches.encode(a_batch()))
    assert error.value.alarm == alarm
    assert server.hellos >= 2
    assert (server.connections, server.requests) == (0, [])


def old_tls(context: ssl.SSLContext) -> None:
    """TLS 1.0 and 1.1 only."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # they are what is tested
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")


async def test_a_head_office_with_old_tls_is_told_as_such(keys: Keys, stack: AsyncExitStack) -> None:
    """TLS 1.0 and 1.1 are not spoken."""
    with office_cases.refusing(keys.pki, old_tls) as port:
        office = connected(stack, keys, port)
        with pytest.raises(OfficeError) as error:
            await office.last_held()
        assert error.value.alarm == "office_tls"
        await office.close()


@pytest.mark.parametrize("why", ["revoked", "of another CA", "expired"])
async def test_our_certificate_refused_in_tls_has_its_own_alarm(
    keys: Keys, stack: AsyncExitStack, tmp_path: Path, why: str
) -> None:
    """A terminal that head office no longer knows tells a person."""
    changes: dict[str, Any] = {}
    if why == "of another CA":
        pki.Authority(tmp_path / "other").issue(TERMINAL)
        changes = {"certificate": str(tmp_path / "other" / "bus-1.pem"), "key": str(tmp_path / "other" / "bus-1.key")}
    if why == "expired":
        keys.authority.issue(TERMINAL, days=(-30, -1))

    def revoke(context: ssl.SSLContext) -> None:
        context.load_verify_locations(keys.authority.revoke(*([TERMINAL] if why == "revoked" else [])))
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF

    with office_cases.refusing(keys.pki, revoke) as port:
        office = connected(stack, keys, port, **changes)
        with pytest.raises(OfficeError) as error:
            await office.last_held()
        assert error.value.alarm == "office_refuses_us"
        await office.close()


@pytest.mark.parametrize("sentence", ["revoked", "of another CA"])
async def test_head_office_takes_nothing_from_a_certificate_it_does_not_know(
    keys: Keys, stack: AsyncExitStack, tmp_path: Path, sentence: str
) -> None:
    """The simulated head office itself refuses."""
    changes: dict[str, Any] = {}
    if sentence == "revoked":
        keys.authority.revoke(TERMINAL)
    else:
        pki.Authority(tmp_path / "other").issue(TERMINAL)
        changes = {"certificate": str(tmp_path / "other" / "bus-1.pem"), "key": str(tmp_path / "other" / "bus-1.key")}
    server, port = await simulated(stack, keys)
    with pytest.raises(OfficeError):
        await connected(stack, keys, port, **changes).send(batches.encode(a_batch()))
    assert held(server.office) == []


async def test_a_terminal_cannot_speak_for_another(keys: Keys, stack: AsyncExitStack) -> None:
    """The certificate's name and the batch's must be one: 403, an alarm, nothing stored."""
    keys.authority.issue("bus-2")
    server, port = await simulated(stack, keys)
    with pytest.raises(OfficeError, match="403") as error:
        await connected(stack, keys, port, terminal="bus-2").send(batches.encode(a_batch()))
    assert error.value.alarm == "office_refuses_us"
    assert held(server.office) == []


# --------------------------------------------------------------------------- 69: names

TIMERS_S = 0.05


async def test_a_name_that_does_not_resolve_or_resolves_elsewhere_or_changes(
    keys: Keys, stack: AsyncExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For long, without growing; to somebody else, without a byte for them; and right again, at once."""
    keys.authority.issue("named", server=True, host="office.invalid")
    pki.Authority(tmp_path / "other").issue("false", server=True, host="office.invalid")
    real, port = await listening(stack, keys, through(keys.head_office(), lambda batch: None), certificate="named")
    elsewhere = {"directory": tmp_path / "other", "address": "127.0.0.2", "port": port}
    false, _ = await listening(stack, keys, saying(response(200)), certificate="false", **elsewhere)
    addresses: list[str] = []

    async def resolve(host: str, port: int, **_: Any) -> list[Any]:
        if not addresses or host != "office.invalid":
            raise socket.gaierror(socket.EAI_AGAIN, "no such name now")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (addresses[-1], port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    office = connected(stack, keys, port, url=f"https://office.invalid:{port}")
    gone = connected(stack, keys, port, url=f"https://office.invalid:{port}", total_s=TIMERS_S)
    grown = await _growth(lambda: _fails(gone, None), warm=50, times=200)
    assert grown < 16 << 10, "memory grows while the name is gone"
    addresses.append("127.0.0.2")
    await _fails(office, "office_certificate_wrong_ca")
    assert (false.connections, false.requests) == (0, [])
    assert false.hellos == 1
    addresses.append("127.0.0.1")
    site = started(stack, keys, office)
    assert await site.upload()
    assert len(real.requests) == 2


async def _fails(office: HttpsOffice, alarm: str | None) -> None:
    with pytest.raises(OfficeError) as error:
        await office.last_held()
    assert error.value.alarm == alarm


async def _growth(once: Callable[[], Awaitable[None]], *, warm: int, times: int) -> int:
    """Bytes by which memory grew over so many times."""
    tracemalloc.start()
    try:
        for _ in range(warm):
            await once()
        before = await _settled_memory()
        for _ in range(times):
            await once()
        return await _settled_memory() - before
    finally:
        tracemalloc.stop()


async def _settled_memory() -> int:
    """Bytes in use once the loop has dropped the timers of what is over."""
    await asyncio.sleep(2 * TIMERS_S)
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


# --------------------------------------------------------------------------- 70: a flapping link


async def test_a_flapping_link_makes_progress_and_no_duplicate(keys: Keys, stack: AsyncExitStack) -> None:
    """Cut after some bytes, again and again, in a handshake, a batch or a receipt: each record counts once."""
    server, target = await simulated(stack, keys)
    random = Random(70)
    link = Link(target, lambda: random.randrange(500, 20_000))
    port = await link.start()
    stack.push_async_callback(link.stop)
    site = started(stack, keys, connected(stack, keys, port), rules=msgspec.structs.replace(QUICK, batch_entries=40))
    await site.write(1500)
    assert await site.upload()
    assert link.cuts >= 10
    assert held(server.office) == journalled(site.disk)
    assert server.office.status()["duplicates"] == 0
    assert site.uploader.resent > 0


# --------------------------------------------------------------------------- 71, 72: what is the same


async def test_batches_cut_elsewhere_after_a_crash_count_once(keys: Keys, stack: AsyncExitStack) -> None:
    """The receipt of the first cut was lost with the power; the second cut has other boundaries."""
    server, port = await simulated(stack, keys)
    disk = Disk(latency_s=0.0001)
    rules = msgspec.structs.replace(QUICK, batch_entries=7)
    site = Site(keys.office, keys.driver(port), disk=disk, rules=rules)
    await site.write(30)
    server.next_trouble = "drop after storing"
    await site.upload_until(lambda: server.office.counts.received)
    disk.cut_power()
    await site.office.close()
    rules = msgspec.structs.replace(QUICK, batch_entries=5)
    site = started(stack, keys, connected(stack, keys, port), disk=disk, rules=rules)
    assert await site.upload()
    assert held(server.office) == journalled(disk)
    assert server.office.counts.absorbed > 0
    assert server.office.status()["duplicates"] == 0


async def test_the_same_name_with_other_content_is_kept_aside_with_an_alarm(keys: Keys, stack: AsyncExitStack) -> None:
    """Head office holds another entry 3 of this epoch: ours is kept aside there, told, and issued again here."""
    server, port = await simulated(stack, keys)
    site = started(stack, keys, connected(stack, keys, port))
    await site.write(6)
    epoch, before = site.disk.stored[0].name.epoch, site.disk.stored[1]
    _, data, digest = link(Draft(fact=command(99), at=at()), TERMINAL, before.name, before.hash)
    other = StoredEntry(row=3, name=EntryName(epoch=epoch, sequence=3), data=data, hash=digest)
    server.office.receive(TERMINAL, batches.encode(batches.cut(TERMINAL, [other])))
    assert await site.upload()
    assert site.alarms()[0] == "new_epoch"  # head office held what we did not
    assert "record_refused" in site.alarms()
    again = [entry.fact for entry in site.disk.entries() if isinstance(entry.fact, Reissued)]
    assert [(fact.was.sequence, fact.data) for fact in again] == [(3, site.disk.stored[2].data)]
    assert (epoch, 3, other.data) in held(server.office)
    assert site.disk.stored[-1].name.epoch != epoch and site.unsent() == 0
    aside = server.office.db.execute("SELECT sequence, reason, data FROM aside").fetchall()
    assert aside == [(3, "conflict", site.disk.stored[2].data)]
    assert server.office.counts.conflicts == 1


# --------------------------------------------------------------------------- 73: everybody at once


async def test_ten_thousand_terminals_do_not_come_back_at_once_and_busy_loses_nothing(
    keys: Keys, stack: AsyncExitStack
) -> None:
    """Ten thousand wait apart; thirty real ones are turned away half of the time, and lose nothing."""
    office = keys.head_office()
    asked = OfficeError("busy", retry_after_s=60.0)
    lone = Site(keys.office, connected(stack, keys, 1), rules=UploadRules())
    waits = []
    for seed in range(10_000):
        lone.uploader._random, lone.uploader._failures = Random(seed), 7
        waits.append((lone.uploader._wait_s(asked), lone.uploader._wait_s(OfficeError("gone"))))
    await lone.store.close()
    for column, (least, most) in zip(zip(*waits, strict=True), ((60.0, 75.0), (15.0, 30.0)), strict=True):
        assert all(least <= wait_s <= most for wait_s in column)
        seconds = [sum(second <= wait_s < second + 1 for wait_s in column) for second in range(int(least), int(most))]
        assert max(seconds) < 1000, "a second in which more than a tenth of them come back"

    requests = Random(73)
    server = OfficeServer(office)
    port = await server.start(keys.pki)
    stack.push_async_callback(server.stop)
    sites = []
    for number in range(30):
        name = f"bus-{number + 100}"
        keys.authority.issue(name)
        site = started(stack, keys, connected(stack, keys, port, terminal=name), terminal=name, random=Random(number))
        await site.write(10)
        sites.append(site)

    def turn_away() -> str | None:
        return "busy" if requests.random() < 0.5 else None

    server.meets = turn_away
    assert all(await asyncio.gather(*(site.upload() for site in sites)))
    assert len(held(office)) == sum(len(site.disk.stored) for site in sites)
    assert office.status()["duplicates"] == 0
    assert server.troubles["busy"] > 5


# --------------------------------------------------------------------------- zstd


async def test_batches_are_compressed_once_head_office_has_said_it_understands(
    keys: Keys, stack: AsyncExitStack
) -> None:
    """Announced by the answer to the question before the first batch; without it they go as they are."""
    for understood in (True, False):
        said = COSE_HEADERS | ({"Accept-Encoding": "gzip, zstd"} if understood else {})
        server, port = await listening(stack, keys, saying(response(200, b"", said)))
        office = connected(stack, keys, port)
        data = batches.encode(a_batch(chain(100)))
        await office.last_held()
        await office.send(data)
        sent = server.requests[-1]
        assert office_cases.header(sent, "Content-Encoding") == ("zstd" if understood else None)
        plain = zstandard.ZstdDecompressor().decompress(body(sent)) if understood else body(sent)
        assert plain == data
        assert (len(body(sent)) < len(data) / 2) == understood


async def test_compressed_batches_reach_the_simulated_head_office(keys: Keys, stack: AsyncExitStack) -> None:
    """Both ways, the same records."""
    for zstd in (True, False):
        server, port = await simulated(stack, keys, zstd=zstd)
        site = started(stack, keys, connected(stack, keys, port))
        await site.write(20)
        assert await site.upload()
        assert journalled(site.disk)[-1] in held(server.office)
        assert site.alarms() == []


async def test_a_refused_compression_falls_back_to_plain_for_good(keys: Keys, stack: AsyncExitStack) -> None:
    """415, although it was announced, and announced again: never tried a second time."""
    office = keys.head_office()
    codings: list[str | None] = []

    async def answer(writer: asyncio.StreamWriter, request: bytes) -> None:
        said = COSE_HEADERS | {"Accept-Encoding": "zstd"}
        if request.startswith(b"GET"):
            writer.write(response(200, office.last_held(TERMINAL), said))
            return
        codings.append(office_cases.header(request, "Content-Encoding"))
        if codings[-1] is not None:
            writer.write(response(415, b"", said))
        else:
            writer.write(response(200, office.receive(TERMINAL, body(request)), said))

    _, port = await listening(stack, keys, answer)
    site = started(stack, keys, connected(stack, keys, port))
    for _ in range(3):
        await site.write(5)
        assert await site.upload()
    assert codings[0] == "zstd"
    assert set(codings[1:]) == {None}
    assert held(office) == journalled(site.disk)


@pytest.mark.parametrize(
    ("text", "understood"),
    [
        ("zstd", True),
        ("gzip, zstd", True),
        ("ZSTD;q=0.5", True),
        ("", False),
        ("gzip", False),
        ("xzstd", False),
        ("zstd;q=0", False),
        ("zstd; q=0.000, gzip", False),
    ],
)
def test_what_announces_zstd(text: str, understood: bool) -> None:
    """By its name, and not with quality 0."""
    assert announces_zstd(text) is understood


# --------------------------------------------------------------------------- the environment


async def test_cookies_are_not_kept_and_the_environment_names_no_proxy(
    keys: Keys, stack: AsyncExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a .netrc give anybody a password, nor an environment variable another CA."""
    met: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.append(await reader.read(1))
        writer.close()

    proxy_server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    stack.callback(proxy_server.close)
    url = f"http://127.0.0.1:{proxy_server.sockets[0].getsockname()[1]}"
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, url)
    (tmp_path / "netrc").write_text("default login somebody password something\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    other = pki.Authority(tmp_path / "other")
    other.issue("false", server=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(other.ca))
    server, port = await listening(
        stack, keys, saying(response(200, b"", COSE_HEADERS | {"Set-Cookie": "a=b; Path=/"}))
    )
    office = connected(stack, keys, port)
    for _ in range(3):
        await office.send(b"a batch")
    assert (len(server.requests), met) == (3, [])
    assert not any(re.search(rb"\r\n(cookie|authorization|proxy-\w+):", one, re.IGNORECASE) for one in server.requests)
    false, false_port = await listening(stack, keys, saying(b""), directory=tmp_path / "other", certificate="false")
    with pytest.raises(OfficeError):
        await connected(stack, keys, false_port).send(b"a batch")
    assert false.connections == 0
