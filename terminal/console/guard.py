"""Who may ask, and what a page may do.

Laws of this file:
- A request names this very place as its Host, or is not answered: another site's page cannot rebind its name to us.
- What changes something comes from our own page: same Origin, and the token only that page holds. No cookies.
- A page loads nothing from elsewhere, runs no inline script and stands in no frame.
- Connections are counted: the newest is refused while the house is full, and one that says nothing is let go.
"""

import asyncio
import hmac
import secrets
from collections.abc import Awaitable, Callable
from weakref import WeakSet

from aiohttp import web

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "terminal",
}
TOKEN_HEADER = "X-Page-Token"
LOCAL = ("127.0.0.1", "localhost", "[::1]")
READS = ("GET", "HEAD")
MOST_CONNECTIONS = 48
HTTP = 80  # browsers leave this port out
MUTE_S = 5.0  # a connection that has asked nothing for so long is let go

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Guard:
    """The rules of one console."""

    def __init__(self, names: tuple[str, ...] = ()) -> None:
        self.token = secrets.token_urlsafe(24)
        self._names = names
        self._hosts: frozenset[str] = frozenset()
        self.spoken: WeakSet[asyncio.BaseTransport] = WeakSet()  # connections that have asked something

    def bound(self, port: int) -> None:
        """The port is known: what a Host may be."""
        names = (*LOCAL, *self._names)
        self._hosts = frozenset(f"{name}:{port}" for name in names) | frozenset(names if port == HTTP else ())

    def is_here(self, host: str) -> bool:
        """Whether a Host header means us."""
        return host.lower() in self._hosts

    def is_ours(self, origin: str) -> bool:
        """Whether an Origin header is one of our own pages."""
        return origin.startswith("http://") and self.is_here(origin.removeprefix("http://"))

    def refusal(self, request: web.Request) -> str | None:
        """Why a request is not answered; None: it is."""
        hosts = request.headers.getall("Host", [])
        if len(hosts) != 1 or not self.is_here(hosts[0]):
            return "this name is not mine"
        origins = request.headers.getall("Origin", [])
        if any(not self.is_ours(origin) for origin in origins):
            return "not from my page"
        if request.method in READS:
            return None
        if not origins or request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            return "not from my page"
        if not hmac.compare_digest(request.headers.get(TOKEN_HEADER, "").encode(), self.token.encode()):
            return "this page is an old one"
        return None

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse before anything is looked at, and put the headers on every answer."""
        if request.transport is not None:
            self.spoken.add(request.transport)
        why = self.refusal(request)
        if why is not None:
            return web.Response(status=403, text=why, headers=HEADERS)
        try:
            response = await handler(request)
        except web.HTTPException as answer:  # not found, not allowed, too large
            answer.headers.update(HEADERS)
            raise
        if not response.prepared:
            response.headers.update(HEADERS)
        return response


class Refuse(asyncio.Protocol):
    """What a connection gets while the house is full."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close without a word: an answer would need a request first."""
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


class Doorkeeper:
    """Makes the protocols of new connections, so many at once."""

    def __init__(self, server: web.Server, guard: Guard) -> None:
        self._server = server
        self._guard = guard
        self._mute: WeakSet[asyncio.Transport] = WeakSet()  # had asked nothing when last looked at

    def __call__(self) -> asyncio.BaseProtocol:
        """The protocol of one new connection."""
        return Refuse() if len(self._server.connections) >= MOST_CONNECTIONS else self._server()

    async def let_mute_ones_go(self) -> None:
        """For ever: whoever has asked nothing between two looks is let go."""
        while True:
            await asyncio.sleep(MUTE_S)
            lines = [one.transport for one in self._server.connections if one.transport is not None]
            mute = [line for line in lines if line not in self._guard.spoken]
            for line in mute:
                if line in self._mute:
                    line.abort()
            self._mute = WeakSet(mute)
