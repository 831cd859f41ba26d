"""What a library's own staff station writes on a tag: the far end of `terminal/core/tags`.

Laws of this file:
- Written from the standard's words and examples (ISO 28560-2, ISO/IEC 15962, ISO 28560-3), not from the reader of tags.
- It writes what a station of the field would: the shortest compaction that holds the text.
"""

import re
import string

from terminal.core.items import Content, Usage

OBJECTS_DSFID, FIXED_DSFID = 0x06, 0x3E
CATEGORY = {
    Usage.ACQUISITION: 0, Usage.CIRCULATION: 1, Usage.NOT_FOR_CIRCULATION: 2, Usage.OTHER: 9, Usage.UNSAID: 6,
    Usage.DISCARDED: 7, Usage.PATRON_CARD: 8,
}  # fmt: skip
UPPER, LOWER, DIGITS = "upper", "lower", "digits"
SETS = {UPPER: "-" + string.ascii_uppercase + ":", LOWER: "-" + string.ascii_lowercase + "/", DIGITS: "0123456789-:"}
# From one set to another: (latch, shift), as bits.
SWITCHES = {
    (UPPER, LOWER): ("11100", "11101"), (UPPER, DIGITS): ("11110", "11111"), (LOWER, UPPER): ("11100", "11101"),
    (LOWER, DIGITS): ("11110", "11111"), (DIGITS, UPPER): ("1100", "1101"), (DIGITS, LOWER): ("1110", "1111"),
}  # fmt: skip


# --------------------------------------------------------------------------- ISO 28560-2


def objects(content: Content, *, block: int = 4, shelf: str = "", aligned: frozenset[int] = frozenset()) -> bytes:
    """A tag by data elements, filled up to a whole block. `aligned` names elements padded to end with a block."""
    elements = [(1, *compact(content.item))]
    more: list[tuple[int, int, bytes]] = []
    if content.owner:
        more.append((3, 0, isil(content.owner)))
    if content.parts > 1:
        width = 1 if content.parts <= 9 else 2 if content.parts <= 99 else 3
        more.append((4, *compact(f"{content.parts:0{width}}{content.part:0{width}}")))
    if content.usage is not Usage.UNSAID:
        more.append((5, 0, bytes((CATEGORY[content.usage] << 4,))))
    if shelf:
        more.append((6, *compact(shelf)))
    if more:
        elements.append((2, 0, _index({number for number, _, _ in more})))
    memory = b""
    for number, scheme, data in [*elements, *more]:
        memory += element(number, scheme, data, len(memory), block if number in aligned else 0)
    return memory + bytes(-len(memory) % block)


def element(number: int, scheme: int, data: bytes, at: int, align: int) -> bytes:
    """One data element; `align` 0: no padding byte is spent on it."""
    head = bytes((scheme << 4 | number,)) if number < 15 else bytes((scheme << 4 | 15, number - 15))
    if not align:
        return head + bytes((len(data),)) + data
    pad = -(at + len(head) + 2 + len(data)) % align
    return bytes((head[0] | 0x80,)) + head[1:] + bytes((pad, len(data))) + data + bytes(pad)


def compact(text: str) -> tuple[int, bytes]:
    """Scheme and bytes."""
    if re.fullmatch(r"[1-9][0-9]{1,18}", text):
        number = int(text)
        return 1, number.to_bytes((number.bit_length() + 7) // 8)
    if re.fullmatch(r"[0-9]{2,}", text):
        return 2, bytes.fromhex(text + "f" * (len(text) % 2))
    if re.fullmatch(r"[A-Z\[\\\]^_]+", text):
        return 3, _packed("".join(f"{ord(one) & 0x1F:05b}" for one in text), "0" * 8)
    if re.fullmatch(r"[ -_]*[!-_]", text):
        return 4, _packed("".join(f"{ord(one) & 0x3F:06b}" for one in text), "10000000")
    if text.isascii():
        return 5, _packed("".join(f"{ord(one):07b}" for one in text), "1" * 8)
    latin = text.encode("latin-1", "ignore")
    return (6, latin) if latin.decode("latin-1") == text else (7, text.encode())


def isil(text: str) -> bytes:
    """An ISIL; a latch where the next two characters want the other set, else a shift."""
    wanted = [UPPER if one in SETS[UPPER] else LOWER if one in SETS[LOWER] else DIGITS for one in text]
    now, bits = UPPER, ""
    for at, one in enumerate(text):
        if one in SETS[now]:
            bits += _letter(one, now)
            continue
        other = wanted[at]
        stays = at + 1 < len(text) and text[at + 1] in SETS[other]
        bits += SWITCHES[now, other][0 if stays else 1] + _letter(one, other)
        now = other if stays else now
    return _packed(bits, "1" * 8)


def _letter(one: str, which: str) -> str:
    return f"{SETS[which].index(one):0{4 if which == DIGITS else 5}b}"


def _packed(bits: str, padding: str) -> bytes:
    bits += padding[: -len(bits) % 8]
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))


def _index(present: set[int]) -> bytes:
    """The content parameter: a bit for each element from the third on."""
    return _packed("".join("1" if number in present else "0" for number in range(3, max(present) + 1)), "0" * 8)


# --------------------------------------------------------------------------- ISO 28560-3


def fixed(content: Content, size: int = 34) -> bytes:
    """A basic block, or at 32 bytes a truncated one."""
    country, _, rest = content.owner.partition("-")
    block = bytearray(34)
    block[0] = 0x10 | CATEGORY[content.usage]
    block[1:3] = content.parts, content.part
    block[3:19] = content.item.encode().ljust(16, b"\x00")
    block[21:23] = country.encode().ljust(2, b"\x00")
    block[23:34] = rest.encode().ljust(11, b"\x00")
    block[19:21] = _crc(bytes(block[:19] + block[21:])).to_bytes(2, "little")
    assert len(block) == 34 and not any(block[size:]), "it does not fit"
    return bytes(block[:size])


def _crc(data: bytes) -> int:
    """By the polynomial's long division."""
    remainder = int.from_bytes(data) << 16 ^ 0xFFFF << len(data) * 8
    for bit in range(len(data) * 8 + 15, 15, -1):
        if remainder >> bit & 1:
            remainder ^= 0x11021 << bit - 16
    return remainder
