"""A seed → a whole outside: scan modules, boards, turnstiles and people, in a process of its own.

    python -m simulators.site --dir D --seed S

Laws of this file:
- It meets terminals only where hardware would: at the far end of serial lines, under D/wires.
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
from typing import IO, Any

from simulators.gate import Board, Turnstile
from simulators.people import Crowd, Visitor
from simulators.scan_module import ScanModule, Trouble
from terminal.core.model import Ref

BAUD = 115_200
ANSWER_S = 0.7  # how long a person waits for the gate before turning away
STEP_S = (0.1, 0.5)  # between two people at one lane


@dataclass
class Place:
    """One lane's outside: what it is read by, what it opens, who comes."""

    name: str
    scan: ScanModule
    turnstile: Turnstile | None
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

    def tell(self, kind: str, **what: Any) -> None:
        """One line in the events file."""
        self._events.write(json.dumps({"kind": kind, "t_ns": time.monotonic_ns(), **what}, ensure_ascii=False) + "\n")

    async def build(self) -> None:
        """Plug everything in: a bus with one board and a front door, a park with a turnstile."""
        for name, who in (("bus/front", "bus"), ("park/east", "park")):
            folder = self._wires / name
            folder.mkdir(parents=True, exist_ok=True)
            crowd = Crowd(Random(self._random.random()), account_link=self._link)
            board = Board()
            await board.serve_serial(folder / "board", BAUD)
            turnstile = Turnstile(board)
            turnstile.on_opening = self._opening(name)
            scan = ScanModule(
                folder / "scan", baud=BAUD, random=Random(self._random.random()), trouble=Trouble(noise=20, split=20)
            )
            scan.wire.plug()
            comes = crowd.bus if who == "bus" else crowd.park
            self.places.append(Place(name, scan, turnstile, board, comes, self._passage_s + 1))

    def send_home(self) -> None:
        """No more people."""
        self._stop_people.set()

    async def live(self) -> None:
        """People come until they are sent home; one plug is pulled now and then."""
        async with asyncio.TaskGroup() as tasks:
            for place in self.places:
                tasks.create_task(self._people(place, Random(self._random.random())))
            tasks.create_task(self._pull_plugs(Random(self._random.random())))

    async def close(self) -> None:
        """Unplug everything."""
        for place in self.places:
            place.scan.wire.unplug()
            await place.board.close()
        self._events.close()

    # ----------------------------------------------------------------------- people

    async def _people(self, place: Place, random: Random) -> None:
        while not self._stop_people.is_set():
            visitor = place.comes()
            await self._present(place, visitor, visitor.code(int(time.time())), random)
            await self._pause(random.uniform(*STEP_S))

    async def _present(self, place: Place, visitor: Visitor, code: bytes, random: Random) -> None:
        if not place.scan.wire.plugged:
            return
        last_byte_ns = await place.scan.show(code)
        self.tell("presented", lane=place.name, who=visitor.who, last_byte_ns=last_byte_ns)
        assert place.turnstile is not None
        opened = await place.turnstile.opens(ANSWER_S)
        if opened and place.name.startswith("park"):
            await self._walk(place, place.turnstile, visitor, random)
        if visitor.again_after_s is not None and not self._stop_people.is_set():
            await self._pause(visitor.again_after_s)
            again = visitor._replace(again_after_s=None, walks=0, who=visitor.who + " (again)")
            await self._present(place, again, code, random)

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
            place.scan.wire.unplug()
            self.tell("unplugged", lane=place.name)
            await asyncio.sleep(random.uniform(0.5, 1.0))
            place.scan.wire.plug()
            self.tell("plugged", lane=place.name)
            await self._pause(random.uniform(6.0, 14.0))

    def _opening(self, name: str) -> Callable[[int], None]:
        return lambda at_ns: self.tell("opened", lane=name, opened_ns=at_ns)


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
    print(json.dumps({"ready": True}), flush=True)
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
