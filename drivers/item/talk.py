"""Conversations with one tag: commands for the reader out, answers in. Pure.

Laws of this file:
- What counts is what the tag says afterwards, not what it answered to a write.
- A conversation that began the reader's transparent session ends it. One cut short by a leaving tag could not: so
  a reader that does not begin one is told to end it, and asked again.
- Content is a tag's own: its UID is asked before and after its memory was read.
"""

from collections.abc import Generator
from enum import StrEnum
from typing import TypeVar

from drivers.item import iso15693 as air
from terminal.core import tags
from terminal.core.items import Content, Securing, Tag, TagFault
from terminal.core.model import Value
from terminal.core.tags.layouts import Layouts

T = TypeVar("T")
Talk = Generator[bytes, bytes, T]
LONGEST_MEMORY = 512  # bytes: more than the largest tags of books have


class Door(StrEnum):
    """What the doors of this library look at."""

    AFI = "afi"
    EAS = "eas"
    BOTH = "both"  # while doors of two kinds stand side by side


class Rules(Value, frozen=True):
    """How this library's tags are read and written."""

    door: Door = Door.AFI
    afi_secured: int = 0x07  # ISO 28560: in the library, the door alarms
    afi_lent: int = 0xC2
    option_flag: bool = False  # for tags whose maker wants it with every write
    read_bytes: int = 16  # the reader is asked for so many bytes at once
    layouts: Layouts = Layouts()


class NoTransparentExchange(Exception):
    """The reader does not carry our frames to the tag."""


class Seen(Value, frozen=True):
    """One tag, and what of it need not be read again as long as it lies there."""

    tag: Tag
    dsfid: int

    def is_of(self, uid: str, dsfid: int) -> bool:
        """Whether it is this tag, and was understood: what was not is read again."""
        return (self.tag.uid, self.dsfid) == (uid, dsfid) and isinstance(self.tag.content, Content)


def look(rules: Rules, known: Seen | None) -> Talk[Seen | None]:
    """Who lies there; None for nobody, or somebody who is no tag. `known` is who lay there last."""
    uid = air.uid_of((yield air.GET_UID))
    if uid is None:
        return None
    found = yield from _in_session(_state(rules, None))
    if found is None or found[0].uid != uid:
        return None
    system, secured = found
    content: Content | TagFault
    if known is not None and known.is_of(_name(uid), system.dsfid):
        content = known.tag.content
    else:
        memory = yield from _memory(system, rules)
        if air.uid_of((yield air.GET_UID)) != uid:
            return None
        content = TagFault.UNREADABLE if memory is None else tags.read(memory, system.dsfid, rules.layouts)
    return Seen(tag=Tag(uid=_name(uid), content=content, secured=secured), dsfid=system.dsfid)


def secure(rules: Rules, uid: str, on: bool) -> Talk[Securing]:
    """Write the security of this very tag, and read it back."""
    return (yield from _in_session(_secure(rules, bytes.fromhex(uid), on)))


def _secure(rules: Rules, uid: bytes, on: bool) -> Talk[Securing]:
    before = yield from _state(rules, uid)
    if before is None:
        return Securing.GONE
    if before[1] is on:
        return Securing.DONE
    took = True
    if rules.door is not Door.EAS:
        afi = rules.afi_secured if on else rules.afi_lent
        took &= air.is_good(air.answered((yield air.exchange(air.write_afi(uid, afi, option=rules.option_flag)))))
    if rules.door is not Door.AFI:
        took &= air.is_good(air.answered((yield air.exchange(air.write_eas(uid, on, option=rules.option_flag)))))
    after = yield from _state(rules, uid)
    if after is None:
        return Securing.GONE
    if after[1] is on:
        return Securing.DONE
    return Securing.DIFFERS if took or after != before else Securing.WRITE_FAILED


def _state(rules: Rules, uid: bytes | None) -> Talk[tuple[air.System, bool | None] | None]:
    """What the tag says of itself, and whether the door would alarm; None if it says nothing.

    A reset alarm bit is silence, and so is a tag that left: it is asked once more who it is.
    """
    system = air.read_system(air.answered((yield air.exchange(air.system_information(uid)))))
    if system is None or uid not in (None, system.uid):
        return None
    by_afi = {rules.afi_secured: True, rules.afi_lent: False}.get(system.afi)
    if rules.door is Door.AFI:
        return system, by_afi
    by_eas = air.alarms(air.answered((yield air.exchange(air.eas_alarm(system.uid)))))
    if not by_eas:
        again = air.read_system(air.answered((yield air.exchange(air.system_information(system.uid)))))
        if again != system:
            return None
    agree = rules.door is Door.EAS or by_afi is by_eas
    return system, by_eas if agree else None


def _memory(system: air.System, rules: Rules) -> Talk[bytes | None]:
    """As many bytes as say all; None where the reader does not give them."""
    size, memory = min(system.blocks * system.block_bytes, LONGEST_MEMORY), b""
    step = max(1, rules.read_bytes // system.block_bytes) * system.block_bytes
    while len(memory) < size and not tags.is_enough(memory, system.dsfid, rules.layouts):
        wanted = min(step, size - len(memory))
        answer = yield air.read_binary(len(memory) // system.block_bytes, wanted)
        if answer[-2:] != air.OK or len(answer) != wanted + 2:
            return None
        memory += answer[:-2]
    return memory


def _in_session(talk: Talk[T]) -> Talk[T]:
    """Frames are carried to the tag between these commands only."""
    refused = yield from _begin()
    if refused:
        yield air.END
        refused = yield from _begin()
    if refused:
        raise NoTransparentExchange(refused.hex())
    found = yield from talk
    yield air.END
    return found


def _begin() -> Talk[bytes]:
    """Begin a session; the status word that refused it, if one did."""
    for command in (air.BEGIN, air.TO_15693):
        answer = yield command
        if answer[-2:] != air.OK:
            return answer[-2:]
    return b""


def _name(uid: bytes) -> str:
    return uid.hex().upper()
