"""A card that answers commands: its applications, its state, and what can go wrong with it in the field.

Laws of this file:
- Written from the published command set, not from the terminal's conversations.
- A command no application of the card knows is `UnknownCommand`, loudly: a conversation that asks for more than it
  should is a mistake to be found here, not at a gate. So is reading a name or a citizen number.
- What is committed survives leaving the field; what is not, does not. A card can leave before a command reaches it, or
  after it was carried out and before it is answered.
- It waits for nothing: `delay_s` is kept by whoever carries the answers (a slot in memory, or the far end of a wire).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

GET_RESPONSE = 0xC0
OK = b"\x90\x00"
NO_APPLICATION = b"\x6a\x82"


class UnknownCommand(AssertionError):
    """A command this card does not know, or must not be asked."""


class Left(Exception):
    """The card is out of the field: nothing answers any more."""


class Mute(Exception):
    """The card is there and says nothing, for ever."""


@dataclass(frozen=True)
class Apdu:
    """One command, taken apart. `le` None: no answer expected."""

    raw: bytes
    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes
    le: int | None

    @property
    def head(self) -> str:
        """CLA INS P1 P2 as hexadecimal digits: what a card looks at first."""
        return self.raw[:4].hex()


def parse(raw: bytes) -> Apdu:
    """A short command. Raises UnknownCommand where it is none."""
    if len(raw) < 4:
        raise UnknownCommand(f"not a command: {raw.hex()}")
    cla, ins, p1, p2 = raw[:4]
    rest = raw[4:]
    if len(rest) <= 1:
        return Apdu(raw, cla, ins, p1, p2, b"", rest[0] if rest else None)
    size, data, tail = rest[0], rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
    if len(data) != size or len(tail) > 1:
        raise UnknownCommand(f"Lc does not fit: {raw.hex()}")
    return Apdu(raw, cla, ins, p1, p2, data, tail[0] if tail else None)


class Application(Protocol):
    """What one AID of a card answers."""

    aid: bytes

    def select(self) -> bytes:
        """Forget what was volatile; FCI ‖ status word."""

    def answer(self, apdu: Apdu) -> bytes | None:
        """Data ‖ status word; None: this application knows no such command."""


class Trouble(StrEnum):
    """What goes wrong at one command of a card."""

    LEAVES_BEFORE = "leaves before"  # the command never reaches it
    LEAVES_AFTER = "leaves after"  # carried out, never answered
    MUTE = "mute"
    LOOPS_61 = "61xx for ever"
    LOOPS_6C = "6Cxx for ever, another length each time"
    FLOODS = "64 KB"
    NOTHING = "0 bytes"
    ONE_BYTE = "1 byte"


@dataclass
class SimulatedCard:
    """One card with its applications.

    `troubles` maps the number of a command since the card came into the field (from 0) to what happens there.
    `short` makes it a T=0 card: data is announced by 61xx and fetched, a wrong Le is answered 6Cxx.
    """

    uid: bytes
    atr: bytes
    applications: Sequence[Application] = ()
    delay_s: float = 0.0
    short: bool = False
    troubles: dict[int, Trouble] = field(default_factory=dict)
    commands: list[bytes] = field(default_factory=list)  # since it came into the field
    answers: list[bytes] = field(default_factory=list)
    on_command: Callable[[bytes], None] = lambda command: None

    def __post_init__(self) -> None:
        self.entered = 0  # how often it came into a field
        self._selected: Application | None = None
        self._present = True
        self._rest = b""  # what a T=0 card keeps for GET RESPONSE
        self._turn = 0

    def power_on(self) -> bytes:
        """Come into the field: volatile state is gone; the answer to reset."""
        self.entered += 1
        self._selected, self._present, self._rest = None, True, b""
        self.commands.clear()
        self.answers.clear()
        return self.atr

    def remove(self) -> None:
        """Take the card away."""
        self._present = False

    def answer(self, command: bytes) -> bytes:
        """Data ‖ status word. Raises Left, Mute, UnknownCommand."""
        trouble = self.troubles.get(len(self.commands)) if self._present else Trouble.LEAVES_BEFORE
        self.commands.append(command)
        self.on_command(command)
        if trouble is Trouble.LEAVES_BEFORE:
            self._present = False
            raise Left
        if trouble is Trouble.MUTE:
            raise Mute
        lie = self._lie(trouble)
        if lie is not None:
            return lie
        answer = self._answer(command)
        if trouble is Trouble.LEAVES_AFTER:
            self._present = False
            raise Left
        self.answers.append(answer)
        return answer

    def _lie(self, trouble: Trouble | None) -> bytes | None:
        """What a hostile card says at this command, and at every one after it where it loops."""
        at = min(self.troubles, default=len(self.commands))
        looping = self.troubles.get(at) if len(self.commands) > at else None
        self._turn += 1
        if Trouble.LOOPS_61 in (trouble, looping):
            return b"\x61\x10"
        if Trouble.LOOPS_6C in (trouble, looping):
            return bytes((0x6C, self._turn % 255 + 1))
        lies = {Trouble.FLOODS: bytes(65536) + OK, Trouble.NOTHING: b"", Trouble.ONE_BYTE: b"\x90"}
        return None if trouble is None else lies.get(trouble)

    def _answer(self, raw: bytes) -> bytes:
        if raw == bytes.fromhex("ffca000000"):  # a reader answers this itself; at the far end of one the card has to
            return self.uid + OK
        apdu = parse(raw)
        if (apdu.cla, apdu.ins) == (0x00, GET_RESPONSE):
            whole, self._rest = self._rest, b""
            return whole + OK
        whole = self._select(apdu) if (apdu.ins, apdu.p1) == (0xA4, 0x04) else self._ask(apdu)
        return self._shorten(apdu, whole) if self.short else whole

    def _select(self, apdu: Apdu) -> bytes:
        for application in self.applications:
            if application.aid == apdu.data:
                answer = application.select()
                if answer[-2:] == OK:
                    self._selected = application
                return answer
        return NO_APPLICATION

    def _ask(self, apdu: Apdu) -> bytes:
        answer = None if self._selected is None else self._selected.answer(apdu)
        if answer is None:
            raise UnknownCommand(f"{apdu.raw.hex()} to {self._selected}")
        return answer

    def _shorten(self, apdu: Apdu, whole: bytes) -> bytes:
        """T=0: with data in the command the answer is fetched; without, its length must be asked exactly."""
        data, sw = whole[:-2], whole[-2:]
        if not data or sw != OK:
            return whole
        if apdu.data:
            self._rest = data
            return bytes((0x61, len(data) % 256))
        if apdu.le != len(data):
            return bytes((0x6C, len(data) % 256))
        return whole


def transcript(card: SimulatedCard) -> Iterator[str]:
    """Command and answer, line by line, as hexadecimal digits."""
    for command, answer in zip(card.commands, card.answers, strict=False):
        yield f"> {command.hex()}"
        yield f"< {answer.hex()}"
