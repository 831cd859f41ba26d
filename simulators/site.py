"""A seed → a whole outside: scan modules, a camera, boards, turnstiles and people, in a process of its own.

    python -m simulators.site --dir D --seed S

Laws of this file:
- It meets terminals only where hardware would: at the far end of serial lines, under D/wires, of a camera's stream, and
  of pcscd where that can run.
- It writes what happened to D/events.jsonl, one line an event, with CLOCK_MONOTONIC: who came, what opened, who walked.
- SIGUSR1 sends the people home; SIGTERM ends it. Trouble (a pulled plug, noise) comes from the seed.
"""

import argparse
import asyncio
import json
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import IO, TYPE_CHECKING, Any

from simulators import pcscd
from simulators.card_hall import CardHall
from simulators.gate import Board, Turnstile
from simulators.library_hall import LibraryHall
from simulators.people import Crowd, Visitor
from simulators.scan_module import ScanModule, Trouble
from terminal.core.model import Ref

if TYPE_CHECKING:
    from simulators.camera import Camera

BAUD = 115_200
ANSWER_S = 0.7  # how long a person waits for the gate before turning away
STEP_S = (0.1, 0.5)  # between two people at one lane
BEFORE_CAMERA_S = 1.6  # a phone is moved in, held still, and read
TWO_AT_ONCE = 8  # of a hundred before a camera hold out two phones


@dataclass
class Place:
    """One lane's outside: what it is read by, what it opens, who comes."""

    name: str
    reader: "ScanModule | Camera"
    turnstile: Turnstile
    board: Board
    comes: Callable[[], Visitor]
    gives_up_s: float  # after which the terminal annuls


class Site:
    """The outside of every lane of the demo."""

    def __init__(self, directory: Path, seed: int, account_link: Callable[[str], Ref], passage_s: float) -> None:
        self._wires = directory / "wires"
        self._random = Random(seed)
        self._link = account_link
        self._passage_s = passage_s
        self._events: IO[str] = (directory / "events.jsonl").open("a", encoding="utf-8", buffering=1)
        self._stop_people = asyncio.Event()
        self.places: list[Place] = []
        self.camera: Camera | None = None
        self.no_cards = pcscd.missing()  # why there is no card gate
        self.cards = None if self.no_cards else CardHall(directory, self.tell, Random(seed))
        self.library = LibraryHall(directory, self.tell, Random(seed))

    def tell(self, kind: str, **what: Any) -> None:
        """One line in the events file."""
        self._events.write(json.dumps({"kind": kind, "t_ns": time.monotonic_ns(), **what}, ensure_ascii=False) + "\n")

    async def build(self) -> None:
        """Plug everything in: a bus with a front door, a park with two turnstiles, one of them under a camera."""
        for name, who in (("bus/front", "bus"), ("park/east", "park")):
            scan = ScanModule(
                self._folder(name) / "scan",
                baud=BAUD,
                random=Random(self._random.random()),
                trouble=Trouble(noise=20, split=20),
            )
            scan.wire.plug()
            await self._place(name, who, scan)
        if self.cards is not None:
            await self.cards.build()
        await self.library.build()
        try:
            from simulators.camera import Camera  # OpenCV paints; without it there is no such lane
        except ImportError:
            return
        self.camera = Camera(width=640, height=480, rate=12, seed=self._random.randrange(1000))
        await self.camera.serve()
        await self._place("park/west", "park", self.camera)

    def _folder(self, name: str) -> Path:
        folder = self._wires / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    async def _place(self, name: str, who: str, reader: "ScanModule | Camera") -> None:
        crowd = Crowd(Random(self._random.random()), account_link=self._link, number=len(self.places) * 100_000)
        board = Board()
        await board.serve_serial(self._folder(name) / "board", BAUD)
        turnstile = Turnstile(board)
        turnstile.on_opening = self._opening(name)
        comes = crowd.bus if who == "bus" else crowd.park
        self.places.append(Place(name, reader, turnstile, board, comes, self._passage_s + 1))

    def send_home(self) -> None:
        """No more people."""
        self._stop_people.set()

    async def live(self) -> None:
        """People come until they are sent home; one plug is pulled now and then."""
        async with asyncio.TaskGroup() as tasks:
            for place in self.places:
                tasks.create_task(self._people(place, Random(self._random.random())))
            if self.cards is not None:
                tasks.create_task(self.cards.live(self._stop_people))
            tasks.create_task(self.library.live(self._stop_people))
            tasks.create_task(self._pull_plugs(Random(self._random.random())))

    async def close(self) -> None:
        """Unplug everything."""
        for place in self.places:
            await _unplug(place.reader)
            await place.board.close()
        if self.camera is not None:
            await self.camera.close()
        if self.cards is not None:
            await self.cards.close()
        await self.library.close()
        self._events.close()

    # ----------------------------------------------------------------------- people

    async def _people(self, place: Place, random: Random) -> None:
        while not self._stop_people.is_set():
            visitor = place.comes()
            await self._present(place, visitor, visitor.code(int(time.time())), random)
            await self._pause(random.uniform(*STEP_S))

    async def _present(self, place: Place, visitor: Visitor, code: bytes, random: Random) -> None:
        if isinstance(place.reader, ScanModule):
            if not place.reader.wire.plugged:
                return
            last_byte_ns = await place.reader.show(code)
            self.tell("presented", lane=place.name, who=visitor.who, last_byte_ns=last_byte_ns)
            opened = await place.turnstile.opens(ANSWER_S)
        else:
            opened = await self._before_camera(place, place.reader, visitor, code, random)
        if opened and place.name.startswith("park"):
            await self._walk(place, place.turnstile, visitor, random)
        if visitor.again_after_s is not None and not self._stop_people.is_set():
            await self._pause(visitor.again_after_s)
            again = visitor._replace(again_after_s=None, walks=0, who=visitor.who + " (again)")
            await self._present(place, again, code, random)

    async def _before_camera(
        self, place: Place, camera: "Camera", visitor: Visitor, code: bytes, random: Random
    ) -> bool:
        """Hold out a phone until the gate opens, or patience ends; now and then two are held out at once."""
        codes, who = [code], visitor.who
        if random.randrange(100) < TWO_AT_ONCE:
            codes, who = [code, place.comes().code(int(time.time()))], "two phones at once"
        began_ns = time.monotonic_ns()
        phone = camera.hold_out(*codes)
        self.tell("presented", lane=place.name, who=who, last_byte_ns=began_ns, camera=True)
        opened = await place.turnstile.opens(BEFORE_CAMERA_S)
        phone.leave()
        await phone.gone.wait()
        return opened

    async def _walk(self, place: Place, turnstile: Turnstile, visitor: Visitor, random: Random) -> None:
        for _ in range(0 if visitor.late else visitor.walks):
            await self._pause(random.uniform(0.3, 0.6))
            if await turnstile.walk():
                self.tell("walked", lane=place.name)
        if visitor.late or visitor.walks < max(1, turnstile.rights):
            await self._pause(place.gives_up_s)  # nobody (more) walks: the terminal annuls, the controller forgets
        if visitor.late:
            await turnstile.walk_late()
            self.tell("walked", lane=place.name, late=True)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stop_people.wait()
        except TimeoutError:
            return

    async def _pull_plugs(self, random: Random) -> None:
        await self._pause(4.0)
        while not self._stop_people.is_set():
            place = random.choice(self.places)
            await _unplug(place.reader)
            self.tell("unplugged", lane=place.name)
            await asyncio.sleep(random.uniform(0.5, 1.0))
            await _plug(place.reader)
            self.tell("plugged", lane=place.name)
            await self._pause(random.uniform(6.0, 14.0))

    def _opening(self, name: str) -> Callable[[int], None]:
        return lambda at_ns: self.tell("opened", lane=name, opened_ns=at_ns)


async def _unplug(reader: "ScanModule | Camera") -> None:
    if isinstance(reader, ScanModule):
        reader.wire.unplug()
    else:
        await reader.drop()


async def _plug(reader: "ScanModule | Camera") -> None:
    if isinstance(reader, ScanModule):
        reader.wire.plug()
    else:
        await reader.serve()


async def _main(options: argparse.Namespace) -> None:
    links = {
        name: Ref(bytes.fromhex(ref)) for name, ref in json.loads((options.dir / "people.json").read_text()).items()
    }
    site = Site(options.dir, options.seed, links.__getitem__, options.passage_s)
    await site.build()
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, site.send_home)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, site.send_home)  # Ctrl-C is the demo's affair
    socket = None if site.cards is None else str(site.cards.service.socket)
    there: dict[str, Any] = {
        "camera": site.camera.url if site.camera else None,
        "pcscd": socket,
        "no_cards": site.no_cards,
    }
    there["sip2"] = site.library.port
    print(json.dumps({"ready": True} | there), flush=True)
    living = asyncio.create_task(site.live())
    await stop.wait()
    site.send_home()
    living.cancel()
    await site.close()


def main() -> None:
    """Run the outside."""
    parser = argparse.ArgumentParser(prog="python -m simulators.site")
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--passage-s", type=float, default=6.0)
    asyncio.run(_main(parser.parse_args()))


if __name__ == "__main__":
    main()
