"""Commands, answers and what may follow an answer (ISO/IEC 7816-4), with nothing of any application.

Laws of this file:
- A conversation is a generator: it yields an `Ask`, is sent the whole answer, and returns what it found. It waits for
  nothing and knows no reader.
- Whatever a card says is bounded: the length of an answer, the commands and the bytes of a tap.
- 61xx is followed as long as the budget lasts, 6Cxx once: a card that changes its mind is not believed again.
"""

from collections.abc import Generator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeVar

T = TypeVar("T")

OK = 0x9000
NOT_FOUND = (0x6A81, 0x6A82, 0x6A83, 0x6A86, 0x6A88, 0x6E00, 0x6D00)
UNREADABLE = 0x0000  # no status word at all, or more bytes than an answer can have
LONGEST_ANSWER = 258  # bytes: 256 of data and the status word


class Side(StrEnum):
    """Who is asked."""

    CARD = "card"
    MODULE = "module"  # the PSAM in its own slot


class Ask(NamedTuple):
    """One command, and for whom."""

    to: Side
    command: bytes


class Answer(NamedTuple):
    """What came back: data and status word."""

    data: bytes
    sw: int

    @property
    def good(self) -> bool:
        """Whether the status word says 9000."""
        return self.sw == OK


Conversation = Generator[Ask, bytes, T]


def read_answer(raw: bytes) -> Answer:
    """Data and status word of a whole answer; one that cannot be has the status word UNREADABLE."""
    if not 2 <= len(raw) <= LONGEST_ANSWER:
        return Answer(b"", UNREADABLE)
    return Answer(raw[:-2], int.from_bytes(raw[-2:]))


def ask_card(command: bytes) -> Conversation[Answer]:
    """Ask the card."""
    return read_answer((yield Ask(Side.CARD, command)))


def ask_module(command: bytes) -> Conversation[Answer]:
    """Ask the secure module."""
    return read_answer((yield Ask(Side.MODULE, command)))


def command(cla: int, ins: int, p1: int, p2: int, data: bytes = b"", le: int | None = None) -> bytes:
    """A short command: header, Lc and data where there is any, Le where an answer is expected (0: up to 256 bytes)."""
    body = bytes((len(data),)) + data if data else b""
    return bytes((cla, ins, p1, p2)) + body + (b"" if le is None else bytes((le,)))


# --------------------------------------------------------------------------- below a channel


class Overrun(Exception):
    """The card asked for more commands or sent more bytes than one tap may cost."""


@dataclass
class Budget:
    """What one tap may still cost; drivers keep one per card."""

    commands: int = 48
    data: int = 4096  # bytes of answers


def follow(first: bytes, budget: Budget) -> Generator[bytes, bytes, bytes]:
    """Carry one command to its whole answer: yields raw commands, is sent raw answers. Raises Overrun."""
    raw = yield _spend(first, budget)
    whole, corrected = b"", False
    while True:
        budget.data -= len(raw)
        if budget.data < 0:
            raise Overrun("more bytes than a tap may have")
        data, sw1, sw2 = raw[:-2], raw[-2:-1], raw[-1:]
        if sw1 == b"\x6c" and not corrected and not whole:
            corrected = True
            raw = yield _spend(first[:4] + _with_le(first, sw2), budget)
        elif sw1 == b"\x61":
            whole += data
            raw = yield _spend(b"\x00\xc0\x00\x00" + sw2, budget)
        else:
            return whole + raw


def _spend(one: bytes, budget: Budget) -> bytes:
    budget.commands -= 1
    if budget.commands < 0:
        raise Overrun("more commands than a tap may have")
    return one


def _with_le(first: bytes, le: bytes) -> bytes:
    """The rest of a command after its header, with another Le."""
    if len(first) <= 5:
        return le
    return first[4 : 5 + first[4]] + le
