"""A TCP line on loopback that meets a question with a fault.

Laws of this file:
- A question is what a driver says for the first time; said again, and "say it again" (97), belong to it.
- Each fault ends with its question or its connection.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from random import Random

from drivers.library.sip2_codec import LONGEST, is_whole

CR = b"\r"
LOGIN, RESEND, AGAIN = b"93", b"97", b"96AZFEF6\r"
CHANGES = (b"11", b"09", b"29", b"37")  # what must not be said twice on the line's own account


class ChaosLine:
    """Listens, joins each client to the target, and meets the next question with the planned fault."""

    def __init__(self, port: int, random: Random) -> None:
        self.faults: Counter[str] = Counter()
        self.random = random
        self.hung_up = 0  # connections that the system ended by itself
        self._target = port
        self._planned = ""
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

    def plan(self, fault: str) -> None:
        """What meets the next question."""
        self._planned = fault

    def on_hung_up(self) -> None:
        """The system ended a connection by itself."""
        self.hung_up += 1

    def take(self) -> str:
        """The fault of a new question."""
        fault, self._planned = self._planned, ""
        self.faults[fault] += 1
        return fault

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with suppress(OSError, asyncio.CancelledError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            try:
                await _Connection(self, writer, far_writer).live(reader, far_reader)
            finally:
                far_writer.transport.abort()
        writer.transport.abort()


class _Connection:
    """One client joined to the target."""

    def __init__(self, line: ChaosLine, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._line = line
        self.client = client
        self.server = server
        self.stale = b""  # the newest answer to the question before
        self._fault = ""
        self._said = b""  # the question
        self._times = 0  # it was said
        self._heard = 0  # answers to it
        self._last = b""  # the newest answer

    async def live(self, client: asyncio.StreamReader, server: asyncio.StreamReader) -> None:
        """Carry messages both ways until either end, or a fault, ends it."""
        ways = [self._carry(client, self._question), self._carry(server, self._answer, ended=self._line.on_hung_up)]
        tasks = [asyncio.create_task(way) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        handle: Callable[[bytes], Awaitable[bool]],
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        with suppress(OSError):
            async for message in _messages(reader):
                if not await handle(message):
                    return
            ended()

    async def _question(self, said: bytes) -> bool:
        """Carry a question; False ends the connection."""
        code = said[:2]
        if code not in (LOGIN, RESEND) and said != self._said:
            self._said, self._times, self._heard, self.stale = said, 0, 0, self._last
            self._fault = self._line.take()
        self._times += code != RESEND
        return await self._met(QUESTIONS, self._times, said, self.server)

    async def _answer(self, said: bytes) -> bool:
        """Carry an answer; False ends the connection."""
        self._heard += 1
        self._last = said
        return await self._met(ANSWERS, self._heard, said, self.client)

    async def _met(self, faults: "dict[str, Fault]", times: int, said: bytes, to: asyncio.StreamWriter) -> bool:
        fault = faults.get(self._fault)
        carried: bytes | None = said
        if fault is not None and (times == 1 or self._fault not in ONCE):
            carried = await fault(self, said)
        if carried is None:
            return False
        await send(to, carried)
        return True

    def between(self, low: int, high: int) -> int:
        """A number of this campaign's own."""
        return self._line.random.randint(low, high)

    def noise(self) -> bytes:
        """A line that is no message."""
        return b"~" + self._line.random.randbytes(self.between(1, 60)).replace(CR, b"").replace(b"\n", b"") + CR


async def _messages(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Each with its end, but for one that has none and is whole all the same."""
    rest = b""
    while data := await reader.read(4096):
        *whole, rest = (rest + data).split(CR)
        for message in whole:
            yield message.lstrip(b"\n") + CR
        if is_whole(rest):
            yield rest.lstrip(b"\n")
            rest = b""


async def send(writer: asyncio.StreamWriter, data: bytes) -> None:
    """All of it."""
    writer.write(data)
    await writer.drain()


# --------------------------------------------------------------------------- faults: what is carried; None: no more

Fault = Callable[[_Connection, bytes], Awaitable[bytes | None]]


async def _nothing(one: _Connection, said: bytes) -> bytes | None:
    return b""


async def _end(one: _Connection, said: bytes) -> bytes | None:
    return None


async def _ask_again(one: _Connection, said: bytes) -> bytes | None:
    await send(one.client, AGAIN)
    return b""


async def _cut_question(one: _Connection, said: bytes) -> bytes | None:
    await send(one.server, said[: one.between(1, len(said) - 1)])
    return None


async def _cut_answer(one: _Connection, said: bytes) -> bytes | None:
    await send(one.client, said[: one.between(1, len(said.rstrip(CR)) - 1)])
    return None


async def _damage_question(one: _Connection, said: bytes) -> bytes | None:
    return _changed(said, one.between(3, len(said) - 9), one.between(0, 6))


async def _damage_answer(one: _Connection, said: bytes) -> bytes | None:
    return _changed(said, one.between(2, len(said) - 8), one.between(0, 6))


async def _damage_trailer(one: _Connection, said: bytes) -> bytes | None:
    return _changed(said, len(said) - one.between(2, 9), one.between(0, 6))


async def _in_pieces(one: _Connection, said: bytes) -> bytes | None:
    await send(one.server, said[:20])
    await asyncio.sleep(0.005)
    return said[20:]


async def _late(one: _Connection, said: bytes) -> bytes | None:
    await asyncio.sleep(one.between(1, 20) / 1000)
    return said


async def _question_twice(one: _Connection, said: bytes) -> bytes | None:
    return said if said[:2] in CHANGES else said + said


async def _answer_twice(one: _Connection, said: bytes) -> bytes | None:
    return said + said


async def _wrong_checksum(one: _Connection, said: bytes) -> bytes | None:
    return said[:-5] + (b"0000" if said[-5:-1] != b"0000" else b"0001") + CR


async def _wrong_number(one: _Connection, said: bytes) -> bytes | None:
    """The same answer with another question's number, and a good checksum."""
    at = said.rindex(b"AY")
    body = said[: at + 2] + b"%d" % ((int(said[at + 2 : at + 3]) + 5) % 10) + b"AZ"
    return body + b"%04X" % (-sum(body) & 0xFFFF) + CR


async def _anothers(one: _Connection, said: bytes) -> bytes | None:
    return one.stale


async def _anothers_before(one: _Connection, said: bytes) -> bytes | None:
    return one.stale + said


async def _swapped(one: _Connection, said: bytes) -> bytes | None:
    return said[len(said) // 2 :] + said[: len(said) // 2] + CR


async def _garbage_before(one: _Connection, said: bytes) -> bytes | None:
    return one.noise() + said


async def _garbage(one: _Connection, said: bytes) -> bytes | None:
    return one.noise()


async def _endless(one: _Connection, said: bytes) -> bytes | None:
    return b"x" * (LONGEST + 2)


async def _drip(one: _Connection, said: bytes) -> bytes | None:
    for byte in said:
        await send(one.client, bytes((byte,)))
    return b""


def _changed(data: bytes, at: int, bit: int) -> bytes:
    """One bit differs; the end of a message is left to be one."""
    byte = data[at] ^ 1 << bit
    return data[:at] + bytes((byte if byte not in b"\r\n" else data[at] ^ 0x40,)) + data[at + 1 :]


QUESTIONS: dict[str, Fault] = {
    "question late": _late,
    "question in pieces": _in_pieces,
    "question twice": _question_twice,
    "question damaged": _damage_question,
    "asked again": _ask_again,
    "asked again for ever": _ask_again,
    "question lost": _nothing,
    "half open": _nothing,
    "closed": _end,
    "cut in a question": _cut_question,
}
ANSWERS: dict[str, Fault] = {
    "half open": _nothing,
    "answer lost": _nothing,
    "answer lost and closed": _end,
    "cut in an answer": _cut_answer,
    "answer damaged": _damage_answer,
    "trailer damaged": _damage_trailer,
    "wrong checksum": _wrong_checksum,
    "wrong number": _wrong_number,
    "another's answer": _anothers,
    "another's answer before": _anothers_before,
    "answer twice": _answer_twice,
    "pieces swapped": _swapped,
    "garbage before": _garbage_before,
    "garbage for ever": _garbage,
    "without an end": _endless,
    "dripping": _drip,
}
# Faults that a question said again, or an answer told again, does not meet once more.
ONCE = {
    "question damaged", "question twice", "asked again", "answer damaged", "trailer damaged", "wrong checksum",
    "pieces swapped",
}  # fmt: skip

ANSWERED, NO_ANSWER, CLOSED, ASKED_AGAIN, GARBLED = "answered", "no_answer", "closed", "asked_again", "garbled"
# Fault → what may come of it.
FAULTS: dict[str, set[str]] = {
    "": {ANSWERED},
    "question late": {ANSWERED},
    "question in pieces": {ANSWERED},
    "question twice": {ANSWERED},
    "question damaged": {ANSWERED},
    "asked again": {ANSWERED},
    "asked again for ever": {ASKED_AGAIN},
    "question lost": {NO_ANSWER},
    "half open": {NO_ANSWER},
    "closed": {CLOSED},
    "cut in a question": {CLOSED},
    "answer lost": {NO_ANSWER},
    "answer lost and closed": {CLOSED},
    "cut in an answer": {CLOSED},
    "answer damaged": {ANSWERED},
    "trailer damaged": {ANSWERED},
    "wrong checksum": {ANSWERED},
    "wrong number": {NO_ANSWER},
    "another's answer": {NO_ANSWER},
    "another's answer before": {ANSWERED},
    "answer twice": {ANSWERED},
    "pieces swapped": {ANSWERED},
    "garbage before": {ANSWERED},
    "garbage for ever": {GARBLED},
    "without an end": {GARBLED},
    "dripping": {ANSWERED},
}
