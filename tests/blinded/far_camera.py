"""The simulated camera in a process of its own, told by lines what is held out: whoever measures itself paints nothing.

    python -m tests.blinded.far_camera          # the camera's end: JSON lines on its standard input and output

Laws of this file:
- Painting takes tens of megabytes, on threads that come one by one, each with a heap of its own: beside it nobody can
  tell whether a daemon grows.
- It ends with its standard input.
"""

import asyncio
import json
import sys
from dataclasses import asdict
from typing import Any

from simulators.camera import Camera, Phone
from simulators.painting import Held


class FarPhone:
    """A phone that is held out over there."""

    def __init__(self, camera: "FarCamera", number: int) -> None:
        self.gone = asyncio.Event()
        self._camera, self._number = camera, number

    def leave(self) -> None:
        """Take it away."""
        self._camera.tell({"do": "leave", "phone": self._number})

    def vanish(self) -> None:
        """Gone with the next picture."""
        self._camera.tell({"do": "vanish", "phone": self._number})


class FarCamera:
    """This end of it."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.url = url
        self._process = process
        self._phones: dict[int, FarPhone] = {}
        self._hearing = asyncio.create_task(self._hear())

    @classmethod
    async def begin(cls, *, width: int, height: int, rate: float, seed: int) -> "FarCamera":
        """Switch one on."""
        options = json.dumps({"width": width, "height": height, "rate": rate, "seed": seed})
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.blinded.far_camera", options,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        return cls(process, (await process.stdout.readline()).decode().strip())

    def hold_out(self, *payloads: bytes, held: Held, at_once: bool = False) -> FarPhone:
        """See the camera."""
        number = len(self._phones)
        self._phones[number] = phone = FarPhone(self, number)
        shown = [payload.hex() for payload in payloads]
        self.tell({"do": "hold_out", "phone": number, "payloads": shown, "held": asdict(held), "at_once": at_once})
        return phone

    def tell(self, what: dict[str, Any]) -> None:
        """One line."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what).encode() + b"\n")

    async def close(self) -> None:
        """Switch it off."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        await self._hearing

    async def _hear(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            self._phones[int(line)].gone.set()


async def _serve(options: dict[str, Any]) -> None:
    camera, phones = Camera(**options), dict[int, Phone]()
    print(await camera.serve(), flush=True)
    stdin = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    gone: set[asyncio.Task[None]] = set()
    while line := await stdin.readline():
        asked = json.loads(line)
        if asked["do"] == "hold_out":
            payloads = [bytes.fromhex(one) for one in asked["payloads"]]
            phone = camera.hold_out(*payloads, held=Held(**asked["held"]), at_once=asked["at_once"])
            phones[asked["phone"]] = phone
            gone.add(asyncio.create_task(_say_gone(asked["phone"], phone)))
        else:
            getattr(phones[asked["phone"]], asked["do"])()
    for task in gone:
        task.cancel()
    await camera.close()


async def _say_gone(number: int, phone: Phone) -> None:
    await phone.gone.wait()
    print(number, flush=True)


if __name__ == "__main__":
    asyncio.run(_serve(json.loads(sys.argv[1])))
