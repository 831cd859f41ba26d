"""python -m benchmarks.card_far_end DIRECTORY MS: two pcscd, cards and secure modules before them, in one process.

Laws of this file:
- Side 0 is the terminal's, side 1 the straight-line script's; both get the same cards and modules, in the same order.
- Every command of a card or a module takes MS milliseconds, kept here; what was really spent is told with the commands.
- One JSON object a line: {"insert": side, "kind": "purchase" or "ssc", "name": …}, then {"remove": side}.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from simulators.card_issuer import CardIssuer
from simulators.pcscd import Pcscd
from simulators.virtual_reader import Insertable, VirtualSlot

NOTICED_S = 0.5  # pcscd looks every 0.4 s


class Side:
    """One pcscd with a card's slot and a module's."""

    def __init__(self, directory: Path, delay_s: float) -> None:
        self.commands: list[tuple[int, str]] = []
        self.busy_s = 0.0
        self.service = Pcscd(directory)
        self.service.start()
        self._delay_s = delay_s
        self._card, self._module = TimedSlot(self, 0), TimedSlot(self, 1)
        module = CardIssuer().module()
        module.delay_s = delay_s
        self._module.insert(module)

    def insert(self, kind: str, name: str) -> None:
        """A new card."""
        self.commands, self.busy_s = [], 0.0
        issuer = CardIssuer()
        application = issuer.purse(name) if kind == "purchase" else issuer.social_security(name)
        card = issuer.card(name, application)
        card.delay_s = self._delay_s
        self._card.insert(card)

    async def remove(self) -> dict[str, Any]:
        """Take it away; what was said, and how long cards and module took."""
        await self._card.remove()
        told = {"commands": self.commands, "busy_ms": self.busy_s * 1000}
        await asyncio.sleep(NOTICED_S)
        return told


class TimedSlot(VirtualSlot):
    """A slot that writes down what is said."""

    def __init__(self, side: Side, number: int) -> None:
        super().__init__(side.service, number)
        self._side = side

    async def _answer(self, body: bytes, card: Insertable, atr: bytes) -> bytes | None:
        began_s = time.perf_counter()
        answer = await super()._answer(body, card, atr)
        if len(body) > 1 and body[0] != 0xFF:
            self._side.commands.append((self._number, body.hex()))
            self._side.busy_s += time.perf_counter() - began_s
        return answer


async def _main(directory: Path, delay_s: float) -> None:
    sides = [Side(directory / f"side-{number}", delay_s) for number in range(2)]
    await asyncio.sleep(NOTICED_S)
    print(json.dumps([str(side.service.socket) for side in sides]), flush=True)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        wish = json.loads(line)
        if "insert" in wish:
            sides[wish["insert"]].insert(wish["kind"], wish["name"])
            print("{}", flush=True)
        else:
            print(json.dumps(await sides[wish["remove"]].remove()), flush=True)
    for side in sides:
        side.service.stop()


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), float(sys.argv[2]) / 1000))
