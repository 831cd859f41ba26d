"""ISO 28560-3 and the Danish model it came from: a basic block of fixed length at the first byte.

Laws of this file:
- Nothing of a block is believed whose checksum does not hold.
- A tag of 32 bytes holds a truncated block; its last two bytes count as zeros. A larger tag may have been written by
  somebody who knew only the truncated one: both are tried.
- An identifier longer than 16 bytes is in an extension block, which is not read: that is told as an unknown format.

Byte 0: layout version (upper four bits, 1) and type of usage; 1: parts; 2: this part; 3–18: primary item identifier;
19–20: checksum, least significant byte first; 21–22: country; 23–33: the rest of the owner's ISIL.
"""

from terminal.core.items import Content, TagFault
from terminal.core.tags.layouts import Unreadable, content, usage_of

BLOCK, TRUNCATED = 34, 32
VERSION = 1
EXTENDED = 0x01  # where the identifier's first character would be
CRC_POLYNOMIAL, CRC_PRESET = 0x1021, 0xFFFF  # the CRC of CCITT, not reflected


def read(memory: bytes) -> Content:
    """The content of a basic block. Raises Unreadable."""
    if len(memory) < TRUNCATED:
        raise Unreadable(TagFault.CUT)
    block = _checked(memory)
    if block[0] >> 4 != VERSION or block[3] == EXTENDED:
        raise Unreadable(TagFault.UNKNOWN_FORMAT)
    country, rest = _text(block[21:23]), _text(block[23:BLOCK])
    owner = f"{country}-{rest}" if country and rest else country + rest
    return content(_text(block[3:19]), owner, block[1], block[2], usage_of(block[0] & 0x0F))


def crc(data: bytes) -> int:
    """The checksum; `RFID tag data model` gives 0x1AEE."""
    value = CRC_PRESET
    for byte in data:
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1) ^ (CRC_POLYNOMIAL if value & 0x8000 else 0)
        value &= 0xFFFF
    return value


def _checked(memory: bytes) -> bytes:
    for size in (BLOCK, TRUNCATED):
        block = memory[:size].ljust(BLOCK, b"\x00")
        if crc(block[:19] + block[21:]) == int.from_bytes(block[19:21], "little"):
            return block
    raise Unreadable(TagFault.BAD_CHECK)


def _text(field: bytes) -> str:
    """Characters up to the first zero byte."""
    try:
        return field.partition(b"\x00")[0].decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable(TagFault.BAD_TEXT) from None
