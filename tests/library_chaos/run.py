"""Ask questions through chaos and say what came of them.

    python -m tests.library_chaos --requests 1000                          # of each library system
    python -m tests.library_chaos --requests 100 --system pretend --plant "numbers ignored"    # must be noticed

Laws of this file:
- The last line is one JSON object, by system: requests, faults by kind, what came of them, loans, and what is wrong.
- It exits with 1 if an answer was another question's, if a silence had the wrong name, if a copy was lent twice or a
  loan not at all, or if a kind of fault never came.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from typing import Any
from unittest import mock

import msgspec

from drivers.clock import SystemClock
from drivers.library import sip2
from terminal.core.library import Loan, Patron, ReaderNumber, Silence
from terminal.core.loans import Circulation, Fate, Waiting
from terminal.core.model import EntryName, Instant, TimeSource
from terminal.core.services.loan_replay import End, Record, Trying, replay
from terminal.core.visit import Heard
from terminal.ports import LibraryError
from terminal.runtime.library_link import LibraryLink
from tests.library_chaos.ends import NAMES, READERS, system
from tests.library_chaos.line import ANSWERED, CLOSED, FAULTS, NO_ANSWER, ChaosLine

AT = Instant(utc_ms=1_800_000_000_000, uncertainty_ms=0, source=TimeSource.SYSTEM, monotonic_ns=0)
# How long is waited where an answer comes, however busy the machine is; where it may come; and where none will.
PATIENT_S, FAIR_S, HASTY_S = 20.0, 0.5, 0.06
PERCENT = 55  # of questions that are met by a fault
SETTLE_LIMIT = 60  # tries until a loan in doubt is settled
KINDS = ("item", "item", "patron", "checkout", "checkout", "checkin", "renew", "status")


class Campaign:
    """One library system, so many questions."""

    def __init__(self, name: str, requests: int, seed: int) -> None:
        self.random = Random(f"{seed} {name}")
        self.system = system(name)
        self.faults = {kind: self.system.otherwise.get(kind, came) for kind, came in FAULTS.items()}
        self.kinds = [kind for kind, came in self.faults.items() if came and kind]
        self.requests = requests
        self.came: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.fates: Counter[str] = Counter()
        self.loans: dict[str, ReaderNumber] = {}  # made, or in doubt and then settled
        self.asked = 0
        self._number = 0
        self._hung_up = 0  # by the system itself, as of the question before

    async def run(self) -> dict[str, Any]:
        """Ask, settle, judge."""
        began_s = time.monotonic()
        port = await self.system.end.start()
        self.line = ChaosLine(port, self.random)
        self.driver = sip2.Sip2(msgspec.structs.replace(self.system.settings, port=await self.line.start()))
        try:
            for _ in range(self.requests):
                await self.one()
        finally:
            await self.driver.close()
            await self.line.stop()
            lent = await self.system.end.stop()
        self.judge_loans(lent)
        missing = [kind for kind in self.kinds if not self.line.faults[kind]]
        if missing and self.requests >= 20 * len(self.kinds):
            self.wrong.append(f"never came: {missing}")
        return {
            "requests": self.asked,
            "faults": {kind: count for kind, count in sorted(self.line.faults.items()) if kind},
            "came": dict(self.came),
            "hung_up": self.line.hung_up,
            "loans": len(self.loans),
            "settled": dict(self.fates),
            "wrong": self.wrong,
            "seconds": round(time.monotonic() - began_s, 1),
        }

    async def one(self) -> None:
        """One question, met by a fault or not; a loan in doubt is settled at once."""
        kind, reader = self.random.choice(KINDS), ReaderNumber(self.random.choice(READERS))
        ask, right, barcode = self._question(kind, reader)
        fault, answer = await self.meet(ask)
        if isinstance(answer, Silence):
            if kind == "checkout":
                await self.settle(barcode, reader)
        elif not right(answer):
            self.wrong.append(f"{fault!r}: {kind} {barcode} was answered {answer}")
        elif kind == "checkout":
            self.loans[barcode] = reader

    async def meet(self, ask: Callable[[], Any]) -> tuple[str, Any]:
        """Ask, with the patience that the fault deserves; the answer or the Silence."""
        fault = self.random.choice(self.kinds) if self.random.randrange(100) < PERCENT else ""
        hung_up = self._hung_up
        self.line.plan(fault)
        may_come = self.faults[fault]
        timeout_s = HASTY_S if may_come == {NO_ANSWER} else FAIR_S if NO_ANSWER in may_come else PATIENT_S
        self.driver._settings = msgspec.structs.replace(self.driver._settings, timeout_s=timeout_s)
        self.asked += 1
        answer: Any
        try:
            answer, what = await ask(), ANSWERED
        except LibraryError as error:
            answer, what = error.silence, error.silence.value
        self.came[what] += 1
        self._hung_up = self.line.hung_up
        hung_up_itself = what == CLOSED and self.line.hung_up > hung_up  # during this question, or after the last one
        if what not in self.faults[fault] and not hung_up_itself:
            self.wrong.append(f"{fault!r} was told as {what}")
        self.line.plan("")
        return fault, answer

    def _question(self, kind: str, reader: ReaderNumber) -> tuple[Callable[[], Any], Callable[[Any], bool], str]:
        """How it is asked, whether an answer is its own, and which book it is about."""
        driver, at_ms = self.driver, AT.utc_ms
        book = self.random.choice(list(self.loans)) if self.loans else "L0"
        match kind:
            case "status":
                return driver.status, lambda answer: answer.version == "2.00", ""
            case "patron":
                return (
                    lambda: driver.patron(reader, at_ms, listed=2),
                    lambda answer: self._is_theirs(answer, reader),
                    "",
                )
            case "checkout":
                self._number += 1
                book = f"L{self._number}"
                return lambda: driver.checkout(reader, book, at_ms), lambda answer: _is_of(answer, book, ok=True), book
            case "checkin":
                book = f"L{self.random.randrange(4000, 5000)}"
                return lambda: driver.checkin(book, at_ms, at_ms), lambda answer: _is_of(answer, book, ok=True), book
            case "renew":
                owner = self.loans.get(book, reader)
                ok = book in self.loans
                return lambda: driver.renew(owner, book, at_ms), lambda answer: _is_of(answer, book, ok=ok), book
            case _:
                book = f"L{self.random.randrange(3000, 4000)}"
                return lambda: driver.item(book, at_ms), lambda answer: _is_of(answer, book), book

    def _is_theirs(self, answer: Patron, reader: ReaderNumber) -> bool:
        """Of this reader and no other: their loans, one in doubt apart."""
        mine = {book for book, owner in self.loans.items() if owner == reader}
        return answer.valid and set(answer.items) == mine

    # ----------------------------------------------------------------------- loans in doubt

    async def settle(self, barcode: str, reader: ReaderNumber) -> None:
        """As the product does it: the replay of a doubtful loan, through the same line, until it ends."""
        name = EntryName(epoch=b"epoch--1", sequence=self._number)
        waiting = Waiting(
            of=name, at_ms=AT.utc_ms, lane="kiosk", what=Circulation.LENT, doubtful=True, due_ms=AT.utc_ms + 86_400_000
        )
        for _ in range(SETTLE_LIMIT):
            end, waiting = await self._replay(Record(waiting=waiting, barcode=barcode, reader=reader))
            if end.fate is not None:
                self.fates[end.fate.value] += 1
                if end.fate is Fate.LISTED:
                    self.wrong.append(f"{barcode}: a librarian was asked ({end.reason})")
                self.loans[barcode] = reader
                return
        self.wrong.append(f"{barcode}: not settled")

    async def _replay(self, record: Record) -> tuple[End, Waiting]:
        """One try; what was about to be told is remembered."""
        telling, waiting = replay(record, AT, patience_ms=86_400_000), record.waiting
        step, heard = next(telling), None
        while True:
            heard = None
            if isinstance(step, Trying):
                waiting = msgspec.structs.replace(waiting, tried_ms=AT.utc_ms, tried_due=step.due)
            else:
                asked = step
                link = LibraryLink(self.driver, SystemClock())

                async def ask(asked: Any = asked, link: LibraryLink = link) -> Any:
                    answer = await link.ask(asked, AT.utc_ms)
                    if isinstance(answer, Silence):
                        raise LibraryError(answer, "")
                    return answer

                heard = Heard(said=(await self.meet(ask))[1], at=AT)
            try:
                step = telling.send(heard)
            except StopIteration as end:
                return end.value, waiting

    def judge_loans(self, lent: Counter[str]) -> None:
        """Each that was made or settled once, and no other."""
        self.wrong += [f"{book} was lent {count} times" for book, count in lent.items() if count > 1]
        self.wrong += [f"{book} was never lent" for book in self.loans if not lent[book]]
        self.wrong += [
            f"{book} was lent and nobody heard of it" for book in lent.keys() - self.loans.keys() if lent[book]
        ]


def _is_of(answer: Any, book: str, *, ok: bool | None = None) -> bool:
    return bool(answer.barcode == book and (ok is None or answer.ok is ok))


# --------------------------------------------------------------------------- plants


def _numbers_ignored() -> Any:
    """A driver that takes whatever has the right code."""
    return mock.patch.object(sip2, "answers", lambda message, question: message.code == question.answer)


def _asks_twice() -> Any:
    """A kiosk that says a loan again when it did not hear of it."""

    async def again(campaign: Campaign, barcode: str, reader: ReaderNumber) -> None:
        for _ in range(SETTLE_LIMIT):
            _, answer = await campaign.meet(lambda: campaign.driver.checkout(reader, barcode, AT.utc_ms))
            if isinstance(answer, Loan):
                campaign.loans[barcode] = reader
                return

    return mock.patch.object(Campaign, "settle", again)


def _one_silence() -> Any:
    """A driver for which every silence is the same."""

    def error(silence: Silence, what: str) -> LibraryError:
        return LibraryError(Silence.NO_ANSWER, what)

    return mock.patch("drivers.library.sip2.LibraryError", error)


PLANTS = {"numbers ignored": _numbers_ignored, "asks twice": _asks_twice, "one silence": _one_silence}


@contextlib.contextmanager
def planted(name: str) -> Iterator[None]:
    """The product with one part replaced."""
    with PLANTS[name]() if name else contextlib.nullcontext():
        yield


async def campaign(name: str, requests: int, seed: int, plant: str = "") -> dict[str, Any]:
    """One system."""
    with planted(plant):
        return await Campaign(name, requests, seed).run()


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(prog="python -m tests.library_chaos", description=__doc__)
    parser.add_argument("--requests", type=int, default=1000, help="of each library system")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--system", choices=NAMES)
    parser.add_argument("--plant", choices=PLANTS, default="")
    options = parser.parse_args()
    names = [options.system] if options.system else list(NAMES)
    found = {name: asyncio.run(campaign(name, options.requests, options.seed, options.plant)) for name in names}
    print(json.dumps({"seed": options.seed, "systems": found}, ensure_ascii=False))
    return 1 if any(one["wrong"] for one in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
