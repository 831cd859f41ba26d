"""A camera in the network: a loopback MJPEG server that paints phones held out to it.

    python -m simulators.camera --port 8080        # somebody comes every few seconds; open it in a browser

Laws of this file:
- It stands behind the real driver, at the far end of a real HTTP stream, and stamps what it sends by CLOCK_MONOTONIC.
- A phone moves in, trembles, and leaves; everything is drawn from one seeded Random.
- Trouble is named: a frozen picture, a dropped connection, pictures that are none.
- Nobody waits for a slow reader: it misses pictures.
"""

import argparse
import asyncio
import contextlib
import time
from collections.abc import Sequence
from random import Random

from simulators.painting import Held, Painter, Shown, coming, drawn, jpeg, trembling

BOUNDARY = "picture"
HEAD = (
    "HTTP/1.0 200 OK\r\nServer: a camera\r\nCache-Control: no-cache\r\n"
    f"Content-Type: multipart/x-mixed-replace; boundary={BOUNDARY}\r\n\r\n"
)
COMES_S, LEAVES_S = 0.4, 0.25
SIDES = ("left", "right", "below")


class Phone:
    """A phone on its way in, there, or on its way out; with two codes, two phones side by side."""

    def __init__(self, payloads: Sequence[bytes], held: Held, side: str, random: Random) -> None:
        self.payloads = payloads
        self.gone = asyncio.Event()
        self._held, self._side, self._random = held, side, random
        self._there: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._began_s = time.monotonic()
        self._left_s: float | None = None

    async def there(self) -> int:
        """When the first picture that held it whole was sent: CLOCK_MONOTONIC nanoseconds."""
        return await asyncio.shield(self._there)

    def arrive(self) -> None:
        """There with the next picture."""
        self._began_s -= COMES_S

    def leave(self) -> None:
        """Take it away."""
        self._left_s = self._left_s or time.monotonic()

    def vanish(self) -> None:
        """Gone with the next picture."""
        self._left_s = time.monotonic() - LEAVES_S

    def sent(self, at_ns: int, part: float) -> None:
        """A picture with it was sent."""
        if part >= 1.0 and not self._there.done():
            self._there.set_result(at_ns)

    def part(self, now_s: float) -> float:
        """How far in it is; below 0 when it has left."""
        if self._left_s is not None:
            return 1 - (now_s - self._left_s) / LEAVES_S
        return min(1.0, (now_s - self._began_s) / COMES_S)

    def shown(self, part: float) -> list[Shown]:
        """How it is held just now."""
        held = coming(trembling(self._held, self._random), max(0.0, part), self._side)
        apart = (len(self.payloads) - 1) / 2
        wide = held.code * 1.25
        return [Shown(payload, _moved(held, (number - apart) * wide)) for number, payload in enumerate(self.payloads)]


def _moved(held: Held, right: float) -> Held:
    return Held(**{**vars(held), "x": held.x + right})


class Camera:
    """The camera and its server."""

    def __init__(self, *, width: int = 1280, height: int = 720, rate: float = 30.0, seed: int = 0) -> None:
        self.random = Random(seed)
        self.frozen = False
        self.bad: bytes | None = None  # sent instead of pictures
        self.pictures = 0
        self.url = ""
        self._painter = Painter(width, height, seed)
        self._idle = [jpeg(self._painter.picture((), number)) for number in range(8)]
        self._rate = rate
        self._phones: list[Phone] = []
        self._latest = b""
        self._news = asyncio.Condition()
        self._clients: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._task: asyncio.Task[None] | None = None
        self._port = 0

    async def serve(self, port: int = 0) -> str:
        """Listen on loopback; returns the address."""
        self._server = await asyncio.start_server(self._client, "127.0.0.1", port or self._port)
        self._port = int(self._server.sockets[0].getsockname()[1])
        self.url = f"http://127.0.0.1:{self._port}/stream"
        if self._task is None:
            self._task = asyncio.create_task(self._film())
        return self.url

    def hold_out(
        self, *payloads: bytes, held: Held | None = None, side: str | None = None, at_once: bool = False
    ) -> Phone:
        """Somebody holds out a phone, or two at once; it moves in, or is simply there."""
        how = held or drawn(self.random)
        phone = Phone(payloads, how, side or self.random.choice(SIDES), Random(self.random.random()))
        if at_once:
            phone.arrive()
        self._phones.append(phone)
        return phone

    async def show(self, *payloads: bytes, held: Held | None = None, for_s: float = 0.8) -> int:
        """Hold out, wait, take away; when the first whole picture was sent, CLOCK_MONOTONIC nanoseconds."""
        phone = self.hold_out(*payloads, held=held)
        at_ns = await phone.there()
        await asyncio.sleep(for_s)
        phone.leave()
        await phone.gone.wait()
        return at_ns

    @property
    def watched(self) -> bool:
        """Whether anybody looks."""
        return bool(self._clients)

    async def drop(self) -> None:
        """Drop every connection and take no new one, until `serve` is called again."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for client in list(self._clients):
            client.transport.abort()
        await asyncio.sleep(0)

    async def close(self) -> None:
        """Switch it off."""
        await self.drop()
        while self._clients and self._task is not None:  # noqa: ASYNC110  # each leaves with the next picture
            await asyncio.sleep(0.01)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    # ----------------------------------------------------------------------- filming and sending

    async def _film(self) -> None:
        due_s = time.monotonic()
        while True:
            now_s = time.monotonic()
            views = [(phone, phone.part(now_s)) for phone in self._phones]
            if not self.frozen:
                shown = [one for phone, part in views for one in phone.shown(part) if part > 0]
                self._latest = self.bad or await self._picture(shown)
            async with self._news:
                self.pictures += 1
                self._news.notify_all()
            await asyncio.sleep(0)  # whoever waits for pictures sends this one now
            for phone, part in views:
                phone.sent(time.monotonic_ns(), part)
                if part <= 0 and phone._left_s is not None:
                    self._phones.remove(phone)
                    phone.gone.set()
            due_s = max(due_s + 1 / self._rate, time.monotonic() - 1 / self._rate)
            await asyncio.sleep(due_s - time.monotonic())

    async def _picture(self, shown: list[Shown]) -> bytes:
        """Painted in a thread: wires in this process keep their pace."""
        if not shown:
            return self._idle[self.pictures % len(self._idle)]
        return await asyncio.to_thread(lambda: jpeg(self._painter.picture(shown, self.pictures)))

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(HEAD.encode())
                while not writer.transport.is_closing():
                    async with self._news:
                        await self._news.wait()
                    if writer.transport.get_write_buffer_size() == 0:
                        head = (
                            f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(self._latest)}\r\n\r\n"
                        )
                        writer.write(head.encode() + self._latest + b"\r\n")
        finally:
            self._clients.discard(writer)
            writer.close()


def payloads(seed: int, count: int) -> list[bytes]:
    """As many random payloads of 64 to 400 bytes."""
    random = Random(seed)
    return [random.randbytes(random.randint(64, 400)) for _ in range(count)]


async def _riders(camera: Camera) -> None:
    from simulators.people import Crowd  # codes cost a moment to make; tests bring their own

    crowd = Crowd(camera.random)
    while True:
        await camera.show(crowd.bus().code(int(time.time())), for_s=1.5)
        await asyncio.sleep(1.5)


async def _payloads(camera: Camera, seed: int, count: int) -> None:
    """One after the other, each for a quarter of a second, beginning with the first who looks."""
    while not camera.watched:  # noqa: ASYNC110  # once
        await asyncio.sleep(0.05)
    await asyncio.sleep(2.0)
    for payload in payloads(seed, count):
        phone = camera.hold_out(payload, held=Held(code=0.7), at_once=True)
        await asyncio.sleep(0.25)
        phone.vanish()
    await asyncio.Event().wait()


async def _main(options: argparse.Namespace) -> None:
    camera = Camera(seed=options.seed)
    print(await camera.serve(options.port), flush=True)
    if options.shows == "riders":
        await _riders(camera)
    await _payloads(camera, options.seed, 0 if options.shows == "nobody" else options.count)


def main() -> None:
    """Somebody comes every few seconds, or nobody, or a row of random payloads."""
    parser = argparse.ArgumentParser(prog="python -m simulators.camera")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shows", choices=("riders", "nobody", "payloads"), default="riders")
    parser.add_argument("--count", type=int, default=200, help="how many payloads")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main(parser.parse_args()))


if __name__ == "__main__":
    main()
