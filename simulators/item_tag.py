"""A book's tag: memory, AFI, alarm bit, and what can go wrong with it on a pad.

Laws of this file:
- Written from ISO 15693 and one maker's custom commands, not from the terminal's frames.
- It does what it says it did, unless a trouble says otherwise. What is committed survives leaving the field.
- An addressed request for another tag, and a command it does not know, are met with silence.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from simulators import tag_content
from simulators.card import Left
from terminal.core.items import Content

IN_STOCK, LENT = 0x07, 0xC2
DOES_NOT_KNOW, NOT_SPECIFIED, BLOCK_MISSING, LOCKED = 0x01, 0x0F, 0x10, 0x12


class Trouble(StrEnum):
    """What goes wrong when this tag is written."""

    LEAVES_BEFORE = "leaves before"  # the write never reaches it
    LEAVES_AFTER = "leaves after"  # written, and gone before it says so
    LEAVES_READING = "leaves reading"  # written, says so, and is gone before it is read back
    LOCKED = "locked"  # the write is refused
    DEAF = "deaf"  # no answer to a write, and nothing written
    MUMBLES = "mumbles"  # written, and its answer is lost
    LIES = "lies"  # says that it was written, and was not


@dataclass
class SimulatedTag:
    """One tag. `trouble` holds for writes of its security."""

    uid: bytes
    memory: bytes
    dsfid: int = tag_content.OBJECTS_DSFID
    afi: int = IN_STOCK
    eas: bool = True
    block_bytes: int = 4
    trouble: Trouble | None = None
    delay_s: float = 0.0  # of each answer
    writes: int = 0  # of its security, that took
    frames: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.present = True
        self._leaving = False

    @property
    def name(self) -> str:
        """The UID as people write it."""
        return self.uid.hex().upper()

    def answer(self, frame: bytes) -> bytes | None:
        """Answer one request; None is silence. Raises Left."""
        if self._leaving or not self.present:
            self.present = False
            raise Left
        self.frames.append(frame)
        flags, command, rest = frame[0], frame[1], frame[2:]
        custom, rest = (rest[:1], rest[1:]) if command >= 0xA0 else (b"", rest)
        if custom not in (b"", b"\x04"):
            return None
        if flags & 0x20:
            if rest[:8] != self.uid[::-1]:
                return None
            rest = rest[8:]
        return self._obey(command, rest)

    def _obey(self, command: int, rest: bytes) -> bytes | None:
        if command == 0x2B:
            blocks = len(self.memory) // self.block_bytes
            sizes = bytes((self.dsfid, self.afi, blocks - 1, self.block_bytes - 1, 0x01))
            return b"\x00\x0f" + self.uid[::-1] + sizes
        if command == 0xA5:
            return b"\x00" + bytes(range(32)) if self.eas else None
        if command in (0x27, 0xA2, 0xA3):
            return self._write(command, rest)
        return bytes((0x01, DOES_NOT_KNOW))

    def _write(self, command: int, rest: bytes) -> bytes | None:
        trouble = self.trouble
        if trouble is Trouble.LEAVES_BEFORE:
            self.present = False
            raise Left
        if trouble is Trouble.LOCKED:
            return bytes((0x01, LOCKED))
        if trouble is Trouble.DEAF:
            return None
        if trouble is not Trouble.LIES:
            self._commit(command, rest)
        if trouble is Trouble.LEAVES_AFTER:
            self.present = False
            raise Left
        self._leaving = trouble is Trouble.LEAVES_READING
        return None if trouble is Trouble.MUMBLES else b"\x00"

    def _commit(self, command: int, rest: bytes) -> None:
        self.writes += 1
        if command == 0x27:
            self.afi = rest[0]
        else:
            self.eas = command == 0xA2

    def come(self) -> None:
        """Laid on a pad."""
        self.present, self._leaving = True, False

    def leave(self) -> None:
        """Taken off it."""
        self.present = False

    def read(self, block: int, size: int) -> bytes | None:
        """Bytes from a block on; None where there are not so many."""
        piece = self.memory[block * self.block_bytes :][:size]
        return piece if len(piece) == size else None


def tag_of(number: int, content: Content, *, fixed: bool = False, blocks: int = 28, lent: bool = False) -> SimulatedTag:
    """A tag as a library's staff station made it, in the library or lent."""
    memory = tag_content.fixed(content) if fixed else tag_content.objects(content)
    return SimulatedTag(
        uid=bytes.fromhex("E00401") + number.to_bytes(5),
        memory=memory.ljust(blocks * 4, b"\x00"),
        dsfid=tag_content.FIXED_DSFID if fixed else tag_content.OBJECTS_DSFID,
        afi=LENT if lent else IN_STOCK,
        eas=not lent,
    )
