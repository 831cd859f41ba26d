"""Base45 (RFC 9285): bytes as the 45 characters a QR code packs best, for scanners that mangle bytes.

Laws of this file:
- Two bytes are three characters, least significant first; one byte left over is two.
- Anything that no encoder writes is refused: lower case, a single character left over, a group above FFFF or FF.
"""

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_VALUE = {character: value for value, character in enumerate(ALPHABET.encode())}


def encode(data: bytes) -> bytes:
    """The text form of `data`, as ASCII bytes."""
    out = []
    for start in range(0, len(data), 2):
        pair = data[start : start + 2]
        number = int.from_bytes(pair)
        out.append(ALPHABET[number % 45] + ALPHABET[number // 45 % 45])
        if len(pair) == 2:
            out.append(ALPHABET[number // 2025])
    return "".join(out).encode()


def decode(text: bytes) -> bytes | None:
    """The bytes of a text form, or None where no encoder wrote it."""
    out = bytearray()
    for start in range(0, len(text), 3):
        group = [_VALUE.get(character, -1) for character in text[start : start + 3]]
        if len(group) == 1 or min(group) < 0:
            return None
        number = sum(value * 45**place for place, value in enumerate(group))
        size = len(group) - 1
        if number >= 1 << (8 * size):
            return None
        out += number.to_bytes(size)
    return bytes(out)
