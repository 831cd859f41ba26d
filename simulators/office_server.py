"""Head office on the wire: HTTPS with mutual TLS, and everything a network can do to a terminal.

    python -m simulators.office_server --dir D [--port P] [--trouble N] [--seed S]
    python -m simulators.office_server --dir D --import FILE

Laws of this file:
- The terminal's name comes from its certificate; the body may only repeat it.
- Trouble comes from one seeded Random: each request may be met by one kind of it, `--trouble` times in a hundred.
- It prints one line of JSON when it is ready, and ends on SIGTERM.
"""

import argparse
import asyncio
import json
import signal
import ssl
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

import zstandard
from aiohttp import web

from simulators.office import HeadOffice
from simulators.office_records import Rejected, terminal_of
from simulators.pki import load_office_keys
from terminal.core.batch import iter_export

LONGEST_BATCH = 4 << 20
CBOR, COSE = "application/cbor", "application/cose"
TROUBLES = (
    "drop before storing", "drop after storing", "too large", "busy", "busy, odd wait", "redirect", "portal",
    "no content", "truncated receipt", "receipt of another", "bad signature", "slow",
)  # fmt: skip


class OfficeServer:
    """The HTTP face of a HeadOffice."""

    def __init__(
        self, office: HeadOffice, *, trouble: int = 0, random: Random | None = None, zstd: bool = True
    ) -> None:
        self.office = office
        self.trouble = trouble
        self.troubles: Counter[str] = Counter()
        self.next_trouble: str | None = None  # for tests: what the next request meets
        self.meets: Callable[[], str | None] = self._meets  # what a batch meets
        self._random = random or Random(0)
        self._zstd = zstd
        self._runner: web.AppRunner | None = None

    async def start(self, pki: Path, port: int = 0, certificate: str = "office") -> int:
        """Listen on loopback with mutual TLS; returns the port."""
        app = web.Application(client_max_size=LONGEST_BATCH)
        app.router.add_get("/v1/last", self._last)
        app.router.add_post("/v1/batches", self._batches)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5, auto_decompress=False)
        await self._runner.setup()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(pki / f"{certificate}.pem", pki / f"{certificate}.key")
        context.load_verify_locations(pki / "ca.pem")
        if (pki / "ca.crl").exists():
            context.load_verify_locations(pki / "ca.crl")
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        context.verify_mode = ssl.CERT_REQUIRED
        site = web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=context)
        await site.start()
        assert site._server is not None
        bound: int = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]  # asyncio.Server
        return bound

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    # ----------------------------------------------------------------------- handlers

    async def _last(self, request: web.Request) -> web.StreamResponse:
        return self._reply(self.office.last_held(_terminal(request)))

    async def _batches(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        trouble = self.meets()
        if trouble is not None:
            self.troubles[trouble] += 1
        early = _BEFORE.get(trouble or "")
        if early is not None:
            return await early(request)
        try:
            receipt = self.office.receive(_terminal(request), self._decoded(request, body))
        except Rejected as rejected:
            raise _status(rejected) from rejected
        late = _AFTER.get(trouble or "")
        return await late(request, receipt) if late is not None else self._reply(receipt)

    def _decoded(self, request: web.Request, body: bytes) -> bytes:
        coding = request.headers.get("Content-Encoding", "identity")
        if request.content_type != CBOR or coding not in ("identity", "zstd" if self._zstd else "identity"):
            raise Rejected(415, f"{request.content_type} in {coding} is not understood here")
        return body if coding == "identity" else _unpacked(body)

    def _reply(self, body: bytes) -> web.Response:
        headers = {"Accept-Encoding": "zstd"} if self._zstd else {}
        return web.Response(body=body, content_type=COSE, headers=headers)

    def _meets(self) -> str | None:
        trouble = self.next_trouble
        self.next_trouble = None
        if trouble is None and self._random.randrange(100) < self.trouble:
            trouble = self._random.choice(TROUBLES)
        return trouble


def _unpacked(body: bytes) -> bytes:
    """What a zstd body holds, never more than LONGEST_BATCH in memory, whatever its header claims."""
    try:
        with zstandard.ZstdDecompressor(max_window_size=LONGEST_BATCH * 2).stream_reader(body) as reader:
            data = reader.read(LONGEST_BATCH + 1)
    except zstandard.ZstdError as error:
        raise Rejected(400, f"not zstd: {error}") from error
    if len(data) > LONGEST_BATCH:
        raise Rejected(413, "the batch is too large")
    return data


def _terminal(request: web.Request) -> str:
    """The common name of the client's certificate."""
    assert request.transport is not None
    certificate = request.transport.get_extra_info("peercert") or {}
    names = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    if len(names) != 1:
        raise web.HTTPForbidden
    return str(names[0])


def _status(rejected: Rejected) -> web.HTTPException:
    kinds: dict[int, type[web.HTTPException]] = {
        400: web.HTTPBadRequest,
        403: web.HTTPForbidden,
        415: web.HTTPUnsupportedMediaType,
    }
    if rejected.status == 413:
        return web.HTTPRequestEntityTooLarge(max_size=LONGEST_BATCH, actual_size=LONGEST_BATCH + 1)
    return kinds[rejected.status](text=str(rejected))


# --------------------------------------------------------------------------- trouble


async def _drop(request: web.Request, receipt: bytes = b"") -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    raise asyncio.CancelledError


async def _too_large(request: web.Request) -> web.StreamResponse:
    raise web.HTTPRequestEntityTooLarge(max_size=1, actual_size=2)


async def _busy(request: web.Request) -> web.StreamResponse:
    raise web.HTTPServiceUnavailable(headers={"Retry-After": "0"})


async def _busy_oddly(request: web.Request) -> web.StreamResponse:
    raise web.HTTPTooManyRequests(headers={"Retry-After": "-1"})


async def _redirect(request: web.Request) -> web.StreamResponse:
    raise web.HTTPTemporaryRedirect("http://127.0.0.1:9/elsewhere")


async def _portal(request: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>Please sign in to the network</html>", content_type="text/html")


async def _no_content(request: web.Request) -> web.StreamResponse:
    return web.Response(status=204)


async def _truncated(request: web.Request, receipt: bytes) -> web.StreamResponse:
    return web.Response(body=receipt[: len(receipt) // 2], content_type=COSE)


async def _of_another(request: web.Request, receipt: bytes) -> web.StreamResponse:
    return web.Response(
        body=receipt.replace(_terminal(request).encode(), b"x" * len(_terminal(request))),
        content_type=COSE,
    )


async def _bad_signature(request: web.Request, receipt: bytes) -> web.StreamResponse:
    return web.Response(body=receipt[:-1] + bytes((receipt[-1] ^ 1,)), content_type=COSE)


async def _slow(request: web.Request, receipt: bytes) -> web.StreamResponse:
    await asyncio.sleep(1.0)
    return web.Response(body=receipt, content_type=COSE)


_BEFORE: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {
    "drop before storing": _drop,
    "too large": _too_large,
    "busy": _busy,
    "busy, odd wait": _busy_oddly,
    "redirect": _redirect,
    "portal": _portal,
    "no content": _no_content,
}
_AFTER: dict[str, Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]] = {
    "drop after storing": _drop,
    "truncated receipt": _truncated,
    "receipt of another": _of_another,
    "bad signature": _bad_signature,
    "slow": _slow,
}


# --------------------------------------------------------------------------- as a process


async def _serve(options: argparse.Namespace, office: HeadOffice) -> None:
    server = OfficeServer(office, trouble=options.trouble, random=Random(options.seed))
    port = await server.start(options.dir / "pki", options.port)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    print(json.dumps({"ready": True, "port": port}), flush=True)
    status = options.dir / "office.json"
    while not stop.is_set():
        office.audit(limit=3)
        part = status.with_suffix(".part")
        part.write_text(json.dumps({**office.status(), "troubles": server.troubles}))
        part.replace(status)
        try:
            async with asyncio.timeout(0.25):
                await stop.wait()
        except TimeoutError:
            continue
    await server.stop()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def main() -> None:
    """Run head office, or import an export file into it."""
    parser = argparse.ArgumentParser(prog="python -m simulators.office_server")
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--trouble", type=int, default=0, help="of a hundred requests, how many meet trouble")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--import", dest="file", type=Path, help="take an export file instead of listening")
    options = parser.parse_args()
    receipt_key, sealing_key = load_office_keys(options.dir / "office-keys")
    office = HeadOffice(options.dir / "office.db", receipt_key, sealing_key, now_ms=_now_ms)
    if options.file is not None:
        try:
            print(json.dumps(import_file(office, options.file.read_bytes())))
        except (OSError, ValueError, Rejected) as error:
            sys.exit(f"office_server: {options.file}: {error}")
        return
    asyncio.run(_serve(options, office))


def import_file(office: HeadOffice, data: bytes) -> dict[str, int]:
    """Take every batch of an export file; the receipts stay here, for nobody is there to take them.

    Raises ValueError for what is no export file, Rejected for what is no batch in it.
    """
    for body in iter_export(data):
        office.receive(terminal_of(body), body)
    return vars(office.counts)


if __name__ == "__main__":
    main()
