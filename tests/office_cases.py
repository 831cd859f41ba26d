"""What the tests of the way to head office share: certificates, a journal to upload, and servers that misbehave."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import cbor2
import msgspec

from drivers.office.https import HttpsOffice, Settings
from simulators import pki
from simulators.office import HeadOffice
from simulators.office_server import OfficeServer
from simulators.store import Disk, SimulatedStore
from terminal.core import batch as batches
from terminal.core.batch import Batch
from terminal.core.entries import NO_HASH, Alarm, Commanded, Draft, Fact, StoredEntry, link
from terminal.core.model import EntryName, Instant
from terminal.core.parameters import OfficeKeys
from terminal.ports import Clock, Office
from terminal.runtime.journal import Journal
from terminal.runtime.uploader import Uploader, UploadRules
from tests.journal_cases import TestClock, at

TERMINAL = "bus-1"
EPOCH = b"epoch--1"
QUICK = UploadRules(gather_s=0.001, first_wait_s=0.002, longest_wait_s=0.02, least_retry_after_s=0.002)
COSE_HEADERS = {"Content-Type": "application/cose"}


def command(number: int) -> Commanded:
    """A small fact."""
    return Commanded(who="tests", what=f"number {number}")


def chain(
    count: int, *, terminal: str = TERMINAL, epoch: bytes = EPOCH, facts: list[Fact] | None = None, what: int = 0
) -> list[StoredEntry]:
    """An epoch's first entries, as a journal would store them; another `what` is another content."""
    stored: list[StoredEntry] = []
    last, digest = EntryName(epoch=epoch, sequence=0), NO_HASH
    for number in range(count):
        fact = facts[number] if facts else command(number + what)
        entry, data, digest = link(Draft(fact=fact, at=at()), terminal, last, digest)
        last = entry.name
        stored.append(StoredEntry(row=number + 1, name=entry.name, data=data, hash=digest))
    return stored


def a_batch(run: list[StoredEntry] | None = None, terminal: str = TERMINAL) -> Batch:
    """A batch of a run, or of three entries."""
    return batches.cut(terminal, run or chain(3, terminal=terminal))


# --------------------------------------------------------------------------- head office and its keys


class Keys:
    """A certificate authority, head office's and one terminal's certificates, the receipt and sealing keys."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.pki = directory / "pki"
        self.authority = pki.Authority(self.pki)
        self.authority.issue("office", server=True)
        self.authority.issue(TERMINAL)
        self.office: OfficeKeys = pki.write_office_keys(directory / "office-keys")

    def head_office(self, **options: Any) -> HeadOffice:
        """Head office on its disk: opened again, it holds what it held."""
        receipt, sealing = pki.load_office_keys(self.directory / "office-keys")
        return HeadOffice(self.directory / "office.db", receipt, sealing, **options)

    def driver(self, port: int, *, terminal: str = TERMINAL, clock: Clock | None = None, **changes: Any) -> HttpsOffice:
        """The terminal's own driver."""
        settings = Settings(
            url=f"https://localhost:{port}",
            ca=str(self.pki / "ca.pem"),
            certificate=str(self.pki / f"{terminal}.pem"),
            key=str(self.pki / f"{terminal}.key"),
        )
        return HttpsOffice(msgspec.structs.replace(settings, **changes), clock or TestClock())


class DirectOffice:
    """Head office without a wire, for a jumping loop; what is on the way may fail before or after it has stored."""

    def __init__(self, head_office: HeadOffice, terminal: str = TERMINAL) -> None:
        self.head_office = head_office
        self.terminal = terminal
        self.sent: list[Batch] = []
        self.times_s: list[float] = []
        self.asked = 0
        self.before: Callable[[Batch], None] = lambda batch: None
        self.after: Callable[[Batch, bytes], bytes] = lambda batch, receipt: receipt

    async def last_held(self) -> bytes:
        self.asked += 1
        return self.head_office.last_held(self.terminal)

    async def send(self, batch: bytes) -> bytes:
        sent = decoded(batch)
        self.sent.append(sent)
        self.times_s.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0.01)
        self.before(sent)
        return self.after(sent, self.head_office.receive(self.terminal, batch))

    async def close(self) -> None:
        """Nothing is open."""

    def sizes(self) -> list[int]:
        """Entries of each batch, in the order they came."""
        return [len(batch.entries) for batch in self.sent]


def decoded(data: bytes) -> Batch:
    """An encoded batch, read back."""
    fields = cbor2.loads(data)
    return Batch(terminal=fields[2], epoch=fields[3], first=fields[4], entries=tuple(fields[5]), hash=b"")


class Site:
    """A journal on a disk in memory and its uploader: killed and started again on the same disk as often as wished."""

    def __init__(
        self,
        keys: OfficeKeys,
        office: Office,
        *,
        disk: Disk | None = None,
        rules: UploadRules = QUICK,
        clock: Clock | None = None,
        now: Callable[[], Instant] = at,
        random: Random | None = None,
        terminal: str = TERMINAL,
    ) -> None:
        self.disk = disk or Disk(latency_s=0.0001)
        self.store = SimulatedStore(self.disk)
        clock = clock or TestClock()
        self.store.open(terminal, now())
        self.journal = Journal(self.store, clock, terminal)
        self.office = office
        self.now = now
        self.uploader = Uploader(
            self.journal, office, clock, keys=lambda: keys, now=now, rules=rules, random=random or Random(1)
        )

    async def write(self, count: int, first: int = 0) -> None:
        """So many small entries."""
        await asyncio.gather(*(self.journal.append(command(first + number), self.now()) for number in range(count)))

    async def upload(self, within_s: float = 60.0) -> bool:
        """Upload what is left."""
        return await self.uploader.drain(within_s)

    async def upload_until(self, holds: Callable[[], Any]) -> None:
        """Upload, in vain perhaps, until something is so."""
        task = asyncio.create_task(self.uploader.run())
        try:
            while not holds():
                assert not task.done(), task
                await asyncio.sleep(0.002)
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def upload_until_sent(self, count: int) -> None:
        """Upload until so many entries have their receipt."""
        await self.upload_until(lambda: self.uploader.uploaded >= count)

    def alarms(self) -> list[str]:
        """The kinds of the journal's alarms, in order."""
        return [entry.fact.kind for entry in self.disk.entries() if isinstance(entry.fact, Alarm)]

    def unsent(self) -> int:
        """Entries without a receipt."""
        return self.journal.head().unsent

    async def close(self) -> None:
        """Stop clean."""
        await self.office.close()
        await self.store.close()


def held(head_office: HeadOffice) -> list[tuple[bytes, int, bytes]]:
    """(epoch, sequence, data) of every record head office counts."""
    rows = head_office.db.execute("SELECT epoch, sequence, data FROM records ORDER BY epoch, sequence").fetchall()
    return [(row[0], row[1], row[2]) for row in rows]


def journalled(disk: Disk) -> list[tuple[bytes, int, bytes]]:
    """The same of a disk."""
    return sorted((stored.name.epoch, stored.name.sequence, stored.data) for stored in disk.stored)


# --------------------------------------------------------------------------- servers that misbehave

Answer = Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]


class RawOffice:
    """A TLS server that answers any bytes a test wants, and remembers every byte that reached it."""

    def __init__(self, answer: Answer) -> None:
        self.requests: list[bytes] = []
        self.hellos = 0  # handshakes begun
        self.connections = 0  # handshakes completed
        self._answer = answer
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(
        self,
        directory: Path,
        certificate: str = "office",
        *,
        prepare: Callable[[ssl.SSLContext], None] | None = None,
        address: str = "127.0.0.1",
        port: int = 0,
    ) -> int:
        """Listen on loopback with mutual TLS; returns the port."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory / f"{certificate}.pem", directory / f"{certificate}.key")
        context.load_verify_locations(directory / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        context.sni_callback = self._hello
        if prepare is not None:
            prepare(context)
        self._server = await asyncio.start_server(self._serve, address, port, ssl=context)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Stop listening; cut what is open."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _hello(self, *_: object) -> None:
        self.hellos += 1

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            while True:
                request = await _request(reader)
                self.requests.append(request)
                await self._answer(writer, request)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError, ssl.SSLError):
            pass  # the terminal has gone, or the test is over
        finally:
            self._tasks.discard(task)
            writer.transport.abort()


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = header(head, "Content-Length")
    return head + await reader.readexactly(int(length or 0))


def header(request: bytes, name: str) -> str | None:
    """One header of a request's bytes."""
    for line in request.split(b"\r\n\r\n")[0].decode().split("\r\n")[1:]:
        key, _, value = line.partition(":")
        if key.lower() == name.lower():
            return value.strip()
    return None


def body(request: bytes) -> bytes:
    """The body of a request's bytes."""
    return request.split(b"\r\n\r\n", 1)[1]


def response(status: int, data: bytes = b"", headers: dict[str, str] | None = None) -> bytes:
    """An answer's bytes."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(data)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + data


def saying(data: bytes) -> Answer:
    """Always the same answer."""

    async def answer(writer: asyncio.StreamWriter, request: bytes) -> None:
        writer.write(data)

    return answer


def through(head_office: HeadOffice, before: Callable[[Batch], bytes | None], terminal: str = TERMINAL) -> Answer:
    """Head office behind something that may answer a batch in its place."""

    async def answer(writer: asyncio.StreamWriter, request: bytes) -> None:
        if request.startswith(b"GET /v1/last "):
            writer.write(response(200, head_office.last_held(terminal), COSE_HEADERS))
            return
        said = before(decoded(body(request)))
        if said is None:
            said = response(200, head_office.receive(terminal, body(request)), COSE_HEADERS)
        writer.write(said)

    return answer


@contextmanager
def refusing(directory: Path, prepare: Callable[[ssl.SSLContext], None]) -> Iterator[int]:
    """A TLS server that tells by a TLS alert why it refuses a client, and takes no request. In a thread of its own,
    because an asyncio server hangs up without the alert.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "office.pem", directory / "office.key")
    context.load_verify_locations(directory / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    prepare(context)
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return  # closed: the test is over
            with suppress(OSError):
                _refuse(context, raw)

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _refuse(context: ssl.SSLContext, raw: socket.socket) -> None:
    client = context.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
    with suppress(ssl.SSLError):
        client.do_handshake()
    with socket.socket(fileno=client.detach()) as plain:
        plain.shutdown(socket.SHUT_WR)
        while plain.recv(65536):
            pass  # the alert is not overtaken by a reset


class Link:
    """A TCP link that flaps: it is cut after so many bytes, refuses what comes next, and is up again."""

    def __init__(self, target: int, cut_after: Callable[[], int]) -> None:
        self.target = target
        self.cuts = 0
        self._cut_after = cut_after
        self._left = cut_after()
        self._down = False
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen on loopback; returns the port."""
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Go away."""
        assert self._server is not None
        self._server.close()
        self._abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self._down:
            self._down = False
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        self._open |= {writer, far_writer}
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        self._open -= {writer, far_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(1024):
                self._left -= len(data)
                if self._left <= 0:
                    self._left, self._down = self._cut_after(), True
                    self.cuts += 1
                    self._abort()
                    break
                writer.write(data)
                await writer.drain()
        writer.transport.abort()

    def _abort(self) -> None:
        for writer in self._open:
            writer.transport.abort()


async def serve(keys: Keys, **options: Any) -> tuple[OfficeServer, int]:
    """The simulated head office, listening; and its port."""
    server = OfficeServer(keys.head_office(), **options)
    return server, await server.start(keys.pki)
