"""Head office over HTTPS (docs/upload.openapi.yaml).

Laws of this file:
- Only the pinned CA is trusted, and we show our own certificate; before head office has proved itself, no byte of
  payload leaves.
- Redirects are not followed, cookies not kept, proxies of the environment not used, replies bounded in bytes and time.
- A 200 is not a receipt: only its body, verified by the uploader, is. A portal's page is told as such.
- Every failure becomes an OfficeError; certificate troubles each name their own alarm.
- Batches are compressed once head office has said that it understands zstd, and never again once it refused one.
"""

import asyncio
import email.utils
import re
import ssl
from datetime import UTC
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp

from terminal.core.batch import LONGEST_RECEIPT
from terminal.core.model import Value
from terminal.ports import Clock, DeviceError, Office, OfficeError

try:
    import zstandard
except ImportError:  # an extra: without it batches go as they are
    zstandard = None  # type: ignore[assignment]  # the module is optional

COSE = "application/cose"
CBOR = "application/cbor"
# X509_V_ERR_* of openssl/x509_vfy.h → our alarm
CERTIFICATE_ALARMS = {
    9: "office_certificate_not_yet_valid",
    10: "office_certificate_expired",
    62: "office_certificate_wrong_name",
    64: "office_certificate_wrong_name",
}
# What a server says in TLS when it does not take our certificate (RFC 8446, 6.2), as OpenSSL words it.
REFUSED_IN_TLS = re.compile(
    "ALERT_(CERTIFICATE_REQUIRED|UNKNOWN_CA|ACCESS_DENIED|(BAD|REVOKED|EXPIRED|UNKNOWN|UNSUPPORTED)_CERTIFICATE"
    "|CERTIFICATE_(REVOKED|EXPIRED|UNKNOWN))"
)


class Settings(Value, frozen=True):
    """`[office]` with `driver = "office.https"`."""

    url: str  # https://host:port
    ca: str  # PEM of the CA that signed head office's certificate
    certificate: str  # our own, PEM; its common name is the terminal id
    key: str
    connect_s: float = 5.0
    total_s: float = 20.0


def open(settings: Settings, clock: Clock) -> Office:
    """A connection to head office; made when first needed. Raises DeviceError for unusable certificates."""
    return HttpsOffice(settings, clock)


class HttpsOffice:
    """The Office port over HTTPS."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        if not settings.url.startswith("https://"):
            raise DeviceError(f"{settings.url} is not https", hint="head office is spoken to over TLS only")
        self._settings = settings
        self._clock = clock
        self._base = settings.url.rstrip("/")
        self._context = _context(settings)
        self._session: aiohttp.ClientSession | None = None
        self._zstd = False  # until head office says it understands it
        self._zstd_refused = False

    async def last_held(self) -> bytes:
        """See the port."""
        return await self._request("GET", "/v1/last", None)

    async def send(self, batch: bytes) -> bytes:
        """See the port."""
        return await self._request("POST", "/v1/batches", batch)

    async def close(self) -> None:
        """See the port."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    # ----------------------------------------------------------------------- one request

    async def _request(self, method: str, path: str, body: bytes | None) -> bytes:
        headers = {"Accept": COSE, "Accept-Encoding": "identity"}
        if body is not None:
            headers["Content-Type"] = CBOR
            if self._zstd:
                body = zstandard.ZstdCompressor(level=3).compress(body)
                headers["Content-Encoding"] = "zstd"
        try:
            session = self._open_session()
            async with session.request(
                method, self._base + path, data=body, headers=headers, allow_redirects=False
            ) as response:
                return await self._answer(response, zstd="Content-Encoding" in headers)
        except aiohttp.ClientConnectorCertificateError as error:
            raise _certificate_error(error.certificate_error) from error
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _network_error(error) from error

    async def _answer(self, response: aiohttp.ClientResponse, *, zstd: bool) -> bytes:
        status = response.status
        self._zstd_refused |= zstd and status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        announced = zstandard is not None and announces_zstd(response.headers.get("Accept-Encoding", ""))
        self._zstd = announced and not self._zstd_refused
        if status == HTTPStatus.OK and response.content_type == COSE:
            return await _bounded(response)
        retry_after_s = parse_retry_after(response.headers.get("Retry-After"), self._clock.read().utc_ms / 1000)
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise OfficeError("the batch is too large", too_large=True)
        if status in (HTTPStatus.OK, HTTPStatus.NO_CONTENT) or 300 <= status < 400:
            raise OfficeError(f"answered {status} without a receipt: a portal on the way?", alarm="office_portal")
        alarm = "office_refuses_us" if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) else None
        raise OfficeError(f"answered {status}", retry_after_s=retry_after_s, alarm=alarm)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            s = self._settings
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._context, limit=1, use_dns_cache=False),
                timeout=aiohttp.ClientTimeout(total=s.total_s, sock_connect=s.connect_s, sock_read=s.connect_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                max_line_size=8190,
                max_field_size=8190,
            )
        return self._session


def parse_retry_after(text: str | None, now_s: float) -> float | None:
    """Seconds from now of a Retry-After header (RFC 9110, 10.2.3), given in seconds or as a date; None for rubbish."""
    if text is None:
        return None
    if re.fullmatch(r"[ \t]*-?[0-9]+[ \t]*", text):
        return float(text)
    try:
        date = email.utils.parsedate_to_datetime(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now_s
    except (ValueError, TypeError, OverflowError):
        return None


def announces_zstd(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding of an answer (RFC 9110, 12.5.3) takes requests in zstd."""
    for item in accept_encoding.lower().split(","):
        coding, *parameters = item.replace(" ", "").split(";")
        if coding == "zstd":
            return not any(re.fullmatch(r"q=0(\.0*)?", parameter) for parameter in parameters)
    return False


def _context(settings: Settings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(Path(settings.ca))
        context.load_cert_chain(settings.certificate, settings.key)
    except (OSError, ssl.SSLError) as error:
        hint = f"look at {settings.ca}, {settings.certificate} and {settings.key}: there, readable, PEM, and matching?"
        raise DeviceError(f"certificates for head office: {error}", hint=hint) from error
    return context


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_chunked(8192):
        body += piece
        if len(body) > LONGEST_RECEIPT:
            raise OfficeError("an answer without end", alarm="office_portal")
    return bytes(body)


def _certificate_error(error: Exception) -> OfficeError:
    code = getattr(error, "verify_code", 0)
    alarm = CERTIFICATE_ALARMS.get(code, "office_certificate_wrong_ca")
    return OfficeError(f"head office's certificate: {getattr(error, 'verify_message', error)}", alarm=alarm)


def _network_error(error: Exception) -> OfficeError:
    tls = next((one for one in (error, error.__cause__) if isinstance(one, ssl.SSLError)), None)
    if tls is not None and REFUSED_IN_TLS.search(str(tls)):
        return OfficeError(f"head office does not take our certificate: {tls}", alarm="office_refuses_us")
    if tls is not None or isinstance(error, aiohttp.ClientSSLError):
        return OfficeError(f"TLS: {error}", alarm="office_tls")
    what: Any = "no answer in time" if isinstance(error, asyncio.TimeoutError) else error
    return OfficeError(f"{type(error).__name__}: {what}")
