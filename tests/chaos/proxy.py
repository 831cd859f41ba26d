"""A TCP link on loopback that breaks in every way a link can.

Laws of this file:
- It sees bytes, not messages: what comes from the client after something went to it begins a *turn* (a hello, a
  request); each turn may be met by one fault, drawn from one seeded Random.
- Every fault is bounded in time and ends with its connection or its turn.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from random import Random

FAULTS = (
    "refused", "delayed", "cut in a request", "request byte changed", "request sent twice", "answer lost",
    "cut in an answer", "answer byte changed", "answer dripping", "half open",
)  # fmt: skip
LONGEST_S = 2.0  # a fault that holds a connection lets go of it then


class ChaosProxy:
    """Listens, joins each client to the target, and meets some turns with a fault."""

    def __init__(self, target: Callable[[], int], random: Random, percent: int) -> None:
        self.faults: Counter[str] = Counter(dict.fromkeys(FAULTS, 0))
        self.turns = 0
        self._target = target
        self._random = random
        self._percent = percent
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen; the port."""
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Stop listening, cut what is open."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def draw(self) -> str:
        """The fault of a new turn; "" for none."""
        self.turns += 1
        if self._random.randrange(100) >= self._percent:
            return ""
        kind = self._random.choice(FAULTS)
        self.faults[kind] += 1
        return kind

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with suppress(OSError, asyncio.CancelledError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target())
            connection = _Connection(self, self._random, writer, far_writer)
            await connection.live(reader, far_reader)
        writer.transport.abort()


class _Connection:
    """One client joined to the target."""

    def __init__(
        self, proxy: ChaosProxy, random: Random, client: asyncio.StreamWriter, server: asyncio.StreamWriter
    ) -> None:
        self._proxy = proxy
        self._random = random
        self._client = client
        self._server = server
        self._clients_turn = False
        self._fault = ""  # of this turn

    async def live(self, client: asyncio.StreamReader, server: asyncio.StreamReader) -> None:
        """Carry bytes both ways until either end, or a fault, ends it."""
        ways = [asyncio.create_task(self._requests(client)), asyncio.create_task(self._answers(server))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._client.transport.abort()
            self._server.transport.abort()

    async def _requests(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(65536):
            if not self._clients_turn:
                self._clients_turn, self._fault = True, self._proxy.draw()
            if not await self._request(data):
                return

    async def _request(self, data: bytes) -> bool:
        """Carry a piece of a request; False ends the connection."""
        match self._fault:
            case "refused":
                return False
            case "delayed":
                self._fault = ""
                await asyncio.sleep(self._random.uniform(0.01, 0.1))
            case "cut in a request":
                await _send(self._server, data[: self._random.randrange(len(data))])
                return False
            case "request byte changed":
                self._fault, data = "", _changed(data, self._random)
            case "request sent twice":
                self._fault, data = "", data + data
            case "half open":
                await asyncio.sleep(LONGEST_S)
                return False
        await _send(self._server, data)
        return True

    async def _answers(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(65536):
            self._clients_turn = False
            if not await self._answer(data):
                return

    async def _answer(self, data: bytes) -> bool:
        """Carry a piece of an answer; False ends the connection."""
        match self._fault:
            case "answer lost":
                return False
            case "cut in an answer":
                await _send(self._client, data[: self._random.randrange(len(data))])
                return False
            case "answer byte changed":
                self._fault, data = "", _changed(data, self._random)
            case "answer dripping":
                return await self._drip(data)
        await _send(self._client, data)
        return True

    async def _drip(self, data: bytes) -> bool:
        """A byte now and then, as long as the client bears it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_S):
                for byte in data:
                    await _send(self._client, bytes((byte,)))
                    await asyncio.sleep(0.02)
        return False


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


def _changed(data: bytes, random: Random) -> bytes:
    place = random.randrange(len(data))
    return data[:place] + bytes((data[place] ^ 1 << random.randrange(8),)) + data[place + 1 :]
