"""Frames of ISO 15693, and the reader's own commands that carry them (PC/SC part 3). Pure.

Laws of this file:
- An answer is a whole answer or None: no answer, an error of the reader and rubbish are one thing to who waits.
- A request that changes a tag is addressed: another tag in its place does not hear it.
- UIDs are written most significant byte first (E0…), on the air least significant first.
"""

from typing import NamedTuple

OK = b"\x90\x00"
GET_UID = bytes.fromhex("FFCA000000")
BEGIN, END = bytes.fromhex("FFC2000002810000"), bytes.fromhex("FFC2000002820000")
TO_15693 = bytes.fromhex("FFC20002048F02020300")  # switch protocol: ISO 15693, layer 3
TRANSCEIVE, RESPONSE = 0x95, 0x97
MAKER = 0xE0  # the first byte of every UID

HIGH_RATE, ADDRESSED, OPTION, ERROR = 0x02, 0x20, 0x40, 0x01
SYSTEM_INFORMATION, WRITE_AFI = 0x2B, 0x27
SET_EAS, RESET_EAS, EAS_ALARM, NXP = 0xA2, 0xA3, 0xA5, 0x04  # custom commands of one maker's chips
ALARM_BYTES = 32  # a tag whose EAS bit is set answers its alarm with so many


class System(NamedTuple):
    """What a tag says of itself."""

    uid: bytes
    dsfid: int
    afi: int
    blocks: int
    block_bytes: int


# --------------------------------------------------------------------------- the reader's commands


def exchange(frame: bytes) -> bytes:
    """Send a frame to the tag and hear its answer."""
    body = bytes((TRANSCEIVE, len(frame))) + frame
    return bytes.fromhex("FFC20001") + bytes((len(body),)) + body + b"\x00"


def answered(answer: bytes) -> bytes | None:
    """What the tag answered, out of the reader's data objects."""
    data, sw = answer[:-2], answer[-2:]
    while sw == OK and len(data) >= 2:
        tag, size = data[0], data[1]
        value, data = data[2 : 2 + size], data[2 + size :]
        if tag == RESPONSE and len(value) == size:
            return value
    return None


def read_binary(block: int, size: int) -> bytes:
    """So many bytes from a block on."""
    return bytes((0xFF, 0xB0, block >> 8, block & 0xFF, size))


def uid_of(answer: bytes) -> bytes | None:
    """The UID of an ISO 15693 tag, in either order of bytes; None for another kind of card."""
    uid = answer[:-2]
    if answer[-2:] != OK or len(uid) != 8:
        return None
    if uid[0] == MAKER:
        return uid
    return uid[::-1] if uid[-1] == MAKER else None


# --------------------------------------------------------------------------- what a tag is asked


def system_information(uid: bytes | None = None) -> bytes:
    """Who lies there; or, addressed, whether this tag still does."""
    if uid is None:
        return bytes((HIGH_RATE, SYSTEM_INFORMATION))
    return bytes((HIGH_RATE | ADDRESSED, SYSTEM_INFORMATION)) + uid[::-1]


def write_afi(uid: bytes, afi: int, *, option: bool) -> bytes:
    """A new application family identifier. Some makers' tags want the option flag with every write."""
    flags = HIGH_RATE | ADDRESSED | (OPTION if option else 0)
    return bytes((flags, WRITE_AFI)) + uid[::-1] + bytes((afi,))


def write_eas(uid: bytes, on: bool, *, option: bool) -> bytes:
    """Set or reset the alarm bit."""
    flags = HIGH_RATE | ADDRESSED | (OPTION if option else 0)
    return bytes((flags, SET_EAS if on else RESET_EAS, NXP)) + uid[::-1]


def eas_alarm(uid: bytes) -> bytes:
    """Answered only while the alarm bit is set."""
    return bytes((HIGH_RATE | ADDRESSED, EAS_ALARM, NXP)) + uid[::-1]


# --------------------------------------------------------------------------- what it says


def is_good(frame: bytes | None) -> bool:
    """Whether the tag did it."""
    return frame is not None and len(frame) >= 1 and not frame[0] & ERROR


def alarms(frame: bytes | None) -> bool:
    """Whether the alarm was answered, and whole."""
    return frame is not None and is_good(frame) and len(frame) >= 1 + ALARM_BYTES


def read_system(frame: bytes | None) -> System | None:
    """What a tag says of itself; None where it is not whole, or leaves out what we must know."""
    if frame is None or not is_good(frame) or len(frame) < 10:
        return None
    given, uid, rest = frame[1], frame[2:10][::-1], frame[10:]
    sizes = [1 if given & 1 else 0, 1 if given & 2 else 0, 2 if given & 4 else 0]
    if len(rest) < sum(sizes) or uid[0] != MAKER or not (given & 2 and given & 4):
        return None
    dsfid = rest[0] if sizes[0] else 0
    afi, blocks, block_bytes = rest[sizes[0] : sizes[0] + 3]
    return System(uid, dsfid, afi, blocks + 1, (block_bytes & 0x1F) + 1)
