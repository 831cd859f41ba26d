"""Head office called in process, and everything that can go wrong on the way to it.

Laws of this file:
- A trouble is a mode that lasts; it is counted for each batch it met.
- Where a batch is lost says whether head office stored it: before, or after.
- A record head office once refused it refuses for ever.
"""

import asyncio
import hashlib
from collections import Counter
from random import Random

import cbor2

from simulators.office import HeadOffice
from simulators.office_records import Rejected
from terminal.ports import OfficeError

WAY_S = (0.02, 0.3)  # one way
LARGE = (300, 1500)  # bytes: what head office finds too large; some single records are longer than the first

DOWN = "office down"
LOST_BEFORE = "dropped before storing"
LOST_AFTER = "dropped after storing"
TOO_LARGE = "413"
BUSY = "503"
PORTAL = "portal"
WRONG_RECEIPT = "wrong receipt"
REFUSES = "refused record"
MODES = (DOWN, LOST_BEFORE, LOST_AFTER, TOO_LARGE, BUSY, PORTAL, WRONG_RECEIPT, REFUSES)


class CapriciousHeadOffice(HeadOffice):
    """Head office; while it is capricious it does not take the last record of a batch."""

    capricious = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._never: set[tuple[bytes, int]] = set()
        self._last = 0

    def receive(self, terminal: str, body: bytes) -> bytes:
        """See HeadOffice."""
        fields = cbor2.loads(body)
        self._last = fields[4] + len(fields[5]) - 1
        return super().receive(terminal, body)

    def _store(self, terminal: str, epoch: bytes, sequence: int, data: bytes) -> str | None:
        name = terminal, epoch, sequence
        if self.capricious and sequence == self._last and not self._held("records", name):
            self._never.add((epoch, sequence))
        if (epoch, sequence) not in self._never:
            return super()._store(terminal, epoch, sequence, data)
        self.counts.received += 1
        return self._aside(name, hashlib.sha256(data).digest(), cbor2.loads(data), data, "not_taken")


class OfficeInProcess:
    """The Office port: a way with its troubles, and head office at its end."""

    def __init__(self, terminal: str, head_office: CapriciousHeadOffice, random: Random, met: Counter[str]) -> None:
        self.mode: str | None = None
        self.is_cut_off = False
        self._terminal = terminal
        self._head_office = head_office
        self._random = random
        self._met = met

    async def last_held(self) -> bytes:
        """See the port."""
        await self._there()
        statement = self._head_office.last_held(self._terminal)
        await self._back()
        return statement

    async def send(self, batch: bytes) -> bytes:
        """See the port."""
        await self._there()
        if self.mode == LOST_BEFORE:
            self._meet(LOST_BEFORE)
            raise OfficeError("connection lost")
        if self.mode == TOO_LARGE and len(batch) > self._random.choice(LARGE):
            self._meet(TOO_LARGE)
            raise OfficeError("too large", too_large=True)
        receipt = self._receive(batch)
        await self._back()
        if self.mode == LOST_AFTER:
            self._meet(LOST_AFTER)
            raise OfficeError("connection lost")
        if self.mode == WRONG_RECEIPT:
            self._meet(WRONG_RECEIPT)
            return self._wrong(receipt)
        return receipt

    async def close(self) -> None:
        """Nothing is open."""

    def _receive(self, batch: bytes) -> bytes:
        office = self._head_office
        office.capricious = self.mode == REFUSES
        before = office.counts.refused
        try:
            receipt = office.receive(self._terminal, batch)
        except Rejected as error:
            raise OfficeError(f"answered {error.status}: {error}") from error
        self._met[REFUSES] += office.counts.refused - before
        return receipt

    def _wrong(self, receipt: bytes) -> bytes:
        """Of another terminal, for another batch, or with a broken signature: never one for this batch."""
        tag, fields = receipt[:1], cbor2.loads(receipt[1:])
        inside = cbor2.loads(fields[2])
        match self._random.randrange(3):
            case 0:
                return self._head_office.sign(inside | {1: "somebody else"})
            case 1:
                return self._head_office.sign(inside | {5: bytes(32)})
            case _:
                return tag + cbor2.dumps([*fields[:3], bytes(64)])

    async def _there(self) -> None:
        await asyncio.sleep(self._random.uniform(*WAY_S))
        if self.is_cut_off:
            raise OfficeError("no network")
        if self.mode == DOWN:
            self._meet(DOWN)
            raise OfficeError("no way to head office")
        if self.mode == BUSY:
            self._meet(BUSY)
            raise OfficeError("answered 503", retry_after_s=self._random.choice((None, 0.0, 20.0, 600.0)))
        if self.mode == PORTAL:
            self._meet(PORTAL)
            raise OfficeError("answered 200 without a receipt: a portal on the way?", alarm="office_portal")

    async def _back(self) -> None:
        await asyncio.sleep(self._random.uniform(*WAY_S))

    def _meet(self, trouble: str) -> None:
        self._met[trouble] += 1
