"""The library systems a campaign meets, and what each of them lent.

Laws of this file:
- What was lent is told by the system itself, where it lends: it is not asked through the line.
- What a system does otherwise than the table of faults is written beside its name, with the reason.
"""

import asyncio
import subprocess
from collections import Counter
from pathlib import Path
from typing import NamedTuple, Protocol

from drivers.library import sip2
from simulators.library import Copy, Dialect, Library
from tests import peers
from tests.library_chaos.line import ANSWERED, NO_ANSWER
from tests.waiting import until

COPIES = 5000
READERS = ("R1", "R2", "R3")


class End(Protocol):
    """One library system."""

    async def start(self) -> int:
        """Listen on loopback; the port."""

    async def stop(self) -> Counter[str]:
        """End, and tell how often each copy was lent."""


class Pretend:
    """The simulator; it listens in this process."""

    def __init__(self, dialect: Dialect | None = None) -> None:
        self._lent: Counter[str] = Counter()
        self._library = _Counting(self._lent, dialect)

    async def start(self) -> int:
        """See End."""
        await self._library.start()
        return self._library.port

    async def stop(self) -> Counter[str]:
        """See End."""
        await self._library.stop()
        await until(lambda: not self._library._lines)
        return self._lent


class _Counting(Library):
    def __init__(self, lent: Counter[str], dialect: Dialect | None) -> None:
        super().__init__(dialect)
        self.readers = dict.fromkeys(READERS, "must not be kept")
        self.copies = {f"L{number}": Copy(f"Book {number}") for number in range(COPIES)}
        self._lent = lent

    def _on_11(self, fixed: str, fields: dict[str, str]) -> tuple[str, str]:
        answer = super()._on_11(fixed, fields)
        self._lent[fields["AB"]] += answer[0].startswith("121") and fields.get("BI") != "Y"
        return answer


class SomebodyElses:
    """A server that others wrote, in a process and an environment of its own."""

    def __init__(self, environment: str, script: str, *arguments: str) -> None:
        self._environment = environment
        self._command = [str(Path(peers.__file__).parent / script), *arguments]
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> int:
        """See End."""
        python = await asyncio.to_thread(peers.environment, self._environment)
        self._process = subprocess.Popen(
            [str(python), *self._command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._process.stdout is not None
        return int(await asyncio.to_thread(self._process.stdout.readline))

    async def stop(self) -> Counter[str]:
        """See End."""
        assert self._process is not None and self._process.stdout is not None
        self._process.kill()
        said = await asyncio.to_thread(self._process.stdout.read)
        peers.end(self._process)
        return Counter(line.split()[1].decode() for line in said.splitlines() if line.startswith(b"lent "))


class System(NamedTuple):
    """How one is begun and met. `otherwise`: fault → what may come of it here; without anything, it is left out."""

    end: End
    settings: sip2.Settings
    otherwise: dict[str, set[str]]


LOGIN = sip2.Settings(host="127.0.0.1", login_user="kiosk", login_password="secret", institution="city")
# Nothing in these answers says whether they are whole, or whose they are but the book and the reader: where two in a
# row name the same, or nothing, an answer to the first is one to the second.
UNCHECKED: dict[str, set[str]] = {
    "answer damaged": set(), "trailer damaged": set(), "wrong checksum": set(), "wrong number": set(),
    "pieces swapped": set(), "another's answer": {ANSWERED, NO_ANSWER},
}  # fmt: skip
# It takes what one read of its socket gives for one message. A question in pieces, two at once, or half of one end its
# process; two wishes to hear an answer again may be one. It obeys a question whose checksum is wrong: a damaged loan is
# somebody else's.
ONE_READ: dict[str, set[str]] = {
    "question in pieces": set(), "question twice": set(), "cut in a question": set(), "question damaged": set(),
    "pieces swapped": {ANSWERED, NO_ANSWER},
}  # fmt: skip


def system(name: str) -> System:
    """A library system by name."""
    plain = sip2.Settings(host="127.0.0.1")
    match name:
        case "pretend":
            return System(Pretend(), plain, {})
        case "unchecked":
            return System(Pretend(Dialect(checks=False)), plain, UNCHECKED)
        case "pysip2":
            return System(SomebodyElses("sip2", "sip2_server.py"), plain, {})
        case "invenio":
            return System(SomebodyElses("invenio-sip2", "invenio_sip2_server.py", "utf-8"), LOGIN, ONE_READ)
    raise LookupError(name)


NAMES = ("pretend", "unchecked", "pysip2", "invenio")
